"""The tree that stands in a cassette's file -> that of the cassette, in which every frame of a stream is whole again.

`stream_answers` makes the one that stands in the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..models import FORMAT_VERSION, PLAIN_VERSION
from ..wire import frame_runs
from ..wire.frame_runs import BrokenRunError
from .files import MAX_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..wire.json_values import Tree

Place = tuple[Any, ...]
"""The steps from the interactions to a response: ``(2, "response")``, or ``(2, "samples", 0)``."""

ANSWER: Final = "answer"
"""The key of what a stream says, for a person; it is never read back."""


class BrokenStreamError(ValueError):
    """A stream in a file stands for no frames.

    Attributes:
        location: where in the file's tree.
        problem: what is wrong there.
    """

    def __init__(self, location: tuple[str | int, ...], problem: str) -> None:
        super().__init__(problem)
        self.location = location
        self.problem = problem


def plain_tree(tree: Any) -> Any:
    """Return the tree of a cassette for that of a file; what is no such file's as it is.

    Raises:
        BrokenStreamError: a stream in it stands for no frames.
    """
    if tree.__class__ is not dict or tree.get("stepreplay") != FORMAT_VERSION:
        return tree
    interactions = tree.get("interactions")
    found: list[Tree] = [*interactions] if isinstance(interactions, list) else []
    left = MAX_SIZE
    for at, events in streams_in(interactions):
        try:
            expanded, left = frame_runs.expand_frames(events, left)
        except BrokenRunError as error:
            where, problem = error.args
            raise BrokenStreamError(("interactions", *at, "events", where), str(problem)) from None
        response = {**response_at(found, at), "events": expanded}
        response.pop(ANSWER, None)
        put_response(found, at, response)
    return {**tree, "stepreplay": PLAIN_VERSION} | ({"interactions": found} if found else {})


def place_in_file(tree: Any, place: Sequence[str | int]) -> Sequence[str | int]:
    """Return where a place of the plain tree is in the tree of the file."""
    match place:
        case ("interactions", *start, "events", int(wanted)) | (
            "interactions",
            *start,
            "events",
            int(wanted),
            "frame",
        ):
            rest = place[len(start) + 3 :]
            for each, events in streams_in(tree.get("interactions") if isinstance(tree, dict) else None):
                first = 0
                for at, event in enumerate(events if each == tuple(start) else ()):
                    is_run = isinstance(event, dict) and frame_runs.DELTAS in event
                    first += len(frame_runs.expand_frames([event], MAX_SIZE)[0]) if is_run else 1
                    if wanted < first:
                        return (*place[: len(start) + 2], at, *([frame_runs.DELTAS] if is_run else rest))
    return place


def streams_in(interactions: Tree) -> Iterator[tuple[Place, list[Tree]]]:
    """Yield the place below the interactions, and the events, of each response or sample that has some."""
    for number, interaction in enumerate(interactions if isinstance(interactions, list) else ()):
        if not isinstance(interaction, dict):
            continue
        places: list[Place] = [(number, "response")] if "response" in interaction else []
        samples = interaction.get("samples")
        if isinstance(samples, list):
            places += [(number, "samples", i) for i in range(len(samples))]
        for place in places:
            response = response_at(interactions, place)
            events = response.get("events") if isinstance(response, dict) else None
            if isinstance(events, list):
                yield place, events


def response_at(interactions: Any, place: Place) -> Any:
    """Return the response, or the sample, at a place below the interactions."""
    for step in place:
        interactions = interactions[step]
    return interactions


def put_response(interactions: list[Any], place: Place, response: dict[str, Tree]) -> None:
    """Put another response, or sample, at a place in a list of interactions; what it held stays as it is."""
    number, name = place[0], place[1]
    if name == "samples":
        samples = [*interactions[number]["samples"]]
        samples[place[2]] = response
        interactions[number] = {**interactions[number], "samples": samples}
    else:
        interactions[number] = {**interactions[number], "response": response}
