"""What forked copies of a session tell it: in order, whole, and through nothing that stays behind."""

from __future__ import annotations

import copy
import os
from pathlib import Path

import pytest

from pytest_stepreplay.errors import RequestStoppedError
from pytest_stepreplay.machine import disk
from pytest_stepreplay.models import Interaction, Request, Response
from pytest_stepreplay.session.forks import Forks
from pytest_stepreplay.session.sessions import Session
from pytest_stepreplay.settings import RECORD, REWRITE, Settings
from pytest_stepreplay.store.schema import tree_of

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.delattr(disk._system, "memfd_create", raising=False)
    return folder


def forked(forks: Forks) -> Forks:
    """Return what a child of this process would have."""
    forks.prepare()
    child = copy.copy(forks)
    child.become_copy()
    return child


def test_notes_come_in_their_order_and_once(temporary: Path) -> None:
    forks = Forks()
    assert forks.notes() == []
    one = forked(forks)
    assert list(temporary.iterdir()) == []
    one.tell({"played": 1})
    assert forks.notes() == [{"played": 1}]
    other = forked(one)
    other.tell({"recorded": "x" * 3_000_000})
    one.tell({"played": 2})
    assert forks.notes() == [{"recorded": "x" * 3_000_000}, {"played": 2}]
    assert forks.notes() == one.notes() == []
    forks.close()
    assert forks.notes() == []


def test_a_note_that_is_only_half_there_is_waited_for() -> None:
    forks = Forks()
    child = forked(forks)
    assert child._file is not None
    os.write(child._file, b'{"a": 1}\n{"b"')
    assert forks.notes() == [{"a": 1}]
    assert forks.notes() == []
    os.write(child._file, b": 2}\n")
    assert forks.notes() == [{"b": 2}]
    forks.close()


def test_the_process_itself_has_nobody_to_tell() -> None:
    forks = Forks()
    forks.prepare()
    forks.tell({"a": 1})
    assert forks.notes() == []
    forks.close()
    forks.prepare()
    forks.close()


def test_a_copy_has_a_lock_of_its_own() -> None:
    forks = Forks()
    with forks.lock:
        child = forked(forks)
        with child.lock:
            pass
    forks.close()


def test_what_cannot_be_handed_back_stops_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    session = Session(Settings(), tmp_path / "x.yaml")
    session._forks.prepare()
    session._forks.become_copy()
    with pytest.raises(
        RequestStoppedError,
        match="cannot be handed to its parent: there was no room for a temporary file\nMake some",
    ):
        session._history.tell("played", 0)


def test_what_would_be_written_can_be_asked_for_while_all_is_recorded_anew(tmp_path: Path) -> None:
    assert Session(Settings(mode=REWRITE), tmp_path / "x.yaml").interactions == ()


def test_what_a_child_recorded_is_among_what_would_be_written(tmp_path: Path) -> None:
    session = Session(Settings(mode=RECORD), tmp_path / "x.yaml")
    recorded = Interaction(
        request=Request(method="POST", url="http://127.0.0.1/"), response=Response(status=200)
    )
    forked(session._forks).tell({"recorded": tree_of(recorded)})
    assert session.interactions == (recorded,)


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_what_children_tell_at_once_comes_whole(in_memory: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if in_memory:
        monkeypatch.undo()
    forks = Forks()
    forks.prepare()
    children = []
    for child in range(4):
        children.append(os.fork())
        if not children[-1]:
            status = 1
            try:
                copied = copy.copy(forks)
                copied.become_copy()
                for number in range(2000):
                    copied.tell({"child": child, "number": number})
                status = 0
            finally:
                os._exit(status)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    told = forks.notes()
    forks.close()
    assert len(told) == 8000
    for child in range(4):
        assert [each["number"] for each in told if each["child"] == child] == list(range(2000))
