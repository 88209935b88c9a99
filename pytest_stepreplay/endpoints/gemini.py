"""Gemini: ``POST .../models/NAME:generateContent`` and its like, as Google documents it for both of its hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..settings.levels import Level
from . import altering, error_object, gemini_models, gemini_parts, gemini_reading
from .endpoint import BY_SHAPE, Contract, Conversation, Endpoint, Paired
from .reading import most_of, object_of, objects_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


_TELLING: Final = (
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "safetySettings",
    "cachedContent",
)
_PART: Final = "candidates[*].content.parts[*]"

_LEVELS: Final[dict[str, Level | None]] = {
    "*": Level.METADATA,
    "promptFeedback": Level.BEHAVIOR,
    "promptFeedback.safetyRatings": Level.METADATA,
    "candidates": Level.BEHAVIOR,
    "candidates[*].*": Level.METADATA,
    "candidates[*].index": Level.BEHAVIOR,
    "candidates[*].finishReason": Level.BEHAVIOR,
    "candidates[*].safetyRatings[*].blocked": Level.BEHAVIOR,
    "candidates[*].citationMetadata": Level.CONTENT,
    "candidates[*].content": Level.BEHAVIOR,
    f"{_PART}.*": Level.METADATA,
    f"{_PART}.text": BY_SHAPE,
    f"{_PART}.thought": Level.BEHAVIOR,
    f"{_PART}.functionCall": Level.BEHAVIOR,
    f"{_PART}.executableCode": Level.BEHAVIOR,
    f"{_PART}.codeExecutionResult": Level.CONTENT,
    f"{_PART}.inlineData": Level.METADATA,
    f"{_PART}.inlineData.mimeType": Level.BEHAVIOR,
    f"{_PART}.fileData": Level.CONTENT,
    **error_object.LEVELS,
    "error.status": Level.BEHAVIOR,
}
_BY_SDK: Final = ("sdkHttpResponse", "automaticFunctionCallingHistory")
"""What Google's SDK adds to an answer."""

_FLEETING: Final = (
    "responseId",
    "createTime",
    *_BY_SDK,
    "usageMetadata.cachedContentTokenCount",
    "usageMetadata.cacheTokensDetails",
    "usageMetadata.serviceTier",
    "usageMetadata.trafficType",
    # How sure the model is, and what only the server can read, is new on each call.
    "candidates[*].avgLogprobs",
    "candidates[*].safetyRatings[*].probabilityScore",
    "candidates[*].safetyRatings[*].severityScore",
    f"{_PART}.thoughtSignature",
    # An image is painted anew on each call.
    f"{_PART}.inlineData.data",
    f"{_PART}.functionCall.id",
    f"{_PART}.executableCode.id",
    f"{_PART}.codeExecutionResult.id",
    *error_object.FLEETING,
)


def _is_answer(tree: Mapping[str, Any]) -> bool:
    candidates = objects_of(tree.get("candidates"))
    return any(it.keys() & {"content", "finishReason"} for it in candidates) or "promptFeedback" in tree


def _are_chunks(values: Sequence[Mapping[str, Any]], listed: bool) -> bool:
    told = {"candidates", "usageMetadata", "promptFeedback"}
    return (
        listed
        and any(isinstance(it, dict) and it.keys() & told for it in values)
        and any(map(_is_answer, values))
    )


def _most_output(body: Mapping[str, Any]) -> int | None:
    return most_of("maxOutputTokens", times="candidateCount")(object_of(body.get("generationConfig")))


def _fold(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return gemini_parts.fold(chunks)


def _index_of(candidate: Any) -> Any:
    return candidate.get("index", 0) if isinstance(candidate, dict) else None


def _tool_name(tool: Any) -> str | None:
    """Returns the names of the functions that a tool declares, or that of a built-in tool."""
    if not isinstance(tool, dict):
        return None
    declared = objects_of(tool.get("functionDeclarations"))
    return ", ".join(str(it.get("name")) for it in declared) or next(iter(tool), None)


def _filtered(answer: dict[str, Any], _text: str = "") -> dict[str, Any]:
    """Google's API reference, FinishReason: a candidate that was stopped for safety has no content."""
    kept = (
        {key: it for key, it in each.items() if key != "content"}
        for each in objects_of(answer.get("candidates"))
    )
    return answer | {"candidates": [each | {"finishReason": "SAFETY"} for each in kept]}


_SOURCE: Final = "Google's API reference, GenerateContentResponse"

# Gemini's API reference, "API keys".
_KEY_HEADERS: Final = {"x-goog-api-key": "{key}"}

GEMINI: Final = Endpoint(
    name="gemini",
    paths=(":generateContent", ":streamGenerateContent"),
    model_in=r"/models/([^/:]+):",
    telling=_TELLING,
    conversation=Conversation(listed="contents", fields=("role", "parts"), before=("systemInstruction",)),
    tools={"tools": _tool_name},
    marks=frozenset({"contents", "candidates", "usageMetadata", "promptFeedback"}),
    asks=lambda body: "contents" in body,
    noun="a Gemini answer",
    sort_of=error_object.sort_by(_is_answer),
    are_chunks=_are_chunks,
    fold=_fold,
    reading=gemini_reading.READING,
    tokens_in=gemini_reading.tokens_in,
    most_output=_most_output,
    key_headers=_KEY_HEADERS,
    key_parameter="key",
    measured=("usageMetadata",),
    levels=_LEVELS,
    fleeting=_FLEETING,
    content=(f"{_PART}.text",),
    paired={"candidates": Paired((_index_of,)), "candidates[*].content.parts": gemini_parts.PAIRED},
    calls=gemini_parts.CALLS,
    ids=gemini_parts.IDS,
    contracts=Contract(
        lambda: (gemini_models.GeneratedContent, gemini_models.GeneratedContent),
        _SOURCE,
        f"{_SOURCE}, streamed",
    ).of_all_hosts(),
    altering=lambda: altering.Altering(
        calls=(altering.CallPlace(_PART, ("functionCall", "name"), ("functionCall", "args"), id=""),),
        ends=(altering.EndPlace("candidates[*].finishReason", ("MAX_TOKENS", "STOP")),),
        alternatives="candidates",
        usage="usageMetadata",
        refused=_filtered,
        filtered=_filtered,
        unfold=lambda answer, _: [answer],
    ),
)


def _is_embedding(tree: Mapping[str, Any]) -> bool:
    one, many = tree.get("embedding"), objects_of(tree.get("embeddings"))
    return any(isinstance(it, dict) and "values" in it for it in (one, *many))


GEMINI_TOKENS: Final = Endpoint(
    name="gemini_tokens",
    paths=(":countTokens",),
    model_in=r"/models/([^/:]+):",
    telling=_TELLING,
    conversation=GEMINI.conversation,
    tools={"tools": _tool_name},
    noun="a count of Gemini's tokens",
    sort_of=error_object.sort_by(lambda tree: "totalTokens" in tree),
    reading=gemini_reading.READING._replace(
        answer=lambda _: (), end=lambda tree: f"{tree.get('totalTokens')} tokens"
    ),
    key_headers=_KEY_HEADERS,
    key_parameter="key",
    levels={"*": Level.METADATA, **error_object.LEVELS, "error.status": Level.BEHAVIOR},
    fleeting=(*_BY_SDK, "cachedContentTokenCount", *error_object.FLEETING),
    ids=gemini_parts.IDS,
)

GEMINI_EMBEDDINGS: Final = Endpoint(
    name="gemini_embeddings",
    paths=(":embedContent", ":batchEmbedContents"),
    model_in=r"/models/([^/:]+):",
    telling=("content", "requests", "taskType", "outputDimensionality"),
    noun="a Gemini embedding",
    sort_of=error_object.sort_by(_is_embedding),
    reading=gemini_reading.EMBEDDINGS,
    key_headers=_KEY_HEADERS,
    key_parameter="key",
    levels={
        "*": Level.METADATA,
        "embedding": Level.CONTENT,
        "embeddings": Level.BEHAVIOR,
        "embeddings[*].values": Level.CONTENT,
        **error_object.LEVELS,
        "error.status": Level.BEHAVIOR,
    },
    fleeting=(*_BY_SDK, *error_object.FLEETING),
    tolerances={"embedding.values": "cosine>=0.999", "embeddings[*].values": "cosine>=0.999"},
    contracts=Contract(
        lambda: (gemini_models.EmbeddedContent, gemini_models.EmbeddedContent),
        "Google's API reference, ContentEmbedding",
    ).of_all_hosts(),
)
