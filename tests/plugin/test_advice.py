"""Each command that a message suggests does what it says, as printed, in the folder where the run was started."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pytest_stepreplay.cli import main
from pytest_stepreplay.commands import carried_options
from pytest_stepreplay.upstream import answer
from tests.conftest import KEY

from .suite import PLAIN, Suite

COMMAND = re.compile(
    r"(?:^|: |`)((?:cd \S+ && )?(?:pytest|stepreplay (?:accept|review|relink))(?: .*?)?)(?:`.*| {3,}.*)?$",
    re.MULTILINE,
)

STARTS = {
    "in the rootdir": (".", ()),
    "in a folder of it": ("tests", ()),
    "above it": ("..", ("project",)),
    "in another folder": ("../other", ("../project/tests/test_chat.py",)),
    "with an ini file that is named": (".", ("-c", "config/pytest.ini", "tests")),
    "with a folder that is named": (".", ("--stepreplay-dir", "elsewhere")),
    "under xdist": ("tests", ("-n", "1", "-p", "xdist")),
}


@pytest.fixture(params=STARTS)
def started(suite: Suite, request: pytest.FixtureRequest) -> tuple[Suite, tuple[str, ...]]:
    """A project below of a folder, and the folder where pytest is started, with its arguments."""
    above = suite.pytester.path
    suite.write("[pytest]", "project/pytest.ini")
    suite.write("[pytest]", "project/config/pytest.ini")
    suite.write(PLAIN, "project/tests/test_chat.py")
    (above / "other").mkdir()
    folder, arguments = STARTS[request.param]
    suite.monkeypatch.chdir(above / "project" / folder)
    return suite, arguments


def commands_in(output: str) -> list[str]:
    lines = [line.removeprefix("E  ").strip() for line in output.splitlines()]
    return list(dict.fromkeys(COMMAND.findall("\n".join(lines))))


def obey(suite: Suite, command: str) -> int:
    """Runs a command as it is printed, and returns its exit status."""
    first, _, second = command.rpartition(" && ")
    with suite.monkeypatch.context() as patch:
        if first:
            patch.chdir(Path.cwd() / shlex.split(first)[1])
        program, *words = shlex.split(second)
        if program == "stepreplay":
            return main(words)
        return int(suite.run(*words, key=KEY).ret)


def test_what_a_message_suggests_does_what_it_says(started: tuple[Suite, tuple[str, ...]]) -> None:
    suite, arguments = started
    missed = suite.run(*arguments)
    missed.assert_outcomes(failed=1)
    (record,) = commands_in(missed.stdout.str())
    assert obey(suite, record) == 0
    suite.run(*arguments).assert_outcomes(passed=1)

    suite.replies = [answer("Something else.")]
    drifted = suite.run(*arguments, "--stepreplay=verify", "--stepreplay-fail-on=content", key=KEY)
    drifted.assert_outcomes(failed=1)
    found = commands_in(drifted.stdout.str())
    review = next(each for each in found if each.startswith("stepreplay review"))
    accept = next(each for each in found if each.startswith("stepreplay accept"))
    assert obey(suite, review) == 1
    assert obey(suite, accept) == 0
    assert obey(suite, review) == 0

    (path,) = suite.pytester.path.rglob("test_greeting.yaml")
    path.write_text("stepreplay: 1\n", encoding="utf-8")
    broken = suite.run(*arguments)
    broken.assert_outcomes(errors=1)
    (record,) = commands_in(broken.stdout.str())
    path.unlink()
    assert obey(suite, record) == 0
    assert path.exists()


def test_a_moved_cassette_comes_back_by_the_command_that_is_printed(suite: Suite) -> None:
    suite.write("[pytest]", "project/pytest.ini")
    suite.write(PLAIN, "project/tests/test_chat.py")
    suite.record("project").assert_outcomes(passed=1)
    (suite.pytester.path / "project/tests/test_chat.py").rename(
        suite.pytester.path / "project/tests/test_talk.py"
    )
    result = suite.run("project", "-p", "cacheprovider")
    result.assert_outcomes(failed=1)
    (relink,) = [each for each in commands_in(result.stdout.str()) if "relink" in each]
    assert obey(suite, f"{relink} --yes") == 0
    suite.go_offline()
    suite.run("project").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("words", "carried"),
    [
        (["-c", "x.ini", "-q", "tests"], ("-c", "x.ini")),
        (["--rootdir=a b", "-k", "x"], ("--rootdir=a b",)),
        (["-o", "xfail_strict=true", "-o", "stepreplay_dir=x"], ("-o", "stepreplay_dir=x")),
        (["--stepreplay-dir=x", "--stepreplay", "record"], ("--stepreplay-dir=x",)),
    ],
)
def test_what_decides_where_cassettes_are_is_said_again(words: list[str], carried: tuple[str, ...]) -> None:
    assert carried_options(words) == carried
