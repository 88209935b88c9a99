"""How an answer of an API can be changed so that it stays one: what `mutation` derives other answers from.

An endpoint says in an `Altering` where the calls, the reasons and the alternatives of its answers stand, how it
refuses, and how an answer is streamed. Nothing here knows one of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..value_classes import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Tree = dict[str, Any]
    Unfold = Callable[[Tree, Sequence[Mapping[str, Any]]], list[Tree]]

MOST_PIECES: Final = 8
"""Into how many pieces a text is cut in a stream, at most."""

_WORD: Final = re.compile(r"\S+\s*|\s+")


class CallPlace(NamedTuple):
    """Where calls of tools stand in an answer.

    Attributes:
        at: a selector of the calls.
        name: the steps from a call to the name of its tool.
        given: the steps to what the tool is given: an object, or a text that may be JSON.
        id: the key of a call that holds its id.
    """

    at: str
    name: tuple[str, ...]
    given: tuple[str, ...]
    id: str = "id"


class EndPlace(NamedTuple):
    """Where an answer says why it ended.

    Attributes:
        at: a selector of the reasons.
        reasons: those that may stand there, the first of which differs from what is usual.
        beside: what else an answer with the first one says, at its top.
    """

    at: str
    reasons: tuple[str, ...]
    beside: Mapping[str, Any] = {}


@dataclass(frozen=True, eq=False)
class Altering:
    """How an answer can be changed.

    Attributes:
        calls: where calls of tools stand.
        ends: where reasons stand.
        alternatives: the key of a list of answers to one request; empty where an answer has but one.
        usage: the key of what the answer cost.
        refused: returns an answer in which the model refuses, with a text where there is room for one.
        filtered: returns an answer that a content filter has stopped.
        unfold: returns the chunks of a stream that fold into an answer, like those of a recorded one; None where
            answers are not streamed.
    """

    calls: tuple[CallPlace, ...] = ()
    ends: tuple[EndPlace, ...] = ()
    alternatives: str = ""
    usage: str = ""
    refused: Callable[[Tree, str], Tree] | None = None
    filtered: Callable[[Tree], Tree] | None = None
    unfold: Unfold | None = field(default=None)


def streamed_pieces(text: str) -> Iterator[str]:
    """Yields a text in pieces of whole words, as a stream brings them."""
    words = _WORD.findall(text)
    size = -(-len(words) // MOST_PIECES) or 1
    for start in range(0, len(words), size):
        yield "".join(words[start : start + size])
