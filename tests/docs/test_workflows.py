"""What the project promises its contributors in `.github/` and `.pre-commit-config.yaml`."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from .page import REPOSITORY


def read(name: str) -> Any:
    return yaml.safe_load((REPOSITORY / name).read_text(encoding="utf-8"))


def test_three_systems_run_every_python_that_the_package_names() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [text.rpartition(" :: ")[2] for text in project["classifiers"] if " :: Python :: 3." in text]
    matrix = read(".github/workflows/tests.yml")["jobs"]["tests"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest", "windows-latest", "macos-latest"]
    assert len(matrix["python"]) == 5
    assert matrix["python"][: len(named)] == named


def test_a_release_is_published_without_a_stored_token() -> None:
    workflow = read(".github/workflows/release.yml")
    publish = workflow["jobs"]["publish"]
    assert publish["needs"] == "build"
    assert publish["permissions"] == {"id-token": "write"}
    assert [step["uses"].partition("@")[0] for step in publish["steps"]][-1] == "pypa/gh-action-pypi-publish"
    assert "secrets." not in (REPOSITORY / ".github/workflows/release.yml").read_text(encoding="utf-8")


def test_an_action_is_pinned_by_its_commit() -> None:
    """What a tag stands for can change. PyPA's own action stays on the branch that PyPA asks for."""
    used = [
        line.partition("uses: ")[2]
        for path in (REPOSITORY / ".github/workflows").glob("*.yml")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "uses: " in line and "pypa/" not in line
    ]
    assert len(used) == 8
    assert [
        each for each in used if not re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", each)
    ] == []
    assert [each["package-ecosystem"] for each in read(".github/dependabot.yml")["updates"]] == [
        "github-actions"
    ]


@pytest.mark.parametrize(("length", "status"), [(72, 0), (73, 1)])
def test_a_subject_that_is_too_long_is_refused(tmp_path: Path, length: int, status: int) -> None:
    (repository,) = read(".pre-commit-config.yaml")["repos"]
    (hook,) = [hook for hook in repository["hooks"] if hook["id"] == "subject"]
    message = tmp_path / "COMMIT_EDITMSG"
    message.write_text("ä" * length + "\n\nA body of any length." + "x" * 100 + "\n", encoding="utf-8")
    _, *arguments = shlex.split(hook["entry"])
    assert subprocess.run([sys.executable, *arguments, message], check=False).returncode == status
