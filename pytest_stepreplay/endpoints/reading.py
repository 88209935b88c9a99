"""How requests and answers read as a conversation, and what an answer cost, whatever API they belong to.

An endpoint's functions make these values of its JSON; whoever shows or counts them need not know the API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Call(NamedTuple):
    """A call of a tool.

    Attributes:
        id: what its result cites; empty where it has none.
        tool: the name of the tool.
        given: what the tool is given: a JSON value, or a text that may be JSON.
    """

    id: str
    tool: str
    given: Any = None


@dataclass(frozen=True, slots=True)
class Remark:
    """Something said in a conversation.

    Attributes:
        role: who says it; empty where nothing is said, as between thoughts.
        text: what is said; what is no text is named.
        reasoning: the thoughts before it, each a text.
        refusal: why nothing is said.
        calls: the tools that are called.
        cites: the id of the call that this is the result of; None where it is no result.
        label: what tells several answers to one request apart.
    """

    role: str
    text: str = ""
    reasoning: tuple[str, ...] = ()
    refusal: str = ""
    calls: tuple[Call, ...] = ()
    cites: str | None = None
    label: str = ""


def remarks(role: str, texts: Sequence[str]) -> tuple[Remark, ...]:
    """Returns what an answer of several says, each with its number where there is more than one."""
    return tuple(Remark(role, text, label=str(i) if len(texts) > 1 else "") for i, text in enumerate(texts))


class Reading(NamedTuple):
    """How an API's JSON reads as a conversation.

    Attributes:
        request: returns what a request's body says; None where it holds no conversation.
        answer: returns what an answer says.
        end: returns how an answer ended, in a few words.
        said: the fields of a request that it reads, where they are no conversation.
    """

    request: Callable[[Mapping[str, Any]], Sequence[Remark] | None]
    answer: Callable[[Mapping[str, Any]], Sequence[Remark]]
    end: Callable[[Mapping[str, Any]], str]
    said: tuple[str, ...] = ()


class Tokens(NamedTuple):
    """What an answer cost in tokens; None where it does not say.

    Attributes:
        input: of the request.
        output: of the answer, reasoning included.
        total: of both.
        cached: those of the request that the server had seen before.
        reasoning: those of the answer that are reasoning.
    """

    input: int | None = None
    output: int | None = None
    total: int | None = None
    cached: int | None = None
    reasoning: int | None = None

    def __or__(self, other: Tokens) -> Tokens:
        """Returns these, and the other's where these do not say."""
        return Tokens(*(mine if mine is not None else its for mine, its in zip(self, other, strict=True)))

    @property
    def are_told(self) -> bool:
        """Whether nothing more need be known."""
        return self.input is not None and self.output is not None

    @property
    def sum(self) -> int:
        """The total, whether or not the answer says it; 0 where nothing is known."""
        return (self.input or 0) + (self.output or 0) if self.total is None else self.total


def most_of(*names: str, times: str = "") -> Callable[[Mapping[str, Any]], int | None]:
    """Returns what finds the most tokens that an answer may have, in the body of a request.

    Args:
        names: the fields that may set it for one choice; the first that is there counts.
        times: the field with the number of choices.
    """

    def find(body: Mapping[str, Any]) -> int | None:
        most = number(body, *names)
        return None if most is None else most * max(number(body, times) or 1, 1)

    return find


def number(held: Any, *names: str) -> int | None:
    """Returns the number under the first of the names that has one."""
    if isinstance(held, dict):
        for name in names:
            found = held.get(name)
            if isinstance(found, int) and not isinstance(found, bool):
                return found
    return None


def input_and_output(tree: Mapping[str, Any]) -> Tokens | None:
    """Returns the tokens that an answer counts as `usage.input_tokens` and its like."""
    usage = tree.get("usage")
    if not isinstance(usage, dict):
        return None
    return Tokens(
        number(usage, "input_tokens"), number(usage, "output_tokens"), number(usage, "total_tokens")
    )


def object_of(value: Any) -> dict[str, Any]:
    """Returns a value that is an object; an empty one for any other."""
    return value if isinstance(value, dict) else {}


def objects_of(value: Any) -> list[dict[str, Any]]:
    """Returns the objects in a list; none for what is no list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
