"""The parts of Gemini's contents: how a stream of them folds, how they call tools, and where ids stand in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeGuard

from ..wire.json_values import canonical
from .endpoint import Calls, Paired
from .ids import Ids
from .reading import Call, object_of, objects_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .ids import Keys

_SEALED: Final = "thoughtSignature"


def read(part: Any) -> Call | None:
    """Returns the call that a part makes; None where it makes none."""
    call = object_of(object_of(part).get("functionCall"))
    name = call.get("name")
    return Call(str(call.get("id") or ""), name, call.get("args")) if isinstance(name, str) else None


def tool_of(part: Any) -> str:
    """Returns the name of the tool that a part calls."""
    call = read(part)
    return call.tool if call else "a call without a name"


def meaning_of(part: Any) -> tuple[str, str]:
    """Returns the tool and what it is given, equal for calls that mean the same."""
    call = read(part)
    return tool_of(part), canonical(call.given if call else part)


def _is_call(part: Mapping[str, Any]) -> bool:
    return isinstance(part.get("functionCall"), dict)


def _sort(part: Any) -> Any:
    """Returns what a part is: the key that it has besides those that say something about it."""
    keys = (key for key in object_of(part) if key not in (_SEALED, "thought", "partMetadata"))
    return next(keys, type(part).__name__), bool(object_of(part).get("thought"))


def _named(part: Any) -> str:
    return tool_of(part) if isinstance(part, dict) and _is_call(part) else str(_sort(part)[0])


def _whole(part: Any) -> Any:
    if isinstance(part, dict) and _is_call(part):
        return meaning_of(part)
    return _sort(part), canonical(
        {k: v for k, v in part.items() if k != _SEALED} if isinstance(part, dict) else part
    )


def _keys_in(_value: Mapping[str, Any], under: str) -> Keys:
    if under == "functionCall":
        return (("id", "made"),)
    if under == "functionResponse":
        return (("id", "cited"),)
    # Google's SDK sends a signature back in another spelling of base64, so it is renamed as an id is.
    return ((_SEALED, "made"),) if under == "parts" else ()


CALLS: Final = Calls(
    listed="parts",
    cites="functionResponseId",  # in answers nothing is cited
    tool_of=tool_of,
    meaning_of=meaning_of,
    read=read,
    names=(".functionCall.name",),
    is_call=_is_call,
)

PAIRED: Final = Paired((_whole, _named, _sort), named=_named)

IDS: Final = Ids(_keys_in, word="call")


def fold(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the answer that the chunks of a stream describe.

    Texts of one kind that follow each other are one, since where they were cut says nothing. Of all else the last
    value counts: usage is cumulative, and a reason stands in the last chunk.
    """
    folded: dict[str, Any] = {}
    candidates: dict[Any, dict[str, Any]] = {}
    for chunk in chunks:
        for key, value in chunk.items():
            if key == "candidates":
                for each in objects_of(value):
                    _add(candidates.setdefault(each.get("index", 0), {}), each)
            elif value is not None or key not in folded:
                folded[key] = value
    ordered = sorted(candidates.items(), key=lambda it: it[0] if isinstance(it[0], int) else 0)
    return {"candidates": [each for _, each in ordered], **folded} if candidates else folded


def _add(candidate: dict[str, Any], piece: Mapping[str, Any]) -> None:
    for key, value in piece.items():
        if key == "content" and isinstance(value, dict):
            content = candidate.setdefault("content", {"parts": []})
            content |= {name: held for name, held in value.items() if name != "parts"}
            for part in value.get("parts") or ():
                _add_part(content["parts"], part)
        elif value is not None or key not in candidate:
            candidate[key] = value


def _add_part(parts: list[Any], part: Any) -> None:
    last = parts[-1] if parts else None
    if _is_text(part) and part["text"] == "" and _is_text(last):
        parts[-1] = {**last, **part, "text": last["text"]}  # as with a signature alone, at the end
    elif _is_text(part) and _is_text(last) and bool(part.get("thought")) == bool(last.get("thought")):
        parts[-1] = {**last, **part, "text": last["text"] + part["text"]}
    elif part != {"text": ""}:
        parts.append(part)


def _is_text(part: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(part, dict) and isinstance(part.get("text"), str)
