"""What a review decides and takes back, without a screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pytest_stepreplay.cli.decisions import Decisions, Waiting
from pytest_stepreplay.cli.pending_changes import find_pending
from pytest_stepreplay.models import Cassette
from pytest_stepreplay.store import pending

from .conftest import Project, chat, completion
from .test_review import OTHER, PLAN, answered, call, leave_pending, leave_plan, texts, waiting


@pytest.fixture
def plan(project: Project) -> Project:
    """Two cassettes with three pending changes."""
    leave_plan(project)
    leave_pending(project, OTHER, (call("search"), call("fetch")))
    return project


@pytest.fixture
def review(plan: Project) -> Iterator[tuple[Waiting, Decisions]]:
    found = Waiting(find_pending(()))
    yield found, Decisions(found)


def files(project: Project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in project.path.rglob("*.yaml*")}


def test_a_file_is_read_when_somebody_comes_to_it(plan: Project, review: Any) -> None:
    found, _ = review
    assert (found.changes, found.unread) == ([], 2)
    assert found.read_more()
    assert ([each.unit.name for each in found.changes], found.unread) == (["1", "3"], 1)
    found.read_all()
    assert not found.read_more()
    assert len(found.changes) == 3


@pytest.mark.parametrize("verb", ["accept", "reject"])
def test_undo_leaves_every_file_as_it_was(plan: Project, review: Any, verb: Any) -> None:
    found, decisions = review
    found.read_all()
    before = files(plan)
    first, second, third = found.changes
    assert decisions.decide(verb, [first]) == []
    between = files(plan)
    assert decisions.decide(verb, [second, third]) == []
    assert waiting(plan) == {}
    assert decisions.undo() == ([second, third], [])
    assert files(plan) == between
    assert decisions.undo() == ([first], [])
    assert files(plan) == before
    assert decisions.undo() == ([], [])


def test_what_was_skipped_is_open_again(plan: Project, review: Any) -> None:
    found, decisions = review
    found.read_all()
    before = files(plan)
    decisions.decide("skip", found.changes[:2])
    assert [decisions.of(each) for each in found.changes] == ["skip", "skip", None]
    decisions.undo()
    assert all(decisions.is_open(each) for each in found.changes)
    assert files(plan) == before


def test_what_has_changed_since_it_was_shown_is_refused_and_read_again(plan: Project, review: Any) -> None:
    found, decisions = review
    found.read_all()
    path = plan.path / PLAN
    known = pending.read_pending(pending.pending_path(path))
    new = Cassette(
        test=known.test,
        interactions=tuple(
            answered(each, each.response.json if n != 2 else completion("Another."))
            for n, each in enumerate(pending.read_new_version(pending.pending_path(path)).interactions)  # type: ignore[union-attr]
        ),
    )
    pending.write_pending(path, new)
    (refused,) = decisions.decide("accept", [found.changes[1]])
    assert refused == f"{PLAN}.new: has changed since 3 was shown; look at it again"
    assert texts(plan, PLAN) == ["search", "Same.", "Hello."]
    assert len(found.changes) == 3
    assert decisions.decide("accept", [found.changes[1]]) == []
    assert texts(plan, PLAN) == ["search", "Same.", "Another."]


def test_two_reviews_at_once_decide_each_change_once(plan: Project, review: Any) -> None:
    found, decisions = review
    found.read_all()
    other = Waiting(find_pending(()))
    other.read_all()
    others = Decisions(other)
    assert others.decide("accept", other.changes[:1]) == []
    assert decisions.decide("accept", [found.changes[1]]) == [], "the other change of one file"
    (refused,) = decisions.decide("reject", [found.changes[0]])
    assert "has no pending interaction '1'" in refused or "does not exist" in refused
    assert texts(plan, PLAN) == ["fetch", "Same.", "Good day."]
    (problem,) = others.undo()[1]
    assert "has changed since it was decided about" in problem
    assert texts(plan, PLAN) == ["fetch", "Same.", "Good day."]


def test_what_cannot_be_undone_does_not_stand_in_the_way(plan: Project, review: Any) -> None:
    found, decisions = review
    found.read_all()
    first, second, third = found.changes
    decisions.decide("accept", [third])
    decisions.decide("accept", [first, second])
    plan.write(PLAN, chat())
    assert decisions.undo()[0] == []
    assert decisions.undo() == ([third], [])
    assert texts(plan, OTHER) == ["search"]


def test_one_cause_in_several_cassettes_is_one_kind(plan: Project, review: Any) -> None:
    found, _ = review
    found.read_all()
    first, second, third = found.changes
    assert first.cause == third.cause != second.cause


def test_a_stale_file_is_a_problem_and_no_change(plan: Project, review: Any) -> None:
    found, _ = review
    plan.write(PLAN, chat())
    (plan.path / f"{OTHER}.new").write_text("", encoding="utf-8")
    found.read_all()
    assert found.changes == []
    stale, broken = found.problems
    assert "was made from another version" in stale
    assert "is empty" in broken
