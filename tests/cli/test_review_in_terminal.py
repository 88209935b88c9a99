"""`stepreplay review` in a terminal: what a person sees, types, and finds in the files afterwards."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_stepreplay.models import Cassette, Response
from pytest_stepreplay.store import cassettes, pending, snapshot_files
from pytest_stepreplay.texts.columns import columns_of

from .conftest import Project, chat, completion, user
from .reviewing import review
from .test_review import (
    PLAN,
    SNAPSHOTS,
    TEST,
    call,
    leave_pending,
    leave_plan,
    texts,
    waiting,
)

OTHER = "cassettes/test_and.yaml"
"""It comes before the other one."""
TALK = "cassettes/test_chat/test_talk.yaml"


@pytest.fixture
def plan(project: Project) -> Project:
    """A project with two pending cassettes; the first has two pending interactions of three."""
    leave_plan(project)
    leave_pending(project, OTHER, (completion("One."), completion("Two.")))
    return project


def leave_talk(project: Project) -> Path:
    """Writes a conversation whose second turn quotes the first answer, which has drifted."""
    system = {"role": "system", "content": "Be brief."}
    first = chat(system, user("Say hello."), answer=completion("Hello, how are you?"))
    said = {"role": "assistant", "content": "Hello, how are you?"}
    second = chat(system, user("Say hello."), said, user("Say thanks."), answer=completion("Thanks."))
    path = project.write(TALK, first, second, test="test_chat.py::test_talk")
    new = replace(first, response=Response(status=200, json=completion("Good day, how are you?")))
    pending.write_pending(path, Cassette(test="test_chat.py::test_talk", interactions=(new, second)))
    (project.path / "test_chat.py").write_text("def test_talk(): ...\n", encoding="utf-8")
    return path


def stale(path: Path) -> list[str | None]:
    return [each.stale for each in cassettes.read_cassette(path).cassette.interactions]


# ---------------------------------------------------------------- what is seen


def test_the_question_stands_above_what_changed(plan: Project) -> None:
    first, second, *_ = review("s").screens
    lines = [line for line in first.splitlines() if line]
    assert lines == [
        "1 of 1 so far · content · interaction 1 of 1",
        OTHER,
        TEST,
        "POST https://api.stepfun.com/v1/chat/completions",
        "user: Turn 1.",
        "content",
        "  choices[0].message.content: [-One-]{+Two+}. (similarity 0.25)",
        "a accept  r reject  s skip  A R S all like this  u undo  b back  d whole diff",
        "c conversation  e edit  / filter  ? help  q quit",
    ]
    assert first.splitlines()[22:] == lines[-2:], "the keys stand at the bottom"
    assert "behavior\n  choices[0].message.tool_calls[0].function.name: search -> fetch" in second


def test_the_conversation_is_folded_until_c_opens_it(project: Project) -> None:
    leave_pending(project, PLAN, (completion("One."), completion("Two.")))
    system, said = {"role": "system", "content": "Be brief."}, {"role": "assistant", "content": "Yes."}
    asked = chat(system, user("First question."), said, user("The question."), answer=completion("One."))
    path = project.write(PLAN, asked)
    new = replace(asked, response=Response(status=200, json=completion("Two.")))
    pending.write_pending(path, Cassette(interactions=(new,)))
    folded, opened, again, *_ = review("cc").screens
    assert "… 3 earlier messages (c shows the conversation)\nuser: The question.\n" in folded
    assert "First question." not in folded
    assert "system: Be brief.\nuser: First question.\nassistant: Yes.\nuser: The question.\n" in opened
    assert again == folded


def test_what_went_is_red_and_what_came_green(project: Project) -> None:
    leave_pending(project, PLAN, (completion("Hello."), completion("Bye.")))
    (colored, *_), (plain, *_) = review("").colors, review("", env={"NO_COLOR": "1"}).colors
    assert {("H", "red"), ("B", "green")} <= colored
    assert {color for _, color in plain} == {"default"}


def test_texts_stand_side_by_side_where_there_is_room(project: Project) -> None:
    lines = [f"Line {number}." for number in range(30)]
    old, new = "\n".join(lines), "\n".join([*lines[:15], "A 北京 line.", *lines[16:]])
    leave_pending(project, PLAN, (completion(old), completion(new)))
    short, whole, *_ = review("d", size=(200, 60)).screens
    (row,) = [line for line in short.splitlines() if "北京" in line]
    left, _, right = row.partition(" │ ")
    assert (left.strip(), right.strip()) == ("[-Line 15-].", "{+A 北京 line+}.")
    assert "… 13 equal lines" in short
    assert "Line 14." in short
    assert "Line 3." not in short
    assert "Line 3." in whole
    places = {columns_of(line.partition("│")[0]) for line in whole.splitlines() if "│" in line}
    assert len(places) == 1, "one bar below the other"
    narrow, *_ = review("").screens
    assert "│" not in narrow


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (40, 10), (20, 5)])
def test_every_screen_fits_its_terminal(project: Project, size: tuple[int, int]) -> None:
    leave_talk(project)
    long = " ".join(["今天天气很好", "😀👩‍👩‍👧", "word", "x" * 300] * 20)
    leave_pending(project, PLAN, (completion("Hello."), completion(long)), (call("a"), call("b")))
    project.write(OTHER, chat())
    typed = review(["n", "n", "d", " ", "a", "esc", "?", " ", "/", "x", "esc", "*", "esc"], size=size)
    for printed in typed.printed.split("\x1b[2J")[1:]:
        frame = printed.partition("\x1b[?1049l")[0].removeprefix("\x1b[H")
        assert frame.count("\n") < size[1], frame
    for screen in typed.screens:
        assert all(columns_of(line) <= size[0] for line in screen.splitlines())


def test_a_terminal_that_knows_no_escape_sequences_gets_none(plan: Project) -> None:
    seen = review("?xa", env={"TERM": "dumb", "NO_COLOR": "1"}, size=(80, 25))
    assert "\x1b" not in seen.printed
    assert "[-One-]{+Two+}" in seen.printed
    assert texts(plan, OTHER) == ["Two."]


def test_hostile_text_is_harmless(project: Project) -> None:
    leave_pending(project, PLAN, (completion("Hi."), completion("\x1b]0;owned\x07 \x1b[31m <b> \u202e")))
    for size in ((80, 24), (200, 60)):
        printed = review("dc", size=size).printed
        assert "\x1b]0" not in printed
        assert "\u202e" not in printed
        assert "\\x1b]0;owned\\x07 \\x1b[31m <b> \\u202e" in printed


def test_an_answer_of_millions_of_letters_is_shown_in_part(project: Project) -> None:
    leave_pending(project, PLAN, (completion("y" * 100), completion("z " * 600_000)))
    seen = review("d")
    assert "more characters" in review(["d", *[" "] * 60]).printed
    assert all("z z z" in screen for screen in seen.screens)


def test_lines_that_do_not_fit_can_be_reached(project: Project) -> None:
    old = completion("Hello.") | {f"key_{number:02}": number for number in range(60)}
    new = completion("Bye.") | {f"key_{number:02}": -number for number in range(60)}
    leave_pending(project, PLAN, (old, new))
    first, *_, last, back = review([*[" "] * 14, "page up"], size=(100, 12)).screens
    assert "key_59" not in first
    assert "more lines (space moves on, d shows all)" in first
    assert "key_59: 59 -> -59" in last
    assert "key_59" not in back


def test_what_is_new_is_shown(project: Project) -> None:
    pending.write_pending(project.path / PLAN, Cassette(interactions=(chat(), chat(user("Two.")))))
    snapshot_files.write_snapshots(project.path / SNAPSHOTS, TEST, {"gone": [1, 2]})
    pending.write_pending(project.path / SNAPSHOTS, snapshot_files.snapshots_tree(TEST, {"new": "x"}))
    seen = review("aaa")
    assert "{\n" not in seen.screens[0]
    assert "snapshot new" in seen.screens[0]
    assert "[\n  1,\n  2\n]" in seen.screens[1]
    assert "a new cassette with 2 interactions" in seen.screens[2]
    assert '"Hello!"' in seen.printed
    assert texts(project, PLAN) == ["Hello!", "Hello!"]


# ---------------------------------------------------------------- what a key does


def test_each_change_is_decided_with_one_key(plan: Project) -> None:
    files: list[list[str]] = []
    seen = review(["r", "a", lambda: files.append(texts(plan, PLAN)), "s"])
    assert files == [["fetch", "Same.", "Hello."]], "at once"
    assert f"accepted {PLAN}: interaction 1\n" in seen.end
    assert f"rejected {OTHER}: interaction 1\n" in seen.end
    assert f"skipped {PLAN}: interaction 3\n" in seen.end
    assert "1 change still pending" in seen.end
    assert waiting(plan) == {PLAN: ["3"]}


def test_nothing_is_written_before_it_is_decided(plan: Project) -> None:
    before = {path: path.read_bytes() for path in plan.path.rglob("*") if path.is_file()}
    review(
        ["n", "b", "d", "c", "?", "x", "/", *"content", "enter", "/", "enter", "*", "esc", "u", "down", "up"]
    )
    assert {path: path.read_bytes() for path in plan.path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("key", ["A", "R", "S"])
def test_a_capital_decides_all_the_rest_of_one_cause(project: Project, key: str) -> None:
    for number in range(4):
        new = "Certainly" if number != 2 else "No"
        leave_pending(
            project,
            f"cassettes/test_{number}.yaml",
            (completion(f"Sure {number}."), completion(f"{new} {number}.")),
        )
    seen = review(["idle", key])
    assert "1 of 4 · content · interaction 1 of 1 · 3 like this" in seen.screens[1]
    assert "A R S all 3 like this" in seen.screens[1]
    assert "3 of 4" in seen.screens[2]
    left = {"A": 1, "R": 1, "S": 4}[key]
    assert len(waiting(project)) == left
    assert [texts(project, f"cassettes/test_{number}.yaml") for number in range(4)] == [
        [f"{'Certainly' if key == 'A' and number != 2 else 'Sure'} {number}."] for number in range(4)
    ]


def test_all_that_is_left_is_decided_after_a_question(plan: Project) -> None:
    seen = review("s*a")
    assert "All 2 changes left: a accept  r reject  s skip  esc none" in seen.screens[2]
    assert waiting(plan) == {OTHER: ["1"]}
    assert texts(plan, PLAN) == ["fetch", "Same.", "Good day."]


def test_undo_goes_back_decision_by_decision(plan: Project) -> None:
    before = {path.name: path.read_bytes() for path in plan.path.rglob("*.yaml*")}
    seen = review(["a", "*", "a", "u", "u", "u"])
    assert "any other key ends the review" in seen.screens[3], "there is a way back from the last one too"
    assert "Undone: 2 changes pending again" in seen.screens[4]
    assert "Undone: 1 change pending again" in seen.screens[5]
    assert "There is no decision to undo" in seen.screens[6]
    assert {path.name: path.read_bytes() for path in plan.path.rglob("*.yaml*")} == before


def test_b_goes_back_and_what_is_decided_stays(plan: Project) -> None:
    seen = review("abbrn")
    assert "2 of 3" in seen.screens[1]
    assert "· accepted" in seen.screens[2]
    assert "This is the first" in seen.screens[3]
    assert "This is accepted already; u undoes decisions" in seen.screens[4]
    assert texts(plan, OTHER) == ["Two."]


def test_other_keys_say_what_the_keys_are(plan: Project) -> None:
    for key in ("x", "1", "enter", "é", "esc", "\x1b[1;2R"):
        seen = review([key])
        assert "That is not one of the keys:\na accept  r reject  s skip" in seen.screens[1], key
    assert waiting(plan) == {PLAN: ["1", "3"], OTHER: ["1"]}


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("behavior", {PLAN: ["3"], OTHER: ["1"]}),
        ("and two", {PLAN: ["1", "3"]}),
        ("GOOD", {PLAN: ["1"], OTHER: ["1"]}),
        ("test_plan.yaml", {OTHER: ["1"]}),
        ("=", {PLAN: ["1", "3"]}),
    ],
)
def test_only_some_are_shown(plan: Project, words: str, left: dict[str, list[str]]) -> None:
    seen = review(["/", *words, "enter", "*", "a"])
    assert f"only {'like this one' if words == '=' else words}" in seen.screens[len(words) + 2]
    assert waiting(plan) == left
    assert "Nothing is left in the filter; these are the others" in seen.screens[len(words) + 4]


def test_a_filter_of_nothing_shows_all(plan: Project) -> None:
    seen = review(["/", *"nonsense", "enter", "/", "x", "backspace", "enter"])
    assert "Nothing pending has nonsense; all are shown" in seen.screens[10]
    assert "1 of 3" in seen.screens[-1]


def test_e_opens_the_pending_file_and_reads_it_again(plan: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    assert "Set VISUAL or EDITOR" in review("e").screens[1]
    program = (
        "import sys; p = sys.argv[1]; t = open(p).read(); open(p, 'w').write(t.replace('Two.', 'Three.'))"
    )
    monkeypatch.setenv("EDITOR", f"{sys.executable} -c {json.dumps(program)}")
    seen = review("ea")
    assert "[-One-]{+Three+}" in seen.screens[1]
    assert texts(plan, OTHER) == ["Three."]
    monkeypatch.setenv("VISUAL", "no-such-editor")
    assert "no-such-editor: No such file or directory" in review("e").screens[1]


def test_d_shows_the_whole_diff(project: Project) -> None:
    words = [f"word{number}" for number in range(600)]
    leave_pending(project, PLAN, (completion(" ".join(words)), completion(" ".join([*words[:-1], "end"]))))
    short, whole, again, *_ = review("dd", size=(80, 100)).screens
    assert "word200" not in short
    assert "word200" in whole
    assert again == short


# ---------------------------------------------------------------- conversations


def test_what_quotes_an_accepted_answer_is_marked_as_stale(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STEP_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    path = leave_talk(project)
    seen = review(["a", "esc", "a", "a"])
    assert "interaction 2 quotes the old answer: once this is accepted, that does not" in seen.screens[0]
    assert "With an API key set, w would record the rest: pytest" in seen.screens[1]
    assert "Nothing was decided" in seen.screens[2]
    assert stale(path) == [None, "quotes an answer that interaction 1 no longer gives"]
    assert (
        "These will not replay until the rest of them is recorded again:\n"
        "  pytest test_chat.py::test_talk --stepreplay=record\n"
    ) in seen.end.replace("\x1b[33m", "").replace("\x1b[0m", "")
    assert "stale" in project.run("show", TALK).out
    lint = project.run("lint", TALK)
    assert "quotes an answer that interaction 1 no longer gives" in lint.out


def test_undo_takes_the_mark_away(project: Project) -> None:
    path = leave_talk(project)
    before = path.read_bytes()
    review(["a", "a", "u"])
    assert path.read_bytes() == before


def test_the_command_marks_it_too(project: Project) -> None:
    path = leave_talk(project)
    result = project.run("accept", "--all")
    assert "record the rest again:\n    pytest test_chat.py::test_talk --stepreplay=record" in result.out
    assert stale(path) == [None, "quotes an answer that interaction 1 no longer gives"]


@pytest.mark.parametrize(
    "case",
    [
        ("w", "record", 0, "Recorded again"),
        ("W", "rewrite", 0, "Recorded again"),
        ("w", "record", 1, "pytest test_chat.py::test_talk --stepreplay=record ended with status 1"),
    ],
)
def test_the_rest_is_recorded_from_the_review(
    project: Project, monkeypatch: pytest.MonkeyPatch, case: tuple[str, str, int, str]
) -> None:
    key, mode, status, told = case
    path = leave_talk(project)
    monkeypatch.setenv("STEP_API_KEY", "a-key")
    run: list[list[str]] = []

    def call(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        run.append(command[1:])
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr(subprocess, "run", call)
    seen = review(["a", key, "any"])
    assert "w accept, and record the rest now" in seen.screens[1]
    assert run == [["-P", "-m", "pytest", "test_chat.py::test_talk", f"--stepreplay={mode}"]]
    assert told in seen.screens[3].replace("\n", " ")
    assert stale(path)[1] == (None if key == "W" else "quotes an answer that interaction 1 no longer gives")
    assert ("will not replay" in seen.end) == (status == 1)


# ---------------------------------------------------------------- what is refused


def test_a_cassette_that_changes_meanwhile_is_refused(plan: Project) -> None:
    seen = review([lambda: plan.write(OTHER, chat(answer=completion("Changed."))), "a"])
    assert seen.status == 1
    assert f"Refused: {OTHER}.new: was made from another version" in seen.screens[1]
    assert f"refused: {OTHER}.new: was made from another version" in seen.end
    assert texts(plan, OTHER) == ["Changed."]


def test_another_review_at_the_same_time_takes_nothing_away(plan: Project) -> None:
    seen = review([lambda: plan.run("accept", OTHER), "r"])
    assert "Refused:" in seen.screens[1]
    assert texts(plan, OTHER) == ["Two."]
    assert waiting(plan) == {PLAN: ["1", "3"]}


def test_what_cannot_be_used_is_told_at_the_end(plan: Project) -> None:
    plan.write(PLAN, chat())
    leave_pending(plan, "cassettes/newer.yaml", (completion("One."), completion("Two.")))
    newer = plan.path / "cassettes/newer.yaml.new"
    newer.write_text(
        newer.read_text(encoding="utf-8").replace("stepreplay: 1", "stepreplay: 99"), encoding="utf-8"
    )
    seen = review("a")
    assert seen.status == 1
    assert "newer.yaml.new" in seen.end
    assert "was written by a newer pytest-stepreplay (format 99" in seen.end
    assert "which has changed since" in seen.end


def test_ctrl_c_says_that_what_was_decided_is_done(plan: Project) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    seen = review(["a", interrupt])
    assert seen.status == 130
    assert "Interrupted. What was decided is done, and the rest is still pending." in seen.end
    assert f"accepted {OTHER}: interaction 1" in seen.end
    assert texts(plan, OTHER) == ["Two."]


def test_the_first_screen_needs_one_file_of_many(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        leave_pending(project, f"cassettes/test_{number:02}.yaml", (completion("One."), completion("Two.")))
    read: list[Path] = []
    real = pending.read_pending

    def noted(path: Path) -> pending.Pending:
        read.append(path)
        return real(path)

    monkeypatch.setattr("pytest_stepreplay.cli.decisions.read_pending", noted)
    seen = review([lambda: read.append(Path("first key")), "A"])
    assert read.index(Path("first key")) == 1
    assert len(read) == 41
    assert "any other key ends the review" in seen.screens[1]
    assert "accepted what is in 20 more files" in seen.end
    assert waiting(project) == {}


# ---------------------------------------------------------------- in a terminal of its own


if sys.platform != "win32":
    import fcntl
    import pty
    import struct
    import termios

terminal = pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal")


class Screen:
    """A terminal in which `stepreplay review` runs."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self.master = master
        self.output = ""

    def press(self, keys: str, *expected: str) -> str:
        """Types the keys, waits until all that is expected has been printed since, and returns what was."""
        start = len(self.output)
        os.write(self.master, keys.encode())
        return self.wait(*expected, start=start)

    def wait(self, *expected: str, start: int = 0) -> str:
        """Waits until all that is expected stands in the output from `start` on, and returns that."""
        deadline = time.monotonic() + 60
        while not all(each in self.output[start:] for each in expected):
            with selectors.DefaultSelector() as selector:  # select() knows no descriptor above 1,023
                selector.register(self.master, selectors.EVENT_READ)
                ready = selector.select(max(deadline - time.monotonic(), 0))
            assert ready, f"{expected} did not come after {self.output[start:]!r}"
            self.output += os.read(self.master, 65536).decode()
        return self.output[start:]

    def resize(self, lines: int, columns: int) -> None:
        """Makes the window another size, and tells so as a terminal does."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def end(self) -> int:
        """Waits for the command, and returns its exit status."""
        return self.process.wait(60)

    def attributes(self) -> list[Any]:
        """Returns how the terminal is set."""
        return termios.tcgetattr(self.master)


KEYS = "q quit"


@contextmanager
def reviewing(project: Project, *args: str) -> Iterator[Screen]:
    """Starts `stepreplay review` in a pseudo-terminal of 100 columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    environment = {
        key: value for key, value in os.environ.items() if key not in {"COLUMNS", "LINES", "NO_COLOR"}
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest_stepreplay.cli", "review", *args],
        cwd=project.path,
        env={**environment, "TERM": "xterm", "NO_COLOR": "1"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        # A session whose terminal this is, so that Ctrl-C reaches it as it does a shell's command.
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - there are no threads here
    )
    try:
        yield Screen(process, master)
    finally:
        process.kill()
        process.wait(60)
        os.close(slave)
        os.close(master)


@terminal
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_restores_the_terminal_and_leaves_the_rest(plan: Project) -> None:
    with reviewing(plan) as screen:
        screen.wait(KEYS)
        assert not screen.attributes()[3] & (termios.ICANON | termios.ECHO), "keys come without Enter"
        screen.press("\x1b[B", KEYS)
        screen.press("\x1b[1;2R", "That is not one of the keys", KEYS)
        screen.press("ab", "accepted", KEYS)
        shown = screen.press("\x03", "Interrupted. What was decided is done", "2 changes still pending")
        assert screen.end() == 130
        assert screen.attributes()[3] & (termios.ICANON | termios.ECHO) == termios.ICANON | termios.ECHO
    assert "\x1b[?1049l" in shown, "back on the screen of the shell"
    assert "Traceback" not in shown
    assert texts(plan, OTHER) == ["Two."]
    assert waiting(plan) == {PLAN: ["1", "3"]}


@terminal
def test_after_a_pause_or_in_another_window_keys_count_again(plan: Project) -> None:
    """When Ctrl-Z has stopped it, the shell sets the terminal as it likes it."""
    with reviewing(plan) as screen:
        screen.wait(KEYS)
        shells = screen.attributes()
        shells[3] |= termios.ICANON | termios.ECHO
        termios.tcsetattr(screen.master, termios.TCSANOW, shells)
        screen.process.send_signal(signal.SIGCONT)
        screen.press("r", "2 of 3", KEYS)
        start = len(screen.output)
        screen.resize(60, 200)
        screen.wait("conversation  e edit", KEYS, start=start)
        screen.press("q", "2 changes still pending")
        assert screen.end() == 0


@terminal
@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ([b"ras"], ["r", "a", "s"]),
        ([b"\x1b[A\x1bOBq"], ["up", "down", "q"]),
        ([b"\x1b"], ["esc"]),
        ([b"\x1bx"], ["\x1bx"]),
        ([b"\x1b[1;2R"], ["\x1b[1;2R"]),
        ([b"\r\x7f\x04"], ["enter", "backspace", "ended"]),
        (["é北".encode()], ["é", "北"]),
        ([b"x" * 1021 + b"\x1b[", b"A"], [*"x" * 1021, "up"]),
        ([b"\xe5\x8c", b"\x97"], ["北"]),
        ([], ["ended"]),
    ],
)
def test_what_a_terminal_sends_is_told_by_key(sent: list[bytes], keys: list[str]) -> None:
    from pytest_stepreplay.cli.keyboard import read_sent

    reader, writer = os.pipe()
    for each in sent:
        os.write(writer, each)
    os.close(writer)
    assert read_sent(reader) == keys
    os.close(reader)
    assert read_sent(reader) == ["ended"]


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_waits_for_the_decision() -> None:
    from pytest_stepreplay.cli.decisions import uninterrupted

    reached = False
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        reached = True
    assert reached
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
