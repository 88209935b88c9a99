"""One server in each process of a run, which its tests share; each test reaches its cassette by a URL of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from ..errors import StepReplayError
from ..server import installed, of_test, running
from .verdicts import failure

if TYPE_CHECKING:
    from ..server.of_test import ServerOfTest
    from ..server.running import ReplayServer
    from ..session.sessions import Session

_SERVER: Final[pytest.StashKey[ReplayServer]] = pytest.StashKey()


def serve(config: pytest.Config, session: Session) -> ServerOfTest:
    """Returns where other processes reach the cassette of a test; the server is started for the first one."""
    try:
        installed.check_installed("stepreplay_server")
        if _SERVER not in config.stash:
            config.stash[_SERVER] = running.ReplayServer().start()
            config.add_cleanup(config.stash[_SERVER].stop)
        return of_test.serve_test(config.stash[_SERVER], session)
    except StepReplayError as error:
        raise failure(error) from None
