"""A verified run for programs: JSON with a version."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from . import suite_runs, token_costs
from .verified_runs import LEVELS

if TYPE_CHECKING:
    from ..settings import Mode
    from .verified_runs import Result, VerifiedRun

REPORT_VERSION: Final = 1
"""The version of the schema that `run_to_json` returns."""


def render_as_json(run: VerifiedRun) -> str:
    """Returns what `run_to_json` does as text; it ends with a newline."""
    return json.dumps(run_to_json(run), indent=2, ensure_ascii=False) + "\n"


def run_to_json(run: VerifiedRun) -> dict[str, Any]:
    """Returns the whole run as a value that any JSON writer takes.

    ::

        {"stepreplay_report": 1,                          the version of this schema
         "mode": "verify",                                or "rewrite"
         "fail_on": "behavior",                           the level from which on drift fails in this run
         "shard": "",                                     or "2/3", of a run in several parts
         "commit": "",                                    of the repository, where there is one
         "counts": {"same": 7, "drifted": 4,              interactions by status
                    "unverified": 1,
                    "known": 1, "failed": 2},             of those that drifted
         "levels": {"contract": 0, "behavior": 2,         those that drifted, known ones too, by their
                    "content": 1, "metadata": 1},         worst level
         "interactions": [
           {"test": "tests/test_chat.py::test_weather",
            "path": "cassettes/test_chat/test_weather.yaml",
            "interaction": 2,                             its number in the cassette, from 1
            "status": "drifted",                          or "same", "unverified"
            "drift": {"level": "behavior",                null unless it drifted
                      "fail_on": "behavior",
                      "passes": false,
                      "changes": [{"selector": ..., "level": ..., "kind": ..., "summary": ...,
                                   "old": ..., "new": ...}]},
            "reason": "",                                 why it is unverified
            "known": false,                               its drift stands in the baseline
            "failed": true,                               it drifted, is not known, and does not pass
            "said": ...,                                  what was asked and answered, as `conversations` has it
            "tokens": [41, 57],                           of the stored answer and the new one; null where unknown
            "seconds": [0.412, 0.385],                    that they took
            "samples": {                                  where it was asked several times
              "verdict": "changed",                       or "not changed", "not decided"
              "why": "",                                  why nothing is known
              "asked": 27, "of": 60,                      how often it was asked, and might have been
              "chance": 0.0012, "error_rate": 0.05,       the p-value, over all looks; a change is at most the rate
              "classes": [{"answer": ..., "recorded": 54, "new": 11}]}}]}

    The interactions stand by path and number. The report of a run of pytest has a ``suite``, as `suite_to_json` makes
    it. One of ``stepreplay verify`` has ``calls`` and ``tokens`` that were spent, how many requests are ``left``, the
    ``ledger`` of it, as `ledger_to_json` makes it, and the ``prices`` of the project.
    """
    listed = [_listed(each, run.mode) for each in run.ordered]
    statuses = Counter(each["status"] for each in listed)
    levels = Counter(each["drift"]["level"] for each in listed if each["status"] == "drifted")
    counts = {status: statuses[status] for status in ("same", "drifted", "unverified")}
    counts |= {name: sum(each[name] for each in listed) for name in ("known", "failed")}
    return {
        "stepreplay_report": REPORT_VERSION,
        "mode": run.mode.name,
        "fail_on": str(run.fail_on),
        "shard": run.shard,
        "commit": run.commit,
        "counts": counts,
        "levels": {level: levels[level] for level in LEVELS},
        "interactions": listed,
        **_spent(run),
        **({} if run.suite is None else {"suite": suite_runs.suite_to_json(run.suite)}),
    }


def _spent(run: VerifiedRun) -> dict[str, Any]:
    if run.spent is None:
        return {}
    rows, prices = run.spent.rows, run.spent.prices
    return {
        "calls": run.spent.calls,
        "tokens": run.spent.tokens,
        "left": run.spent.left,
        "ledger": token_costs.ledger_to_json(rows, prices),
        "prices": [*map(list, prices)],
    }


def _listed(result: Result, mode: Mode) -> dict[str, Any]:
    drift = result["drift"] if result["status"] == "drifted" else None
    sampled = {"samples": result["samples"]} if result.get("samples") else {}
    return {
        "test": result["test"],
        "path": result["path"],
        "interaction": result["interaction"],
        "status": result["status"],
        "drift": drift,
        "reason": result["reason"],
        "known": bool(drift and result["known"]),
        "failed": bool(not mode.rewrites and drift and not drift["passes"] and not result["known"]),
        "said": result.get("said"),
        "tokens": result.get("tokens"),
        "seconds": result.get("seconds"),
        **sampled,
    }
