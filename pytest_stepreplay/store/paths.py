r"""Where a test's cassette lies on disk, under names that Linux, macOS and Windows all allow.

Names go in and paths come out; nothing is created. A name that had to be changed for a file system gets a
short hash of what it was, and so does one that another name of its module could be taken for where case is
ignored: two tests never share a file by accident.
"""

from __future__ import annotations

import os
import re
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePath, PureWindowsPath
from typing import TYPE_CHECKING
from unicodedata import category, normalize

from ..errors import CassetteError, SettingsError, display_path
from ..lazy import late_pattern
from ..machine import disk
from .files import PENDING_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SUFFIXES = (".yaml", ".yml", ".json")
"""What the names of cassette files end with."""

BESIDE = late_pattern(r"[0-9a-f]{64}\.[a-z0-9]{1,8}", re.ASCII)
"""The names of the files beside cassettes that hold what is too large for one."""

READ_SUFFIXES = (
    *SUFFIXES,
    ".yaml.gz",
    ".yml.gz",
    ".json.gz",
    ".toml",
    ".har",
    ".jsonl",
    ".ndjson",
    ".jsonl.gz",
)
"""What the names of files may end with that are read as cassettes; those of other tools are never recorded into."""

LOCK = "stepreplay.lock"
"""The file in the folder of the cassettes that lists them for git, where git does not hold them itself."""

BASE = ".stepreplay.base"
"""The file beside it that tells what of it was in this folder when it was last pulled or pushed."""

SNAPSHOTS_SUFFIX = ".snapshots.yaml"
"""What the names of files with snapshots end with."""

_MOST_CHARACTERS, _MOST_BYTES = 100, 150
_HASH = late_pattern(r"-[0-9a-f]{8}\Z")
_FORBIDDEN = late_pattern(r'[/\\:*?"<>|\ufdd0-\ufdef\ufffe\uffff]')
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, formats, halves of surrogate pairs, line ends
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file: these are devices, with any extension
_RESERVED = late_pattern(
    r"\A(CON(?:IN\$|OUT\$)?|PRN|AUX|NUL|(?:COM|LPT)[0-9¹²³])(?= *(?:\.|\Z))", re.IGNORECASE
)
_ORDINARY = re.compile(r"[a-z0-9_]{1,100}")
# pytest writes the characters of a parameter that are not ASCII as escapes.
_ESCAPE = late_pattern(r"\\(?:\\|x([0-9a-f]{2})|u([0-9a-f]{4})|U(000[0-9a-f]{5}|0010[0-9a-f]{4}))")


class ModuleCassettes:
    """Where the cassettes of one test module are: the name of a test goes in, and the path of its file comes out.

    A file that is there stays its test's, also under a name that an earlier release gave it.
    """

    def __init__(self, root: Path, module: PurePath, names: Iterable[str] = ()) -> None:
        """Looks at nothing yet.

        Args:
            root: the folder of all cassettes.
            module: the test module, relative to the root of its project. One outside of it gets a folder of its
                own, directly under `root`.
            names: of all tests of the module that are known, as in ``TestClass.test_name[parameter]``.
        """
        self.folder = root.joinpath(*_folders(module))
        self._names = names

    def path_of(self, name: str, suffix: str = ".yaml") -> Path:
        """Return the path of the cassette of one test, ``root/MODULE/NAME.yaml``, or of what else ends so."""
        return self.folder / f"{self._stem_of(name)}{suffix}"

    def has(self, name: str) -> bool:
        """Tell whether a cassette or snapshots of the test were there when this was first asked anything."""
        return self._stem_of(name) in self._stems

    def _stem_of(self, name: str) -> str:
        if name not in self._doubtful and _ORDINARY.fullmatch(name) and not _RESERVED.match(name):
            return name  # as nearly every name; what follows would give it back as well
        plain, hashed = _plain(name), _with_hash(_portable(_unescaped(name)), name)
        if plain is None or hashed in self._stems:
            return hashed
        fold = _fold(plain)
        rivals = [_plain(each) for each in self._names_by_fold.get(fold, ()) if each != name]
        if plain in self._stems:
            certain = plain not in rivals or _is_stable(plain, name)
        elif fold in self._folded_stems:
            certain = False
        else:
            certain = not any(rivals) or _is_stable(plain, name)
        return plain if certain else hashed

    @cached_property
    def _stems(self) -> frozenset[str]:
        """What the files that are there are called, without what stands behind the name of the test."""
        try:
            names = disk.names_in(self.folder)
        except OSError:
            return frozenset()
        names = [normalize("NFC", name.removesuffix(PENDING_SUFFIX)) for name in names]
        return frozenset(
            name.removesuffix(SNAPSHOTS_SUFFIX).removesuffix(".yaml")
            for name in names
            if name.endswith(".yaml")
        )

    @cached_property
    def _folded_stems(self) -> frozenset[str]:
        return frozenset(map(_fold, self._stems))

    @cached_property
    def _names_by_fold(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self._names:
            found.setdefault(_fold(_unescaped(name)), []).append(name)
        return found

    @cached_property
    def _doubtful(self) -> frozenset[str]:
        """What names in small letters alone could be taken for another name or file, where case is ignored."""
        odd = (each for each in self._names if "\\" in each or not each.isascii() or each != each.lower())
        return frozenset(map(_fold, map(_unescaped, odd))) | self._folded_stems - self._stems


def stems_of(name: str) -> set[str]:
    """Return what the file of a test may be called, without ``.yaml``.

    Args:
        name: of the test, as pytest prints it, or with what pytest escapes as it reads.
    """
    escaped = name.encode("unicode_escape").decode("ascii")
    hashed = {_with_hash(_portable(_unescaped(each)), each) for each in (name, escaped)}
    return hashed | ({plain} if (plain := _plain(name)) is not None else set())


def cassette_path(root: Path, module: PurePath, name: str) -> Path:
    """Return the path of the cassette of one test of which alone is known, as in `ModuleCassettes`."""
    return ModuleCassettes(root, module).path_of(name)


def named_path(root: Path, name: str) -> Path:
    """Return the path of the cassette that a person named, as in ``"shared/login"``.

    Args:
        root: the folder of all cassettes.
        name: relative to it; ``.yaml`` is added where none of `READ_SUFFIXES` stands.

    Raises:
        SettingsError: the name leads out of `root`, or not every system can have such a file.
    """
    parts = re.split(r"[/\\]", name)
    if PureWindowsPath(name).anchor or ".." in parts:
        raise SettingsError(f"cassette={name!r} must be a path inside {root}, such as 'shared/login'")
    parts = [part for part in parts if part != "."]
    for part in parts:
        if not part or _portable(part) != part:
            raise SettingsError(
                f"cassette={name!r} is not a path that every system allows: {part!r} must not be empty, "
                'begin or end with a dot or space, hold one of \\ / : * ? " < > | or be a device such as NUL'
            )
    if not parts:
        raise SettingsError(f"cassette={name!r} names no file; write a name such as 'shared/login'")
    if not parts[-1].lower().endswith(READ_SUFFIXES):
        parts[-1] += ".yaml"
    if _is_snapshots(parts[-1]):
        raise SettingsError(
            f"cassette={name!r} is the name of a snapshot file; give the cassette another name"
        )
    path = root.joinpath(*parts)
    if leads_out(path, root):
        raise SettingsError(f"cassette={name!r} leads out of {root} through a symbolic link")
    return path


def check_inside(path: Path, root: Path) -> None:
    """Does nothing where a file is inside a folder; no symbolic link on the way to it leads out.

    Raises:
        CassetteError: one does.
    """
    if leads_out(path, root):
        raise CassetteError(
            path,
            f"leads out of {display_path(root)} through a symbolic link, so it is neither read nor written",
            fix="Put the file itself there, or set the folder that it is in with --stepreplay-dir",
        )


def leads_out(path: Path, root: Path) -> bool:
    """Tell whether a symbolic link between a folder and a path under it leads out of the folder."""
    # In texts, since a run asks this of thousands of paths.
    top, between = str(root), str(path)
    while between != top:
        if disk.is_link(between):
            return not Path(disk.real_path(path)).is_relative_to(Path(disk.real_path(root)))
        above = os.path.dirname(between)  # noqa: PTH120
        if above == between:
            break
        between = above
    return False


def snapshots_path(cassette: Path) -> Path:
    """Return the path of a test's snapshots, from that of its cassette."""
    return cassette.with_name(cassette.name.removesuffix(".yaml") + SNAPSHOTS_SUFFIX)


def iter_cassettes(root: Path) -> Iterator[Path]:
    """Yield all cassette files under a folder, sorted; nothing where there is no such folder.

    Snapshots and hidden, temporary and pending (``.new``) files are not among them, links to folders are not
    followed, and neither are those to files outside.
    """
    yield from map(Path, cassette_names(root))


def cassette_names(root: Path) -> list[str]:
    """Return the paths that `iter_cassettes` yields, as texts, which cost a fraction of it."""
    return sorted(unsorted_names(root), key=lambda name: name.replace(os.sep, "\0"))


def unsorted_names(root: Path) -> Iterator[str]:
    """Yield the same, in any order."""
    return (entry.path for entry in disk.walk(root) if is_cassette(entry, root))


def is_cassette(entry: os.DirEntry[str], root: Path) -> bool:
    """Tell whether what is in a folder, and is no folder itself, is one of the files that `iter_cassettes` yields."""
    name = entry.name.lower()
    return (
        name.endswith(SUFFIXES)
        and not name.startswith(".")
        and not name.endswith(SNAPSHOTS_SUFFIX)
        and entry.is_file()
        and not (entry.is_symlink() and leads_out(Path(entry.path), root))
    )


def holds_cassettes_alone(root: Path) -> bool:
    """Tell whether every file under a folder has the name of a cassette, a snapshot, or of what lies beside one."""
    names = (each.name for each in disk.walk(root, hidden=True) if not each.name.endswith(SUFFIXES))
    return all(
        belongs_to_cassettes(name.removesuffix(PENDING_SUFFIX))
        or name == LOCK
        or name.startswith((".git", BASE))
        for name in names
    )


def belongs_to_cassettes(name: str) -> bool:
    """Tell whether a file of this name is a cassette, holds snapshots, or lies beside a cassette; none is pending."""
    return name.lower().endswith(READ_SUFFIXES) or BESIDE.fullmatch(name.lower()) is not None


def _is_snapshots(file: str) -> bool:
    return file.lower().endswith(SNAPSHOTS_SUFFIX)


def _folders(module: PurePath) -> list[str]:
    """Return the folders that stand for a test module."""
    parts = list(module.parts)
    if module.suffix == ".py":
        parts[-1] = module.stem
    if module.is_absolute() or ".." in parts:
        return [_with_hash(_portable(parts[-1]), module.as_posix())]
    return [part if _is_kept(_portable(part), part) else _with_hash(_portable(part), part) for part in parts]


def _plain(name: str) -> str | None:
    """Return what a file can be called for a test without a hash; None where characters would have to change."""
    readable = _unescaped(name)
    return readable if _is_kept(_portable(readable), readable) else None


def _is_stable(plain: str, name: str) -> bool:
    """Tell whether a test has first claim to its plain name, where case is ignored: it is in small letters alone.

    Class names keep their capitals: those alone are not what two classes differ by.
    """
    head, bracket, parameters = name.partition("[")
    classes, _, function = head.rpartition(".")
    rest = function + bracket + parameters
    return plain == name and _fold(rest) == rest and _fold(classes) == classes.lower()


def _is_kept(readable: str, name: str) -> bool:
    """Tell whether a name is unchanged, short enough, and does not end as those that are made up here do."""
    fits = len(name) <= _MOST_CHARACTERS and len(readable.encode()) <= _MOST_BYTES
    taken = _HASH.search(name) or _is_snapshots(f"{name}.yaml")
    return bool(readable) and readable == name and fits and not taken


def _fold(text: str) -> str:
    return text.lower() if text.isascii() else normalize("NFC", text.casefold())


def _portable(text: str) -> str:
    """Return the text as every file system can have it, with a dash for what some cannot."""
    characters = ("-" if category(each) in _UNSEEN else each for each in normalize("NFC", text))
    text = _FORBIDDEN.sub("-", "".join(characters)).strip(" .")
    return _RESERVED.sub(r"\1-", text)


def _with_hash(readable: str, name: str) -> str:
    """Return a shortened name that ends with a hash of the whole one."""
    digest = sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    short = readable[: _MOST_CHARACTERS - 9].encode()[: _MOST_BYTES - 9].decode(errors="ignore")
    return f"{short.strip(' .-') or 'test'}-{digest}"


def _unescaped(name: str) -> str:
    return _ESCAPE.sub(_unescape, name) if "\\" in name else name


def _unescape(found: re.Match[str]) -> str:
    digits = found[1] or found[2] or found[3]
    return chr(int(digits, 16)) if digits else "\\"
