"""Two versions of a cassette that were made from a third become one: nothing is lost, and what nobody touched stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_stepreplay.errors import CassetteReadError
from pytest_stepreplay.models import Cassette, Interaction, Request, Response
from pytest_stepreplay.store import codec
from pytest_stepreplay.store.cassettes import parse_cassette
from pytest_stepreplay.store.schema import tree_of
from pytest_stepreplay.store.snapshot_files import parse_snapshots, snapshots_tree
from pytest_stepreplay.store.three_way import Clash, MergeResult, merge_versions

HERE = Path("x.yaml")
URL = "https://api.stepfun.com/v1/chat/completions"


def said(asked: str, answer: str, *, id_: str = "1", at: str | None = None) -> Interaction:
    message = {"role": "assistant", "content": answer}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    tree = {"id": id_, "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    body = {"model": "m", "messages": [{"role": "user", "content": asked}]}
    return Interaction(
        recorded_at=at,
        request=Request(method="POST", url=URL, json=body),
        response=Response(status=200, headers={"content-type": "application/json"}, json=tree),
    )


def file(*interactions: Interaction, test: str | None = "t.py::test") -> bytes:
    return (
        codec.encode(tree_of(Cassette(test=test, interactions=interactions)), HERE) if interactions else b""
    )


def merge(
    base: bytes, ours: bytes, theirs: bytes, path: Path = HERE
) -> tuple[MergeResult, tuple[Interaction, ...]]:
    merged = merge_versions(base, ours, theirs, path)
    return merged, parse_cassette(merged.content, path).cassette.interactions


A, B, C, D = said("a", "1"), said("b", "1"), said("c", "1"), said("d", "1")


def test_what_two_branches_have_added_to_one_cassette_is_in_it_in_their_order() -> None:
    merged, found = merge(file(A), file(A, B), file(A, C, D))
    assert (found, merged.clashes, merged.theirs) == ((A, B, C, D), (), None)
    assert merge(b"", file(A), file(B))[1] == (A, B), "both have made the file"
    assert merge(file(B), file(B), file(A, B, C))[1] == (A, B, C)


def test_one_side_changes_removes_and_renames_and_the_other_does_not() -> None:
    new = said("b", "2")
    merged, found = merge(file(A, B, C), file(A, new, C), file(B, C, D, test="t.py::test_new"))
    assert (found, merged.clashes) == ((new, C, D), ())
    assert parse_cassette(merged.content, HERE).cassette.test == "t.py::test_new"


def test_what_both_have_changed_stays_ours_and_theirs_is_pending() -> None:
    mine, its = said("a", "2"), said("a", "3")
    merged, found = merge(file(A, B), file(mine, B), file(its, B, C))
    assert found == (mine, B, C)
    assert merged.clashes == (Clash("1", "changed by both"),)
    assert isinstance(merged.theirs, Cassette)
    assert merged.theirs.interactions == (its, B, C)


def test_what_one_has_removed_and_the_other_changed_stays_and_is_told() -> None:
    new = said("a", "2")
    merged, found = merge(file(A, B), file(B), file(new, B))
    assert (found, merged.clashes) == ((new, B), (Clash("1", "removed by us"),))
    merged, found = merge(file(A, B), file(new, B), file(B))
    assert (found, merged.clashes) == ((new, B), (Clash("1", "removed by them"),))


def test_two_recordings_that_say_the_same_are_no_conflict() -> None:
    mine, its = said("a", "2", id_="8", at="2026-11-22T17:00:00Z"), said("a", "2", id_="9")
    merged, found = merge(file(A), file(mine), file(its))
    assert (found, merged.clashes) == ((mine,), ())


def test_a_test_that_both_have_renamed_is_told() -> None:
    merged, _ = merge(file(A), file(A, test="t.py::one"), file(A, test="t.py::two"))
    assert merged.clashes == (Clash("test", "changed by both"),)
    assert parse_cassette(merged.content, HERE).cassette.test == "t.py::one"


def test_the_text_of_what_nobody_touched_stays_as_a_person_wrote_it() -> None:
    by_hand = file(A, B).replace(b"role: user\n", b'"role": "user"\n')
    merged, found = merge(by_hand, by_hand, file(A, B, C))
    assert merged.content.startswith(by_hand)
    assert found == (A, B, C)


def test_streams_of_two_versions_of_the_format_are_in_one_file() -> None:
    chunks = tuple(
        json.dumps({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": word}}]})
        for word in ("It", " is", " sunny", ".")
    )
    request = Request(method="POST", url=URL, json={"stream": True})
    stream = Interaction(request=request, response=Response(status=200, events=chunks))
    merged, found = merge(file(A), file(A, B), file(A, stream))
    assert merged.content.startswith(b"stepreplay: 2\n")
    assert found == (A, B, stream)


def test_snapshots_are_merged_by_their_names() -> None:
    path = Path("x.snapshots.yaml")

    def snapshots(**values: object) -> bytes:
        return codec.encode(snapshots_tree("t", values), path)

    base = snapshots(a=1, b=None)
    merged = merge_versions(base, snapshots(a=2, b=None), snapshots(a=1, b=None, c=[3]), path)
    assert parse_snapshots(merged.content, path)["snapshots"] == {"a": 2, "b": None, "c": [3]}
    merged = merge_versions(base, snapshots(a=2, b=None), snapshots(a=3), path)
    assert parse_snapshots(merged.content, path)["snapshots"] == {"a": 2}
    assert merged.clashes == (Clash("a", "changed by both"),)
    assert merged.theirs == snapshots_tree("t", {"a": 3})


@pytest.mark.parametrize(
    "broken", [b"<<<<<<< ours\n", b"interactions: []\nversion: 1\n", b"stepreplay: 9\ninteractions: []\n"]
)
def test_what_is_no_file_of_ours_is_an_error(broken: bytes) -> None:
    with pytest.raises(CassetteReadError):
        merge(file(A), file(A), broken)


# ---------------------------------------------------------------- any history

ASKED = st.sampled_from("abcd")
VERSIONS = st.lists(st.tuples(ASKED, st.sampled_from("12")), max_size=5)


@settings(max_examples=40)
@given(VERSIONS, VERSIONS, VERSIONS, st.sampled_from([".yaml", ".json"]))
def test_nothing_is_lost_whatever_both_did(
    base: list[tuple[str, str]], ours: list[tuple[str, str]], theirs: list[tuple[str, str]], suffix: str
) -> None:
    path = Path(f"x{suffix}")

    def of(side: list[tuple[str, str]]) -> bytes:
        made = tuple(said(*each) for each in side)
        return codec.encode(tree_of(Cassette(interactions=made)), path)

    merged, found = merge(of(base), of(ours), of(theirs), path)
    theirs_pending = merged.theirs.interactions if isinstance(merged.theirs, Cassette) else ()

    def count(side: list[tuple[str, str]], each: tuple[str, str]) -> int:
        return side.count(each)

    for each in {*base, *ours, *theirs}:
        kept = found.count(said(*each))
        if count(ours, each) > count(base, each) or count(theirs, each) > count(base, each):
            assert kept or said(*each) in theirs_pending, "what a side has added or changed is there"
        if (
            count(ours, each) == count(theirs, each) == count(base, each) == 1
            and [a for a, _ in (*base, *ours, *theirs)].count(each[0]) == 3
        ):
            assert kept == 1, "what nobody touched is there once"
    if ours == base:
        assert sorted(map(repr, found)) == sorted(repr(said(*each)) for each in theirs)
    assert merge(of(base), of(ours), of(ours), path)[1] == tuple(said(*each) for each in ours)
