"""Whose dialect of an API a host speaks: which of the documented objects its answers are held to."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

_HOSTS: Final = {"stepfun.com": "stepfun", "stepfun.ai": "stepfun"}
"""The contract of a domain and of all names below it."""

_SHARED: Final = "openai"
"""What all compatible servers share."""


def contract_of_url(url: str) -> str:
    """Returns the name of the documented object that a server answers with: StepFun's own for its hosts."""
    host = urlsplit(url).hostname or ""
    own = (name for domain, name in _HOSTS.items() if host == domain or host.endswith(f".{domain}"))
    return next(own, _SHARED)
