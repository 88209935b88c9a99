"""`stepreplay init`: what a project needs to begin, found by looking at it, and shown before it is written."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..commands import pytest_command
from ..errors import StepReplayError, display_path
from ..projects import find_project
from ..settings.fields import Settings
from ..store.files import read_bytes, write_bytes
from ..value_classes import dataclass, field
from ..vcr.suites import ADOPT_KEY, survey
from .adopt import adopting, python_files
from .command import Command
from .deciding import CONSENT, check_consent, is_agreed
from .git_config import GitPlan, plan_git
from .ini_file import edited, ini_text, with_line, write_ini
from .terminal import echo, plural, safe

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLIENTS: Final = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "google.genai": "GEMINI_API_KEY",
    "groq": "GROQ_API_KEY",
    "mistralai": "MISTRAL_API_KEY",
    "litellm": "",
    "instructor": "",
    "langchain_openai": "OPENAI_API_KEY",
    "langchain_anthropic": "ANTHROPIC_API_KEY",
    "httpx": "",
    "httpx2": "",
    "aiohttp": "",
    "requests": "",
    "urllib3": "",
    "boto3": "",
}
"""Modules with which tests ask an API, and the variable in which each looks for its key."""

_IMPORT: Final = re.compile(
    r"^[ \t]*(?:from|import)[ \t]+(google(?:\.|[ \t]+import[ \t]+)genai|\w+)", re.MULTILINE
)
_KEY: Final = re.compile(r"""["']([A-Z][A-Z0-9_]{0,60}_API_KEY)["']""")
_MARKED: Final = re.compile(r"\bmark\.(?:stepreplay|vcr)\b")
_IS_TEST: Final = re.compile(r"test_.*\.py|.*_test\.py")
_WORKFLOWS: Final = ".github/workflows"
_STRICT: Final = "--stepreplay-unused=error"
_RUN: Final = f"pytest {_STRICT}"
"""What a job runs: in the folder where it has checked the project out, wherever `init` was started."""
_WORKFLOW: Final = """\
name: tests
on: [push, pull_request]
permissions:
  contents: read
jobs:
  tests:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.13"
      - run: {install}
      - run: {run}  # replays: no key and no network
"""
_GITLAB: Final = """\
tests:
  image: python:3.13
  script:
    - {install}
    - {run}  # replays: no key and no network
"""


@dataclass(slots=True)
class _Found:
    """What a project uses.

    Attributes:
        clients: modules with which it asks an API.
        keys: variables that hold its keys.
        unmarked: test modules that import such a module, and have no marker.
    """

    clients: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    unmarked: list[Path] = field(default_factory=list)


@dataclass(slots=True)
class _Proposal:
    """What is to be written.

    Attributes:
        ini: the ini file, what it says, what is to be added to it, and what it is to say then.
        wanted: the keys that it must have then.
        git: what git is to be told; None where there is no repository.
        job: the file of a CI job and its text; None where none is to be made.
        notes: what a person should know beside it.
    """

    ini: tuple[Path, str | None, list[str], str]
    wanted: dict[str, str]
    git: GitPlan | None
    job: tuple[Path, str] | None
    notes: list[str]

    @property
    def is_empty(self) -> bool:
        return not self.ini[2] and (self.git is None or self.git.is_done) and self.job is None

    def shown(self) -> Iterator[str]:
        path, old, lines, _ = self.ini
        if lines:
            yield f"{display_path(path)}{'' if old is not None else ' (new)'}:"
            yield from (f"  {line}" for line in lines)
        if self.git is not None and not self.git.is_done:
            yield from self.git.shown()
        if self.job is not None:
            yield f"{display_path(self.job[0])} (new):"
            yield from (f"  {line}" for line in self.job[1].splitlines())

    def write(self) -> None:
        path, old, lines, new = self.ini
        if self.job is not None and self.job[0].exists():
            raise StepReplayError(f"{display_path(self.job[0])} has appeared meanwhile; run this again")
        if lines:
            write_ini(path, old, new, self.wanted)
        if self.git is not None and not self.git.is_done:
            self.git.write()
        if self.job is not None:
            write_bytes(self.job[0], self.job[1].encode())


def _run(dry_run: bool, yes: bool, as_json: bool) -> int:
    check_consent(dry_run=dry_run, yes=yes, as_json=as_json)
    found, proposal = _look()
    if as_json:
        echo(json.dumps(_as_tree(found, proposal), indent=2))
    else:
        clients = ", ".join(sorted(found.clients)) or "none that is known"
        echo(safe(f"Clients: {clients}."))
        for note in proposal.notes:
            echo(safe(note))
        echo(
            safe("\n".join(["", *proposal.shown()]))
            if not proposal.is_empty
            else "\nThere is nothing to add."
        )
    if proposal.is_empty:
        return 0
    if not is_agreed("Write this?", dry_run=dry_run, yes=yes, as_json=as_json):
        return 1
    proposal.write()
    if not as_json:
        echo(f"Done. Record: {pytest_command('--stepreplay=record')}")
    return 0


INIT: Final = Command(
    name="init",
    description="""
    Look at a project, and propose what it needs: lines of its ini file, what git needs, and a CI job.

    It finds the clients that the project uses, the keys that they look for, tests of pytest-recording or pytest-vcr,
    and the CI that is there. What it would write is shown first. Nothing is overwritten, and a second time there is
    nothing to add. The exit status is 1 if something was to be added and was not.
    """,
    examples=("stepreplay init --dry-run", "stepreplay init --yes"),
    options=CONSENT,
    run=_run,
)


def _as_tree(found: _Found, proposal: _Proposal) -> dict[str, Any]:
    git, job = proposal.git, proposal.job
    return {
        "clients": sorted(found.clients),
        "ini": {"file": display_path(proposal.ini[0]), "add": proposal.ini[2]},
        "git": {"add": git.lines, "config": git.config} if git else None,
        "ci": {"file": display_path(job[0]), "text": job[1]} if job else None,
        "notes": proposal.notes,
    }


# ---------------------------------------------------------------- looking


def _look() -> tuple[_Found, _Proposal]:
    project = find_project(Path.cwd())
    root = project.root
    files = list(python_files(root))
    found = _used_in(files)
    path = project.path or root / "pytest.ini"
    old = ini_text(path) if project.path else None
    lines: list[str] = []
    new, wanted, notes = old or "", dict[str, str](), list[str]()
    suite = survey(files)
    if suite.marks:
        lines, new = adopting(path, new, project.values)
        wanted = {ADOPT_KEY: "true"} if lines else {}
        new = new if lines else old or ""
        notes.append(
            f"{plural(suite.marks, 'marker')} of pytest-recording or pytest-vcr: they run here as they are."
        )
        notes += [f"Not mapped: {problem}" for problem in suite.problems]
    keys = _keys_line(found, project.values)
    if keys:
        line = f"stepreplay_api_keys = {_listed(path, keys)}"
        lines = [*lines, line]
        new = edited(new, lambda text: with_line(path, text, line))
        wanted |= {"stepreplay_api_keys": " ".join(keys)}
    if found.unmarked:
        shown = ", ".join(display_path(each) for each in found.unmarked[:5])
        more = f" and {len(found.unmarked) - 5} more" if len(found.unmarked) > 5 else ""
        notes.append(
            f"Without a marker: {shown}{more}. Add @pytest.mark.stepreplay to the tests in them that ask an API, "
            "or to all of a module: pytestmark = pytest.mark.stepreplay"
        )
    git: GitPlan | None = None
    try:
        git = plan_git()
    except StepReplayError as error:
        notes.append(f"git knows nothing of cassettes here: {str(error).partition(chr(10))[0]}")
    job = _job_for(root, notes)
    return found, _Proposal((path, old, lines, new), wanted, git, job, notes)


def _used_in(files: list[Path]) -> _Found:
    found = _Found()
    for path in files:
        try:
            text = read_bytes(path).decode()
        except (StepReplayError, UnicodeDecodeError):
            continue
        modules = {"google.genai" if "genai" in name else name for name in _IMPORT.findall(text)}
        here = modules & _CLIENTS.keys()
        found.clients |= here
        found.keys |= {_CLIENTS[name] for name in here} - {""} | set(_KEY.findall(text))
        if here and _IS_TEST.fullmatch(path.name) and not _MARKED.search(text) and "stepreplay" not in text:
            found.unmarked.append(path)
    return found


def _keys_line(found: _Found, values: Any) -> list[str]:
    """Returns the variables to name in the ini file; none where all are known."""
    known = Settings().api_keys
    more = sorted(found.keys - {*known})
    return [*known, *more] if more and "stepreplay_api_keys" not in values else []


def _listed(path: Path, words: list[str]) -> str:
    return json.dumps(words) if path.suffix == ".toml" else " ".join(words)


def _job_for(root: Path, notes: list[str]) -> tuple[Path, str] | None:
    """Returns the file of a CI job and its text, where there is no job yet that runs the tests."""
    workflows = sorted((root / _WORKFLOWS).glob("*.y*ml"))
    gitlab = root / ".gitlab-ci.yml"
    for path in (*workflows, *([gitlab] if gitlab.exists() else [])):
        text = read_bytes(path).decode("utf-8", "replace")
        if "pytest" in text or "tox" in text or "nox" in text:
            if "stepreplay-unused" not in text:
                notes.append(
                    f"{display_path(path)} runs your tests, and needs no key for it: they replay. "
                    f"To fail where a cassette is not used, add {_STRICT} to the options of pytest there."
                )
            return None
    install = _install(root)
    job = _GITLAB.format(install=install, run=_RUN)
    if gitlab.exists():
        notes.append(f"{display_path(gitlab)} runs no tests. Add this job:\n{job}".rstrip())
        return None
    remotes = _remotes(root)
    if "gitlab" in remotes:
        return gitlab, job
    if (root / ".github").is_dir() or "github" in remotes:
        path = root / _WORKFLOWS / "tests.yml"
        path = path.with_name("stepreplay.yml") if path.exists() else path
        return None if path.exists() else (path, _WORKFLOW.format(install=install, run=_RUN))
    return None


def _install(root: Path) -> str:
    requirements = [name for name in ("requirements-dev.txt", "requirements.txt") if (root / name).exists()]
    if requirements:
        return f"pip install -r {requirements[0]} pytest-stepreplay"
    if (root / "pyproject.toml").exists() or (root / "setup.py").exists():
        return "pip install -e . pytest-stepreplay"
    return "pip install pytest-stepreplay"


def _remotes(root: Path) -> str:
    try:
        done = subprocess.run(
            ["git", "remote", "-v"],  # noqa: S607 - the git that the person uses
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout
