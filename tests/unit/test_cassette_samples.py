"""Further answers to a request, `samples:` of its interaction: whoever reads or writes a cassette knows of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_stepreplay.cli.conversion import Plan, Result, Source, convert_source
from pytest_stepreplay.drift.keeping import keep_volatile
from pytest_stepreplay.errors import CassetteReadError, CassetteWriteError
from pytest_stepreplay.lint import Expected, check_cassette
from pytest_stepreplay.models import LARGE, Cassette, Interaction, Response
from pytest_stepreplay.redaction.wall import Wall
from pytest_stepreplay.store import pending
from pytest_stepreplay.store.body_files import cited_in
from pytest_stepreplay.store.cassettes import parse_cassette, read_cassette, write_cassette
from pytest_stepreplay.store.secrets import guarded_by
from pytest_stepreplay.wire.bodies import response_from_wire
from tests.cli.conftest import chat, completion
from tests.conftest import KEY
from tests.rendering import render_cassette

SEVERAL = replace(
    chat(),
    samples=(
        Response(status=200, json=completion("Hi!")),
        Response(status=200, headers={"content-type": "text/event-stream"}, events=('{"a": 1}', "[DONE]")),
    ),
)


def test_they_are_written_and_read_and_none_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    write_cassette(path, Cassette(interactions=(SEVERAL, chat())))
    assert read_cassette(path).cassette.interactions == (SEVERAL, chat())
    assert path.read_text(encoding="utf-8").count("samples:") == 1


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("samples:\n  - status: 200", "samples: many\n  more:\n  - status: 200", "samples: should be a list"),
        (
            "samples:\n  - status: 200",
            "samples:\n  - status: OK",
            "samples[0].status: should be a whole number",
        ),
        (
            "samples:\n  - status: 200",
            "samples:\n  - state: 200",
            "samples[0].state: the cassette format has no",
        ),
        ("events:\n    - '{\"a\": 1}'", "events:\n    - 7", "samples[1].events[0]: should be text"),
        (
            "events:\n    - '{\"a\": 1}'\n    - '[DONE]'",
            "base64: '*'",
            "samples[1].base64: should be valid base64",
        ),
    ],
)
def test_a_broken_one_is_told_with_its_place_and_line(old: str, new: str, problem: str) -> None:
    text = render_cassette(Cassette(interactions=(SEVERAL,)))
    assert old in text
    with pytest.raises(CassetteReadError) as caught:
        parse_cassette(text.replace(old, new), Path("a.yaml"))
    assert problem in str(caught.value)
    assert caught.value.line


def test_a_secret_in_one_is_refused_and_what_is_allowed_in_the_answer_is_allowed_in_them(
    tmp_path: Path,
) -> None:
    leaking = Response(status=200, json=completion(f"It is {KEY}"))
    cassette = Cassette(interactions=(replace(chat(), samples=(leaking,)),))
    with pytest.raises(CassetteWriteError, match=r"interaction 1, response\.json\.choices"):
        write_cassette(tmp_path / "a.yaml", cassette)
    with guarded_by(lambda: Wall(allowed=("response.json.choices[*].message.content",))):
        write_cassette(tmp_path / "a.yaml", cassette)


def test_a_large_one_stands_in_a_file_beside_the_cassette(tmp_path: Path) -> None:
    spoken = [
        response_from_wire(200, {"content-type": "audio/mpeg"}, bytes([0xFF, each]) * LARGE)
        for each in (1, 2)
    ]
    interaction = replace(chat(response=spoken[0]), samples=(spoken[1],))
    path = tmp_path / "a.yaml"
    write_cassette(path, Cassette(interactions=(interaction,)))
    (read,) = read_cassette(path).cassette.interactions
    assert [bytes(each.read()[:2]) for each in cited_in([read])] == [b"\xff\x01", b"\xff\x02"]


def test_lint_holds_them_to_the_contract_too() -> None:
    broken: dict[str, Any] = {"object": "chat.completion", "choices": 7}
    interaction = replace(chat(), samples=(SEVERAL.samples[0], Response(status=200, json=broken)))
    found = check_cassette(Cassette(interactions=(interaction,)), Expected())
    assert {each.place[:4] for each in found} == {("interactions", 0, "samples", 1)}
    assert {each.check for each in found} == {"contract"}


def test_a_rewrite_keeps_them_unless_the_model_does_something_else() -> None:
    def kept(answer: Any) -> Interaction:
        return keep_volatile([SEVERAL], [chat(answer=answer)], [0])[0]

    assert kept(completion()).samples == SEVERAL.samples
    assert kept(completion("Good day!")) == replace(
        SEVERAL, response=chat(answer=completion("Good day!")).response
    )
    assert kept(completion("Hel", "length")).samples == ()


def test_other_samples_wait_for_a_person_as_another_answer_does(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    write_cassette(path, Cassette(interactions=(chat(), SEVERAL)))
    made = pending.write_pending(path, Cassette(interactions=(chat(), replace(SEVERAL, samples=()))))
    assert made
    assert [each.name for each in pending.read_pending(made).units] == ["2"]
    pending.accept_pending(made)
    assert read_cassette(path).cassette.interactions[1].samples == ()


def test_they_are_redacted_and_named_where_another_format_cannot_hold_them(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    write_cassette(path, Cassette(interactions=(SEVERAL,)))
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("Hi!", KEY), encoding="utf-8")
    source = Source(path, Path("a.yaml"))
    ours = convert_source(source, Plan(format="stepreplay", to=tmp_path / "ours"))
    assert (ours.result, ours.redacted) == (Result.CONVERTED, 1)
    assert ours.target is not None
    assert len(read_cassette(ours.target).cassette.interactions[0].samples) == 2
    other = convert_source(source, Plan(format="har", to=tmp_path / "har"))
    assert other.result is Result.PARTLY
    assert [each.reason for each in other.skipped] == [
        "the samples of an interaction have no place in other formats"
    ]
