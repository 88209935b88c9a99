"""Cassette files: where they go, and what happens when one is broken, foreign or cannot be written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .suite import GREETING, Suite

BROKEN = {
    "empty": ("", "is empty"),
    "a half file": ("stepreplay: 1\ninteractions:\n- request:\n    method: POST\n    url: 'http", ":5: "),
    "a merge conflict": (
        "stepreplay: 1\n<<<<<<< HEAD\ninteractions: []\n=======\ntest: x\n>>>>>>> other\n",
        ":2: *conflict*",
    ),
    "newer": ("stepreplay: 99\ninteractions: []\n", "*newer*"),
    "a list": ("- 1\n- 2\n", "*"),
    "a wrong field": (
        "stepreplay: 1\ninteractions:\n- request:\n    method: GET\n    url: x\n  response:\n    status: many\n",
        ":7: *status*",
    ),
    "not utf-8": ("stepreplay: 1\ntest: \udcff\n", "*UTF-8*"),
}


@pytest.mark.parametrize("mode", ["replay", "record", "rewrite"])
@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_cannot_be_read_is_named_and_left_alone(suite: Suite, kind: str, mode: str) -> None:
    content, said = BROKEN[kind]
    suite.write(GREETING)
    path = suite.cassette()
    path.parent.mkdir(parents=True)
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    before = path.read_bytes()
    result = suite.run(f"--stepreplay={mode}", key="sk-any-key-will-do")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*cassettes/test_chat/test_greeting.yaml*{said}*"])
    assert "Traceback" not in result.stdout.str()
    assert path.read_bytes() == before
    assert suite.upstream.count == 0


def test_a_directory_where_the_cassette_should_be(suite: Suite) -> None:
    suite.write(GREETING)
    suite.cassette().mkdir(parents=True)
    result = suite.record()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_greeting.yaml: is a folder, where a cassette file should be*"])


def test_a_cassette_that_cannot_be_written_is_an_error_of_its_test(suite: Suite) -> None:
    suite.write(GREETING)
    suite.change('assert ask("Say hello.")', 'assert ask("Say hello.")\n    open("cassettes", "w").close()')
    result = suite.record()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*cassettes/test_chat/test_greeting.yaml: could not be written: *"])
    assert "Traceback" not in result.stdout.str()


def test_names_that_no_file_system_would_take(suite: Suite) -> None:
    names = ["a/b", "a:b", "a*b", "a b", "A", "a", "你好", "x" * 300, "a?b", "nul", "..", "[]", "tab\\there"]
    suite.write(
        GREETING.replace(
            "@pytest.mark.stepreplay",
            f"@pytest.mark.stepreplay\n    @pytest.mark.parametrize('text', {names!r})",
        )
        .replace("def test_greeting():", "def test_greeting(text):")
        .replace('ask("Say hello.")', "ask(text)")
    )
    suite.record().assert_outcomes(passed=len(names))
    assert len({name.casefold() for name in suite.cassettes}) == len(names)
    assert all(len(Path(name).name.encode()) < 200 for name in suite.cassettes)
    assert any("你好" in name for name in suite.cassettes)
    assert not [c for name in suite.cassettes for c in '\\:*?"<>|' if c in Path(name).name]
    suite.go_offline()
    suite.run("--stepreplay-unused=error").assert_outcomes(passed=len(names))


def test_two_tests_that_differ_in_case_only_never_share_a_file(suite: Suite) -> None:
    suite.write(
        """
        import pytest

        @pytest.mark.stepreplay
        class TestAPI:
            def test_it(self): ...

        @pytest.mark.stepreplay
        class TestApi:
            def test_it(self): ...
        """
    )
    result = suite.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["ERROR: test_chat.py::TestApi::test_it and test_chat.py::TestAPI::test_it would share*"]
    )


def test_modules_of_one_name_in_two_folders(suite: Suite) -> None:
    for folder in ("one", "two"):
        suite.write(GREETING.replace("hello", folder), f"tests/{folder}/test_chat.py")
        (suite.pytester.path / f"tests/{folder}/__init__.py").touch()
    suite.record().assert_outcomes(passed=2)
    assert suite.cassettes == [f"tests/{folder}/test_chat/test_greeting.yaml" for folder in ("one", "two")]


def vcr_cassette(suite: Suite) -> dict[str, object]:
    answer = {"id": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": "from vcr"}}]}
    body = {"model": "step-3.5-flash", "messages": [{"role": "user", "content": "Say hello."}]}
    return {
        "version": 1,
        "interactions": [
            {
                "request": {
                    "method": "POST",
                    "uri": f"{suite.url}/chat/completions",
                    "body": json.dumps(body),
                    "headers": {"content-type": ["application/json"]},
                },
                "response": {
                    "status": {"code": 200, "message": "OK"},
                    "headers": {"content-type": ["application/json"]},
                    "body": {"string": json.dumps(answer)},
                },
            }
        ],
    }


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_plain_vcrpy_cassette_replays_and_is_not_recorded_into(suite: Suite, suffix: str) -> None:
    name = f"old.{suffix}"
    suite.write(
        GREETING.replace("mark.stepreplay", f"mark.stepreplay({name!r})").replace(
            'ask("Say hello.")', 'ask("Say hello.") == "from vcr"'
        )
    )
    path = suite.cassette(name)
    path.parent.mkdir()
    path.write_text(json.dumps(vcr_cassette(suite)), encoding="utf-8")  # JSON is YAML too
    before = path.read_bytes()
    suite.run().assert_outcomes(passed=1)
    suite.change("Say hello.", "Say goodbye.")
    suite.run().stdout.fnmatch_lines(
        [
            "E *convert the cassette, which another tool wrote, and record it:",
            f"E * stepreplay convert cassettes/{name}",
            "E * pytest test_chat.py::test_greeting --stepreplay=record",
        ]
    )
    result = suite.record()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*is a cassette of another tool (vcr); it can be replayed, but not recorded into*"]
    )
    assert path.read_bytes() == before


def test_the_cassette_is_readable_and_minimal(suite: Suite) -> None:
    suite.write(GREETING)
    suite.change('"Say hello."', '"Say hello.\\nIn two lines, no: 1e3."')
    suite.record()
    lines = suite.cassette().read_text(encoding="utf-8").splitlines()
    assert lines[:3] == ["stepreplay: 1", "test: test_chat.py::test_greeting", "interactions:"]
    text = "\n".join(lines)
    assert "        content: |-\n          Say hello.\n          In two lines, no: 1e3." in text
    assert "    headers:\n      content-type: application/json\n    json:" in text
    assert "user-agent" not in text.lower()


def test_pytest_is_not_led_through_the_cassettes(suite: Suite) -> None:
    suite.write(GREETING)
    suite.record().assert_outcomes(passed=1)
    suite.pytester.makeconftest("def pytest_collect_file(file_path): assert file_path.suffix == '.py'")
    suite.run().assert_outcomes(passed=1)


def test_tests_beside_cassettes_are_found(suite: Suite) -> None:
    suite.write(GREETING)
    suite.record().assert_outcomes(passed=1)
    suite.cassette().with_name("test_more.py").write_text("def test_more(): pass", encoding="utf-8")
    suite.run().assert_outcomes(passed=2)
