"""`stepreplay prune`: what the last run did not need goes, and nothing else."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_stepreplay.housekeeping import CACHE_KEY
from pytest_stepreplay.housekeeping.last_run import read_last_run
from pytest_stepreplay.store.cassettes import read_cassette
from pytest_stepreplay.store.pending import pending_path
from tests.conftest import KEY
from tests.plugin.suite import PLAIN, Suite

from .conftest import Project, Terminal

TWO = (
    PLAIN.replace('ask("Say hello.")', 'ask("Say 1.") and ask("Say 2.") and ask("Say 3.")')
    + """
    @pytest.mark.stepreplay
    def test_other():
        assert ask("Say something else.")
"""
)
CACHED = ("-p", "cacheprovider")


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    """A suite of which the second test and the middle interaction of the first are no longer needed."""
    suite = Suite(pytester, monkeypatch).start()
    suite.write(TWO)
    suite.record().assert_outcomes(passed=2)
    suite.change(' and ask("Say 2.")', "")
    suite.change("def test_other", "def not_a_test")
    yield suite
    suite.go_offline()


@pytest.fixture
def project(suite: Suite, capsys: pytest.CaptureFixture[str]) -> Project:
    return Project(suite.pytester.path, capsys)


def texts(suite: Suite) -> list[str]:
    interactions = read_cassette(suite.cassette()).cassette.interactions
    return [each.request.json["messages"][0]["content"] for each in interactions]


@pytest.mark.parametrize("options", [(), ("-n", "1")])
def test_what_a_whole_run_did_not_need_goes(suite: Suite, project: Project, options: tuple[str, ...]) -> None:
    suite.run(*CACHED, *options).assert_outcomes(passed=1)
    dry = project.run("prune", "--dry-run")
    assert dry.status == 1
    size = suite.cassette("test_chat/test_other.yaml").stat().st_size
    assert dry.out.splitlines() == [
        "cassettes/test_chat/test_greeting.yaml: interaction 2 of 3 not played",
        "cassettes/test_chat/test_other.yaml: no test uses it",
        f"To be removed: 1 cassette of {size:,} bytes, and 1 interaction of other cassettes.",
        "Nothing was changed.",
    ]
    assert texts(suite) == ["Say 1.", "Say 2.", "Say 3."]
    result = project.run("prune", "--yes")
    assert (result.status, result.out.splitlines()[-1]) == (0, "Removed from 2 cassettes.")
    assert suite.cassettes == ["test_chat/test_greeting.yaml"]
    assert texts(suite) == ["Say 1.", "Say 3."]
    suite.run(*CACHED, "--stepreplay-unused=error").assert_outcomes(passed=1)
    again = project.run("prune", "--yes")
    assert (again.status, again.out) == (0, "Nothing to prune: the last run played all that is recorded.\n")


def test_json_for_a_program(suite: Suite, project: Project) -> None:
    suite.run(*CACHED)
    expected = {
        "cassettes": [
            {
                "path": "cassettes/test_chat/test_greeting.yaml",
                "interactions": [2],
                "why": "interaction 2 of 3 not played",
                "kept": None,
            },
            {
                "path": "cassettes/test_chat/test_other.yaml",
                "interactions": None,
                "why": "no test uses it",
                "kept": None,
            },
        ],
        "files": [],
    }
    result = project.run("prune", "--json", "--dry-run")
    assert (result.status, result.json) == (1, {"pruned": False, **expected})
    result = project.run("prune", "--json", "--yes")
    assert (result.status, result.json) == (0, {"pruned": True, **expected})
    assert suite.cassettes == ["test_chat/test_greeting.yaml"]


def test_a_folder_that_gets_empty_goes_too(suite: Suite, project: Project) -> None:
    other = suite.cassette("deep/er/old.yaml")
    other.parent.mkdir(parents=True)
    suite.cassette("test_chat/test_other.yaml").rename(other)
    suite.run(*CACHED)
    assert project.run("prune", "--yes").status == 0
    assert not suite.cassette("deep").exists()
    assert suite.cassette("").is_dir()


@pytest.mark.parametrize(
    ("options", "edit", "why"),
    [
        (("-k", "greeting"), None, "it was not complete: it was narrowed by -k"),
        (("test_chat.py::test_greeting",), None, "it was not complete: it was told to run test_chat.py::test_greeting"),
        (("--deselect", "test_more.py::test_more"), "def test_more(): pass", "it was not complete: some tests were deselected"),
        ((), "def test_more(): assert False", "it failed, with exit status 1"),
        (("--stepreplay=record",), None, "it ran in record; only replay shows what is still played"),
        ((), "pytest.skip('not here', allow_module_level=True)", "it was not complete: test_more.py was skipped as a whole"),
        (("-x",), "def test_more(): assert False", "it was not complete: it stopped early"),
    ],
)  # fmt: skip
def test_a_run_that_does_not_tell_prunes_nothing(
    suite: Suite, project: Project, options: tuple[str, ...], edit: str | None, why: str
) -> None:
    if edit:
        suite.write(f"import pytest\n{edit}\n", "test_more.py")
    before = suite.cassettes
    suite.run(*CACHED)
    suite.run(*CACHED, *options, key=KEY)
    result = project.run("prune", "--yes")
    assert result.status == 2
    assert result.err.startswith(
        f"stepreplay: nothing was pruned: the last run does not show what is still needed: {why}."
    )
    assert "Run the whole suite in replay until it passes: pytest" in result.err
    assert suite.cassettes == before


def test_no_run_is_remembered(suite: Suite, project: Project) -> None:
    suite.run("-p", "no:cacheprovider")
    result = project.run("prune", "--dry-run")
    assert result.status == 2
    assert "no pytest run is on record (.pytest_cache/v/stepreplay/last_run is missing" in result.err
    path = project.path / ".pytest_cache/v" / CACHE_KEY
    path.parent.mkdir(parents=True)
    for text in ("", "[]", '{"version": 99}', '{"version": 1}', '{"version": 1, "unplayed": 3}'):
        path.write_text(text, encoding="utf-8")
        assert project.run("prune", "--dry-run").status == 2
        assert read_last_run(path) is None


def test_a_later_run_without_any_cassette_makes_the_knowledge_unfit(suite: Suite, project: Project) -> None:
    suite.run(*CACHED)
    suite.write("def test_plain(): pass")
    suite.run(*CACHED, "--collect-only")
    assert project.run("prune", "--dry-run").status == 1
    suite.run(*CACHED)
    assert "it used no cassette" in project.run("prune", "--yes").err
    assert len(suite.cassettes) == 2


def test_the_cache_is_found_where_the_ini_file_puts_it(suite: Suite, project: Project) -> None:
    (project.path / "pytest.ini").write_text("[pytest]\ncache_dir = here/$NOWHERE_SET\n", encoding="utf-8")
    suite.run(*CACHED)
    assert project.run("prune", "--dry-run").status == 1


def test_what_has_changed_since_stays(suite: Suite, project: Project) -> None:
    suite.run(*CACHED)
    for name in ("test_greeting", "test_other"):
        path = suite.cassette(f"test_chat/{name}.yaml")
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    result = project.run("prune", "--yes")
    assert result.status == 0
    assert result.out.count("kept, since it has changed since the last run") == 2
    assert len(suite.cassettes) == 2


def test_what_waits_for_a_decision_or_is_no_cassette_stays(suite: Suite, project: Project) -> None:
    other = suite.cassette("test_chat/test_other.yaml")
    pending_path(other).write_bytes(other.read_bytes())
    suite.cassette("notes.json").write_text('{"interactions": 3}', encoding="utf-8")
    suite.run(*CACHED)
    result = project.run("prune", "--yes")
    assert "notes.json: no test uses it; kept, since it is not a readable cassette" in result.out
    assert "kept, since it has pending changes; decide: stepreplay review" in result.out
    assert suite.cassette("notes.json").exists()
    assert other.exists()


def test_what_a_skipped_test_did_not_play_stays(suite: Suite, project: Project) -> None:
    suite.change("def not_a_test", '@pytest.mark.skip("today")\ndef test_other')
    suite.run(*CACHED).assert_outcomes(passed=1, skipped=1)
    assert "test_other" not in project.run("prune", "--dry-run").out


def test_what_an_expected_failure_did_not_reach_stays(suite: Suite, project: Project) -> None:
    suite.change("def test_greeting", "@pytest.mark.xfail\ndef test_greeting")
    suite.change('ask("Say 1.") and', 'not ask("Say 1.") and')
    suite.run(*CACHED).assert_outcomes(xfailed=1)
    assert "test_greeting" not in project.run("prune", "--dry-run").out


def test_cassettes_of_use_cassette_count_as_used(suite: Suite, project: Project) -> None:
    suite.write(
        TWO.replace(' and ask("Say 2.")', "").replace(
            '    @pytest.mark.stepreplay\n    def test_other():\n        assert ask("Say something else.")',
            "    def test_block():\n        from pytest_stepreplay import use_cassette\n"
            '        with use_cassette("cassettes/test_chat/test_other.yaml"):\n'
            '            assert ask("Say something else.")',
        )
    )
    result = suite.run(*CACHED)
    result.assert_outcomes(passed=2)
    assert "no test uses" not in result.stdout.str()
    assert "test_other" not in project.run("prune", "--dry-run").out


class Keys(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("y\n", (0, 1)),
        (" YES \n", (0, 1)),
        ("n\n", (1, 2)),
        ("\n", (1, 2)),
        ("what?\ny\n", (0, 1)),
        ("what?\n", (130, 2)),
        ("", (130, 2)),
    ],
)
def test_a_person_is_asked(
    suite: Suite, project: Project, monkeypatch: pytest.MonkeyPatch, typed: str, expected: tuple[int, int]
) -> None:
    suite.run(*CACHED)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdin", Keys(typed))
    monkeypatch.setattr(sys, "stdout", terminal)
    status = project.run("prune").status
    assert "Remove this? [y/N]:" in terminal.getvalue()
    assert ("Please answer y or n.\n" in terminal.getvalue()) is ("what" in typed)
    assert (status, len(suite.cassettes)) == expected


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "there is no terminal to ask in; add --yes to go ahead, or --dry-run to look first"),
        (("--yes", "--dry-run"), "use --dry-run or --yes, not both"),
        (("--json",), "--json cannot ask; add --dry-run or --yes"),
    ],
)
def test_nothing_is_done_without_a_word(
    suite: Suite, project: Project, args: tuple[str, ...], said: str
) -> None:
    suite.run(*CACHED)
    result = project.run("prune", *args)
    assert result.status == 2
    assert said in result.err
    assert len(suite.cassettes) == 2


def test_what_cannot_be_removed_is_said(
    suite: Suite, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.run(*CACHED)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pytest_stepreplay.machine.disk.remove", refuse)
    result = project.run("prune", "--yes")
    assert result.status == 1
    assert (
        "refused: cassettes/test_chat/test_other.yaml: could not be removed: Permission denied" in result.err
    )
    assert result.out.endswith("Removed from 1 cassette.\n")


def test_another_tools_cassette_is_never_written(suite: Suite, project: Project) -> None:
    vcr: dict[str, Any] = {"version": 1, "interactions": []}
    for each in read_cassette(suite.cassette()).cassette.interactions:
        request = {
            "method": "POST",
            "uri": each.request.url,
            "body": json.dumps(each.request.json),
            "headers": {},
        }
        answer = {
            "status": {"code": 200, "message": ""},
            "headers": {},
            "body": {"string": json.dumps(each.response.json)},
        }
        vcr["interactions"].append({"request": request, "response": answer})
    suite.cassette().write_text(json.dumps(vcr), encoding="utf-8")
    before = suite.cassette().read_bytes()
    suite.run(*CACHED).assert_outcomes(passed=1)
    result = project.run("prune", "--yes")
    assert "kept, since it is another tool's, which is never written; convert it first" in result.out
    assert suite.cassette().read_bytes() == before


def test_what_no_test_has_recorded_is_neither_pruned_nor_called_unused(
    suite: Suite, project: Project
) -> None:
    script = suite.cassette("batch/nightly.yaml")
    ask = PLAIN.partition("    @pytest")[0].replace("import httpx, pytest", "import httpx, pytest_stepreplay")
    suite.write(
        ask
        + f"""
    with pytest_stepreplay.use_cassette({str(script)!r}, mode="record"):
        ask("Say 1."), ask("Say 2.")
    """,
        "batch.py",
    )
    environment = {**os.environ, "STEP_API_KEY": KEY}
    subprocess.run([sys.executable, "batch.py"], cwd=project.path, env=environment, check=True)
    suite.write(
        ask
        + f"""
    def test_batch():
        with pytest_stepreplay.use_cassette({str(script)!r}):
            ask("Say 1.")

    def test_own():
        with pytest_stepreplay.use_cassette("cassettes/test_batch/own.yaml"):
            ask("Say 1.")
    """,
        "test_batch.py",
    )
    suite.record().assert_outcomes(passed=3)
    assert read_cassette(suite.cassette("test_batch/own.yaml")).cassette.test == "test_batch.py::test_own"
    suite.change("def test_own", "def not_a_test", "test_batch.py")
    for now, wanted in (("def test_batch", "def test_again"), ("def test_again", "def nothing")):
        result = suite.run(*CACHED)
        result.stdout.no_fnmatch_line("*nightly*")
        result.stdout.fnmatch_lines(["no test uses cassettes/test_batch/own.yaml"])
        suite.change(now, wanted, "test_batch.py")
    before = script.read_bytes()
    assert project.run("prune", "--yes").status == 0
    assert script.read_bytes() == before
    assert suite.cassettes == ["batch/nightly.yaml", "test_chat/test_greeting.yaml"]
