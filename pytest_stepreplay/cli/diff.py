"""`stepreplay diff`: how the responses of one cassette, completion or stream differ from another's."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final

from ..drift.comparison import compare
from ..drift.keeping import body_of
from ..endpoints import contract_of_url, endpoint_of_url
from ..errors import StepReplayError
from ..matching.keys import Matcher
from ..report.renderers import render
from ..settings.policy import Policy
from ..store.cassettes import read_cassette
from ..store.pending import read_new_version
from ..store.snapshot_files import read_snapshots
from ..value_classes import dataclass
from ..wire.events import json_chunks_of
from ..wire.json_values import parsed_or_none
from . import printing
from .command import AS_JSON, COLOR, Command, Operand, Option, UsageError, one_of
from .conversation import last_said
from .naming import find_cassette
from .terminal import echo, json_text, plural, safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ..drift.changes import Drift
    from ..models import Interaction, Request

FAIL_ON: Final = ("contract", "behavior", "content", "metadata", "never")

_FIELD: Final = re.compile(r"\s*(?:data|event|id|retry)?:")
"""How a stream of server-sent events begins."""


@dataclass(frozen=True, slots=True)
class Item:
    """One response to compare, as `compare` takes it, with the request that it answers if that is known."""

    number: int
    response: Any
    request: Request | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two responses and their drift."""

    old: Item
    new: Item
    drift: Drift
    same_request: bool


def _run(a: str, b: str, fail_on: str, color: str, as_json: bool) -> int:
    if a == b == "-":
        raise UsageError("only one of A and B can be -")
    old, new = _read_items(a), _read_items(b)
    pairs, only_old, only_new = _paired(old, new)
    if as_json:
        echo(json_text(_as_json(a, b, pairs, only_old, only_new)))
    else:
        _print(a, b, pairs, only_old, only_new, console=printing.open_console(color))
    alone = bool(only_old or only_new) and fail_on not in ("contract", "never")
    return 1 if alone or not all(pair.drift.passes(fail_on) for pair in pairs) else 0


DIFF: Final = Command(
    name="diff",
    description="""
    Show how the responses in B differ from those in A, leaving out volatile fields.

    A and B are cassettes, JSON files with a chat completion (or a list of them), or the text of a stream. One
    of them may be - for stdin. Cassettes are compared request by request: equal requests first, the others in
    order.

    Levels, worst first: contract (the documented object is broken), behavior (tools, arguments, finish
    reason), content (texts), metadata (model, usage). A response that only one side has counts as behavior.
    """,
    examples=(
        "stepreplay diff cassettes/test_chat/test_greeting.yaml again/test_chat/test_greeting.yaml",
        "curl ... | stepreplay diff stored.json - --fail-on behavior",
    ),
    operands=(Operand("a"), Operand("b")),
    options=(
        Option(
            f"--fail-on [{'|'.join(FAIL_ON)}]",
            "Exit with status 1 for differences of this level or worse. [default: content]",
            {"type": one_of(FAIL_ON), "default": "content"},
        ),
        COLOR,
        AS_JSON,
    ),
    run=_run,
)


def _read_items(name: str) -> list[Item]:
    """Returns the responses in a file.

    Raises:
        StepReplayError: if it cannot be read, or holds nothing to compare.
    """
    path = None if name == "-" else find_cassette(name)
    if path is not None and path.name.endswith(".new"):
        new = read_new_version(path)
        if isinstance(new, dict):
            return [Item(number, it) for number, it in enumerate(new["snapshots"].values(), 1)]
        return [_item_of(number, it) for number, it in enumerate(new.interactions, 1)]
    if path is not None and path.name.endswith(".snapshots.yaml"):
        return [Item(number, it) for number, it in enumerate(read_snapshots(path).values(), 1)]
    data = sys.stdin.buffer.read() if path is None else path.read_bytes()
    text = data.decode("utf-8-sig", "replace")
    value = parsed_or_none(text)
    if isinstance(value, list):
        items = [Item(number, it) for number, it in enumerate(value, 1)]
    elif isinstance(value, dict) and "interactions" not in value:
        items = [Item(1, value)]
    elif value is None and _is_stream(text):
        items = [Item(1, text)]
    elif path is None:
        raise StepReplayError(
            "stdin holds neither a chat completion as JSON nor a stream of server-sent events"
        )
    else:
        items = [
            _item_of(number, it) for number, it in enumerate(read_cassette(path).cassette.interactions, 1)
        ]
    if not items:
        raise StepReplayError(f"{name}: it has no response to compare")
    return items


def _is_stream(text: str) -> bool:
    # In a cassette, frames are indented; it begins otherwise.
    return bool(_FIELD.match(text) and json_chunks_of(text))


def _item_of(number: int, interaction: Interaction) -> Item:
    return Item(number, body_of(interaction.response), interaction.request)


def _paired(old: list[Item], new: list[Item]) -> tuple[list[Pair], list[Item], list[Item]]:
    """Returns the pairs in the order of the new side, and what is left on either side.

    A later request of a conversation holds the earlier answers, so it changes with them: where equal requests
    are paired up, the others are paired in order.
    """
    waiting: dict[str | None, list[Item]] = {}
    for item in old:
        waiting.setdefault(_key_of(item), []).append(item)
    partners: dict[int, Item] = {}
    for item in new:
        same = waiting.get(_key_of(item))
        if item.request is not None and same:
            partners[item.number] = same.pop(0)
    equal = set(partners)
    rest = sorted((item for items in waiting.values() for item in items), key=lambda item: item.number)
    for item in new:
        if item.number not in partners and rest:
            partners[item.number] = rest.pop(0)
    pairs = []
    for item in new:
        if item.number in partners:
            partner = partners[item.number]
            endpoint = endpoint_of_url(partner.request.url) if partner.request else None
            drift = compare(partner.response, item.response, _policy_for(partner), endpoint=endpoint)
            pairs.append(Pair(partner, item, drift, item.number in equal))
    return pairs, rest, [item for item in new if item.number not in partners]


def _policy_for(stored: Item) -> Policy:
    return Policy(contract=contract_of_url(stored.request.url if stored.request else ""))


def _key_of(item: Item) -> str | None:
    return None if item.request is None else Matcher().key(item.request)


def _as_json(
    a: str, b: str, pairs: Sequence[Pair], only_old: Sequence[Item], only_new: Sequence[Item]
) -> dict[str, Any]:
    level = max((pair.drift.level for pair in pairs), default=None)
    return {
        "a": a,
        "b": b,
        "level": "none" if level is None else str(level),
        "compared": [
            {
                "a": pair.old.number,
                "b": pair.new.number,
                "same_request": pair.same_request,
                "drift": pair.drift.to_json(),
            }
            for pair in pairs
        ],
        "only_in_a": [item.number for item in only_old],
        "only_in_b": [item.number for item in only_new],
    }


def _print(
    a: str,
    b: str,
    pairs: Sequence[Pair],
    only_old: Sequence[Item],
    only_new: Sequence[Item],
    *,
    console: Console,
) -> None:
    many = len(pairs) + len(only_old) + len(only_new) > 1
    for pair in pairs:
        if many:
            console.print(
                printing.Text(safe(f"{_place(pair)}  {_told(pair.new)}".rstrip()), "bold"), soft_wrap=True
            )
        if not pair.same_request and pair.old.request and pair.new.request:
            console.print(printing.Text("the requests differ too", "yellow"), soft_wrap=True)
        shown = render(pair.drift, "full") if pair.drift else "no difference except in volatile fields"
        console.print(printing.colored(shown), soft_wrap=True)
        if many:
            console.print()
    for name, items in ((a, only_old), (b, only_new)):
        for item in items:
            console.print(
                printing.Text(safe(f"only in {name}: {item.number}  {_told(item)}".rstrip()), "red"),
                soft_wrap=True,
            )
    drifted = sum(bool(pair.drift) for pair in pairs)
    if many:
        console.print(printing.Text(f"{plural(len(pairs), 'response')} compared, {drifted:,} drifted", "dim"))


def _place(pair: Pair) -> str:
    old, new = pair.old.number, pair.new.number
    return str(new) if old == new else f"{old} -> {new}"


def _told(item: Item) -> str:
    """Returns the request in a few words."""
    if item.request is None:
        return ""

    said = " ".join(last_said(item.request).split())
    quoted = f'  "{said[:60]}…"' if len(said) > 60 else f'  "{said}"' if said else ""
    return f"{item.request.method} {item.request.url}{quoted}"
