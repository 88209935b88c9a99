"""A run whose cassettes are kept outside of git: what it says of those that are not here, and of older ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_stepreplay.cli import main
from pytest_stepreplay.remote import lock_file
from tests.conftest import KEY

from .suite import QUICK, Suite

TWO = (
    QUICK
    + """
    @pytest.mark.stepreplay
    def test_farewell():
        assert ask("Say goodbye.")

    def test_plain():
        pass
"""
)
ALL = "ERROR: 2 cassettes of these tests are listed in cassettes/stepreplay.lock, and not here yet."


@pytest.fixture
def kept(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """A suite of two tests, recorded and pushed."""
    suite.write(TWO)
    suite.pytester.makeini("[pytest]\nstepreplay_store = file://store\n")
    suite.run("--stepreplay=record", key=KEY).assert_outcomes(passed=3)
    monkeypatch.chdir(suite.pytester.path)
    assert main(["push"]) == 0
    return suite


def cassettes(suite: Suite) -> Path:
    return suite.pytester.path / "cassettes"


def test_what_nobody_has_pulled_is_told_once_and_nothing_is_run(
    kept: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(cassettes(kept) / "test_chat")
    for args in ([], ["--stepreplay=record"], ["-n1"]):
        run = kept.run(*args, key=KEY)
        assert run.ret == pytest.ExitCode.USAGE_ERROR
        assert f"{ALL}\nBring them with: stepreplay pull\n" in f"{run.stderr.str()}\n"
    asked = len(kept.upstream.requests)
    assert kept.run("--collect-only").ret == 0
    kept.run("-k", "plain").assert_outcomes(passed=1, deselected=2)
    assert main(["pull"]) == 0
    kept.run().assert_outcomes(passed=3)
    assert len(kept.upstream.requests) == asked
    capsys.readouterr()


def test_a_cassette_that_is_not_here_fails_its_test_with_the_advice(kept: Suite) -> None:
    (cassettes(kept) / "test_chat/test_farewell.yaml").unlink()
    run = kept.run()
    run.assert_outcomes(passed=2, errors=1)
    text = run.stdout.str()
    told = "cassettes/test_chat/test_farewell.yaml: is listed in cassettes/stepreplay.lock, and not here yet"
    assert f"{told}\nBring it with: stepreplay pull\n" in text and "not recorded" not in text
    before = len(kept.upstream.requests)
    assert "not here yet" in kept.run("--stepreplay=record", key=KEY).stdout.str()
    assert len(kept.upstream.requests) == before, "what others have recorded is not recorded again unseen"
    kept.run("--stepreplay=rewrite", key=KEY).assert_outcomes(passed=3)


def test_tests_that_lack_theirs_are_told_together(kept: Suite) -> None:
    kept.write(TWO.replace("test_greeting", "test_third"), "test_more.py")
    kept.run("--stepreplay=record", "test_more.py", key=KEY)
    assert main(["push"]) == 0
    shutil.rmtree(cassettes(kept) / "test_more")
    told = kept.run().stdout.str()
    assert (
        "2 tests: their cassettes are not here yet: stepreplay pull\n"
        "  test_more.py::test_third\n  test_more.py::test_farewell\n" in told
    )


def test_snapshots_that_are_not_here_are_told_too(kept: Suite) -> None:
    kept.write(
        TWO.replace(
            "def test_plain():\n        pass",
            "def test_plain(chat_snapshot):\n        assert 5 == chat_snapshot",
        )
    )
    kept.run("--stepreplay=record", key=KEY).assert_outcomes(passed=3)
    assert main(["push"]) == 0
    (cassettes(kept) / "test_chat/test_plain.snapshots.yaml").unlink()
    run = kept.run()
    run.assert_outcomes(passed=2, errors=1)
    assert "test_plain.snapshots.yaml: is listed in cassettes/stepreplay.lock" in run.stdout.str()


def test_a_miss_in_an_older_cassette_says_that_others_have_a_newer_one(kept: Suite) -> None:
    older = (cassettes(kept) / "test_chat/test_greeting.yaml").read_bytes()
    base = (cassettes(kept) / ".stepreplay.base").read_bytes()
    kept.change("Say hello.", "Say hi.")
    kept.run("--stepreplay=rewrite", key=KEY)
    assert main(["push"]) == 0
    (cassettes(kept) / "test_chat/test_greeting.yaml").write_bytes(older)
    assert "others have recorded" not in kept.run().stdout.str(), "it was put back here"
    (cassettes(kept) / ".stepreplay.base").write_bytes(base)
    run = kept.run()
    run.assert_outcomes(passed=2, failed=1)
    run.stdout.fnmatch_lines(
        [
            "*Fix: others have recorded this cassette again, and you have the one before:",
            "*  stepreplay pull",
            "*if the test means to ask this, record it:",
        ]
    )
    assert main(["pull"]) == 0
    kept.run().assert_outcomes(passed=3)


def test_what_was_recorded_here_runs_whatever_is_listed(kept: Suite) -> None:
    kept.change("Say hello.", "Say hi.")
    kept.run("--stepreplay=rewrite", key=KEY)
    kept.run().assert_outcomes(passed=3)
    assert main(["status", "--check"]) == 1 and main(["push"]) == 0 and main(["status", "--check"]) == 0


def test_a_broken_lock_file_stops_the_run(kept: Suite) -> None:
    shutil.rmtree(cassettes(kept) / "test_chat")
    lock = cassettes(kept) / "stepreplay.lock"
    lock.write_text(lock.read_text() + "<<<<<<< ours\n")
    run = kept.run()
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    assert "cassettes/stepreplay.lock:4: has a merge conflict" in run.stderr.str()


def test_a_project_without_a_store_looks_at_no_lock_file(
    kept: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(cassettes(kept) / "test_chat")
    kept.pytester.makeini("[pytest]\n")
    monkeypatch.setattr(lock_file, "read_lock", lambda folder: pytest.fail("it is read"))
    kept.run().assert_outcomes(failed=2, passed=1)


def test_what_is_pruned_or_relinked_is_no_longer_listed(
    kept: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lock file follows what these commands remove; what they write is new, and to be pushed."""
    kept.change("test_greeting", "test_welcome")
    kept.run("-p", "cacheprovider")
    assert main(["relink", "--yes"]) == 0
    assert [*lock_file.read_lock(cassettes(kept))] == ["test_chat/test_farewell.yaml"]
    capsys.readouterr()
    assert main(["status"]) == 0
    assert capsys.readouterr().out.startswith("1 file new here: stepreplay push\n")
    assert main(["push"]) == 0
    kept.change('assert ask("Say goodbye.")', "pass")
    kept.change(
        """    @pytest.mark.stepreplay
    def test_farewell""".replace("    ", "", 1).replace("\n    ", "\n"),
        "def test_farewell",
    )
    kept.run("-p", "cacheprovider").assert_outcomes(passed=3)
    assert main(["prune", "--yes"]) == 0
    assert [*lock_file.read_lock(cassettes(kept))] == ["test_chat/test_welcome.yaml"]
    assert main(["status", "--check", "--store"]) == 0
