"""What `compare` may be given, read as one `Answer`: a plain JSON tree, and what sort of answer it is.

SDK objects, dicts, texts, raw server-sent events and lists of chunks go in. A stream comes out assembled,
with its chunks beside it. The tree is a copy, so whoever compares it may change it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal

from ..selectors import format_path

Sort = Literal["completion", "error", "json", "text", "empty"]

MAX_DEPTH: Final = 10_000
"""What is nested deeper refers to itself, or might as well."""

_EVENTS = re.compile(r"\ufeff?\s*(?:data|event|id|retry)?:")
_TAKES = "compare() takes a chat completion, its chunks, an SDK's object, a JSON value or a text"


@dataclass(frozen=True)
class Answer:
    """One side of a comparison.

    Attributes:
        sort: what it is.
        tree: a JSON value; a text for the sorts ``text`` and ``empty``.
        chunks: those that it was assembled from, if it was streamed.
    """

    sort: Sort
    tree: Any
    chunks: tuple[dict[str, Any], ...] = ()

    @property
    def description(self) -> str:
        """What it is, in a few words, for a person."""
        if self.sort == "completion":
            return "a chat completion"
        if self.sort == "empty":
            return "an empty body"
        if self.sort == "error":
            return f"an error object ({_error_text(self.tree['error'])})"
        if self.sort == "text":
            broken = self.tree.lstrip()[:1] in ("{", "[") and isinstance(parsed(self.tree), BrokenJson)
            return "broken JSON" if broken else "text that is not JSON"
        return f"{name_type(self.tree)} that is no chat completion"


@dataclass(frozen=True)
class BrokenJson:
    """Why a text could not be parsed."""

    problem: str


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


def parsed(text: str) -> Any:
    """Returns the JSON value in `text`, or `BrokenJson`."""
    try:
        return plain(json.loads(text))
    except json.JSONDecodeError as error:
        problem = f"{error.msg.removesuffix(' at')} at character {error.pos + 1}"
        return BrokenJson(problem if text.strip() else "it is empty")
    except ValueError:
        return BrokenJson("a number has too many digits")
    except (RecursionError, TypeError):
        return BrokenJson("it is nested too deeply")


def read_answer(value: object) -> Answer:
    """Returns what `value` is.

    Raises:
        TypeError: for what is no JSON; the message names the place.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return _read_text(value)
    tree = plain(value)
    if isinstance(tree, list) and _are_chunks(tree):
        return _assembled(tree)
    if isinstance(tree, dict):
        return _assembled([tree]) if _is_chunk(tree) else Answer(_sort_of(tree), tree)
    return Answer("text" if isinstance(tree, str) else "json", tree)


def _read_text(text: str) -> Answer:
    if not text.strip():
        return Answer("empty", text)
    if _EVENTS.match(text):
        from ..wire.events import chunks_of  # noqa: PLC0415 - only streams need it

        chunks = chunks_of(text)
        if _are_chunks(chunks) or any("error" in chunk for chunk in chunks):
            return _assembled(chunks)
    if text.lstrip().startswith("{"):
        value = parsed(text)
        if isinstance(value, dict):
            return Answer(_sort_of(value), value)
    return Answer("text", text)


def _assembled(chunks: list[dict[str, Any]]) -> Answer:
    from ..endpoints.chat_stream import assemble  # noqa: PLC0415 - only streams need it

    tree = plain(assemble(chunks))
    return Answer(_sort_of(tree), tree, tuple(chunks))


def _are_chunks(values: list[Any]) -> bool:
    """Whether these are the chunks of a stream; those of ``/v1/completions`` look like its plain answer."""
    if not all(isinstance(value, dict) for value in values):
        return False
    return any(_is_chunk(value) or value.get("object") == "text_completion" for value in values)


def _is_chunk(value: Mapping[str, Any]) -> bool:
    if value.get("object") == "chat.completion.chunk":
        return True
    choices = value.get("choices")
    return isinstance(choices, list) and any(isinstance(it, dict) and "delta" in it for it in choices)


def _sort_of(tree: Mapping[str, Any]) -> Sort:
    choices = tree.get("choices")
    if tree.get("error") and not choices:
        return "error"
    if tree.get("object") == "chat.completion":
        return "completion"
    if not isinstance(choices, list):
        return "json"
    messages = any(isinstance(it, dict) and "message" in it for it in choices)
    return "completion" if messages or {"model", "created"} <= tree.keys() else "json"


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
        if depth > MAX_DEPTH:
            raise TypeError(
                f"{_TAKES}; this one is nested deeper than {MAX_DEPTH} levels, or refers to itself"
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
            value = dump(mode="json", warnings=False)
        except TypeError:  # an object of another library, whose model_dump takes nothing
            value = dump()
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    # A subclass counts as the value that it is.
    exact = next((base for base in (bool, int, float, str) if isinstance(value, base)), type(value))
    return value if type(value) is exact else _EXACTLY[exact](value)


_LEAVES: Final = frozenset({str, int, bool, type(None)})
_PLAIN: Final = _LEAVES | {dict, list}
_EXACT: Final = 1 << 53
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


def name_type(value: object) -> str:
    """Returns JSON's name for the type of `value`, with its article."""
    return next((name for kind, name in _TYPE_NAMES if isinstance(value, kind)), "nothing")


_TYPE_NAMES: tuple[tuple[type, str], ...] = (
    (type(None), "null"),
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a number"),
    (str, "a string"),
    (list, "an array"),
    (dict, "an object"),
)


def is_equal(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same to the last one. In Python True is 1, and 1.0 too."""
    pending = [(one, other)]
    while pending:
        one, other = pending.pop()
        if type(one) is not type(other):
            return False
        if isinstance(one, dict):
            if one.keys() != other.keys():
                return False
            pending += [(child, other[key]) for key, child in one.items()]
        elif isinstance(one, list):
            if len(one) != len(other):
                return False
            pending += zip(one, other, strict=True)
        elif one != other:
            return False
    return True


def canonical(value: Any) -> str:
    """Returns a text that is equal for JSON-equal values, whatever their depth."""
    parts: list[str] = []
    # What is to be written, last first: a text as it is, a value in a tuple.
    pending: list[Any] = [(value,)]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        (inner,) = item
        if isinstance(inner, dict):
            pending.append("}")
            for i, key in enumerate(sorted(inner, reverse=True), start=1):
                pending += [(inner[key],), f"{json.dumps(key)}: ", ", " if i < len(inner) else "{"]
            parts += () if inner else "{"
        elif isinstance(inner, list):
            pending.append("]")
            for i, child in enumerate(reversed(inner), start=1):
                pending += [(child,), ", " if i < len(inner) else "["]
            parts += () if inner else "["
        else:
            parts.append(hex(inner) if type(inner) is int and abs(inner) > _EXACT else json.dumps(inner))
    return "".join(parts)
