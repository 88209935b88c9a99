"""Where a command looks for cassettes: the project's folder, as pytest would find it, or a file by name."""

from __future__ import annotations

import configparser
import os
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import StepReplayError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

FOLDER: Final = "cassettes"
KEY: Final = "stepreplay_dir"

# As pytest looks for its settings: these files in this order, here and then in each folder above.
_SETTINGS: Final = {
    "pytest.toml": ("pytest",),
    ".pytest.toml": ("pytest",),
    "pytest.ini": ("pytest",),
    ".pytest.ini": ("pytest",),
    "pyproject.toml": ("tool", "pytest"),
    "tox.ini": ("pytest",),
    "setup.cfg": ("tool:pytest",),
}


def cassette_folder(start: Path | None = None) -> Path:
    """Returns the folder of the cassettes of the project around `start`, by default the working directory.

    Raises:
        StepReplayError: if the project's settings file is broken.
    """
    root, values, _ = _settings_around(start or Path.cwd())
    return root / str(values.get(KEY) or FOLDER)


def project_settings(*names: str) -> dict[str, Any]:
    """Returns the plugin's checked settings of the project around the working directory, as pytest would read them.

    Args:
        names: as in `settings.FIELDS`; by default all.

    Raises:
        StepReplayError: if the project's settings file is broken, or a value is not valid.
    """
    from ..settings import FIELDS, read_values  # noqa: PLC0415 - most commands do without

    _, values, path = _settings_around(Path.cwd())
    given = {name: values.get(f"stepreplay_{name}") for name in names or FIELDS}
    read = {name: _as_pytest(FIELDS[name].ini_type, value) for name, value in given.items()}
    return read_values(display(path), read) if path else {}


def guarded_by_project() -> AbstractContextManager[None]:
    """Lets what the project allows to look like a secret be written inside, as its tests may write it.

    What only a test's marker allows no command knows.

    Raises:
        StepReplayError: if the project's settings file is broken, or the setting is not valid.
    """
    from ..redaction import Wall, environment_secrets  # noqa: PLC0415 - most commands do without
    from ..settings import Settings  # noqa: PLC0415
    from ..store import guarded_by  # noqa: PLC0415

    allowed = Settings.merge(project_settings("allow_secret")).allow_secret
    return guarded_by(lambda: Wall(environment_secrets(), tuple(selector for selector, _ in allowed)))


def project_root() -> Path:
    """Returns the rootdir of the project around the working directory, as pytest would find it.

    Raises:
        StepReplayError: if the project's settings file is broken.
    """
    return _settings_around(Path.cwd())[0]


def cache_folder() -> Path:
    """Returns the folder of pytest's cache in the project around the working directory.

    Raises:
        StepReplayError: if the project's settings file is broken.
    """
    root, values, _ = _settings_around(Path.cwd())
    return root / os.path.expandvars(Path(str(values.get("cache_dir") or ".pytest_cache")).expanduser())


def _settings_around(start: Path) -> tuple[Path, dict[str, Any], Path | None]:
    """Returns the root of a project, what it sets for pytest, and the file where it does."""
    root = start
    for folder in (start, *start.parents):
        for name, section in _SETTINGS.items():
            path = folder / name
            values = _section_of(path, section) if path.is_file() else None
            if values is not None:
                return folder, values, path
            if name == "pyproject.toml" and root == start and path.is_file():
                root = folder  # it marks the project even where it says nothing about pytest
    return root, {}, None


def _as_pytest(kind: str, value: object) -> object:
    """Returns an ini value in the type that pytest would make of its text."""
    if not isinstance(value, str) or kind not in {"args", "linelist"}:
        return value
    return (
        shlex.split(value)
        if kind == "args"
        else [line.strip() for line in value.splitlines() if line.strip()]
    )


def find_cassette(name: str) -> Path:
    """Returns the file with that path, or the cassette of that name; ``.yaml`` may be left out.

    Raises:
        StepReplayError: if there is none.
    """
    folder = cassette_folder()
    candidates = [Path(name), Path(f"{name}.yaml"), folder / name, folder / f"{name}.yaml"]
    for path in candidates:
        if path.is_file():
            return Path(display(path))  # as an error should name it
    raise StepReplayError(
        f"{name}: there is no such file, neither here nor in {display(folder)}\n"
        "List the cassettes: stepreplay list"
    )


def display(path: Path) -> str:
    """Returns the path as a person would type it: relative to the working directory where it is inside."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return str(path)


def _section_of(path: Path, section: tuple[str, ...]) -> dict[str, Any] | None:
    """Returns what the file says about pytest; None where it says nothing."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".toml":
            table: Any = tomllib.loads(text)
        else:
            parser = configparser.RawConfigParser(strict=False)
            parser.read_string(text)
            table = {name: dict(parser[name]) for name in parser.sections()}
    except (ValueError, configparser.Error) as error:
        raise StepReplayError(
            f"{display(path)}: {error}\nMend it, or name a path on the command line"
        ) from None
    for name in section:
        table = table.get(name) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        return {} if path.stem.endswith("pytest") else None  # these files are pytest's even without a section
    nested = table.get("ini_options")  # in pyproject.toml
    return {**table, **nested} if isinstance(nested, dict) else table
