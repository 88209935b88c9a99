"""A test's cassette, as other processes reach it: by a base URL of its own, in the variables that clients read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from ..errors import SettingsError
from ..settings import PLACEHOLDER_KEY
from ..value_classes import dataclass, field
from .served import Served
from .upstreams import read_upstreams, recorded_upstreams

if TYPE_CHECKING:
    from ..session.sessions import Session
    from .running import ReplayServer

_OPENAI: Final = ("OPENAI_BASE_URL", "OPENAI_API_BASE", "STEP_BASE_URL")
"""What OpenAI's clients, those made after them and examples of StepFun read. The version is part of the URL."""
_ANTHROPIC: Final = "ANTHROPIC_BASE_URL"
_KEYS: Final = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "STEP_API_KEY")
_DIRECT: Final = ("NO_PROXY", "no_proxy")


@dataclass(frozen=True, slots=True)
class ServerOfTest:
    """Where other processes reach the cassette of the running test.

    Attributes:
        base_url: of the first upstream; a client adds ``/chat/completions``.
        env: what to set for common clients: base URLs, and a placeholder for each key that is not set.
    """

    base_url: str
    env: dict[str, str] = field(repr=False)
    _urls: dict[str, str] = field(repr=False)
    _served: Served = field(repr=False)

    def url_of(self, name: str) -> str:
        """Returns the base URL of a named upstream.

        Raises:
            SettingsError: none has that name.
        """
        if name not in self._urls:
            known = ", ".join(each or "(the one without a name)" for each in self._urls)
            raise SettingsError(f"there is no upstream named {name!r:.100}; there are {known}")
        return self._urls[name]

    def status(self) -> dict[str, Any]:
        """Returns what was played and missed so far: what ``GET /__stepreplay__/status`` answers."""
        return self._served.status()


def serve_test(server: ReplayServer, session: Session) -> ServerOfTest:
    """Returns where a test's cassette is reached from now on; a request after the test's end is refused.

    Raises:
        SettingsError: no upstream is set, and the cassette does not say which one it was recorded from.
    """
    settings = session.settings
    upstreams = read_upstreams(settings.upstream)
    if not upstreams and settings.mode.replays:
        upstreams = recorded_upstreams(session.answering)
    if not upstreams:
        raise SettingsError(
            "stepreplay_server stands for an API, but it is not set for which one.\n"
            "Set it: stepreplay_upstream = https://api.stepfun.com/v1, in the ini file, or "
            '@pytest.mark.stepreplay(upstream=["https://..."])'
        )
    served = Served(session, upstreams, origins=settings.cors)
    root = f"{server.url}/{server.add(served)}"
    urls = {each.name: f"{root}{each.prefix}{each.path}" for each in upstreams}
    first = urls[upstreams[0].name]
    return ServerOfTest(first, _env(urls, first), urls, served)


def _env(urls: dict[str, str], first: str) -> dict[str, str]:
    env = dict.fromkeys(_OPENAI, urls.get("openai", first))
    # Anthropic's clients add the version themselves.
    env[_ANTHROPIC] = urls.get("anthropic", first).removesuffix("/v1")
    env |= {
        name: PLACEHOLDER_KEY for name in _KEYS if os.environ.get(name, PLACEHOLDER_KEY) == PLACEHOLDER_KEY
    }
    for name in _DIRECT:  # a proxy is no way to this machine
        others = os.environ.get(name, "")
        env[name] = ",".join(filter(None, [others, "127.0.0.1", "localhost"]))
    return env
