"""Disks that are full, read-only or gone: the test that recorded says so, and nothing else suffers."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import KEY

from .suite import PLAIN, Suite

if sys.platform == "win32":
    pytest.skip("Windows has neither such limits nor such mounts", allow_module_level=True)

AFTERWARDS = """

    def test_afterwards():
        ask("not recorded")
"""
"""A test without a cassette, whose request reaches the API: nothing intercepts any more."""


@pytest.fixture
def disk(suite: Suite) -> Iterator[Path]:
    """A small file system of its own at the folder of the cassettes."""
    folder = suite.pytester.path / "cassettes"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"a file system cannot be mounted here: {error}")
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, how: str) -> str:
    return f"import subprocess; subprocess.run(['mount', '-o', 'remount,{how}', {str(folder)!r}], check=True)"


def test_a_full_disk_is_said_by_the_test_that_recorded(suite: Suite, disk: Path) -> None:
    suite.write(PLAIN)
    suite.record().assert_outcomes(passed=1)
    before = suite.cassette().read_bytes()
    suite.write(PLAIN + AFTERWARDS)
    suite.change("Say hello.", "Say something else.")
    suite.change(
        'else.")',
        'else.")\n    with open("cassettes/large", "wb", buffering=0) as large:\n'
        "        try:\n            while large.write(bytes(512)): pass\n        except OSError: pass",
    )
    result = suite.record()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*test_greeting.yaml: could not be written: No space left on device; the file on disk is still the old one",
            "Free some disk space, then run it again.",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert suite.cassette().read_bytes() == before
    assert suite.cassettes == ["large", "test_chat/test_greeting.yaml"]
    assert suite.upstream.count == 3


def test_a_disk_that_takes_no_more_is_said_too(suite: Suite) -> None:
    suite.write(PLAIN + AFTERWARDS)
    with suite.few_plugins() as few:
        run = subprocess.run(
            # -B: bytecode would be cut off at the limit too, and no later run could import it.
            [
                sys.executable,
                "-B",
                "-m",
                "pytest",
                *few,
                "-p",
                "no:cacheprovider",
                "-q",
                "--stepreplay=record",
            ],
            cwd=suite.pytester.path,
            env={**os.environ, "STEP_API_KEY": KEY},
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500)),
        )
    assert "test_greeting.yaml: could not be written: File too large; nothing was written" in run.stdout
    assert "2 passed, 1 error" in run.stdout
    assert "Traceback" not in run.stdout
    assert suite.cassettes == []
    assert suite.upstream.count == 2


@pytest.mark.parametrize("mode", ["record", "rewrite"])
def test_a_read_only_folder_is_said_before_anything_is_sent(suite: Suite, disk: Path, mode: str) -> None:
    suite.write(PLAIN + AFTERWARDS)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    result = suite.run(f"--stepreplay={mode}", key=KEY)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*test_greeting.yaml: cannot be written: cassettes may not be written*"])
    assert suite.upstream.count == 1
    assert suite.cassettes == []


def test_a_folder_that_becomes_read_only_keeps_the_old_file(suite: Suite, disk: Path) -> None:
    suite.write(PLAIN)
    suite.record().assert_outcomes(passed=1)
    before = suite.cassette().read_bytes()
    suite.write(PLAIN + AFTERWARDS)
    suite.change("Say hello.", "Say something else.")
    suite.change('else.")', f'else.")\n    {remount(disk, "ro")}')
    result = suite.record()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*test_greeting.yaml: could not be written: Read-only file system; the file on disk is still the old one",
            "Make the folder writable, or set another one with --stepreplay-dir.",
        ]
    )
    assert suite.cassettes == ["test_chat/test_greeting.yaml"]
    assert suite.cassette().read_bytes() == before


def test_replay_and_verify_need_no_writable_folder(suite: Suite, disk: Path) -> None:
    suite.write(PLAIN)
    suite.record().assert_outcomes(passed=1)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    suite.run("--stepreplay=verify", key=KEY).assert_outcomes(passed=1)
    suite.go_offline()
    suite.run().assert_outcomes(passed=1)


def test_a_folder_that_vanishes_is_made_again_with_all_that_was_in_it(suite: Suite) -> None:
    suite.write(PLAIN)
    suite.record().assert_outcomes(passed=1)
    before = suite.cassette().read_bytes()
    suite.change(
        'ask("Say hello.")',
        'ask("Say hello.") and ask("More.")\n    import shutil; shutil.rmtree("cassettes")',
    )
    suite.record().assert_outcomes(passed=1)
    assert suite.cassette().read_bytes().startswith(before)
    suite.change('\n    import shutil; shutil.rmtree("cassettes")', "")
    suite.go_offline()
    suite.run().assert_outcomes(passed=1)
