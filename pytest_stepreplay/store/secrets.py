"""No file that holds a secret is written: the last check of the exact bytes, whoever writes them.

The bytes go in with the tree that they stand for; where they hold a secret, a `CassetteWriteError` names each place
and no value.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from .. import selectors
from ..errors import CassetteWriteError
from ..redaction import redactor as redactors
from ..redaction import shapes
from ..redaction import wall as second_wall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ..redaction.redactor import Redactor
    from ..redaction.wall import Finding, Place, Wall

_MOST_SHOWN = 5
_SIMPLE = re.compile(r"[\w.-]+", re.ASCII)
"""The name of a file that hides nothing."""

_wall: ContextVar[Callable[[], Wall] | None] = ContextVar("stepreplay_wall", default=None)


@contextmanager
def guarded_by(wall: Callable[[], Wall] | None) -> Iterator[None]:
    """Lets a project's own secrets and allowed places hold for what is written inside.

    Args:
        wall: returns what the wall knows of them, and is asked only if something is written; None for what every
            project has.
    """
    token = _wall.set(wall)
    try:
        yield
    finally:
        _wall.reset(token)


def refuse_secrets(path: Path, content: bytes, tree: dict[str, Any], *, verb: str = "written") -> None:
    """Does nothing where a file holds no secret.

    Args:
        path: the file.
        content: the bytes about to be written.
        tree: what they stand for.
        verb: what is not done with the file then.

    Raises:
        CassetteWriteError: the file, or its name, would hold one. No message of ours shows it.
    """
    make = _wall.get()
    wall = make() if make else second_wall.Wall()
    name = path.name
    in_bytes = name.encode("utf-8", "surrogateescape")
    # One search for both, as long as nothing is found.
    if _SIMPLE.fullmatch(name) and wall.is_plainly_clear(b"%s\n\n%s" % (content, in_bytes), tree):
        return
    found = wall.findings(content, tree)
    # Where the test's id is allowed, so is the name that was made of it.
    in_name = wall.findings(in_bytes, {"test": name})
    if not found and not in_name:
        return
    test = tree.get("test")
    owner = f"{test}, " if isinstance(test, str) else ""
    places = [f"{owner}{_told(each)}" for each in found] + [f"the file name: {each.what}" for each in in_name]
    shown = [f"  {place}" for place in places[:_MOST_SHOWN]]
    if len(places) > _MOST_SHOWN:
        shown.append(f"  and {len(places) - _MOST_SHOWN} more places")
    lines = "\n".join(shown)
    would = "would hold" if verb == "written" else "holds"
    problem = f"was not {verb}, since it {would} what looks like a secret:\n{lines}"
    fix = "Keep it out of what the test sends and receives, or name its field in stepreplay_redact_fields."
    redactor = redactors.Redactor(values=wall.secrets or ())
    secrets = [each.secret for each in (*found, *in_name)]
    place = second_wall.within_interaction((*found, *in_name)[0].place)
    # The name of a field may be a secret itself.
    steps = [written((it,)) if _masked(redactor, str(it), secrets) == str(it) else "*" for it in place]
    fix += (
        "\nIf it is not a secret, allow it and give a reason, as a line of stepreplay_allow_secret:\n"
        f"  {'.'.join(steps).replace('.[', '[')}: REASON"
    )
    raise CassetteWriteError(
        path.with_name(_masked(redactor, path.name, secrets)),
        _masked(redactor, problem, secrets),
        fix=fix,
    )


def told_place(place: Place) -> str:
    """Returns a place as a person reads it: ``interaction 2, response.json.id``."""
    if place[:1] == ("interactions",) and len(place) > 1 and isinstance(place[1], int):
        inner = second_wall.within_interaction(place)
        return f"interaction {place[1] + 1}" + (f", {written(inner)}" if inner is not place else "")
    return written(place)


def written(place: Place) -> str:
    """Returns the selector of a place."""
    return selectors.format_path(place)


def _told(finding: Finding) -> str:
    where = told_place(finding.place) if finding.place else f"line {finding.line or 1}"
    return f"{where}: {finding.what}"


def _masked(redactor: Redactor, text: str, secrets: list[str]) -> str:
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, shapes.PLACEHOLDER)
    return redactor.redact_text(text)
