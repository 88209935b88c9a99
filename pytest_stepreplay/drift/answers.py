"""What `compare` may be given, read as one `Answer`: a plain JSON tree, what sort of answer it is, and whose.

SDK objects, dicts, texts, raw server-sent events and lists of chunks go in; the endpoints say what they are. A stream
comes out assembled, with its chunks beside it. The tree is a copy, so whoever compares it may change it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal

from .. import endpoints
from ..endpoints import GENERIC, Endpoint
from ..selectors import format_path
from ..value_classes import dataclass
from ..wire import events
from ..wire.json_values import BrokenJson, exact_number, name_type, parsed

if TYPE_CHECKING:
    from collections.abc import Sequence

Sort = Literal["answer", "error", "json", "text", "empty"]

MAX_ANSWER_DEPTH: Final = 10_000
"""What is nested deeper refers to itself, or might as well."""

_EVENTS = re.compile(r"\ufeff?\s*(?:data|event|id|retry)?:")
_TAKES = "compare() takes an answer, its chunks, an SDK's object, a JSON value or a text"


@dataclass(frozen=True)
class Answer:
    """One side of a comparison.

    Attributes:
        sort: what it is.
        tree: a JSON value; a text for the sorts ``text`` and ``empty``.
        chunks: those that it was assembled from, if it was streamed.
        endpoint: what is known of the API that answers so; `GENERIC` where nobody does.
        wanted: what one of an API's answers is called, where this is none.
    """

    sort: Sort
    tree: Any
    chunks: tuple[dict[str, Any], ...] = ()
    endpoint: Endpoint = GENERIC
    wanted: str = endpoints.ENDPOINTS[0].noun

    @property
    def description(self) -> str:
        """What it is, in a few words, for a person."""
        if self.sort == "answer":
            return self.endpoint.noun
        if self.sort == "empty":
            return "an empty body"
        if self.sort == "error":
            return f"an error object ({_error_text(self.tree['error'])})"
        if self.sort == "text":
            broken = self.tree.lstrip()[:1] in ("{", "[") and isinstance(parsed(self.tree), BrokenJson)
            return "broken JSON" if broken else "text that is not JSON"
        return f"{name_type(self.tree)} that is not {self.wanted}"


class Mask(str):
    """Stands for a volatile value in a comparison: the name of its type, or what it means.

    Attributes:
        value: the value itself.
    """

    __slots__ = ("value",)
    value: Any

    def __new__(cls, text: str, value: Any = None) -> Mask:
        """Returns the text that counts in place of the value."""
        mask = super().__new__(cls, text)
        mask.value = value
        return mask


def unmasked(tree: Any) -> Any:
    """Returns a tree with the volatile values themselves; what holds none is shared with it."""
    if isinstance(tree, Mask):
        return tree.value
    if isinstance(tree, dict):
        shown = {key: unmasked(value) for key, value in tree.items()}
        return tree if all(shown[key] is value for key, value in tree.items()) else shown
    if isinstance(tree, list):
        items = [unmasked(value) for value in tree]
        return tree if all(one is other for one, other in zip(items, tree, strict=True)) else items
    return tree


def read_answer(value: object, endpoint: Endpoint | None = None) -> Answer:
    """Returns what `value` is.

    Args:
        value: what `compare` takes.
        endpoint: what it should be an answer of; it is asked first. Else its shape says what it is.

    Raises:
        TypeError: for what is no JSON; the message names the place.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    known: tuple[Endpoint, ...] = endpoints.ENDPOINTS
    if endpoint is not None:
        known = (endpoint, *(each for each in known if each != endpoint))
    answer = _read_text(value, known) if isinstance(value, str) else _read_tree(plain(value), known)
    wanted = endpoint.noun if endpoint else ""
    return replace(answer, wanted=wanted) if wanted else answer


def _read_tree(tree: Any, known: Sequence[Endpoint]) -> Answer:
    if isinstance(tree, list):
        return _folded(tree, known, listed=True) or Answer("json", tree)
    if isinstance(tree, dict):
        return _folded([tree], known) or _read_object(tree, known)
    return Answer("text" if isinstance(tree, str) else "json", tree)


def _read_text(text: str, known: Sequence[Endpoint]) -> Answer:
    if not text.strip():
        return Answer("empty", text)
    if _EVENTS.match(text):
        chunks = events.json_chunks_of(text)
        failed = any("error" in chunk for chunk in chunks)
        if answer := _folded(chunks, known, listed=True, failed=failed):
            return answer
    if text.lstrip().startswith("{"):
        value = parsed(text)
        lines = [value] if isinstance(value, dict) else [parsed(line) for line in text.splitlines() if line]
        if answer := _folded(lines, known, listed=len(lines) > 1):
            return answer
        if isinstance(value, dict):
            return _read_object(value, known)
    return Answer("text", text)


def _read_object(tree: dict[str, Any], known: Sequence[Endpoint], chunks: Sequence[Any] = ()) -> Answer:
    for endpoint in known:
        sort = endpoint.sort_of(tree)
        if sort:
            return Answer(sort, tree, tuple(chunks), endpoint)
    return Answer("json", tree, tuple(chunks))


def _folded(
    chunks: list[Any], known: Sequence[Endpoint], *, listed: bool = False, failed: bool = False
) -> Answer | None:
    """Returns the answer that a stream folds into; None where nobody knows these chunks.

    Args:
        chunks: any values.
        known: the endpoints to ask.
        listed: they came as a list, not as one value.
        failed: one of them tells an error, so they are a stream, whatever the others are.
    """
    if not all(isinstance(chunk, dict) for chunk in chunks):
        return None
    streaming = [endpoint for endpoint in known if endpoint.fold]
    found = [endpoint for endpoint in streaming if endpoint.are_chunks(chunks, listed)]
    for endpoint in found or (streaming if failed else ()):
        if endpoint.fold:
            return _read_object(plain(endpoint.fold(chunks)), (endpoint, *known), chunks)
    return None


def _error_text(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error)
    told = (error.get("type") or error.get("code"), error.get("message"))
    return ": ".join(str(it) for it in told if it) or "without a message"


def plain(value: object) -> Any:
    """Returns a JSON copy of `value`: SDK objects dumped, tuples as lists, 1.0 as 1.

    Raises:
        TypeError: for what is no JSON, or refers to itself; the message names the place.
    """
    result: list[Any] = []
    pending: list[tuple[Any, Any, Any, tuple[Any, ...] | None, int]] = [(value, result, None, None, 0)]
    while pending:
        value, parent, key, above, depth = pending.pop()
        value = _simple(value)
        made: Any = value
        # The steps to a place, the last one first, as a chain that costs nothing until it is needed.
        here = (key, above)
        if isinstance(value, dict | Mapping):
            made = {}
            for name, child in value.items():
                text = name if type(name) is str else _key_text(name, here)
                made[text] = child
                if type(child) not in _LEAVES:
                    pending.append((child, made, text, here, depth + 1))
        elif isinstance(value, list | tuple):
            made = list(value)
            pending.extend(
                (child, made, i, here, depth + 1)
                for i, child in enumerate(value)
                if type(child) not in _LEAVES
            )
        elif not (value is None or isinstance(value, str | int | float)):
            raise TypeError(f"{_TAKES}; {_place(here)} is of the type {type(value).__name__}")
        if depth > MAX_ANSWER_DEPTH:
            raise TypeError(
                f"{_TAKES}; this one is nested deeper than {MAX_ANSWER_DEPTH} levels, or refers to itself"
            )
        if key is None:
            result.append(made)
        else:
            parent[key] = made
    return result[0]


def _simple(value: Any) -> Any:
    """Returns what JSON would hold for an SDK's object, an enum member or a whole number written as 1.0."""
    if type(value) in _PLAIN:
        return value
    dump = getattr(value, "model_dump", None)
    if dump is not None and not isinstance(value, type):
        try:
            value = dump(mode="json", warnings=False, **_names_of(type(value)))
        except TypeError:  # an object of another library, whose model_dump takes nothing
            value = dump()
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, float):
        value = exact_number(value)
    # A subclass counts as the value that it is.
    exact = next((base for base in (bool, int, float, str) if isinstance(value, base)), type(value))
    return value if type(value) is exact else _EXACTLY[exact](value)


def _names_of(model: type) -> dict[str, bool]:
    """Returns how to ask a model for the names that the server uses, where its fields have others in Python."""
    config = getattr(model, "model_config", None)
    return {"by_alias": True} if isinstance(config, Mapping) and config.get("alias_generator") else {}


_LEAVES: Final = frozenset({str, int, bool, type(None)})
_PLAIN: Final = _LEAVES | {dict, list}
_EXACTLY: dict[type, Callable[[Any], Any]] = {int: int.__int__, float: float.__float__, str: str.__str__}


def _key_text(key: Any, above: tuple[Any, ...]) -> str:
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, int | float):
        return json.dumps(key)  # as json.dumps does for keys
    raise TypeError(f"{_TAKES}; {_place(above)} has a key of the type {type(key).__name__}")


def _place(chain: tuple[Any, ...] | None) -> str:
    steps = []
    while chain is not None:
        step, chain = chain
        if step is not None:
            steps.append(step)
    return format_path(tuple(reversed(steps))) if steps else "it"
