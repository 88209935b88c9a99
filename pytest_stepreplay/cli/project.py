"""Where a command looks for cassettes: the project's folder, as pytest would find it, or a file by name."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..commands import Start
from ..errors import StepReplayError
from ..projects import Project, find_project
from ..redaction.variables import environment_secrets
from ..redaction.wall import Wall
from ..settings import PLACEHOLDER_KEY
from ..settings.fields import Settings
from ..store.secrets import guarded_by

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

FOLDER: Final = "cassettes"
KEY: Final = "stepreplay_dir"
PASSED_OVER: Final = ("node_modules", "site-packages", "build", "dist", "__pycache__")
"""Folders in which no test of the project's own lies."""


def project_around(start: Path | None = None) -> Project:
    """Returns the project around `start`, by default the working directory.

    Without a file that says where its root is, pytest takes the folder where it was started. That was the nearest one
    above with cassettes, as far up as the repository goes, or that of a setup.py.

    Raises:
        StepReplayError: if the project's settings file is broken.
    """
    start = start or Path.cwd()
    project = find_project(start)
    if project.is_found:
        return project
    for folder in (start, *start.parents):
        if (folder / FOLDER).is_dir() or (folder / "setup.py").is_file():
            return replace(project, root=folder)
        if (folder / ".git").exists():
            break
    return project


def cassette_folder(start: Path | None = None) -> Path:
    """Returns the folder of the cassettes of the project around `start`, by default the working directory.

    Raises:
        StepReplayError: if the project's settings file is broken.
    """
    project = project_around(start)
    return project.root / str(project.values.get(KEY) or FOLDER)


def project_settings(*names: str) -> dict[str, Any]:
    """Returns the plugin's checked settings of the project around the working directory, as pytest would read them.

    Args:
        names: as in `settings.FIELDS`; by default all.

    Raises:
        StepReplayError: if the project's settings file is broken, or a value is not valid.
    """
    return project_around().settings(*names)


def api_key_is_set() -> bool:
    """Whether the environment holds a key with which the project's tests can be recorded."""
    names = Settings.merge(project_settings("api_keys")).api_keys
    return any(os.environ.get(name, "") not in {"", PLACEHOLDER_KEY} for name in names)


def guarded_by_project() -> AbstractContextManager[None]:
    """Lets what the project allows to look like a secret be written inside, as its tests may write it.

    What only a test's marker allows no command knows.

    Raises:
        StepReplayError: if the project's settings file is broken, or the setting is not valid.
    """
    allowed = Settings.merge(project_settings("allow_secret")).allow_secret
    return guarded_by(lambda: Wall(environment_secrets(), tuple(selector for selector, _ in allowed)))


def project_root() -> Path:
    """Returns the rootdir of the project around the working directory, as pytest would find it.

    Raises:
        StepReplayError: if the project's settings file is broken.
    """
    return project_around().root


def cache_folder() -> Path:
    """Returns the folder of pytest's cache in the project around the working directory.

    Raises:
        StepReplayError: if the project's settings file is broken.
    """
    project = project_around()
    folder = str(project.values.get("cache_dir") or ".pytest_cache")
    return project.root / os.path.expandvars(Path(folder).expanduser())


def display(path: Path) -> str:
    """Returns the path as a person would type it: relative to the working directory where it is inside."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return str(path)


def start_here() -> Start | None:
    """Returns how a command was started, for the commands that its messages suggest; None in a broken project."""
    folder = Path.cwd()
    try:
        return Start(folder, project_root(), cassette_folder(), runs_tests=False)
    except StepReplayError:
        return None


def typed_test(test: str) -> str:
    """Returns the id of a test, or a module, as a person types it here; nothing for a fixture, which tests share."""
    module, colons, name = test.partition("::")
    if test.endswith(" (fixture)"):
        return ""
    path = project_root() / module
    return f"{display(path)}{colons}{name}" if path.exists() else test
