"""Pending files: what waits, what a decision does to both files, and what is refused without a change."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_stepreplay.errors import CassetteError, CassetteReadError, CassetteWriteError
from pytest_stepreplay.models import Cassette, Interaction, Request, Response
from pytest_stepreplay.store import cassettes, snapshot_files
from pytest_stepreplay.store.cassettes import read_cassette
from pytest_stepreplay.store.pending import (
    Unit,
    accept_pending,
    iter_pending,
    pending_path,
    read_pending,
    reject_pending,
    write_pending,
)
from tests.rendering import render_cassette

TEST = "tests/test_x.py::test_y"


def interaction(asks: Any, answer: Any, at: str = "2026-11-22T17:00:00Z") -> Interaction:
    return Interaction(
        recorded_at=at,
        request=Request(method="POST", url="https://api.stepfun.com/v1/chat/completions", json=asks),
        response=Response(status=200, json=answer),
    )


def cassette(*answers: Any) -> Cassette:
    """Returns a cassette whose interactions ask 1, 2, 3..."""
    return Cassette(test=TEST, interactions=tuple(interaction(n, it) for n, it in enumerate(answers, 1)))


def answers(path: Path) -> list[Any]:
    return [each.response.json for each in read_cassette(path).cassette.interactions]


def names(path: Path) -> list[str]:
    return [unit.name for unit in read_pending(path).units]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A cassette with three interactions."""
    path = tmp_path / "test_y.yaml"
    cassettes.write_cassette(path, cassette("a", "b", "c"))
    return path


@pytest.fixture
def pending(path: Path) -> Path:
    """Its pending file; the first and the third differ."""
    made = write_pending(path, cassette("A", "b", "C"))
    assert made == pending_path(path)
    return made


# ---------------------------------------------------------------- writing and reading


def test_the_file_is_a_cassette_with_its_base_at_the_end(path: Path, pending: Path) -> None:
    text = pending.read_text(encoding="utf-8")
    assert pending.name == "test_y.yaml.new"
    whole, _, base = text.rpartition("pending:\n  base: ")
    assert whole == render_cassette(cassette("A", "b", "C"))
    assert len(base.strip("'\n")) == 64


def test_what_waits_is_what_differs(path: Path, pending: Path) -> None:
    read = read_pending(pending)
    old, new = cassette("a", "b", "c").interactions, cassette("A", "b", "C").interactions
    assert (read.path, read.target, read.kind, read.test) == (pending, path, "cassette", TEST)
    assert (read.total, read.stale) == (3, False)
    assert read.units == (Unit("1", "changed", old[0], new[0]), Unit("3", "changed", old[2], new[2]))


def test_a_newer_version_takes_the_place_of_an_older_one(path: Path, pending: Path) -> None:
    write_pending(path, cassette("a", "B", "c"))
    assert names(pending) == ["2"]


def test_without_a_difference_there_is_no_pending_file(path: Path, pending: Path) -> None:
    later = tuple(interaction(n, it, at="2027-01-01T00:00:00Z") for n, it in enumerate("abc", 1))
    assert write_pending(path, Cassette(interactions=later)) is None
    assert not pending.exists()
    assert write_pending(path, cassette("a", "b", "c")) is None


@pytest.mark.parametrize(("old", "new"), [(1, True), (1, 1.0), (0, False), ([1], [1.0])])
def test_what_python_takes_for_equal_differs_in_json(tmp_path: Path, old: Any, new: Any) -> None:
    cassettes.write_cassette(tmp_path / "x.yaml", cassette(old))
    made = write_pending(tmp_path / "x.yaml", cassette(new))
    assert made is not None
    assert names(made) == ["1"]


def test_null_is_not_the_same_as_no_body(tmp_path: Path) -> None:
    cassettes.write_cassette(tmp_path / "x.yaml", cassette(None))
    empty = replace(cassette(None).interactions[0], response=Response(status=200))
    assert write_pending(tmp_path / "x.yaml", Cassette(interactions=(empty,))) is not None


def test_streams_wait_as_they_came(tmp_path: Path) -> None:
    def streamed(*events: str) -> Cassette:
        response = Response(status=200, events=events)
        return Cassette(interactions=(replace(cassette(1).interactions[0], response=response),))

    cassettes.write_cassette(tmp_path / "x.yaml", streamed('{"a": 1}', "[DONE]"))
    made = write_pending(tmp_path / "x.yaml", streamed('{"a": 2}', "[DONE]"))
    assert made is not None
    accept_pending(made)
    assert read_cassette(tmp_path / "x.yaml").cassette == streamed('{"a": 2}', "[DONE]")


@pytest.mark.parametrize(
    ("new", "problem"),
    [
        (cassette("A", "b"), "it has 2 interactions, and the cassette has 3"),
        (
            Cassette(interactions=tuple(interaction(n, "x") for n in (1, 7, 3))),
            "its interaction 2 has another request than the cassette's",
        ),
    ],
)
def test_another_conversation_is_not_written(path: Path, new: Cassette, problem: str) -> None:
    with pytest.raises(CassetteWriteError, match=problem):
        write_pending(path, new)
    assert list(path.parent.iterdir()) == [path]


def test_what_a_file_cannot_hold_is_not_written(path: Path, pending: Path) -> None:
    before = content(path.parent)
    with pytest.raises(CassetteWriteError, match="half of a surrogate pair"):
        write_pending(path, cassette("\ud800", "b", "c"))
    assert content(path.parent) == before


# ---------------------------------------------------------------- deciding


def test_accepting_all_leaves_the_new_version_alone(path: Path, pending: Path) -> None:
    assert accept_pending(pending) == ()
    assert path.read_text(encoding="utf-8") == render_cassette(cassette("A", "b", "C"))
    assert not pending.exists()


def test_rejecting_all_leaves_the_old_version_alone(path: Path, pending: Path) -> None:
    before = path.read_bytes()
    assert reject_pending(pending) == ()
    assert content(path.parent) == {path.name: before}


def test_one_is_accepted_and_the_other_rejected(path: Path, pending: Path) -> None:
    assert accept_pending(pending, ["3"]) == ("1",)
    assert answers(path) == ["a", "b", "C"]
    assert names(pending) == ["1"]
    assert read_pending(pending).stale is False, "it has the base of the new cassette"
    assert reject_pending(pending, ["1"]) == ()
    assert answers(path) == ["a", "b", "C"]
    assert not pending.exists()


def test_one_is_rejected_and_the_other_accepted(path: Path, pending: Path) -> None:
    assert reject_pending(pending, ["1"]) == ("3",)
    assert answers(path) == ["a", "b", "c"]
    assert accept_pending(pending) == ()
    assert answers(path) == ["a", "b", "C"]


def test_no_units_is_no_change(path: Path, pending: Path) -> None:
    before = content(path.parent)
    assert accept_pending(pending, []) == reject_pending(pending, []) == ("1", "3")
    assert content(path.parent) == before


@settings(max_examples=60)
@given(data=st.data())
def test_any_order_of_decisions_ends_with_each_choice(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    old = data.draw(st.lists(st.sampled_from([1, 1.0, "x", None]), min_size=1, max_size=4))
    new = [data.draw(st.sampled_from([1, True, "y\n\n", {"a": []}])) for _ in old]
    path = tmp_path_factory.mktemp("any") / "x.yaml"
    cassettes.write_cassette(path, cassette(*old))
    made = write_pending(path, cassette(*new))
    differing = names(made) if made else []
    expected: list[object] = [*old]
    for name in data.draw(st.permutations(differing)):
        assert made is not None
        if data.draw(st.booleans()):
            accept_pending(made, [name])
            expected[int(name) - 1] = new[int(name) - 1]
        else:
            reject_pending(made, [name])
    assert repr(answers(path)) == repr(expected)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("decide", [accept_pending, reject_pending])
def test_a_unit_that_is_not_pending_is_refused(path: Path, pending: Path, decide: Callable[..., Any]) -> None:
    before = content(path.parent)
    with pytest.raises(CassetteError, match="has no pending interaction '2'; there are 1, 3"):
        decide(pending, ["1", "2"])
    assert content(path.parent) == before


@pytest.mark.parametrize("decide", [accept_pending, reject_pending])
def test_a_cassette_that_has_changed_since_is_refused(
    path: Path, pending: Path, decide: Callable[..., Any]
) -> None:
    cassettes.write_cassette(path, cassette("a", "b", "changed"))
    before = content(path.parent)
    assert (read_pending(pending).stale, read_pending(pending).units) == (True, ())
    with pytest.raises(CassetteError) as caught:
        decide(pending, ["1"])
    assert str(caught.value) == (
        f"{pending}: was made from another version of {path}, which has changed since\n"
        "Make it anew: pytest --stepreplay=verify\n"
        f"Or drop it: stepreplay reject {pending}"
    )
    assert content(path.parent) == before


def test_a_stale_one_can_be_dropped_but_not_accepted(path: Path, pending: Path) -> None:
    path.unlink()
    with pytest.raises(CassetteError, match="has changed since"):
        accept_pending(pending)
    assert not path.exists()
    reject_pending(pending)
    assert not pending.exists()


def test_a_broken_one_can_be_dropped(path: Path, pending: Path) -> None:
    pending.write_bytes(b"\xff")
    reject_pending(pending)
    assert not pending.exists()


def test_a_cassette_that_is_new_is_one_unit(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "new.yaml"
    made = write_pending(path, cassette("a", "b"))
    assert made is not None
    assert "base: none" in made.read_text(encoding="utf-8")
    assert read_pending(made).units == (Unit("all", "added", None, cassette("a", "b").interactions),)
    assert reject_pending(made, ["all"]) == ()
    assert not path.exists()
    write_pending(path, cassette("a", "b"))
    assert accept_pending(made, ["all"]) == ()
    assert answers(path) == ["a", "b"]
    assert write_pending(tmp_path / "nothing.yaml", Cassette()) is None


def test_a_vcrpy_cassette_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_text(
        "interactions:\n- request:\n    body: null\n    headers: {}\n    method: GET\n"
        "    uri: https://example.com/\n  response:\n    body:\n      string: one\n    headers: {}\n"
        "    status:\n      code: 200\n      message: OK\nversion: 1\n",
        encoding="utf-8",
    )
    (read,) = read_cassette(path).cassette.interactions
    new = replace(read, response=Response(status=200, text="two"))
    made = write_pending(path, Cassette(interactions=(new,)))
    assert made is not None
    before = content(tmp_path)
    with pytest.raises(CassetteError, match="is a cassette of another tool"):
        accept_pending(made)
    assert content(tmp_path) == before
    reject_pending(made)


def test_a_json_cassette_stays_json(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    cassettes.write_cassette(path, cassette("a"))
    made = write_pending(path, cassette("b"))
    assert made is not None
    accept_pending(made)
    assert path.read_text(encoding="utf-8").startswith("{")
    assert answers(path) == ["b"]


# ---------------------------------------------------------------- snapshots


def snapshots(values: dict[str, Any]) -> dict[str, Any]:
    return snapshot_files.snapshots_tree(TEST, values)


def test_snapshots_are_changed_added_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "test_y.snapshots.yaml"
    snapshot_files.write_snapshots(path, TEST, {"1": "one", "plan": {"a": 1}, "gone": None})
    made = write_pending(path, snapshots({"plan": {"a": True}, "1": "one", "more": [1]}))
    assert made is not None
    read = read_pending(made)
    assert (read.kind, read.test, read.total) == ("snapshots", TEST, 3)
    assert read.units == (
        Unit("plan", "changed", {"a": 1}, {"a": True}),
        Unit("more", "added", None, [1]),
        Unit("gone", "removed", None, None),
    )
    with pytest.raises(CassetteError, match="has no pending snapshot '1'; there are plan, more, gone"):
        accept_pending(made, ["1"])
    assert accept_pending(made, ["more"]) == ("plan", "gone")
    assert snapshot_files.read_snapshots(path) == {"1": "one", "plan": {"a": 1}, "gone": None, "more": [1]}
    assert reject_pending(made, ["plan"]) == ("gone",)
    assert accept_pending(made, ["gone"]) == ()
    assert snapshot_files.read_snapshots(path) == {"plan": {"a": 1}, "1": "one", "more": [1]}


def test_one_of_several_new_snapshots_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "test_y.snapshots.yaml"
    made = write_pending(path, snapshots({"a": 1, "b": 2}))
    assert made is not None
    assert accept_pending(made, ["b"]) == ("a",)
    assert snapshot_files.parse_snapshots(path.read_bytes(), path) == snapshots({"b": 2})
    assert reject_pending(made, ["a"]) == ()


def test_the_last_snapshot_goes_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "test_y.snapshots.yaml"
    snapshot_files.write_snapshots(path, TEST, {"a": 1})
    made = write_pending(path, snapshots({}))
    assert made is not None
    accept_pending(made)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- bad files


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda text: text[: len(text) // 2], "test_y.yaml.new"),
        (lambda text: text.partition("pending:")[0], "has no 'pending:' with a base at its end"),
        (lambda text: text.replace("base: ", "base: x"), "pending: the cassette format has no such key"),
        (
            lambda text: text.replace("interactions", "<<<<<<< ours\ninteractions"),
            "unresolved merge conflict",
        ),
        (lambda text: text.replace("json: 1", "json: 9"), "interaction 1 has another request"),
        (lambda text: text.replace("stepreplay: 1", "stepreplay: 3"), "newer pytest-stepreplay"),
        (lambda text: "", "is empty"),
    ],
)
def test_a_file_that_is_none_is_refused(
    path: Path, pending: Path, spoil: Callable[[str], str], problem: str
) -> None:
    text = pending.read_text(encoding="utf-8")
    assert spoil(text) != text
    pending.write_text(spoil(text), encoding="utf-8")
    before = content(path.parent)
    for use in (read_pending, accept_pending, lambda it: reject_pending(it, ["1"])):
        with pytest.raises(CassetteReadError, match=problem) as caught:
            use(pending)
        assert str(pending) in str(caught.value)
    assert content(path.parent) == before


def test_a_broken_cassette_is_refused(path: Path, pending: Path) -> None:
    path.write_text("stepreplay: [", encoding="utf-8")
    before = content(path.parent)
    for use in (read_pending, accept_pending, lambda _: write_pending(path, cassette("a", "b", "C"))):
        with pytest.raises(CassetteReadError, match=r"test_y\.yaml:"):
            use(pending)
    assert content(path.parent) == before


def test_a_vcrpy_cassette_is_no_pending_file(path: Path, pending: Path) -> None:
    mark = pending.read_bytes()[pending.read_bytes().index(b"pending:") :]
    pending.write_bytes(b"interactions: []\nversion: 1\n" + mark)
    with pytest.raises(CassetteReadError, match="so it is not a pending file"):
        accept_pending(pending)


def test_line_ends_of_windows_are_read(path: Path, pending: Path) -> None:
    pending.write_bytes(pending.read_bytes().replace(b"\n", b"\r\n"))
    assert names(pending) == ["1", "3"]
    assert accept_pending(pending, ["1"]) == ("3",)


def test_other_names_are_refused(path: Path) -> None:
    for use in (read_pending, accept_pending, reject_pending):
        with pytest.raises(
            CassetteReadError, match=r"is not a pending file; its name would end with \.yaml\.new"
        ):
            use(path)
    assert path.exists()


def test_a_file_that_cannot_be_removed_is_told(path: Path) -> None:
    pending_path(path).mkdir()
    for use in (
        lambda: reject_pending(pending_path(path)),
        lambda: write_pending(path, cassette("a", "b", "c")),
    ):
        with pytest.raises(CassetteWriteError, match="could not be removed: "):
            use()


# ---------------------------------------------------------------- folders and links


def test_all_pending_files_of_a_folder_are_found(tmp_path: Path) -> None:
    for name in ("b/x.yaml", "a.yml", "b/x.snapshots.yaml", "a.json"):
        new = snapshots({"a": 1}) if "snapshots" in name else cassette("a")
        assert write_pending(tmp_path / name, new)
    for name in (".hidden.yaml.new", ".git/x.yaml.new", "note.txt.new", "x.yaml", "b/.x.yaml.0a.tmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.yaml.new").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in iter_pending(tmp_path)]
    assert found == ["a.json.new", "a.yml.new", "b/x.snapshots.yaml.new", "b/x.yaml.new"]
    assert list(iter_pending(tmp_path / "nowhere")) == []


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_links_lead_nowhere(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    inside.mkdir()
    cassettes.write_cassette(outside / "a.yaml", cassette("a"))
    made = write_pending(outside / "a.yaml", cassette("b"))
    assert made is not None
    (inside / "link.yaml.new").symlink_to(made)
    (inside / "a.yaml").symlink_to(outside / "a.yaml")
    (inside / "a.yaml.new").write_bytes(made.read_bytes())
    (inside / "folder").symlink_to(outside)
    assert list(iter_pending(inside)) == []
    before = content(outside)
    for use in (accept_pending, reject_pending, read_pending):
        with pytest.raises(CassetteReadError, match="is a symbolic link, and a pending file may not be one"):
            use(inside / "link.yaml.new")
    with pytest.raises(CassetteReadError, match="is a symbolic link"):
        write_pending(inside / "link.yaml", cassette("c"))
    assert content(outside) == before
