"""What the settings say of drift, as the `Policy` that answers are compared by.

The settings and the URL that was asked go in, since the host says which documented object its answers are held to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .. import endpoints
from ..settings import policy

if TYPE_CHECKING:
    from ..settings import Settings

_last: Final[list[tuple[Settings, str, dict[str, Any], policy.Policy]]] = []
"""What was asked last; most tests of a run share their settings, and with them their policy."""


def policy_for(settings: Settings, url: str, **defaults: Any) -> policy.Policy:
    """Returns what the settings say of drift, with the contract of the host that was asked."""
    for known, asked, told, made in _last:
        if known is settings and (asked, told) == (url, defaults):
            return made
    given: dict[str, Any] = {"fail_on": "behavior", "contract": endpoints.contract_of_url(url), **defaults}
    named = {
        "fail_on": settings.fail_on,
        "ignore": settings.ignore,
        "volatile": settings.volatile,
        "tolerances": dict(settings.tolerances),
        "text": _judged(settings, url) | dict(settings.text),
        "contract": settings.contract,
    }
    given.update((name, value) for name, value in named.items() if value)
    if given["contract"] == "none":
        given["contract"] = None
    made = policy.Policy.from_mapping(given)
    _last[:] = [(settings, url, defaults, made)]
    return made


def _judged(settings: Settings, url: str) -> dict[str, Any]:
    """Returns the project's own judge, as the rule for all that an answer says in words."""
    if settings.judge is None or not url:
        return {}
    return dict.fromkeys(endpoints.endpoint_of_url(url).content, settings.judge)


def selectors_of(settings: Settings) -> frozenset[str]:
    """Returns the selectors that say what is compared, and how."""
    return policy_for(settings, "").selectors
