"""Saves that are killed at one line after another; run as a process of its own, it prints how many.

Each save runs in a forked child, which kills itself at the n-th line that the save runs in the store, or in between at
a call in a library. Then every file must be the old or the new one, and the next save must leave nothing behind.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from pytest_stepreplay.models import Cassette, Interaction, Request, Response
from pytest_stepreplay.store import pending as pending_files
from pytest_stepreplay.store import snapshot_files
from pytest_stepreplay.store.cassettes import write_cassette
from pytest_stepreplay.store.files import PENDING_SUFFIX
from pytest_stepreplay.store.locks import locked
from pytest_stepreplay.wire.bodies import response_from_wire

ELSEWHERE = 30
"""How many calls lie between two kills in code that neither locks nor writes a file."""


def cassette(answer: str) -> Cassette:
    request = Request(method="GET", url="https://x/")
    return Cassette(interactions=(Interaction(request=request, response=Response(status=200, text=answer)),))


def snapshots(answer: str) -> dict[str, Any]:
    return {"one": answer, "other": [answer, answer]}


class Lines:
    """Counts the lines at which a save can be killed, and kills it at one of them."""

    def __init__(self, last: int | None = None) -> None:
        self.count = 0
        self._last = last
        self._others = 0

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:
        here = frame.f_code.co_filename.endswith(
            (
                "store/body_files.py",
                "store/files.py",
                "store/locks.py",
                "store/pending.py",
                "machine/disk.py",
                "machine/file_lock.py",
            )
        )
        if event == "call" and not here:
            self._others += 1
        if event == "line" or (event == "call" and not here and self._others % ELSEWHERE == 0):
            self.count += 1
            if self.count == self._last:
                os.kill(os.getpid(), signal.SIGKILL)
        return self if here else None


def run_to_line(save: Callable[[], object], line: int) -> bool:
    """Run a save in a child that dies at that line; return whether it got that far."""
    child = os.fork()
    if child == 0:
        sys.settrace(Lines(line))
        save()
        sys.settrace(None)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, -signal.SIGKILL}, status
    return status != 0


def lines_of(save: Callable[[], object]) -> int:
    """Return at how many lines a save can be killed."""
    lines = Lines()
    sys.settrace(lines)
    try:
        save()
    finally:
        sys.settrace(None)
    return lines.count


def kill(
    folder: Path,
    reset: Callable[[], object],
    save: Callable[[], object],
    good: list[set[bytes | None]],
    *files: Path,
) -> int:
    """Kill a save at line after line, check what is left, and return how often that was."""
    killed = 0
    reset()
    lines = lines_of(save)
    reset()
    for line in range(1, lines + 1, 3):
        killed += run_to_line(save, line)
        for path, contents in zip(files, good, strict=True):
            found = path.read_bytes() if path.exists() else None
            assert found in contents, f"{path.name} holds something else, after line {line} of {lines}"
        reset()
        left = sorted(path.name for path in folder.iterdir())
        assert left == sorted(path.name for path in files if path.exists()), f"{left}, after line {line}"
    return killed


def main(folder: Path) -> None:
    path, values = folder / "x.yaml", folder / "x.snapshots.yaml"
    pending = folder / f"x.yaml{PENDING_SUFFIX}"

    def contents(*saves: Callable[[], object], of: Path) -> set[bytes | None]:
        found: set[bytes | None] = set()
        for save in saves:
            save()
            found.add(of.read_bytes() if of.exists() else None)
        return found

    def write(answer: str) -> Callable[[], object]:
        return lambda: write_cassette(path, cassette(answer))

    def write_last() -> None:
        with locked(path):
            write_cassette(path, cassette("new" * 5000), last=True)

    old, new = write("old" * 5000), write("new" * 5000)
    print("cassette", kill(folder, old, new, [contents(old, new, of=path)], path))
    print("last", kill(folder, old, write_last, [contents(old, new, of=path)], path))

    sound = b"\xff" * 100_000
    spoken = response_from_wire(200, {}, sound)
    assert spoken.file is not None
    beside, request = folder / spoken.file.name, Request(method="GET", url="https://x/")

    def write_beside() -> None:
        write_cassette(path, Cassette(interactions=(Interaction(request=request, response=spoken),)))

    def without_beside() -> None:
        cited = path.exists() and beside.name in path.read_text()
        assert beside.exists() or not cited, "a cassette cites what is not there yet"
        old()
        beside.unlink(missing_ok=True)

    cassettes = contents(without_beside, write_beside, of=path)
    good: list[set[bytes | None]] = [cassettes, {sound, None}]
    print("beside", kill(folder, without_beside, write_beside, good, path, beside))
    path.unlink()

    def write_old() -> None:
        snapshot_files.write_snapshots(values, "test", snapshots("old"))

    def write_new() -> None:
        snapshot_files.write_snapshots(values, "test", snapshots("new"))

    def write_none() -> None:
        snapshot_files.write_snapshots(values, "test", {})

    print(
        "snapshots", kill(folder, write_old, write_new, [contents(write_old, write_new, of=values)], values)
    )
    print(
        "removal", kill(folder, write_old, write_none, [contents(write_old, write_none, of=values)], values)
    )
    values.unlink(missing_ok=True)

    def start() -> None:
        pending_files.reject_pending(pending)
        write_cassette(path, cassette("old"))

    def wait() -> None:
        start()
        propose()

    def propose() -> None:
        pending_files.write_pending(path, cassette("new"))

    def accept() -> None:
        pending_files.accept_pending(pending)

    both = [contents(start, of=path), contents(start, propose, of=pending)]
    print("pending", kill(folder, start, propose, both, path, pending))
    both = [contents(wait, accept, of=path), contents(wait, accept, of=pending)]
    print("accept", kill(folder, wait, accept, both, path, pending))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
