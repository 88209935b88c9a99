"""What all pages for a browser share: their templates, their look, and what they may do.

A page is one file, with its style and its few lines of script inside. What a model wrote is text and nothing else:
the templates escape it, what nobody sees is made visible, and a content security policy names the one style and the
scripts that may run, by their digests. Nothing is loaded.
"""

from __future__ import annotations

import json
from base64 import b64encode
from functools import cache, lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined

from ..machine import disk
from ..texts.escaping import escape_for_terminal
from ..texts.words import stretches_of
from .marks import marked_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_FOLDER: Final = __file__.rpartition("pages")[0] + "page/"
_WIDTH: Final = 400
"""Letters of a value in one line of changes."""
_LENGTH: Final = 20_000
"""Letters of one text; a person reads no more of it here."""
_AROUND: Final = 1_000
"""Letters that stayed the same and are shown before and behind those that changed."""
MOST_ROWS: Final = 200
"""Lines of what changed in one answer."""


def render_page(template: str, scripts: Sequence[str], *, connect: bool = False, **values: Any) -> str:
    """Returns a page, which needs no other file and reaches for none.

    Args:
        template: its name, in the folder `page`.
        scripts: the names of those that may run, in their order.
        connect: the page may ask the server that it comes from.
        values: what the template shows.
    """
    style, code = _text_of("page.css"), [_text_of(each) for each in scripts]
    policy = _policy(style, code, connect=connect)
    return _environment().get_template(template).render(style=style, code=code, policy=policy, **values)


def _policy(style: str, scripts: Sequence[str], *, connect: bool) -> str:
    """Returns what a page may do (Content Security Policy, level 3): run what stands in it, and no more."""
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src {_digest(style)}",
            f"script-src {' '.join(map(_digest, scripts))}",
            *(["connect-src 'self'"] if connect else []),
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


@cache
def _text_of(name: str) -> str:
    return disk.read(_FOLDER + name).decode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_text_of),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "visible": _visible,
        "shown": _shown,
        "line": line,
        "code_and_text": _code_and_text,
        "number": "{:,}".format,
        "sum_of": lambda counts: sum(counts.values()),
    }
    environment.globals |= {
        "stretches": _stretches,
        "summary_of": _summary_of,
        "arguments": _arguments,
        "pairs_of": _pairs_of,
        "most_rows": MOST_ROWS,
    }
    return environment


def _visible(text: object) -> str:
    """Returns a text in which what nobody sees, or what turns the direction of writing, is an escape."""
    return escape_for_terminal(str(text), lines=True)


def line(text: object) -> str:
    """Returns a text in one line that is not too long, in which what nobody sees is an escape."""
    found = escape_for_terminal(str(text))
    return found if len(found) <= _WIDTH else found[:_WIDTH] + "…"


def _code_and_text(text: object) -> list[tuple[str, bool]]:
    """Returns the parts of a sentence, and whether each is code: what stands between back quotes."""
    return [(part, bool(i % 2)) for i, part in enumerate(escape_for_terminal(str(text)).split("`"))]


def _shown(value: object) -> str:
    """Returns a JSON value as a person reads it."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return text if len(text) <= _LENGTH else f"{text[:_LENGTH]}{_left(len(text) - _LENGTH)}"


def _left(letters: int) -> str:
    return f"… ({letters:,} more characters)"


@lru_cache(16)  # an answer stands in the conversation, and once more among what changed
def _stretches(old: str, new: str) -> list[tuple[str, str]]:
    """Returns two texts in one, as stretches of what went, what came and what stayed."""
    found: list[tuple[str, str]] = []
    room = _LENGTH
    for mark, text in stretches_of(old, new):
        same = len(text) - 2 * _AROUND
        if not mark and same > _AROUND:
            shown = f"{text[:_AROUND]} … ({same:,} characters that stayed) … {text[-_AROUND:]}"
        else:
            shown = text if len(text) <= room else f"{text[:room]}{_left(len(text) - room)}"
        found.append((mark, _visible(shown)))
        room -= len(shown)
        if room <= 0:
            return [*found, ("", " … and what comes after it")]
    return found


def _summary_of(change: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns the summary of a change, as stretches too where it is of words."""
    if change["kind"] not in ("text", "words"):
        return [("", line(change["summary"]))]
    found = marked_words(line(change["summary"]))
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
