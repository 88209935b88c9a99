"""One server in each process of a run, which its tests share; each test reaches its cassette by a URL of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import StepReplayError
from ..server import installed, of_test, running
from .run import RUN
from .verdicts import failure

if TYPE_CHECKING:
    import pytest

    from ..server.of_test import ServerOfTest
    from ..session.sessions import Session


def serve(config: pytest.Config, session: Session) -> ServerOfTest:
    """Returns where other processes reach the cassette of a test; the server is started for the first one."""
    run = config.stash[RUN]
    try:
        installed.check_installed("stepreplay_server")
        if run.server is None:
            run.server = running.ReplayServer().start()
            config.add_cleanup(run.server.stop)
        return of_test.serve_test(run.server, session)
    except StepReplayError as error:
        raise failure(error) from None
