"""What a review shows of one pending change: lines of text, each as wide as the terminal at most.

The conversation so far, the question, what changed by level, and who quotes the old answer; where the
terminal is wide, texts stand side by side. All text is safe to print.
"""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from ..drift import forms
from ..endpoints import endpoint_of_url
from ..models import LARGE_TEXT
from ..texts.columns import columns_of, shortened
from ..texts.escaping import escape_for_terminal
from ..texts.words import diff_words, stretches_of
from ..value_classes import dataclass
from ..wire.json_values import on_one_line
from . import printing
from .conversation import asked_in, body_shown, summary_of
from .show import STYLES as ROLES
from .terminal import plural, safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console
    from rich.text import Text

    from ..drift.changes import Change
    from ..endpoints import Remark
    from .pending_changes import PendingDrift

STYLES: Final = {
    "contract": "bold red",
    "behavior": "red",
    "content": "yellow",
    "removed": "red",
    "added": "green",
}
SIDE_BY_SIDE: Final = 120
"""Columns from which on two texts stand beside each other."""
LOW: Final = 16
"""Lines of a terminal below which the head of the screen is short."""
_LETTERS: Final = 20_000
"""Of one text, in the whole diff; nobody reads on."""
_EXCERPT: Final = 900
"""Of one text before that is asked for."""
_REMARK: Final = 2_000
_CONTEXT: Final = 2
"""Lines without a change that stay around one with it, where texts stand side by side."""
_INDENT: Final = 2


@dataclass(frozen=True, slots=True)
class View:
    """How a change is looked at.

    Attributes:
        width: columns of the terminal.
        height: its lines.
        whole: the whole diff is shown.
        opened: so is the conversation before the question.
    """

    width: int
    height: int
    whole: bool = False
    opened: bool = False


def head_lines(change: PendingDrift, position: str, notes: Iterable[str], view: View) -> list[Text]:
    """Returns what stands above a change: which it is, how much it matters, and whose it is."""
    pending, request = change.pending, change.request
    told = [position, change.level, change.name, *notes]
    lines = [
        printing.Text(clip(" · ".join(told), view.width), f"bold {STYLES.get(change.level, '')}".strip())
    ]
    path = shortened(escape_for_terminal(str(pending.target)), view.width)
    lines.append(printing.Text(path, "bold" if view.height >= LOW else ""))
    if view.height >= LOW:
        if pending.test:
            lines.append(printing.Text(shortened(escape_for_terminal(pending.test), view.width), "dim"))
        if request:
            lines.append(printing.Text(clip(f"{request.method} {request.url}", view.width), "dim"))
    return lines


def foot_lines(view: View, alike: int) -> list[Text]:
    """Returns what stands below a change: the keys, as many of them as there is room for.

    Args:
        view: how the change is looked at.
        alike: how many changes have its cause.
    """
    told = {
        "a": "accept",
        "r": "reject",
        "s": "skip",
        "A R S": f"all {alike:,} like this" if alike > 1 else "all like this",
        "u": "undo",
        "b": "back",
        "d": "leading part" if view.whole else "whole diff",
        "c": "fold" if view.opened else "conversation",
        "e": "edit",
        "/": "filter",
        "?": "help",
        "q": "quit",
    }
    most = 2 if view.width >= 60 or view.height < LOW else 3
    for least in (None, "e", "c", "/", "d", "b", "u", "A R S"):
        if least:
            del told[least]
        lines = _flowing([f"{key} {word}" for key, word in told.items()], view.width, "  ")
        if len(lines) <= most:
            break
    return [printing.Text(clip(line, view.width), "bold") for line in lines]


def key_lines(keys: Iterable[str], width: int) -> list[Text]:
    """Returns what keys do, in lines of so many columns."""
    return [printing.Text(line, "bold") for line in _flowing(keys, width, "  ")]


def note_lines(note: str, width: int) -> list[Text]:
    """Returns what a person should take note of, in lines of so many columns."""
    lines = [each for line in note.splitlines() for each in _flowing(safe(line).split(" "), width, " ")]
    return [printing.Text(line, "bold yellow") for line in lines]


def _flowing(words: Iterable[str], width: int, space: str) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and columns_of(lines[-1] + space + word) <= width:
            lines[-1] += space + word
        else:
            lines.append(word)
    return lines


def scrolled(lines: Sequence[Text], top: int, room: int, width: int) -> list[Text]:
    """Returns those of some lines that fit into the room, and what to say of the others where there are any.

    Args:
        lines: all of them.
        top: how many of them are above.
        room: how many lines there is room for.
        width: columns of the terminal.
    """
    shown = [*lines[top : top + room]]
    if len(lines) <= room:
        return shown
    left = len(lines) - top - room + 1
    if left > 1:
        more = f"… {plural(left, 'more line')} (space moves on, d shows all)"
        return [*shown[:-1], printing.Text(clip(more, width), "dim")]
    more = f"lines {top + 1:,} to {len(lines):,}: the last (up moves back)"
    return [*shown[1:], printing.Text(clip(more, width), "dim")]


def clip(text: str, width: int) -> str:
    """Returns the start of a text that fits into one line, safe to print."""
    text = escape_for_terminal(text)
    found = printing.Text(text)
    found.truncate(max(width, 1), overflow="ellipsis")
    return found.plain


def screen_lines(change: PendingDrift, view: View, console: Console) -> list[Text]:
    """Returns all there is to see of a change."""
    blocks = [
        *_conversation(change, view),
        *_changes(change, view, console),
        *_quoted(change),
    ]
    lines = [line for block in blocks for line in _wrapped(block, view.width, console)]
    return lines if view.height >= LOW else [line for line in lines if line.plain]


def _wrapped(text: Text, width: int, console: Console) -> list[Text]:
    if columns_of(text.plain) <= width and "\n" not in text.plain and "\t" not in text.plain:
        return [text]
    return [*text.wrap(console, max(width, 10), tab_size=4, overflow="fold")]


# ---------------------------------------------------------------- what was asked


def _conversation(change: PendingDrift, view: View) -> Iterator[Text]:
    if change.request is None:
        return
    asked = asked_in(endpoint_of_url(change.request.url), change.request)
    if asked is None:
        shown = summary_of(change.request) or _json(body_shown(change.request))
        if change.request.body_kind:
            yield _labelled("request", shown, view)
            yield printing.Text()
        return
    at = _question(asked)
    if at and not view.opened:
        yield printing.Text(f"… {plural(at, 'earlier message')} (c shows the conversation)", "dim")
    for remark in asked[0 if view.opened else at :]:
        yield from _remark(remark, view)
    yield printing.Text()


def _question(asked: Sequence[Remark]) -> int:
    """Returns where the question begins: with the last remark, or the first of several of one role."""
    at = len(asked)
    while at and asked[at - 1].role == asked[-1].role:
        at -= 1
    return at


def _remark(remark: Remark, view: View) -> Iterator[Text]:
    for thought in remark.reasoning:
        yield _labelled("reasoning", thought, view)
    if remark.text or not (remark.calls or remark.refusal):
        yield _labelled(remark.role, remark.text or "(nothing)", view)
    if remark.refusal:
        yield _labelled(remark.role, f"refuses: {remark.refusal}", view)
    for call in remark.calls:
        yield _labelled("call", f"{call.tool}({on_one_line(call.given)})", view)


def _labelled(label: str, text: str, view: View) -> Text:
    left = len(text) - _REMARK
    if not view.whole and left > 0:
        text = f"{text[:_REMARK]}… ({left:,} more characters)"
    elif len(text) > _LETTERS:
        text = f"{text[:_LETTERS]}… ({len(text) - _LETTERS:,} more characters)"
    style = ROLES.get(label, "dim")
    return printing.Text.assemble((f"{escape_for_terminal(label)}: ", style), safe(text))


# ---------------------------------------------------------------- what changed


def _changes(change: PendingDrift, view: View, console: Console) -> Iterator[Text]:
    for line in change.around:
        yield printing.Text(line)
    if change.drift is None:
        yield from _value_alone(change, view)
        return
    if not change.drift and not change.around:
        yield printing.Text("only volatile values differ")
    for level, group in groupby(change.drift.changes, key=lambda each: str(each.level)):
        yield printing.Text(level, STYLES.get(level, "bold"))
        for each in group:
            yield from _one_change(each, view, console)


def _value_alone(change: PendingDrift, view: View) -> Iterator[Text]:
    text = change.value(indent=2)
    most = _LETTERS if view.whole else _REMARK
    left = len(text) - most
    yield printing.Text(change.unit.change, STYLES.get(change.unit.change, ""))
    yield printing.Text(safe(text[:most] + (f"… ({left:,} more characters)" if left > 0 else "")))


def _one_change(change: Change, view: View, console: Console) -> Iterator[Text]:
    place = f"{' ' * _INDENT}{escape_for_terminal(change.selector)}"
    note = f"; {escape_for_terminal(change.note)}" if change.note else ""
    if change.kind == "text":
        note = f" (similarity {int((change.similarity or 0) * 100) / 100:.2f})" + note
        if view.width >= SIDE_BY_SIDE and max(len(change.old), len(change.new)) <= _LETTERS:
            yield printing.Text.assemble(place, (note, "dim"))
            yield from _side_by_side(change.old, change.new, view, console)
            return
        old, new, left = _excerpts(change.old, change.new)
        text = diff_words(old, new, width=_LETTERS if view.whole else _EXCERPT)
        shown = printing.colored(safe(text) + (f"… ({left:,} more characters)" if left else ""))
        alone = printing.Text.assemble(place, ": ", shown, (note, "dim"))
        if columns_of(alone.plain) <= view.width and "\n" not in alone.plain:
            yield alone
            return
        yield printing.Text.assemble(place, (note, "dim"))
        for line in _wrapped(shown, view.width - 2 * _INDENT, console):
            yield printing.Text.assemble(" " * 2 * _INDENT, line)
        return
    old, new = forms.sides_of(change, width=_LETTERS if view.whole else _EXCERPT)
    if not (old or new):
        source = f" ({escape_for_terminal(change.source)})" if change.source else ""
        yield printing.Text.assemble(place, ": ", change.summary, (source, "dim"))
        return
    arrow = " -> " if old and new else ""
    word = "" if arrow else "added " if new else "removed "
    yield printing.Text.assemble(place, ": ", word, (old, "red"), arrow, (new, "green"), note)


def _excerpts(old: str, new: str) -> tuple[str, str, int]:
    """Returns what of two texts is compared, and how much of the longer one is not: all of it, unless it is huge."""
    if max(len(old), len(new)) <= LARGE_TEXT // 4:
        return old, new, 0
    start = next((i for i in range(0, len(old), _REMARK) if old[i : i + _REMARK] != new[i : i + _REMARK]), 0)
    old, new = old[start:], new[start:]
    return old[:_LETTERS], new[:_LETTERS], max(len(old), len(new)) - _LETTERS


def _side_by_side(old: str, new: str, view: View, console: Console) -> Iterator[Text]:
    """Yields rows of two texts: what went is marked on the left, what came on the right."""
    column = (view.width - _INDENT - 3) // 2
    yield _row(printing.Text("stored", "dim"), printing.Text("new", "dim"), column)
    rows = [
        (*row, differs)
        for left, right, differs in _paired_lines(old, new)
        for row in _even(_wrapped(left, column, console), _wrapped(right, column, console))
    ]
    kept = range(len(rows)) if view.whole else _near_changes([each[2] for each in rows])
    at = 0
    for i in kept:
        if i > at:
            yield printing.Text(f"{' ' * _INDENT}… {plural(i - at, 'equal line')}", "dim")
        yield _row(rows[i][0], rows[i][1], column)
        at = i + 1
    if at < len(rows):
        yield printing.Text(f"{' ' * _INDENT}… {plural(len(rows) - at, 'equal line')}", "dim")


def _paired_lines(old: str, new: str) -> Iterator[tuple[Text, Text, bool]]:
    """Yields the lines of both texts side by side, where what is equal ends a line on both sides."""
    left, right, differs = printing.Text(), printing.Text(), False
    for mark, stretch in stretches_of(old, new):
        if mark:
            side, opening, closing, style = _SIDES[mark]
            (left, right)[side].append(f"{opening}{safe(stretch)}{closing}", style)
            differs = True
            continue
        first, *others = safe(stretch).split("\n")
        left.append(first)
        right.append(first)
        for line in others:
            yield left, right, differs
            left, right, differs = printing.Text(line), printing.Text(line), False
    yield left, right, differs


_SIDES: Final = {"removed": (0, "[-", "-]", "red"), "added": (1, "{+", "+}", "green")}


def _even(left: list[Text], right: list[Text]) -> Iterator[tuple[Text, Text]]:
    for i in range(max(len(left), len(right))):
        yield (
            left[i] if i < len(left) else printing.Text(),
            right[i] if i < len(right) else printing.Text(),
        )


def _row(left: Text, right: Text, column: int) -> Text:
    left = left.copy()
    left.rstrip()
    left.truncate(column, pad=True)
    return printing.Text.assemble(" " * _INDENT, left, (" │ ", "dim"), right)


def _near_changes(differs: Sequence[bool]) -> list[int]:
    changed = [i for i, each in enumerate(differs) if each]
    near = {i for at in changed for i in range(at - _CONTEXT, at + _CONTEXT + 1)}
    return sorted(near & set(range(len(differs))))


# ---------------------------------------------------------------- who quotes it


def _quoted(change: PendingDrift) -> Iterator[Text]:
    if change.quoted:
        yield printing.Text()
        yield printing.Text(f"{safe(change.quoted)}: once this is accepted, that does not replay", "yellow")
    tests = [each for each in change.tests_again if each != change.owner]
    if tests:  # the answer of a fixture
        yield printing.Text.assemble(("used by: ", "dim"), safe(", ".join(tests)))


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
