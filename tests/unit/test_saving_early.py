"""A session that saves while it goes on leaves what it would have left at its end, whoever writes beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pytest_stepreplay.models import Cassette, Interaction, Request, Response
from pytest_stepreplay.session.sessions import Session
from pytest_stepreplay.settings import MODES, Settings
from pytest_stepreplay.store.cassettes import read_cassette, write_cassette


def one(name: str) -> Interaction:
    """An interaction whose request is the name without its digits."""
    body = {"model": "m", "messages": [{"role": "user", "content": name.rstrip("0123456789")}]}
    request = Request(method="POST", url="https://x.example/v1/chat/completions", json=body)
    return Interaction(request=request, response=Response(status=200, text=name))


def write(path: Path, names: str) -> None:
    write_cassette(path, Cassette(interactions=tuple(map(one, names.split()))))


def texts(path: Path) -> str:
    return " ".join(str(each.response.text) for each in read_cassette(path).cassette.interactions)


def opened(path: Path, mode: str) -> Session:
    session = Session(Settings(mode=MODES[mode]), path, shared=True)
    session.load()
    return session


def ask(session: Session, name: str) -> None:
    exchange = session.begin(one(name).request)
    if exchange.answer is None:
        exchange.finish(one(name).response)


@pytest.mark.parametrize("held", ["", "a1", "a1 b1 c1", "c1 a1 a2"])
@pytest.mark.parametrize("mode", ["record", "rewrite"])
def test_saving_often_leaves_what_saving_once_leaves(mode: str, held: str, tmp_path: Path) -> None:
    left = []
    for name, early in (("once", False), ("often", True)):
        path = tmp_path / f"{name}.yaml"
        if held:
            write(path, held)
        session = opened(path, mode)
        for each in ("a5", "x5", "c5", "x6", "a6", "y5"):
            ask(session, each)
            if early:
                session.save_so_far()
                assert texts(path) == " ".join(str(each.response.text) for each in session.interactions)
        assert session.close(passed=True).written
        left.append(texts(path))
    assert left[0] == left[1]


def _play(path: Path, mode: str, steps: Iterable[str | Callable[[], None]]) -> str:
    session = opened(path, mode)
    for each in steps:
        if isinstance(each, str):
            ask(session, each)
            session.save_so_far()
        else:
            each()
    session.close(passed=True)
    return texts(path)


def test_what_others_do_between_two_savings_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"

    def then(names: str) -> Callable[[], None]:
        return lambda: write(path, names)

    assert _play(path, "record", ["x1", then("p x1"), "y1"]) == "p x1 y1"  # others added one
    assert _play(path, "record", ["z1", then("p z1"), "w1"]) == "p z1 w1"  # and removed some
    path.unlink()
    assert _play(path, "record", ["x1", "y1", then("y1"), "z1"]) == "y1 z1"  # one that was just recorded
    path.unlink()
    assert _play(path, "record", ["x1", then("x9"), "y1"]) == "x9 y1"  # and edited it
    path.unlink()
    assert _play(path, "record", ["x1", path.unlink, "y1"]) == "x1 y1"
    write(path, "a1 b1")
    assert _play(path, "rewrite", ["a2", then("a2 p b1"), "b2", "n2"]) == "a2 p b2 n2"


def test_two_sessions_that_save_in_turn_lose_nothing_and_keep_their_places(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    one, two = opened(path, "record"), opened(path, "record")
    for number in range(3):
        for session, name in ((one, "a"), (two, "b")):
            ask(session, f"{name}{number}")
            session.save_so_far()
    one.close(passed=True)
    two.close(passed=True)
    assert sorted(texts(path).split()) == ["a0", "a1", "a2", "b0", "b1", "b2"]


def test_nothing_is_saved_early_that_must_not_be_or_after_the_end(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    session = opened(path, "live")
    ask(session, "x1")
    session.save_so_far()
    recording = opened(path, "record")
    recording.save_so_far()
    assert not path.exists()
    ask(recording, "x1")
    recording.end()
    recording.save_so_far()
    assert not path.exists()
    recording.close(passed=True)
    assert texts(path) == "x1"
