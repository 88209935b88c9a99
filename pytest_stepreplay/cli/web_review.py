"""`stepreplay review --web`: the pending changes as a page in the browser, served to this machine alone.

The page's clicks and keys become the same `Decisions` as those in the terminal.
"""

from __future__ import annotations

import asyncio
import threading
import webbrowser
from importlib.util import find_spec
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from ..errors import StepReplayError
from ..models import Interaction
from ..report import conversations, review_page
from ..server import local_page
from .decisions import DONE, Decisions, Waiting
from .pending_changes import find_pending, tell_units
from .project import guarded_by_project
from .terminal import echo, plural, safe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .pending_changes import PendingDrift

_AT_ONCE: Final = 500
"""Changes in one page, so that it is there in a second or two."""
_VALUE: Final = 20_000
"""Letters of a value that is new or gone as a whole."""


def review_in_browser(paths: tuple[str, ...], *, opens: bool) -> int:
    """Serves the page until it is ended there, or by Ctrl-C; says what was decided, and returns the exit status.

    Args:
        paths: as `find_pending` takes them.
        opens: opens a browser, where there is one.

    Raises:
        StepReplayError: a path names nothing that is pending, or a library is missing.
    """
    _check_installed()
    waiting = Waiting(find_pending(paths))
    waiting.read_all()
    if not waiting.changes and not waiting.problems:
        echo("Nothing is pending.")
        return 0
    decisions = Decisions(waiting)
    with guarded_by_project():
        _serve(waiting, decisions, opens=opens)
    _print_outcome(waiting, decisions)
    return 1 if decisions.refused or waiting.problems else 0


def _serve(waiting: Waiting, decisions: Decisions, *, opens: bool) -> None:
    orders = _PageOrders(waiting, decisions)
    page = local_page.LocalPage(
        orders.page, {"decide": orders.decide, "undo": orders.undo, "end": orders.end}
    )

    def tell(url: str) -> None:
        echo(f"review {plural(len(waiting.changes), 'change')} at {url}")
        echo("Ctrl-C ends it; what was decided stays decided.")
        if opens:  # beside the server, since a browser may keep whoever opens it
            threading.Thread(target=_open, args=(url,), daemon=True).start()

    try:
        asyncio.run(page.serve(tell))
    except KeyboardInterrupt:
        echo("")


def _print_outcome(waiting: Waiting, decisions: Decisions) -> None:
    for verb, done in DONE.items():
        files: dict[Path, list[str]] = {}
        for each in decisions.decided(verb):
            files.setdefault(each.pending.path, []).append(each.unit.name)
        for path, names in files.items():
            echo(f"{done} {tell_units(path, names)}")
    for problem in dict.fromkeys([*decisions.refused, *waiting.problems]):
        echo(safe(f"refused: {problem}"))
    for each in decisions.breaks():
        echo(safe(f"{each.pending.target}: {each.quoted}; record the rest: {each.rest}"))
    left = sum(decisions.of(each) in (None, "skip") for each in waiting.changes)
    if left:
        echo(f"{plural(left, 'change')} still pending")


def _check_installed() -> None:
    for library in ("aiohttp", "jinja2"):
        if find_spec(library) is None:
            raise StepReplayError(
                f"review --web needs {library}, which is not installed.\n"
                "Install it with: pip install 'pytest-stepreplay[html,server]'"
            )


def _open(url: str) -> None:
    try:
        shown = webbrowser.open(url)
    except (webbrowser.Error, OSError):
        shown = False
    if not shown:
        echo("no browser could be opened: open that URL in one")


class _PageOrders:
    """What the page shows, and what it has done."""

    def __init__(self, waiting: Waiting, decisions: Decisions) -> None:
        self._waiting = waiting
        self._decisions = decisions
        self._numbers = count(1)
        self._ids: dict[PendingDrift, str] = {}
        self._by_id: dict[str, PendingDrift] = {}

    def page(self) -> str:
        """Returns the page, with what is to be decided by now."""
        left = [each for each in self._waiting.changes if self._decisions.of(each) in (None, "skip")]
        left.sort(key=lambda each: not self._decisions.is_open(each))  # what was skipped comes last
        shown = [self._shown(each) for each in left[:_AT_ONCE]]
        return review_page.changes_as_html(shown, self._waiting.problems, more=len(left) - len(shown))

    def decide(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Decides as an order of the page says."""
        verb, ids = order.get("verb"), order.get("changes")
        if verb not in DONE or not isinstance(ids, list) or not all(str(each) in self._by_id for each in ids):
            raise local_page.OrderError("an order names accept, reject or skip, and changes of this page")
        chosen = [self._by_id[str(each)] for each in ids]
        refused = self._decisions.decide(verb, chosen)
        done = [each for each in chosen if self._decisions.of(each) == verb]
        quoting = [each for each in done if verb == "accept" and each.quoted]
        advice = "".join(f"{each.quoted}: record the rest with {each.rest}. " for each in quoting[:3])
        return {
            "done": DONE[verb],
            "decided": [self._ids[each] for each in done],
            "gone": [self._ids[each] for each in chosen if each not in done],
            "refused": refused,
            "advice": safe(advice),
        }

    def undo(self, _order: Mapping[str, Any]) -> dict[str, Any]:
        """Takes the last decision back."""
        back, problems = self._decisions.undo()
        return {"back": [self._ids[each] for each in back], "refused": problems}

    def end(self, _order: Mapping[str, Any]) -> dict[str, Any]:
        """Ends the review."""
        done = {DONE[verb]: len(self._decisions.decided(verb)) for verb in DONE}
        left = len(self._waiting.changes) - done["accepted"] - done["rejected"]
        return {
            "ended": f"{done['accepted']:,} accepted, {done['rejected']:,} rejected, {left:,} still pending."
        }

    def _shown(self, change: PendingDrift) -> dict[str, Any]:
        if change not in self._ids:
            self._ids[change] = number = str(next(self._numbers))
            self._by_id[number] = change
        drift = None if change.drift is None else change.drift.to_json()
        value = change.value(indent=2) if drift is None else ""
        left = len(value) - _VALUE
        return {
            "id": self._ids[change],
            "path": str(change.pending.target),
            "interaction": change.unit.name,
            "test": change.pending.test or "",
            "level": change.level,
            "line": change.line,
            "cause": change.cause,
            "drift": drift,
            "said": _said(change),
            "around": change.around,
            "value": f"{value[:_VALUE]}… ({left:,} more characters)" if left > 0 else value,
            "quoted": change.quoted,
            "rewrite": change.rewrite if change.quoted else "",
        }


def _said(change: PendingDrift) -> dict[str, Any] | None:
    old, new = change.unit.old, change.unit.new
    if not isinstance(old, Interaction) or not isinstance(new, Interaction):
        return None
    try:
        return conversations.conversation_of(new.request, old.response, new.response)
    except Exception:  # noqa: BLE001 - whatever cannot be read in an answer, its drift is known
        return None
