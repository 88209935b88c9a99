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
    for number, events in streams_in(interactions):
        try:
            expanded, left = frame_runs.expand_frames(events, left)
        except BrokenRunError as error:
            where, problem = error.args
            raise BrokenStreamError(
                ("interactions", number, "response", "events", where), str(problem)
            ) from None
        response = {**found[number]["response"], "events": expanded}
        response.pop(ANSWER, None)
        found[number] = {**found[number], "response": response}
    return {**tree, "stepreplay": PLAIN_VERSION} | ({"interactions": found} if found else {})


def place_in_file(tree: Any, place: Sequence[str | int]) -> Sequence[str | int]:
    """Return where a place of the plain tree is in the tree of the file."""
    match place:
        case "interactions", int(number), "response", "events", int(wanted), *rest:
            for each, events in streams_in(tree.get("interactions") if isinstance(tree, dict) else None):
                first = 0
                for at, event in enumerate(events if each == number else ()):
                    is_run = isinstance(event, dict) and frame_runs.DELTAS in event
                    first += len(frame_runs.expand_frames([event], MAX_SIZE)[0]) if is_run else 1
                    if wanted < first:
                        return (*place[:4], at, *([frame_runs.DELTAS] if is_run else rest))
    return place


def streams_in(interactions: Tree) -> Iterator[tuple[int, list[Tree]]]:
    """Yield the number and the events of each interaction that has some."""
    for number, interaction in enumerate(interactions if isinstance(interactions, list) else ()):
        response = interaction.get("response") if isinstance(interaction, dict) else None
        events = response.get("events") if isinstance(response, dict) else None
        if isinstance(events, list):
            yield number, events
