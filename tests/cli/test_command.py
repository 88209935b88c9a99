"""The command as a whole: help, exit statuses, errors, pipes and interrupts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_stepreplay.cli import expanded, main

from .conftest import Project, chat, completion, user

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = [
    "demo",
    "list",
    "show",
    "diff",
    "lint",
    "pending",
    "review",
    "accept",
    "reject",
    "convert",
    "prune",
    "relink",
    "adopt",
    "serve",
    "verify",
    "merge",
    "history",
    "pull",
    "push",
    "status",
    "setup",
    "init",
    "git-textconv",
    "git-merge",
    "completion",
]


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
    assert re.findall(r"\n  ([\w-]+) ", result.out.partition("Commands:")[2]) == sorted(COMMANDS)
    assert project.run("-h", "list") == result
    alone = project.run()
    assert (alone.status, alone.out, alone.err) == (2, "", result.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_an_example(project: Project, command: str) -> None:
    result = project.run(command, "-h")
    assert result.status == 0
    assert re.search(rf"\nExample:\n  .*\bstepreplay {command}\b", result.out)
    assert project.run(command, "--help", "nowhere", "--nonsense") == result


def test_a_page_of_help(project: Project) -> None:
    assert project.run("accept", "--help").out == (
        "Usage: stepreplay accept [OPTIONS] [PATHS]...\n"
        "\n"
        "  Accept pending changes: the new versions replace the old ones.\n"
        "\n"
        "  PATHS are cassettes, pending files (NAME.yaml.new), folders or globs. A\n"
        "  pending file whose cassette has changed since is refused, and makes the exit\n"
        "  status 1; the others are still accepted.\n"
        "\n"
        "Options:\n"
        "  --all                Everything that is pending in the project's folder.\n"
        "  -n, --interaction N  Only this interaction of the cassette, counted from 1.\n"
        "  -s, --snapshot NAME  Only this snapshot of the file.\n"
        "  -h, --help           Show this message and exit.\n"
        "\n"
        "Example:\n"
        "  stepreplay accept cassettes/test_chat/test_greeting.yaml --interaction 2\n"
        "  stepreplay accept 'cassettes/test_chat/*'\n"
        "  stepreplay accept --all\n"
    )
    assert (
        "\nOptions:\n"
        "  --fail-on [contract|behavior|content|metadata|never]\n"
        "                         Exit with status 1 for differences of this level or\n"
        "                         worse. [default: content]\n"
        "  --color [auto|yes|no]  Color removed and added text; auto: in a terminal,\n"
        "                         unless NO_COLOR is set. [default: auto]\n"
        "  --json                 Print JSON for a program.\n"
    ) in project.run("diff", "--help").out


@pytest.mark.parametrize("columns", [200, 80, 50])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_the_terminal(
    project: Project, monkeypatch: pytest.MonkeyPatch, command: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    _usage, *text = project.run(command, "--help").out.partition("\nExample:")[0].splitlines()
    wrapped = [line for line in text if not line.lstrip().startswith("--f")]  # the choices stay in one piece
    assert max(map(len, wrapped)) < min(columns, 80)
    assert max(map(len, wrapped)) > min(columns, 80) - 20


def test_help_in_a_terminal_of_one_column_is_help(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1")
    result = project.run("convert", "--help")
    assert (result.status, result.err) == (0, "")
    assert "--base-url URL" in result.out


def test_the_version_is_that_of_the_package(project: Project) -> None:
    from importlib.metadata import version

    assert project.run("--version").out == f"stepreplay, version {version('pytest-stepreplay')}\n"


@pytest.mark.parametrize(
    ("args", "usage", "problem"),
    [
        (["nonsense"], "", "no such command: nonsense"),
        (["lst"], "", "no such command: lst. Did you mean list?"),
        (["no\x1bthing"], "", "no such command: no\\x1bthing"),
        (["--nonsense"], "", "no such option: --nonsense"),
        (["--verison"], "", "no such option: --verison. Did you mean --version?"),
        (["show"], "show", "CASSETTE is missing"),
        (["show", "x", "y"], "show", "unexpected argument: y"),
        (["diff", "x"], "diff", "B is missing"),
        (["convert"], "convert", "SOURCES is missing"),
        (["prune", "x"], "prune", "unexpected argument: x"),
        (["list", "--nonsense"], "list", "no such option: --nonsense"),
        (["list", "--no\x1b", "."], "list", "no such option: --no\\x1b"),
        (["list", "--stat"], "list", "no such option: --stat. Did you mean --stats?"),
        (["list", "--jsn=1"], "list", "no such option: --jsn=1. Did you mean --json?"),
        (["list", "-x"], "list", "no such option: -x"),
        (["list", "nowhere"], "list", "PATHS: 'nowhere' does not exist"),
        (["list", ".", "--", "--json"], "list", "PATHS: '--json' does not exist"),
        (["list", ""], "list", "PATHS: '' does not exist"),
        (
            ["diff", "x", "y", "--fail-on", "z"],
            "diff",
            "argument --fail-on: 'z' is not one of contract, behavior, content, metadata, never",
        ),
        (["show", "x", "-n"], "show", "argument -n/--interaction: expected one argument"),
        (
            ["show", "x", "-n", "0"],
            "show",
            "argument -n/--interaction: '0' is not a whole number of 1 or more",
        ),
        (
            ["show", "x", "-n", "-1"],
            "show",
            "argument -n/--interaction: '-1' is not a whole number of 1 or more",
        ),
        (
            ["show", "x", "-n", "two"],
            "show",
            "argument -n/--interaction: 'two' is not a whole number of 1 or more",
        ),
        (["convert", ".", "--to", "file"], "convert", "argument --to: 'file' is a file, not a folder"),
        (["demo", "--keep", "file"], "demo", "argument --keep: 'file' is a file, not a folder"),
    ],
)
def test_bad_usage_is_one_message_and_status_2(
    project: Project, args: list[str], usage: str, problem: str
) -> None:
    (project.path / "file").write_text("", encoding="utf-8")
    result = project.run(*args)
    assert (result.status, result.out) == (2, "")
    called, *said = result.err.splitlines()
    assert called.startswith(f"Usage: stepreplay {usage or '[OPTIONS] COMMAND'}")
    assert said == [f"stepreplay: {problem}", f"Try: stepreplay {usage} --help".replace("  ", " ")]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["list", "--json=1"], "argument --json: "),
        (["prune", "-yx"], "x"),
    ],
)
def test_bad_values_are_told_by_argparse(project: Project, args: list[str], said: str) -> None:
    result = project.run(*args)
    assert (result.status, result.out) == (2, "")
    _, problem, advice = result.err.splitlines()
    assert said in problem
    assert advice == f"Try: stepreplay {args[0]} --help"


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid"), reason="needs permissions of POSIX")
def test_a_file_that_may_not_be_read_is_bad_usage(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.path / "file").write_text("", encoding="utf-8")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read all files
    result = project.run("list", "file")
    assert (result.status, result.err.splitlines()[1]) == (
        2,
        "stepreplay: PATHS: 'file' is not readable",
    )


def test_options_stand_where_they_like(project: Project) -> None:
    first, second = project.write("a.yaml", chat()), project.write("b.yaml", chat())
    both = project.run("list", "--json", first, second)
    assert [each["path"] for each in both.json["cassettes"]] == ["a.yaml", "b.yaml"]
    assert project.run("list", first, "--json", second) == both
    assert project.run("list", first, second, "--json") == both
    assert project.run("list", "--json", "--", first, second) == both
    assert project.run("show", first, "-n1") == project.run("show", "--interaction=1", first)
    assert project.run("diff", first, "--fail-on", "never", second).status == 0


def test_behind_two_dashes_no_word_is_an_option(project: Project) -> None:
    path = project.write("--json", chat())
    assert project.run("show", "--json", "--", "--json").json == project.run("show", path, "--json").json
    assert project.run("diff", "--", "--json", "--json").status == 0


def test_windows_has_its_words_filled_in(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.yaml", "b.yaml"):
        project.write(name, chat())
    monkeypatch.setenv("STEPREPLAY_WHERE", "elsewhere")
    words = expanded(["list", "*.yaml", "*.json", "--json", "$STEPREPLAY_WHERE/x"])
    assert sorted(words[1:3]) == ["a.yaml", "b.yaml"]
    assert [words[0], *words[3:]] == ["list", "*.json", "--json", "elsewhere/x"]


def test_a_users_mistake_is_one_message_and_status_2(project: Project) -> None:
    result = project.run("show", "no\x1b[31mwhere")
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "stepreplay: no\\x1b[31mwhere: there is no such file, neither here nor in cassettes\n"
        "List the cassettes: stepreplay list\n"
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pytest_stepreplay.cli import expanded, main; main(['list', '--help'])\n"
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

    monkeypatch.setattr("pytest_stepreplay.cli.show.read_cassette", interrupt)
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
