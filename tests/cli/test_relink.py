"""`stepreplay relink`: a test that was renamed or moved finds its cassette again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_stepreplay.store.cassettes import read_cassette
from pytest_stepreplay.store.pending import pending_path
from tests.plugin.suite import PLAIN, Suite

from .conftest import Project

CACHED = ("-p", "cacheprovider")
TWO = PLAIN + '\n    @pytest.mark.stepreplay\n    def test_other():\n        assert ask("Say more.")\n'


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    """A recorded suite of two tests, offline."""
    suite = Suite(pytester, monkeypatch).start()
    suite.write(TWO)
    suite.record().assert_outcomes(passed=2)
    suite.go_offline()
    yield suite


@pytest.fixture
def project(suite: Suite, capsys: pytest.CaptureFixture[str]) -> Project:
    return Project(suite.pytester.path, capsys)


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_a_renamed_test_is_found_by_what_it_asks(
    suite: Suite, project: Project, options: tuple[str, ...]
) -> None:
    suite.change("test_greeting", "test_renamed")
    result = suite.run(*CACHED, *options)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*if the test was renamed or moved, cassettes/test_chat/test_greeting.yaml may be its own:",
            "*  stepreplay relink",
        ]
    )
    dry = project.run("relink", "--dry-run")
    assert dry.status == 1
    assert dry.out.splitlines() == [
        "test_chat.py::test_renamed",
        "  cassettes/test_chat/test_greeting.yaml -> cassettes/test_chat/test_renamed.yaml",
        "  it answers what the test asks",
        "Nothing was changed.",
    ]
    assert "test_chat/test_greeting.yaml" in suite.cassettes
    moved = project.run("relink", "--yes")
    assert (moved.status, moved.out.splitlines()[-1]) == (0, "Moved 1 cassette. Run the tests: pytest")
    assert suite.cassettes == ["test_chat/test_other.yaml", "test_chat/test_renamed.yaml"]
    assert (
        read_cassette(suite.cassette("test_chat/test_renamed.yaml")).cassette.test
        == "test_chat.py::test_renamed"
    )
    suite.run(*CACHED, "--stepreplay-unused=error").assert_outcomes(passed=2)
    again = project.run("relink", "--yes")
    assert (again.status, again.out.partition(":")[0]) == (0, "Nothing to relink")


def move_module(suite: Suite, name: str) -> None:
    old, new = suite.pytester.path / "test_chat.py", suite.pytester.path / name
    new.parent.mkdir(exist_ok=True)
    old.rename(new)


def test_a_moved_module_keeps_all_its_cassettes(suite: Suite, project: Project) -> None:
    move_module(suite, "tests/test_talk.py")
    suite.run(*CACHED).assert_outcomes(failed=2)
    result = project.run("relink", "--json", "--yes")
    assert result.status == 0
    assert result.json == {
        "relinked": True,
        "tests": [
            {
                "test": f"tests/test_talk.py::{name}",
                "to": f"cassettes/tests/test_talk/{name}.yaml",
                "from": f"cassettes/test_chat/{name}.yaml",
                "candidates": [f"cassettes/test_chat/{name}.yaml"],
                "rivals": [],
                "why": "it answers what the test asks, and a test of that name recorded it",
                "refused": None,
            }
            for name in ("test_greeting", "test_other")
        ],
    }
    suite.run(*CACHED).assert_outcomes(passed=2)


def test_a_test_that_was_moved_and_changed_is_found_by_its_name(suite: Suite, project: Project) -> None:
    suite.change("Say hello.", "Say it otherwise.")
    move_module(suite, "test_talk.py")
    result = suite.run(*CACHED, "-k", "greeting")
    result.stdout.fnmatch_lines(["*test_chat/test_greeting.yaml may be its own:"])
    dry = project.run("relink", "--dry-run")
    assert dry.out.splitlines()[2] == "  a test of that name recorded it"
    assert project.run("relink", "--yes").status == 0
    suite.run().stdout.fnmatch_lines(["*not recorded: messages[[]0[]].content differs"])


def test_after_a_partial_run_a_test_that_is_still_there_keeps_its_cassette(
    suite: Suite, project: Project
) -> None:
    suite.write(PLAIN.replace("test_greeting", "test_copy"), "test_new.py")
    result = suite.run(*CACHED, "test_new.py")
    result.assert_outcomes(failed=1)
    assert project.run("relink", "--yes").out.startswith("Nothing to relink")
    assert len(suite.cassettes) == 2


def test_snapshots_move_with_the_cassette(suite: Suite, project: Project) -> None:
    snapshots = suite.cassette("test_chat/test_greeting.snapshots.yaml")
    snapshots.write_text(
        "stepreplay: 1\ntest: test_chat.py::test_greeting\nsnapshots:\n  a: 1\n", encoding="utf-8"
    )
    suite.change("test_greeting", "test_renamed")
    suite.run(*CACHED)
    assert project.run("relink", "--yes").status == 0
    moved = suite.cassette("test_chat/test_renamed.snapshots.yaml").read_text(encoding="utf-8")
    assert "test: test_chat.py::test_renamed" in moved
    assert not snapshots.exists()


def test_what_is_not_sure_is_left_to_a_person(suite: Suite, project: Project) -> None:
    suite.write(
        PLAIN.replace("test_greeting", "test_a")
        + PLAIN.partition("return reply")[2].partition("\n")[2].replace("test_greeting", "test_b")
    )
    suite.run(*CACHED).assert_outcomes(failed=2)
    result = project.run("relink", "--yes")
    assert result.status == 1
    assert result.out.splitlines() == [
        "test_chat.py::test_a",
        "  not sure; move one yourself:",
        "    mv cassettes/test_chat/test_greeting.yaml cassettes/test_chat/test_a.yaml",
        "  test_chat.py::test_b may also own it",
        "test_chat.py::test_b",
        "  not sure; move one yourself:",
        "    mv cassettes/test_chat/test_greeting.yaml cassettes/test_chat/test_b.yaml",
        "  test_chat.py::test_a may also own it",
    ]
    assert len(suite.cassettes) == 2
    assert project.run("relink", "--yes", "--json").status == 1


def test_two_cassettes_that_would_do_are_both_named(suite: Suite, project: Project) -> None:
    text = suite.cassette().read_text(encoding="utf-8")
    suite.cassette("test_chat/test_twin.yaml").write_text(
        text.replace("test_greeting", "test_twin"), encoding="utf-8"
    )
    suite.change("test_greeting", "test_renamed")
    suite.run(*CACHED)
    result = project.run("relink", "--yes")
    assert result.status == 1
    assert result.out.count("    mv cassettes/test_chat/test_") == 2
    assert "test_chat/test_renamed.yaml" not in suite.cassettes


def test_nothing_is_overwritten_and_what_waits_is_not_moved(
    suite: Suite, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.change("test_greeting", "test_renamed")
    suite.run(*CACHED)
    waiting = pending_path(suite.cassette())
    waiting.write_bytes(b"x")
    result = project.run("relink", "--yes")
    assert (result.status, len(suite.cassettes)) == (1, 3)
    assert (
        "refused: cassettes/test_chat/test_greeting.yaml: was not moved: it has pending changes" in result.err
    )
    waiting.unlink()

    from pytest_stepreplay.housekeeping import relinking

    links = relinking.find_links

    def find(*args: object) -> list[relinking.Link]:
        found = links(*args)  # type: ignore[arg-type]  # as the command calls it
        found[0].target.write_text("mine", encoding="utf-8")
        return found

    monkeypatch.setattr("pytest_stepreplay.cli.relink.find_links", find)
    result = project.run("relink", "--yes", "--json")
    assert result.status == 1
    assert "was not replaced: it exists by now" in result.json["tests"][0]["refused"]
    assert suite.cassette("test_chat/test_renamed.yaml").read_text(encoding="utf-8") == "mine"


def test_a_miss_in_a_test_with_a_cassette_never_says_to_move_another_over_it(suite: Suite) -> None:
    suite.change('ask("Say more.")', 'ask("Say hello.")')
    result = suite.run()
    result.stdout.fnmatch_lines(
        ["*Why: it was recorded for another test, in cassettes/test_chat/test_greeting.yaml."]
    )
    assert "relink" not in result.stdout.str()


def test_no_run_and_no_word(suite: Suite, project: Project) -> None:
    assert "no pytest run is on record" in project.run("relink", "--dry-run").err
    suite.change("test_greeting", "test_renamed")
    suite.run(*CACHED)
    assert "there is no terminal to ask in" in project.run("relink").err


BY_URL = "[pytest]\nstepreplay_match_on = method scheme host port path query\n"


def test_where_bodies_do_not_count_they_still_tell_whose_a_cassette_is(
    suite: Suite, project: Project
) -> None:
    suite.write(BY_URL, "pytest.ini")
    suite.change("test_greeting", "test_one")
    suite.change("test_other", "test_two")
    suite.run(*CACHED).assert_outcomes(failed=2)
    links = {each["test"]: each for each in project.run("relink", "--dry-run", "--json").json["tests"]}
    assert links["test_chat.py::test_one"]["from"] == "cassettes/test_chat/test_greeting.yaml"
    assert links["test_chat.py::test_two"]["from"] == "cassettes/test_chat/test_other.yaml"
    assert links["test_chat.py::test_two"]["why"] == "it answers what the test asks"


def test_a_url_alone_makes_no_pair(suite: Suite, project: Project) -> None:
    suite.write(BY_URL, "pytest.ini")
    suite.change("test_greeting", "test_one")
    suite.change("Say hello.", "Say something else.")
    suite.run(*CACHED).assert_outcomes(failed=1, passed=1)
    (link,) = project.run("relink", "--dry-run", "--json").json["tests"]
    assert (link["from"], link["candidates"]) == (None, ["cassettes/test_chat/test_greeting.yaml"])
    told = project.run("relink", "--yes")
    assert told.status == 1
    assert told.out.splitlines() == [
        "test_chat.py::test_one",
        "  not sure, since it answers requests to the same URLs, with other bodies; move one yourself:",
        "    mv cassettes/test_chat/test_greeting.yaml cassettes/test_chat/test_one.yaml",
    ]
    assert suite.cassettes == ["test_chat/test_greeting.yaml", "test_chat/test_other.yaml"]
