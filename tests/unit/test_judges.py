"""A project's own say on texts: a judge of two, an embedding of one, and the similarity of rapidfuzz."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_stepreplay.errors import SettingsError
from pytest_stepreplay.models import Response
from pytest_stepreplay.settings import VERIFY, Settings, read_values, text_rules
from pytest_stepreplay.settings.judges import read_judge
from pytest_stepreplay.settings.text_rules import TextRule
from pytest_stepreplay.verify import judging
from pytest_stepreplay.verify.sampling import Sampling
from tests.cli.conftest import chat, completion

JUDGES = """
asked = []

def first_word(old, new):
    return old.split()[0] == new.split()[0]

def embed(text):
    asked.append(text)
    return [text.count("a"), text.count("b"), 1]

def nothing():
    raise RuntimeError
"""


@pytest.fixture
def judges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module in the working directory, which no path of Python's names."""
    name = f"judges_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(JUDGES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return name


def accepts(value: object, old: str, new: str) -> bool:
    rule = read_judge(value)
    assert rule.accepts is not None
    return bool(rule.accepts(old, new))


def test_a_function_of_two_texts_says_whether_they_mean_the_same(judges: str) -> None:
    assert accepts(f"{judges}:first_word", "Yes, it is", "Yes.") is False
    assert accepts(f"{judges}:first_word", "Yes it is", "Yes of course")
    assert accepts(lambda old, new: True, "a", "b")


def test_a_function_of_one_text_returns_its_vector_which_is_asked_for_once(judges: str) -> None:
    rule = read_judge(f"{judges}:embed")
    assert rule.accepts is not None
    assert rule.accepts("aaaa", "aaaaa")
    assert not rule.accepts("aaaa", "bbbb")
    import importlib
    import sys

    module = sys.modules[judges]
    assert module.asked == ["aaaa", "aaaaa", "bbbb"]
    importlib.invalidate_caches()
    assert accepts(f"{judges}:embed >= 0.05", "aaaa", "bbbb")
    assert accepts(lambda text: [0.0], "a", "b") is False


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("mean_the_same", "is neither a callable nor MODULE:FUNCTION"),
        (7, "is neither a callable nor MODULE:FUNCTION"),
        ("nowhere_at_all:judge", "there is no module 'nowhere_at_all' here"),
        ("nowhere_at_all.more:judge", "there is no module 'nowhere_at_all.more' here"),
        (".:judge", "there is no module"),
        ("judges:embed>=7", "is neither a callable nor MODULE:FUNCTION"),
    ],
)
def test_what_is_no_judge_is_told(value: object, told: str) -> None:
    with pytest.raises(SettingsError, match=f"here, judge: .*{told}"):
        read_values("here", {"judge": value})


def test_a_function_that_is_not_there_leaves_the_answer_unverified(judges: str) -> None:
    settings = Settings(mode=VERIFY, judge=read_judge(f"{judges}:forgotten"))
    verdict = judging.verdict_on(settings, chat(), Response(status=200, json=completion("Hi!")), 0)
    assert verdict.status == "unverified"
    assert f"the rule {judges}:forgotten failed with AttributeError" in verdict.reason


def test_texts_that_it_accepts_are_no_drift_and_those_that_it_refuses_are_another_kind(judges: str) -> None:
    settings = Settings(mode=VERIFY, judge=read_judge(f"{judges}:first_word"), samples=5)
    stored = chat(answer=completion("Hello there!"))
    new = [Response(status=200, json=completion(text)) for text in ("Hello you!", "Good day!")]
    assert judging.verdict_on(settings, stored, new[0], 0).status == "same"
    assert judging.verdict_on(settings, stored, new[1], 0).status == "drifted"
    several = Sampling(settings, replace(stored, samples=(new[0],)))
    several.take([*new, new[1], new[1], new[1]])
    sampled = several.verdict(0).sampled
    assert sampled is not None
    assert [(recorded, now) for _, recorded, now in sampled.classes] == [(2, 1), (0, 4)]


def test_words_in_any_order_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = TextRule.parse("fuzzy >= 90%")
    assert (rule.name, rule.accepts is not None) == ("fuzzy>=0.9", True)
    assert rule.accepts
    assert rule.accepts("sunny and warm in Paris", "in Paris warm and sunny")
    assert not rule.accepts("sunny and warm in Paris", "a cold and rainy day")
    for text, told in {"fuzzy>=much": "is not a text rule", "fuzzy>=2": "more than 0 and at most 1"}.items():
        with pytest.raises(ValueError, match=told):
            TextRule.parse(text)
    monkeypatch.setattr(text_rules, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs rapidfuzz.*pip install 'pytest-stepreplay\[fuzzy\]'"):
        TextRule.parse("fuzzy>=0.9")
