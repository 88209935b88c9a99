"""`stepreplay show`: one cassette as the conversation that it holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from ..commands import stepreplay_command
from ..errors import StepReplayError
from ..store.cassettes import read_cassette
from ..store.pending import read_new_version
from ..store.snapshot_files import read_snapshots
from ..wire.json_values import on_one_line
from ..wire.vectors import shorten
from . import printing
from .command import AS_JSON, Command, Operand, Option, number_from_1
from .conversation import body_shown, is_streamed, read_turns, summary_of
from .naming import find_cassette
from .project import display
from .terminal import echo, json_text, plural, safe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console

    from ..endpoints import Endpoint, Remark
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
LISTED: Final = 12  # items of a list, such as an embedding, that are shown
TEXT: Final = 2_000  # characters of a body that is no conversation


def _run(cassette: str, interaction: int | None, as_json: bool) -> int:
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
    console = printing.open_console()
    _print_head(console, display(path), new, form, waits=waits)
    for turn in turns:
        _print_turn(console, turn, whole=interaction is not None)
    return 0


SHOW: Final = Command(
    name="show",
    description="""
    Print a cassette as a readable conversation.

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
    interaction = turn.interaction
    request, response = interaction.request, interaction.response
    return {
        "number": turn.number,
        "recorded_at": interaction.recorded_at,
        "elapsed": interaction.elapsed,
        "stale": interaction.stale,
        "request": {"method": request.method, "url": request.url, "body": body_shown(request)},
        "continues": turn.continues,
        "repeated_messages": turn.repeated,
        "response": {
            "status": response.status,
            "streamed": response.events is not None,
            "completion": turn.answer,
            "body": None if turn.answer else body_shown(response),
        },
        "samples": [body_shown(each) for each in interaction.samples],
    }


def _waits() -> str:
    return f"a new version, which is pending (decide: {stepreplay_command('review')})"


def _print_snapshots(path: str, snapshots: dict[str, Any], *, as_json: bool, waits: bool) -> None:
    if as_json:
        echo(json_text({"path": path, "snapshots": snapshots}))
        return
    console = printing.open_console()
    console.print(printing.Text(safe(path), "bold"), soft_wrap=True)
    facts = [plural(len(snapshots), "snapshot"), *([_waits()] if waits else [])]
    console.print(printing.Text(", ".join(facts), "dim"), soft_wrap=True)
    for name, value in snapshots.items():
        console.print()
        console.print(printing.Text(safe(name), "bold"), soft_wrap=True)
        console.print(printing.Text(safe(_shortened(value))), soft_wrap=True)


def _print_head(console: Console, path: str, cassette: Cassette, form: str, *, waits: bool) -> None:
    facts = [plural(len(cassette.interactions), "interaction")]
    if cassette.test:
        facts.insert(0, safe(cassette.test))
    if form != "stepreplay":
        facts.append(f"{form} format")
    if waits:
        facts.append(_waits())
    console.print(printing.Text(safe(path), "bold"), soft_wrap=True)
    console.print(printing.Text(", ".join(facts), "dim"), soft_wrap=True)


def _print_turn(console: Console, turn: Turn, *, whole: bool) -> None:
    def block(label: str, text: str, style: str = "") -> None:
        printing.print_block(
            console, safe(label), printing.Text(safe(text), style), STYLES.get(label.partition(" ")[0], "")
        )

    request = turn.interaction.request
    console.print()
    heading = f"{turn.number}  {request.method} {request.url}"
    console.print(
        printing.Text(safe(heading), "bold")
        + printing.Text(safe(f"  {_outcome_of(turn.interaction)}"), "dim"),
        soft_wrap=True,
    )
    if turn.asked is None:
        if request.body_kind:
            block("request", summary_of(request) or _shortened(body_shown(request)))
    else:
        parameters = _parameters_of(request.json, turn.endpoint)
        if parameters:
            block("asks", parameters, "dim")
        hidden = 0 if whole else turn.repeated
        if hidden:
            where = "as above" if turn.continues == turn.number - 1 else f"as in {turn.continues}"
            console.print(
                printing.Text(f"… {plural(hidden, 'earlier message')} {where}", "dim"), soft_wrap=True
            )
        for remark in turn.asked[hidden:]:
            _print_remark(block, remark, turn.tools)
    _print_response(block, turn)


def _print_remark(block: Callable[..., None], remark: Remark, tools: Mapping[str, str]) -> None:
    suffix = f" {remark.label}" if remark.label else ""
    for thought in remark.reasoning:
        block("reasoning", thought, "dim italic")
    text = remark.text
    if remark.cites is not None:
        text = f"{tools.get(remark.cites, remark.cites)}: {text}"
    if text or not (remark.calls or remark.refusal or not remark.role):
        block(remark.role + suffix, text or "(nothing)")
    if remark.refusal:
        block(remark.role + suffix, f"refuses: {remark.refusal}")
    for call in remark.calls:
        block("call" + suffix, f"{call.tool}({on_one_line(call.given)})")


def _print_response(block: Callable[..., None], turn: Turn) -> None:
    response = turn.interaction.response
    error = _error_of(response, turn.answer)
    for remark in turn.answered:
        _print_remark(block, remark, turn.tools)
    if error:
        block("error", error)
    elif turn.answer is None:
        body = body_shown(response)
        shown = summary_of(response) or _shortened(body)
        block("response", "(no body)" if body in (None, "") else shown)
    if turn.answer:
        block("ends", _end_of(turn), "dim")


def _outcome_of(interaction: Interaction) -> str:
    facts = [str(interaction.response.status)]
    if is_streamed(interaction.response):
        facts.append("streamed")
    if interaction.elapsed is not None:
        facts.append(f"{interaction.elapsed:.2f} s")
    if interaction.recorded_at:
        facts.append(interaction.recorded_at)
    if interaction.samples:
        facts.append(plural(len(interaction.samples), "sample"))
    if interaction.stale:
        facts.append(f"stale: it {interaction.stale}")
    return ", ".join(facts)


def _parameters_of(body: dict[str, Any], endpoint: Endpoint) -> str:
    said = (
        *(endpoint.conversation.said if endpoint.conversation else ()),
        *(endpoint.reading.said if endpoint.reading else ()),
    )
    told = [str(body["model"])] if "model" in body else []
    for name, value in body.items():
        if name in endpoint.tools and isinstance(value, list):
            names = [tool for it in value if (tool := endpoint.tools[name](it)) is not None]
            told.append(f"{name}: {', '.join(names)}")
        elif name not in ("model", "stream", *said):
            told.append(f"{name}={value if isinstance(value, str) else _shortened(value, indent=None)}")
    return ", ".join(told)


def _error_of(response: Response, answer: dict[str, Any] | None) -> str:
    body = answer or response.json
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        told = (error.get("type") or error.get("code"), error.get("message"))
        return ": ".join(str(it) for it in told if it) or _shortened(error)
    return _shortened(error) if error else ""


def _end_of(turn: Turn) -> str:
    tokens = turn.tokens
    if tokens == (None,) * len(tokens):
        return turn.end
    spent = f"{_told(tokens.input)} + {_told(tokens.output)} tokens"
    return f"{turn.end}, {spent} ({tokens.cached} cached)" if tokens.cached else f"{turn.end}, {spent}"


def _told(count: int | None) -> str:
    return "?" if count is None else str(count)


def _shortened(value: Any, indent: int | None = 2) -> str:
    """Returns a body that is no conversation, with its long lists and texts cut."""
    text = (
        value
        if isinstance(value, str)
        else json.dumps(_cut(shorten(value)), indent=indent, ensure_ascii=False)
    )
    return text if len(text) <= TEXT else f"{text[:TEXT]}… ({len(text) - TEXT:,} more characters)"


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cut(it) for key, it in value.items()}
    if isinstance(value, list):
        more = [f"… {len(value) - LISTED:,} more"] if len(value) > LISTED else []
        return [_cut(it) for it in value[:LISTED]] + more
    return value
