"""A project's own `vcr.VCR`, which then reads and writes cassettes of our format.

vcrpy goes on deciding what is recorded and what is played: its record modes, its filters and its hooks stay as they
are. What it saves comes here as its own requests and responses, is redacted, merged with what others have written
meanwhile, scanned for secrets and written in one step. What it loads is read as any cassette is.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..commands import stepreplay_command
from ..errors import CassetteWriteError, display_path
from ..formats.foreign import MisfitError
from ..formats.vcrpy import import_vcr, read_exchange, vcr_request, vcr_response
from ..machine import clock, disk
from ..matching import contrast, keys
from ..models import Cassette, Interaction
from ..redaction.redactor import Redactor
from ..redaction.variables import environment_secrets
from ..redaction.wall import Wall
from ..session.host import host
from ..session.merging import merge_recorded
from ..session.outcome import Outcome
from ..settings import Settings
from ..store import cassettes as cassette_files
from ..store import files, locks, secrets
from ..store.secrets import told_place
from ..value_classes import dataclass, field
from ..wire.bodies import request_from_wire
from .stubs import whole_body

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping
    from types import FrameType

    from vcr.config import VCR
    from vcr.request import Request as VcrRequest

    from ..models import Request

MATCHER: Final = "stepreplay"
"""The name of our matcher, for vcrpy's ``match_on``."""

_MOST_DIFFERENCES: Final = 3


def register_parts(vcr: VCR) -> None:
    """Gives a `vcr.VCR` our persister and our matcher; see `pytest_stepreplay.vcr.register`."""
    cassettes = _Cassettes()
    vcr.register_persister(cassettes)
    vcr.register_matcher(MATCHER, cassettes.compare)
    if tuple(vcr.match_on) == tuple(import_vcr("vcr.config").VCR().match_on):
        # Vcrpy shows a request as near only where one of its matchers agrees.
        vcr.match_on = ("method", MATCHER)


@dataclass(frozen=True, eq=False)
class _Origin:
    """Where a request of vcrpy's comes from: it is saved as it was as long as nothing has changed it.

    Attributes:
        interaction: as it stands in the file.
        asked: what vcrpy was given for its request.
        answered: what vcrpy was given for its response.
    """

    interaction: Interaction
    asked: tuple[str, str, bytes]
    answered: Mapping[str, Any]

    def __deepcopy__(self, _memo: object) -> _Origin:
        return self


@dataclass
class _Known(threading.local):
    """What each cassette held when this thread opened it last, by path."""

    at: dict[Path, tuple[Interaction, ...]] = field(default_factory=dict)


class _Cassettes:
    """vcrpy's persister, and its matcher of requests."""

    def __init__(self) -> None:
        self._known = _Known()

    def load_cassette(
        self,
        cassette_path: str | os.PathLike[str],
        serializer: object,  # noqa: ARG002 - vcrpy gives it by its name
    ) -> tuple[list[VcrRequest], list[dict[str, Any]]]:
        """Returns the requests and the responses of a cassette, as vcrpy knows them.

        Raises:
            CassetteNotFoundError: vcrpy's; there is no such file.
            CassetteReadError: it cannot be read, and stays as it is.
        """
        path = Path(disk.absolute(cassette_path))
        self._known.at[path] = ()
        if not files.exists(path):
            raise import_vcr("vcr.persisters.filesystem").CassetteNotFoundError(display_path(path))
        interactions = self._known.at[path] = cassette_files.read_cassette(path).cassette.interactions
        requests, responses = [], []
        for each in interactions:
            request, response = vcr_request(each.request), vcr_response(each.response)
            request.stepreplay = _Origin(each, _asked(request), vcr_response(each.response))
            requests.append(request)
            responses.append(response)
        _report(path, recorded=0)
        return requests, responses

    def save_cassette(
        self,
        cassette_path: str | os.PathLike[str],
        cassette_dict: Mapping[str, Any],
        serializer: object,  # noqa: ARG002 - as above
    ) -> None:
        """Writes what vcrpy holds, merged with what others have written since it was loaded.

        Raises:
            CassetteReadError: the file cannot be read any more.
            CassetteWriteError: it cannot be written, or would hold a secret. What stood there still stands.
        """
        try:
            self._save(Path(disk.absolute(cassette_path)), cassette_dict)
        except BaseException:
            _take_out_patches()
            raise

    def _save(self, path: Path, cassette_dict: Mapping[str, Any]) -> None:
        if cassette_dict.get("metadata"):
            raise CassetteWriteError(
                path,
                "was not written: vcrpy's get_metadata has no place in a cassette of this format",
                fix="Keep such values in the test, or in a file of your own",
            )
        settings = _settings()
        redactor = Redactor(fields=settings.redact_fields, values=settings.secrets)
        known = self._known.at.get(path, ())
        left = list(range(len(known)))
        done: list[tuple[int | None, Interaction | None]] = []
        pairs = [*zip(cassette_dict["requests"], cassette_dict["responses"], strict=True)]
        for i, (request, response) in enumerate(pairs):
            kept = _unchanged(request, response)
            position = next((j for j in left if known[j] == kept), None)
            if position is not None:
                left.remove(position)
                done.append((position, None))
                continue
            try:
                found = kept or _interaction(i, request, response, redactor, settings.keep_headers)
            except MisfitError as error:
                where = told_place(error.location)
                raise CassetteWriteError(path, f"was not written: {where}: {error.problem}") from None
            done.append((None, found))
        allowed = tuple(selector for selector, _ in settings.allow_secret)
        wall = Wall(redactor.known | environment_secrets(), allowed)
        key = keys.Matcher.of(settings).key
        with secrets.guarded_by(lambda: wall), locks.locked(path):
            now = _read_ours(path)
            merged = merge_recorded(
                known,
                now.interactions,
                done,
                stale=frozenset(left),
                shared=True,
                key=lambda each: key(each.request),
            )
            run = host()
            test = now.test or (run.test() if run else "") or None
            cassette_files.write_cassette(path, Cassette(test=test, interactions=merged))
        self._known.at[path] = merged
        for (request, response), (_, new) in zip(pairs, done, strict=True):
            if new is not None:  # vcrpy may save the same once more
                request.stepreplay = _Origin(new, _asked(request), response)
        _report(path, recorded=sum(new is not None for _, new in done))

    def compare(self, asked: VcrRequest, recorded: VcrRequest) -> None:
        """Compares two requests as our own are compared: canonical bodies, renamed ids, what is ignored left out.

        Raises:
            AssertionError: they differ; its text says in what.
        """
        settings = _settings()
        matcher = keys.Matcher.of(settings)
        if _key(asked, matcher, settings) == _key(recorded, matcher, settings):
            return
        found = contrast.differences(_seen(recorded, settings), _seen(asked, settings), matcher)
        raise AssertionError("\n".join(map(str, found[:_MOST_DIFFERENCES])))


def _take_out_patches() -> None:
    """Ends vcrpy's patching of the clients: where a save fails, it leaves that in place for all tests that follow."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        attributes = getattr(frame.f_locals.get("self"), "__dict__", {})
        patching = attributes.get("_CassetteContextDecorator__finish")
        if patching is not None:
            attributes["_CassetteContextDecorator__finish"] = None
            patching.close()
            return
        frame = frame.f_back


def _settings() -> Settings:
    run = host()
    return run.settings() if run else Settings()


def _report(path: Path, *, recorded: int) -> None:
    """Tells the run that this cassette is used, so that nobody takes it for one that no test uses."""
    run = host()
    if run is not None:
        mode = run.settings().mode.name
        run.report(Outcome(str(path), mode, shared=True, recorded=recorded, written=recorded > 0))


def _read_ours(path: Path) -> Cassette:
    if not files.exists(path):
        return Cassette()
    found = cassette_files.read_cassette(path)
    if found.format != "stepreplay":
        raise CassetteWriteError(
            path,
            f"is a cassette of another tool ({found.format}); it can be replayed, but not recorded into",
            fix=f"Convert it with: {stepreplay_command('convert', display_path(path))}",
        )
    return found.cassette


# ---------------------------------------------------------------- requests and responses of vcrpy


def _asked(request: VcrRequest) -> tuple[str, str, bytes]:
    return request.method, request.uri, whole_body(request)


def _unchanged(request: VcrRequest, response: Mapping[str, Any]) -> Interaction | None:
    """Returns the interaction that a request was loaded from, if its project's filters have left it as it was."""
    origin: _Origin | None = getattr(request, "stepreplay", None)
    if origin is None or origin.asked != _asked(request) or origin.answered != response:
        return None
    return origin.interaction


def _interaction(
    position: int,
    request: VcrRequest,
    response: Mapping[str, Any],
    redactor: Redactor,
    keep_headers: Collection[str],
) -> Interaction:
    """Returns what is stored of a request and its response; vcrpy does not say when they were made, so it is now.

    Raises:
        MisfitError: they cannot be stored.
    """
    headers = response["headers"]  # pairs, where tornado's stub has made them
    tree = {
        "request": {
            "method": request.method,
            "uri": request.uri,
            "body": whole_body(request),
            "headers": {name: [value] for name, value in request.headers.items()},
        },
        "response": {**response, "headers": headers if isinstance(headers, dict) else dict(headers)},
    }
    found = read_exchange(tree, ("interactions", position)).interaction(keep_headers)
    return Interaction(
        recorded_at=clock.stamp(clock.seconds()),
        request=redactor.redact_request(found.request),
        response=redactor.redact_response(found.response),
    )


def _seen(request: VcrRequest, settings: Settings) -> Request:
    """Returns a request as it is compared: redacted, as those of a cassette are."""
    origin: _Origin | None = getattr(request, "stepreplay", None)
    if origin is not None and origin.asked == _asked(request):
        return origin.interaction.request
    found = request_from_wire(
        request.method, request.uri, whole_body(request), request.headers.get("Content-Type")
    )
    return Redactor(fields=settings.redact_fields, values=settings.secrets).redact_request(found)


def _key(request: VcrRequest, matcher: keys.Matcher, settings: Settings) -> str:
    """Returns the key of a request, which is found once: vcrpy compares each with every one of its cassette."""
    known = getattr(request, "stepreplay_key", None)
    if known is None or known[0] != matcher:
        known = request.stepreplay_key = matcher, matcher.key(_seen(request, settings))
    key: str = known[1]
    return key
