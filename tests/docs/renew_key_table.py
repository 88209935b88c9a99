"""Renews `pytest_stepreplay/redaction/key_table.py` from rules in the format of gitleaks.

Run by hand, from the repository: ``python -m tests.docs.renew_key_table gitleaks.toml=v8.30.1@2025-11-20 ...``, each
file with its version and date. Taken is what tells a key by itself: how it starts, and what its other characters
are. Left out, and named with the reason, are rules that know a key only by a word in front of it, which the walls do
by names of their own, and what is no secret.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

TABLE: Final = Path(__file__).parents[2] / "pytest_stepreplay" / "redaction" / "key_table.py"

_NOT_SECRET: Final = re.compile(
    r"public|\bpub\b|mapbox|posthog-project|(?:client|mobile)-sdk-key|-(?:url|host|name)$"
    r"|(?:client|app|account|application|key|planetscale)-id$"
)
_BY_OTHER_RULES: Final = {
    "gitlab-session-cookie",
    "jwt",
    "jwt-base64",
    "mongodb-connection-string",
    "private-key",
}
# Where a rule wants the name of the service in front of the key as well, these alone tell nothing.
_WORDS: Final = re.compile(r"(?:live|test|key|pk|sk|db|pat)[_.-]|[a-z]{2}1[.]|.{0,3}")
# Zeros in base64 look like this.
_IN_BASE64: Final = {"EAAA"}
_IN_CONTEXT: Final = "(?:=|>|:{1,3}=|"
_SHORTEST_REST: Final = 12
_POSIX: Final = {"alnum": "A-Za-z0-9", "alpha": "A-Za-z", "digit": "0-9", "xdigit": "0-9A-Fa-f"}


@dataclass(frozen=True, order=True)
class Row:
    """One way in which a key starts, and the expression for the rest of it."""

    start: str
    rest: str
    what: str


class UntranslatableError(Exception):
    """Why a rule is not taken."""


def python_expression(text: str) -> str:
    """Returns an expression in Python's syntax for one in RE2's."""
    text = re.sub(r"\[:(\w+):\]", lambda found: _POSIX[found[1]], text).replace(r"\z", r"\Z")
    at = text.find("(?i)", 1)
    while at > 0:  # RE2 takes flags anywhere, and they hold to the end of the group
        end = _end_of_group(text, at + 4)
        text = f"{text[:at]}(?i:{text[at + 4 : end]}){text[end:]}"
        at = text.find("(?i)", 1)
    return text


def _end_of_group(text: str, at: int) -> int:
    depth, in_set = 0, False
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 1
        elif in_set:
            in_set = char != "]"
        elif char == "[":
            in_set = True
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth < 0:
                return at
        at += 1
    return at


def rows_of(rule: dict[str, Any]) -> list[Row]:
    """Returns the rows of a rule.

    Raises:
        UntranslatableError: it has none.
    """
    name = re.sub(r"\.\d+$", "", rule["id"])
    if rule.get("skipReport") or _NOT_SECRET.search(name):
        raise UntranslatableError("no secret")
    if name in _BY_OTHER_RULES:
        raise UntranslatableError("known by another rule")
    if "regex" not in rule or "path" in rule:
        raise UntranslatableError("about certain files")
    tree = parser.parse(python_expression(rule["regex"]))
    caseless = bool(tree.state.flags & re.IGNORECASE)
    secret = _secret_in(list(tree), rule.get("secretGroup", 1))
    rows = []
    for start, rest in _starts(secret):
        # What is no letter or digit is an edge, and tells nothing.
        start = start.lstrip("$")  # noqa: PLW2901 - the rest of the loop is about this one
        width = parser.SubPattern(tree.state, rest).getwidth()[0]
        marked = re.search(r"[_.~-]", start) is not None
        if len(start) < (3 if marked else 4) or start.startswith("http") or width < _SHORTEST_REST:
            continue
        if start in _IN_BASE64 or (_IN_CONTEXT in rule["regex"] and _WORDS.fullmatch(start)):
            continue
        text = "".join(map(_written, rest))
        rows.append(Row(start, f"(?i:{text})" if caseless else text, name))
    if not rows:
        raise UntranslatableError("known by a word in front of it alone")
    return rows


def _secret_in(items: list[Any], group: int) -> list[Any]:
    """Returns the items of the group that is the secret; without one, all but what stands around it."""
    for op, value in items:
        if op is ops.SUBPATTERN:
            if value[0] == group:
                return list(value[3])
            inner = _secret_in(list(value[3]), group)
            if inner:
                return inner
        elif op is ops.BRANCH and (
            found := next(filter(None, (_group(each, group) for each in value[1])), None)
        ):
            return found
    return [item for item in items if item[0] is not ops.AT] if not _has_group(items) else []


def _group(items: Any, group: int) -> list[Any]:
    return next((list(value[3]) for op, value in items if op is ops.SUBPATTERN and value[0] == group), [])


def _has_group(items: list[Any]) -> bool:
    return any(op is ops.SUBPATTERN and value[0] is not None for op, value in items)


def _starts(items: list[Any], start: str = "") -> list[tuple[str, list[Any]]]:
    """Returns each literal text that these items may start with, and the items after it."""
    if not items:
        return [(start, [])]
    (op, value), *after = items
    if op is ops.AT:
        return _starts(after, start)
    if op is ops.LITERAL:
        return _starts(after, start + chr(value))
    if op is ops.SUBPATTERN and not value[1] and not value[2]:
        return _starts([*value[3], *after], start)
    if op is ops.SUBPATTERN and not start and value[1]:
        return [
            (text, [(ops.SUBPATTERN, (None, value[1], 0, rest)), *after])
            for text, rest in _starts(list(value[3]))
        ]
    if op is ops.BRANCH:
        return [each for branch in value[1] for each in _starts([*branch, *after], start)]
    if op is ops.IN and len(value) <= 4 and all(kind is ops.LITERAL for kind, _ in value):
        return [each for _, char in value for each in _starts(after, start + chr(char))]
    return [(start, items)]


def _written(item: tuple[Any, Any]) -> str:
    """Returns the text of an item of a parsed expression. Boundaries have none: each wall has its own."""
    op, value = item
    if op is ops.LITERAL:
        return re.escape(chr(value))
    if op is ops.IN:
        return "[" + "".join(map(_written_in_set, value)) + "]"
    if op in (ops.MAX_REPEAT, ops.MIN_REPEAT):
        low, high, inner = value
        text = "".join(map(_written, inner))
        single = len(inner) == 1 and inner[0][0] in (ops.LITERAL, ops.IN)
        most = "" if high is ops.MAXREPEAT else high
        times = f"{{{low}}}" if low == high else f"{{{low},{most}}}"
        return (text if single else f"(?:{text})") + times
    if op is ops.SUBPATTERN:
        flags = "i" if value[1] & re.IGNORECASE else ""
        off = "-i" if value[2] & re.IGNORECASE else ""
        return f"(?{flags}{off}:{''.join(map(_written, value[3]))})"
    if op is ops.BRANCH:
        return "(?:" + "|".join("".join(map(_written, branch)) for branch in value[1]) + ")"
    if op is ops.AT:
        return ""
    raise UntranslatableError(f"has {str(op).lower()}")


def _written_in_set(item: tuple[Any, Any]) -> str:
    op, value = item
    if op is ops.LITERAL:
        return re.escape(chr(value))
    if op is ops.RANGE:
        return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
    if op is ops.CATEGORY and value is ops.CATEGORY_WORD:
        return "A-Za-z0-9_"
    if op is ops.CATEGORY and value is ops.CATEGORY_DIGIT:
        return "0-9"
    raise UntranslatableError(f"has {str(op).lower()} in a set")


def table_of(sources: dict[str, str], rows: Iterable[Row]) -> str:
    """Returns the text of the module."""
    told = "\n".join(f"    {name!r}: {version!r}," for name, version in sources.items())
    lines = [f"    ({row.start!r}, {_quoted(row.rest)}, {row.what!r})," for row in sorted(rows)]
    return TEXT.format(sources=told, rows="\n".join(lines)).replace("'", '"')


def _quoted(text: str) -> str:
    return f"r'{text}'"


TEXT: Final = '''"""How keys start, and what the rest of them is made of: facts from maintained rule sets, renewed by a command.

Made by ``python -m tests.docs.renew_key_table``, which says what it leaves out; do not edit. The facts are those of
gitleaks (Copyright 2019 Zachary Rice) and betterleaks (Copyright 2026 Zachary Rice), both under the MIT License.
"""

from __future__ import annotations

from typing import Final

# fmt: off
# ruff: noqa: E501 - rules that are data, one to a line
SOURCES: Final = {{
{sources}
}}
"""The rule sets, and the version and date of each."""

KEYS: Final = (
{rows}
)
"""The start of a key, the expression for the rest of it, and the rule that says so."""
'''


def main(arguments: list[str]) -> None:
    """Writes the table, and prints what is left out."""
    sources, rows, left = dict[str, str](), dict[str, list[Row]](), dict[str, str]()
    for argument in arguments:
        path, _, version = argument.partition("=")
        sources[Path(path).stem] = version.replace("@", ", ")
        for rule in tomllib.loads(Path(path).read_text(encoding="utf-8"))["rules"]:
            name = re.sub(r"\.\d+$", "", rule["id"])
            try:
                rows[rule["id"]] = rows_of(rule)  # the last source knows best
                left.pop(name, None)
            except UntranslatableError as error:
                if rule["id"] not in rows:
                    left[name] = str(error)
    found = {row for each in rows.values() for row in each}
    TABLE.write_text(table_of(sources, found), encoding="utf-8")
    for name, reason in sorted(left.items(), key=lambda item: (item[1], item[0])):
        print(f"left out: {name}: {reason}")
    print(f"{len(found)} rows of {len({row.what for row in found})} rules")


if __name__ == "__main__":
    main(sys.argv[1:])
