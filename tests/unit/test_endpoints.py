"""An endpoint is a value: whatever is known of its answers is asked of it, and a new one is one value more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from pytest_stepreplay.drift.comparison import compare
from pytest_stepreplay.endpoints import (
    BY_SHAPE,
    CHAT,
    GENERIC,
    Calls,
    Contract,
    Endpoint,
    Paired,
    endpoint_of,
    endpoint_of_answer,
    endpoint_of_request,
)
from pytest_stepreplay.errors import SettingsError
from pytest_stepreplay.settings.levels import Level
from pytest_stepreplay.settings.policy import Policy


class Forecast(BaseModel):
    kind: Literal["forecast"]
    days: list[dict[str, Any]]


class Piece(BaseModel):
    kind: Literal["piece"]


def kind_of(tree: Mapping[str, Any]) -> Literal["answer", "error"] | None:
    return {"forecast": "answer", "failure": "error"}.get(tree.get("kind", ""))  # type: ignore[return-value]  # as above


def are_pieces(values: Sequence[Mapping[str, Any]], _listed: bool) -> bool:
    return any(value.get("kind") == "piece" for value in values)


def fold(pieces: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {"kind": "forecast", "days": [piece["day"] for piece in pieces if "day" in piece]}


WEATHER = Endpoint(
    name="weather",
    paths=("/forecast",),
    noun="a forecast",
    sort_of=kind_of,
    are_chunks=are_pieces,
    fold=fold,
    levels={
        "*": Level.METADATA,
        "days": Level.BEHAVIOR,
        "days[*].text": BY_SHAPE,
        "days[*].wind": Level.METADATA,
    },
    volatile=("asked_at",),
    fleeting=("station",),
    json_texts=("days[*].data",),
    content=("days[*].text",),
    empty_is_null=("days[*].warning",),
    empty_is_absent=("days[*].alerts",),
    paired={"days": Paired((lambda day: day.get("date"),), named=lambda day: str(day.get("date")))},
    calls=Calls("uses", "used_by", lambda call: str(call["tool"]), lambda call: (str(call["tool"]), "")),
    contracts={"openai": Contract(lambda: (Forecast, Piece), "the forecast's page", "the pieces' page")},
)


def forecast(*days: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"kind": "forecast", "days": list(days), **rest}


def told(old: object, new: object) -> list[str]:
    return [str(change) for change in compare(old, new, endpoint=WEATHER).changes]


def test_levels_are_the_endpoints() -> None:
    old = forecast({"date": 1, "rain": True, "wind": 3, "text": "dry"}, model="a")
    new = forecast({"date": 1, "rain": False, "wind": 4, "text": "wet"}, model="b")
    assert told(old, new) == [
        "days[0].rain: true -> false (behavior)",
        "days[0].text: [-dry-]{+wet+} (similarity 0.00) (content)",
        "days[0].wind: 3 -> 4 (metadata)",
        "model: a -> b (metadata)",
    ]


def test_what_is_volatile_or_means_nothing_is_the_endpoints() -> None:
    old = forecast({"date": 1, "warning": "", "alerts": []}, asked_at=1, station="x", gone=None)
    assert not told(old, forecast({"date": 1, "warning": None}, asked_at=2))
    assert told(old, forecast({"date": 1}, asked_at="now")) == [
        "asked_at: an integer -> a string (metadata)",
    ]


def test_items_belong_together_as_the_endpoint_says() -> None:
    one, other = {"date": 1, "data": '{"a": 1}'}, {"date": 2, "data": '{"b": 2}'}
    swapped = forecast({"date": 2, "data": '{ "b": 2.0}'}, {"date": 1, "data": '{"a": 3}'})
    assert told(forecast(one, other), swapped) == [
        "days: order: 1, 2 -> 2, 1 (behavior)",
        "days[1].data.a: 1 -> 3 (behavior)",
    ]


def test_calls_are_written_as_the_endpoint_says() -> None:
    def using(name: str, cited: str) -> dict[str, Any]:
        return forecast({"date": 1, "uses": [{"id": name, "tool": "radar"}], "by": {"used_by": cited}})

    assert not told(using("a", "a"), using("b", "b"))
    assert told(using("a", "a"), using("b", "c")) == [
        "days[0].by.used_by: the id of radar #1 -> the id of no call (behavior)"
    ]


def test_a_stream_folds_and_is_held_to_its_contract() -> None:
    pieces = [{"kind": "piece", "day": {"date": 1}}, {"kind": "end"}]
    assert told(forecast({"date": 1}), pieces) == [
        'chunks[1].kind: expected "piece", got "end" (contract: the pieces\' page)'
    ]
    assert told(forecast(), {"kind": "forecast"}) == [
        "days: required, but missing (contract: the forecast's page)",
    ]


def test_what_is_no_answer_is_named() -> None:
    assert told(forecast(), {"a": 1}) == [
        "$: an object that is not a forecast instead of a forecast (contract)"
    ]
    assert told(forecast(), {"kind": "failure", "error": "lost"}) == [
        "$: an error object (lost) instead of a forecast (contract)"
    ]


def test_without_an_endpoint_the_shape_says_whose_answer_it_is() -> None:
    assert str(compare(forecast(model="a"), forecast(model="b")).level) == "content"
    answer = {"object": "chat.completion", "model": "a", "choices": []}
    drift = compare(answer, answer | {"model": "b"}, Policy(contract=None), endpoint=WEATHER)
    assert str(drift) == "model: a -> b (metadata)"
    assert endpoint_of("/v1/chat/completions") is CHAT


def test_compare_takes_an_endpoint_by_its_name() -> None:
    old, new = {"status": "queued"}, {"status": "done"}
    assert str(compare(old, new, endpoint="chat")) == str(compare(old, new, endpoint=CHAT))
    assert str(compare(old, new, endpoint="generic").level) == "content"
    with pytest.raises(SettingsError) as refused:
        compare(old, new, endpoint="chats")
    assert str(refused.value).startswith("endpoint: 'chats' is not one of chat, ")


def test_the_shape_of_a_body_says_which_endpoint_it_belongs_to() -> None:
    chunk = {"object": "chat.completion.chunk", "choices": []}
    assert endpoint_of_answer({"object": "chat.completion", "choices": []}) is CHAT
    assert endpoint_of_answer([chunk, chunk]) is CHAT
    assert endpoint_of_request({"model": "m", "messages": []}) is CHAT
    for other in ({"a": 1}, [{"a": 1}], [], None, "text", {"error": {"message": "no"}}):
        assert endpoint_of_answer(other) is GENERIC
        assert endpoint_of_request(other) is GENERIC
