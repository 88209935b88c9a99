"""What is never stored, by two walls that share no rule.

`Redactor` replaces secrets on the way in, in requests before they are matched too. `scan` searches the exact bytes
that are about to be written, and returns a `Finding` for each secret that is there nevertheless. Names are imported
when they are first used, since a run that writes nothing has no use for the second wall.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import importer

if TYPE_CHECKING:
    from .redactor import Redactor
    from .shapes import PLACEHOLDER
    from .variables import environment_secrets, secret_values
    from .wall import Finding, Place, Wall, scan, within_interaction

__all__ = [
    "PLACEHOLDER",
    "Finding",
    "Place",
    "Redactor",
    "Wall",
    "environment_secrets",
    "scan",
    "secret_values",
    "within_interaction",
]

# A run that writes nothing scans nothing, and one whose snapshots all hold redacts nothing either.
__getattr__ = importer(
    __name__,
    {
        "redactor": ("Redactor",),
        "shapes": ("PLACEHOLDER",),
        "variables": ("environment_secrets", "secret_values"),
        "wall": ("Finding", "Place", "Wall", "scan", "within_interaction"),
    },
)
