"""What a cassette holds after several sessions have written it: nothing lost, nothing brought back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_stepreplay.models import Interaction, Request, Response
from pytest_stepreplay.session.merging import merge_recorded, merge_rewritten


def one(name: str) -> Interaction:
    """An interaction whose request is the name without its digits."""
    url = "https://x/" + name.rstrip("0123456789")
    return Interaction(request=Request(method="GET", url=url), response=Response(status=200, text=name))


def many(names: str) -> list[Interaction]:
    return [one(name) for name in names.split()]


def url(interaction: Interaction) -> str:
    return interaction.request.url


def named(interactions: tuple[Interaction, ...]) -> str:
    return " ".join(str(each.response.text) for each in interactions)


def record(known: str, now: str, done: str, *, shared: bool = False, stale: tuple[int, ...] = ()) -> str:
    """Merge a session's steps: a number in `done` is a position that was played, the rest was recorded."""
    base = many(known)
    steps = [(int(each), None) if each.isdigit() else (None, one(each)) for each in done.split()]
    # What nobody has touched comes from the file anew, so it is equal but not the same.
    return named(merge_recorded(base, many(now), steps, stale=stale, shared=shared, key=url))


def rewrite(known: str, now: str, anew: str, pairs: list[int | None], *, shared: bool = True) -> str:
    return named(merge_rewritten(many(known), many(now), many(anew), pairs, shared=shared, key=url))


def test_alone_each_new_one_stands_behind_the_one_before_it() -> None:
    assert record("a b c", "a b c", "0 x 1 y") == "a x b y c"
    unanswered: tuple[None, None] = (None, None)
    assert named(merge_recorded((), (), [unanswered], stale=(), shared=True, key=url)) == ""
    assert record("a b", "a b", "x", shared=True) == "a b x"
    assert record("a b", "a b", "x") == "x a b"


def test_what_others_appended_stays_and_ours_comes_in_its_order() -> None:
    assert record("a", "a p q", "0 x y", shared=True) == "a x y p q"
    assert record("a", "a p q", "x y", shared=True) == "a p q x y"
    assert record("", "p q", "x y", shared=True) == "p q x y"
    assert record("a b", "p a q b", "1 x", stale=(0,)) == "p q b x"


def test_what_others_removed_is_not_brought_back() -> None:
    assert record("a b c", "a c", "0 1 x 2") == "a c x"
    assert record("a b c", "", "1 x", stale=(0, 2)) == "x"


def test_two_runs_of_one_test_leave_one_recording_of_each_request() -> None:
    assert record("", "x1 y1", "x2 y2") == "x2 y2"
    assert record("", "x1 child1", "x2") == "x2 child1"
    assert record("", "x1 x2 x3", "x4") == "x4 x2 x3"


def test_in_a_shared_cassette_the_same_request_of_others_stays() -> None:
    assert record("", "x1", "x2", shared=True) == "x1 x2"


def test_equal_interactions_are_told_apart_by_their_number() -> None:
    assert record("a a", "a a a", "0 1 x", shared=True) == "a a x a"


def test_a_rewrite_replaces_in_place_only_what_it_knew() -> None:
    assert rewrite("a1 b1", "a1 p b1", "b2", [1]) == "a1 p b2"
    assert rewrite("a1", "a1", "a2 x", [0, None]) == "a2 x"


def test_what_another_rewrote_meanwhile_is_rewritten_once_more() -> None:
    assert rewrite("a1 b1", "a2 b1", "a3", [0]) == "a3 b1"
    assert rewrite("a1 a2", "a3 a4", "a5 a6", [0, 1]) == "a5 a6"
    assert rewrite("a1", "a2 a3", "a4", [0]) == "a4 a3"


def test_what_another_removed_meanwhile_is_added_anew() -> None:
    assert rewrite("a1 b1", "b1", "a2", [0]) == "b1 a2"


def test_a_rewrite_of_its_own_cassette_keeps_what_it_never_knew() -> None:
    assert rewrite("a1 b1", "a1 b1 child", "a2", [0], shared=False) == "a2 child"
    assert rewrite("a1", "a2", "a3", [0], shared=False) == "a3"


@given(
    st.lists(st.lists(st.sampled_from(["a", "b", "c"]), max_size=4), max_size=5),
    st.permutations(range(5)),
)
def test_whatever_the_order_of_sessions_all_that_they_record_is_there_once(
    sessions: list[list[str]], order: list[int]
) -> None:
    recorded = [
        [one(f"{name}{i}{j}") for j, name in enumerate(names)] for i, names in enumerate(sessions)
    ]  # each session opened the cassette while it was empty
    now: tuple[Interaction, ...] = ()
    for i in order:
        if i < len(recorded):
            steps = [(None, each) for each in recorded[i]]
            now = merge_recorded((), now, steps, stale=(), shared=True, key=url)
    assert sorted(named(now).split()) == sorted(str(each.response.text) for mine in recorded for each in mine)
