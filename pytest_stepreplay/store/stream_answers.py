"""A cassette's tree -> the tree that stands in the file, in which a person can read the streams.

Frames that are alike are taken together (`wire.frame_patterns`), and what the stream says stands before them under
`ANSWER`. It is derived from the frames and never read back, so that a wrong one changes no test, and
`places_of_wrong_answers` finds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import endpoints
from ..drift import answers
from ..models import FORMAT_VERSION
from ..texts.sentences import in_sentences
from ..wire import frame_patterns, frame_runs
from ..wire.events import frame_of
from ..wire.json_values import on_one_line
from .files import MAX_SIZE
from .readable_streams import ANSWER, Place, plain_tree, put_response, response_at, streams_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..endpoints import Remark
    from ..wire.json_values import Tree


def readable_tree(tree: dict[str, Any]) -> dict[str, Any]:
    """Return the tree that stands in the file: with the version of the format that it needs."""
    found: list[Tree] | None = None
    interactions = tree.get("interactions")
    streams = [(place, events) for place, events in streams_in(interactions) if events]
    # What would be too large to be read again is left for whoever writes it to refuse.
    if sum(len(_text_of(event)) for _, events in streams for event in events) > MAX_SIZE:
        return tree
    for place, events in streams:
        assert isinstance(interactions, list)  # noqa: S101 - they were found in it
        before = response_at(interactions, place)
        response = {**before, "events": _compact(events)}
        answer = _answer_of(interactions[place[0]], events)
        if answer:
            response[ANSWER] = answer
            response["events"] = response.pop("events")  # last
        if response != before:
            found = found or [*interactions]
            put_response(found, place, response)
    return tree if found is None else {**tree, "stepreplay": FORMAT_VERSION, "interactions": found}


def places_of_wrong_answers(tree: Any) -> list[tuple[str | int, ...]]:
    """Return the places of a file's tree where the answer to read is not what the frames say."""
    return [
        ("interactions", *place, ANSWER)
        for place, response, expected in _compared(tree)
        if response.get(ANSWER) != expected.get(ANSWER) and ANSWER in response
    ]


def holds_old_streams(tree: Any) -> bool:
    """Tell whether a stream in a file's tree stands there otherwise than it would if it were written now."""
    return any(response != expected for _, response, expected in _compared(tree))


def _compared(tree: Any) -> Iterator[tuple[Place, dict[str, Any], dict[str, Any]]]:
    """Yield each stream's place, with its response in a file's tree and as it would be written now."""
    if not isinstance(tree, dict) or "stepreplay" not in tree:
        return
    now = readable_tree(plain_tree(tree))
    for place, _ in streams_in(now.get("interactions")):
        yield place, *(response_at(each["interactions"], place) for each in (tree, now))


def _compact(events: list[Tree]) -> list[Tree]:
    compact = frame_patterns.compact_frames(events)
    return compact if frame_runs.expand_frames(compact, MAX_SIZE)[0] == events else events


def _text_of(event: Tree) -> str:
    if isinstance(event, dict):
        event = event.get("frame")
    return event if isinstance(event, str) else ""


# ---------------------------------------------------------------- what a stream says


def _answer_of(interaction: dict[str, Any], events: list[Tree]) -> str:
    """Return what a stream says, for a person; nothing where nobody knows how to read it."""
    request = interaction.get("request")
    url = request.get("url") if isinstance(request, dict) else None
    text = "".join([frame_of(event) if isinstance(event, str) else _text_of(event) for event in events])
    answer = answers.read_answer(text, endpoints.endpoint_of_url(url if isinstance(url, str) else ""))
    reading = answer.endpoint.reading
    if reading is None or not answer.chunks or answer.sort not in ("answer", "error"):
        return ""
    lines = [line for remark in reading.answer(answer.tree) for line in _lines_of(remark)]
    error = answer.tree.get("error")
    if error:
        lines += _block("error", on_one_line(error))
    end = reading.end(answer.tree)
    return "\n".join([*lines, *([f"ends: {_on_one_line(end)}"] if end else [])])


def _lines_of(remark: Remark) -> Iterator[str]:
    label = f" {_on_one_line(remark.label)}" if remark.label else ""
    for thought in remark.reasoning:
        yield from _block(f"reasoning{label}", thought)
    if remark.text:
        yield from _block(f"{_on_one_line(remark.role) or 'text'}{label}", remark.text)
    if remark.refusal:
        yield from _block(f"refusal{label}", remark.refusal)
    for call in remark.calls:
        yield from _block(f"call{label}", f"{call.tool}({on_one_line(call.given)})", whole=True)


def _block(label: str, text: str, *, whole: bool = False) -> Iterator[str]:
    """Yield a label, and below it the text, so that no line of it can be taken for a label."""
    yield f"{label}:"
    for line in (text if whole else in_sentences(text)).split("\n"):
        yield f"  {line}".rstrip()


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
