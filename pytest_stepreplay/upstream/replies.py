"""What the stand-in says: scripted answers, and rules for requests that no script answers.

Values only: a received request goes in, a completion, its chunks or an error comes out.
"""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from ..machine import clock
from ..value_classes import dataclass

MODELS = ("step-3.5-flash", "step-3.7-flash")

_WORD = re.compile(r"\s*\S+|\s+\Z")
_ARGUMENTS_PIECE = 12  # characters of a tool call's arguments in one chunk
_QUOTED = 200  # characters of a prompt that an answer quotes
_NESTED = 8  # how deep a JSON schema is followed


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request as it came over the wire.

    Attributes:
        method: in capitals.
        path: with its query.
        headers: by lower-case name; several of one name are joined with a comma.
        body: the exact bytes.
        json: the parsed body; None where it is not JSON.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    json: Any


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    """What the stand-in says; `answer` makes one."""

    content: str
    reasoning: str | None
    tool_calls: tuple[tuple[str, str], ...]
    finish_reason: str
    fields: Mapping[str, Any]
    before_frame: Callable[[int], object] | None
    break_off_after: int | None


@dataclass(frozen=True, slots=True)
class Raw:
    """A response that is sent as it stands; `raw` and `error` make one."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | Iterable[bytes]


Reply: TypeAlias = ScriptedAnswer | Raw | None
Script: TypeAlias = Callable[[ReceivedRequest], Reply] | Iterable[Reply]


def answer(
    content: str = "",
    *,
    reasoning: str | None = None,
    tool_calls: Sequence[tuple[str, Mapping[str, Any] | str]] = (),
    finish_reason: str | None = None,
    before_frame: Callable[[int], object] | None = None,
    break_off_after: int | None = None,
    **fields: Any,
) -> ScriptedAnswer:
    """Return a scripted answer; it is streamed if the request asks for a stream.

    Args:
        content: the text.
        reasoning: the reasoning, under the key that the request's `reasoning_format` asks for.
        tool_calls: name and arguments of each call; a string is sent as the arguments as it stands.
        finish_reason: ``tool_calls`` with tool calls, else ``stop``, unless it is given.
        before_frame: called in a stream with the number of each frame, from 0, before it is sent.
        break_off_after: a stream's connection is closed after so many frames, without an end.
        fields: top-level fields to add or to override, such as `model` or `usage`.
    """
    calls = tuple((name, it if isinstance(it, str) else json.dumps(it)) for name, it in tool_calls)
    if finish_reason is None:
        finish_reason = "tool_calls" if calls else "stop"
    return ScriptedAnswer(content, reasoning, calls, finish_reason, fields, before_frame, break_off_after)


def error(status: int, kind: str, message: str, *, headers: Mapping[str, str] | None = None) -> Raw:
    """Return an error response in StepFun's form: a message and a type, no code."""
    return json_reply({"error": {"message": message, "type": kind}}, status, headers)


def raw(
    status: int = 200,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    body: bytes | Iterable[bytes] = b"",
) -> Raw:
    """Return a response that is sent byte for byte.

    Args:
        status: the HTTP status.
        headers: sent as they are, a wrong ``Content-Length`` or ``Content-Encoding`` included.
        body: bytes are sent at once; pieces are sent as they come, each as an HTTP chunk, and a
            `ConnectionError` raised between them breaks the response off.
    """
    return Raw(status, tuple(headers.items() if isinstance(headers, Mapping) else headers), body)


def json_reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Raw:
    """Return a response with a JSON body."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return raw(status, {"Content-Type": "application/json", **(headers or {})}, body)


def refusal_of(received: ReceivedRequest) -> Raw | None:
    """Return the error for a request that is not a valid call of the API; None for one that is."""
    path = urlsplit(received.path).path
    if (received.method, path) not in {("POST", "/v1/chat/completions"), ("GET", "/v1/models")}:
        return error(404, "not_found", f"this stand-in has no {received.method} {path}")
    scheme, _, key = received.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        return error(401, "invalid_api_key", "Incorrect API key provided")
    if received.method == "GET":
        return None
    if "json" not in received.headers.get("content-type", ""):
        return error(400, "unsupported_content_type", "the content type must be application/json")
    problem = _problem_with(received.json)
    return error(400, "request_params_invalid", problem) if problem else None


def model_list() -> Raw:
    """Return the reply to ``GET /v1/models``."""
    models = [{"id": name, "object": "model", "created": 0, "owned_by": "stepreplay"} for name in MODELS]
    return json_reply({"object": "list", "data": models})


def completion_of(request: Mapping[str, Any], spoken: ScriptedAnswer, number: int) -> dict[str, Any]:
    """Return the ``chat.completion`` object.

    Args:
        request: the valid body of the request.
        spoken: what it says.
        number: of the request at this server; it makes the volatile values differ.
    """
    messages = [_message(request, spoken) for _ in range(request.get("n") or 1)]
    tokens = sum(tokens for message in messages for _, tokens in _deltas(message))
    choices = [
        {"index": index, "message": message, "finish_reason": spoken.finish_reason}
        for index, message in enumerate(messages)
    ]
    head = _head(request, number) | {"object": "chat.completion"}
    return {**head, "choices": choices, "usage": _usage(request, tokens, number), **spoken.fields}


def chunks_of_completion(
    request: Mapping[str, Any], spoken: ScriptedAnswer, number: int
) -> Iterator[dict[str, Any]]:
    """Yield the ``chat.completion.chunk`` objects of the same answer, in StepFun's dialect.

    `usage` stands on every chunk and is cumulative, middle chunks have ``""`` as role and finish reason, and
    the first chunk of all is created at 0.
    """
    head = _head(request, number) | {"object": "chat.completion.chunk"}
    tokens, created = 0, 0
    for index in range(request.get("n") or 1):
        deltas = [*_deltas(_message(request, spoken)), ({"content": ""}, 0)]
        for at, (delta, more) in enumerate(deltas):
            tokens += more
            choice = {
                "index": index,
                "delta": {"role": "assistant" if at == 0 else "", **delta},
                "finish_reason": spoken.finish_reason if at == len(deltas) - 1 else "",
            }
            usage = _usage(request, tokens, number)
            yield {**head, "created": created, "choices": [choice], "usage": usage, **spoken.fields}
            created = head["created"]


def unscripted_answer(request: Mapping[str, Any]) -> ScriptedAnswer:
    """Return the answer that follows from a valid request, and from nothing else."""
    messages = request["messages"]
    asked = [_text_of(message) for message in messages if message["role"] == "user"]
    prompt = asked[-1] if asked else ""
    if messages[-1]["role"] == "tool":
        last = max((at for at, it in enumerate(messages) if it["role"] != "tool"), default=-1)
        text = f"The tools say: {' / '.join(_text_of(message) for message in messages[last + 1 :])}"
    else:
        calls = _called_tools(request, prompt)
        if calls:
            return answer(tool_calls=calls, reasoning=_reasoning(request))
        text = "Hello!" if re.search(r"\b(hello|hi)\b", prompt, re.IGNORECASE) else "Understood."
        turn = f" in turn {len(asked)}" if len(asked) > 1 else ""
        quoted = prompt if len(prompt) <= _QUOTED else f"{prompt[:_QUOTED]}… ({len(prompt)} characters)"
        text += f' You wrote "{quoted}"{turn}, and I am a stand-in, not a model.'
    told = " ".join(_text_of(message) for message in messages if message["role"] in ("system", "developer"))
    text += f" My instructions: {told[:_QUOTED]}" if told else ""
    form = _object(request.get("response_format"))
    if form.get("type") == "json_object":
        text = json.dumps({"answer": text}, ensure_ascii=False)
    elif form.get("type") == "json_schema":
        schema = _object(form.get("json_schema")).get("schema")
        text = json.dumps(_value_for(schema, prompt), ensure_ascii=False)
    words = _WORD.findall(text)
    limit = request.get("max_tokens") or len(words)
    reason = "length" if limit < len(words) else "stop"
    return answer("".join(words[:limit]), reasoning=_reasoning(request), finish_reason=reason)


def _problem_with(request: Any) -> str:
    """Return what is wrong with the body of a chat completions request; nothing for a good one."""
    if not isinstance(request, dict):
        return "the body must be a JSON object"
    if not isinstance(request.get("model"), str) or not request["model"]:
        return "model must be a string"
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        return "messages must be a list with at least one message"
    for at, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            return f"messages[{at}] must be an object with a role"
        if not isinstance(message.get("content"), (str, list, type(None))):
            return f"messages[{at}].content must be a string or a list of parts"
    if not isinstance(request.get("stream"), (bool, type(None))):
        return "stream must be true or false"
    if not isinstance(request.get("tools"), (list, type(None))):
        return "tools must be a list"
    for name, most in (("n", 16), ("max_tokens", 10**9)):
        value = request.get(name)
        if value is not None and not (isinstance(value, int) and 1 <= value <= most):
            return f"{name} must be a whole number between 1 and {most}"
    return ""


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text_of(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if not isinstance(content, list):
        return content or ""
    parts = (_object(part) for part in content)
    return " ".join(str(part.get("text") or f"[{part.get('type')}]") for part in parts)


def _reasoning(request: Mapping[str, Any]) -> str | None:
    return "A rule of the stand-in applies." if request.get("reasoning_effort") else None


def _called_tools(request: Mapping[str, Any], prompt: str) -> list[tuple[str, dict[str, Any]]]:
    """Return a call of each tool that has a word of its name in the prompt, or that must be called."""
    functions = [_object(_object(tool).get("function")) for tool in request.get("tools") or ()]
    functions = [it for it in functions if isinstance(it.get("name"), str)]
    said, choice = set(re.findall(r"[a-z]{4,}", prompt.lower())), request.get("tool_choice")
    called = [it for it in functions if said.intersection(re.findall(r"[a-z]{4,}", it["name"].lower()))]
    if choice == "none":
        called = []
    elif choice == "required":
        called = called or functions[:1]
    elif isinstance(choice, dict):
        called = [it for it in functions if it["name"] == _object(choice.get("function")).get("name")]
    return [(it["name"], _arguments(it.get("parameters"), prompt)) for it in called]


def _arguments(schema: Any, prompt: str) -> dict[str, Any]:
    return _object(_value_for({"type": "object", **_object(schema)}, prompt))


def _value_for(schema: Any, prompt: str, depth: int = 0) -> Any:
    """Return a JSON value of the schema's type, taken from the prompt where it has one that fits."""
    schema = _object(schema)
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object" and depth < _NESTED:
        members = _object(schema.get("properties")).items()
        return {name: _value_for(member, prompt, depth + 1) for name, member in members}
    if kind == "array" and depth < _NESTED:
        return [_value_for(schema.get("items"), prompt, depth + 1)]
    if kind in ("integer", "number"):
        number = re.search(r"\d{1,9}", prompt)
        return int(number[0]) if number else 0
    if kind == "boolean":
        return True
    names = re.findall(r"(?<=\s)[A-Z]\w+", prompt)  # a capital that does not start the prompt
    return names[0] if names else prompt[:_QUOTED]


def _head(request: Mapping[str, Any], number: int) -> dict[str, Any]:
    # The number keeps calls within one second apart.
    return {
        "id": str(uuid.uuid4()),
        "object": "",
        "created": int(clock.now().timestamp()) + number,
        "model": request["model"],
    }


def _message(request: Mapping[str, Any], spoken: ScriptedAnswer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": spoken.content}
    if spoken.reasoning is not None:
        deepseek = request.get("reasoning_format") == "deepseek-style"
        message["reasoning_content" if deepseek else "reasoning"] = spoken.reasoning
    if spoken.tool_calls:
        message["tool_calls"] = [
            {
                "id": f"call_{secrets.token_urlsafe(16)}",
                "type": "function",
                "function": {"name": name, "arguments": it},
            }
            for name, it in spoken.tool_calls
        ]
    return message


def _deltas(message: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the pieces of a message, each with the tokens that it counts for."""
    yield {"content": ""}, 0
    for key in ("reasoning", "reasoning_content", "content"):
        for word in _WORD.findall(message.get(key, "")):
            yield {key: word}, 1
    for index, call in enumerate(message.get("tool_calls", ())):
        arguments = call["function"]["arguments"]
        start = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
        yield {"tool_calls": [start]}, 1
        for at in range(0, len(arguments), _ARGUMENTS_PIECE):
            piece = {"index": index, "function": {"arguments": arguments[at : at + _ARGUMENTS_PIECE]}}
            yield {"tool_calls": [piece]}, 1


def _usage(request: Mapping[str, Any], tokens: int, number: int) -> dict[str, int]:
    said = " ".join([*map(_text_of, request["messages"]), json.dumps(request.get("tools") or "")])
    prompt = len(_WORD.findall(said)) + 4 * len(request["messages"])
    return {
        "prompt_tokens": prompt,
        "completion_tokens": tokens,
        "total_tokens": prompt + tokens,
        "cached_tokens": number % (prompt + 1),  # as with a real prefix cache, it differs from call to call
    }
