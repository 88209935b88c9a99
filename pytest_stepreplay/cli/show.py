"""`stepreplay show`: one cassette as the conversation that it holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from ..errors import StepReplayError
from .command import AS_JSON, Command, Operand, Option, number_from_1
from .terminal import echo, json_text, open_console, plural, print_block, safe

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from ..models import Cassette, Interaction, Response
    from .conversation import Turn

STYLES: Final = {
    "system": "magenta",
    "developer": "magenta",
    "user": "bold cyan",
    "assistant": "bold green",
    "tool": "yellow",
    "call": "yellow",
    "error": "bold red",
}
WAITS: Final = "a new version, which waits for a decision (stepreplay review)"
LISTED: Final = 12  # items of a list, such as an embedding, that are shown
TEXT: Final = 2_000  # characters of a body that is no conversation


def _run(cassette: str, interaction: int | None, as_json: bool) -> int:
    from ..store import read_cassette, read_new_version, read_snapshots  # noqa: PLC0415 - `stepreplay --help` does without yaml
    from .conversation import read_turns  # noqa: PLC0415
    from .naming import find_cassette  # noqa: PLC0415
    from .project import display  # noqa: PLC0415

    path, form = find_cassette(cassette), "stepreplay"
    waits = path.name.endswith(".new")
    new: Cassette | dict[str, Any]
    if waits:
        new = read_new_version(path)
    elif path.name.endswith(".snapshots.yaml"):
        new = {"snapshots": read_snapshots(path)}
    else:
        read = read_cassette(path)
        new, form = read.cassette, read.format
    if isinstance(new, dict):
        if interaction is not None:
            raise StepReplayError(f"{display(path)} holds snapshots, and no interaction")
        _print_snapshots(display(path), new["snapshots"], as_json=as_json, waits=waits)
        return 0
    turns = list(read_turns(new.interactions))
    if interaction is not None:
        if interaction > len(turns):
            raise StepReplayError(f"{display(path)} has no interaction {interaction}; it holds {len(turns)}")
        turns = turns[interaction - 1 : interaction]
    if as_json:
        head = {"path": display(path), "format": form, "test": new.test}
        echo(json_text({**head, "interactions": [_as_json(turn) for turn in turns]}))
        return 0
    console = open_console()
    _print_head(console, display(path), new, form, waits=waits)
    for turn in turns:
        _print_turn(console, turn, whole=interaction is not None)
    return 0


SHOW: Final = Command(
    name="show",
    summary="Print a cassette as a conversation.",
    description="""
    Print a cassette as a conversation that a person can read.

    CASSETTE is a file, the name of one in the project's folder (.yaml may be left out), the name of a test or its
    id. A pending file (NAME.yaml.new) is shown as the version that it holds. Streams are assembled. What an earlier
    request said already is not repeated.
    """,
    examples=(
        "stepreplay show test_greeting",
        "stepreplay show tests/test_chat.py::test_greeting",
        "stepreplay show cassettes/test_chat/test_greeting.yaml --interaction 2",
    ),
    operands=(Operand("cassette"),),
    options=(
        Option("-n, --interaction N", "Show only this one, counted from 1.", {"type": number_from_1}),
        AS_JSON,
    ),
    run=_run,
)


def _as_json(turn: Turn) -> dict[str, Any]:
    from .conversation import body_of  # noqa: PLC0415 - as in `_run`

    interaction = turn.interaction
    request, response = interaction.request, interaction.response
    return {
        "number": turn.number,
        "recorded_at": interaction.recorded_at,
        "elapsed": interaction.elapsed,
        "request": {"method": request.method, "url": request.url, "body": body_of(request)},
        "continues": turn.continues,
        "repeated_messages": turn.repeated,
        "response": {
            "status": response.status,
            "streamed": response.events is not None,
            "completion": turn.completion,
            "body": None if turn.completion else body_of(response),
        },
    }


def _print_snapshots(path: str, snapshots: dict[str, Any], *, as_json: bool, waits: bool) -> None:
    from rich.text import Text  # noqa: PLC0415 - as in `_run`

    if as_json:
        echo(json_text({"path": path, "snapshots": snapshots}))
        return
    console = open_console()
    console.print(Text(safe(path), "bold"), soft_wrap=True)
    facts = [plural(len(snapshots), "snapshot"), *([WAITS] if waits else [])]
    console.print(Text(", ".join(facts), "dim"), soft_wrap=True)
    for name, value in snapshots.items():
        console.print()
        console.print(Text(safe(name), "bold"), soft_wrap=True)
        console.print(Text(safe(_shortened(value))), soft_wrap=True)


def _print_head(console: Console, path: str, cassette: Cassette, form: str, *, waits: bool) -> None:
    from rich.text import Text  # noqa: PLC0415 - as in `_run`

    facts = [plural(len(cassette.interactions), "interaction")]
    if cassette.test:
        facts.insert(0, safe(cassette.test))
    if form != "stepreplay":
        facts.append(f"{form} format")
    if waits:
        facts.append(WAITS)
    console.print(Text(safe(path), "bold"), soft_wrap=True)
    console.print(Text(", ".join(facts), "dim"), soft_wrap=True)


def _print_turn(console: Console, turn: Turn, *, whole: bool) -> None:
    from rich.text import Text  # noqa: PLC0415 - as in `_run`

    from .conversation import body_of  # noqa: PLC0415

    def block(label: str, text: str, style: str = "") -> None:
        print_block(console, safe(label), Text(safe(text), style), STYLES.get(label.partition(" ")[0], ""))

    request = turn.interaction.request
    console.print()
    heading = f"{turn.number}  {request.method} {request.url}"
    console.print(
        Text(safe(heading), "bold") + Text(safe(f"  {_outcome_of(turn.interaction)}"), "dim"), soft_wrap=True
    )
    if turn.messages is None:
        if request.body_kind:
            block("request", _shortened(body_of(request)))
    else:
        parameters = _parameters_of(request.json)
        if parameters:
            block("asks", parameters, "dim")
        hidden = 0 if whole else turn.repeated
        if hidden:
            where = "as above" if turn.continues == turn.number - 1 else f"as in {turn.continues}"
            console.print(Text(f"… {plural(hidden, 'earlier message')} {where}", "dim"), soft_wrap=True)
        names = _names_of_calls(turn.messages)
        for message in turn.messages[hidden:]:
            _print_message(block, message, names)
    _print_response(block, turn)


def _print_message(
    block: Callable[..., None], message: dict[str, Any], names: dict[str, str], suffix: str = ""
) -> None:
    from .conversation import calls_of, text_of  # noqa: PLC0415 - as in `_run`

    role = str(message.get("role") or "?")
    for key in ("reasoning", "reasoning_content"):
        if message.get(key):
            block("reasoning", text_of(message[key]), "dim italic")
    text = text_of(message.get("content"))
    calls = calls_of(message)
    if role == "tool":
        name = names.get(str(message.get("tool_call_id")), str(message.get("tool_call_id") or ""))
        text = f"{name}: {text}"
    if text or not (calls or message.get("refusal")):
        block(role + suffix, text or "(nothing)")
    if message.get("refusal"):
        block(role + suffix, f"refuses: {text_of(message['refusal'])}")
    for _, name, arguments in calls:
        block("call" + suffix, f"{name}({arguments})")


def _print_response(block: Callable[..., None], turn: Turn) -> None:
    from .conversation import body_of  # noqa: PLC0415 - as in `_run`

    response, completion = turn.interaction.response, turn.completion
    error = _error_of(response, completion)
    choices = completion["choices"] if completion else []
    for choice in choices:
        if isinstance(choice, dict) and isinstance(choice.get("message"), dict):
            suffix = f" {choice.get('index')}" if len(choices) > 1 else ""
            _print_message(block, choice["message"], {}, suffix)
    if error:
        block("error", error)
    elif completion is None:
        body = body_of(response)
        block("response", "(no body)" if body in (None, "") else _shortened(body))
    if completion:
        block("ends", _end_of(completion), "dim")


def _outcome_of(interaction: Interaction) -> str:
    facts = [str(interaction.response.status)]
    if interaction.response.events is not None:
        facts.append("streamed")
    if interaction.elapsed is not None:
        facts.append(f"{interaction.elapsed:.2f} s")
    if interaction.recorded_at:
        facts.append(interaction.recorded_at)
    return ", ".join(facts)


def _parameters_of(body: dict[str, Any]) -> str:
    told = [str(body["model"])] if "model" in body else []
    for name, value in body.items():
        if name == "tools" and isinstance(value, list):
            functions = [it.get("function", it.get("custom", it)) for it in value if isinstance(it, dict)]
            names = [str(it.get("name") or it.get("type")) for it in functions if isinstance(it, dict)]
            told.append(f"tools: {', '.join(names)}")
        elif name not in ("model", "messages", "stream"):
            told.append(f"{name}={value if isinstance(value, str) else _shortened(value, indent=None)}")
    return ", ".join(told)


def _names_of_calls(messages: tuple[dict[str, Any], ...]) -> dict[str, str]:
    from .conversation import calls_of  # noqa: PLC0415 - as in `_run`

    return {call_id: name for message in messages for call_id, name, _ in calls_of(message)}


def _error_of(response: Response, completion: dict[str, Any] | None) -> str:
    body = completion or response.json
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        told = (error.get("type") or error.get("code"), error.get("message"))
        return ": ".join(str(it) for it in told if it) or _shortened(error)
    return _shortened(error) if error else ""


def _end_of(completion: dict[str, Any]) -> str:
    reasons = [it.get("finish_reason") for it in completion["choices"] if isinstance(it, dict)]
    told = [", ".join(dict.fromkeys(str(it) for it in reasons if it)) or "without a finish reason"]
    usage = completion.get("usage")
    if isinstance(usage, dict):
        spent = f"{usage.get('prompt_tokens')} + {usage.get('completion_tokens')} tokens"
        cached = usage.get("cached_tokens")
        told.append(f"{spent} ({cached} cached)" if cached else spent)
    return ", ".join(told)


def _shortened(value: Any, indent: int | None = 2) -> str:
    """Returns a body that is no conversation, with its long lists and texts cut."""
    text = value if isinstance(value, str) else json.dumps(_cut(value), indent=indent, ensure_ascii=False)
    return text if len(text) <= TEXT else f"{text[:TEXT]}… ({len(text) - TEXT:,} more characters)"


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cut(it) for key, it in value.items()}
    if isinstance(value, list):
        more = [f"… {len(value) - LISTED:,} more"] if len(value) > LISTED else []
        return [_cut(it) for it in value[:LISTED]] + more
    return value
