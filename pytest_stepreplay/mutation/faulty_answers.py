"""Faults from the tape: what a recorded answer would have been if something had gone wrong.

An interaction and a `Fault` go in; the response that stands in its place comes out, or the word for a connection that
was lost, or the pauses that a client has to bear.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..models import Response
from ..value_classes import dataclass
from ..wire.chunks import chunks_of
from . import operator_table, places
from .taped_answers import TapedAnswer, cut_off, number_of_chunks, read_taped

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..models import Interaction, StreamError
    from ..settings.faults import Fault


class CannotFailSoError(Exception):
    """A fault does not apply to an answer; the message says why."""


@dataclass(frozen=True)
class FaultyAnswer:
    """What stands in the place of a recorded answer.

    Attributes:
        response: what is served.
        is_answer: the recorded answer was given, if not as it was; else the client may ask for it again.
        lost: with what the connection was lost before anything came.
        pauses: the seconds before each chunk; of a plain answer, before all of it.
    """

    response: Response
    is_answer: bool = True
    lost: StreamError | None = None
    pauses: tuple[float, ...] = ()


def make_faulty(fault: Fault, interaction: Interaction) -> FaultyAnswer:
    """Returns what stands in the place of a recorded answer.

    Raises:
        CannotFailSoError: the fault does not apply to it.
    """
    response = interaction.response
    match fault.name:
        case "rate_limit":
            answer = _error(interaction, 429, "Too many requests.", "rate_limit_exceeded", fault.number)
            return FaultyAnswer(answer, is_answer=False)
        case "server_error":
            answer = _error(interaction, int(fault.number), "The server had an error.", "server_error")
            return FaultyAnswer(answer, is_answer=False)
        case "timeout" | "reset":
            return FaultyAnswer(response, is_answer=False, lost=fault.name)
        case "cut_at":
            return FaultyAnswer(_cut(response, int(fault.number)))
        case "stall":
            behind_first = (0.0, fault.number) if number_of_chunks(response) > 1 else (fault.number,)
            return FaultyAnswer(response, pauses=behind_first)
        case "slow":
            return FaultyAnswer(response, pauses=_slowly(interaction, fault.number))
    taped = read_taped(interaction)
    if taped is None:
        raise CannotFailSoError("the recorded answer is none of a model's")
    return FaultyAnswer(_CHANGES[fault.name](taped))


def _error(interaction: Interaction, status: int, message: str, code: str, after: float = 0) -> Response:
    """Returns an error in the form of its API; SDKs that wait before they try again wait for a millisecond."""
    taped = read_taped(interaction)
    found = replace(interaction, response=Response(status=200, json={}))
    answer = operator_table.error_answer(taped or read_taped(found) or _nothing(), status, message, code)
    wait = {"retry-after": f"{after:g}"} | ({} if after else {"retry-after-ms": "1"})
    return replace(answer, headers={**answer.headers, **wait})


def _nothing() -> TapedAnswer:
    raise CannotFailSoError("there is no recorded answer")


def _cut(response: Response, after: int) -> Response:
    number = number_of_chunks(response)
    if not number:
        raise CannotFailSoError("the recorded answer is not a stream")
    if after > number:
        raise CannotFailSoError(f"the recorded stream has {number} chunks")
    return cut_off(response, after)


def _slowly(interaction: Interaction, factor: float) -> tuple[float, ...]:
    """Returns the recorded pauses, longer by a factor."""
    if not number_of_chunks(interaction.response):
        if interaction.elapsed is None:
            raise CannotFailSoError("the cassette does not say how long the answer took")
        return (interaction.elapsed * factor,)
    times = [chunk.at / 1000 for chunk in chunks_of(interaction.response)]
    if not any(times):
        raise CannotFailSoError("the cassette does not say when its chunks came")
    return tuple(factor * (now - before) for before, now in zip([0.0, *times], times, strict=False))


def _truncated_arguments(taped: TapedAnswer) -> Response:
    cut = _first(taped, "cut_arguments", "the recorded answer calls no tool with arguments")
    again = read_taped(taped.interaction_with(cut))
    ended = operator_table.changes_by("other_reason", again) if again else None
    return ended.make() if ended else cut


def _first(taped: TapedAnswer, operator: str, why: str) -> Response:
    found = operator_table.changes_by(operator, taped)
    if found is None:
        raise CannotFailSoError(why)
    return found.make()


def _empty(taped: TapedAnswer) -> Response:
    paths = [path for path, _ in operator_table.written_texts(taped)]
    if not paths:
        raise CannotFailSoError("the recorded answer has no text")
    tree = taped.tree
    for path in paths:
        tree = places.with_value(tree, path, "")
    return taped.with_tree(tree)


def _content_filter(taped: TapedAnswer) -> Response:
    if taped.altering is None or taped.altering.filtered is None:
        raise CannotFailSoError(f"nobody has said how {taped.endpoint.name} tells of a content filter")
    return taped.with_tree(taped.altering.filtered(taped.tree))


_CHANGES: Final[dict[str, Callable[[TapedAnswer], Response]]] = {
    "truncated_arguments": _truncated_arguments,
    "invalid_json": lambda taped: _first(taped, "broken_json", "the text of the recorded answer is no JSON"),
    "empty": _empty,
    "content_filter": _content_filter,
}
