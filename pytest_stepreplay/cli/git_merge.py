"""`stepreplay git-merge`: the merge driver that git calls for cassettes and files of snapshots.

Whatever happens, the file is whole and can be read: what a person must decide is told, and git keeps both versions
until then. Theirs waits as a pending file where `stepreplay review` can show it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..commands import stepreplay_command
from ..errors import CassetteError, CassetteReadError, StepReplayError
from ..store.cassettes import parse_source
from ..store.files import exists
from ..store.paths import SNAPSHOTS_SUFFIX
from ..store.pending import pending_path, write_pending
from ..store.three_way import merge_versions
from .command import Command, Operand
from .project import guarded_by_project
from .terminal import echo, safe

if TYPE_CHECKING:
    from ..store.three_way import Clash, MergeResult

_CONFLICT: Final = 1


def _run(base: str, ours: str, theirs: str, path: str) -> int:
    place = Path(path)
    try:
        with guarded_by_project():
            merged = merge_versions(
                Path(base).read_bytes(), Path(ours).read_bytes(), Path(theirs).read_bytes(), place
            )
            _write(Path(ours), merged.content)
            return _told(merged, place) if merged.clashes else 0
    except CassetteError as error:
        return _merge_as_text(base, ours, theirs, place, error)


GIT_MERGE: Final = Command(
    name="git-merge",
    description="""
    Merge two versions of a cassette interaction by interaction, or of a file of snapshots name by name.

    Git calls this where `stepreplay setup` has said so, with %O, %A, %B and %P for BASE, OURS, THEIRS and PATH. The
    result is written to OURS. What only one side has changed is so in the result. What both have changed stays as
    ours is, theirs waits as a pending change of PATH, and the exit status is 1, so that git does not commit before
    you have decided. The file is never broken.
    """,
    examples=("stepreplay git-merge %O %A %B %P",),
    operands=(Operand("base"), Operand("ours"), Operand("theirs"), Operand("path")),
    run=_run,
)


def _write(file: Path, content: bytes) -> None:
    # git's own temporary file, which nobody else reads
    if file.read_bytes() != content:
        file.write_bytes(content)


def _told(merged: MergeResult, path: Path) -> int:
    """Says what a person must decide, with theirs as a pending change where there is one."""
    unit = "snapshot" if path.name.lower().endswith(SNAPSHOTS_SUFFIX) else "interaction"
    say = [f"{path}: both sides have changed it; the file is whole, with our version of what follows:"]
    say += [f"  {_words(each, unit)}" for each in merged.clashes]
    waits = None
    if merged.theirs is not None:
        if exists(pending_path(path)):
            say.append(f"Something else is pending for it already, so theirs is in git alone: {_show(path)}")
        else:
            try:
                waits = write_pending(path, merged.theirs, beside=merged.content)
            except StepReplayError as error:
                say.append(f"Theirs could not be written beside it ({error}); it is in git: {_show(path)}")
    review = f"{stepreplay_command('review')}, " if waits else ""
    say.append(
        f"{'Theirs is pending. ' if waits else ''}Decide with: {review}and then: git add {_from_start(path)}"
        if waits
        else f"Look at it, then: git add {_from_start(path)}"
    )
    echo(safe("\n".join(say)), err=True)
    return _CONFLICT


def _words(clash: Clash, unit: str) -> str:
    name = "the id of the test" if clash.name == "test" else f"{unit} {clash.name}"
    if clash.what == "changed by both":
        return f"{name}, changed by both"
    side, other = ("us", "them") if clash.what == "removed by us" else ("them", "us")
    return f"{name}, removed by {side} and changed by {other}: kept as changed"


def _merge_as_text(base: str, ours: str, theirs: str, path: Path, error: CassetteError) -> int:
    """Merges what is no cassette of ours, line by line; leaves ours where that would break the file."""
    done = subprocess.run(  # noqa: S603 - git calls us with files of its own
        ["git", "merge-file", "-p", "-q", ours, base, theirs],  # noqa: S607 - git is what has called us
        capture_output=True,
        check=False,
    )
    if done.returncode == 0 and _is_whole(done.stdout, path):
        _write(Path(ours), done.stdout)
        return 0
    echo(
        safe(
            f"{path}: was not merged, and is as ours is: {str(error).removeprefix(f'{path}: ')}\n"
            f"Theirs is in git: {_show(path)}\n"
            f"Take it with: git checkout --theirs -- {_from_start(path)}\nThen: git add {_from_start(path)}"
        ),
        err=True,
    )
    return _CONFLICT


def _is_whole(content: bytes, path: Path) -> bool:
    try:
        parse_source(content, path)
    except CassetteReadError:
        return False
    return True


def _show(path: Path) -> str:
    return f"git show {_quoted(Path(f':3:{path.as_posix()}'))}"


def _from_start(path: Path) -> str:
    """Returns a path as one types it in the folder where git was started; git starts us at the top."""
    return _quoted(Path(os.path.relpath(path, os.environ.get("GIT_PREFIX") or ".")))


def _quoted(path: Path) -> str:
    return shlex.quote(path.as_posix())
