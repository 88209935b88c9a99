"""What the project promises its contributors in `.github/` and `.pre-commit-config.yaml`."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_stepreplay.cli.verifying import VERIFY_COMMAND
from pytest_stepreplay.models import Cassette
from pytest_stepreplay.store.cassettes import write_cassette
from pytest_stepreplay.upstream import Upstream
from pytest_stepreplay.upstream.replies import json_reply
from tests.cli.conftest import chat, completion, user
from tests.conftest import KEY

from .page import REPOSITORY, read_steps

needs_bash = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("bash") is None, reason="the scripts are bash's"
)
HOSTILE = "it's $(touch owned) `touch owned` \"; touch owned; #.yaml"


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
        for path in (REPOSITORY / "action.yml", *(REPOSITORY / ".github/workflows").glob("*.yml"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if "uses: " in line and "pypa/" not in line
    ]
    assert len(used) == 10
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


class Runner:
    """Runs the scripts of a composite action as GitHub's runner does: its inputs come in by the environment."""

    def __init__(self, folder: Path) -> None:
        self.project, self.temp = folder / "project", folder / "temp"
        bin_folder = self.temp / "stepreplay/bin"
        bin_folder.mkdir(parents=True)
        self.project.mkdir()
        command = bin_folder / "stepreplay"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pytest_stepreplay.cli "$@"\n')
        command.chmod(0o755)
        self.action = read("action.yml")

    def run(self, step: str, **inputs: str) -> subprocess.CompletedProcess[str]:
        """Runs the named step; what it prints for GitHub is in `outputs` and `summary`."""
        (found,) = [each for each in self.action["runs"]["steps"] if each.get("name") == step]
        values = {name: each.get("default", "") for name, each in self.action["inputs"].items()}
        assert inputs.keys() <= {name.replace("-", "_") for name in values}
        values |= {name.replace("_", "-"): value for name, value in inputs.items()}
        (self.temp / "outputs").write_text("")
        (self.temp / "summary.md").write_text("")
        own = {
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_OUTPUT": str(self.temp / "outputs"),
            "GITHUB_STEP_SUMMARY": str(self.temp / "summary.md"),
            "GITHUB_ACTIONS": "true",
            "CI": "true",
        }
        for name, value in found["env"].items():
            (key,) = re.fullmatch(r"\$\{\{ (?:inputs\.([\w-]+)|github\.action_path) \}\}", value).groups()  # type: ignore[union-attr]
            own[name] = values[key] if key else str(REPOSITORY)
        kept = {name: each for name, each in os.environ.items() if not name.endswith("_API_KEY")}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", found["run"]]
        return subprocess.run(
            command,
            cwd=self.project,
            env=kept | own,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @property
    def outputs(self) -> dict[str, str]:
        lines = (self.temp / "outputs").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines)


def test_no_script_of_the_action_holds_what_a_caller_gives() -> None:
    """In the script itself it could run as a command."""
    scripts = [step["run"] for step in read("action.yml")["runs"]["steps"] if "run" in step]
    assert len(scripts) == 2
    assert not [script for script in scripts if "${{" in script]


def test_the_inputs_of_the_action_are_options_of_the_command() -> None:
    options = {option.flags[-1].removeprefix("--") for option in VERIFY_COMMAND.options}
    assert {*read("action.yml")["inputs"]} - options == {
        "cassettes",
        "keys",
        "options",
        "working-directory",
        "python-version",
        "artifact",
    }


@needs_bash
def test_the_action_verifies_and_leaves_a_report_and_a_page(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    with Upstream(lambda _: json_reply(completion())) as upstream:
        url = f"{upstream.url}/chat/completions"
        for name, said in (("same.yaml", "Hello!"), (HOSTILE, "Bye.")):
            cassette = Cassette(interactions=(chat(user(said), answer=completion(said), url=url),))
            write_cassette(runner.project / "cassettes" / name, cassette)
        done = runner.run(
            "Verify",
            keys=f"STEP_API_KEY={KEY}\nOTHER=$(touch owned)",
            options="--max-calls=5\n",
            fail_on="content",
        )
        assert done.returncode == 1, done.stderr
        assert upstream.count == 2
        assert {each.headers["authorization"] for each in upstream.requests} == {f"Bearer {KEY}"}
        assert runner.outputs == {
            "status": "1",
            "report": "stepreplay-report.json",
            "page": "stepreplay-report.html",
        }
        report = json.loads(
            (runner.temp / "stepreplay-report/stepreplay-report.json").read_text(encoding="utf-8")
        )
        assert report["calls"] == 2
        page = (runner.temp / "stepreplay-report/stepreplay-report.html").read_text(encoding="utf-8")
        assert "<!doctype html>" in page
        assert "## stepreplay: verified against the API" in (runner.temp / "summary.md").read_text(
            encoding="utf-8"
        )
        # What a caller gives is one word each, whatever is in it.
        done = runner.run(
            "Verify", cassettes=f"cassettes/{HOSTILE}\n", keys=f"STEP_API_KEY={KEY}", fail_on="never"
        )
        assert (done.returncode, upstream.count) == (0, 3)
        wrong = {
            "rpm": ("1; touch owned", "'1; touch owned' is not a whole number"),
            "cassettes": ("--help\n$(touch owned)", "'--help' does not exist"),
            "keys": ("PATH", "a line of the input 'keys' is not NAME=VALUE"),
            "report": ("a.json\nstatus=0", "the input 'report' must be one line"),
        }
        for name, (value, message) in wrong.items():
            done = runner.run("Verify", **{"keys": f"STEP_API_KEY={KEY}", name: value})
            assert done.returncode == 2
            assert message in done.stdout + done.stderr
            assert not (runner.temp / "stepreplay-report/stepreplay-report.json").exists() or name in {
                "keys",
                "report",
            }
        assert upstream.count == 3
    assert not [*tmp_path.rglob("owned")]


@needs_bash
def test_the_action_installs_itself_in_an_environment_of_its_own(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    shutil.rmtree(runner.temp / "stepreplay")
    tools = tmp_path / "tools"
    tools.mkdir()
    script = (
        '#!/bin/sh\necho "$@" >> "$RUNNER_TEMP/called"\n'
        'if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi\n'
    )
    (tools / "python").write_text(script)
    (tools / "python").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
        done = runner.run("Install")
    assert done.returncode == 0, done.stderr
    assert (runner.temp / "called").read_text().splitlines() == [
        f"-m venv {runner.temp}/stepreplay",
        f"-m pip install --quiet {REPOSITORY}[html,watch]",
    ]


GH = """#!/bin/sh
printf '%s|' "$@" >> "$RUNNER_TEMP/calls"; echo >> "$RUNNER_TEMP/calls"
if [ "$2" = list ]; then cat "$RUNNER_TEMP/open" 2> /dev/null; fi
if [ "$2" = create ]; then echo 7 > "$RUNNER_TEMP/open"; fi
if [ "$2" = close ]; then rm "$RUNNER_TEMP/open"; fi
exit 0
"""


@needs_bash
def test_the_nightly_workflow_keeps_one_pull_request(tmp_path: Path) -> None:
    pages = [step.text for step in read_steps(REPOSITORY / "docs/ci.md") if "gh pr create" in step.text]
    (workflow,) = map(yaml.safe_load, pages)
    (script,) = [
        step["run"] for step in workflow["jobs"]["rewrite"]["steps"] if "gh pr" in step.get("run", "")
    ]
    assert "${{" not in script
    origin, work, tools = (tmp_path / name for name in ("origin", "work", "tools"))
    tools.mkdir()
    (tools / "gh").write_text(GH)
    (tools / "gh").chmod(0o755)
    environment = os.environ | {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "RUNNER_TEMP": str(tools),
        "BASE": "main",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }

    def run(*words: str, where: Path = work) -> str:
        done = subprocess.run(words, cwd=where, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def night(answer: str) -> list[str]:
        shutil.rmtree(work, ignore_errors=True)
        run("git", "clone", "-q", str(origin), str(work), where=tmp_path)
        (work / "cassettes/a.yaml").write_text(answer)
        (work / "drift.md").write_text(f"drift: {answer}")
        (tools / "calls").write_text("")
        run("bash", "-e", "-c", script)
        lines = (tools / "calls").read_text().splitlines()
        return [" ".join(line.split("|")[1:2]) for line in lines]

    run("git", "init", "-q", "--bare", "-b", "main", str(origin), where=tmp_path)
    run("git", "clone", "-q", str(origin), str(work), where=tmp_path)
    (work / "cassettes").mkdir()
    (work / "cassettes/a.yaml").write_text("old")
    run("git", "add", ".")
    run("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "first")
    run("git", "push", "-q", "origin", "HEAD:main")
    assert night("old") == ["list"]
    assert night("new") == ["list", "create"]
    assert night("newer") == ["list", "edit"]
    assert (tools / "body.md").read_text() == "drift: newer"
    shown = run("git", "show", "--name-only", "--format=%s", "stepreplay/nightly", where=origin)
    assert shown.split("\n") == ["Record what the API answers now", "", "cassettes/a.yaml", ""]
    assert run("git", "show", "stepreplay/nightly:cassettes/a.yaml", where=origin) == "newer"
    assert run("git", "rev-list", "--count", "main..stepreplay/nightly", where=origin) == "1\n"
    assert night("old") == ["list", "close"]
    assert night("old") == ["list"]
