"""What a rewrite keeps, so that git shows only real change.

The old interactions and the new ones go in, those to write come out. Where only volatile values differ, the
old interaction stays; the ids of its tool calls stay too, in each later request that cites them, so that what
comes out always replays.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections import defaultdict
from dataclasses import replace
from hashlib import sha256
from os.path import commonprefix
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from ..endpoints import GENERIC, contract_of_url, endpoint_of_url
from ..models import Response
from ..settings.levels import Level
from ..settings.policy import Policy
from ..texts.alignment import match
from ..value_classes import dataclass, field
from ..wire import arrays
from ..wire.events import frame_of, json_chunks_of
from ..wire.json_values import objects_in, texts_below
from .answers import read_answer
from .comparison import compare

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from ..endpoints import Calls, Endpoint, Ids
    from ..models import Interaction, Request

    Names = Mapping[str, str]
    _Call = tuple[Any, dict[str, Any]]

_CALLS: Final = cast("Calls", GENERIC.calls)
_IDS: Final = cast("Ids", GENERIC.ids)
_FEW: Final = 64
"""So many texts are looked for one after the other."""


def body_of(response: Response) -> Any:
    """Returns a stored response's body as `compare` takes it: a JSON value, the text of a stream, or a text.

    Of bytes that are no text, an object says what they are: their type, their number, and how their SHA-256 begins.
    """
    if response.body_kind == "json":
        return response.json
    if response.events is not None:
        return "".join(map(_frame, response.events))
    if response.text is not None and response.stream is not None:
        return arrays.items_of(response.text) or response.text
    return binary_of(response) or response.text or ""


def binary_of(message: Request | Response) -> dict[str, Any] | None:
    """Returns what bytes are that are no text; None for any other body.

    Args:
        message: a request, whose type nobody stores, or a response.
    """
    if message.file is not None:
        size, digest = message.file.size, message.file.digest
    elif message.base64 is not None:
        data = b64decode(message.base64)
        size, digest = len(data), sha256(data).hexdigest()
    else:
        return None
    kind = message.headers.get("content-type", "") if isinstance(message, Response) else ""
    return {"type": kind.partition(";")[0].strip() or None, "bytes": size, "sha256": digest[:16]}


def _form(response: Response) -> str | None:
    """Returns the kind of a body; bytes are bytes, in the cassette or beside it."""
    return "base64" if response.file is not None else response.body_kind


def _end(response: Response) -> tuple[str | None, str | None]:
    """Returns how a stream ended; where its chunks ended, and when they came, is volatile."""
    return (response.stream.end, response.stream.error) if response.stream else (None, None)


def _frame(event: Any) -> str:
    return frame_of(event) if isinstance(event, str) else str(event.frame)


def keep_volatile(
    old: Sequence[Interaction],
    new: Sequence[Interaction],
    pairs: Sequence[int | None],
    volatile: tuple[str, ...] = (),
) -> tuple[Interaction, ...]:
    """Returns the interactions to write: the old one wherever nothing but volatile values is new.

    In the others, tool calls that were made before as well have their old ids, and later requests cite those.
    An interaction stays new if the client has sent on one of its volatile values in any other form.

    Args:
        old: what the cassette holds.
        new: what was recorded, in order.
        pairs: for each of `new`, the position in `old` of the interaction whose request matches, if one does.
        volatile: what else is volatile, as a policy says it.
    """
    turns = [
        _KeptTurn(each, None if i is None else old[i], volatile) for each, i in zip(new, pairs, strict=True)
    ]
    _settle(turns)
    ids: dict[str, str] = {}
    kept = []
    for turn in turns:
        request = turn.with_ids(turn.new.request, ids)
        ids |= turn.ids
        if turn.old is None or not turn.same:
            response = turn.renamed(turn.ids) or turn.new.response
            kept.append(replace(turn.new, request=request, response=response, samples=turn.samples))
        elif turn.says_the_same(request, turn.old.request, set(ids.values())):
            kept.append(turn.old if turn.old.stale is None else replace(turn.old, stale=None))
        else:
            kept.append(replace(turn.old, request=request, stale=None))
    return tuple(kept)


@dataclass(slots=True)
class _KeptTurn:
    """A new interaction beside the old one.

    Attributes:
        volatile: what a policy calls so.
        same: the responses differ in volatile values alone, so the old one can stay.
        ids: of the new response's tool calls, each with the id that it shall have.
        fresh: the other texts of the new response that the old one does not hold, where that can stay.
        samples: of the old interaction, unless the model does something else now.
    """

    new: Interaction
    old: Interaction | None
    volatile: tuple[str, ...] = ()
    same: bool = False
    ids: dict[str, str] = field(default_factory=dict)
    fresh: frozenset[str] = frozenset()
    samples: tuple[Response, ...] = ()

    def __post_init__(self) -> None:
        one, other = self.old.response if self.old else None, self.new.response
        calls = self._calls_of(other)
        self.ids = {call[self.calls.key]: call[self.calls.key] for _, call in calls}
        if one is None or _form(one) != _form(other):
            return
        policy = Policy(contract=contract_of_url(self.new.request.url), volatile=self.volatile)
        alike = (one.status, _media_type(one), _end(one)) == (other.status, _media_type(other), _end(other))
        drift = compare(body_of(one), body_of(other), policy, endpoint=self._endpoint)
        self.same = alike and not drift
        if self.old and alike and drift.level < Level.BEHAVIOR:
            self.samples = self.old.samples
        self._keep_old_ids(self._calls_of(one), calls)
        if self.same:
            before, after = (read_answer(body_of(it), self._endpoint).tree for it in (one, other))
            self._keep_old_texts(before, after)
            self.fresh = frozenset(set(texts_below(after)) - set(texts_below(before)) - self.ids.keys())

    def _keep_old_texts(self, before: Any, after: Any) -> None:
        """Notes what else is new on each call and comes back from clients, with what the old answer has there."""
        old, new = (list(self.kinds.found_in(tree)) for tree in (before, after))
        if [kind for _, kind in old] == [kind for _, kind in new]:
            pairs = {(fresh, stays) for (fresh, _), (stays, _) in zip(new, old, strict=True)}
            if len(dict(pairs)) == len(pairs):
                self.ids = dict(pairs) | self.ids

    def _keep_old_ids(self, before: list[_Call], calls: list[_Call]) -> None:
        matched = [
            (calls[j][1][self.calls.key], before[i][1][self.calls.key])
            for i, j in match(before, calls, [self._sense])
            if i is not None and j is not None and self._sense(before[i]) == self._sense(calls[j])
        ]
        pairs = set(matched)
        ids = self.ids | dict(pairs)
        unequivocal = len(dict(pairs)) == len(pairs)
        if unequivocal and self.renamed(ids) is not None:
            self.ids = ids
            self.same = self.same and len(matched) == len(before) == len(calls)
        else:
            self.same = False

    @property
    def calls(self) -> Calls:
        """How tool calls are written in this request and its answers."""
        return self._endpoint.calls or _CALLS

    @property
    def kinds(self) -> Ids:
        """What is new on each call in this request and its answers."""
        return self._endpoint.ids or _IDS

    @property
    def _endpoint(self) -> Endpoint:
        return endpoint_of_url(self.new.request.url)

    def _calls_of(self, response: Response) -> list[_Call]:
        """Returns the tool calls of a response that have an id, each with what tells its part from the others."""
        answer = read_answer(body_of(response), self._endpoint)
        return [
            (name, call)
            for name, part in answer.endpoint.parts(answer.tree)
            for value in objects_in(part)
            for call in self.calls.made_in(value)
            if isinstance(call.get(self.calls.key), str) and call[self.calls.key]
        ]

    def _sense(self, call: _Call) -> tuple[str, ...]:
        """Returns what makes two calls the same: the part, the function and its arguments."""
        part, made = call
        return (
            repr(part),
            *self.calls.meaning_of({key: made[key] for key in made if key not in self.calls.ids}),
        )

    def with_ids(self, request: Request, ids: Names) -> Request:
        """Returns the request with other ids in place of those that are new on each call, in its path too."""
        tree, url = self.kinds.replaced_in(request.json, ids), self._url_with_ids(request, ids)
        return (
            request if tree is request.json and url == request.url else replace(request, json=tree, url=url)
        )

    def _url_with_ids(self, request: Request, ids: Names) -> str:
        named = [each for each in self._steps(request) if ids.get(each, each) != each]
        return (
            "/".join(ids[each] if each in named else each for each in request.url.split("/"))
            if named
            else request.url
        )

    def _steps(self, request: Request) -> list[str]:
        """Returns the ids in the path of a request."""
        path = _path_of(request)
        loose = self._endpoint.loose_path(path)
        return [one for one, other in zip(path.split("/"), loose.split("/"), strict=True) if one != other]

    def says_the_same(self, request: Request, other: Request, given: Collection[str]) -> bool:
        """Whether two requests hold the same ids, in the path and in the body.

        Args:
            request: the new one, which matches the other.
            other: the old one.
            given: the ids of responses. What a client makes up itself, or spells in its own way, may differ.
        """
        if self._steps(request) != self._steps(other):
            return False
        mine, its = _ids_of(request, self.kinds), _ids_of(other, self.kinds)
        return len(mine) == len(its) and all(
            one == another or one not in given for one, another in zip(mine, its, strict=True)
        )

    def url_without(self, ids: Collection[str]) -> str:
        """Returns the URL of the new request without these ids in its path."""
        url = self.new.request.url
        return self._url_with_ids(self.new.request, dict.fromkeys(ids, "")) if ids else url

    def renamed(self, ids: Names) -> Response | None:
        """Returns the new response with the ids of its tool calls replaced; None where that would change more."""
        response = self.new.response
        renamed = {one: other for one, other in ids.items() if one != other}
        if not renamed:
            return response
        if response.body_kind == "json":
            return replace(response, json=self.kinds.replaced_in(response.json, renamed))
        if response.text is not None:
            return replace(response, text=_event_with_ids(response.text, renamed))
        if response.events is None:
            return None
        events = tuple(_event_with_ids(event, renamed) for event in response.events)
        changed = replace(response, events=events)
        try:
            wanted = self.kinds.replaced_in(json_chunks_of(body_of(response)), renamed)
            return changed if json_chunks_of(body_of(changed)) == wanted else None
        except RecursionError:
            return None

    def keep_new_ids(self) -> None:
        """Gives up the old ids, and with them the old interaction where they differ."""
        self.same = self.same and not self.renames
        self.ids = {one: one for one in self.ids}

    @property
    def renames(self) -> bool:
        """Whether a tool call shall have another id than it came with."""
        return any(one != other for one, other in self.ids.items())


def _settle(turns: Sequence[_KeptTurn]) -> None:
    """Gives up those old values that would break what a later request says.

    What the client has sent on as text must stay as it came, and one new id must become one old one wherever
    it stands.
    """
    cited = _cited(turns)
    for position, turn in enumerate(turns):
        if any(cited.get(text, -1) > position for text in turn.fresh):
            turn.same = False
        if any(cited.get(one, -1) > position for one in turn.ids):
            turn.keep_new_ids()
    own = _own_ids(turns)
    torn = list(turns)
    while torn:
        targets = defaultdict[str, set[str]](set, {one: {one} for one in own})
        for turn in turns:
            for one, other in turn.ids.items():
                targets[one].add(other)
        torn = [
            turn
            for turn in turns
            if any(one != other and len(targets[one]) > 1 for one, other in turn.ids.items())
        ]
        for turn in torn:
            turn.keep_new_ids()


def _cited(turns: Sequence[_KeptTurn]) -> dict[str, int]:
    """Returns the position of the first request that holds one of the texts which keeping would change."""
    wanted = {text for turn in turns for text in (*turn.fresh, *(turn.ids if turn.renames else ())) if text}
    given = {one for turn in turns for one in turn.ids}
    cited: dict[str, int] = {}
    read: set[str] = set()
    for position, turn in enumerate(turns):
        texts = {turn.url_without(given), *_other_texts(turn.new.request, turn.kinds)} - read
        read |= texts
        for text in _found(wanted, texts):
            cited.setdefault(text, position)
    return cited


def _found(wanted: Collection[str], texts: Iterable[str]) -> Iterator[str]:
    """Yields those wanted texts that stand somewhere in the others."""
    if len(wanted) <= _FEW:
        yield from (each for text in texts for each in wanted if each in text)
        return
    # However many are wanted, the others are read once.
    start = commonprefix(list(wanted))  # noqa: RUF071 - of texts; none of them is a path
    lengths = {len(each) for each in wanted}
    for text in texts:
        position = text.find(start)
        while position >= 0:
            parts = (text[position : position + length] for length in lengths)
            yield from (part for part in parts if part in wanted)
            position = text.find(start, position + 1)


def _own_ids(turns: Sequence[_KeptTurn]) -> set[str]:
    """Returns the ids in requests that no response before has given: the test's own."""
    given: set[str] = set()
    own: set[str] = set()
    for turn in turns:
        own.update(one for one in _ids_of(turn.new.request, turn.kinds) if one not in given)
        given |= turn.ids.keys()
    return own


def _media_type(response: Response) -> str:
    return response.headers.get("content-type", "")


# ---------------------------------------------------------------- ids


def _path_of(request: Request) -> str:
    try:
        return urlsplit(request.url).path
    except ValueError:
        return ""


def _ids_of(request: Request, ids: Ids) -> list[str]:
    """Returns what a request names that is new on each call, in order."""
    return [text for text, _ in ids.found_in(request.json)]


def _other_texts(request: Request, ids: Ids) -> set[str]:
    """Returns what a request says but for that."""
    if request.body_kind != "json":
        return {request.text or "", *(part.text for part in request.parts or () if part.text)}
    return set(texts_below(ids.replaced_in(request.json, dict.fromkeys(_ids_of(request, ids), ""))))


def _event_with_ids(event: Any, ids: Names) -> Any:
    """Returns an event, or a text of JSON, with its ids replaced; all else stays as the server wrote it."""
    text = event if isinstance(event, str) else event.frame
    for one, other in ids.items():
        text = text.replace(json.dumps(one), json.dumps(other))
    return text if isinstance(event, str) else replace(event, frame=text)
