"""`Endpoint`: what is known of one API, as a frozen value that all other rooms ask.

It holds tables and small pure functions, and no code of any one endpoint.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from ..settings.levels import CONTRACTS
from ..value_classes import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    from pydantic import BaseModel

    from ..models import Request
    from ..settings.levels import Level
    from .altering import Altering
    from .ids import Ids
    from .reading import Call, Reading, Tokens

Place = tuple[str, ...]
"""The steps to objects of a request's body: keys, and ``*`` for each item of a list. ``()`` is the body itself."""

Optional = dict[str, tuple[Any, ...]]
"""Fields of an object, each with the values that mean the same as leaving it out."""


Places = tuple[str, ...]
"""Selectors of places in an answer."""

BY_SHAPE: Final = None
"""In place of a level: keys and types are behavior, values and texts are content."""


def error_object(message: str, code: str) -> dict[str, Any]:
    """Returns an error as OpenAI-compatible servers answer with it; Anthropic's clients read it too."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return {"type": "error", "error": error}


def _nothing(*_: Any) -> None:
    return None


def _never(*_: Any) -> bool:
    return False


def _always(*_: Any) -> bool:
    return True


class Paired(NamedTuple):
    """How the items of a list belong together, wherever they stand in it.

    Attributes:
        keys: what items that belong together have in common, from the strictest to the loosest.
        named: what an item is called; then another order is worth telling. None where it is not.
    """

    keys: tuple[Callable[[Any], Hashable], ...]
    named: Callable[[Any], str] | None = None


class Calls(NamedTuple):
    """How the calls of tools are written, in requests and in answers.

    Attributes:
        listed: the key of a list in which calls stand.
        cites: the key under which a result names the id of its call.
        tool_of: returns the name of the tool that one calls.
        meaning_of: returns the tool and what it is given, equal for calls that mean the same.
        read: returns a call as it reads; None for what names no tool.
        names: how selectors of the name of a called tool end: what is told first of all that differs in a call.
        key: of a call, what holds its id.
        is_call: whether an object in such a list is a call; it may be something else that was said.
    """

    listed: str
    cites: str
    tool_of: Callable[[Any], str]
    meaning_of: Callable[[Any], tuple[str, str]]
    read: Callable[[Any], Call | None] = _nothing
    names: tuple[str, ...] = ()
    key: str = "id"
    is_call: Callable[[Mapping[str, Any]], bool] = _always

    @property
    def ids(self) -> tuple[str, ...]:
        """The keys under which ids of calls stand, in the calls and in their results."""
        return tuple(dict.fromkeys(("id", self.key, self.cites)))

    def made_in(self, value: Any) -> list[dict[str, Any]]:
        """Returns the calls that an object lists itself."""
        calls = value.get(self.listed)
        if not isinstance(calls, list):
            return []
        return [call for call in calls if isinstance(call, dict) and self.is_call(call)]

    def cited_in(self, value: Any) -> str | None:
        """Returns the id of the call that an object is the result of; None where it is none."""
        cited = value.get(self.cites)
        if not isinstance(cited, str) or (self.cites == self.key and self.is_call(value)):
            return None
        return cited


class Conversation(NamedTuple):
    """Where a request holds what has been said so far.

    Attributes:
        listed: the key of the list of messages.
        fields: of a message, those that a reader cares about, in that order.
        before: the other fields of a request that say something in it.
    """

    listed: str
    fields: tuple[str, ...] = ()
    before: tuple[str, ...] = ()

    @property
    def said(self) -> tuple[str, ...]:
        """All fields of a request that the conversation stands in."""
        return (self.listed, *self.before)


class Contract(NamedTuple):
    """A documented object.

    Attributes:
        models: returns the pydantic models of an answer and of one chunk of it, imported when they are asked for.
        source: what documents the answer.
        chunk_source: what documents its chunks.
    """

    models: Callable[[], tuple[type[BaseModel], type[BaseModel]]]
    source: str
    chunk_source: str = ""

    def of_all_hosts(self) -> Mapping[str, Contract]:
        """Returns the one object for every name that a policy may give."""
        return dict.fromkeys(CONTRACTS, self)


Part = tuple[Any, Any]
"""Part of an answer, in which the id of a call is unique: what tells it from the others, and the part itself."""


def _whole(tree: Any) -> list[Part]:
    return [(None, tree)]


@dataclass(frozen=True, eq=False)
class Endpoint:
    """What is known of one API.

    Places in answers are named by selectors.

    Attributes:
        name: what `compare` and the settings call it.
        paths: how the paths of its URLs end; ``*`` stands for any one step. The first is where its answers come
            from.
        model_in: a regular expression with a group, which finds the model in a URL, where no body names it.
        optional: by place, which values of which fields mean the same as their absence, as documented.
        optional_by_host: the same for fields at the top whose default differs from host to host.
        telling: the fields at the top of a request that say what is asked for, in the order in which a reader cares.
        conversation: where a request holds what has been said so far, if it does.
        tools: by the field of a request that lists tools, what returns the name of one.
        marks: keys of its bodies, requests and answers alike, that no HTTP message has.
        asks: says whether an object is one of its requests.
        noun: what one of its answers is called, with the article.
        sort_of: says whether an object is an ``answer`` of this API, an ``error``, or neither.
        are_chunks: says whether objects are the chunks of its stream; also told whether they came as a list.
        fold: makes one answer of the chunks of a stream.
        last_event: what its streams end with, behind the last chunk; empty for nothing.
        event_key: of a chunk, what names its event; empty where events have no names.
        reading: how requests and answers read as a conversation; None where they are none.
        tokens_in: returns what an answer says of its cost, or a chunk of it; None where it says nothing.
        most_output: returns the most tokens that a request lets its answer have; None where it says nothing.
        key_headers: what a client sends with a request, by header, with ``{key}`` where the API key stands.
        key_parameter: of a URL's query, which may hold the key instead.
        measured: the fields at the top of an answer that count and measure.
        null_is_absent: null and no such key say the same; not so in an application's own values.
        names_tell: nothing is known of its places, so that a policy's rules about ids and times hold in it.
        levels: by place, how much a change there matters: that of the deepest entry at or above a place, and of
            several as deep, the last.
        volatile: only the type of these values counts.
        fleeting: volatile too, and they may be missing.
        json_texts: JSON in a string. Where it is broken, that is worth telling.
        content: texts, or JSON where both sides hold an object or array.
        empty_is_null: where ``""`` is no value.
        empty_is_absent: where ``[]`` is no value.
        tolerances: by place, how near a number or a vector must be, as a policy says it, which has the last word.
        paired: by place, how the items of a list belong together; those of others, by what is equal and by place.
        calls: how calls of tools are written, if there are any.
        ids: which texts are new on each call though a client sends them back, so that they are renamed.
        parts: returns the parts within which the id of a call is unique.
        contracts: the documented objects, by the name that a policy gives them.
        refusal: returns the body that refuses a request, in the API's own form, of a message and a short code.
        miss_status: the status of an answer to a request that is not recorded: one that no client tries again.
        altering: returns how an answer can be changed so that it stays one; None where nobody has said.
    """

    name: str
    paths: tuple[str, ...] = ()
    model_in: str = ""
    optional: Mapping[Place, Optional] = field(default_factory=dict)
    optional_by_host: Mapping[str, Optional] = field(default_factory=dict)
    telling: tuple[str, ...] = ()
    conversation: Conversation | None = None
    tools: Mapping[str, Callable[[Any], str | None]] = field(default_factory=dict)
    marks: frozenset[str] = frozenset()
    asks: Callable[[Mapping[str, Any]], bool] = _never
    noun: str = ""
    sort_of: Callable[[Mapping[str, Any]], Literal["answer", "error"] | None] = _nothing
    are_chunks: Callable[[Sequence[Mapping[str, Any]], bool], bool | None] = _nothing
    fold: Callable[[Iterable[Mapping[str, Any]]], dict[str, Any]] | None = None
    last_event: str = ""
    event_key: str = ""
    reading: Reading | None = None
    tokens_in: Callable[[Mapping[str, Any]], Tokens | None] = _nothing
    most_output: Callable[[Mapping[str, Any]], int | None] = _nothing
    key_headers: Mapping[str, str] = field(default_factory=lambda: {"authorization": "Bearer {key}"})
    key_parameter: str = ""
    measured: tuple[str, ...] = ()
    null_is_absent: bool = True
    names_tell: bool = False
    levels: Mapping[str, Level | None] = field(default_factory=dict)
    volatile: Places = ()
    fleeting: Places = ()
    json_texts: Places = ()
    content: Places = ()
    empty_is_null: Places = ()
    empty_is_absent: Places = ()
    tolerances: Mapping[str, str] = field(default_factory=dict)
    paired: Mapping[str, Paired] = field(default_factory=dict)
    calls: Calls | None = None
    ids: Ids | None = None
    parts: Callable[[Any], list[Part]] = _whole
    contracts: Mapping[str, Contract] = field(default_factory=dict)
    refusal: Callable[[str, str], dict[str, Any]] = error_object
    miss_status: int = 404
    altering: Callable[[], Altering | None] = _nothing

    def answers_at(self, path: str) -> bool:
        """Whether a URL's path is one of its own."""
        return path.endswith(self.paths) or any(_ends_with(path, each) for each in self.paths if "*" in each)

    def model_of(self, request: Request) -> str | None:
        """Returns the name of the model that a request asks: in its body, its form or its path; None for none."""
        body = request.json
        named = body.get("model") if isinstance(body, dict) else None
        if named is None and request.parts is not None:
            named = next((part.text for part in request.parts if 'name="model"' in part.head), None)
        if named is None and self.model_in:
            found = re.search(self.model_in, request.url)
            named = found[1] if found else None
        return named if isinstance(named, str) else None

    def messages_of(self, body: Any) -> list[Any] | None:
        """Returns the messages of a request's body; None where it holds no conversation."""
        if self.conversation is None or not isinstance(body, dict):
            return None
        messages = body.get(self.conversation.listed)
        return messages if isinstance(messages, list) else None

    def loose_path(self, path: str) -> str:
        """Returns a path with ``*`` in place of the ids in it."""
        for pattern in self.paths:
            steps, held = pattern.split("/"), path.split("/")
            if "*" in steps and len(held) >= len(steps) and _ends_with(path, pattern):
                end = [
                    step if step == "*" else own for step, own in zip(steps, held[-len(steps) :], strict=True)
                ]
                return "/".join([*held[: -len(steps)], *end])
        return path

    def with_renamed_ids(self, body: dict[str, Any], *, loosely: bool = False) -> dict[str, Any]:
        """Returns a request's body with ids numbered in the order in which it first names them.

        Args:
            body: it is not changed.
            loosely: see `Ids.renamed_in`.
        """
        said = self.conversation.said if self.conversation else ()
        return self.ids.renamed_in(body, said, loosely=loosely) if self.ids else body

    def without_defaults(self, body: Any, host: str) -> Any:
        """Returns a request's body without the fields that say no more than their absence.

        Args:
            body: a JSON value. It is not changed; what stays as it is, is shared with it.
            host: where the request goes.
        """
        for place, optional in self.optional.items():
            if not place and host in self.optional_by_host:
                optional = optional | self.optional_by_host[host]  # noqa: PLW2901 - the same, and more
            body = _replace(body, place, optional)
        return body


def nullable(*names: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yields fields for which null is documented, and means that they are absent."""
    return ((name, (None,)) for name in names)


def _ends_with(path: str, end: str) -> bool:
    wanted = end.split("/")[1:]
    steps = path.split("/")[1:][-len(wanted) :]
    return len(steps) == len(wanted) and all(
        step and want in ("*", step) for step, want in zip(steps, wanted, strict=True)
    )


def _replace(value: Any, place: Place, optional: Optional) -> Any:
    """Returns the value with the objects at a place stripped; the value itself where nothing is to strip."""
    if not place:
        return _strip(value, optional)
    step, further = place[0], place[1:]
    if step == "*":
        if not isinstance(value, list):
            return value
        items = [_replace(item, further, optional) for item in value]
        return value if all(map(_is, items, value)) else items
    if not isinstance(value, dict) or step not in value:
        return value
    below = _replace(value[step], further, optional)
    return value if below is value[step] else {**value, step: below}


def _strip(value: Any, optional: Optional) -> Any:
    if not isinstance(value, dict):
        return value
    dropped = [
        name for name, usual in optional.items() if name in value and _stands_among(value[name], usual)
    ]
    return {name: each for name, each in value.items() if name not in dropped} if dropped else value


def _stands_among(value: Any, usual: tuple[Any, ...]) -> bool:
    # To Python, 1 is True; to JSON it is not, but it is 1.0.
    return any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in usual)


def _is(one: object, other: object) -> bool:
    return one is other
