"""Options, ini keys, the marker and the `stepreplay_config` fixture become one frozen `Settings`; modes are values.

`fields` knows each setting, `readers` how a value is read, `modes` each mode. Nothing heavy is imported: this runs at
the start of every pytest run.
"""

from __future__ import annotations

from .fields import (
    ABSENT_EQUALS,
    API_KEYS,
    FIELDS,
    MARKER_ARGUMENTS,
    MARKER_SETTINGS,
    MATCHERS,
    PLACEHOLDER_KEY,
    Settings,
    read_marker,
    read_values,
)
from .modes import LIVE, MODES, RECORD, REPLAY, REWRITE, VERIFY, Mode, OnMiss, Writes

__all__ = [
    "ABSENT_EQUALS",
    "API_KEYS",
    "FIELDS",
    "LIVE",
    "MARKER_ARGUMENTS",
    "MARKER_SETTINGS",
    "MATCHERS",
    "MODES",
    "PLACEHOLDER_KEY",
    "RECORD",
    "REPLAY",
    "REWRITE",
    "VERIFY",
    "Mode",
    "OnMiss",
    "Settings",
    "Writes",
    "faults",
    "fields",
    "hosts",
    "levels",
    "policy",
    "prices",
    "read_marker",
    "read_values",
    "readers",
    "text_rules",
]
