"""What a run has sent, on the disk before it is sent: so a run that was killed goes on, and sends no call twice.

A journal is a file with one line of JSON for each call that is sent, and one for each answer. A call is in the file,
and the file on the disk, before the call leaves; one that stands there without an answer was under way when the run
was ended, and is never sent again. A line that was cut off by that is no line: what it tells has not happened.
"""

from __future__ import annotations

import json
import threading
from base64 import b64decode, b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from ..errors import CassetteWriteError, StepReplayError, display_path
from ..machine import disk
from ..machine.file_lock import FileLock
from ..store import secrets
from ..value_classes import dataclass
from ..wire.bodies import body_bytes, response_from_wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ..models import Response

JOURNAL_VERSION: Final = 1
_FIX: Final = "Add --fresh to begin anew"


@dataclass(frozen=True, slots=True)
class CallResult:
    """What one call has come to.

    Attributes:
        reason: why there is nothing to compare; empty where there is a response.
        response: redacted.
        again: the server has refused the call for now, so that another one may follow.
        tokens: that it has cost.
        reached: it may have come to the server; a connection that was refused is no call.
        seconds: until the response had come, as far as that is known.
    """

    reason: str = ""
    response: Response | None = None
    again: bool = False
    tokens: int = 0
    reached: bool = True
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of one recorded request from the runs before.

    Attributes:
        tries: how often it was sent.
        answer: the last one; None where it was under way when the run was ended.
        calls: when each was over, as far as that is known, and the tokens of it.
    """

    tries: int
    answer: CallResult | None
    calls: tuple[tuple[float, int], ...]


class Journal:
    """The file, open for one run; what is in it from the runs before is in `past`."""

    def __init__(self, path: Path, past: Mapping[str, Past], descriptor: int) -> None:
        self.path = path
        self.past = past
        self._descriptor = descriptor
        self._writing = threading.Lock()

    def calls(self, now: float) -> list[tuple[float, int]]:
        """Returns when each call of the runs before was over, and its tokens; one that was under way ends now."""
        found = []
        for each in self.past.values():
            done = each.calls if each.answer is not None else each.calls[:-1]
            found += [*done, *((now, tokens) for _, tokens in each.calls[len(done) :])]
        return found

    def note_sent(self, key: str, *, at: float, tokens: int) -> None:
        """Notes that a request is about to be sent; when this returns, the disk has it.

        Args:
            key: of the request.
            at: the time, in seconds since 1970.
            tokens: that the call may cost.

        Raises:
            OSError: it could not be written, and the request must not be sent.
        """
        self._add({"sent": key, "at": round(at, 3), "tokens": tokens})

    def note_answer(self, key: str, answer: CallResult, *, at: float) -> None:
        """Notes what came of a call.

        Raises:
            OSError: it could not be written.
        """
        line: dict[str, Any] = {"answered": key, "at": round(at, 3), "tokens": answer.tokens}
        if answer.reason:
            line["reason"] = answer.reason
        if answer.again:
            line["again"] = True
        if not answer.reached:
            line["reached"] = False
        if answer.seconds is not None:
            line["seconds"] = round(answer.seconds, 3)
        if answer.response is not None:
            line["response"] = _tree_of_response(answer.response)
        try:
            secrets.refuse_secrets(self.path, json.dumps(line, ensure_ascii=False).encode(), line)
        except CassetteWriteError:
            line.pop("response", None)
            line["reason"] = "its answer holds what looks like a secret, and so it is not in the journal"
        self._add(line)

    def _add(self, line: Mapping[str, Any]) -> None:
        with self._writing:
            disk.write(self._descriptor, json.dumps(line).encode() + b"\n")
            disk.flush(self._descriptor)

    def remove(self) -> None:
        """Removes the file: everything in it is done."""
        disk.remove(self.path)


@contextmanager
def open_journal(path: Path, *, root: Path, what: str, fresh: bool) -> Iterator[Journal]:
    """Opens the journal of a run, with what it holds of an earlier one that did not end.

    Args:
        path: the file; its folder is made.
        root: the folder of the project.
        what: the cassettes that the run is for, in words; another run's journal is not gone on with.
        fresh: begin anew, whatever it holds.

    Raises:
        StepReplayError: it is of another project, cannot be read or written, or another run has it open.
    """
    head = {"stepreplay_journal": JOURNAL_VERSION, "root": str(root), "cassettes": what}
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    try:
        disk.make_folders(path.parent)
        if not lock.acquire(0):
            raise StepReplayError(
                f"another run of stepreplay verify is at work on {what}; wait for it, or end it"
            )
    except (OSError, ValueError) as error:
        raise StepReplayError(f"{display_path(path)} cannot be written: {error}") from None
    try:
        if fresh and disk.exists(path):
            disk.remove(path)
        content = disk.read(path) if disk.exists(path) else b""
        whole = content[: content.rfind(b"\n") + 1]
        past = _read_past(whole, head, path) if whole else {}
        if len(whole) < len(content):
            disk.overwrite(path, whole)
        descriptor = disk.open_to_append(path)
        try:
            journal = Journal(path, past, descriptor)
            if not whole:
                journal._add(head)
                disk.flush_folder(path.parent)
            yield journal
        finally:
            disk.close(descriptor)
    finally:
        lock.release()


def _read_past(content: bytes, head: Mapping[str, Any], path: Path) -> dict[str, Past]:
    try:
        lines = [json.loads(line) for line in content.splitlines()]
        first = lines[0]
        is_ours = first.keys() == head.keys() and first["stepreplay_journal"] == JOURNAL_VERSION
    except (ValueError, IndexError, AttributeError, TypeError):
        is_ours = False
    if not is_ours:
        raise StepReplayError(f"{display_path(path)} is no journal of this version.\n{_FIX}")
    if first != head:
        raise StepReplayError(
            f"{display_path(path)} is the journal of a run in {first['root']}, for {first['cassettes']}.\n{_FIX}"
        )
    past: dict[str, Past] = {}
    try:
        for line in lines[1:]:
            _take_line(past, line)
    except (ValueError, KeyError, TypeError):
        raise StepReplayError(f"{display_path(path)} is broken.\n{_FIX}") from None
    return past


def _take_line(past: dict[str, Past], line: Mapping[str, Any]) -> None:
    if "sent" in line:
        before = past.get(line["sent"], Past(0, None, ()))
        calls = (*before.calls, (float(line["at"]), int(line["tokens"])))
        past[line["sent"]] = Past(before.tries + 1, None, calls)
        return
    before = past[line["answered"]]
    if not line.get("reached", True):  # nothing was sent, and it may be tried as often as before
        past[line["answered"]] = Past(before.tries - 1, CallResult(again=True), before.calls[:-1])
        return
    tokens, at = int(line["tokens"]), float(line["at"])
    tree = line.get("response")
    answer = CallResult(
        str(line.get("reason", "")),
        _response_of_tree(tree) if tree else None,
        bool(line.get("again")),
        tokens,
        seconds=seconds if isinstance(seconds := line.get("seconds"), int | float) else None,
    )
    past[line["answered"]] = Past(before.tries, answer, (*before.calls[:-1], (at, tokens)))


def _tree_of_response(response: Response) -> dict[str, Any]:
    body = body_bytes(response)
    tree: dict[str, Any] = {"status": response.status, "headers": response.headers}
    try:
        return tree | {"text": body.decode()}
    except UnicodeDecodeError:
        return tree | {"base64": b64encode(body).decode()}


def _response_of_tree(tree: Mapping[str, Any]) -> Response:
    body = tree["text"].encode() if "text" in tree else b64decode(tree["base64"])
    return response_from_wire(tree["status"], tree["headers"], body)
