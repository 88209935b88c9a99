"""The bridge to vcrpy: its users' own `vcr.VCR` on our cassettes, and its stubs for the clients that we do not patch.

`register` makes a `vcr.VCR` record and replay in our format. What is here imports vcrpy when it is first needed,
since that imports every HTTP client there is. What a suite of pytest-recording or pytest-vcr told its plugin becomes
our settings, filters and paths in `config`, `project`, `filters` and `places`; `plugin.vcr_marker` has the hooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import importer

if TYPE_CHECKING:
    from .registration import register

__all__ = ["register"]

__getattr__ = importer(__name__, {"registration": ("register",)})
