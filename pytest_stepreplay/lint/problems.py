"""What a check has found in a cassette: one frozen value for each problem."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..redaction.wall import Place


@dataclass(frozen=True)
class Problem:
    """Something in a cassette that a person should know.

    Attributes:
        check: the name of the check that found it.
        place: where in the file's tree; empty for the whole file.
        what: what is wrong there. It never holds a value that could be a secret.
        fix: what to do about it.
        line: where in the file, counted from 1, if that is known without reading it again.
        secret: the secret itself, for replacing it; in no message.
    """

    check: str
    place: Place
    what: str
    fix: str
    line: int | None = None
    secret: str = field(default="", repr=False)
