"""Vectors: compared by how near they are, told by what they are, written on one line."""

from __future__ import annotations

import base64
import json
import math
import random
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_stepreplay.drift.changes import Drift
from pytest_stepreplay.drift.comparison import compare
from pytest_stepreplay.endpoints import endpoint_of
from pytest_stepreplay.endpoints.embeddings import EMBEDDINGS
from pytest_stepreplay.errors import SettingsError
from pytest_stepreplay.settings.levels import Level
from pytest_stepreplay.settings.policy import Policy
from pytest_stepreplay.store import yaml_events, yaml_parser, yaml_text
from pytest_stepreplay.wire.vectors import Vector, shorten
from tests.dialects import Dialects, encoded

RED, GREEN = (Dialects().vector(text, 256) for text in ("red", "green"))
NEAR = Dialects().vector("red", 256)
NAN = [math.nan, *RED[1:]]


def embeddings(*vectors: Any, **rest: Any) -> dict[str, Any]:
    data = [{"object": "embedding", "index": i, "embedding": it} for i, it in enumerate(vectors)]
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    return {"object": "list", "data": data, "model": "m", "usage": usage, **rest}


def drift(old: Any, new: Any, **policy: Any) -> Drift:
    return compare(embeddings(old), embeddings(new), Policy(**policy))


def test_near_is_the_same_whatever_the_encoding() -> None:
    assert RED != NEAR
    for old, new in ((RED, NEAR), (encoded(RED), encoded(NEAR)), (RED, encoded(NEAR))):
        assert not drift(old, new)
    assert endpoint_of("/v1/embeddings") is EMBEDDINGS
    assert not compare(json.dumps(embeddings(RED)), embeddings(NEAR), endpoint=EMBEDDINGS)


def test_another_vector_is_content_and_told_in_one_line() -> None:
    (change,) = drift(RED, GREEN).changes
    assert (change.selector, change.level) == ("data[0].embedding", Level.CONTENT)
    assert change.summary.startswith("256 dimensions, norm 1.000")
    assert change.summary.endswith("less than 0.999")
    assert len(json.dumps(drift(RED, GREEN).to_json())) < 600


def test_other_dimensions_or_no_vector_at_all_are_behavior() -> None:
    assert drift(RED, RED[:128]).level is Level.BEHAVIOR
    assert drift(RED, "not base64!").level is Level.BEHAVIOR
    assert drift(RED, ["a"] * 256).level is Level.CONTRACT
    more = compare(embeddings(RED), embeddings(RED, GREEN))
    assert more.level is Level.BEHAVIOR
    assert len(str(more)) < 200


def test_nan_breaks_the_contract_once_and_is_never_near() -> None:
    found = drift(RED, NAN)
    assert str(found) == (
        "data[0].embedding: expected finite numbers, or their base64, got NaN"
        " (contract: the OpenAI-compatible API reference, the list of embeddings)"
    )
    assert drift(RED, encoded(NAN)).level is Level.CONTRACT
    assert not drift(NAN, NAN)
    assert drift(NAN, RED).level is Level.BEHAVIOR
    assert compare(json.dumps(embeddings(RED)), json.dumps(embeddings(NAN))).level is Level.CONTRACT


@pytest.mark.parametrize(
    ("tolerances", "told"),
    [
        ({"data[*].embedding": "cosine>=0.99999999999"}, "less than 0.99999999999"),
        ({"data[*].embedding": 1e-12}, "are more than 1e-12 apart"),
        ({"data[*].embedding[*]": 1e-12}, "are more than 1e-12 apart"),
        ({"data[*].embedding": "cosine>=0", "data[*].embedding[*]": "0.001%"}, "are more than 0.001% apart"),
        ({"data[*].embedding": 0.01}, ""),
        ({"data[*].embedding": "cosine >= 99%", "data[*].embedding[*]": 0.01}, ""),
    ],
)
def test_a_policy_says_how_near(tolerances: dict[str, Any], told: str) -> None:
    found = drift(RED, NEAR, tolerances=tolerances)
    assert told in str(found) if told else not found


def test_a_bad_cosine_is_refused() -> None:
    with pytest.raises(SettingsError, match="a cosine is from -1 to 1, not 2"):
        Policy(tolerances={"data[*].embedding": "cosine>=2"})
    with pytest.raises(SettingsError, match="how alike it must be"):
        Policy(tolerances={"data[*].embedding": "near"})


def test_many_numbers_are_told_as_a_vector_in_any_answer() -> None:
    found = compare({"weights": RED}, {"weights": NEAR})
    assert "256 of 256 values differ, the first [0]" in str(found)
    assert not compare({"weights": RED}, {"weights": NEAR}, Policy(tolerances={"weights": "cosine>=0.99"}))


def test_vectors_of_zeros_of_giants_and_of_nothing() -> None:
    zeros, giants = Vector([0.0, 0.0]), Vector([1e308, 1e308])
    assert (zeros.cosine(zeros), zeros.cosine(giants)) == (1.0, 0.0)
    assert giants.cosine(Vector([1e-300, 1e-300])) == pytest.approx(1)
    assert str(Vector([1, math.inf])) == "2 dimensions, 1 of them not finite"
    assert [Vector.read(it) for it in ([], [True], "AAA", "AAAA", None, [1, None])] == [None] * 6
    assert shorten({"a": [RED], "b": 1}) == {"a": [f"[{Vector(RED)}]"], "b": 1}


@given(st.lists(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)), max_size=40))
def test_a_row_of_numbers_comes_back_from_its_line(numbers: list[Any]) -> None:
    tree = {"a": {"b": numbers}, "c": [numbers, "x"]}
    text = yaml_text.render_yaml(tree)
    assert repr(yaml_parser.parse(text)) == repr(tree)
    assert repr(yaml_events.parse_any(text, None)) == repr(tree)
    assert yaml.safe_load(text) == tree
    assert len(numbers) < yaml_text.ROW or len(text.splitlines()) == 5


@pytest.mark.parametrize(
    "row", ["[1, 2", "[1, a]", "[1,2]", "[", "[" + "1, " * 16 + "]", f"[{'1, ' * 16}'x']"]
)
def test_no_other_row_is_taken_for_one(row: str) -> None:
    with pytest.raises(yaml_parser.UnusualTextError):
        yaml_parser.parse(f"a: {row}\n")


def test_a_long_text_of_base64_is_told_and_never_printed() -> None:
    def drawn(seed: int) -> str:
        return base64.b64encode(random.Random(seed).randbytes(3000)).decode()

    old, new = (
        {"image": {"url": f"data:image/png;base64,{drawn(seed)}"}, "raw": drawn(seed)} for seed in (1, 2)
    )
    drift = compare(old, new)
    told = r'"3,000 bytes in base64, SHA-256 \w{16}" -> "3,000 bytes in base64, SHA-256 \w{16}"'
    assert re.search(rf"raw: {told}", drift.full())
    assert 'image.url: "image/png, 3,000 bytes in base64, SHA-256 ' in drift.full()
    for text in (drift.full(), drift.to_markdown(), json.dumps(drift.to_json()), json.dumps(shorten([old]))):
        assert len(text) < 1200
    assert shorten("word " * 400) == "word " * 400
    message = {
        "role": "assistant",
        "content": "x",
        "audio": {"id": "a", "data": drawn(1), "transcript": "Hi"},
    }
    spoken = {"object": "chat.completion", "choices": [{"index": 0, "message": message}]}
    again = json.loads(json.dumps(spoken).replace(drawn(1), drawn(2)))
    assert not compare(spoken, again)
