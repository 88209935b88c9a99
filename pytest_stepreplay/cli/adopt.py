"""`stepreplay adopt`: the lines of the ini file with which a suite of pytest-recording or pytest-vcr runs here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..commands import pytest_command
from ..errors import display_path
from ..projects import find_project
from ..vcr.suites import ADOPT_KEY, HOW_TO_MATCH_AS_VCRPY, Survey, installed_rivals, survey
from .command import Command
from .deciding import CONSENT, check_consent, is_agreed
from .ini_file import ini_text, with_line, with_option, write_ini
from .project import PASSED_OVER
from .terminal import echo, plural

if TYPE_CHECKING:
    from collections.abc import Iterator


def _run(dry_run: bool, yes: bool, as_json: bool) -> int:
    check_consent(dry_run=dry_run, yes=yes, as_json=as_json)
    project = find_project(Path.cwd())
    found = survey(python_files(project.root))
    path = project.path or project.root / "pytest.ini"
    old = ini_text(path) if project.path else None
    lines, new = adopting(path, old or "", project.values) if found.marks else ([], "")
    if as_json:
        told = {"file": display_path(path), "markers": found.marks, "add": lines, "problems": found.problems}
        echo(json.dumps(told, indent=2))
    else:
        _print(found, path, lines)
    if not lines:
        return 1 if found.problems else 0
    if not is_agreed(f"Write {display_path(path)}?", dry_run=dry_run, yes=yes, as_json=as_json):
        return 1
    write_ini(path, old, new, {ADOPT_KEY: "true"})
    if not as_json:
        echo(f"Wrote {display_path(path)}. Run the tests: {pytest_command()}")
    return 1 if found.problems else 0


ADOPT: Final = Command(
    name="adopt",
    description="""
    Look at a project's tests, and write the ini lines that let them run here with the cassettes they have.

    What is written is shown first. Whatever the tests use of the other plugin that is not available here is
    listed with its place. No test and no cassette is changed. The exit status is 1 if something is left to be done.
    """,
    examples=("stepreplay adopt --dry-run", "stepreplay adopt --yes"),
    options=CONSENT,
    run=_run,
)


def _print(found: Survey, path: Path, lines: list[str]) -> None:
    if not found.marks:
        echo("No test is marked with @pytest.mark.vcr, so there is nothing to adopt.")
    else:
        echo(f"{plural(found.marks, 'marker')} of pytest-recording or pytest-vcr.")
    if lines:
        echo(f"\n{display_path(path)}:")
        for line in lines:
            echo(f"  {line}")
    elif found.marks:
        echo(f"{display_path(path)} adopts them already.")
    if found.marks and not found.compares_bodies:
        echo(
            "\nTheir match_on has no body, but here bodies are compared by default. To match as before:\n"
            f"  {HOW_TO_MATCH_AS_VCRPY}"
        )
    if found.problems:
        echo("\nNot mapped:")
        for problem in found.problems:
            echo(f"  {problem}")


# ---------------------------------------------------------------- the files of the project


def python_files(root: Path) -> Iterator[Path]:
    """Yields the Python files of a project, without those of its environments and builds."""
    for path in sorted(root.iterdir()):
        if path.name.startswith(".") or path.name in PASSED_OVER or path.is_symlink():
            continue
        if path.is_dir():
            if not (path / "pyvenv.cfg").exists():
                yield from python_files(path)
        elif path.suffix == ".py":
            yield path


# ---------------------------------------------------------------- what is written


def adopting(path: Path, old: str, values: object) -> tuple[list[str], str]:
    """Returns the lines to add, as they are shown, and the file's new text, with line ends as it has them.

    Raises:
        StepReplayError: the file is written in a way that is not changed by a program.
    """
    end = "\r\n" if old.count("\r\n") == old.count("\n") > 0 else "\n"
    mark = "\ufeff" if old.startswith("\ufeff") else ""
    lines, new = _changes(path, old.removeprefix(mark).replace(end, "\n"), values)
    return lines, mark + new.replace("\n", end)


def _changes(path: Path, old: str, values: object) -> tuple[list[str], str]:
    """Returns the lines to add, as they are shown, and the file's new text.

    Raises:
        StepReplayError: the file is written in a way that is not changed by a program.
    """
    known = values if isinstance(values, dict) else {}
    lines, new = [], old
    if str(known.get(ADOPT_KEY, "")).lower() not in {"true", "yes", "on", "1"}:
        line = f"{ADOPT_KEY} = true"
        lines.append(line)
        new = with_line(path, new, line, replaces=ADOPT_KEY in known)
    addopts = known.get("addopts", "")
    given = " ".join(addopts) if isinstance(addopts, list) else str(addopts)
    for name in installed_rivals():
        if f"no:{name}" not in given:
            lines.append(f"addopts: -p no:{name}")
            new = with_option(path, new, name, has_options="addopts" in known)
            given = f"{given} -p no:{name}"
            known = {**known, "addopts": given}
    return lines, new
