"""How the commands print: what a model wrote is escaped, a terminal's lines fit it, a pipe's stay whole."""

from __future__ import annotations

import json
import sys

from ..texts import escaping, plural

__all__ = ["echo", "json_text", "plural", "safe"]


def echo(text: str, *, err: bool = False) -> None:
    """Prints a text, on stderr if need be, so that it is seen before whatever comes next."""
    stream = sys.stderr if err else sys.stdout
    stream.write(f"{text}\n")
    stream.flush()


def safe(text: str) -> str:
    """Returns `text` with what a terminal or a CI log would obey, or not show, written as an escape."""
    return escaping.escape_for_terminal(text, lines=True)


def json_text(value: object) -> str:
    """Returns a value as JSON for a program, in which a CI log that shows it finds no command either."""
    return json.dumps(value, indent=2).replace("##", "\\u0023#")  # it stands nowhere but in texts
