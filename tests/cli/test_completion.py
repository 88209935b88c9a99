"""`stepreplay completion`: what may stand where, and that a real bash asks for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Project, chat


def candidates(project: Project, *words: str) -> list[str]:
    result = project.run("completion", "candidates", "--", *words)
    assert (result.status, result.err) == (0, "")
    return [line.partition("\t")[0] for line in result.out.splitlines()]


@pytest.fixture
def recorded(project: Project) -> Project:
    project.write("cassettes/test_chat/test_a.yaml", chat(), test="test_chat.py::test_a")
    project.write("cassettes/test_chat/test_b[x y].yaml", chat(), test="test_chat.py::test_b[x y]")
    (project.path / "cassettes/test_chat/test_b[x y].yaml.new").write_text("", encoding="utf-8")
    return project


def test_commands_options_and_values_are_completed(project: Project) -> None:
    assert candidates(project, "re") == ["reject", "relink", "review"]
    assert "--version" in candidates(project, "--")
    assert candidates(project, "show", "--i") == ["--interaction"]
    assert candidates(project, "convert", "--format", "s") == ["stepreplay"]
    assert candidates(project, "convert", "--format=s") == ["--format=stepreplay"]
    assert candidates(project, "convert", "--to", "") == [], "so that the shell offers files"
    assert candidates(project, "completion", "") == ["bash", "zsh", "fish"]
    assert candidates(project, "nonsense", "") == []


def test_cassettes_and_ids_of_tests_are_completed(recorded: Project) -> None:
    files = ["cassettes/test_chat/test_a.yaml", "cassettes/test_chat/test_b[x y].yaml"]
    assert candidates(recorded, "show", "") == files
    assert candidates(recorded, "show", "test_chat.py::test_") == [
        "test_chat.py::test_a",
        "test_chat.py::test_b[x y]",
    ]
    assert candidates(recorded, "lint", files[0], "") == files[1:]
    assert candidates(recorded, "accept", "") == files[1:], "only what is pending"
    assert candidates(recorded, "show", "--", "cass") == files


def test_a_broken_project_completes_nothing_and_says_nothing(project: Project) -> None:
    (project.path / "pytest.ini").write_text("[pytest\n", encoding="utf-8")
    assert candidates(project, "show", "") == []


@pytest.mark.skipif(shutil.which("bash") is None or sys.platform == "win32", reason="needs bash")
@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("stepreplay sho", ["show"]),
        ("stepreplay show cassettes/test_chat/test_b", [r"cassettes/test_chat/test_b\[x\ y\].yaml"]),
        ("stepreplay show test_chat.py::test_a", ["test_a"]),
        ("stepreplay convert --format=st", ["stepreplay"]),
    ],
)
def test_bash_completes(recorded: Project, line: str, completed: list[str]) -> None:
    folder = recorded.path / "bin"
    folder.mkdir()
    script = folder / "stepreplay"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pytest_stepreplay.cli "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    # As bash itself takes a line apart.
    words = line.replace("::", " :: ").replace("=", " = ").split()
    asks = f"""
{recorded.run("completion", "bash").out}
COMP_LINE={line!r} COMP_POINT={len(line)} COMP_WORDS=({" ".join(words)}) COMP_CWORD={len(words) - 1}
_stepreplay
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", asks],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=Path.cwd(),
    )
    assert (done.stdout.splitlines(), done.stderr) == (completed, "")
