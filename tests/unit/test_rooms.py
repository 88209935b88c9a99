"""The rooms of the house: who may import whom, and what a run that uses no cassette pays for."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import pytest_stepreplay

PACKAGE = Path(pytest_stepreplay.__file__).parent

OWNERS = {
    "vcr": {"formats", "interception"},
    "deepdiff": {"drift"},
    "yaml": {"store", "formats"},
    "pytest": {"plugin"},
    "click": set[str](),
    "rich": {"cli"},
    "httpx": {"interception"},
    "httpx2": {"interception"},
    "aiohttp": {"interception"},
    "urllib3": {"interception"},
    "requests": set[str](),
    "openai": {"cli"},
}
"""Which rooms may import a library that is not for all of them."""

BELOW = {
    "errors": set[str](),
    "commands": {"errors"},
    "lazy": {"errors"},
    "machine": set[str](),
    "models": set[str](),
    "settings": {"errors", "selectors", "texts"},
    "projects": {"errors", "settings"},
    "endpoints": set[str](),
    "texts": set[str](),
    "selectors": {"errors"},
    "wire": {"models"},
    "redaction": {"errors", "models", "selectors", "settings", "wire"},
    "network": {"commands", "errors", "settings"},
    "drift": {"endpoints", "errors", "models", "selectors", "settings", "texts", "wire"},
    "matching": {"endpoints", "errors", "models", "selectors", "settings", "texts", "wire"},
    "store": {"commands", "errors", "models", "formats", "redaction", "selectors", "wire"},
    "formats": {"errors", "models", "wire"},
    "lint": {"drift", "matching", "models", "redaction", "selectors", "settings"},
    "report": {"commands", "drift", "errors", "matching", "models", "settings", "texts"},
    "interception": {"errors", "models", "settings", "redaction", "wire"},
    "housekeeping": {"commands", "errors", "models", "settings", "store", "matching", "redaction"},
    "session": {
        "commands",
        "housekeeping",
        "errors",
        "models",
        "settings",
        "redaction",
        "store",
        "matching",
        "network",
        "interception",
        "report",
        "drift",
        "wire",
    },
    "snapshots": {"commands", "drift", "errors", "redaction", "report", "settings", "store"},
    "upstream": {"wire"},
}
"""Which other rooms each one may import, besides `lazy` and `machine`; `plugin` and `cli` may import all."""


def rooms() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room != "__init__":
            yield room, path


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Returns the absolute names of all modules that a file imports, at its top or later."""
    package = ("pytest_stepreplay", *path.relative_to(PACKAGE).parts[:-1])
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            found += (f"{module}.{alias.name}" for alias in node.names)
    return tuple(found)


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_imported_by_its_rooms_alone(library: str) -> None:
    found = {room for room, path in rooms() for name in imports(path) if name.split(".")[0] == library}
    assert found <= OWNERS[library]


@pytest.mark.parametrize("room", BELOW)
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    found = {
        name.split(".")[1]
        for each, path in rooms()
        if each == room
        for name in imports(path)
        if name.startswith("pytest_stepreplay.")
    }
    assert found - {room, "lazy", "machine"} <= BELOW[room]


def test_every_room_has_its_rule() -> None:
    assert {room for room, _ in rooms()} == {*BELOW, "plugin", "cli", "__main__"} - {"__main__"}


def test_the_plugin_alone_imports_nothing_heavy() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import pytest_stepreplay.plugin; "
        "print(*sorted(name for name in set(sys.modules) - before if '.' not in name))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {
        "vcr",
        "deepdiff",
        "pydantic",
        "yaml",
        "httpx",
        "httpx2",
        "aiohttp",
        "requests",
        "urllib3",
        "rich",
        "click",
    }
    assert not heavy & set(out)
    assert "pytest_stepreplay" in out


def test_every_public_name_can_be_imported() -> None:
    for name in pytest_stepreplay.__all__:
        assert getattr(pytest_stepreplay, name).__name__ == name
    assert set(pytest_stepreplay.__all__) < set(dir(pytest_stepreplay))
    assert pytest_stepreplay.__version__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pytest_stepreplay.nothing


CLOCKS = {"time", "time_ns", "now", "utcnow", "today", "fromtimestamp", "sleep", "perf_counter", "monotonic"}


def test_one_room_reads_the_clock() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {ast.unparse(node)}"
        for room, path in rooms()
        if room != "machine"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in CLOCKS
        and ast.unparse(node.value) in {"time", "datetime", "date", "asyncio", "anyio", "trio"}
    }
    found |= {str(path) for room, path in rooms() if room != "machine" and "time" in imports(path)}
    assert not found


DISK = {
    *(
        "open",
        "read_text",
        "read_bytes",
        "write_text",
        "write_bytes",
        "exists",
        "is_file",
        "is_dir",
        "is_symlink",
    ),
    *(
        "iterdir",
        "glob",
        "rglob",
        "mkdir",
        "rmdir",
        "unlink",
        "rename",
        "touch",
        "chmod",
        "stat",
        "lstat",
        "resolve",
    ),
    *(
        "cwd",
        "getcwd",
        "listdir",
        "scandir",
        "walk",
        "lexists",
        "isfile",
        "isdir",
        "islink",
        "realpath",
        "abspath",
    ),
    *("fsync", "fdopen", "access", "makedirs", "mkstemp", "gettempdir"),
}
OTHERS = {
    "store.exists",  # the room's own
    "disk.exists",
    "disk.walk",
    "entry.is_dir",  # a `DirEntry`, from `disk`
    "entry.is_file",
    "entry.is_symlink",
    "_opener().open",  # a URL
    "module.is_file",  # when the run has ended
    "(config.invocation_params.dir / arg).resolve",
    "root.resolve",
    "disk.is_file",
    "os.path.abspath",
}


def test_one_room_touches_the_disk_while_tests_run() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {ast.unparse(node.func)}"
        for room, path in rooms()
        if room not in {"machine", "cli", "upstream"}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Attribute) and node.func.attr in DISK)
            or ast.unparse(node.func) == "open"
        )
        and ast.unparse(node.func) not in OTHERS
    }
    assert not found
