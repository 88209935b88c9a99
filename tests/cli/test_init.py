"""`stepreplay init`: it looks at a project, shows what it would write, and writes it once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_stepreplay.vcr import suites

from .conftest import Project

TEST = "import anthropic\nfrom openai import OpenAI\n\ndef test_a():\n    pass\n"


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.parts
    }


@pytest.fixture
def suite(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(suites, "find_spec", lambda name: object() if name == "pytest_recording" else None)
    subprocess.run(["git", "init", "-q"], cwd=project.path, check=True)
    (project.path / "tests").mkdir()
    (project.path / "tests/test_a.py").write_text(TEST, encoding="utf-8")
    return project


def test_a_new_project_gets_its_ini_lines_what_git_needs_and_a_job(suite: Project) -> None:
    (suite.path / ".github").mkdir()
    before = files(suite.path)
    unasked = suite.run("init")
    assert (unasked.status, "add --yes to go ahead" in unasked.err) == (2, True)
    shown = suite.run("init", "--dry-run")
    assert shown.status == 1
    assert shown.out.startswith(
        "Clients: anthropic, openai.\n"
        "Without a marker: tests/test_a.py. Add @pytest.mark.stepreplay to the tests in them that ask an API, "
        "or to all of a module: pytestmark = pytest.mark.stepreplay\n\n"
        "pytest.ini (new):\n"
        "  stepreplay_api_keys = STEP_API_KEY OPENAI_API_KEY ANTHROPIC_API_KEY\n"
        ".gitattributes:\n"
        "  cassettes/**/*.yaml diff=stepreplay merge=stepreplay eol=lf\n"
    )
    assert ".github/workflows/tests.yml (new):\n  name: tests\n" in shown.out
    assert files(suite.path) == before
    assert suite.run("init", "--yes").status == 0
    now = files(suite.path)
    assert (
        now["pytest.ini"] == "[pytest]\nstepreplay_api_keys = STEP_API_KEY OPENAI_API_KEY ANTHROPIC_API_KEY\n"
    )
    assert "      - run: pip install pytest-stepreplay\n" in now[".github/workflows/tests.yml"]
    again = suite.run("init", "--yes")
    assert (again.status, "There is nothing to add." in again.out) == (0, True)
    assert files(suite.path) == now


def test_what_is_there_is_kept(suite: Project) -> None:
    marked = f"import pytest\nKEY = 'MY_API_KEY'\npytestmark = pytest.mark.vcr\n{TEST}"
    (suite.path / "tests/test_a.py").write_text(marked, encoding="utf-8")
    text = '[project]\nname = "x"\n\n[tool.pytest.ini_options]\naddopts = "-ra"  # mine\n'
    (suite.path / "pyproject.toml").write_text(text, encoding="utf-8")
    jobs = suite.path / ".github/workflows"
    jobs.mkdir(parents=True)
    (jobs / "ci.yml").write_text("run: pytest -x\n", encoding="utf-8")
    told = suite.run("init", "--yes").out
    assert "1 marker of pytest-recording or pytest-vcr: they run here as they are." in told
    assert ".github/workflows/ci.yml runs your tests, and needs no key for it: they replay." in told
    now = files(suite.path)
    assert now["pyproject.toml"] == (
        '[project]\nname = "x"\n\n[tool.pytest.ini_options]\n'
        'stepreplay_api_keys = ["STEP_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "MY_API_KEY"]\n'
        'stepreplay_adopt_vcr_marker = true\naddopts = "-p no:recording -ra"  # mine\n'
    )
    assert [name for name in now if ".github" in name] == [".github/workflows/ci.yml"]
    assert "There is nothing to add." in suite.run("init").out


def test_without_a_repository_or_anything_to_add_it_says_so(project: Project) -> None:
    (project.path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    result = project.run("init", "--json", "--dry-run")
    assert (result.status, result.json["clients"], result.json["ini"]["add"], result.json["git"]) == (
        0,
        [],
        [],
        None,
    )
    assert result.json["notes"][0].startswith("git knows nothing of cassettes here: git rev-parse:")


def test_a_broken_ini_file_is_told(suite: Project) -> None:
    (suite.path / "pytest.ini").write_text("[pytest\n", encoding="utf-8")
    result = suite.run("init", "--yes")
    assert (result.status, "pytest.ini: " in result.err, "Fix it" in result.err) == (2, True, True)
    (suite.path / "pytest.ini").unlink()
    (suite.path / "tox.ini").write_text("[tox]\n", encoding="utf-8")
    assert suite.run("init", "--yes").status == 0
    assert (suite.path / "tox.ini").read_text(encoding="utf-8") == "[tox]\n"
