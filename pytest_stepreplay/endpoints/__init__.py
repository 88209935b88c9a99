"""What is known of each API: one module for each endpoint, each a frozen `Endpoint` that all other rooms ask.

A request's path goes in, and the endpoint that it asks comes out; `GENERIC`, JSON over HTTP, where nobody knows it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ..errors import SettingsError
from ..lazy import importer, late_pattern
from . import table
from .chat import CHAT
from .endpoint import BY_SHAPE, Calls, Contract, Conversation, Endpoint, Paired
from .generic import GENERIC
from .ids import Ids
from .reading import Call, Reading, Remark, Tokens

if TYPE_CHECKING:
    from .table import ENDPOINTS

__all__ = [
    "BY_SHAPE",
    "CHAT",
    "ENDPOINTS",
    "GENERIC",
    "Call",
    "Calls",
    "Contract",
    "Conversation",
    "Endpoint",
    "Ids",
    "Paired",
    "Reading",
    "Remark",
    "Tokens",
    "altering",
    "base_of_url",
    "chat_models",
    "contract_of_url",
    "endpoint_named",
    "endpoint_of",
    "endpoint_of_answer",
    "endpoint_of_request",
    "endpoint_of_url",
    "is_body",
    "read_call",
]

__getattr__ = importer(__name__, {"table": ("ENDPOINTS",)})

_VERSIONED: Final = late_pattern(r"(.*?/v\d+\w*)(?:/|$)")


_DIALECTS: Final = {"stepfun.com": "stepfun", "stepfun.ai": "stepfun"}
"""The contract of a domain and of all names below it."""

_SHARED: Final = "openai"
"""What all compatible servers share."""


@lru_cache(maxsize=1024)
def endpoint_of(path: str) -> Endpoint:
    """Returns the endpoint that a URL's path asks."""
    # Chat is asked first: the suites that ask nothing else need not import the others.
    if CHAT.answers_at(path):
        return CHAT
    return next((each for each in table.ENDPOINTS if each.answers_at(path)), GENERIC)


def base_of_url(url: str) -> tuple[str, str]:
    """Returns the base URL of the API that a URL asks, in two parts: its origin, and its path.

    Where the endpoint is not known, that path ends with the version, if there is one.
    """
    parts = urlsplit(url)
    end = next((each for each in endpoint_of(parts.path).paths if parts.path.endswith(each)), "")
    versioned = _VERSIONED.match(parts.path)
    path = parts.path.removesuffix(end) if end else versioned[1] if versioned else ""
    return f"{parts.scheme}://{parts.netloc}", path


def endpoint_of_url(url: str) -> Endpoint:
    """Returns the endpoint that a URL asks; `GENERIC` for a text that is none."""
    try:
        return endpoint_of(urlsplit(url).path)
    except ValueError:
        return GENERIC


def contract_of_url(url: str) -> str:
    """Returns the name of the documented object that a server answers with: StepFun's own for its hosts."""
    host = urlsplit(url).hostname or ""
    own = (name for domain, name in _DIALECTS.items() if host == domain or host.endswith(f".{domain}"))
    return next(own, _SHARED)


def endpoint_named(name: str) -> Endpoint:
    """Returns the endpoint of that name.

    Raises:
        SettingsError: there is none; the message lists the names.
    """
    known = {each.name: each for each in (*table.ENDPOINTS, GENERIC)}
    if name not in known:
        raise SettingsError(f"endpoint: {name!r} is not one of {', '.join(known)}")
    return known[name]


def endpoint_of_answer(value: Any) -> Endpoint:
    """Returns the endpoint that answers so, by the shape of an answer or of a list of chunks; else `GENERIC`."""
    listed = isinstance(value, list)
    chunks = [each for each in (value if listed else [value]) if isinstance(each, dict)]
    for each in table.ENDPOINTS:
        if each.are_chunks(chunks, listed) or (chunks and not listed and each.sort_of(value) == "answer"):
            return each
    return GENERIC


def endpoint_of_request(body: Any) -> Endpoint:
    """Returns the endpoint that is asked so, by the shape of the request's body; else `GENERIC`."""
    return next((each for each in table.ENDPOINTS if isinstance(body, dict) and each.asks(body)), GENERIC)


def read_call(value: Any) -> Call | None:
    """Returns the call of a tool that a JSON value is, in the form of whichever endpoint; None where it is none."""
    found = (each.calls.read(value) for each in table.ENDPOINTS if each.calls)
    return next((call for call in found if call), None)


def is_body(value: dict[str, Any]) -> bool:
    """Whether an object has a key by which a body of some endpoint is told from an HTTP message."""
    return any(not each.marks.isdisjoint(value) for each in table.ENDPOINTS)
