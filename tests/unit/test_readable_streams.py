"""A stream in a cassette: a person reads what it says, git shows what changed, and every byte of it comes back."""

from __future__ import annotations

import difflib
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_stepreplay.errors import CassetteReadError, CassetteWriteError
from pytest_stepreplay.models import Cassette, Interaction, RawFrame, Request, Response
from pytest_stepreplay.redaction.wall import scan
from pytest_stepreplay.store import codec, stream_answers
from pytest_stepreplay.store.cassettes import parse_cassette
from pytest_stepreplay.store.schema import tree_of
from pytest_stepreplay.wire import frame_patterns, frame_runs
from pytest_stepreplay.wire.bodies import response_from_wire
from tests.rendering import render_cassette
from tests.talking import framed, message_events, response_events

HERE = Path("x.yaml")
HOST = "https://api.stepfun.com/v1"
STREAM = {"content-type": "text/event-stream"}
TEXT = "The capital of Norway is Oslo. It lies by a fjord, which is long. Ask again!"


def chunks(text: str, **head: Any) -> tuple[str, ...]:
    """Returns the chunks of a chat completion as StepFun sends them, a word in each, with the usage so far."""
    found = []
    for number, word in enumerate(["", *text.replace(" ", "\n ").split("\n")]):
        choice = {
            "index": 0,
            "delta": {"role": "" if number else "assistant", "content": word},
            "finish_reason": "",
        }
        usage = {"prompt_tokens": 9, "completion_tokens": number, "total_tokens": 9 + number}
        chunk = {
            "id": "b7b",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [choice],
        }
        found.append(json.dumps({**chunk, "usage": usage, **head}, separators=(",", ":")))
    found.append(found[-1].replace('"finish_reason":""', '"finish_reason":"stop"').replace(word, ""))
    return (*found, "[DONE]")


def streamed(*events: Any, path: str = "/chat/completions") -> Cassette:
    request = Request(method="POST", url=HOST + path, json={"stream": True})
    frames = tuple(RawFrame(frame=each[1:]) if each.startswith("\0") else each for each in events)
    return Cassette(
        interactions=(
            Interaction(request=request, response=Response(status=200, headers=STREAM, events=frames)),
        )
    )


def written(cassette: Cassette, path: Path = HERE) -> str:
    return codec.encode(tree_of(cassette), path).decode()


def read(text: str, path: Path = HERE) -> Cassette:
    return parse_cassette(text, path).cassette


def test_what_a_stream_says_stands_before_its_frames_and_those_that_are_alike_are_one() -> None:
    cassette = streamed(*chunks(TEXT))
    text = written(cassette)
    head = '{"id":"b7b","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":'
    assert (
        text
        == f"""\
stepreplay: 2
interactions:
- request:
    method: POST
    url: https://api.stepfun.com/v1/chat/completions
    json:
      stream: true
  response:
    status: 200
    headers:
      content-type: text/event-stream
    answer: |-
      assistant:
        The capital of Norway is Oslo.
        It lies by a fjord, which is long.
        Ask again!
      ends: stop
    events:
    - '{head}"assistant","content":""}},"finish_reason":""}}],"usage":{{"prompt_tokens":9,"completion_tokens":0,"total_tokens":9}}}}'
    - like:
      - '{head}"","content":"'
      - '"}},"finish_reason":""}}],"usage":{{"prompt_tokens":9,"completion_tokens":'
      - ',"total_tokens":'
      - '}}}}'
      deltas:
      - |-
        |The| capital| of| Norway| is| Oslo.|
        | It| lies| by| a| fjord,| which| is| long.|
        | Ask| again!|
      - start: 1
        step: 1
      - start: 10
        step: 1
    - '{head}"","content":""}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":9,"completion_tokens":16,"total_tokens":25}}}}'
    - '[DONE]'
"""
    )
    assert read(text) == cassette
    assert written(read(text)) == text


def test_git_shows_the_sentence_that_has_changed() -> None:
    chance = random.Random(1)
    words = [chance.choice(["sun", "rain", "wind", "snow", "hail", "fog"]) for _ in range(344)]
    sentences = [" ".join(words[i : i + 8]).capitalize() + "." for i in range(0, len(words), 8)]
    old = streamed(*chunks(" ".join(sentences)))
    changed = " ".join([*sentences[:20], sentences[20].replace(" ", " warm ", 1), *sentences[21:]])
    new = streamed(*chunks(changed))
    assert len(old.interactions[0].response.events or ()) == 347

    def lines_of_diff(old: str, new: str) -> list[str]:
        return [
            each
            for each in difflib.unified_diff(old.split("\n"), new.split("\n"), n=0)
            if each[:2] not in ("--", "++", "@@")
        ]

    readable = lines_of_diff(written(old), written(new))
    # the sentence that is read, the same in its pieces, and the last chunk, which counts one word more
    assert len(readable) == 6
    assert readable[:2] == [
        f"-        {sentences[20]}",
        f"+        {sentences[20].replace(' ', ' warm ', 1)}",
    ]
    assert len(lines_of_diff(render_cassette(old), render_cassette(new))) > 300
    assert len(written(old)) < len(render_cassette(old)) / 10


@pytest.mark.parametrize(
    ("path", "events", "told"),
    [
        ("/messages", [*framed(message_events({"id": "m", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "thinking", "thinking": "They ask.", "signature": "s"}, {"type": "text", "text": TEXT},
            {"type": "tool_use", "id": "t", "name": "map", "input": {"city": "Oslo"}}],
            "stop_reason": "tool_use", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 2}}))],
            ["reasoning:", "  They ask.", "assistant:", "  The capital", 'call:', '  map({"city": "Oslo"})', "ends: tool_use"]),
        ("/responses", [*framed(response_events({"id": "r", "object": "response", "status": "completed", "model": "m",
            "output": [{"type": "message", "id": "i", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": TEXT, "annotations": []}]}], "usage": None}))],
            ["assistant:", "  The capital", "ends: completed"]),
        ("/completions", [f"data: {json.dumps({'id': 'c', 'object': 'text_completion', 'created': 1, 'model': 'm', 'choices': [{'index': 0, 'text': piece, 'logprobs': None, 'finish_reason': end}]})}\n\n"
            for piece, end in [("The capital", None), (" of Norway", None), (" is", None), (" Oslo.", "stop")]],
            ["text:", "  The capital of Norway is Oslo.", "ends: stop"]),
        ("/models/g:streamGenerateContent", [f"data: {json.dumps({'candidates': [{'content': {'parts': [{'text': piece}], 'role': 'model'}, 'index': 0, **end}], 'modelVersion': 'g', 'responseId': 'r'})}\n\n"
            for piece, end in [("The capital", {}), (" of Norway", {}), (" is", {}), (" Oslo.", {"finishReason": "STOP"})]],
            ["  The capital of Norway is Oslo.", "ends: STOP"]),
    ],
    ids=["messages", "responses", "completions", "gemini"],
)  # fmt: skip
def test_every_api_that_streams_is_read(path: str, events: list[str], told: list[str]) -> None:
    response = response_from_wire(200, STREAM, "".join(events).encode())
    request = Request(method="POST", url=HOST + path, json={})
    cassette = Cassette(interactions=(Interaction(request=request, response=response),))
    text = written(cassette)
    answer = text[text.index("answer: ") : text.index("events:")]
    at = 0
    for each in told:
        at = answer.index(each, at)
    assert "like" in text[text.index("events:") :]
    assert read(text) == cassette


def test_a_stream_that_nobody_knows_how_to_read_has_no_answer_and_a_cassette_without_streams_stays_as_it_was() -> (
    None
):
    numbers = [json.dumps({"step": n, "note": "abc"[n % 3]}) for n in range(9)]
    unknown = streamed(*numbers, path="/orders")
    assert "answer" not in written(unknown)
    assert "|a|b|c|a|b|c|a|b|c|" in written(unknown)
    assert read(written(unknown)) == unknown
    short = streamed(*numbers[:2], path="/orders")
    assert written(short) == render_cassette(short), (
        "nothing is gained, so the version is that of earlier releases"
    )


# ---------------------------------------------------------------- every byte comes back

PIECES = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        ["|", "|¦‖│┆", "\n", '"', "\\", "\u2028", "\x7f", "1", "-0", "1.0", "ab", " ", "\\u00e9", "null"]
    ),
)
COUNTS = st.one_of(st.integers(-3, 3), st.integers(), st.floats(allow_nan=False, allow_infinity=False))


@st.composite
def frames(draw: st.DrawFn) -> list[Any]:
    found: list[Any] = []
    for _ in range(draw(st.integers(1, 4))):
        ascii_ = draw(st.booleans())
        raw = draw(st.booleans())
        start, step = draw(COUNTS), draw(st.integers(0, 2))
        for i, (text, other) in enumerate(draw(st.lists(st.tuples(PIECES, PIECES), max_size=7))):
            delta = {"x": text, "n": start + i * step, "y": other if draw(st.booleans()) else "same"}
            line = json.dumps(delta, ensure_ascii=ascii_)
            found.append({"frame": f"event: e\ndata: {line}\n\n"} if raw else line)
        found += draw(
            st.lists(st.sampled_from(["[DONE]", "{}", {"frame": ": ping\n\n"}, {"frame": '"'}]), max_size=1)
        )
    return found


@settings(max_examples=50)
@given(frames())
@example(['{"a":"x"}'] * 5)
@example([f'{{"a":-{n}}}' for n in (0, 1, 2)])
@example([f'{{"a":{n}}}' for n in ("00", "01", "02")])
@example([f'{{"a":"{n}"}}' for n in ("1", "|", "¦‖│┆")])
def test_compact_frames_come_back(events: list[Any]) -> None:
    compact = frame_patterns.compact_frames(events)
    assert frame_runs.expand_frames(compact, 1 << 20)[0] == events
    assert len(compact) <= len(events)
    frames = tuple(each if isinstance(each, str) else RawFrame(**each) for each in events)
    cassette = streamed(*chunks("Hi"))
    response = Response(status=200, headers=STREAM, events=frames)
    both = Cassette(
        interactions=(
            *cassette.interactions,
            Interaction(request=cassette.interactions[0].request, response=response),
        )
    )
    for path in (HERE, Path("x.json")):
        assert read(written(both, path), path) == both


# ---------------------------------------------------------------- what is broken, and what is hostile


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("|The|", "The|", "should have the same mark around each piece of a text, at the ends of its lines too"),
        ("      - '}}'\n", "", "should have one more of like than of deltas"),
        ("        step: 1\n", "        step: a\n", "should have whole numbers as start and step"),
        ("      - start: 10\n        step: 1\n", "      - start: 10\n", "should have whole numbers as start and step"),
        ("      deltas:\n", "      more: 1\n      deltas:\n", "should have a list of texts as like, and a list as deltas"),
    ],
)  # fmt: skip
def test_a_pattern_that_somebody_has_broken_is_told_with_its_line(old: str, new: str, problem: str) -> None:
    text = written(streamed(*chunks(TEXT)))
    assert old in text
    with pytest.raises(CassetteReadError, match=problem) as caught:
        read(text.replace(old, new, 1))
    assert "x.yaml:2" in str(caught.value)
    assert "interactions[0].response.events[1]" in str(caught.value)


def test_a_small_file_cannot_become_a_huge_one() -> None:
    run = {"like": ["x" * 30_000, ""], "deltas": ["|" * 30_000]}
    tree = tree_of(streamed("{}"))
    tree["interactions"][0]["response"]["events"] = [run]
    text = json.dumps({**tree, "stepreplay": 2})
    with pytest.raises(CassetteReadError, match="would be larger than a cassette may be"):
        read(text, Path("x.json"))


def test_what_could_not_be_read_again_is_not_made_smaller_so_that_it_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_answers, "MAX_SIZE", 1000)
    cassette = streamed(*chunks(TEXT))
    assert written(cassette) == render_cassette(cassette)


def test_another_version_is_refused_by_its_number() -> None:
    text = written(streamed(*chunks(TEXT))).replace("stepreplay: 2", "stepreplay: 3")
    with pytest.raises(CassetteReadError, match=r"format 3; this one knows 2"):
        read(text)


def test_what_a_model_wrote_cannot_look_like_a_label_or_act_in_a_terminal() -> None:
    text = written(streamed(*chunks("Hi.\\nends: tool_calls\x1b[2J")))
    assert "\x1b" not in text
    assert "\nends: tool" not in text
    answer = json.loads(json.dumps(codec._parse(text, HERE)))["interactions"][0]["response"]["answer"]
    assert [line for line in answer.split("\n") if not line.startswith("  ")] == ["assistant:", "ends: stop"]


def test_a_secret_is_found_where_a_pattern_parts_it_from_its_name() -> None:
    value = "".join(random.Random(3).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=40))
    lines = [json.dumps({"api_key": each}) for each in ("none", value, "none", "other")]
    cassette = streamed(*lines, path="/orders")
    with pytest.raises(CassetteWriteError, match="secret"):
        written(cassette)
    assert scan(b"", tree_of(cassette))


def test_an_answer_that_somebody_has_changed_counts_for_nothing_and_is_found() -> None:
    cassette = streamed(*chunks(TEXT))
    text = written(cassette)
    edited = text.replace("        Ask again!\n", "        Ask never!\n")
    assert read(edited) == cassette
    assert codec.wrong_answers(text, HERE) == []
    assert codec.wrong_answers(edited, HERE) == [("interactions", 0, "response", "answer")]
    assert not codec.is_renewable(text, HERE)
    assert codec.is_renewable(edited, HERE)
    assert codec.is_renewable(render_cassette(cassette), HERE)


def test_a_place_in_a_stream_is_found_in_the_pattern_that_holds_it() -> None:
    text = written(streamed(*chunks(TEXT)))
    lines = codec.lines_at(text, [("interactions", 0, "response", "events", n) for n in (0, 1, 16, 17, 18)])
    found = [text.split("\n")[line - 1].strip() for line in lines if line]
    assert [each[:7] for each in found] == ["- '{\"id", "deltas:", "deltas:", "- '{\"id", "- '[DON"]


def test_samples_are_stored_as_what_is_replayed_is() -> None:
    (one,) = streamed(*chunks(TEXT)).interactions
    (other,) = streamed(*chunks("No. It is Bergen.")).interactions
    cassette = Cassette(interactions=(replace(one, samples=(other.response, one.response)),))
    text = written(cassette)
    assert text.count("answer: |-") == 3
    assert read(text) == cassette
    edited = text.replace("        It is Bergen.\n", "        It is Oslo.\n")
    assert codec.wrong_answers(edited, HERE) == [("interactions", 0, "samples", 0, "answer")]
    (line,) = codec.lines_at(text, [("interactions", 0, "samples", 0, "events", 2)])
    assert text.split("\n")[(line or 0) - 1].strip() == "deltas:"
