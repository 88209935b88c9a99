"""One writer at a time: who waits, who is told why, and that nothing of it stays behind."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_stepreplay import store
from pytest_stepreplay.errors import CassetteReadError, CassetteWriteError
from pytest_stepreplay.machine import disk
from pytest_stepreplay.machine.disk import UMASK
from pytest_stepreplay.machine.file_lock import FileLock
from pytest_stepreplay.models import Cassette
from pytest_stepreplay.store import cassettes, locks, paths, pending

HOLDER = """
import sys
from pathlib import Path
from pytest_stepreplay.store.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the lock of a file, until the block or the process ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.kill()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_lock_is_a_hidden_file_that_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.yaml"
    with locks.locked(path):
        assert [re.sub("-[0-9a-f]{8}", "-HASH", name) for name in names_in(path.parent)] == [
            ".x.yaml-HASH.lock"
        ]
        assert list(paths.iter_cassettes(tmp_path)) == []
    assert names_in(path.parent) == []


def test_it_is_held_once_for_a_file_its_pending_one_and_whatever_leads_to_them(tmp_path: Path) -> None:
    path, link = tmp_path / "x.yaml", tmp_path / "link.yaml"
    link.symlink_to(path)
    with locks.locked(path), locks.locked(tmp_path / "x.yaml.new"), locks.locked(link):
        cassettes.write_cassette(path, Cassette())
    assert names_in(tmp_path) == ["link.yaml", "x.yaml"]


@pytest.mark.parametrize("is_link", [False, True])
def test_what_is_written_last_takes_the_file_of_the_lock(is_link: bool, tmp_path: Path) -> None:
    path = named = tmp_path / "x.yaml"
    if is_link:
        named = tmp_path / "link.yaml"
        named.symlink_to(path)
    for number in range(2):
        with locks.locked(named):
            (lock,) = tmp_path.glob(".*.lock")
            before = lock.stat().st_ino
            content = cassettes.write_cassette(named, Cassette(test="x" * (9 - number)), last=True)
            assert not lock.exists()
            with held_elsewhere(path):  # the lock is given up
                pass
        assert path.read_bytes() == content
        if sys.platform != "win32":
            assert path.stat().st_ino == before
        assert path.stat().st_mode & 0o777 == (0o640 if number else 0o666 & ~UMASK)
        path.chmod(0o640)
    with locks.locked(named):
        cassettes.write_cassette(named, Cassette(test="x" * 8), last=True)
        assert path.stat().st_ino == before  # it holds this already, and is left alone
    assert names_in(tmp_path) == sorted({"x.yaml", named.name})


def test_what_cannot_be_written_last_leaves_the_old_file_and_its_lock_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.yaml"
    before = cassettes.write_cassette(path, Cassette())

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with locks.locked(path):
        for step in ("fill", "replace"):
            with monkeypatch.context() as patch, pytest.raises(CassetteWriteError, match="No space left"):
                patch.setattr(disk, step, fail)
                cassettes.write_cassette(path, Cassette(test="new"), last=True)
            assert path.read_bytes() == before
            assert len(names_in(tmp_path)) == 2
    assert names_in(tmp_path) == ["x.yaml"]
    with pytest.raises(ValueError, match="is not held"):
        FileLock(path).become(path, b"")


def test_who_waits_too_long_is_told_who_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "TIMEOUT", 0.05)
    path = tmp_path / "x.yaml"
    cassettes.write_cassette(path, Cassette())
    before = path.read_bytes()
    with held_elsewhere(path) as holder, pytest.raises(CassetteWriteError) as caught:
        cassettes.write_cassette(path, Cassette(test="new"))
    assert re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "NOW", str(caught.value)) == (
        f"{path}: was not written: for 0.05 seconds process {holder.pid} on {socket.gethostname()} (since NOW UTC) "
        "has been writing it\nWait for it, or end it if it hangs, then run this again"
    )
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [b"", b"\x1b[2J", b"[1]", b'{"pid": "x"}', b'{"pid": 1, "host": "\\u001b", "since": 7}', b"[" * 2000],
)
def test_a_lock_file_that_says_nothing_shows_nothing(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "TIMEOUT", 0.01)
    path = tmp_path / "x.yaml"
    with held_elsewhere(path):
        (lock,) = tmp_path.iterdir()
        lock.write_bytes(content)
        with pytest.raises(CassetteWriteError, match="seconds another process has been writing it"):
            cassettes.write_cassette(path, Cassette())


def test_the_lock_of_a_killed_process_is_free_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with held_elsewhere(path) as holder:
        holder.kill()
        holder.wait()
        assert len(names_in(tmp_path)) == 1
        cassettes.write_cassette(path, Cassette())
    assert names_in(tmp_path) == ["x.yaml"]


def test_what_killed_processes_left_in_the_folder_goes_and_what_is_in_use_stays(tmp_path: Path) -> None:
    def hidden(name: str, ending: str) -> Path:
        path = tmp_path / f".{store.files.stem_of(tmp_path / name)}.{ending}"
        path.write_text("half")
        return path

    hidden("x.yaml", "0123abcd.tmp")
    hidden("x.yaml.new", "0123abcd.tmp")
    hidden("killed.yaml", "lock")
    hidden("killed.yaml", "0123abcd.tmp")
    (tmp_path / ".mine.yaml.tmp").write_text("somebody else's")
    (tmp_path / f".{store.files.stem_of(tmp_path / 'folder.yaml')}.lock").mkdir()
    with held_elsewhere(tmp_path / "busy.yaml"):
        busy = hidden("busy.yaml", "0123abcd.tmp")
        with locks.locked(tmp_path / "outer.yaml"):
            outer = hidden("outer.yaml", "0123abcd.tmp")
            cassettes.write_cassette(tmp_path / "x.yaml", Cassette())
            assert outer.exists()
        assert busy.exists()
        left = [re.sub("-[0-9a-f]{8}", "", name) for name in names_in(tmp_path)]
    assert left == [
        ".busy.yaml.0123abcd.tmp",
        ".busy.yaml.lock",
        ".folder.yaml.lock",
        ".mine.yaml.tmp",
        ".outer.yaml.0123abcd.tmp",
        "x.yaml",
    ]


def test_long_names_that_begin_alike_are_kept_apart(tmp_path: Path) -> None:
    one, other = (tmp_path / ("é" * 120 + ending + ".yaml") for ending in "ab")
    assert store.files.stem_of(one) != store.files.stem_of(other)
    with locks.locked(one):
        cassettes.write_cassette(other, Cassette())
        cassettes.write_cassette(one, Cassette())
    assert names_in(tmp_path) == sorted([one.name, other.name])


def test_threads_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    cassettes.write_cassette(path, Cassette(test="0"))

    def count() -> None:
        for _ in range(20):
            with locks.locked(path):
                test = cassettes.read_cassette(path).cassette.test
                cassettes.write_cassette(path, Cassette(test=str(int(test or 0) + 1)))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cassettes.read_cassette(path).cassette.test == "80"
    assert names_in(tmp_path) == ["x.yaml"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_during_a_save_does_not_hold_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    stop = multiprocessing.get_context("fork").Event()
    with locks.locked(path):
        child = multiprocessing.get_context("fork").Process(target=stop.wait)
        child.start()
    try:
        with held_elsewhere(path):
            pass
    finally:
        stop.set()
        child.join()
    assert child.exitcode == 0


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS])
def test_where_the_file_system_has_no_locks_a_file_is_written_all_the_same(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(FileLock, "acquire", refuse)
    leftover = tmp_path / f".{store.files.stem_of(tmp_path / 'x.yaml')}.0123abcd.tmp"
    leftover.write_text("perhaps in use")
    cassettes.write_cassette(tmp_path / "x.yaml", Cassette())
    assert names_in(tmp_path) == [leftover.name, "x.yaml"]


@pytest.mark.skipif(os.name == "nt", reason="Windows asks for a privilege to make links")
def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / f".{store.files.stem_of(tmp_path / 'x.yaml')}.lock").symlink_to(victim)
    with pytest.raises(CassetteWriteError, match="could not be written: Too many levels of symbolic links"):
        cassettes.write_cassette(tmp_path / "x.yaml", Cassette())
    assert victim.read_text() == "precious"


def test_deciding_about_a_file_that_is_not_there_makes_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "none" / "x.yaml.new"
    assert pending.reject_pending(path) == ()
    for decide in (pending.accept_pending, lambda path: pending.reject_pending(path, ["1"])):
        with pytest.raises(CassetteReadError, match="does not exist"):
            decide(path)
    assert names_in(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_save_killed_at_any_line_leaves_the_old_file_or_the_new_and_no_rubbish(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.unit.killed_saves", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert run.returncode == 0, run.stderr
    killed = {kind: int(times) for kind, times in (line.split() for line in run.stdout.splitlines())}
    assert killed.keys() == {"cassette", "last", "beside", "snapshots", "removal", "pending", "accept"}
    assert min(killed.values()) >= 30, killed
    assert sum(killed.values()) >= 300, killed


def test_a_folder_of_many_files_is_not_listed_at_every_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1000):
        (tmp_path / f"{number}.yaml").touch()
    listed: list[int] = []
    names_of = disk.names_in

    def names_in(folder: Path) -> list[str]:
        names = names_of(folder)
        listed.append(len(names))
        return names

    monkeypatch.setattr(disk, "names_in", names_in)
    for number in range(64):
        cassettes.write_cassette(tmp_path / f"{number}.yaml", Cassette())
    assert 1 <= len(listed) <= 5  # or 64 saves would look at 64,000 names
