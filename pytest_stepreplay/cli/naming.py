"""What a word on the command line stands for: a path, the name of a cassette, or the id of its test, wherever one is.

A word goes in, and the files of the tests that it names come out: their cassettes, snapshots and pending files. What
is named exactly wins over what is only meant with it, as ``test_x[a]`` is with ``test_x``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

from ..commands import stepreplay_command
from ..errors import StepReplayError
from ..projects import find_project
from ..store.paths import iter_cassettes, stems_of
from ..store.pending import iter_pending
from .project import cassette_folder, display

if TYPE_CHECKING:
    from collections.abc import Iterable

SHOWN: Final = 5
"""How many names a message lists at most."""
_ENDINGS: Final = (".new", ".snapshots.yaml", ".yaml", ".yml", ".json")
_HEADER: Final = re.compile(rb"^test: +(.+?)\r?$", re.MULTILINE)


@dataclass(frozen=True)
class Named:
    """What belongs to one test: its cassette, its snapshots, and what waits beside them.

    Attributes:
        place: the path of its files in the folder of the cassettes, without what their names end with.
        files: all of them.
    """

    place: PurePath
    files: list[Path] = field(default_factory=list)

    @property
    def cassette(self) -> Path | None:
        """Its cassette, or what waits to become one; None where it has snapshots alone."""
        found = [path for path in self.files if ".snapshots.yaml" not in path.name]
        return min(found, key=lambda path: path.name.endswith(".new"), default=None)

    @property
    def target(self) -> Path:
        """A file of it as a person would name it: its cassette if there is one."""
        return self.cassette or min(self.files)

    @cached_property
    def test(self) -> str:
        """The id of the test, as one of the files says; empty where none does."""
        for path in self.files:
            try:
                with path.open("rb") as file:
                    found = _HEADER.search(file.read(4096))
            except OSError:
                continue
            if found:
                return _scalar(found[1].decode("utf-8", "replace"))
        return ""


def find_cassette(name: str) -> Path:
    """Returns the file with that path, or the one cassette of that name; ``.yaml`` may be left out.

    Raises:
        StepReplayError: if there is none, or more than one.
    """
    folder = cassette_folder()
    for path in (Path(name), Path(f"{name}.yaml"), folder / name, folder / f"{name}.yaml"):
        if name and path.is_file():
            return Path(display(path))  # as an error should name it
    found = [each for each in find_named(name) if each.cassette]
    if not found:
        raise StepReplayError(
            f"{name}: there is no such file, neither here nor in {display(folder)}{nearest(name)}\n"
            f"List the cassettes: {stepreplay_command('list')}"
        )
    if len(found) > 1:
        raise StepReplayError(_unclear(name, found))
    return Path(display(found[0].target))


def find_named(name: str) -> list[Named]:
    """Returns those whose name, or whose test's id, the word is; several, where it means all tests of a function.

    Raises:
        StepReplayError: it means tests that have nothing to do with each other.
    """
    word = _Word(name)
    known = known_names()
    exact = [each for each in known if word.names(each)]
    if len(exact) > 1:
        raise StepReplayError(_unclear(name, exact))
    return exact or [each for each in known if word.includes(each)]


def known_names() -> list[Named]:
    """Returns all that is in the project's folder of cassettes."""
    folder = cassette_folder()
    named: dict[PurePath, Named] = {}
    snapshots = sorted(folder.rglob("*.snapshots.yaml"))
    for path in (*iter_cassettes(folder), *snapshots, *iter_pending(folder)):
        place = path.relative_to(folder).with_name(_without_endings(path.name))
        named.setdefault(place, Named(place)).files.append(path)
    return [*named.values()]


class _Word:
    """A word, taken for a name."""

    def __init__(self, word: str) -> None:
        self._module: list[PurePath] | None = None
        file, colons, names = word.partition("::")
        self._folders: tuple[str, ...] = ()
        if colons or word.endswith(".py"):
            root = find_project(Path.cwd()).root
            found = [Path.cwd() / file, root / file]
            self._module = [
                PurePath(path.resolve().relative_to(root.resolve()))
                for path in found
                if path.resolve().is_relative_to(root.resolve())
            ]
            self._id = names
            self._name = names.replace("::", ".", names.partition("[")[0].count("::"))
        else:
            head, bracket, parameters = word.partition("[")
            parts = PurePath(head or ".").parts
            self._folders = parts[:-1]
            self._name = self._id = _without_endings((parts[-1] if parts else "") + bracket + parameters)
        self._stems = stems_of(self._name) if self._name else set[str]()

    def names(self, named: Named) -> bool:
        """Whether it is the name of exactly this."""
        if not self._name or not self._is_in_folder(named):
            return False
        stem = named.place.name
        if stem in self._stems or (
            self._module is None and stem.endswith(tuple(f".{it}" for it in self._stems))
        ):
            return True
        return self._name_in(named.test) == self._id

    def includes(self, named: Named) -> bool:
        """Whether it is the function, the class or the module of this."""
        if not self._is_in_folder(named):
            return False
        if not self._name:
            return self._module is not None
        stem, name = named.place.name, self._name
        begins = stem.startswith((f"{name}[", f"{name}."))
        if self._module is None:
            begins = begins or f".{name}[" in stem or self._name_in(named.test).startswith(f"{self._id}[")
        return begins or (
            self._module is not None
            and self._name_in(named.test).startswith((f"{self._id}[", f"{self._id}::"))
        )

    def _name_in(self, test: str) -> str:
        """Returns what of a test's id the word could be."""
        names = test.partition("::")[2]
        if self._module is not None or "::" in self._id:
            return names
        head, bracket, parameters = names.partition("[")
        return head.rpartition("::")[2] + bracket + parameters

    def _is_in_folder(self, named: Named) -> bool:
        if self._module is not None:
            file = named.test.partition("::")[0]
            return any(
                named.place.parent == path.with_suffix("") or (file and PurePath(file) == path)
                for path in self._module
            )
        count = len(self._folders)
        return not count or named.place.parent.parts[-count:] == self._folders or self._is_path_to(named)

    def _is_path_to(self, named: Named) -> bool:
        folder = Path(*self._folders)
        return (cassette_folder() / named.place).parent.resolve() == folder.resolve()


def _unclear(name: str, found: Iterable[Named]) -> str:
    listed = [display(each.target) for each in found]
    more = [f"  and {len(listed) - SHOWN} more"] if len(listed) > SHOWN else []
    lines = [f"{name}: there is more than one; say which:", *(f"  {each}" for each in listed[:SHOWN]), *more]
    return "\n".join(lines)


def nearest(name: str) -> str:
    """Returns the names that are most like it, in a line of their own; nothing where none is."""
    known = known_names()
    wanted = _without_endings(name).lower()
    spelled: dict[str, list[str]] = {}
    for each in known:
        path = display(each.target)
        ways = (each.place.as_posix(), each.place.name, each.test, each.test.rpartition("::")[2], path)
        for way in filter(None, ways):
            spelled.setdefault(way.lower(), []).append(path)
    close = get_close_matches(wanted, [*spelled], n=SHOWN, cutoff=0.6)
    paths = list(dict.fromkeys(path for way in close for path in spelled[way]))[:3]
    return f"\nDid you mean {' or '.join(paths)}?" if paths else ""


def _without_endings(name: str) -> str:
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name


def _scalar(text: str) -> str:
    """Returns a text as it stands in YAML, in quotes or without."""
    if text[:1] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            return text
    return text[1:-1].replace("''", "'") if text[:1] == text[-1:] == "'" else text
