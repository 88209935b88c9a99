"""The command as a whole: help, exit statuses, errors, pipes and interrupts."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_stepreplay.cli import main

from .conftest import Project, chat, completion, user

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = ["demo", "list", "show", "diff", "pending", "review", "accept", "reject"]


def stepreplay(*args: str | Path, **environment: str) -> subprocess.Popen[bytes]:
    """Starts the command as a process of its own."""
    # Without a buffer, Python forgets the rest of a line of which only a part could be written.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.Popen(
        [sys.executable, "-m", "pytest_stepreplay.cli", *map(str, args)],
        env={**inherited, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_help_names_the_commands(project: Project) -> None:
    result = project.run("--help")
    assert result.status == 0
    assert "Start with `stepreplay demo`: it needs no API key and no network." in result.out
    assert all(f"\n  {name} " in result.out for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_an_example(project: Project, command: str) -> None:
    result = project.run(command, "-h")
    assert result.status == 0
    assert f"Example:\n    stepreplay {command}" in result.out


def test_the_version_is_that_of_the_package(project: Project) -> None:
    from importlib.metadata import version

    assert project.run("--version").out == f"stepreplay, version {version('pytest-stepreplay')}\n"


@pytest.mark.parametrize("args", [["nonsense"], ["show"], ["list", "--nonsense"], ["show", "x", "-n", "0"]])
def test_bad_usage_is_one_message_and_status_2(project: Project, args: list[str]) -> None:
    result = project.run(*args)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("Usage: stepreplay")
    assert "Error: " in result.err


def test_a_users_mistake_is_one_message_and_status_2(project: Project) -> None:
    result = project.run("show", "no\x1b[31mwhere")
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "stepreplay: no\\x1b[31mwhere: there is no such file, neither here nor in cassettes\n"
        "List the cassettes: stepreplay list\n"
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pytest_stepreplay.cli import main; main(['list', '--help'])\n"
        "heavy = {'rich', 'yaml', 'pydantic', 'vcr', 'deepdiff', 'openai', 'pytest'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_interrupt_is_status_130_and_no_traceback(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pytest_stepreplay.store.read_cassette", interrupt)
    result = project.run("show", project.write("cassettes/a.yaml", chat()))
    assert (result.status, result.out, result.err) == (130, "", "\n")


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGPIPE")
@pytest.mark.parametrize("option", [(), ("--json",)])
def test_a_reader_that_leaves_ends_the_command_quietly(project: Project, option: tuple[str, ...]) -> None:
    path = project.write("long.yaml", chat(answer=completion("word " * 100_000)))
    with stepreplay("show", path, *option) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert (process.stderr.read(), process.wait(30)) == (b"", 141)


def test_what_the_encoding_lacks_is_escaped(project: Project) -> None:
    path = project.write("cassettes/a.yaml", chat(user("你好"), answer=completion("… ok")))
    out, err = stepreplay("show", path, PYTHONIOENCODING="ascii").communicate(timeout=30)
    assert err == b""
    assert rb"user        \u4f60\u597d" in out


def test_color_only_where_it_is_wanted(project: Project) -> None:
    path = project.write("cassettes/a.yaml", chat())
    assert b"\x1b[" not in stepreplay("show", path).communicate(timeout=30)[0]
    colored = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
    assert b"\x1b[" in stepreplay("show", path, **colored).communicate(timeout=30)[0]
    no_color = stepreplay("show", path, NO_COLOR="1", **colored).communicate(timeout=30)[0]
    assert b"\x1b[3" not in no_color, "no colour"


def test_main_takes_the_arguments_of_the_process(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["stepreplay", "list", str(project.path)])
    assert main() == 0
    assert "There is no cassette" in capsys.readouterr().err
