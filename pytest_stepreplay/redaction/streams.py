"""The texts that a stream carries in pieces: a secret may be split over them, and then no piece shows it.

Events go in, as a cassette or a foreign file has them; out come the pieces of each text, in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..lazy import late_pattern
from ..wire.json_values import parsed_or_none

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Sequence

# A line ends with CR LF, LF or CR.
_DATA_PATTERN: Final = r"(?:^|(?<=[\r\n]))( *data: ?)([^\r\n]*)"
_DATA: Final = late_pattern(_DATA_PATTERN)
_DATA_LINE: Final = late_pattern(rf"{_DATA_PATTERN}(\r\n|\r|\n|\Z)")


SHORTEST_WHOLE: Final = 10

Link = tuple[Any, str | int] | None
"""The way to a value: that to what holds it, and the last step. Cheaper than a whole path for each value."""


class Piece(NamedTuple):
    """Part of a text: in which event it came, how to get there in that event's JSON, and what it is."""

    event: int
    link: Link
    text: str

    @property
    def path(self) -> tuple[str | int, ...]:
        """The steps to it in the event's JSON; none for an event that is no JSON."""
        return path_of(self.link)


def path_of(link: Link) -> tuple[str | int, ...]:
    """Returns the steps of a way, from the top."""
    steps: list[str | int] = []
    while link is not None:
        link, step = link
        steps.append(step)
    return tuple(reversed(steps))


class _TextsAtPlace:
    """The texts at one place of all events, by key, and the shapes below it."""

    __slots__ = ("below", "texts")

    def __init__(self) -> None:
        self.texts: dict[str | int, list[tuple[int, Link, str]]] = {}
        self.below: dict[str | int, _TextsAtPlace] = {}


def split_texts(events: Iterable[str]) -> list[list[Piece]]:
    """Returns, for each text that came in several pieces, those pieces.

    Args:
        events: the payload of each event, or its exact frame. What is no JSON is a piece as a whole.
    """
    payloads = [payload_of(event) for event in events]
    shape, plain = _TextsAtPlace(), list[tuple[int, Link, str]]()
    for number, tree in enumerate(_parsed_events(payloads)):
        if isinstance(tree, dict):
            _collect(tree, shape, None, number)
        else:
            plain.append((number, None, payloads[number]))
    found, shapes = [plain], [shape]
    while shapes:
        shape = shapes.pop()
        found += shape.texts.values()
        shapes += shape.below.values()
    return [list(map(Piece._make, pieces)) for pieces in found if _are_parts([text for _, _, text in pieces])]


def _are_parts(texts: list[str]) -> bool:
    """Tells whether these may be one text in pieces: what is the same in every event, as the model is, is none."""
    return len(texts) > 1 and (len(texts[0]) < SHORTEST_WHOLE or len(set(texts)) > 1)


def _parsed_events(payloads: list[str]) -> list[Any]:
    """Returns what each payload stands for; None for one that is not a JSON object."""
    whole = [each if each.startswith("{") else "null" for each in payloads]
    at_once = parsed_or_none(f"[{','.join(whole)}]")
    if isinstance(at_once, list) and len(at_once) == len(payloads):
        return at_once
    return [parsed_or_none(each) for each in whole]


def payload_of(event: str) -> str:
    """Returns the data of an event; all of it where it has none."""
    payload = framed_payload(event)
    return event if payload is None else payload


def framed_payload(frame: str) -> str | None:
    """Returns the data of a frame; None for a text that is none, or carries none."""
    if frame.startswith("{") or "data:" not in frame:
        return None
    lines = [text for _, text in _DATA.findall(frame.removeprefix("\ufeff"))]
    return "\n".join(lines) if lines else None


def with_payload(event: str, payload: str) -> str:
    """Returns the event with other data, framed as it was."""
    if framed_payload(event) is None:
        return payload
    bom = "\ufeff" if event.startswith("\ufeff") else ""
    event = event.removeprefix("\ufeff")
    lines = iter(payload.split("\n"))
    count = len(_DATA_LINE.findall(event))

    def replaced(found: re.Match[str]) -> str:
        nonlocal count
        count -= 1
        field, _, end = found.groups()
        line = next(lines, None)
        if line is None:
            return ""
        # The last line of data takes what is left of them.
        more = [] if count else [f"{end or chr(10)}{field}{each}" for each in lines]
        return f"{field}{line}{''.join(more)}{end}"

    return bom + _DATA_LINE.sub(replaced, event)


def events_in(text: str) -> Sequence[str]:
    """Returns the payloads of a text that is a stream itself: server-sent events, or JSON in lines; else none."""
    if "data:" in text:
        return [payload for _, payload in _DATA.findall(text.removeprefix("\ufeff"))]
    if text.startswith("{") and "\n" in text:
        return text.split("\n")
    return ()


def is_stream(text: str) -> bool:
    """Tells whether a text is a stream itself."""
    return len(events_in(text)) > 0


def _collect(tree: Any, shape: _TextsAtPlace, link: Link, number: int) -> None:
    """Adds the texts of an event. Depth is bounded, since `json` gives up before this would."""
    is_list = tree.__class__ is list
    for step, value in enumerate(tree) if is_list else tree.items():
        kind = value.__class__
        if kind is str:
            if value:
                piece = (number, (link, step), value)
                if step in shape.texts:
                    shape.texts[step].append(piece)
                else:
                    shape.texts[step] = [piece]
        elif kind is dict or kind is list:
            # Parts of a text belong together by their `index`, in whichever list they stand.
            index = value.get("index") if is_list and kind is dict else None
            key = index if index.__class__ is int else step
            below = shape.below.get(key)
            if below is None:
                below = shape.below[key] = _TextsAtPlace()
            _collect(value, below, (link, step), number)
