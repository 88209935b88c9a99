"""What a miss costs does not grow with the cassettes: the work is counted, not timed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_stepreplay import UnrecordedRequestError
from pytest_stepreplay.machine import disk
from pytest_stepreplay.matching import keys, nearness
from pytest_stepreplay.matching.nearness import nearest
from pytest_stepreplay.models import Cassette, Interaction, Request, Response
from pytest_stepreplay.redaction.redactor import Redactor
from pytest_stepreplay.session import elsewhere
from pytest_stepreplay.session.sessions import Session
from pytest_stepreplay.settings import Settings
from pytest_stepreplay.store import cassettes
from pytest_stepreplay.texts import words

URL = "https://api.stepfun.com/v1/chat/completions"


def chat(*texts: str) -> Request:
    messages = [{"role": "user", "content": text} for text in texts]
    return Request(method="POST", url=URL, json={"model": "step-3.5-flash", "messages": messages})


def write(path: Path, *requests: Request) -> None:
    response = Response(status=200, headers={}, json={})
    interactions = tuple(Interaction(request=each, response=response) for each in requests)
    path.parent.mkdir(parents=True, exist_ok=True)
    cassettes.write_cassette(path, Cassette(interactions=interactions))


class Counted:
    """Counts the calls of a function, and lets them pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self.calls: list[tuple[Any, ...]] = []
        real = getattr(owner, name)

        def counting(*args: Any, **named: Any) -> Any:
            self.calls.append(args)
            return real(*args, **named)

        monkeypatch.setattr(owner, name, counting)


def missed(session: Session, request: Request) -> str:
    with pytest.raises(UnrecordedRequestError) as caught:
        session.begin(request)
    session.explain()
    return str(caught.value)


def test_a_request_is_looked_up_without_a_look_at_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "x.yaml", *(chat(f"What is {i}?") for i in range(300)))
    session = Session(Settings(), tmp_path / "x.yaml", root=tmp_path)
    session.load()
    made = Counted(monkeypatch, keys.Matcher, "key")
    redacted = Counted(monkeypatch, Redactor, "redact_request")
    compared = Counted(monkeypatch, nearness, "differences")
    for number in range(5):
        with pytest.raises(UnrecordedRequestError):
            session.begin(chat(f"What was {number}?"))
    assert len(made.calls) <= 10
    assert len(redacted.calls) == 5
    assert compared.calls == []
    session.explain()
    assert len(compared.calls) == 5
    assert len(redacted.calls) == 10, "the nearest one of each"


def test_a_secret_of_today_in_an_old_recording_is_still_looked_for(tmp_path: Path) -> None:
    write(tmp_path / "x.yaml", chat("The key is s3cr3t-v4lu3."), chat("Hi."))
    settings = Settings(secrets=("s3cr3t-v4lu3",))
    session = Session(settings, tmp_path / "x.yaml", root=tmp_path)
    assert session.begin(chat("The key is s3cr3t-v4lu3.")).position == 0
    assert "s3cr3t" not in missed(session, chat("What key?"))


def test_of_ten_thousand_only_those_that_come_next_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = [chat(f"What is {i}?") for i in range(10_000)]
    looks = Counted(monkeypatch, nearness, "_read_turns")
    found = nearest(chat("What was 5001?"), recorded, played=range(5000))
    assert found is not None
    assert found.position == 5001
    assert len(looks.calls) < 3000


def test_only_the_differences_that_are_shown_are_compared_word_by_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "x.yaml", chat(*(f"This is line {i} of the old play." for i in range(50))))
    session = Session(Settings(), tmp_path / "x.yaml", root=tmp_path)
    compared = Counted(monkeypatch, words, "diff_words")
    text = missed(session, chat(*(f"This is line {i} of the new play." for i in range(50))))
    assert "... and 44 more" in text
    assert len(compared.calls) == 6


def test_a_search_of_the_suite_reads_and_parses_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere.forget()
    mine = tmp_path / "test_a/test_it.yaml"
    for number in range(150):
        padding = [chat(f"{number} {i} {'Lorem ipsum ' * 20}") for i in range(20)]
        write(tmp_path / f"test_b/test_{number:03}.yaml", *padding, chat("A wonderful greeting"))
    opened = Counted(monkeypatch, disk, "read")
    parsed = Counted(monkeypatch, cassettes, "read_cassette")
    for number in range(20):
        session = Session(Settings(), mine, test="t", root=tmp_path)
        text = missed(session, chat("A wonderful greeting", f"number {number}"))
        assert "it was never recorded" in text
    assert len(opened.calls) <= 100, "what one search has read, the next ones know"
    assert len(parsed.calls) == 0, "no file spells all words"
    write(tmp_path / "test_c/test_it.yaml", chat("A wonderful greeting", "number 7", "Welcome"))
    elsewhere.forget()
    session = Session(Settings(), mine, test="t", root=tmp_path)
    for _ in range(3):
        text = missed(session, chat("A wonderful greeting", "number 7", "Welcome"))
        assert f"in {tmp_path}/test_c/test_it.yaml" in text
    assert len(parsed.calls) <= 3
