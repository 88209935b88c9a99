"""What a suite that was written for pytest-recording or pytest-vcr says to them, read from its Python files.

The paths of its files go in; a `Survey` comes out. No file is run.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from ..errors import display_path
from ..machine import disk
from ..value_classes import dataclass, field
from .config import REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

ADOPT_KEY: Final = "stepreplay_adopt_vcr_marker"
"""The ini key with which a project has its suite run here."""

RIVALS: Final = {
    "recording": "pytest-recording",
    "vcr": "pytest-vcr",
    "cassetter": "cassetter",
}
"""The plugins that would answer the same markers: by their names for ``-p no:NAME``, their packages."""

HOW_TO_MATCH_AS_VCRPY: Final = "stepreplay_match_on = method scheme host port path query"
"""The line of an ini file: vcrpy does not compare bodies unless told to."""

ADVICE_ON_MISSES: Final = (
    "vcrpy does not compare bodies unless told to, so tests pass with requests other than the recorded ones. "
    "To match as vcrpy does:",
    f"  {HOW_TO_MATCH_AS_VCRPY}",
)
"""What the summary says where bodies are compared and requests were missed."""

_TOLD: Final = re.compile(r"\bvcr\b|\bvcr_\w+|pytest_recording")
_MARK: Final = re.compile(r"\bmark\.vcr\b")


@dataclass
class Survey:
    """What a project's Python files say to the other plugins.

    Attributes:
        marks: how many markers there are.
        compares_bodies: some `match_on` names the body.
        problems: what cannot be mapped, with its place.
    """

    marks: int = 0
    compares_bodies: bool = False
    problems: list[str] = field(default_factory=list)


def installed_rivals() -> list[str]:
    """Returns those of `RIVALS` that are installed, by their names."""
    return [name for name, package in RIVALS.items() if find_spec(package.replace("-", "_"))]


def survey(files: Iterable[Path]) -> Survey:
    """Returns what the files of a suite say; one that is no Python says nothing."""
    found = Survey()
    for path in files:
        try:
            text = disk.read(path).decode()
            if not _TOLD.search(text):
                continue
            tree = ast.parse(text)
        except (OSError, ValueError, SyntaxError):
            continue
        found.marks += len(_MARK.findall(text))
        where = display_path(path)
        found.problems += (f"{where}:{line}: {problem}" for line, problem in _problems(tree))
        found.compares_bodies = found.compares_bodies or _names_body(tree)
    return found


def _problems(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "vcr_config":
            for each in ast.walk(node):
                keys = each.keys if isinstance(each, ast.Dict) else []
                for key in keys:
                    name = key.value if isinstance(key, ast.Constant) else None
                    if isinstance(name, str) and name in REFUSED:
                        yield key.lineno if key else node.lineno, f"vcr_config, {name}: {REFUSED[name]}"
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            for name in (each.arg for each in node.keywords):
                if name in REFUSED and (called.endswith("mark.vcr") or called in {"VCR", "vcr.VCR"}):
                    yield node.lineno, f"{called}({name}=...): {REFUSED[name]}"
            if called.endswith(".register_persister"):
                yield node.lineno, f"register_persister: {REFUSED['persister']}"
            elif called.endswith("vcr.use_cassette"):
                yield node.lineno, f"{called}: stays vcrpy's own; use pytest_stepreplay.use_cassette"


def _names_body(tree: ast.Module) -> bool:
    names: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            names[node.value] += 1
    return bool(names["match_on"] or "match_on" in ast.dump(tree)) and bool(
        names["body"] or names["raw_body"]
    )
