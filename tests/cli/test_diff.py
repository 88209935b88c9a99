"""`stepreplay diff`: what is compared with what, and when it is a finding."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from typing import Any

import pytest

from pytest_stepreplay.cli.diff import FAIL_ON as CHOICES
from pytest_stepreplay.models import RawFrame, Request, Response
from pytest_stepreplay.settings.levels import FAIL_ON

from .conftest import URL, Project, chat, completion, user


def fresh(**changes: Any) -> dict[str, Any]:
    """Returns the same completion from another call."""
    return completion() | {"id": "another", "created": 1}


def test_what_is_volatile_is_no_difference(project: Project) -> None:
    project.write("a.yaml", chat())
    project.write("b.yaml", chat(answer=fresh()))
    result = project.run("diff", "a.yaml", "b.yaml")
    assert (result.status, result.out) == (0, "no difference except in volatile fields\n")


def test_a_changed_text_is_found(project: Project) -> None:
    project.write("a.yaml", chat())
    project.write("b.yaml", chat(answer=completion("Hi there!")))
    result = project.run("diff", "a.yaml", "b.yaml")
    assert result.status == 1
    assert "content" in result.out
    assert "choices[0].message.content" in result.out


def test_what_went_is_red_and_what_came_green(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("a.yaml", chat(answer=completion("Say hello.")))
    project.write("b.yaml", chat(answer=completion("Say goodbye.")))
    told = "Say [-hello-]{+goodbye+}. (similarity"
    colored = "Say \x1b[31m[-hello-]\x1b[0m\x1b[32m{+goodbye+}\x1b[0m. (similarity"
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for options, environment, expected in (
        ((), {}, told),
        (("--color", "yes"), {}, colored),
        (("--color=yes",), {"NO_COLOR": "1"}, colored),
        ((), {"FORCE_COLOR": "1", "TERM": "xterm"}, colored),
        ((), {"FORCE_COLOR": "1", "TERM": "xterm", "NO_COLOR": "1"}, told),
        (("--color", "no"), {"FORCE_COLOR": "1", "TERM": "xterm"}, told),
    ):
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            assert expected in project.run("diff", "a.yaml", "b.yaml", *options).out, (options, environment)
    assert "is not one of auto, yes, no" in project.run("diff", "a.yaml", "b.yaml", "--color=maybe").err


def test_levels_are_those_of_the_drift_room() -> None:
    assert CHOICES == FAIL_ON


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (completion("Hi!"), "content"),
        (completion("Hello!", "length"), "behavior"),
        (completion() | {"model": "step-3.7-flash"}, "metadata"),
        ({key: value for key, value in completion().items() if key != "choices"}, "contract"),
    ],
)
def test_fail_on_decides_the_exit_status(project: Project, answer: Any, level: str) -> None:
    project.write("a.yaml", chat())
    project.write("b.yaml", chat(answer=answer))
    order = ["metadata", "content", "behavior", "contract", "never"]
    found = [project.run("diff", "a.yaml", "b.yaml", "--fail-on", it).status for it in order]
    assert found == [int(it != "never" and order.index(it) <= order.index(level)) for it in order]
    assert project.run("diff", "a.yaml", "b.yaml", "--json").json["level"] == level
    assert project.run("diff", "a.yaml", "b.yaml", "--fail-on", "all").status == 2


def test_equal_requests_are_compared_whatever_their_order(project: Project) -> None:
    one, two = chat(user("One."), answer=completion("1")), chat(user("Two."), answer=completion("2"))
    project.write("a.yaml", one, two)
    project.write("b.yaml", two, one)
    result = project.run("diff", "a.yaml", "b.yaml")
    assert result.status == 0
    assert result.out == (
        f'2 -> 1  POST {URL}  "Two."\nno difference except in volatile fields\n\n'
        f'1 -> 2  POST {URL}  "One."\nno difference except in volatile fields\n\n'
        "2 responses compared, 0 drifted\n"
    )


def test_equal_requests_of_one_cassette_are_compared_in_their_order(project: Project) -> None:
    project.write("a.yaml", chat(answer=completion("1")), chat(answer=completion("2")))
    project.write("b.yaml", chat(answer=completion("1")), chat(answer=completion("3")))
    result = project.run("diff", "a.yaml", "b.yaml", "--json")
    assert [(it["a"], it["b"], it["drift"]["level"]) for it in result.json["compared"]] == [
        (1, 1, "none"),
        (2, 2, "content"),
    ]


def test_later_turns_are_compared_though_they_hold_the_changed_answer(project: Project) -> None:
    def talk(answer: str) -> list[Any]:
        later = [user("One."), {"role": "assistant", "content": answer}, user("x" * 100)]
        return [chat(user("One."), answer=completion(answer)), chat(*later, answer=completion("End."))]

    project.write("a.yaml", *talk("1"))
    project.write("b.yaml", *talk("I"))
    result = project.run("diff", "a.yaml", "b.yaml")
    assert f'2  POST {URL}  "{"x" * 60}…"\nthe requests differ too\nno difference except' in result.out
    assert result.out.endswith("2 responses compared, 1 drifted\n")


def test_a_response_that_only_one_side_has_is_found(project: Project) -> None:
    project.write("a.yaml", chat(user("One.")), chat(user("Two.")))
    project.write("b.yaml", chat(user("One.")))
    result = project.run("diff", "a.yaml", "b.yaml")
    assert result.status == 1
    assert f'only in a.yaml: 2  POST {URL}  "Two."' in result.out
    assert project.run("diff", "a.yaml", "b.yaml", "--fail-on", "contract").status == 0
    reverse = project.run("diff", "b.yaml", "a.yaml", "--json")
    assert (reverse.status, reverse.json["only_in_a"], reverse.json["only_in_b"]) == (1, [], [2])
    assert "only in a.yaml: 2" in project.run("diff", "b.yaml", "a.yaml").out


def test_the_contract_is_that_of_the_host(project: Project) -> None:
    """Only StepFun's documentation asks for usage in a plain response."""
    answer = {key: value for key, value in completion().items() if key != "usage"}
    levels = []
    for url in (URL, "https://api.openai.com/v1/chat/completions"):
        project.write("a.yaml", chat(url=url))
        project.write("b.yaml", chat(url=url, answer=answer))
        levels.append(project.run("diff", "a.yaml", "b.yaml", "--json").json["level"])
    assert levels[0] == "contract"
    assert levels[1] != "contract"


def stream(*texts: str) -> str:
    chunk = {**completion(), "object": "chat.completion.chunk", "usage": completion()["usage"]}
    frames = []
    for at, text in enumerate(texts):
        delta = {"role": "assistant" if at == 0 else "", "content": text}
        choice = {"index": 0, "delta": delta, "finish_reason": "stop" if text is texts[-1] else ""}
        frames.append(f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\n")
    return "".join([*frames, "data: [DONE]\n\n"])


def test_files_with_completions_and_streams_are_compared(project: Project) -> None:
    for name, text in {
        "plain.json": json.dumps(fresh()),
        "list.json": json.dumps([fresh(), completion("Hi!")]),
        "stream.txt": stream("", "Hel", "lo!"),
        "bom.json": "\ufeff" + json.dumps(completion()),
    }.items():
        (project.path / name).write_text(text, encoding="utf-8")
    project.write("a.yaml", chat())
    project.write(
        "s.yaml", chat(response=Response(status=200, events=tuple(_payloads(stream("Hello", "!")))))
    )
    for pair in [
        ("plain.json", "bom.json"),
        ("a.yaml", "plain.json"),
        ("stream.txt", "a.yaml"),
        ("s.yaml", "stream.txt"),
    ]:
        assert project.run("diff", *pair).out == "no difference except in volatile fields\n", pair
    both = project.run("diff", "list.json", "list.json")
    assert (both.status, both.out.splitlines()[:2]) == (0, ["1", "no difference except in volatile fields"])
    project.write("cassette.json", chat())
    assert project.run("diff", "cassette.json", "a.yaml").out == "no difference except in volatile fields\n"


def _payloads(text: str) -> list[str]:
    return [frame.removeprefix("data: ") for frame in text.strip().split("\n\n")]


def test_one_side_may_come_from_stdin(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def pipe(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    project.write("a.yaml", chat())
    pipe(json.dumps(fresh()).encode())
    assert project.run("diff", "a.yaml", "-").status == 0
    pipe(b"no completion at all")
    result = project.run("diff", "-", "a.yaml")
    assert (result.status, result.err) == (
        2,
        "stepreplay: stdin holds neither a chat completion as JSON nor a stream of server-sent events\n",
    )
    assert "only one of A and B can be -" in project.run("diff", "-", "-").err


def test_what_cannot_be_compared_is_a_mistake(project: Project) -> None:
    project.write("a.yaml", chat())
    project.write("empty.yaml")
    (project.path / "broken.yaml").write_text("interactions: [", encoding="utf-8")
    (project.path / "deep.json").write_text("[" * 100_000, encoding="utf-8")
    for name in ("empty.yaml", "broken.yaml", "deep.json", "nowhere.yaml"):
        result = project.run("diff", "a.yaml", name)
        assert (result.status, result.out) == (2, ""), name
        assert result.err.startswith("stepreplay: ")
        assert name in result.err
        assert "Traceback" not in result.err


def test_other_bodies_are_compared_too(project: Project) -> None:
    def other(**body: Any) -> Any:
        request = Request(method="GET", url="https://example.com/x")
        return replace(chat(response=Response(status=200, **body)), request=request)

    project.write("a.yaml", other(text="One two."), other(base64="//4="), other())
    project.write("b.yaml", other(text="One three."), other(base64="//4="), other())
    result = project.run("diff", "a.yaml", "b.yaml")
    assert result.status == 1
    assert "1  GET https://example.com/x\n" in result.out
    assert result.out.endswith("3 responses compared, 1 drifted\n")


def test_a_cassette_of_frames_is_a_cassette(project: Project) -> None:
    """Its text holds lines that begin with ``data:``, but it is no stream itself."""
    frame = RawFrame(frame='event: a\ndata: {"type": "response.created", "response": {"id": "%s"}}\n\n')
    for name in "ab":
        event = replace(frame, frame=frame.frame % name)
        project.write(f"{name}.yaml", chat(response=Response(status=200, events=(event,))))
    assert project.run("diff", "a.yaml", "b.yaml").out == "no difference except in volatile fields\n"
