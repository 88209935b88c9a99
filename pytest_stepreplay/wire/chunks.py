"""A body that came in chunks <-> a response with its `Stream`: where the chunks ended, when they came, how it ended.

Chunks go in as they arrived, decoded; a `Response` comes out. In the other direction a response gives the chunks that
a client shall see. A cassette without a `Stream` gives one chunk for each frame, and one that a person has edited
gives what there is.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from ..models import Response, Stream
from . import arrays, events
from .bodies import EVENT_STREAM, body_bytes, frames_of, media_type, response_from_wire, stored_frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Literal

    from ..models import RawFrame, StreamError

_Utf8 = getincrementaldecoder("utf-8")


class Chunk(NamedTuple):
    """One chunk of a body, and the milliseconds from the request until it came."""

    at: int
    data: bytes


def response_from_chunks(
    status: int,
    headers: Mapping[str, str],
    chunks: list[Chunk],
    end: Literal["closed", "broken"] | None = None,
    error: StreamError | None = None,
) -> Response:
    """Return the response in the form it is stored in.

    Args:
        status: the HTTP status.
        headers: those to keep, with lower-case names.
        chunks: of the body, with its content encoding undone. The list is emptied on the way, so that a long stream
            is not held twice.
        end: None for a whole body.
        error: what broke it off, if something did.
    """
    sizes = [(chunk.at, len(chunk.data)) for chunk in chunks if chunk.data]
    kind = media_type(headers.get("content-type", ""))
    if len(sizes) > 1 and kind == EVENT_STREAM and _is_text(chunks):
        response = Response(status=status, headers=dict(headers), events=tuple(_take_events(chunks)))
    elif (
        kind == "application/json" and arrays.comes_in_items([it.data for it in chunks]) and _is_text(chunks)
    ):
        # What tells one item from the next is the client's business, so each byte of it is kept.
        response = Response(
            status=status, headers=dict(headers), text=b"".join(chunk.data for chunk in chunks).decode()
        )
    else:
        body = b"".join(chunk.data for chunk in chunks)
        chunks.clear()
        response = response_from_wire(status, headers, body)
    said = None
    if response.events is not None:
        said = _said(sizes, list(map(len, frames_of(response))))
    elif response.body_kind != "json" and len(sizes) > 1:
        said = _said(sizes, [])
    if not (said or end):
        return response
    return replace(response, stream=Stream(chunks=said, end=end, error=error))


def chunks_of(response: Response) -> list[Chunk]:
    """Return the chunks of a stored body, in the order they came; none for an empty body."""
    said = response.stream.chunks if response.stream else None
    if response.events is None:
        body, ends = body_bytes(response), list[int]()
    else:
        frames = [*frames_of(response)]
        if said is None or "/" not in said:
            return _whole_frames(frames, said)
        body, ends = b"".join(frames), list(accumulate(map(len, frames)))
    if not body or said is None:
        return [Chunk(0, body)] if body else []
    words = said.split(" ")
    chunks: list[Chunk] = []
    position = frame = 0
    for word in words:
        at, kind, count = _read(word)
        while frame < len(ends) and ends[frame] <= position:
            frame += 1
        in_bytes = kind == "/" or not ends
        end = position + count if in_bytes else ends[min(frame + count, len(ends)) - 1]
        if body[position:end]:
            chunks.append(Chunk(at, body[position:end]))
            position = end
    if position < len(body):
        at, data = chunks.pop() if chunks else Chunk(0, b"")
        chunks.append(Chunk(at, data + body[position:]))
    return chunks


def _whole_frames(frames: list[bytes], said: str | None) -> list[Chunk]:
    """Return the chunks of a stream of which each held whole frames, as those of most servers do."""
    if said is None:
        return [Chunk(0, frame) for frame in frames if frame]
    words = said.split(" ")
    if "x" not in said and len(words) == len(frames):
        return list(map(Chunk, map(int, words), frames))
    chunks: list[Chunk] = []
    first = 0
    for word in words:
        at, _, count = word.partition("x")
        last = first + (int(count) if count else 1)
        data = b"".join(frames[first:last])
        if data:
            chunks.append(Chunk(int(at), data))
        first = last
    rest = b"".join(frames[first:])
    if rest:
        at_last, data = chunks.pop() if chunks else Chunk(0, b"")
        chunks.append(Chunk(at_last, data + rest))
    return chunks


def _is_text(chunks: Iterable[Chunk]) -> bool:
    decoder = _Utf8()
    try:
        for chunk in chunks:
            decoder.decode(chunk.data)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _take_events(chunks: list[Chunk]) -> Iterator[str | RawFrame]:
    """Yield the events, and take away the chunks that they were in."""
    decoder, unfinished = _Utf8(), list[str]()
    chunks.reverse()
    while chunks:
        text = decoder.decode(chunks.pop().data)
        unfinished.append(text)
        if "\n" in text or "\r" in text:
            # What comes next may still belong to the last one: half of a line end, for example.
            *frames, last = events.split_frames("".join(unfinished))
            unfinished = [last]
            yield from map(stored_frame, frames)
    yield from map(stored_frame, events.split_frames("".join(unfinished)))


def _said(chunks: Sequence[tuple[int, int]], lengths: list[int]) -> str:
    """Return the chunks in words: in frames where they hold whole ones, else in bytes."""
    number_at = {end: number for number, end in enumerate(accumulate(lengths, initial=0))} if lengths else {}
    words, position = [], 0
    for at, size in chunks:
        start, position = number_at.get(position), position + size
        end = number_at.get(position)
        if start is None or end is None:
            words.append(f"{at}/{size}")
        else:
            words.append(f"{at}" if end - start == 1 else f"{at}x{end - start}")
    return " ".join(words)


def _read(word: str) -> tuple[int, str, int]:
    for kind in "x/":
        at, found, count = word.partition(kind)
        if found:
            return int(at), kind, int(count)
    return int(word), "x", 1
