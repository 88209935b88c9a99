"""A verified run as a page for a browser: one file, with its style and its few lines of script inside.

What a model wrote is text and nothing else: the templates escape it, what nobody sees is made visible, and a content
security policy names the one style and the one script that may run, by their digests. Nothing is loaded.
"""

from __future__ import annotations

import json
from base64 import b64encode
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from jinja2 import DictLoader, Environment, StrictUndefined, Template

from ..machine import disk
from ..texts.escaping import escape_for_terminal
from ..texts.words import stretches_of
from .grouping import group_by_cause, shared_change
from .marks import marked_words
from .verified_runs import LEVELS, MEANING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .verified_runs import Result, VerifiedRun

_FOLDER: Final = __file__.rpartition("run_as_html")[0] + "page/"
_TEMPLATE: Final = "page.html.jinja"
_WIDTH: Final = 400
"""Letters of a value in one line of changes."""


def render_as_html(run: VerifiedRun) -> str:
    """Returns the page, which needs no other file and reaches for none."""
    style, script = _text_of("page.css"), _text_of("page.js")
    return _page().render(
        run=run,
        style=style,
        script=script,
        policy=_policy(style, script),
        levels=[(level, MEANING[level], _causes(group)) for level, group in run.by_level],
        names=LEVELS,
        counts={level: sum(each["drift"]["level"] == level for each in run.new) for level in LEVELS},
        unverified=[(each[0]["reason"], each) for each in group_by_cause(run.unverified)],
        unchanged=sum(each["status"] == "same" for each in run.results),
    )


def _causes(group: Sequence[Result]) -> list[tuple[Mapping[str, Any], str, list[Result]]]:
    """Returns what changed, how much else did, and the interactions, by cause; the one with the most comes first."""
    causes = sorted(group_by_cause(group), key=len, reverse=True)
    shared = [shared_change(each) for each in causes]
    return [(it.change, it.more, each) for it, each in zip(shared, causes, strict=True)]


def _policy(style: str, script: str) -> str:
    """Returns what the page may do (Content Security Policy, level 3): run what stands in it, and no more."""
    digests = [b64encode(sha256(each.encode()).digest()).decode() for each in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _text_of(name: str) -> str:
    return disk.read(_FOLDER + name).decode()


@cache
def _page() -> Template:
    environment = Environment(
        loader=DictLoader({_TEMPLATE: _text_of(_TEMPLATE)}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"visible": _visible, "shown": _shown, "line": _line}
    environment.globals |= {
        "stretches": _stretches,
        "summary_of": _summary_of,
        "arguments": _arguments,
        "pairs_of": _pairs_of,
    }
    return environment.get_template(_TEMPLATE)


def _visible(text: object) -> str:
    """Returns a text in which what nobody sees, or what turns the direction of writing, is an escape."""
    return escape_for_terminal(str(text), lines=True)


def _line(text: object) -> str:
    found = escape_for_terminal(str(text))
    return found if len(found) <= _WIDTH else found[:_WIDTH] + "…"


def _shown(value: object) -> str:
    """Returns a JSON value as a person reads it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _stretches(old: object, new: object) -> list[tuple[str, str]]:
    """Returns two texts in one, as stretches of what went, what came and what stayed."""
    return [(mark, _visible(text)) for mark, text in stretches_of(str(old), str(new))]


def _summary_of(change: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns the summary of a change, as stretches too where it is of words."""
    if change["kind"] not in ("text", "words"):
        return [("", _line(change["summary"]))]
    found = marked_words(_line(change["summary"]))
    return [(mark, text[2:].removesuffix("-]").removesuffix("+}") if mark else text) for text, mark in found]


def _pairs_of(old: Sequence[Any], new: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Yields what stands at the same place on both sides; None where one is shorter."""
    for i in range(max(len(old), len(new))):
        yield (old[i] if i < len(old) else None), (new[i] if i < len(new) else None)


def _arguments(old: Any, new: Any) -> list[tuple[str, str | None, str | None]]:
    """Returns what a tool was given and is given now, argument by argument; None where there is none."""
    sides = [each["given"] if each else None for each in (old, new)]
    if all(isinstance(each, dict) or each is None for each in sides):
        was, now = ({name: _shown(it) for name, it in (each or {}).items()} for each in sides)
        return [(name, was.get(name), now.get(name)) for name in was | now]
    old, new = (None if each is None else _shown(each) for each in sides)
    return [("", old, new)]
