"""`stepreplay adopt`: the ini lines with which a suite of another plugin runs here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_stepreplay.cli import adopt
from pytest_stepreplay.vcr import suites

from .conftest import Project

TEST = """import pytest

@pytest.mark.vcr
def test_one():
    pass
"""
CONFIG = """import pytest

@pytest.fixture(scope="module")
def vcr_config():
    return {"match_on": ["method", "body"], "persister": object}

def pytest_recording_configure(config, vcr):
    vcr.register_persister(object)
"""
LINE = "stepreplay_adopt_vcr_marker = true"


@pytest.fixture(autouse=True)
def a_rival(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest-recording is installed, and pytest-vcr is not."""
    monkeypatch.setattr(suites, "find_spec", lambda name: object() if name == "pytest_recording" else None)


@pytest.fixture
def suite(project: Project) -> Path:
    (project.path / "tests").mkdir()
    (project.path / "tests/test_old.py").write_text(TEST, encoding="utf-8")
    return project.path


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("pytest.ini", None, f"[pytest]\naddopts = -p no:recording\n{LINE}\n"),
        (
            "pytest.ini",
            "[pytest]\naddopts = -ra\n  -q\n",
            f"[pytest]\n{LINE}\naddopts = -p no:recording -ra\n  -q\n",
        ),
        (
            "setup.cfg",
            "[x]\na = 1\n[tool:pytest]\n",
            f"[x]\na = 1\n[tool:pytest]\naddopts = -p no:recording\n{LINE}\n",
        ),
        (
            "pyproject.toml",
            '[tool.pytest.ini_options]\naddopts = "-ra"\n[tool.x]\n',
            f'[tool.pytest.ini_options]\n{LINE}\naddopts = "-p no:recording -ra"\n[tool.x]\n',
        ),
        (
            "pyproject.toml",
            '[tool.pytest.ini_options]\naddopts = [\n  "-ra",\n]\nstepreplay_adopt_vcr_marker = false\n',
            f'[tool.pytest.ini_options]\naddopts = ["-p", "no:recording", \n  "-ra",\n]\n{LINE}\n',
        ),
    ],
)
def test_the_lines_are_shown_then_written_and_once(
    suite: Path, project: Project, name: str, before: str | None, after: str
) -> None:
    file = suite / name
    if before is not None:
        file.write_text(before, encoding="utf-8")
    dry = project.run("adopt", "--dry-run")
    assert dry.status == 1
    assert f"  {LINE}\n  addopts: -p no:recording\n" in dry.out
    assert (file.read_text(encoding="utf-8") if file.exists() else None) == before
    done = project.run("adopt", "--yes")
    assert (done.status, done.err) == (0, "")
    assert file.read_text(encoding="utf-8") == after
    again = project.run("adopt", "--dry-run")
    assert again.status == 0 and f"{name} adopts them already." in again.out
    assert file.read_text(encoding="utf-8") == after


def test_every_rival_that_is_installed_is_kept_out(
    suite: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suites, "find_spec", lambda name: object())
    assert project.run("adopt", "--yes").status == 0
    text = (suite / "pytest.ini").read_text(encoding="utf-8")
    assert text == f"[pytest]\naddopts = -p no:cassetter -p no:vcr -p no:recording\n{LINE}\n"


def test_what_cannot_be_mapped_is_listed_with_its_place(suite: Path, project: Project) -> None:
    (suite / "tests/conftest.py").write_text(CONFIG, encoding="utf-8")
    (suite / "tests/test_hand.py").write_text(
        'import vcr\nwith vcr.use_cassette("x"):\n    pass\n', encoding="utf-8"
    )
    (suite / "tests/broken.py").write_text("vcr = (", encoding="utf-8")
    result = project.run("adopt", "--yes", "--json")
    assert result.status == 1
    told = json.loads(result.out)
    assert told["markers"] == 1
    assert [each.split(": ")[0] for each in told["problems"]] == [
        "tests/conftest.py:5",
        "tests/conftest.py:8",
        "tests/test_hand.py:2",
    ]
    shown = project.run("adopt", "--dry-run").out
    assert "vcr_config, persister: cassettes are files here" in shown
    assert "match_on names no body" not in shown


def test_bodies_that_were_not_compared_are_told_of(suite: Path, project: Project) -> None:
    assert (
        "  stepreplay_match_on = method scheme host port path query\n"
        in project.run("adopt", "--dry-run").out
    )


def test_a_project_with_nothing_to_adopt_stays_as_it_is(project: Project) -> None:
    result = project.run("adopt", "--yes")
    assert (result.status, [*project.path.glob("*.ini")]) == (0, [])
    assert "nothing to adopt" in result.out


def test_a_file_that_no_program_should_change_is_left_alone(suite: Path, project: Project) -> None:
    text = '[tool.pytest.ini_options]\naddopts = """\n-ra"""\n'
    (suite / "pyproject.toml").write_text(text, encoding="utf-8")
    result = project.run("adopt", "--yes")
    assert result.status == 2
    assert "add this yourself: addopts: -p no:recording" in result.err
    assert (suite / "pyproject.toml").read_text(encoding="utf-8") == text


def test_what_a_person_wrote_stays_byte_for_byte(suite: Path, project: Project) -> None:
    """Line ends, a mark at the start, comments, the mode of the file, and a link that it is behind."""
    real = suite / "shared.ini"
    real.write_bytes(b"\xef\xbb\xbf; ours\r\n[pytest]\r\n; keep\r\naddopts = -ra\r\n\r\n[other]\r\nx = 1\r\n")
    real.chmod(0o640)
    (suite / "pytest.ini").symlink_to("shared.ini")
    assert project.run("adopt", "--yes").status == 0
    assert (suite / "pytest.ini").is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert real.read_bytes() == (
        b"\xef\xbb\xbf; ours\r\n[pytest]\r\n" + LINE.encode() + b"\r\n; keep\r\n"
        b"addopts = -p no:recording -ra\r\n\r\n[other]\r\nx = 1\r\n"
    )
    assert sorted(path.name for path in suite.iterdir()) == ["pytest.ini", "shared.ini", "tests"]


def test_a_file_that_changes_meanwhile_or_cannot_be_written_stays(
    suite: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = suite / "pytest.ini"
    file.write_text("[pytest]\n", encoding="utf-8")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pytest_stepreplay.machine.disk.replace", full)
        result = project.run("adopt", "--yes")
    assert result.status == 2
    assert (
        "could not be written: No space left on device; the file on disk is still the old one" in result.err
    )
    assert [path.name for path in suite.iterdir() if path.is_file()] == ["pytest.ini"]

    def agreed(*_: object, **__: object) -> bool:
        file.write_text("[pytest]\naddopts = -q\n", encoding="utf-8")
        return True

    monkeypatch.setattr(adopt, "is_agreed", agreed)
    result = project.run("adopt", "--yes")
    assert (result.status, file.read_text(encoding="utf-8")) == (2, "[pytest]\naddopts = -q\n")
    assert "pytest.ini has changed meanwhile, and was not written; run this again" in result.err
