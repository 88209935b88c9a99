"""The layers of the house, what one room alone may do, and what a run that uses no cassette pays for."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import pytest_stepreplay

PACKAGE = Path(pytest_stepreplay.__file__).parent
REPOSITORY = Path(__file__).parents[2]


def rooms() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room != "__init__":
            yield room, path


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Returns the absolute names of all modules that a file imports, at its top or later."""
    package = ("pytest_stepreplay", *path.relative_to(PACKAGE).parts[:-1])
    found: list[str] = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            found += (f"{module}.{alias.name}" for alias in node.names)
    return tuple(found)


def test_the_layers_hold(capfd: pytest.CaptureFixture[str]) -> None:
    status = lint_imports(config_filename=str(REPOSITORY / "pyproject.toml"), no_cache=True)
    assert status == 0, capfd.readouterr().out


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
        "fsspec",
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
        for node in ast.walk(tree_of(path))
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
    "files.exists",
    "disk.exists",
    "disk.walk",
    "entry.is_dir",  # a `DirEntry`, from `disk`
    "entry.is_file",
    "entry.is_symlink",
    "_opener().open",  # a URL
    "self._system.makedirs",  # a store, and not the disk
    "self._system.exists",
    "module.is_file",  # when the run has ended
    "(config.invocation_params.dir / arg).resolve",
    "root.resolve",
    "disk.is_file",
    "os.path.abspath",
    "ast.walk",  # a syntax tree
}


def test_one_room_touches_the_disk_while_tests_run() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {ast.unparse(node.func)}"
        for room, path in rooms()
        if room not in {"machine", "cli", "upstream"}
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Attribute) and node.func.attr in DISK)
            or ast.unparse(node.func) == "open"
        )
        and ast.unparse(node.func) not in OTHERS
    }
    assert not found


# What only an API's own JSON is made of. `choices=` is an argument of argparse.
OF_AN_API = re.compile(
    r"\b(choices(?!=)|tool_calls?|tool_call_id|delta|finish_reason|function_call|reasoning_content"
    r"|chat\.completion)\b"
)
SPEAK_IT = {"endpoints", "upstream"}  # the knowledge, and the stand-in for an API


def test_what_an_api_s_json_is_made_of_is_known_to_the_endpoints_alone() -> None:
    told = [
        f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}"
        for room, path in rooms()
        if room not in SPEAK_IT
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if OF_AN_API.search(line)
    ]
    assert not told, "ask the endpoint instead"


BY_NAME = re.compile(r"\bmode(?:\.name)?\)? (?:==|!=|in|not in) [\"'({\[]|(?:==|!=) mode\.name\b")


def test_no_room_compares_the_name_of_a_mode() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}"
        for room, path in rooms()
        if room != "settings"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if BY_NAME.search(line)
    ]
    assert not found, "ask the mode what it does"


def test_rooms_use_each_other_through_their_front_doors() -> None:
    """A room's ``__all__`` names what others may use: names, and modules, which run when they are first used."""
    doors: dict[str, list[str]] = {
        path.parent.name: next(
            (
                ast.literal_eval(node.value)
                for node in tree_of(path).body
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
            ),
            [],
        )
        for path in PACKAGE.glob("*/__init__.py")
    }
    found = set()
    for room, path in rooms():
        for name in imports(path):
            package, _, inside = name.partition(".")
            other, _, rest = inside.partition(".")
            if package == "pytest_stepreplay" and other in doors.keys() - {room} and rest:
                wanted = rest.partition(".")[0]
                if wanted not in doors[other]:
                    found.add(
                        f"{path.relative_to(PACKAGE)} uses {other}.{wanted}, which is not in its __all__"
                    )
    assert not found


def test_the_public_names_are_the_ones_that_type_checkers_see() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    static = {
        alias.name: f"pytest_stepreplay.{node.module}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level and node.module not in {"lazy", "vcr"}
        for alias in node.names
    }
    assert static.keys() == set(pytest_stepreplay.__all__)
    for name, module in static.items():
        assert getattr(pytest_stepreplay, name) is getattr(import_module(module), name)


SAME = {
    *("patches", "asking_with", "fold", "is_call", "is_result", "meaning_of", "tool_of", "read", "tokens_in"),
    *("sleep", "exists", "read_call"),
}
"""Functions that do the same for different things: for each client, endpoint, kind of event loop, and so on."""


def test_each_word_means_one_thing() -> None:
    """No class, no module and no public function has the name of another one."""
    seen: dict[str, list[str]] = {}
    for _, path in rooms():
        place = str(path.relative_to(PACKAGE))
        module = path.parent.name if path.stem == "__init__" else path.stem
        if module != "__main__":
            seen.setdefault(f"module {module}", []).append(place)
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef):
                seen.setdefault(f"class {node.name.strip('_')}", []).append(place)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith(
                ("_", "pytest_")
            ):
                seen.setdefault(f"function {node.name}", []).append(place)
    again = {name: places for name, places in seen.items() if len(places) > 1}
    assert {
        name: places for name, places in again.items() if name.removeprefix("function ") not in SAME
    } == {}


NAMED = re.compile(r"(?<!`)`(?:pytest_stepreplay\.)?([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)(?:\(\))?`(?!`)")
CLASS = re.compile(r"^class (\w+)(?:\((.*)\))?:\n((?:[ )].*\n|\n)*)", re.MULTILINE)


def test_what_docstrings_and_comments_name_is_there() -> None:
    """A name with dots that begins with a module or a class of ours goes on as that does."""
    pages = [REPOSITORY / "docs/architecture.md", REPOSITORY / "docs/contributing.md"]
    texts = {path: path.read_text(encoding="utf-8") for path in [*(path for _, path in rooms()), *pages]}
    owners: dict[str, str] = {}
    for path, text in texts.items():
        if path in pages:
            continue
        parts = [part for part in path.relative_to(PACKAGE).with_suffix("").parts if part != "__init__"]
        inside = "".join(f"def {each.stem}\n" for each in path.parent.glob("*") if path.stem == "__init__")
        for start in range(len(parts)):
            owners[".".join(parts[start:])] = text + inside
    for text in texts.values():
        owners |= {name: body for name, _, body in CLASS.findall(text)}
    for text in texts.values():
        for name, bases, _ in CLASS.findall(text):
            owners[name] += "".join(owners.get(base.strip(), "") for base in bases.split(","))
    missing = [
        f"{path.name}: {name}"
        for path, text in texts.items()
        for name in NAMED.findall(text)
        if (owner := owners.get(name.rpartition(".")[0])) is not None
        and not defines(owner, name.rpartition(".")[2])
    ]
    assert not missing


def defines(text: str, name: str) -> bool:
    """Whether the text of a module or a class defines a name, imports it, or lists it among what it gives out."""
    defined = rf"^ *(?:(?:async )?def |class )?(?:self\.)?{name}\b *[:=(\n]|^ *from .* import .*\b{name}\b"
    return bool(re.search(rf'{defined}|^ +{name}(?: as \w+)?,$|"{name}"', text, re.MULTILINE))
