"""A run of the mode mutate as a page in HTML, in one file that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from ..texts.escaping import escape_for_terminal
from .mutated_runs import headline_of, survivor_line, survivors_by_level, told_apart

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from .mutated_runs import MutatedRun

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
"""What the page may do (Content Security Policy, level 3): nothing but look as it does."""

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid #ccc; padding: .3rem .5rem; text-align: left; }
td.number { text-align: right; }
code { background: #8882; padding: 0 .2rem; }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #ddd; } }
"""


def mutants_as_html(run: MutatedRun) -> str:
    """Returns a run's results as a page."""
    parts = [f"<p>{_text(headline_of(run))}</p>"]
    for level, found in survivors_by_level(run):
        parts.append(f"<h2>Survived: {_text(level)} ({len(found)})</h2>")
        parts.append(
            _list(f"{'(known) ' * mutant['known']}{survivor_line(test, mutant)}" for test, mutant in found)
        )
    apart = told_apart(run)
    if apart:
        parts += ["<h2>Not counted</h2>", _list(apart)]
    rows = "".join(map(_row, run.ordered))
    heads = "".join(f"<th>{each}</th>" for each in ("test", "noticed", "survived", "by the conversation"))
    parts.append(f"<h2>Tests</h2>\n<table><tr>{heads}</tr>{rows}</table>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>What the tests notice</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<style>{_STYLE}</style></head><body>\n<h1>What the tests notice</h1>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _text(text: str) -> str:
    """Returns text for a page, in which what stands between back quotes is code."""
    parts = escape(escape_for_terminal(text)).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))


def _list(lines: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{_text(line)}</li>" for line in lines) + "</ul>"


def _row(result: Mapping[str, Any]) -> str:
    if result["status"] != "mutated":
        return ""
    results = [mutant["result"] for mutant in result["mutants"]]
    numbers = "".join(
        f'<td class="number">{results.count(each)}</td>' for each in ("killed", "survived", "conversation")
    )
    return f"<tr><td><code>{escape(escape_for_terminal(result['test']))}</code></td>{numbers}</tr>\n"
