"""Images: ``POST .../images/generations``, ``.../images/edits`` and ``.../images/variations``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..settings.levels import Level
from . import binary, error_object, openai_models
from .endpoint import Contract, Endpoint, nullable
from .reading import Reading, Remark, input_and_output, objects_of, remarks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


_IMAGE: Final = ("b64_json", "url")


def _is_answer(tree: Mapping[str, Any]) -> bool:
    data = tree.get("data")
    if binary.is_binary(tree):
        return True
    images = data if isinstance(data, list) and "created" in tree else []
    return any(isinstance(it, dict) and it.keys() & set(_IMAGE) for it in images)


def _are_events(values: Sequence[Mapping[str, Any]], _: bool) -> bool:
    return any(str(value.get("type")).startswith(("image_generation.", "image_edit.")) for value in values)


def _fold(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the images that a stream ends with; those that are not whole say nothing."""
    folded: dict[str, Any] = {"created": None, "data": []}
    for event in events:
        if "error" in event:
            folded["error"] = event["error"]
        elif str(event.get("type")).endswith(".completed"):
            folded["data"].append({key: event[key] for key in _IMAGE if key in event})
            folded |= {"created": event.get("created_at")}
            folded |= {k: v for k, v in event.items() if k not in (*_IMAGE, "type", "created_at")}
    return folded


def _asked(body: Mapping[str, Any]) -> tuple[Remark, ...] | None:
    return (Remark("prompt", body["prompt"]),) if isinstance(body.get("prompt"), str) else None


def _answered(tree: Mapping[str, Any]) -> tuple[Remark, ...]:
    return remarks("image", [_told(it) for it in objects_of(tree.get("data"))])


def _told(image: Mapping[str, Any]) -> str:
    held = image.get("b64_json")
    told = [f"{len(held) * 3 // 4:,} bytes in base64" if isinstance(held, str) else image.get("url")]
    return ", ".join(str(it) for it in (*told, image.get("revised_prompt")) if it)


def _end(tree: Mapping[str, Any]) -> str:
    return str(tree.get("size") or "whole")


IMAGES: Final = Endpoint(
    name="images",
    paths=("/images/generations", "/images/edits", "/images/variations"),
    # OpenAI's API reference, "Create image": what may be null, and the defaults.
    optional={
        (): {
            **dict(
                nullable("background", "moderation", "output_compression", "output_format", "response_format")
            ),
            **dict(nullable("quality", "size", "style")),
            "n": (None, 1),
            "partial_images": (None, 0),
            "stream": (None, False),
        }
    },
    telling=("prompt", "model", "size", "quality", "n", "style", "seed", "response_format"),
    noun="a list of images",
    sort_of=error_object.sort_by(_is_answer),
    are_chunks=_are_events,
    fold=_fold,
    reading=Reading(_asked, _answered, _end, ("prompt",)),
    tokens_in=input_and_output,
    measured=("usage",),
    levels={
        "*": Level.METADATA,
        "data": Level.BEHAVIOR,
        "data[*].revised_prompt": Level.CONTENT,
        "data[*].seed": Level.METADATA,
        "data[*].finish_reason": Level.BEHAVIOR,
        "size": Level.BEHAVIOR,
        "output_format": Level.BEHAVIOR,
        **binary.LEVELS,
        **error_object.LEVELS,
    },
    volatile=("created", *(f"data[*].{name}" for name in _IMAGE)),
    fleeting=("data[*].seed", *binary.ANEW, *error_object.FLEETING),
    contracts=Contract(
        lambda: (openai_models.Images, openai_models.ImageEvent),
        "the OpenAI-compatible API reference, the list of images",
        "the OpenAI-compatible API reference, the image events",
    ).of_all_hosts(),
)
