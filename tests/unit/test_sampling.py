"""Chance is told from change at the stated rate, and with few calls; classes of answers are those that drift makes."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from scipy import stats

from pytest_stepreplay.errors import StepReplayError
from pytest_stepreplay.models import Response
from pytest_stepreplay.report import sampled
from pytest_stepreplay.report.merged_runs import merge_reports
from pytest_stepreplay.report.renderers import render
from pytest_stepreplay.report.verified_runs import VerifiedRun
from pytest_stepreplay.settings import VERIFY, Settings
from pytest_stepreplay.verify import chances, judging
from pytest_stepreplay.verify.chances import Chances
from pytest_stepreplay.verify.sampling import Sampling
from tests.cli.conftest import chat, completion
from tests.docs import measure_samples as measured


def test_a_change_is_found_and_chance_is_not_taken_for_one() -> None:
    same, other = (measured.runs(60, 60, 0.9, now) for now in (0.9, 0.6))
    assert measured.share_of("changed", same) <= 0.05
    assert measured.share_of("changed", other) >= 0.9
    assert measured.calls_of(same) < 60 / 2
    assert measured.calls_of(other) < 60 * 2 / 3
    text = measured.PAGE.read_text(encoding="utf-8")
    assert measured.row(60, 60) in text
    assert all(f"| {recorded} | {most} |" in text for recorded, most in measured.ROWS)


def test_false_alarms_stay_below_the_rate_with_many_kinds_of_answers_and_small_baselines() -> None:
    drawn = random.Random(3)
    for recorded, most, kinds in ((10, 30, 3), (20, 20, 6)):
        alarms = 0
        for _ in range(200):
            sides = [[drawn.randrange(kinds) for _ in range(size)] for size in (recorded, most)]
            known = Chances()
            for look in chances.looks(most):
                old, new = (
                    [side.count(each) for each in range(kinds)] for side in (sides[0], sides[1][:look])
                )
                known = known.after(look, most, old, new)
            alarms += known.alarm <= 0.05
        assert alarms <= 200 * 0.05


@pytest.mark.parametrize(("recorded", "new"), [((54, 6), (11, 9)), ((1, 0), (0, 30)), ((13, 7), (2, 11))])
def test_the_chance_of_a_division_is_fishers(recorded: tuple[int, int], new: tuple[int, int]) -> None:
    known = Chances().after(sum(new), sum(new), recorded, new)
    looks = chances.looks(sum(new))
    spent = 1 - (looks[-2] / sum(new)) ** 3
    assert known.alarm * spent == pytest.approx(stats.fisher_exact([recorded, new])[1])


def test_looks_grow_and_end_with_the_last_answer() -> None:
    assert chances.looks(60) == (5, 8, 12, 18, 27, 40, 60)
    assert [chances.looks(each) for each in (1, 2, 5, 8)] == [(1,), (2,), (5,), (5, 8)]


def test_no_answer_at_all_is_no_evidence() -> None:
    assert Chances().after(5, 5, [3], [0]) == Chances()


def sampling(*recorded: dict[str, Any], samples: int = 5, **settings: Any) -> Sampling:
    answers = [Response(status=200, json=each) for each in recorded]
    stored = replace(chat(response=answers[0]), samples=tuple(answers[1:]))
    return Sampling(Settings(mode=VERIFY, samples=samples, **settings), stored)


def classes(several: Sampling, *new: dict[str, Any]) -> list[tuple[int, int]]:
    several.take([Response(status=200, json=each) for each in new])
    sampled = several.verdict(0).sampled
    assert sampled is not None
    return [(recorded, now) for _, recorded, now in sampled.classes]


def test_answers_are_of_one_kind_where_nothing_differs_that_counts() -> None:
    said = (completion("Hi!"), completion("Good day!"), completion("Hel", "length"))
    assert classes(sampling(completion()), *said) == [(1, 2), (0, 1)]
    assert classes(sampling(completion(), fail_on="content"), *said) == [(1, 0), (0, 1), (0, 1), (0, 1)]
    rule = {"choices[*].message.content": lambda old, new: len(old) < 9 and len(new) < 9}
    alike = sampling(completion(), fail_on="content", text=tuple(rule.items()))
    assert classes(alike, *said) == [(1, 1), (0, 1), (0, 1)]
    assert classes(sampling(completion(), fail_on="never"), *said) == [(1, 2), (0, 1)]


def test_an_answer_that_cannot_be_compared_is_told() -> None:
    def fail(old: str, new: str) -> bool:
        raise RuntimeError("no judge")

    several = sampling(completion(), fail_on="content", text=(("choices[*].message.content", fail),))
    several.take([Response(status=200, json=completion("Hi!"))])
    verdict = several.verdict(0)
    assert (verdict.status, several.is_over) == ("unverified", True)
    assert verdict.reason.endswith("the rule fail failed with RuntimeError")


def test_the_new_answer_is_compared_with_what_has_become_rarer() -> None:
    usual, rare = completion(), completion("Hel", "length")
    several = sampling(rare, *[usual] * 3, *[rare] * 16, samples=20)
    while not several.is_over:
        several.take([Response(status=200, json=usual)] * (several.wanted - several.asked))
    verdict = several.verdict(0)
    assert verdict.drift is not None
    assert verdict.sampled is not None
    assert (verdict.status, verdict.sampled.verdict, verdict.sampled.asked) == ("drifted", "changed", 6)
    assert str(verdict.drift).startswith("choices[0].finish_reason: length -> stop")


def test_where_nothing_is_answered_any_more_it_is_not_asked_again() -> None:
    several = sampling(completion(), samples=20)
    several.take(["the server answered 500", *[Response(status=200, json=completion())] * 2, *["no"] * 3])
    assert not several.is_over
    several.take(["no"] * 3)
    assert several.is_over
    assert several.verdict(0).reason == "not decided after 9 of 20 answers: the server answered 500"
    assert sampling(completion()).verdict(0, left="not asked: no key").reason == "not asked: no key"


def test_every_form_of_a_report_tells_what_was_asked_and_what_came() -> None:
    hostile = "<img src=x> | \x1b[2J"
    several = sampling(completion(hostile), *[completion()] * 5, samples=5, fail_on="content")
    several.take([Response(status=200, json=completion(hostile))] * 5)
    stored = chat(answer=completion(hostile))
    result = judging.result_of(several.verdict(0), stored, test="test_x.py::test_y", path="a.yaml")
    run = VerifiedRun([result])
    for form in ("terminal", "markdown", "html", "json"):
        rendered = render(run, form)
        assert "\x1b" not in rendered
        if form == "json":
            tree = json.loads(rendered)
            (read,) = merge_reports([("r.json", rendered)]).run.results
            assert read["samples"] == tree["interactions"][0]["samples"]
            del read["samples"]["classes"][0]["new"]
            tree["interactions"] = [read]
            with pytest.raises(StepReplayError, match=r"r\.json"):
                merge_reports([("r.json", json.dumps(tree))])
            continue
        told = " ".join(rendered.split())
        assert "sampled 1 interaction: 1 changed, 0 not changed, 0 not decided (error rate 5%)" in told
        assert "changed: asked 5 of 5, p = 0.015" in told
        assert "5 of 6 (83%)" in told
        assert form != "html" or "<img" not in rendered
    rows = [{"answer": str(each), "recorded": 1, "new": 0} for each in range(9)]
    assert sampled.class_rows({"classes": rows})[-1] == ("3 other kinds of answers", "3 of 9 (33%)", "0 of 0")
