"""Every command that a message suggests, run exactly as printed from the folder where the run was started.

Each case makes the situation in a sub-folder of a project; the commands that were made meanwhile are noted with the
place in the code that made them, must stand in what was printed, and are run. A place without a case fails
`test_every_place_that_suggests_a_command_has_a_case`.
"""

from __future__ import annotations

import ast
import io
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pytest_stepreplay import commands
from pytest_stepreplay.cli import main
from pytest_stepreplay.commands import carried_options
from pytest_stepreplay.errors import StepReplayError, standing_in
from pytest_stepreplay.store.cassettes import read_cassette
from pytest_stepreplay.store.pending import pending_path
from pytest_stepreplay.upstream import answer, raw
from tests.conftest import KEY

from .suite import PLAIN, Suite

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE: Final = Path(commands.__file__).parent
MAKERS: Final = {
    node.name
    for node in ast.parse(Path(commands.__file__).read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
} - {started.__name__ for started in (commands.started, carried_options)}


@dataclass
class Case:
    """A project below a folder, in whose sub-folder all is started, and the commands that were made in it."""

    suite: Suite
    made: dict[str, list[str]] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        return self.suite.pytester.path / "project"

    @property
    def cassette(self) -> Path:
        return self.project / "cassettes/tests/test_chat/test_greeting.yaml"

    def write(self, code: str, name: str = "tests/test_chat.py") -> None:
        self.suite.write(code, f"project/{name}")

    def run(self, *args: str, key: str | None = None) -> str:
        """Returns what pytest prints."""
        result = self.suite.run(*args, key=key)
        return result.stdout.str() + result.stderr.str()

    def record(self, *args: str) -> None:
        assert self.suite.record(*args).ret == 0
        self.made.clear()

    def verify(self, *args: str) -> str:
        return self.run("--stepreplay=verify", "--stepreplay-fail-on=content", *args, key=KEY)

    def stepreplay(self, *args: str) -> str:
        """Returns what a command prints."""
        return self.start(*args)[1]

    def start(self, *args: str) -> tuple[int, str]:
        printed = io.StringIO()
        with redirect_stdout(printed), redirect_stderr(printed):
            status = main([*args])
        return status, printed.getvalue()

    def obey(self, command: str) -> tuple[int, str]:
        """Runs a command as it is printed; returns its exit status, and what it said."""
        first, _, second = command.rpartition(" && ")
        with self.suite.monkeypatch.context() as patch:
            if first:
                patch.chdir(Path.cwd() / shlex.split(first)[1])
            program, *words = shlex.split(second)
            if program == "stepreplay":
                return self.start(*words)
            result = self.suite.run(*words, key=KEY)
            return int(result.ret), result.stdout.str()


@pytest.fixture
def case(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A project with one test, which is not recorded yet, seen from the folder of its tests."""
    found = Case(suite)
    suite.write("[pytest]", "project/pytest.ini")
    found.write(PLAIN)
    monkeypatch.chdir(found.project / "tests")
    type_ = commands._typed

    def noting(*words: str, where: str = "") -> str:
        frame = sys._getframe(1)
        while frame.f_code.co_filename == commands.__file__ and frame.f_back:
            frame = frame.f_back
        place = Path(frame.f_code.co_filename).relative_to(PACKAGE).as_posix()
        text = type_(*words, where=where)
        found.made.setdefault(f"{place}:{_function(frame.f_code.co_qualname)}", []).append(text)
        return text

    monkeypatch.setattr(commands, "_typed", noting)
    return found


def _function(name: str) -> str:
    """Returns the name of the function or method around what Python calls a place: a comprehension, a lambda."""
    return name.partition(".<locals>")[0]


# ---------------------------------------------------------------- the situations


@dataclass(frozen=True)
class Situation:
    """Something that a message says what to do about.

    Attributes:
        make: makes it, and returns what was printed.
        places: those that made the commands, as ``report/misses.py:_fixes``.
        first: what the message says to do before, by hand.
        in_turn: the commands are run one after another; otherwise each is run in the situation.
        ends: the exit statuses of commands by their verb or first option, where that is not 0.
    """

    make: Callable[[Case], str]
    places: tuple[str, ...]
    first: Callable[[Case], None] | None = None
    in_turn: bool = False
    ends: dict[str, int] = field(default_factory=dict)


SITUATIONS: Final[dict[str, Situation]] = {}


def situation(
    *places: str, first: Callable[[Case], None] | None = None, in_turn: bool = False, **ends: int
) -> Callable[[Callable[[Case], str]], Callable[[Case], str]]:
    def note(make: Callable[[Case], str]) -> Callable[[Case], str]:
        SITUATIONS[make.__name__] = Situation(make, places, first, in_turn, ends)
        return make

    return note


def delete(case: Case) -> None:
    case.cassette.unlink()


VCR: Final = """
interactions:
- request:
    method: POST
    uri: "{url}/chat/completions"
    body: '{{"model": "step-3.5-flash", "messages": [{{"role": "user", "content": "Something else."}}]}}'
    headers: {{content-type: [application/json]}}
  response:
    status: {{code: 200, message: OK}}
    headers: {{content-type: [application/json]}}
    body: {{string: '{{"choices": [{{"message": {{"content": "Hello!"}}}}]}}'}}
version: 1
"""


def foreign(case: Case, text: str = VCR) -> None:
    case.write(text, "cassettes/tests/test_chat/test_greeting.yaml")


@situation("report/misses.py:_fixes")
def a_miss(case: Case) -> str:
    return case.run()


@situation("report/misses.py:_fixes", relink=2)
def a_moved_test(case: Case) -> str:
    case.record()
    (case.project / "tests/test_chat.py").rename(case.project / "tests/test_talk.py")
    return case.run("..", "-p", "cacheprovider")


@situation("report/misses.py:_fixes", in_turn=True)
def a_miss_in_another_tools_cassette(case: Case) -> str:
    foreign(case)
    return case.run()


@situation("report/causes.py:_group", "report/misses.py:_fixes")
def many_misses(case: Case) -> str:
    case.write(
        PLAIN
        + """
    @pytest.mark.stepreplay
    def test_thanks():
        assert ask("Say thanks.")
    """
    )
    return case.run()


ALIKE: Final = PLAIN.replace(
    "def test_greeting():", "@pytest.mark.parametrize('n', 'abc')\n    def test_greeting(n):"
)


@situation(
    "report/run_in_terminal.py:_commands",
    "report/run_as_markdown.py:_commands",
    "report/failing_tests.py:_accepting",
    "report/grouping.py:deciding_command",
    review=1,
)
def drift(case: Case) -> str:
    case.write(ALIKE)
    case.record()
    case.suite.say = lambda _: answer("Something else.")
    said = case.verify("--stepreplay-report=out.md")
    return said + (case.project / "out.md").read_text(encoding="utf-8")


@situation("report/grouping.py:_reviewing", review=1)
def drift_of_one_cause_among_other(case: Case) -> str:
    case.write(
        ALIKE.replace(
            'assert ask("Say hello.")', 'assert ask("Say hello.")\n        assert ask(f"Say {{n}}.")'
        )
    )
    case.record()
    other = {"Say a.": "Apples.", "Say b.": "No, bees!", "Say c.": "I will not."}
    case.suite.say = lambda got: answer(other.get(got.json["messages"][0]["content"], "Something else."))
    return case.verify()


@situation(
    "report/run_in_terminal.py:_commands",
    "report/run_as_markdown.py:_commands",
    "report/failing_tests.py:_accepting",
    in_turn=True,
)
def drift_in_ci(case: Case) -> str:
    case.record()
    case.suite.say = lambda _: answer("Something else.")
    with case.suite.monkeypatch.context() as patch:
        patch.setenv("CI", "true")
        said = case.verify("--stepreplay-report=out.md", "--stepreplay-fail-on=content")
    page = (case.project / "out.md").read_text(encoding="utf-8")
    # All that drifted fails here as well, so that what is accepted can be run again.
    return said + page


TALK: Final = """
    import os
    import httpx, pytest

    @pytest.mark.stepreplay
    def test_greeting():
        messages = []
        headers = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
        for text in ("Say hello.", "Say more."):
            messages.append({{"role": "user", "content": text}})
            body = {{"model": "step-3.5-flash", "messages": messages}}
            reply = httpx.post("{url}/chat/completions", json=body, headers=headers)
            messages.append(reply.json()["choices"][0]["message"])
"""


@situation("report/failing_tests.py:_accepting", "report/grouping.py:rewriting_command", review=1)
def a_quoted_answer(case: Case) -> str:
    case.write(TALK)
    case.suite.say = lambda got: answer("Good day!" if "more" not in str(got.json) else "More.")
    case.record()
    case.suite.say = lambda got: answer("Good evening!" if "more" not in str(got.json) else "More.")
    return case.verify()


@situation("cli/pending_changes.py:PendingDrift.rewrite", "cli/pending_changes.py:print_list", review=1)
def a_quoted_answer_that_is_listed(case: Case) -> str:
    a_quoted_answer(case)
    case.made.clear()
    return case.stepreplay("pending")


@situation("cli/pending_changes.py:_decide")
def a_quoted_answer_that_is_accepted(case: Case) -> str:
    a_quoted_answer(case)
    case.made.clear()
    return case.stepreplay("accept", "--all")


@situation("cli/pending_changes.py:commands_for", "cli/review.py:_run")
def no_terminal_to_review_in(case: Case) -> str:
    drift(case)
    case.made.clear()
    return case.stepreplay("review")


@situation("cli/show.py:_waits", review=1)
def a_pending_file_is_shown(case: Case) -> str:
    drift(case)
    case.made.clear()
    (path, *_) = case.cassette.parent.glob("*.new")
    return case.stepreplay("show", str(path))


@situation("cli/pending_changes.py:find_pending", pending=1)
def nothing_is_pending_for_a_name(case: Case) -> str:
    drift(case)
    case.made.clear()
    return case.stepreplay("accept", "test_nothing_like_it")


@situation("store/pending.py:_Opened.refuse_stale", "store/pending.py:_verify")
def a_stale_pending_file(case: Case) -> str:
    drift(case)
    for path in case.cassette.parent.glob("*.yaml"):
        path.write_text(
            path.read_text(encoding="utf-8").replace("elapsed: 0", "elapsed: 1"), encoding="utf-8"
        )
    case.made.clear()
    return case.stepreplay("accept", "--all")


@situation("store/pending.py:accept_pending", in_turn=True)
def drift_of_another_tools_cassette(case: Case) -> str:
    foreign(case, VCR.replace("Something else.", "Say hello."))
    case.suite.say = lambda _: answer("Something else.")
    case.verify()
    case.made.clear()
    return case.stepreplay("accept", "--all")


@situation("report/totals.py:render_totals")
def what_is_not_used(case: Case) -> str:
    case.write(TALK)
    case.record()
    case.write(PLAIN)
    return case.run("..", "--stepreplay-unused=error")


@situation("housekeeping/ages.py:judge_age")
def an_old_recording(case: Case) -> str:
    case.record()
    text = case.cassette.read_text(encoding="utf-8")
    case.cassette.write_text(re.sub("recorded_at: '20..", "recorded_at: '2001", text), encoding="utf-8")
    case.write("[pytest]\nstepreplay_max_age = 30d\nstepreplay_stale = error\n", "pytest.ini")
    return case.run()


@situation("network/guard.py:_explain")
def a_blocked_request(case: Case) -> str:
    code = PLAIN.replace('assert ask("Say hello.")', "ask('Say hello.'); look(os.environ.get('LOOK'))")
    case.write(
        code
        + """
    def look(host):
        import socket
        if host:
            socket.create_connection((host, 9), timeout=1)
    """
    )
    case.record()
    with case.suite.monkeypatch.context() as patch:
        patch.setenv("LOOK", "192.0.2.1")
        return case.run()


SNAPSHOT: Final = """
    def test_greeting(chat_snapshot):
        assert chat_snapshot == {{"city": "{city}"}}
"""


def snapshot(case: Case, city: str) -> None:
    path = case.project / "tests/test_chat.py"
    path.write_text(
        SNAPSHOT.replace("{city}", city).replace("{{", "{").replace("}}", "}").replace("\n    ", "\n"),
        encoding="utf-8",
    )


@situation(
    "snapshots/explaining.py:_command",
    "snapshots/explaining.py:_accept",
    "plugin/snapshot_fixture.py:_summary",
    review=1,
)
def a_missing_snapshot(case: Case) -> str:
    snapshot(case, "Paris")
    return case.run()


@situation("snapshots/explaining.py:_accept", "plugin/snapshot_fixture.py:_summary", review=1)
def a_changed_snapshot(case: Case) -> str:
    snapshot(case, "Paris")
    case.record()
    snapshot(case, "Rome")
    return case.run()


@situation("store/snapshot_files.py:parse_snapshots", first=lambda case: snapshots_of(case).unlink())
def broken_snapshots(case: Case) -> str:
    snapshot(case, "Paris")
    case.record()
    snapshots_of(case).write_text("stepreplay: 1\nsnapshots: 3\n", encoding="utf-8")
    return case.run()


def snapshots_of(case: Case) -> Path:
    return case.cassette.with_name("test_greeting.snapshots.yaml")


@situation("housekeeping/publishing.py:_read_known")
def a_missing_baseline(case: Case) -> str:
    case.record()
    return case.run("--stepreplay=verify", "--stepreplay-baseline=known drift.json", key=KEY)


@situation("report/mutated_runs.py:mutants_in_terminal")
def survivors(case: Case) -> str:
    case.record()
    return case.run("--stepreplay=mutate")


def without_the_mode(case: Case) -> None:
    case.write(PLAIN)
    case.suite.record()


@situation("settings/fields.py:_read", first=without_the_mode, stepreplay=1)
def a_mode_of_a_run_at_one_test(case: Case) -> str:
    case.write(PLAIN.replace("mark.stepreplay", 'mark.stepreplay(mode="mutate")'))
    return case.run()


@situation("session/answering.py:read_own")
def recording_into_another_tools_cassette(case: Case) -> str:
    foreign(case)
    return case.run("--stepreplay=record", key=KEY)


@situation("session/answering.py:Answers.explain_overread")
def reading_on_after_what_was_recorded(case: Case) -> str:
    case.write("""
    import os
    import httpx, pytest

    @pytest.mark.stepreplay
    def test_greeting():
        body = {{"model": "step-3.5-flash", "stream": True, "messages": [{{"role": "user", "content": "Say hello."}}]}}
        headers = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
        with httpx.stream("POST", "{url}/chat/completions", json=body, headers=headers) as reply:
            for chunk in reply.iter_raw():
                if not os.environ.get("WHOLE"):
                    break
    """)
    case.record()
    case.suite.monkeypatch.setenv("WHOLE", "yes")
    return case.run()


SOUND: Final = {"content-type": "audio/mpeg", "content-length": str(1 << 16)}


@situation("store/body_files.py:_fix")
def a_body_that_is_missing(case: Case) -> str:
    case.suite.say = lambda _: raw(200, SOUND, bytes(range(256)) * 256)
    case.write("""
    import httpx, pytest

    @pytest.mark.stepreplay
    def test_greeting():
        assert httpx.post("{url}/audio/speech", json={{"input": "Hello!"}}).status_code == 200
    """)
    case.record()
    (path,) = case.cassette.parent.glob("*.mp3")
    path.unlink()
    return case.run()


@situation("store/cassettes.py:parse_cassette", convert=1)
def a_cassette_of_another_tool_with_a_broken_part(case: Case) -> str:
    one = VCR.replace("version: 1\n", "")
    other = one.replace("code: 200", "code: many").replace("\ninteractions:\n", "")
    foreign(case, f"{one}{other}version: 1\n")
    return case.run()


@situation("store/cassettes.py:parse_cassette", first=delete)
def a_broken_cassette_of_another_tool(case: Case) -> str:
    foreign(case, VCR.replace("code: 200", "code: many"))
    return case.run()


BROKEN: Final = {
    "store/codec.py:_parse_unusual": ("", "<<<<<<< ours\n"),
    "store/codec.py:_parse_yaml": ("stepreplay: 1\ninteractions: [\n", "stepreplay: 1\ninteractions: []"),
    "store/schema.py:cassette_of": ("stepreplay: 1\n",),
    "store/validating.py:validated": ("stepreplay: 1\ninteractions:\n- request: 3\n",),
}


def broken(text: str) -> Callable[[Case], str]:
    def make(case: Case) -> str:
        case.write(text, "cassettes/tests/test_chat/test_greeting.yaml")
        if not text.endswith("\n"):
            case.cassette.write_text(text.replace("{{", "{"), encoding="utf-8")
        return case.run()

    return make


for _place, _texts in BROKEN.items():
    for _number, _text in enumerate(_texts):
        SITUATIONS[f"a broken cassette, {_place}, {_number}"] = Situation(broken(_text), (_place,), delete)


def delete_pending(case: Case) -> None:
    pending_path(case.cassette).unlink()


@situation("store/codec.py:_parse_yaml", first=delete_pending)
def a_broken_pending_file(case: Case) -> str:
    case.record()
    pending_path(case.cassette).write_text("stepreplay: 1\nbase: [\n", encoding="utf-8")
    said = case.start("show", str(pending_path(case.cassette)))[1]
    assert "--stepreplay=verify" in said
    return said


@situation("store/files.py:read_bytes")
def a_cassette_that_is_not_there(case: Case) -> str:
    with pytest.raises(StepReplayError) as caught, standing_in(Path.cwd()):
        read_cassette(case.cassette)
    return str(caught.value)


@situation("vcr/registration.py:_read_ours")
def a_vcr_of_the_projects_own(case: Case) -> str:
    import vcr

    from pytest_stepreplay.vcr import register

    foreign(case)
    own = vcr.VCR(record_mode="all")
    register(own)
    with (
        pytest.raises(StepReplayError) as caught,
        standing_in(Path.cwd()),
        own.use_cassette(str(case.cassette)),
    ):
        import urllib.error
        import urllib.request

        with pytest.raises(urllib.error.HTTPError) as refused:  # there is no key
            urllib.request.urlopen(f"{case.suite.url}/models")
        refused.value.close()
    return str(caught.value)


@situation("housekeeping/pruning.py:_why_kept", review=1)
def pruning_what_has_pending_changes(case: Case) -> str:
    drift(case)
    case.write(ALIKE.replace("'abc'", "'ab'"))
    case.run("..", "-p", "cacheprovider")
    case.made.clear()
    return case.stepreplay("prune", "--dry-run")


@situation("housekeeping/pruning.py:_why_kept")
def pruning_another_tools_cassette(case: Case) -> str:
    one = VCR.replace("Something else.", "Say hello.").replace("version: 1\n", "")
    foreign(
        case, one + one.replace("Say hello.", "Say more.").replace("\ninteractions:", "") + "version: 1\n"
    )
    case.run("..", "-p", "cacheprovider")
    case.made.clear()
    return case.stepreplay("prune", "--dry-run")


@situation("housekeeping/relinking.py:relink", review=1)
def relinking_what_has_pending_changes(case: Case) -> str:
    drift(case)
    (case.project / "tests/test_chat.py").rename(case.project / "tests/test_talk.py")
    case.run("..", "-p", "cacheprovider")
    case.made.clear()
    return case.stepreplay("relink", "--yes")


SECRET: Final = "sk-" + "proj-4f9Xw2LmQ8" * 3


@situation("cli/linting.py:_lint_file")
def linting_a_secret(case: Case) -> str:
    case.record()
    case.cassette.write_text(
        case.cassette.read_text(encoding="utf-8").replace("Say hello.", SECRET), encoding="utf-8"
    )
    return case.stepreplay("lint")


@situation("cli/linting.py:_lint_file")
def linting_a_secret_in_a_folder(case: Case) -> str:
    linting_a_secret(case)
    return case.stepreplay("lint", "../cassettes/tests")


@situation("cli/linting.py:_cassette_of", first=delete)
def linting_a_broken_cassette(case: Case) -> str:
    case.write("stepreplay: 1\n", "cassettes/tests/test_chat/test_greeting.yaml")
    return case.stepreplay("lint")


@situation("cli/linting.py:_again")
def linting_an_old_recording(case: Case) -> str:
    an_old_recording(case)
    case.made.clear()
    case.write("[pytest]\n", "pytest.ini")
    return case.stepreplay("lint", "--max-age", "30d")


@situation("cli/linting.py:_again", first=delete)
def linting_another_tools_cassette(case: Case) -> str:
    foreign(case, VCR.replace("string: '", "string: 'oops "))
    return case.stepreplay("lint")


@situation("cli/linting.py:_print")
def linting_nothing(case: Case) -> str:
    return case.stepreplay("lint")


@situation("cli/listing.py:_say_that_there_is_none")
def listing_nothing(case: Case) -> str:
    return case.stepreplay("list")


@situation("cli/naming.py:find_cassette")
def a_name_of_nothing(case: Case) -> str:
    case.record()
    return case.stepreplay("show", "test_nothing")


@situation("store/codec.py:decode_text", first=delete)
def a_cassette_that_is_no_text(case: Case) -> str:
    foreign(case)
    case.cassette.write_bytes(b"\xff")
    return case.run()


@situation("cli/deciding.py:last_run_of_project")
def pruning_without_a_run(case: Case) -> str:
    case.record()
    return case.stepreplay("prune")


@situation("cli/prune.py:_run")
def pruning_by_a_run_that_was_not_whole(case: Case) -> str:
    case.record()
    case.run("-p", "cacheprovider")
    return case.stepreplay("prune")


@situation("cli/relink.py:_run")
def what_was_relinked(case: Case) -> str:
    a_moved_test(case)
    case.made.clear()
    return case.stepreplay("relink", "--yes")


@situation("cli/verifying.py:_run")
def a_budget_that_leaves_something_to_ask(case: Case) -> str:
    case.record()
    case.suite.monkeypatch.setenv("STEP_API_KEY", KEY)
    return case.stepreplay("verify", "--max-tokens", "1")


@situation("cli/adopt.py:_run")
def what_was_adopted(case: Case) -> str:
    case.write(PLAIN.replace("mark.stepreplay", "mark.vcr"))
    case.write(VCR.replace("Something else.", "Say hello."), "tests/cassettes/test_chat/test_greeting.yaml")
    return case.stepreplay("adopt", "--yes")


STREAMED: Final = """
    import os
    import httpx, pytest

    @pytest.mark.stepreplay
    def test_greeting():
        messages = [{{"role": "user", "content": "Say hello."}}]
        body = {{"model": "step-3.5-flash", "stream": True, "messages": messages}}
        headers = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
        assert httpx.post("{url}/chat/completions", json=body, headers=headers).text
"""


def streamed(case: Case) -> None:
    case.write(STREAMED)
    case.suite.say = lambda _: answer("Hello! How are you today, and what can I do for you?")
    case.record()


def verify_streamed(case: Case) -> Path:
    """Leaves something pending for a stream, and returns it."""
    case.suite.say = lambda _: answer("Something else.")
    case.verify()
    case.made.clear()
    return pending_path(case.cassette)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


ANSWER: Final = "answer: |-\n      assistant:\n        "


@situation("store/codec.py:decode", first=delete)
def a_stream_whose_frames_are_broken(case: Case) -> str:
    streamed(case)
    edit(case.cassette, "      deltas:\n", "      more: 1\n      deltas:\n")
    return case.run()


@situation("cli/linting.py:_check_answers")
def linting_an_answer_that_was_edited(case: Case) -> str:
    streamed(case)
    edit(case.cassette, ANSWER, f"{ANSWER}Oh! ")
    return case.stepreplay("lint")


@situation("cli/linting.py:_check_answers")
def linting_a_pending_answer_that_was_edited(case: Case) -> str:
    streamed(case)
    pending = verify_streamed(case)
    edit(pending, ANSWER, f"{ANSWER}Oh! ")
    return case.stepreplay("lint", str(pending))


@situation("cli/conversion.py:_convert", review=1)
def converting_what_has_pending_changes(case: Case) -> str:
    streamed(case)
    verify_streamed(case)
    edit(case.cassette, ANSWER, f"{ANSWER}Oh! ")
    return case.stepreplay("convert", str(case.cassette))


@situation("verify/kept_samples.py:keep_samples")
def keeping_samples_in_another_tools_cassette(case: Case) -> str:
    foreign(case, VCR.replace("Something else.", "Say hello."))
    case.suite.say = lambda _: answer("Hello!")
    case.suite.monkeypatch.setenv("STEP_API_KEY", KEY)
    return case.stepreplay("verify", "--samples", "2", "--keep-samples")


@situation("cli/init.py:_run")
def what_a_project_was_given(case: Case) -> str:
    (case.project / ".github").mkdir()
    return case.stepreplay("init", "--yes")


@situation("cli/git_config.py:_run")
def what_git_was_told(case: Case) -> str:
    subprocess.run(["git", "init", "-q", str(case.project)], check=True)
    return case.stepreplay("setup", "--yes")


@situation("cli/git_merge.py:_told", review=1)
def a_merge_that_a_person_must_decide(case: Case) -> str:
    versions = []
    for text in ("Hello!", "Good day!", "Good evening!"):
        case.suite.say = lambda _, text=text: answer(text)
        assert case.suite.run("--stepreplay=rewrite", key=KEY).ret == 0
        versions.append(case.project.parent / text)
        shutil.copy(case.cassette, versions[-1])
    case.made.clear()
    with case.suite.monkeypatch.context() as patch:  # as git starts it
        patch.chdir(case.project)
        patch.setenv("GIT_PREFIX", "tests/")
        said = case.stepreplay("git-merge", *map(str, versions), str(case.cassette.relative_to(Path.cwd())))
    assert said.endswith("git add ../cassettes/tests/test_chat/test_greeting.yaml\n")
    return said


# ---------------------------------------------------------------- cassettes outside of git


def stored(case: Case, code: str = PLAIN) -> None:
    """Records, and pushes that to a store in the project."""
    keep_in_store(case)
    case.write(code)
    case.record()
    push(case)


def keep_in_store(case: Case) -> None:
    case.write("[pytest]\nstepreplay_store = file://store\n", "pytest.ini")


def push(case: Case) -> None:
    assert case.start("push")[0] == 0
    case.made.clear()


def others_record(case: Case) -> None:
    """Has others record and push the cassette again, which was here before."""
    stored(case)
    before = [case.cassette, case.project / "cassettes/.stepreplay.base"]
    contents = [path.read_bytes() for path in before]
    edit(case.cassette, "Say hello.", "Say more.")
    push(case)
    for path, content in zip(before, contents, strict=True):
        path.write_bytes(content)


def put_aside(case: Case) -> None:
    """Leaves the cassette to somebody else."""
    case.cassette.rename(case.project.parent / "aside")


def put_back(case: Case) -> None:
    case.cassette.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(case.project.parent / "aside", case.cassette)


@situation("plugin/opening.py:refuse_unpulled")
def what_nobody_has_pulled(case: Case) -> str:
    stored(case)
    case.cassette.unlink()
    return case.run()


@situation("plugin/verdicts.py:setup_failure", "remote/lock_file.py:check_pulled")
def what_was_pulled_in_part(case: Case) -> str:
    stored(case, ALIKE)
    for path in [*case.cassette.parent.glob("*.yaml")][1:]:
        path.unlink()
    return case.run()


@situation("remote/lock_file.py:check_all_pulled")
def verifying_what_nobody_has_pulled(case: Case) -> str:
    stored(case)
    case.cassette.unlink()
    return case.stepreplay("verify")


def without_marks(case: Case) -> None:
    lock = case.project / "cassettes/stepreplay.lock"
    lines = [each for each in lock.read_text(encoding="utf-8").splitlines() if each[:1] not in "<=>"]
    lock.write_text("\n".join(lines[:2]), encoding="utf-8")


@situation("remote/lock_file.py:_how_to_merge", first=without_marks)
def a_lock_file_with_a_conflict(case: Case) -> str:
    stored(case)
    lock = case.project / "cassettes/stepreplay.lock"
    title, line = lock.read_text(encoding="utf-8").splitlines()
    sides = f"<<<<<<< HEAD\n{line}\n=======\n{'1' * 64}{line[64:]}\n>>>>>>> theirs\n"
    lock.write_text(f"{title}\n{sides}", encoding="utf-8")
    return case.stepreplay("pull")


@situation("cli/syncing.py:_pull")
def pulling_what_nobody_has_pushed(case: Case) -> str:
    keep_in_store(case)
    case.record()
    return case.stepreplay("pull")


@situation("cli/syncing.py:_push")
def pushing_nothing(case: Case) -> str:
    keep_in_store(case)
    return case.stepreplay("push")


@situation("cli/syncing.py:_push")
def pushing_what_others_have_recorded(case: Case) -> str:
    others_record(case)
    return case.stepreplay("push")


@situation("cli/syncing.py:_print_states")
def the_state_of_what_is_new(case: Case) -> str:
    keep_in_store(case)
    case.record()
    return case.stepreplay("status")


@situation("cli/syncing.py:_print_states")
def the_state_of_what_others_have_recorded(case: Case) -> str:
    others_record(case)
    return case.stepreplay("status")


@situation("cli/syncing.py:_how_to_decide")
def the_state_of_what_both_have_recorded(case: Case) -> str:
    others_record(case)
    edit(case.cassette, "Say hello.", "Say less.")
    return case.stepreplay("status")


@situation("cli/syncing.py:_tell_absent")
def what_the_store_has_lost(case: Case) -> str:
    stored(case)
    shutil.rmtree(case.project / "store")
    return case.stepreplay("status", "--store")


@situation("cli/syncing.py:_tell_problems", first=put_back)
def what_was_damaged_in_the_store(case: Case) -> str:
    stored(case)
    put_aside(case)
    (damaged,) = [path for path in (case.project / "store").rglob("*") if path.is_file()]
    edit(damaged, "Say hello.", "Say HELLO.")
    return case.stepreplay("pull")


@situation("cli/linting.py:_check_lock")
def linting_what_was_not_pushed(case: Case) -> str:
    stored(case)
    edit(case.cassette, "Say hello.", "Say more.")
    return case.stepreplay("lint")


@situation("cli/linting.py:_check_lock")
def linting_what_others_have_recorded(case: Case) -> str:
    others_record(case)
    return case.stepreplay("lint")


@situation("cli/linting.py:_check_lock")
def linting_what_both_have_recorded(case: Case) -> str:
    others_record(case)
    edit(case.cassette, "Say hello.", "Say less.")
    return case.stepreplay("lint")


# ---------------------------------------------------------------- the tests


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_command_that_is_suggested_does_what_it_says(case: Case, name: str) -> None:
    told = SITUATIONS[name]
    output = told.make(case)
    assert [place for place in told.places if place not in case.made] == []
    lines = [line.removeprefix("E  ").strip() for line in output.splitlines()]
    found: dict[str, int] = {}
    for place in told.places:
        # What several tests have in common may be printed once.
        printed = [command for command in case.made[place] if _is_in(command, lines)]
        assert printed, f"{place} made {case.made[place]}, and this was printed:\n{output}"
        found |= {command: output.index(command) for command in printed}
    before = case.project.parent / "before"
    shutil.copytree(case.project, before)
    if told.first and told.in_turn:
        told.first(case)
    for command in sorted(found, key=found.__getitem__):
        if not told.in_turn:
            for path in [each for each in case.project.rglob("*") if each.is_file()]:
                path.unlink()  # one cannot go on in a folder that was removed
            shutil.copytree(before, case.project, dirs_exist_ok=True)
            if told.first:
                told.first(case)
        status, said = case.obey(command)
        verb = [*shlex.split(command.rpartition(" && ")[2]), ""][1].lstrip("-").partition("=")[0]
        assert status == told.ends.get(verb, 0), f"{command}\n{said}"


def _is_in(command: str, lines: list[str]) -> bool:
    """Whether a command stands in one of the lines with nothing on either side that one would copy with it."""
    alone = re.compile(
        rf"(?:^|:  ?|; |`|with )(?P<it>{re.escape(command)})(?:$|\)|; |`| {{3,}}|, or |, and then: )"
    )
    return any(alone.search(line) for line in lines)


def test_every_place_that_suggests_a_command_has_a_case() -> None:
    covered = {place for each in SITUATIONS.values() for place in each.places}
    places = _places()
    assert places - covered - OTHERWISE.keys() == set()
    assert covered | OTHERWISE.keys() == places, "and no case is of a place that is gone"


OTHERWISE: Final = {
    "cli/demo.py:_live_access": "stepreplay demo, which tests/cli/test_demo.py runs",
    "cli/pending_changes.py:PendingDrift.rest": "in the browser, which tests/cli/test_web_review.py looks at",
    "cli/review.py:_Walk._outcome": "on the screen of a review, as tests/cli/test_review_in_terminal.py types it",
    "cli/review.py:_Walk._pytest": "the same",
    "cli/review.py:_told_quoted": "the same",
    "cli/serve.py:_ServedFiles._named": "stepreplay serve, whose URL has to be filled in",
}


def _places() -> set[str]:
    """Returns the functions that make a command."""
    found: set[str] = set()

    def walk(node: ast.AST, file: str, name: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = name
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inner = f"{name}.{child.name}" if name else child.name
            called = child.func if isinstance(child, ast.Call) else None
            if getattr(called, "attr", getattr(called, "id", "")) in MAKERS:
                found.add(f"{file}:{name}")
            walk(child, file, inner)

    for path in PACKAGE.rglob("*.py"):
        if path.name != "commands.py":
            walk(ast.parse(path.read_text(encoding="utf-8")), path.relative_to(PACKAGE).as_posix(), "")
    return found


TYPED: Final = re.compile(
    r"\bstepreplay (?:accept|adopt|convert|demo|diff|lint|list|pending|prune|reject|relink|review|show)\b|pytest --stepreplay"
    r"|(?<!`)\bstepreplay (?:init|pull|push|setup|status)\b"
)


def test_no_command_is_typed_by_hand_in_a_message() -> None:
    by_hand = []
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        passed = {id(each) for node in ast.walk(tree) for each in _texts_for_people(node)}
        by_hand += [
            f"{path.relative_to(PACKAGE)}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in passed
            and TYPED.search(node.value)
            and path.name != "demo.py"  # it runs what it shows, and shows what has to be filled in
        ]
    assert by_hand == []


def _texts_for_people(node: ast.AST) -> list[ast.AST]:
    """Returns the docstring of a node, or the help pages of a command."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Expr):
        return [each.value for each in getattr(node, "body", ()) if isinstance(each, ast.Expr)]
    if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "DESCRIPTION":
        return [*ast.walk(node)]
    if isinstance(node, ast.keyword) and node.arg in ("examples", "description"):
        return [*ast.walk(node)]
    return []
