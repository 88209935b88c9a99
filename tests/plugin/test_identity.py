"""Whose cassette is whose: a test is its file and its name, whatever pytest calls it and wherever it is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_stepreplay.cli import main

from .suite import PLAIN, Suite

PARALLEL = pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "xdist"])


def asking(text: str) -> str:
    return PLAIN.replace("Say hello.", text).replace("test_greeting", "test_same")


def cassettes(suite: Suite) -> dict[str, str]:
    """Returns what each cassette's first request asks, by the path of the cassette."""
    found = sorted(suite.pytester.path.rglob("*.yaml"))
    return {path.relative_to(suite.pytester.path).as_posix(): question_in(path) for path in found}


def question_in(path: Path) -> str:
    (line,) = [line for line in path.read_text(encoding="utf-8").splitlines() if " content: Say " in line]
    return line.partition("content: ")[2]


@PARALLEL
def test_tests_outside_of_the_rootdir_have_a_cassette_each(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write("[pytest]", "config/pytest.ini")
    run = ("-c", "config/pytest.ini", "tests/test_one.py", "tests/test_two.py", *options)
    for number in ("one", "two"):
        suite.write(asking(f"Say {number}."), f"tests/test_{number}.py")
    suite.record(*run).assert_outcomes(passed=2)
    assert sorted(cassettes(suite).values()) == ["Say one.", "Say two."]
    suite.go_offline()
    suite.run(*run, "--stepreplay-unused=error").assert_outcomes(passed=2)
    suite.run(*run[:2], "tests/test_two.py").assert_outcomes(passed=1)


def services(suite: Suite) -> dict[str, str]:
    """Writes two services with an ini file each, and returns where their cassettes belong, with what they hold."""
    for name, folder in (("a", "cassettes"), ("b", "tapes")):
        suite.write(f"[pytest]\nstepreplay_dir = {folder}", f"svc_{name}/pytest.ini")
        suite.write(asking(f"Say {name}."), f"svc_{name}/tests/test_chat.py")
    return {
        "svc_a/cassettes/tests/test_chat/test_same.yaml": "Say a.",
        "svc_b/tapes/tests/test_chat/test_same.yaml": "Say b.",
    }


@PARALLEL
def test_each_service_has_its_cassettes_where_its_own_ini_file_says(
    suite: Suite, options: tuple[str, ...]
) -> None:
    theirs = services(suite)
    together = ("svc_a", "svc_b", "--import-mode=importlib")
    suite.record(*together, *options).assert_outcomes(passed=2)
    assert cassettes(suite) == theirs
    ids = [(suite.pytester.path / path).read_text(encoding="utf-8").splitlines()[1] for path in theirs]
    assert ids == ["test: tests/test_chat.py::test_same"] * 2
    suite.go_offline()
    result = suite.run(*together, "--stepreplay-unused=error")
    result.assert_outcomes(passed=2)
    suite.monkeypatch.chdir("svc_b")
    suite.run("--stepreplay-unused=error").assert_outcomes(passed=1)
    suite.monkeypatch.chdir("tests")
    suite.run("test_chat.py::test_same").assert_outcomes(passed=1)
    suite.run("../../svc_a/tests", ".", "--import-mode=importlib").assert_outcomes(passed=2)


def test_an_ini_file_below_that_of_the_run_counts_too(suite: Suite) -> None:
    theirs = services(suite)
    suite.write("[pytest]\nstepreplay_dir = top", "pytest.ini")
    suite.write(asking("Say top."), "tests/test_chat.py")
    suite.record("--import-mode=importlib").assert_outcomes(passed=3)
    assert cassettes(suite) == {**theirs, "top/tests/test_chat/test_same.yaml": "Say top."}
    suite.go_offline()
    (suite.pytester.path / "svc_b/tapes/tests/test_chat/stray.yaml").write_text(
        "stepreplay: 1\ntest: x.py::y\ninteractions: []\n"
    )
    result = suite.run("--import-mode=importlib", "--stepreplay-unused=error")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["no test uses svc_b/tapes/tests/test_chat/stray.yaml"])


def test_nothing_of_one_service_is_offered_to_another(suite: Suite) -> None:
    services(suite)
    suite.record("svc_a").assert_outcomes(passed=1)
    suite.write(asking("Say a."), "svc_b/tests/test_chat.py")
    result = suite.run("svc_a", "svc_b", "--import-mode=importlib", "-p", "cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E *cassette  svc_b/tapes/tests/test_chat/test_same.yaml (does not exist)"])
    result.stdout.no_fnmatch_line("*relink*")
    result.stdout.no_fnmatch_line("*svc_a/cassettes*")
    (suite.pytester.path / "svc_a/tests/test_chat.py").write_text(
        "def test_nothing(): pass", encoding="utf-8"
    )
    suite.run("svc_a", "svc_b", "--import-mode=importlib", "-p", "cacheprovider").assert_outcomes(
        passed=1, failed=1
    )
    suite.monkeypatch.chdir("svc_a")
    assert main(["relink", "--dry-run"]) == 0


def test_what_an_earlier_release_recorded_from_above_is_still_replayed(suite: Suite) -> None:
    services(suite)
    suite.write("[pytest]", "pytest.ini")
    suite.record("svc_b").assert_outcomes(passed=1)
    new = suite.pytester.path / "svc_b/tapes/tests/test_chat/test_same.yaml"
    old = suite.cassette("svc_b/tests/test_chat/test_same.yaml")
    old.parent.mkdir(parents=True)
    new.rename(old)
    suite.go_offline()
    suite.run("--import-mode=importlib").assert_outcomes(passed=1, failed=1)
    suite.run("svc_b").assert_outcomes(failed=1)  # started there, it was never found


def test_an_ini_file_that_is_named_says_where_all_cassettes_are(suite: Suite) -> None:
    services(suite)
    suite.write("[pytest]\nstepreplay_dir = named", "config/pytest.ini")
    suite.record("-c", "config/pytest.ini", "svc_b").assert_outcomes(passed=1)
    (path,) = cassettes(suite)
    assert path.startswith("config/named/test_chat-")


@pytest.mark.parametrize("how", ["absolute", "above", "command line"])
def test_services_that_share_a_folder_keep_their_answers_apart(suite: Suite, how: str) -> None:
    tapes = suite.pytester.path / "tapes"
    line = {"absolute": f"stepreplay_dir = {tapes}", "above": "stepreplay_dir = ../tapes"}.get(how, "")
    options = ["--stepreplay-dir", str(tapes)] if how == "command line" else []
    for name in ("a", "b"):
        suite.write(f"[pytest]\n{line}", f"svc_{name}/pytest.ini")
        suite.write(asking(f"Say {name}."), f"svc_{name}/tests/test_chat.py")
    for name in ("a", "b"):
        suite.monkeypatch.chdir(suite.pytester.path / f"svc_{name}")
        suite.record(*options).assert_outcomes(passed=1)
    theirs = {f"tapes/svc_{name}/tests/test_chat/test_same.yaml": f"Say {name}." for name in ("a", "b")}
    assert cassettes(suite) == theirs
    suite.go_offline()
    suite.run(*options, "--stepreplay-unused=error", "-k", "same").assert_outcomes(passed=1)
    suite.monkeypatch.chdir(suite.pytester.path)
    suite.run("svc_a", "svc_b", "--import-mode=importlib", *options).assert_outcomes(passed=2)


def test_a_moved_test_takes_its_cassette_along_in_a_folder_above(suite: Suite) -> None:
    suite.write("[pytest]\nstepreplay_dir = ../tapes", "svc/pytest.ini")
    suite.write(asking("Say a."), "svc/tests/test_chat.py")
    suite.monkeypatch.chdir(suite.pytester.path / "svc")
    suite.record().assert_outcomes(passed=1)
    (suite.pytester.path / "svc/tests/test_chat.py").rename(suite.pytester.path / "svc/tests/test_talk.py")
    suite.go_offline()
    suite.run("-p", "cacheprovider").assert_outcomes(failed=1)
    assert main(["relink", "--yes"]) == 0
    assert cassettes(suite) == {"tapes/svc/tests/test_talk/test_same.yaml": "Say a."}
    suite.run().assert_outcomes(passed=1)


SAME_FIXTURES = """
    import os, httpx, pytest

    def ask(text):
        body = {{"model": "m", "messages": [{{"role": "user", "content": text}}]}}
        headers = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
        return httpx.post("{url}/chat/completions", json=body, headers=headers).json()["choices"]

    class TestOne:
        @pytest.fixture(scope="SCOPE")
        def answer(self):
            return ask("Say one.")

        @pytest.mark.stepreplay
        def test_it(self, answer):
            assert answer and ask("Say hello.")

    class TestTwo:
        @pytest.fixture(scope="SCOPE")
        def answer(self):
            return ask("Say two.")

        class TestInner:
            @pytest.fixture(scope="SCOPE")
            def answer(self):
                return ask("Say three.")

            @pytest.mark.stepreplay
            def test_it(self, answer):
                assert answer and ask("Say hello.")

        @pytest.mark.stepreplay
        def test_it(self, answer):
            assert answer and ask("Say hello.")
"""


@pytest.mark.parametrize("scope", ["class", "module", "session"])
def test_fixtures_of_one_name_in_two_classes_have_a_cassette_each(suite: Suite, scope: str) -> None:
    suite.write(SAME_FIXTURES.replace("SCOPE", scope))
    suite.record().assert_outcomes(passed=3)
    asked = {path: text for path, text in cassettes(suite).items() if "fixture" in path}
    assert asked == {
        "cassettes/test_chat/TestOne.answer.fixture.yaml": "Say one.",
        "cassettes/test_chat/TestTwo.answer.fixture.yaml": "Say two.",
        "cassettes/test_chat/TestTwo.TestInner.answer.fixture.yaml": "Say three.",
    }
    suite.go_offline()
    suite.run("--stepreplay-unused=error").assert_outcomes(passed=3)


@PARALLEL
def test_adopted_tests_whose_names_become_one_file_keep_each_other_s_answers(
    suite: Suite, options: tuple[str, ...]
) -> None:
    suite.write("[pytest]\nstepreplay_adopt_vcr_marker = true", "pytest.ini")
    one = PLAIN.partition("    @pytest")[0] + (
        "\n    @pytest.mark.vcr\n    @pytest.mark.parametrize('name', ['a/b', 'a:b'])\n"
        "    def test_it(name):\n        ask(f'Say {{name}}.')\n"
    )
    suite.write(one, "tests/test_one.py")
    suite.record().assert_outcomes(passed=2)
    suite.go_offline()
    suite.run(*options).assert_outcomes(passed=2)
    assert suite.run("-k", "a:b", "--stepreplay-unused=error").ret == 0


def test_adopted_tests_in_a_folder_of_many_modules_keep_each_other_s_answers(suite: Suite) -> None:
    suite.write("[pytest]\nstepreplay_adopt_vcr_marker = true", "pytest.ini")
    suite.write(
        "import pytest\n\n@pytest.fixture(scope='module')\ndef vcr_cassette_dir(): return 'tapes'\n",
        "conftest.py",
    )
    for name in ("one", "two"):
        marked = asking(f"Say {name}.").replace("mark.stepreplay", "mark.vcr")
        suite.write(marked, f"tests/test_{name}.py")
    suite.record().assert_outcomes(passed=2)
    suite.go_offline()
    suite.run().assert_outcomes(passed=2)
