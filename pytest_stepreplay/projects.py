"""Which project a file belongs to, as pytest would find it from there: its root, and what its ini file says.

A folder goes in, and a `Project` comes out. pytest reads one ini file for a whole run; this finds that of any folder,
for tests that a run of another project has collected, and for the commands, which run without pytest.
"""

from __future__ import annotations

import configparser
import shlex
import tomllib
from typing import TYPE_CHECKING, Any, Final

from .errors import StepReplayError, display_path
from .machine import disk
from .settings import fields
from .value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# As pytest looks for its settings: these files in this order, here and then in each folder above.
_INI_FILES: Final = {
    "pytest.toml": ("pytest",),
    ".pytest.toml": ("pytest",),
    "pytest.ini": ("pytest",),
    ".pytest.ini": ("pytest",),
    "pyproject.toml": ("tool", "pytest"),
    "tox.ini": ("pytest",),
    "setup.cfg": ("tool:pytest",),
}


@dataclass(frozen=True, slots=True)
class Project:
    """A project, as its files say.

    Attributes:
        root: the folder that pytest takes for the rootdir where it is started there.
        values: what the ini file sets, by key, as it is written there.
        path: the ini file; None where none says anything about pytest.
        is_found: there is such a file, or a pyproject.toml that says nothing about pytest.
    """

    root: Path
    values: Mapping[str, Any]
    path: Path | None
    is_found: bool = True

    def settings(self, *names: str) -> dict[str, Any]:
        """Returns the plugin's checked settings, as pytest would read them.

        Args:
            names: as in `settings.FIELDS`; by default all.

        Raises:
            SettingsError: a value is not valid.
        """
        if self.path is None:
            return {}
        given = {name: self.values.get(f"stepreplay_{name}") for name in names or fields.FIELDS}
        read = {name: _as_pytest(fields.FIELDS[name].ini_type, value) for name, value in given.items()}
        return fields.read_values(display_path(self.path), read)


def find_project(start: Path, *, below: Path | None = None) -> Project:
    """Returns the project around a folder; without any sign of one, the folder itself is its root.

    Args:
        start: the folder.
        below: where to stop: this folder and those above it are not looked at.

    Raises:
        StepReplayError: its ini file is broken.
    """
    marked: Path | None = None
    for folder in (start, *start.parents):
        if folder == below:
            break
        for name, section in _INI_FILES.items():
            path = folder / name
            values = _section_of(path, section) if disk.is_file(path) else None
            if values is not None:
                return Project(folder, values, path)
            if name == "pyproject.toml" and marked is None and disk.is_file(path):
                marked = folder  # it marks the project even where it says nothing about pytest
    return Project(marked or start, {}, None, is_found=marked is not None)


def _as_pytest(kind: str, value: object) -> object:
    """Returns an ini value in the type that pytest would make of its text."""
    if not isinstance(value, str) or kind not in {"args", "linelist"}:
        return value
    if kind == "args":
        return shlex.split(value)
    return [line.strip() for line in value.splitlines() if line.strip()]


def _section_of(path: Path, section: tuple[str, ...]) -> dict[str, Any] | None:
    """Returns what the file says about pytest; None where it says nothing."""
    try:
        text = disk.read(path).decode("utf-8-sig")
        if path.suffix == ".toml":
            table: Any = tomllib.loads(text)
        else:
            parser = configparser.RawConfigParser(strict=False)
            parser.read_string(text, source=display_path(path))
            table = {name: dict(parser[name]) for name in parser.sections()}
    except (ValueError, configparser.Error) as error:
        raise StepReplayError(
            f"{display_path(path)}: {' '.join(str(error).split())}\nFix it, or name a path on the command line"
        ) from None
    for name in section:
        table = table.get(name) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        return {} if path.stem.endswith("pytest") else None  # these files are pytest's even without a section
    nested = table.get("ini_options")  # in pyproject.toml
    return {**table, **nested} if isinstance(nested, dict) else table
