"""The bridge to vcrpy: its users' own `vcr.VCR` on our cassettes, and its stubs for the clients that we do not patch.

`register` makes a `vcr.VCR` record and replay in our format. What is here imports vcrpy when it is first needed,
since that imports every HTTP client there is. What a suite of pytest-recording or pytest-vcr told its plugin becomes
our settings, filters and paths in `config`, `project_vcr`, `filters` and `cassette_names`; `marker` has the
hooks and fixtures, and `suites` reads what a suite says before it is run here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import registration

if TYPE_CHECKING:
    from vcr import VCR

__all__ = [
    "cassette_names",
    "config",
    "filters",
    "marker",
    "project_vcr",
    "register",
    "stubbed_clients",
    "suites",
    "vcr_cassette",
]


def register(vcr: VCR) -> None:
    """Lets a `vcr.VCR` record into, and replay from, cassettes of our format. The record mode stays vcrpy's.

    Its cassettes are then redacted, merged under a lock, scanned for secrets and written in one step. Requests are
    matched by their method and by ``stepreplay``, as our own are, unless the VCR was given a ``match_on`` of its own,
    in which that name can stand, too. Inside of pytest, what the project has set holds for all of it
    (``stepreplay_redact_fields``, ``stepreplay_ignore_request``, ...); elsewhere the defaults do.

    Args:
        vcr: of vcrpy 6.0 or newer.

    Raises:
        StepReplayError: vcrpy does not go with the HTTP clients that are installed.
    """
    registration.register_parts(vcr)
