"""What is never stored, by two walls that share no rule.

`Redactor` replaces secrets on the way in, in requests before they are matched too. `scan` searches the exact bytes
that are about to be written, and returns a `Finding` for each secret that is there nevertheless.
"""

from .redactor import KEPT_RESPONSE_HEADERS, Redactor, kept_headers
from .scan import Finding, Place, Wall, scan, within_interaction
from .shapes import PLACEHOLDER
from .variables import secret_values

__all__ = [
    "KEPT_RESPONSE_HEADERS",
    "PLACEHOLDER",
    "Finding",
    "Place",
    "Redactor",
    "Wall",
    "kept_headers",
    "scan",
    "secret_values",
    "within_interaction",
]
