"""JSON over HTTP: what holds where nothing else is known of an API."""

from __future__ import annotations

from typing import Final

from .endpoint import Endpoint

GENERIC: Final = Endpoint(name="JSON over HTTP", optional={(): {"stream": (False,)}})
