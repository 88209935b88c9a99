"""The file of a test's snapshots, `NAME.snapshots.yaml`, read and written as cassettes are.

A mapping of snapshots by name goes in and comes out; what cannot be used is a `CassetteError` that says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..commands import mend_or_record
from ..errors import CassetteReadError
from ..models import PLAIN_VERSION
from ..wire.json_values import shown
from . import codec, locks, schema
from .files import exists, read_if_there, remove_cassette, write_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..wire.json_values import Tree

_KEYS = ("stepreplay", "test", "snapshots")


def read_snapshots(path: Path) -> dict[str, Tree]:
    """Return the snapshots in a file by their names, in its order; none where there is no file.

    Raises:
        CassetteReadError: it cannot be read. The file is left as it is.
    """
    try:
        content = read_if_there(path)
        if content is None:
            return {}
        snapshots: dict[str, Tree] = parse_snapshots(content, path)["snapshots"]
    except MemoryError:
        raise CassetteReadError(path, "is too large for the memory of this machine") from None
    return snapshots


def parse_snapshots(content: bytes, path: Path) -> dict[str, Tree]:
    """Return the checked tree of a file of snapshots, as `snapshots_tree` makes it.

    Raises:
        CassetteReadError: the content is none.
    """
    tree, text = codec.decode(content, path)
    if not isinstance(tree, dict) or "stepreplay" not in tree:
        raise CassetteReadError(
            path, "holds no snapshots: it has no 'stepreplay: 1' at the top", fix=mend_or_record(path)
        )
    if tree["stepreplay"].__class__ is not int or tree["stepreplay"] != PLAIN_VERSION:
        schema.check_version(tree, text, path)
    if not isinstance(tree.get("snapshots"), dict):
        line = codec.line_at(text, ["snapshots"])
        raise CassetteReadError(
            path, "holds no snapshots: it has no mapping 'snapshots:'", line=line, fix=mend_or_record(path)
        )
    for key in tree:
        if key not in _KEYS:
            problem = f"{shown(key)}: a file of snapshots has no such key"
            raise CassetteReadError(path, problem, line=codec.line_at(text, [key]), fix=mend_or_record(path))
    return tree


def write_snapshots(path: Path, test: str, snapshots: Mapping[str, Tree]) -> None:
    """Write snapshots, in one step; without any, the file is removed.

    Args:
        path: the file; its folders are made.
        test: the id of the test.
        snapshots: JSON values by their names.

    Raises:
        CassetteWriteError: it could not be written. What stood there before still stands.
    """
    if snapshots:
        content = codec.encode(snapshots_tree(test, snapshots), path)
        with locks.locked(path):
            write_bytes(path, content)
    elif exists(path):
        with locks.locked(path):
            remove_cassette(path)


def snapshots_tree(test: str, snapshots: Mapping[str, Tree]) -> dict[str, Tree]:
    """Return the tree of a file of snapshots, as it stands in the file and as `write_pending` takes it."""
    return {"stepreplay": PLAIN_VERSION, "test": test, "snapshots": dict(snapshots)}
