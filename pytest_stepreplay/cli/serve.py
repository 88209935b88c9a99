"""`stepreplay serve`: record and replay for any process and language that can be told a base URL."""

from __future__ import annotations

import argparse
import gc
import json
import shlex
import signal
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from ..commands import stepreplay_command
from ..errors import SettingsError, StepReplayError
from ..report import renderers
from ..report.verified_runs import VerifiedRun
from ..server import autosave, installed, running
from ..server import served as tapes
from ..server import upstreams as apis
from ..session.event_loops import in_thread
from ..session.sessions import Session
from ..settings import MARKER_SETTINGS, MODES, Settings, read_values
from ..store import files, paths
from ..value_classes import values_of
from .command import Command, Operand, Option, UsageError, one_of
from .naming import find_named, nearest_names
from .project import cassette_folder, display, project_settings
from .terminal import echo, safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..session.outcome import Outcome
    from ..verify.judging import Verdict

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_UNNAMED: Final = "server"
"""The cassette of a folder that is recorded into as long as no other one was chosen."""
_ORDERED: Final = ("cassette", "mode")
_SERVED: Final = tuple(name for name, mode in MODES.items() if not mode.mutates)
_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGBREAK")


class _ServedFiles:
    """Where the cassettes are: one file, or a folder of them."""

    def __init__(self, word: str, *, may_be_new: bool) -> None:
        path = Path(word) if word else cassette_folder()
        if word and not path.exists():
            path = self._named(word, path, may_be_new=may_be_new)
        self.is_file = path.is_file() or (not path.exists() and path.name.endswith(_SUFFIXES))
        self.path = path.absolute()
        self.folder = self.path.parent if self.is_file else self.path
        if not word and not self.path.is_dir() and not may_be_new:
            raise UsageError(f"there is no folder {display(self.path)}; name a cassette or a folder")

    @staticmethod
    def _named(word: str, path: Path, *, may_be_new: bool) -> Path:
        found = [each.cassette for each in find_named(word) if each.cassette] if not may_be_new else []
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f"{word!r} names {len(found)} cassettes; name one, or a folder")
        if not may_be_new:
            record = stepreplay_command("serve", word, "--mode=record", "--upstream=URL")
            nearest = nearest_names(word) or f"; record it with: {record}"
            raise UsageError(f"{word!r} does not exist{nearest}")
        return path


class _Desk:
    """The cassette that is served now, and how another one takes its place."""

    def __init__(
        self, place: _ServedFiles, settings: Settings, upstreams: tuple[apis.NamedUpstream, ...]
    ) -> None:
        self._place = place
        self._settings = settings
        self._switching = threading.Lock()
        self.outcomes: list[Outcome] = []
        self.failed = False
        self.served = tapes.Served(None, upstreams, switch=self.switch, keeps_order=False)
        self.served.autosave = autosave.Autosave(self._save_so_far, _say_not_saved)

    def open(self, order: dict[str, Any]) -> None:
        """Opens the cassette that an order names, or the one that the command named, once the one before is saved.

        Raises:
            StepReplayError: it cannot be read, or there is none of that name.
        """
        settings, path, lenders = self._read(order)
        if path is None:
            self.served.waiting = (
                f"in {settings.mode}, one cassette of a folder is served at a time. Name it instead of the folder, "
                'or let a harness choose it: POST /__stepreplay__/cassette {"cassette": "NAME.yaml"}'
            )
            return
        session = Session(
            settings,
            path,
            shared=True,
            root=self._place.folder,
            lenders=lenders,
            served=f"stepreplay serve {shlex.quote(display(path))}",
        )
        session.load()
        if not self.served.upstreams:
            self.served.upstreams = self._upstreams_of(session)
        self.served.session = session

    def _read(self, order: dict[str, Any]) -> tuple[Settings, Path | None, tuple[Path, ...]]:
        """Returns how to open which cassette, and what else answers; no cassette where none is chosen yet."""
        given = read_values("mode", {"mode": order.get("mode")}, ("mode",))
        before = values_of(self._settings)
        settings, name = Settings.merge(before, given), order.get("cassette")
        if name is not None:
            if not isinstance(name, str):
                raise SettingsError(f"cassette: {name!r:.100} is not the name of a file below the folder")
            path = paths.named_path(self._place.folder, name)
            if settings.mode.replays and path != self._path and not files.exists(path):
                raise StepReplayError(f"there is no cassette {display(path)}; record it first")
            return settings, path, ()
        if self._place.is_file:
            return settings, self._place.path, ()
        if not (settings.mode.replays or settings.mode.adds or settings.mode.passes_by):
            return settings, None, ()
        path = paths.named_path(self._place.folder, _UNNAMED)
        return (
            settings,
            path,
            tuple(each for each in paths.iter_cassettes(self._place.folder) if each != path),
        )

    @property
    def _path(self) -> Path | None:
        """The cassette that is open, which is written when it is closed."""
        return self.served.session.path if self.served.session is not None else None

    @staticmethod
    def _upstreams_of(session: Session) -> tuple[apis.NamedUpstream, ...]:
        if not session.settings.mode.replays:
            raise UsageError(f"in {session.mode}, requests are sent: name the API with --upstream URL")
        found = apis.recorded_upstreams(session.answering)
        if not found:
            where = session.path.parent if session.path.stem == _UNNAMED else session.path
            raise UsageError(
                f"nothing is recorded in {display(where)}: add --mode record, and name the API with --upstream URL"
            )
        return found

    async def switch(self, order: dict[str, Any]) -> dict[str, Any]:
        """Saves the cassette that is served, and opens another one; returns what became of both."""
        unknown = [name for name in order if name not in _ORDERED]
        if unknown:
            raise SettingsError(f"there is no {unknown[0]!r:.100}; give {' and '.join(_ORDERED)}")
        await self.served.until_idle(running.GRACE)
        return await in_thread(lambda: self._switch(order))

    def _switch(self, order: dict[str, Any]) -> dict[str, Any]:
        with self._switching:
            self._read(order)  # what cannot be changes nothing
            before, self.served.session = self.served.session, None
            closed = self._close(before) if before is not None else None
            try:
                self.open(order)
            except StepReplayError as error:
                self.served.waiting = f"no cassette is open: {error}"
                raise
            return {"closed": closed, "opened": self.served.status()}

    def _close(self, session: Session) -> dict[str, Any]:
        outcome = session.close(passed=True)
        session.explain()
        self.outcomes.append(outcome)
        self.failed = self.failed or bool(outcome.missed) or any(map(_fails, session.verdicts))
        told = tapes.session_status(session)
        return told | {"written": outcome.written, "drift": list(outcome.verified)}

    def _save_so_far(self) -> None:
        session = self.served.session
        if session is not None:
            session.save_so_far()

    def close(self) -> None:
        """Saves the cassette that is served.

        Raises:
            CassetteWriteError: it could not be written.
        """
        with self._switching:
            session, self.served.session = self.served.session, None
            if session is not None:
                self._close(session)


def _run(
    *,
    cassettes: str | None,
    mode: str | None,
    upstream: Sequence[str],
    host: str,
    port: int,
    token: str | None,
    cors: Sequence[str],
    pace: str | None,
    allow_repeats: bool,
    json_log: bool,
) -> int:
    installed.check_installed("stepreplay serve")
    if token is not None and (not token or not token.isascii() or not set(token) <= _TOKEN_LETTERS):
        raise UsageError("--token: use letters, digits, '-', '_' and '.', since it stands in the base URL")
    given = {"mode": mode, "pace": pace, "allow_repeats": allow_repeats or None}
    options = read_values("command line", given, MARKER_SETTINGS)
    settings = Settings.merge(project_settings(), options)
    if not settings.mode.replays and not running.is_this_machine_alone(host) and not token:
        raise UsageError(
            f"--host {host} lets other machines send requests through this one in {settings.mode}: add --token"
        )
    upstreams = apis.read_upstreams(upstream or settings.upstream)
    desk = _Desk(_ServedFiles(cassettes or "", may_be_new=settings.mode.records), settings, upstreams)
    desk.served.origins = tuple(cors)
    desk.open({})
    with _stopped_by_signals() as until_stopped:
        listening = running.ReplayServer(host, port, log=_log_as_json if json_log else _log)
        with listening:
            listening.add(desk.served, token or "")
            root = listening.url + (f"/{token}" if token else "")
            for each in desk.served.upstreams:
                echo(f"{root}{each.prefix}{each.path}")
            if desk.served.waiting:
                echo(safe(desk.served.waiting), err=True)
            if not running.is_this_machine_alone(host):
                echo(safe(_reached_by_others(host, token)), err=True)
            gc.freeze()  # what is there now stays; no request waits while a collection looks through it all
            until_stopped()
        desk.close()
    return _report(desk, settings)


_TOKEN_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def _reached_by_others(host: str, token: str | None) -> str:
    told = (
        f"other machines can reach this server, by the name or the address of this one in the place of {host}"
    )
    return told if token else f"{told}; with --token TOKEN it answers only those who know that"


@contextmanager
def _stopped_by_signals() -> Iterator[Callable[[], None]]:
    """Gives what waits until the first signal to stop; a second one stops at once."""
    came = SimpleQueue[int]()  # unlike an Event, it may be set by a signal while it begins to wait
    stopped = False

    def stop(number: int, _frame: object) -> None:
        nonlocal stopped
        if stopped:
            raise KeyboardInterrupt
        stopped = True
        came.put(number)

    def wait() -> None:
        while not stopped:  # Windows tells of signals only between two of these
            with suppress(Empty):
                came.get(timeout=None if sys.platform != "win32" else 0.5)

    with ExitStack() as stack:
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            if number is not None:
                stack.callback(signal.signal, number, signal.signal(number, stop))
        yield wait


def _say_not_saved(why: str) -> None:
    echo(safe(f"not saved yet: {why}"), err=True)


def _log(answered: tapes.LoggedRequest) -> None:
    number = f" {answered.interaction}" if answered.interaction else ""
    line = f"{answered.method} {answered.path} {answered.status} {answered.how}{number}"
    echo(safe(line), err=True)


def _log_as_json(answered: tapes.LoggedRequest) -> None:
    told = values_of(answered)
    echo(json.dumps(told | {"seconds": round(answered.seconds, 6)}), err=True)


def _report(desk: _Desk, settings: Settings) -> int:
    """Says what became of the cassettes; returns the exit status."""
    for outcome in desk.outcomes:
        played = len(outcome.replayed) + sum(len(each) for _, _, each in outcome.borrowed)
        told = f"{display(Path(outcome.path))}: {played:,} played, {outcome.recorded:,} recorded"
        if outcome.missed:
            told += f", {outcome.missed:,} missed"
        problems = [*outcome.errors_not_recorded, *(why for why, _ in outcome.unsent), *outcome.late]
        echo(safe("\n".join([told, *(f"  {each}" for each in problems)])), err=True)
    verified = [each for outcome in desk.outcomes for each in outcome.verified]
    if verified:
        run = VerifiedRun(
            verified,
            fail_on=settings.fail_on or "behavior",
            mode=settings.mode,
            pending=settings.leaves_pending(),
        )
        echo(renderers.render(run, "terminal"), err=True)
    return 1 if desk.failed else 0


def _fails(verdict: Verdict) -> bool:
    return verdict.status == "unverified" or (verdict.drift is not None and not verdict.drift.passes())


def _port(word: str) -> int:
    if not word.isdecimal() or int(word) > _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{word!r} is not a port; 0 is for a free one")
    return int(word)


_HIGHEST_PORT: Final = 65535

SERVE: Final = Command(
    name="serve",
    description="""
Record and replay for any process that can be told a base URL: in a container, in a browser, in another language.

The first line that it prints is the base URL, to which a client adds /chat/completions. Requests are answered
from CASSETTES, a file or a folder, as those of tests are; without it, from the project's folder of cassettes. What is
not recorded gets an error that says what differs. What is being recorded is saved at once.

SIGTERM and Ctrl-C end it. Exit status 1 means that something was missed or has drifted, 2 that something could not be
saved.
""",
    examples=(
        "stepreplay serve cassettes/chat.yaml --mode record --upstream https://api.stepfun.com/v1",
        "stepreplay serve cassettes/chat.yaml --port 8080",
        "stepreplay serve --upstream https://api.stepfun.com/v1 --upstream claude=https://api.anthropic.com",
    ),
    run=_run,
    operands=(Operand("cassettes", number="maybe"),),
    options=(
        Option(
            f"--mode [{'|'.join(_SERVED)}]",
            "What to do with requests. [default: replay]",
            {"type": one_of(_SERVED)},
        ),
        Option(
            "--upstream URL",
            "The API to stand for, or NAME=URL for one whose paths begin with /NAME; can be given several times. "
            "[default: stepreplay_upstream, in replay what was recorded]",
            {"action": "append", "default": []},
        ),
        Option("--host HOST", "The address to listen at. [default: 127.0.0.1]", {"default": "127.0.0.1"}),
        Option("--port PORT", "The port; 0 is for a free one. [default: 0]", {"type": _port, "default": 0}),
        Option("--token TOKEN", "Answer only those who know this; it stands in the base URL.", {}),
        Option(
            "--cors ORIGIN",
            "Let web pages of this origin ask, * for all; can be given several times.",
            {"action": "append", "default": []},
        ),
        Option("--pace PACE", "How fast streams come: none, recorded, or a factor. [default: none]", {}),
        Option("--allow-repeats", "Answer a request more often than it was recorded."),
        Option("--json-log", "Log each request as a line of JSON, on stderr."),
    ),
)
