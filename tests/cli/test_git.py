"""git shows and merges cassettes: real repositories, real `git diff` and `git merge`, and the driver as git calls it."""

from __future__ import annotations

import subprocess
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_stepreplay.cli import deciding
from pytest_stepreplay.models import Cassette, Interaction
from pytest_stepreplay.store.cassettes import read_cassette, write_cassette

from .conftest import Project, chat, completion, user

CASSETTE = "cassettes/test_chat/test_a.yaml"


def git(folder: Path, *words: str, status: int = 0) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def repository(project: Project) -> Project:
    """A project in a repository of its own, in which git knows cassettes."""
    git(project.path, "init", "-q", "-b", "main")
    (project.path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    assert project.run("setup", "--yes").status == 0
    return project


def said(asked: str, answer: str) -> Interaction:
    return chat(user(asked), answer=completion(answer))


def commit(folder: Path, *interactions: Interaction, name: str = CASSETTE) -> None:
    write_cassette(folder / name, Cassette(test="test_chat.py::test_a", interactions=interactions))
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "x")


def test_setup_shows_before_it_writes_and_writes_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = project.run("setup", "--yes")
    assert (nowhere.status, "to make one: git init" in nowhere.err) == (2, True)
    git(project.path, "init", "-q")
    (project.path / ".gitattributes").write_text("*.png binary", encoding="utf-8")
    unasked = project.run("setup")
    assert unasked.status == 2
    assert "cassettes/**/*.yaml diff=stepreplay merge=stepreplay eol=lf" in unasked.out
    assert "there is no terminal to ask in; add --yes" in unasked.err
    assert project.run("setup", "--dry-run").out.endswith("Nothing was changed.\n")
    assert "stepreplay" not in git(project.path, "config", "--local", "--list")
    monkeypatch.setattr(deciding, "is_agreed", lambda *_, **__: True)
    assert project.run("setup", "--yes").status == 0
    text = "*.png binary\ncassettes/**/*.yaml diff=stepreplay merge=stepreplay eol=lf\n"
    assert (project.path / ".gitattributes").read_text(encoding="utf-8") == text
    again = project.run("setup")
    assert (again.status, again.out) == (0, "Git knows how to show and merge cassettes here already.\n")
    assert (project.path / ".gitattributes").read_text(encoding="utf-8") == text
    git(project.path, "config", "--local", "diff.stepreplay.textconv", "other")
    assert "# was: other" in project.run("setup", "--dry-run").out


def test_git_diff_shows_the_conversation(repository: Project) -> None:
    folder = repository.path
    commit(folder, said("Is it sunny?", "Hi! It is sunny."))
    commit(folder, said("Is it sunny?", "Hi! It rains."))
    shown = git(folder, "log", "-p", "-1")
    assert [line for line in shown.splitlines() if line[:2] in ("+ ", "- ")] == [
        "-    It is sunny.",
        "+    It rains.",
    ]
    git(folder, "config", "--local", "diff.stepreplay.textconv", "x() { s=$(command -v no-such-thing || echo /none); "
        'if [ -x "$s" ]; then "$s"; else cat "$1"; fi; }; x')  # fmt: skip
    assert "+          content: Hi! It rains." in git(folder, "log", "-p", "-1"), "where stepreplay is gone"


def test_the_view_is_harmless_and_has_nothing_that_only_differs_from_place_to_place(project: Project) -> None:
    hostile = completion("\x1b[2Jrm\nends:\n  POST")
    path = project.write("a.yaml", chat(answer=hostile), test="t.py::t")
    assert project.run("git-textconv", path).out == (
        "test: t.py::t\n\nPOST https://api.stepfun.com/v1/chat/completions\n"
        "  asks:\n    model: step-3.5-flash\n  user:\n    Say hello.\n200\n"
        "  assistant:\n    \\x1b[2Jrm\n    ends:\n      POST\n  ends:\n    stop\n"
    )
    for content, shown in [
        (b"<<<<<<< ours\n\x1b[2J\xff", "<<<<<<< ours\n\\x1b[2J\\\\xff\n"),
        (b"", "\n"),
        (b"[1, 2]\n", "[1, 2]\n"),
    ]:
        path.write_bytes(content)
        result = project.run("git-textconv", path)
        assert (result.status, result.out.replace("\\\\xff", "\\xff")) == (
            0,
            shown.replace("\\\\xff", "\\xff"),
        )


def test_branches_that_recorded_into_one_cassette_are_merged(repository: Project) -> None:
    folder = repository.path
    commit(folder, said("a", "1"))
    git(folder, "switch", "-q", "-c", "theirs")
    commit(folder, said("a", "1"), said("b", "1"))
    git(folder, "mv", CASSETTE, "cassettes/test_chat/test_renamed.yaml")
    git(folder, "commit", "-q", "-m", "renamed")
    git(folder, "switch", "-q", "main")
    commit(folder, said("a", "2"), said("c", "1"))
    git(folder, "merge", "-q", "theirs")
    found = read_cassette(folder / "cassettes/test_chat/test_renamed.yaml").cassette.interactions
    assert found == (said("a", "2"), said("c", "1"), said("b", "1"))
    assert git(folder, "status", "--porcelain") == ""


def test_a_conflict_is_told_and_waits_for_a_review(repository: Project) -> None:
    folder = repository.path
    commit(folder, said("a", "1"), said("b", "1"))
    git(folder, "switch", "-q", "-c", "theirs")
    commit(folder, said("a", "It snows."), said("b", "1"))
    git(folder, "switch", "-q", "main")
    commit(folder, said("a", "It rains."), said("b", "1"))
    told = git(folder, "merge", "theirs", status=1)
    assert (
        f"{CASSETTE}: both sides have changed it; the file is whole, with our version of what follows:\n"
        "  interaction 1, changed by both\n"
        f"Theirs is pending. Decide with: stepreplay review, and then: git add {CASSETTE}\n"
    ) in told
    assert read_cassette(folder / CASSETTE).cassette.interactions[0] == said("a", "It rains.")
    assert "It {+snows+}[-rains-]" in repository.run("pending").out.replace(
        "[-rains-]{+snows+}", "{+snows+}[-rains-]"
    )
    assert repository.run("accept", "--all").status == 0
    assert read_cassette(folder / CASSETTE).cassette.interactions == (said("a", "It snows."), said("b", "1"))
    git(folder, "add", CASSETTE)
    git(folder, "commit", "-q", "-m", "merged")


@pytest.mark.parametrize("broken", ["<<<<<<< x\n", "stepreplay: 9\ninteractions: []\n"])
def test_what_cannot_be_read_never_replaces_what_can(repository: Project, broken: str) -> None:
    folder = repository.path
    commit(folder, said("a", "1"))
    git(folder, "switch", "-q", "-c", "theirs")
    (folder / CASSETTE).write_text(broken, encoding="utf-8")
    git(folder, "commit", "-q", "-a", "-m", "broken")
    git(folder, "switch", "-q", "main")
    commit(folder, said("a", "2"))
    told = git(folder, "merge", "theirs", status=1)
    assert "was not merged, and is as ours is" in told
    assert f"Take it with: git checkout --theirs -- {CASSETTE}" in told
    assert read_cassette(folder / CASSETTE).cassette.interactions == (said("a", "2"),)


def test_what_is_pending_already_is_not_replaced(repository: Project) -> None:
    folder = repository.path
    for name, content in (("o", said("a", "1")), ("a", said("a", "2")), ("b", said("a", "3"))):
        write_cassette(folder / f"{name}.yaml", Cassette(interactions=(content,)))
    (folder / "x.yaml.new").write_text("waiting", encoding="utf-8")
    result = repository.run("git-merge", "o.yaml", "a.yaml", "b.yaml", "x.yaml")
    assert result.status == 1
    assert "so theirs is in git alone: git show :3:x.yaml" in result.err
    assert (folder / "x.yaml.new").read_text(encoding="utf-8") == "waiting"


NUMBERS = count()
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["add", "change", "remove", "rename"]), st.sampled_from("abc"), st.integers(1, 3)
    ),
    min_size=1,
    max_size=3,
)


@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ours=EDITS, theirs=EDITS)
def test_any_two_histories_are_merged_and_nothing_is_lost(
    repository: Project, ours: list[Any], theirs: list[Any]
) -> None:
    folder = repository.path
    for path in folder.rglob("*.new"):
        path.unlink()
    number = next(NUMBERS)
    git(folder, "checkout", "-q", "--orphan", f"base{number}")
    names = {side: f"{side}{number}" for side in ("ours", "theirs")}
    git(folder, "rm", "-rfq", "--ignore-unmatch", "cassettes")
    base = {"a": "0", "b": "0"}
    commit(folder, *(said(*each) for each in base.items()))
    git(folder, "branch", "-f", names["theirs"])
    ends: dict[str, dict[str, str]] = {}
    for side, edits in (("ours", ours), ("theirs", theirs)):
        git(folder, "checkout", "-q", *(["-B", names[side]] if side == "ours" else [names[side]]))
        now, place = dict(base), CASSETTE
        for what, key, version in edits:
            if what == "rename":
                target = f"cassettes/test_chat/test_{side}.yaml"
                if now and target != place:
                    git(folder, "mv", place, target)
                    place = target
            elif what == "remove" and len(now) > 1:
                now.pop(key, None)
            elif what != "remove":
                now[key] = f"{version} of {side}"
            commit(folder, *(said(*each) for each in now.items()), name=place)
        ends[side] = now
    git(folder, "checkout", "-q", names["ours"])
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "merge", "-q", names["theirs"]],
        cwd=folder, capture_output=True, text=True, check=False, encoding="utf-8",
    )  # fmt: skip
    files = [path for path in folder.rglob("*.yaml*") if ".git" not in path.parts]
    kept = [
        each for path in files if path.suffix == ".yaml" for each in read_cassette(path).cassette.interactions
    ]
    waiting = [text for path in files if path.suffix == ".new" for text in [path.read_text(encoding="utf-8")]]
    for side, end in ends.items():
        for key, answer in end.items():
            if base.get(key) != answer:
                there = said(key, answer) in kept or any(answer in text for text in waiting)
                assert there, (side, key, answer, done.stdout, done.stderr)
    git(folder, "reset", "-q", "--hard")
