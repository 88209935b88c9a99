"""Sounds and what was said: ``POST .../audio/speech``, ``.../audio/transcriptions``, ``.../audio/translations``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..settings.levels import Level
from . import binary, error_object, openai_models
from .endpoint import BY_SHAPE, Contract, Endpoint
from .reading import Reading, Remark, input_and_output

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def _is_transcription(tree: Mapping[str, Any]) -> bool:
    """Whether an object is a transcription; a text alone, which may be anything, is compared as JSON of any kind."""
    usage = tree.get("usage")
    counted = isinstance(usage, dict) and "type" in usage
    timed = any(isinstance(tree.get(name), list) for name in ("segments", "words"))
    return isinstance(tree.get("text"), str) and (
        counted or timed or tree.get("task") in ("transcribe", "translate")
    )


def _are_pieces(values: Sequence[Mapping[str, Any]], _: bool) -> bool:
    return any(str(value.get("type")).startswith("transcript.text.") for value in values)


def _fold(pieces: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the transcription that the events of a stream tell; the last one holds all of it."""
    text, rest = "", dict[str, Any]()
    for piece in pieces:
        if piece.get("type") == "transcript.text.done":
            rest |= {key: value for key, value in piece.items() if key != "type"}
        elif isinstance(piece.get("delta"), str):
            text += piece["delta"]
        elif "error" in piece:
            rest["error"] = piece["error"]
    return {"text": text, **rest}


def _asked(body: Mapping[str, Any]) -> tuple[Remark, ...] | None:
    return (Remark("input", body["input"]),) if isinstance(body.get("input"), str) else None


def _answered(tree: Mapping[str, Any]) -> tuple[Remark, ...]:
    text = tree.get("text")
    return (Remark("text", text),) if isinstance(text, str) else ()


def _end(tree: Mapping[str, Any]) -> str:
    duration = tree.get("duration")
    return f"{duration} s" if isinstance(duration, int | float) else "whole"


SPEECH: Final = Endpoint(
    name="speech",
    paths=("/audio/speech",),
    optional={(): {"response_format": ("mp3",), "speed": (1,), "stream_format": ("audio",)}},
    telling=("input", "model", "voice", "instructions", "response_format", "speed"),
    noun="bytes that are no text",
    sort_of=error_object.sort_by(binary.is_binary),
    reading=Reading(_asked, _answered, _end, ("input",)),
    levels={"*": Level.METADATA, **binary.LEVELS, **error_object.LEVELS},
    fleeting=(*binary.ANEW, *error_object.FLEETING),
)

TRANSCRIPTIONS: Final = Endpoint(
    name="transcriptions",
    paths=("/audio/transcriptions", "/audio/translations"),
    noun="a transcription",
    sort_of=error_object.sort_by(_is_transcription),
    are_chunks=_are_pieces,
    fold=_fold,
    reading=Reading(lambda _: None, _answered, _end),
    tokens_in=input_and_output,
    measured=("usage",),
    levels={
        "*": Level.METADATA,
        "text": BY_SHAPE,
        "language": Level.CONTENT,
        "segments": Level.CONTENT,
        "segments[*].*": Level.METADATA,
        "segments[*].text": Level.CONTENT,
        "segments[*].speaker": Level.CONTENT,
        "words": Level.CONTENT,
        "words[*].*": Level.METADATA,
        "words[*].word": Level.CONTENT,
        **error_object.LEVELS,
    },
    fleeting=("x_groq.id", "task_id", "segments[*].id", *error_object.FLEETING),
    # Where a word begins and how sure the model is of it differ a little from call to call.
    tolerances={
        "**.start": "0.2",
        "**.end": "0.2",
        "**.avg_logprob": "0.1",
        "**.no_speech_prob": "0.1",
        "**.compression_ratio": "0.2",
    },
    contracts=Contract(
        lambda: (openai_models.Transcription, openai_models.TranscriptionEvent),
        "the OpenAI-compatible API reference, the transcription object",
        "the OpenAI-compatible API reference, the transcription's events",
    ).of_all_hosts(),
)
