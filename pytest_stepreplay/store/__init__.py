"""Cassettes on disk: where they lie, how their files read, and how they are written in one step.

Paths and `Cassette` values go in and come out; every file that cannot be used is a `CassetteError` that says
why. `bodies` turns what went over the wire into what is stored, and back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import importer
from .cassettes import ReadCassette, parse_cassette, read_cassette
from .files import check_writable, exists
from .paths import (
    ModuleCassettes,
    cassette_names,
    cassette_path,
    check_inside,
    iter_cassettes,
    named_path,
    snapshots_path,
)

if TYPE_CHECKING:
    from .body_files import check_files, problems_with, remove_file, uncited_files, write_files
    from .locks import locked
    from .pending import (
        Pending,
        Unit,
        accept_pending,
        iter_pending,
        pending_path,
        read_new_version,
        read_pending,
        reject_pending,
        write_pending,
    )
    from .secrets import guarded_by
    from .snapshots import parse_snapshots, read_snapshots, snapshots_tree, write_snapshots
    from .writing import render_cassette, write_cassette

__all__ = [
    "ModuleCassettes",
    "Pending",
    "ReadCassette",
    "Unit",
    "accept_pending",
    "cassette_names",
    "cassette_path",
    "check_files",
    "check_inside",
    "check_writable",
    "exists",
    "guarded_by",
    "iter_cassettes",
    "iter_pending",
    "locked",
    "named_path",
    "parse_cassette",
    "parse_snapshots",
    "pending_path",
    "problems_with",
    "read_cassette",
    "read_new_version",
    "read_pending",
    "read_snapshots",
    "reject_pending",
    "remove_file",
    "render_cassette",
    "snapshots_path",
    "snapshots_tree",
    "uncited_files",
    "write_cassette",
    "write_files",
    "write_pending",
    "write_snapshots",
]

__getattr__ = importer(
    __name__,
    {
        "body_files": ("check_files", "problems_with", "remove_file", "uncited_files", "write_files"),
        "locks": ("locked",),
        "pending": (
            "Pending",
            "Unit",
            "accept_pending",
            "iter_pending",
            "pending_path",
            "read_new_version",
            "read_pending",
            "reject_pending",
            "write_pending",
        ),
        "secrets": ("guarded_by",),
        "snapshots": ("parse_snapshots", "read_snapshots", "snapshots_tree", "write_snapshots"),
        "writing": ("render_cassette", "write_cassette"),
    },
)
