"""`stepreplay pending`, `accept`, `reject` and `review`: what they print, and what is in the files afterwards."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pytest_stepreplay.drift.comparison import compare
from pytest_stepreplay.models import Cassette, Interaction, Response
from pytest_stepreplay.redaction.wall import Wall
from pytest_stepreplay.store import cassettes, pending, secrets, snapshot_files
from tests.conftest import KEY

from .conftest import URL, Project, chat, completion, user

TEST = "tests/test_chat.py::test_plan"
PLAN = "cassettes/test_chat/test_plan.yaml"
OTHER = "cassettes/test_other.yaml"
SNAPSHOTS = "cassettes/test_chat/test_plan.snapshots.yaml"


def call(name: str) -> dict[str, Any]:
    function = {"name": name, "arguments": '{"q": "x"}'}
    return completion(
        None, "tool_calls", tool_calls=[{"id": "call_1", "type": "function", "function": function}]
    )


def answered(recorded: Interaction, answer: Any, status: int = 200) -> Interaction:
    return replace(recorded, response=Response(status=status, json=answer))


def leave_pending(project: Project, name: str, *turns: tuple[Any, Any]) -> Path:
    """Writes a cassette and its pending file, from pairs of the old answer and the new one."""
    old = [chat(user(f"Turn {number}."), answer=each) for number, (each, _) in enumerate(turns, 1)]
    path = project.write(name, *old, test=TEST)
    new = tuple(answered(each, turn[1]) for each, turn in zip(old, turns, strict=True))
    made = pending.write_pending(path, Cassette(test=TEST, interactions=new))
    assert made is not None
    return path


def line_of(old: str, new: str) -> str:
    """Returns the drift of two texts in one line."""
    return compare(completion(old), completion(new)).line()


def texts(project: Project, name: str) -> list[str]:
    """Returns what the answers of a cassette say, or which tool they call."""
    messages = [
        each.response.json["choices"][0]["message"]
        for each in cassettes.read_cassette(project.path / name).cassette.interactions
    ]
    return [it["content"] or it["tool_calls"][0]["function"]["name"] for it in messages]


def waiting(project: Project) -> dict[str, list[str]]:
    """Returns the names of what is pending, by file."""
    found = [pending.read_pending(path) for path in pending.iter_pending(project.path)]
    return {it.target.relative_to(project.path).as_posix(): [unit.name for unit in it.units] for it in found}


def leave_plan(project: Project) -> None:
    """Leaves a pending cassette with two pending interactions of three."""
    leave_pending(
        project,
        PLAN,
        (call("search"), call("fetch")),
        (completion("Same."), completion("Same.")),
        (completion("Hello."), completion("Good day.")),
    )


@pytest.fixture
def plan(project: Project) -> Project:
    """A project with two pending cassettes; the first has two pending interactions of three."""
    leave_plan(project)
    leave_pending(project, OTHER, (completion("One."), completion("Two.")))
    return project


# ---------------------------------------------------------------- pending


def test_the_list_leads_with_the_facts(plan: Project) -> None:
    result = plan.run("pending")
    assert result.status == 1
    assert result.out == (
        f"{PLAN}  {TEST}\n"
        "  interaction 1 of 3  choices[0].message.tool_calls[0].function.name: search -> fetch (behavior)\n"
        f"  interaction 3 of 3  {line_of('Hello.', 'Good day.')}\n"
        f"{OTHER}  {TEST}\n"
        f"  interaction 1 of 1  {line_of('One.', 'Two.')}\n"
        "3 changes in 2 files. Decide: stepreplay review\n"
    )


def test_the_list_as_json(plan: Project) -> None:
    result = plan.run("pending", "cassettes/test_chat", "--json")
    assert result.status == 1
    (found,) = result.json["pending"]
    changes = found.pop("changes")
    assert found == {
        "path": f"{PLAN}.new",
        "target": PLAN,
        "kind": "cassette",
        "test": TEST,
        "stale": False,
        "level": "behavior",
        "total": 3,
    }
    assert [(it["unit"], it["change"], it["level"]) for it in changes] == [
        ("1", "changed", "behavior"),
        ("3", "changed", "content"),
    ]
    assert changes[0]["request"] == {"method": "POST", "url": URL}
    assert changes[0]["drift"]["changes"][0]["new"] == "fetch"


def test_nothing_pending_is_status_0(project: Project) -> None:
    project.write(PLAN, chat())
    for args in (["pending"], ["pending", "cassettes"], ["pending", PLAN], ["review"], ["accept", "--all"]):
        result = project.run(*args)
        assert (result.status, result.out) == (0, "Nothing is pending.\n"), args
    assert project.run("pending", "--json").json == {"pending": []}


def test_the_contract_is_that_of_the_host(project: Project) -> None:
    without = {key: value for key, value in completion().items() if key != "usage"}
    leave_pending(project, PLAN, (completion(), without))
    assert "(contract: StepFun's API reference" in project.run("pending").out


def test_streams_and_other_bodies_are_shown(project: Project) -> None:
    def chunk(text: str) -> str:
        choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return json.dumps({**completion(), "object": "chat.completion.chunk", "choices": [choice]})

    old = [
        Response(status=200, events=(chunk("Hello."), "[DONE]")),
        Response(status=200, text="a"),
        Response(status=200),
    ]
    new = [
        Response(status=200, events=(chunk("Bye."), "[DONE]")),
        Response(status=201, headers={"retry-after": "1\x1b"}, text="a"),
        Response(status=200, base64="//4="),
    ]
    asked = [chat(user(str(number))) for number in range(3)]
    path = project.write(PLAN, *(replace(it, response=r) for it, r in zip(asked, old, strict=True)))
    interactions = tuple(replace(it, response=r) for it, r in zip(asked, new, strict=True))
    pending.write_pending(path, Cassette(interactions=interactions))
    lines = project.run("pending").out.splitlines()
    assert lines[0] == PLAN
    assert lines[1] == f"  interaction 1 of 3  {line_of('Hello.', 'Bye.')}"
    assert lines[2] == (
        "  interaction 2 of 3  status: 200 -> 201; header retry-after: nothing -> 1\\x1b (behavior)"
    )
    assert lines[3].startswith("  interaction 3 of 3  ")
    levels = [it["level"] for it in project.run("pending", "--json").json["pending"][0]["changes"]]
    assert levels[:2] == ["content", "behavior"]


def test_what_is_volatile_is_no_more_than_that(project: Project) -> None:
    leave_pending(project, PLAN, (completion(), completion() | {"id": "another"}))
    assert "  interaction 1 of 1  only volatile values differ\n" in project.run("pending").out


def test_what_is_new_is_shown(project: Project) -> None:
    tree = snapshot_files.snapshots_tree(TEST, {"plan": "x" * 500, "short": {"a": "\x1b"}})
    snapshot_files.write_snapshots(project.path / SNAPSHOTS, TEST, {"gone": [1, 2]})
    pending.write_pending(project.path / SNAPSHOTS, tree)
    pending.write_pending(project.path / OTHER, Cassette(interactions=(chat(),)))
    assert project.run("pending").out == (
        f"{SNAPSHOTS}  {TEST}\n"
        f'  snapshot plan  added "{"x" * 159}…\n'
        '  snapshot short  added {"a": "\\u001b"}\n'
        "  snapshot gone  removed [1, 2]\n"
        f"{OTHER}\n"
        "  a new cassette with 1 interaction  added\n"
        "4 changes in 2 files. Decide: stepreplay review\n"
    )
    levels = [it["level"] for it in project.run("pending", "--json").json["pending"]]
    assert levels == [None, None]


def test_what_cannot_be_used_is_listed_with_the_reason(plan: Project) -> None:
    plan.write(PLAN, chat())
    (plan.path / f"{OTHER}.new").write_text("stepreplay: [", encoding="utf-8")
    result = plan.run("pending")
    assert result.status == 1
    assert "  stale: the file has changed since; verify it again, or reject this\n" in result.out
    assert f"unreadable: {OTHER}.new:" in result.out
    found = plan.run("pending", "--json").json["pending"]
    assert found[0]["stale"] is True
    assert found[1]["path"] == f"{OTHER}.new"
    assert "error" in found[1]


def test_hostile_text_is_harmless(project: Project) -> None:
    new = completion("\x1b[2J\n::error::x ##[group]")
    leave_pending(project, PLAN, (completion("Hi."), new))
    for args in (["pending"], ["review"]):
        out = project.run(*args).out
        assert "\x1b" not in out
        assert not any(line.lstrip().startswith("::") for line in out.splitlines())
        assert "##[" not in out


# ---------------------------------------------------------------- accept and reject


@pytest.mark.parametrize(
    "name",
    [
        PLAN,
        f"{PLAN}.new",
        "cassettes/test_chat",
        "test_chat/test_plan",
        "test_chat/test_plan.yaml",
        "cassettes/*/*.yaml",
        "cassettes/**/test_plan.yaml.new",
        "cassettes/test_chat/../test_chat",
    ],
)
def test_a_name_may_be_a_cassette_a_pending_file_a_folder_or_a_glob(plan: Project, name: str) -> None:
    result = plan.run("accept", name, name)
    assert (result.status, result.out) == (0, f"accepted {PLAN}: interactions 1, 3\n")
    assert texts(plan, PLAN) == ["fetch", "Same.", "Good day."]
    assert waiting(plan) == {OTHER: ["1"]}


def test_a_bracket_in_a_name_is_no_pattern(project: Project) -> None:
    leave_pending(project, "cassettes/test_x[a].yaml", (completion("One."), completion("Two.")))
    result = project.run("accept", "cassettes/test_x[a].yaml")
    assert (result.status, texts(project, "cassettes/test_x[a].yaml")) == (0, ["Two."])


def test_all_is_all_of_the_project(plan: Project) -> None:
    result = plan.run("reject", "--all")
    assert result.out == f"rejected {PLAN}: interactions 1, 3\nrejected {OTHER}: interaction 1\n"
    assert (result.status, waiting(plan)) == (0, {})
    assert texts(plan, PLAN) == ["search", "Same.", "Hello."]


def test_one_interaction_is_accepted_and_another_rejected(plan: Project) -> None:
    result = plan.run("accept", PLAN, "--interaction", "3")
    assert (result.status, result.out) == (0, f"accepted {PLAN}: interaction 3, 1 still pending\n")
    assert texts(plan, PLAN) == ["search", "Same.", "Good day."]
    assert plan.run("reject", PLAN, "-n", "1").out == f"rejected {PLAN}: interaction 1\n"
    assert texts(plan, PLAN) == ["search", "Same.", "Good day."]
    assert waiting(plan) == {OTHER: ["1"]}


@pytest.mark.parametrize("verb", ["accept", "reject"])
def test_what_the_project_allows_is_no_secret_to_a_decision(project: Project, verb: str) -> None:
    with secrets.guarded_by(lambda: Wall((), ("response.**",))):
        leave_pending(
            project,
            PLAN,
            (completion(f"My key was {KEY}."), completion(f"My key is {KEY}.")),
            (completion("One."), completion("Two.")),
        )
    refused = project.run(verb, PLAN, "-n", "2")
    assert refused.status == 1
    assert "would hold what looks like a secret" in refused.err
    assert KEY not in refused.err
    settings = "[pytest]\nstepreplay_allow_secret =\n    response.json.**: it was revoked\n"
    (project.path / "pytest.ini").write_text(settings, encoding="utf-8")
    assert project.run(verb, PLAN, "-n", "2").status == 0
    assert project.run(verb, PLAN, "-n", "1").status == 0
    was, end = ("is", "Two.") if verb == "accept" else ("was", "One.")
    assert texts(project, PLAN) == [f"My key {was} {KEY}.", end]
    assert waiting(project) == {}


def test_one_snapshot_is_accepted(plan: Project) -> None:
    snapshot_files.write_snapshots(plan.path / SNAPSHOTS, TEST, {"a": 1, "b": 1})
    pending.write_pending(plan.path / SNAPSHOTS, snapshot_files.snapshots_tree(TEST, {"a": 2, "b": 2}))
    assert f"  snapshot b  {compare(1, 2).line()}\n" in plan.run("pending").out
    result = plan.run("accept", "test_chat/test_plan", "--snapshot", "b")
    assert (result.status, result.out) == (0, f"accepted {SNAPSHOTS}: snapshot b, 1 still pending\n")
    assert snapshot_files.read_snapshots(plan.path / SNAPSHOTS) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--all", PLAN],
        ["nowhere"],
        ["nowhere/*"],
        ["cassettes/finished.yaml"],
        ["no\x1bwhere"],
        ["cassettes", "--interaction", "1"],
        [PLAN, "--snapshot", "1"],
        [PLAN, "--snapshot", "1", "--interaction", "1"],
        [PLAN, "--interaction", "0"],
    ],
)
@pytest.mark.parametrize("command", ["accept", "reject"])
def test_what_is_asked_wrongly_changes_nothing(plan: Project, command: str, args: list[str]) -> None:
    plan.write("cassettes/finished.yaml", chat())
    before = waiting(plan)
    result = plan.run(command, *args)
    assert (result.status, result.out, waiting(plan)) == (2, "", before)
    usage = f"Usage: stepreplay {command} [OPTIONS] [PATHS]...\nstepreplay: "
    assert result.err.startswith(usage) or "nothing is pending for it" in result.err
    assert "\x1b" not in result.err


def test_an_interaction_that_is_not_pending_is_refused(plan: Project) -> None:
    result = plan.run("accept", PLAN, "-n", "2")
    assert (result.status, result.out) == (1, "")
    assert result.err == f"refused: {PLAN}.new: has no pending interaction '2'; there are 1, 3\n"


def test_a_changed_cassette_is_refused_and_the_others_accepted(plan: Project) -> None:
    plan.write(PLAN, chat(answer=completion("Changed.")))
    result = plan.run("accept", "--all")
    assert (result.status, result.out) == (1, f"accepted {OTHER}: interaction 1\n")
    assert result.err == (
        f"refused: {PLAN}.new: was made from another version of {PLAN}, which has changed since\n"
        "Make it anew: pytest --stepreplay=verify\n"
        f"Or drop it: stepreplay reject {PLAN}.new\n"
    )
    assert texts(plan, PLAN) == ["Changed."]
    assert plan.run("reject", f"{PLAN}.new").status == 0
    assert waiting(plan) == {}


def test_a_broken_pending_file_is_refused_and_can_be_rejected(plan: Project) -> None:
    (plan.path / f"{PLAN}.new").write_text("", encoding="utf-8")
    result = plan.run("accept", PLAN)
    assert (result.status, result.err.partition("\n")[0]) == (1, f"refused: {PLAN}.new: is empty")
    assert plan.run("reject", PLAN).out == f"rejected {PLAN}\n"


# ---------------------------------------------------------------- review without a terminal


def test_without_a_terminal_review_prints_the_commands(plan: Project) -> None:
    leave_pending(plan, "cassettes/a b.yaml", (completion("One."), completion("Two.")))
    result = plan.run("review")
    assert result.status == 1
    assert result.out.startswith(plan.run("pending").out)
    commands = result.out.partition("Decide with:\n")[2].splitlines()
    assert commands[:2] == [
        "  stepreplay accept 'cassettes/a b.yaml.new'",
        "  stepreplay reject 'cassettes/a b.yaml.new'",
    ]
    assert f"  stepreplay accept {PLAN}.new --interaction 1" in commands
    assert commands[-1] == "  stepreplay reject --all"
    assert len(waiting(plan)) == 3


def test_the_printed_commands_can_be_typed(project: Project) -> None:
    (project.path / SNAPSHOTS).parent.mkdir(parents=True)
    snapshot_files.write_snapshots(project.path / SNAPSHOTS, TEST, {"-x y": 1, "b": 1})
    pending.write_pending(project.path / SNAPSHOTS, snapshot_files.snapshots_tree(TEST, {"-x y": 2, "b": 2}))
    commands = [
        shlex.split(line) for line in project.run("review").out.splitlines() if line.startswith("  st")
    ]
    (one,) = [command for command in commands if command[1] == "accept" and "-x y" in command[-1]]
    assert project.run(*one[1:]).out == f"accepted {SNAPSHOTS}: snapshot -x y, 1 still pending\n"


def test_a_stale_one_gets_no_command_that_would_be_refused(plan: Project) -> None:
    plan.write(PLAN, chat())
    (plan.path / f"{OTHER}.new").write_text("", encoding="utf-8")
    commands = plan.run("review").out.partition("Decide with:\n")[2]
    assert f"stepreplay reject {PLAN}.new\n" in commands
    assert f"accept {PLAN}" not in commands
    assert OTHER not in commands
    assert plan.run("review", "nowhere").status == 2


HOSTILE = {
    "a bomb of aliases": "a: &a [x,x,x,x,x]\n"
    + "".join(f"{c}: &{c} [{','.join(['*' + b] * 9)}]\n" for b, c in pairwise("abcdefghij")),
    "an object to build": "a: !!python/object/apply:os.system ['touch owned']\n",
    "deep nesting": "a: " + "[" * 100_000 + "\n",
    "a merge conflict": "<<<<<<< a\n=======\n>>>>>>> b\n",
    "broken text": "\udcff\udcfe",
    "more than 32 MiB": "#" + "x" * (33 << 20),
    "an escape sequence": 'a: "\\e]0;owned\\a\\e[2J"\n',
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_pending_file_is_refused_in_one_message_and_nothing_is_lost(
    plan: Project, attack: str
) -> None:
    path, new = plan.path / PLAN, plan.path / f"{PLAN}.new"
    before = path.read_bytes()
    hostile = (new.read_text(encoding="utf-8") + HOSTILE[attack]).encode("utf-8", "surrogateescape")
    new.write_bytes(hostile)
    for command in (
        "pending",
        "review",
        "accept --all",
        f"accept {PLAN}",
        f"diff {PLAN} {PLAN}.new",
        f"show {PLAN}.new",
    ):
        result = plan.run(*command.split())
        said = result.out + result.err
        assert result.status != 0, command
        assert said.count(f"{PLAN}.new:") == 1, command
        assert "Traceback" not in said, command
        assert "\x1b" not in said, command
        assert (path.read_bytes(), new.read_bytes()) == (before, hostile), command
    assert not (plan.path / "owned").exists()
    assert plan.run("reject", PLAN).status == 0
    assert (path.read_bytes(), new.exists()) == (before, False)
