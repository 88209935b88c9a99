"""What a word on the command line stands for: a path, the name of a cassette, or the id of its test, wherever one is.

A word goes in, and the files of the tests that it names come out: their cassettes, snapshots and pending files. What
is named exactly wins over what is only meant with it, as ``test_x[a]`` is with ``test_x``.
"""

from __future__ import annotations

import json
import os
import re
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cached_property
from glob import has_magic
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

from ..commands import stepreplay_command
from ..errors import StepReplayError
from ..housekeeping import CACHE_KEY
from ..housekeeping.last_run import read_last_run
from ..store.paths import iter_cassettes, stems_of
from ..store.pending import iter_pending
from ..value_classes import dataclass, field
from .project import PASSED_OVER, cache_folder, cassette_folder, display, project_around

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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
        owner: the id of the test, where none of the files says it: those of other tools do not.
    """

    place: PurePath
    files: list[Path] = field(default_factory=list)
    owner: str = ""

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
        """The id of the test, as one of the files says, or as it is known; empty where nobody knows."""
        for path in self.files:
            try:
                with path.open("rb") as file:
                    found = _HEADER.search(file.read(4096))
            except OSError:
                continue
            if found:
                return _scalar(found[1].decode("utf-8", "replace"))
        return self.owner


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
            f"{name}: there is no such file, neither here nor in {display(folder)}{nearest_names(name)}\n"
            f"List the cassettes: {stepreplay_command('list')}"
        )
    if len(found) > 1:
        raise StepReplayError(_unclear(name, found))
    return Path(display(found[0].target))


def find_named(name: str, among: Sequence[Named] | None = None) -> list[Named]:
    """Returns those whose name, or whose test's id, the word is; several, where it means all tests of a function.

    Args:
        name: the word.
        among: what it may name; by default all that is there.

    Raises:
        StepReplayError: it means tests that have nothing to do with each other.
    """
    known = known_names() if among is None else among
    # What is said of the file of a test counts from here and from the rootdir, and then as the end of its path.
    for word in (_WordOfName(name), _WordOfName(name, anywhere=True)):
        exact = [each for each in known if word.names(each)]
        if len(exact) > 1:
            raise StepReplayError(_unclear(name, exact))
        found = exact or [each for each in known if word.includes(each)]
        if found:
            return found
    return [each for each in known if _is_meant(name, each)] if has_magic(name) else []


def _is_meant(pattern: str, named: Named) -> bool:
    """Whether a glob is meant to find this: by its name, its path in the folder, or the id of its test."""
    pattern = pattern if "::" in pattern else without_endings(pattern)
    ways = (named.place.name, named.place.as_posix(), named.test, named.test.rpartition("::")[2])
    return any(way and fnmatchcase(way, pattern) for way in ways)


def known_names() -> list[Named]:
    """Returns all that is in the project's folder of cassettes, and what its tests have in those of other tools."""
    return [*_own_names(), *adopted_names()]


def _own_names() -> list[Named]:
    folder = cassette_folder()
    named: dict[PurePath, Named] = {}
    snapshots = sorted(folder.rglob("*.snapshots.yaml"))
    for path in (*iter_cassettes(folder), *snapshots, *iter_pending(folder)):
        place = path.relative_to(folder).with_name(without_endings(path.name))
        named.setdefault(place, Named(place)).files.append(path)
    return [*named.values()]


def adopted_names() -> list[Named]:
    """Returns the cassettes of other tools that the project's tests have where those tools put them.

    They lie in ``cassettes/MODULE/`` beside a module, as pytest-recording has it, or in ``cassettes/``, as pytest-vcr
    does; where else, as a `vcr_cassette_dir` may say, the last run has noted.
    """
    project = project_around()
    own, root = cassette_folder(), project.root
    run = read_last_run(cache_folder() / "v" / CACHE_KEY)
    noted = {Path(path): test for path, test in run.elsewhere.items()} if run else {}
    named: dict[PurePath, Named] = {}
    for folder in adopted_folders():
        for path in (*iter_cassettes(folder), *iter_pending(folder)):
            if path.is_relative_to(own):
                continue
            stem = without_endings(path.name)
            target = path.with_name(path.name.removesuffix(".new"))
            test = noted.pop(target, "") or _test_of(folder, target.relative_to(folder).parent, stem, root)
            place = path.relative_to(root).with_name(stem) if path.is_relative_to(root) else PurePath(path)
            named.setdefault(place, Named(place, owner=test)).files.append(path)
    return [*named.values()]


def adopted_folders() -> list[Path]:
    """Returns the folders of other tools' cassettes, where the project's ini file adopts them."""
    project = project_around()
    if not project.settings("adopt_vcr_marker").get("adopt_vcr_marker"):
        return []
    run = read_last_run(cache_folder() / "v" / CACHE_KEY)
    noted = {Path(path).parent for path in run.elsewhere} if run else set[Path]()
    beside = set(_cassette_folders_under(project.root))
    found = beside | {each for each in noted if not any(each.is_relative_to(one) for one in beside)}
    return sorted(each for each in found if each != cassette_folder() and each.is_dir())


def _cassette_folders_under(root: Path) -> Iterator[Path]:
    for folder, names, _ in os.walk(root):
        if "cassettes" in names:
            yield Path(folder, "cassettes")
        names[:] = [
            name
            for name in names
            if name not in (*PASSED_OVER, "cassettes")
            and name[0] != "."
            and not Path(folder, name, "pyvenv.cfg").exists()
        ]


def _test_of(folder: Path, inside: PurePath, stem: str, root: Path) -> str:
    """Returns the id of the test whose cassette lies in a folder beside its module; empty where that is not clear."""
    head, bracket, parameters = stem.partition("[")
    name = head.replace(".", "::") + bracket + parameters
    if inside.parts:
        module = (folder.parent / inside).with_suffix(".py")
        modules = [module] if module.is_file() else []
    else:
        defined = re.compile(rf"^ *(?:async )?def {re.escape(head.rpartition('.')[2])}\b", re.MULTILINE)
        modules = [path for path in folder.parent.glob("*.py") if defined.search(_text_of(path))]
    return f"{modules[0].relative_to(root).as_posix()}::{name}" if len(modules) == 1 else ""


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


class _WordOfName:
    """A word, taken for a name."""

    def __init__(self, word: str, *, anywhere: bool = False) -> None:
        self._module: list[PurePath] | None = None
        self._anywhere = PurePath(word.partition("::")[0]) if anywhere else None
        file, colons, names = word.partition("::")
        self._folders: tuple[str, ...] = ()
        if colons or word.endswith(".py"):
            root = project_around().root
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
            self._name = self._id = without_endings((parts[-1] if parts else "") + bracket + parameters)
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
            if self._anywhere is not None:
                parts = self._anywhere.parts
                return bool(parts) and PurePath(file).parts[-len(parts) :] == parts
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


def nearest_names(name: str, among: Sequence[Named] | None = None) -> str:
    """Returns the names that are most like it, in a line of their own; nothing where none is."""
    known = known_names() if among is None else among
    wanted = without_endings(name).lower()
    spelled: dict[str, list[str]] = {}
    for each in known:
        path = display(each.target)
        ways = (each.place.as_posix(), each.place.name, each.test, each.test.rpartition("::")[2], path)
        for way in filter(None, ways):
            spelled.setdefault(way.lower(), []).append(path)
    close = get_close_matches(wanted, [*spelled], n=SHOWN, cutoff=0.6)
    paths = list(dict.fromkeys(path for way in close for path in spelled[way]))[:3]
    return f"\nDid you mean {' or '.join(paths)}?" if paths else ""


def without_endings(name: str) -> str:
    """Returns the name of a file without what says what sort of file it is."""
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
