from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_stepreplay.drift import keeping
from pytest_stepreplay.drift.answers import read_answer
from pytest_stepreplay.drift.keeping import body_of, keep_volatile
from pytest_stepreplay.matching.keys import Index, Matcher
from pytest_stepreplay.models import Cassette, Interaction, RawFrame, Request, Response
from pytest_stepreplay.store.cassettes import parse_cassette
from pytest_stepreplay.wire.events import json_chunks_of
from tests.rendering import render_cassette

FEWER = settings(max_examples=60)
URL = "https://api.stepfun.com/v1/chat/completions"
JSON_TYPE = {"content-type": "application/json"}


@dataclass(frozen=True)
class Turn:
    """What the model answers once: a text, or calls of functions."""

    content: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    usage: int = 10


@dataclass(frozen=True)
class Server:
    """A model whose answers are the same on every run, but for what is volatile."""

    run: str
    stream: bool = False
    ids: tuple[str, ...] = ()

    def answers(self, turns: list[Turn]) -> list[Response]:
        numbers = (f"call_{self.run}{i}" for i in itertools.count())
        ids = itertools.chain(self.ids, numbers)
        return [self._answer(n, turn, ids) for n, turn in enumerate(turns)]

    def _answer(self, n: int, turn: Turn, ids: Any) -> Response:
        calls = [
            {"id": next(ids), "type": "function", "function": {"name": name, "arguments": arguments}}
            for name, arguments in turn.calls
        ]
        message = {"role": "assistant", "content": turn.content, **({"tool_calls": calls} if calls else {})}
        head = {"id": f"{self.run}-{n}", "created": ord(self.run[0]) + n, "model": "step-3.5-flash"}
        usage = {
            "prompt_tokens": 1,
            "completion_tokens": turn.usage,
            "total_tokens": 1 + turn.usage,
            "cached_tokens": len(self.run),
            "num_cached_tokens": len(self.run),
        }
        measured = {"models": [{"model": "step-3.5-flash", "usage": {"queue_time": len(self.run) / 7}}]}
        head |= {"usage_breakdown": measured, "p": "abcdefgh"[: n + len(self.run)]}
        finish = "tool_calls" if calls else "stop"
        if not self.stream:
            seed = len(self.run) * 10**9
            choices = [{"index": 0, "message": message, "finish_reason": finish, "seed": seed}]
            body = {**head, "object": "chat.completion", "choices": choices, "usage": usage}
            return Response(status=200, headers=JSON_TYPE, json=body)
        head["object"] = "chat.completion.chunk"
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        half = len(turn.content) // 2 + len(self.run)  # where a run cuts its pieces is volatile too
        deltas += [{"content": turn.content[:half]}, {"content": turn.content[half:]}]
        deltas += [{"tool_calls": [{"index": i, **call}]} for i, call in enumerate(calls)]
        chunks = [
            {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": ""}]} for delta in deltas
        ]
        end = {"index": 0, "delta": {}, "finish_reason": finish}
        chunks.append({**head, "choices": [end], "usage": usage})
        events = [json.dumps(chunk, separators=(",", ":")) for chunk in chunks]
        return Response(status=200, headers={"content-type": "text/event-stream"}, events=(*events, "[DONE]"))


def ask(question: str, said: list[dict[str, Any]]) -> Request:
    messages = [{"role": "user", "content": question}, *said]
    return Request(method="POST", url=URL, json={"model": "step-3.5-flash", "messages": messages})


def follow(response: Response) -> list[dict[str, Any]] | None:
    """What the application says next: the answer and the results of its calls; None where it is done."""
    message = read_answer(body_of(response)).tree["choices"][0]["message"]
    calls = message.get("tool_calls")
    if not calls:
        return None
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": f"result of {call['function']['name']}"}
        for call in calls
    ]
    return [message, *results]


def record(conversations: dict[str, list[Turn]], server: Server) -> list[Interaction]:
    """Runs an application against the server."""
    answers = iter(server.answers([turn for turns in conversations.values() for turn in turns]))
    recorded: list[Interaction] = []
    for question, turns in conversations.items():
        said: list[dict[str, Any]] = []
        for _ in turns:
            response = next(answers)
            recorded.append(
                Interaction(
                    recorded_at=f"2026-01-0{1 + len(server.run)}T00:00:00Z",
                    elapsed=len(recorded) + len(server.run) / 10,
                    request=ask(question, said),
                    response=response,
                )
            )
            said = said + (follow(response) or [])
    return recorded


def paired(old: list[Interaction], new: list[Interaction]) -> list[int | None]:
    index, taken = Index(Matcher(), [each.request for each in old]), set[int]()
    pairs: list[int | None] = []
    for each in new:
        free = [i for i in index.positions(Matcher().key(each.request)) if i not in taken]
        pairs.append(free[0] if free else None)
        taken.update(free[:1])
    return pairs


def rewrite(old: list[Interaction], new: list[Interaction]) -> list[Interaction]:
    return list(keep_volatile(old, new, paired(old, new)))


def replay(questions: list[str], interactions: list[Interaction]) -> None:
    """Runs the application against a cassette: every request must be there, and nothing may be left."""
    index, played = Index(Matcher(), [each.request for each in interactions]), set[int]()
    for question in questions:
        said: list[dict[str, Any]] | None = []
        while said is not None:
            key = Matcher().key(ask(question, said))
            position = next((i for i in index.positions(key) if i not in played), None)
            assert position is not None, f"not recorded: {said}"
            played.add(position)
            answer = follow(interactions[position].response)
            said = None if answer is None else [*said, *answer]
    assert played == set(range(len(interactions)))


def text(interactions: list[Interaction]) -> str:
    rendered = render_cassette(Cassette(test="t", interactions=tuple(interactions)))
    read = parse_cassette(rendered, None)  # type: ignore[arg-type]  # only named in errors
    assert read.cassette.interactions == tuple(interactions)
    return rendered


CALLS = st.lists(
    st.tuples(st.sampled_from(["search", "fetch"]), st.sampled_from(['{"q": "x"}', '{"q": 2}', "{}", "{"])),
    min_size=1,
    max_size=3,
).map(tuple)
ASKING = st.builds(Turn, content=st.sampled_from(["", "Let me look."]), calls=CALLS)
ENDING = st.builds(Turn, content=st.sampled_from(["Done.", '{"a": 1}', "你好, it rains today."]))
TURNS = st.tuples(st.lists(ASKING, max_size=3), ENDING).map(lambda it: [*it[0], it[1]])
CONVERSATIONS = st.lists(TURNS, min_size=1, max_size=2).map(
    lambda each: {f"question {i}": turns for i, turns in enumerate(each)}
)


def test_reasoning_that_is_encrypted_anew_leaves_every_byte() -> None:
    def answered(fresh: str) -> list[Interaction]:
        details = [
            {"type": "reasoning.text", "index": 0, "text": "Hm.", "signature": f"{fresh}A"},
            {"type": "reasoning.encrypted", "index": 1, "id": f"rs_{fresh}", "data": f"{fresh}B"},
        ]
        message = {"role": "assistant", "content": "4", "reasoning_details": details}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        head = {"id": fresh, "object": "chat.completion", "created": 1, "model": "m"}
        plain = Response(status=200, headers=JSON_TYPE, json={**head, "choices": choices})
        chunk = {**head, "object": "chat.completion.chunk", "obfuscation": fresh}
        deltas = [message | {"reasoning_details": [each]} for each in details]
        events = tuple(json.dumps(chunk | {"choices": [{"index": 0, "delta": it}]}) for it in deltas)
        streamed = Response(status=200, headers={"content-type": "text/event-stream"}, events=events)
        return [Interaction(request=ask("2+2", []), response=each) for each in (plain, streamed)]

    old = answered("x")
    assert text(answered("y")) != text(old)
    assert text(rewrite(old, answered("y"))) == text(old)


@FEWER
@given(CONVERSATIONS, st.booleans())
def test_a_rewrite_without_real_change_leaves_every_byte(
    conversations: dict[str, list[Turn]], stream: bool
) -> None:
    old = record(conversations, Server("a", stream))
    new = record(conversations, Server("bb", stream))
    assert text(new) != text(old)
    assert text(rewrite(old, new)) == text(old)
    assert text(rewrite(old, old)) == text(old)


IDS = st.lists(st.sampled_from(["call_a0", "call_a1", "call_0", "call_1", "x"]), max_size=6).map(tuple)


@FEWER
@given(CONVERSATIONS, CONVERSATIONS, st.data(), st.booleans(), IDS)
def test_what_is_kept_always_replays(
    before: dict[str, list[Turn]], after: dict[str, list[Turn]], data: st.DataObject, stream: bool, ids: Any
) -> None:
    """Also where turns change, and where a server hands out the same id again, or one of the old ids."""
    mixed = {
        question: [
            data.draw(st.sampled_from([turn, replace(turn, usage=99), *before.get(question, [])[i : i + 1]]))
            for i, turn in enumerate(turns)
        ]
        for question, turns in after.items()
    }
    mixed = {question: _ended(turns) for question, turns in mixed.items()}
    old = record(before, Server("a", stream))
    new = record(mixed, Server("bb", stream, ids))
    kept = rewrite(old, new)
    assert len(kept) == len(new)
    assert [it.response.status for it in kept] == [200] * len(new)
    text(kept)
    replay(list(mixed), kept)
    for one, other in zip(kept, new, strict=True):
        assert one.request.json["messages"][0] == other.request.json["messages"][0]


def _ended(turns: list[Turn]) -> list[Turn]:
    done = next((i for i, turn in enumerate(turns) if not turn.calls), None)
    return turns[: done + 1] if done is not None else [*turns, Turn("Done.")]


SEARCH, FETCH, DONE = Turn(calls=(("search", "{}"),)), Turn(calls=(("fetch", "{}"),)), Turn("Done.")


@pytest.mark.parametrize("stream", [False, True])
class TestRealChange:
    def test_at_the_end_leaves_what_came_before(self, stream: bool) -> None:
        old = record({"q": [SEARCH, FETCH, DONE]}, Server("a", stream))
        new = record({"q": [SEARCH, FETCH, Turn("Sorry, no.")]}, Server("bb", stream))
        kept = rewrite(old, new)
        assert kept[:2] == old[:2]
        # The request cites the calls that stayed by their old ids, so only the answer is new.
        assert kept[2].request == old[2].request
        assert kept[2].response == new[2].response
        assert (kept[2].elapsed, kept[2].recorded_at) == (new[2].elapsed, new[2].recorded_at)

    def test_of_what_is_not_sent_on_leaves_what_comes_after(self, stream: bool) -> None:
        old = record({"q": [SEARCH, FETCH, DONE]}, Server("a", stream))
        new = record({"q": [replace(SEARCH, usage=99), FETCH, DONE]}, Server("bb", stream))
        kept = rewrite(old, new)
        assert kept[1:] == old[1:]
        changed, before = (read_answer(body_of(it.response)).tree for it in (kept[0], old[0]))
        assert changed["usage"]["completion_tokens"] == 99
        assert changed["id"] == "bb-0"
        kept_message, message = (it["choices"][0]["message"] for it in (changed, before))
        assert kept_message == message  # with the old id of the call
        replay(["q"], kept)

    def test_of_a_call_makes_what_follows_new(self, stream: bool) -> None:
        old = record({"q": [SEARCH, DONE], "p": [SEARCH, DONE]}, Server("a", stream))
        new = record({"q": [FETCH, DONE], "p": [SEARCH, DONE]}, Server("bb", stream))
        kept = rewrite(old, new)
        assert kept[:2] == new[:2]
        assert kept[2:] == old[2:]

    def test_of_one_of_two_calls_keeps_the_id_of_the_other(self, stream: bool) -> None:
        both = Turn(calls=(("search", "{}"), ("fetch", "{}")))
        old = record({"q": [both, DONE]}, Server("a", stream))
        new = record(
            {"q": [replace(both, calls=(("fetch", "{}"), ("add", "{}"))), DONE]}, Server("bb", stream)
        )
        kept = rewrite(old, new)
        calls = read_answer(body_of(kept[0].response)).tree["choices"][0]["message"]["tool_calls"]
        assert [call["id"] for call in calls] == ["call_a1", "call_bb1"]
        assert [m.get("tool_call_id") for m in kept[1].request.json["messages"][2:]] == [
            "call_a1",
            "call_bb1",
        ]
        replay(["q"], kept)


def plain(content: str = "Hi.", **fields: Any) -> Interaction:
    body = read_answer(body_of(Server("a").answers([Turn(content)])[0])).tree | fields
    return Interaction(request=ask("q", []), response=Response(status=200, headers=JSON_TYPE, json=body))


def responding(response: Response) -> Interaction:
    return replace(plain(), response=response)


@pytest.mark.parametrize(
    "new",
    [
        plain("Bye."),
        plain(undocumented=1),
        responding(replace(plain().response, status=201)),
        responding(replace(plain().response, headers={"content-type": "text/plain"})),
        responding(Response(status=200, headers=JSON_TYPE)),
        responding(Response(status=200, headers=JSON_TYPE, text="<html>")),
        responding(Response(status=200, headers=JSON_TYPE, text=json.dumps(plain().response.json))),
        responding(Response(status=200, headers=JSON_TYPE, base64="AAAA")),
        responding(replace(Server("a", stream=True).answers([Turn("Hi.")])[0], headers=JSON_TYPE)),
    ],
)
def test_any_other_change_makes_an_interaction_new(new: Interaction) -> None:
    old = plain()
    assert keep_volatile([old], [new], [0]) == (new,)
    assert keep_volatile([new], [old], [0]) == (old,)
    assert keep_volatile([old], [new], [None]) == (new,)
    assert keep_volatile([new], [replace(new, elapsed=9.0)], [0]) == (new,)


def test_headers_that_come_and_go_do_not() -> None:
    old = plain()
    new = responding(replace(old.response, headers=JSON_TYPE | {"retry-after": "3"}))
    assert keep_volatile([old], [new], [0]) == (old,)


def asking(message: str, response: Interaction, **rest: Any) -> Interaction:
    said = [{"role": "user", "content": message, **rest}]
    return replace(response, request=ask("and", said))


def test_a_volatile_value_that_the_client_sends_on_stays_new() -> None:
    old = [plain(id="old-id"), asking("about old-id", plain())]
    new = [plain(id="new-id"), asking("about new-id", plain())]
    assert rewrite(old, new) == new
    # What the client knew before it was answered is not sent on.
    new = [asking("new-id", plain(id="new-id")), asking("about new-id", plain())]
    old = [asking("new-id", plain(id="old-id")), asking("about new-id", plain())]
    assert rewrite(old, new) == old


def test_arguments_that_the_client_sends_on_as_they_are_written_stay_new() -> None:
    old = record({"q": [Turn(calls=(("search", '{"q": 1}'),)), DONE]}, Server("a"))
    new = record({"q": [Turn(calls=(("search", '{"q":1}'),)), DONE]}, Server("bb"))
    kept = rewrite(old, new)
    assert "call_bb0" not in text(kept)  # the call is the same one
    assert '{"q":1}' in text(kept)
    assert '{"q": 1}' not in text(kept)
    replay(["q"], kept)


@pytest.mark.parametrize("stream", [False, True])
def test_an_id_that_the_client_writes_into_a_text_stays_new(stream: bool) -> None:
    def citing(run: str) -> list[Interaction]:
        first, second = record({"q": [SEARCH, DONE]}, Server(run, stream))
        called = follow(first.response) or []
        called[1]["content"] = f"result of {called[1]['tool_call_id']}"
        return [first, replace(second, request=ask("q", called))]

    assert rewrite(citing("a"), citing("bb")) == citing("bb")


def test_an_id_in_a_request_that_is_not_json_stays_new() -> None:
    def citing(run: str) -> list[Interaction]:
        first = record({"q": [SEARCH, DONE]}, Server(run))[0]
        upload = Request(method="POST", url=URL, text=f"--form\r\ncall_{run}0\r\n--form--")
        return [first, replace(plain(), request=upload)]

    assert rewrite(citing("a"), citing("bb")) == citing("bb")


def test_an_id_of_the_tests_own_is_never_replaced() -> None:
    def after_an_example(run: Server) -> list[Interaction]:
        call = {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": "{}"}}
        example: list[dict[str, Any]] = [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "for example"},
        ]
        response = run.answers([SEARCH])[0]
        second = [*example, *(follow(response) or [])]
        return [
            replace(responding(response), request=ask("q", example)),
            replace(plain(), request=ask("q", second)),
        ]

    old, new = after_an_example(Server("a")), after_an_example(Server("bb", ids=("call_1",)))
    assert rewrite(old, new) == new
    new = after_an_example(Server("bb"))
    assert rewrite(old, new) == old


def test_an_id_that_stands_for_two_calls_stays_new_wherever_it_is_cited() -> None:
    conversations = {"q": [SEARCH, DONE], "p": [FETCH, DONE]}
    old, new = record(conversations, Server("a")), record(conversations, Server("bb", ids=("0", "0")))
    kept = rewrite(old, new)
    assert (kept[0], kept[2]) == (new[0], new[2])
    for i in (1, 3):
        assert kept[i] == replace(old[i], request=new[i].request)
    replay(["q", "p"], kept)


def test_many_volatile_values_are_looked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = [plain(id=f"old-{i}") for i in range(70)]
    new = [plain(id=f"new-{i}") for i in range(70)]
    new.append(asking("look at new-7x", plain()))
    pairs = [*range(70), None]
    kept = keep_volatile(turns, new, pairs)
    assert [i for i, each in enumerate(kept) if each == new[i]] == [7, 70]
    monkeypatch.setattr(keeping, "_FEW", 1000)
    assert keep_volatile(turns, new, pairs) == kept


def test_a_stream_whose_ids_cannot_be_told_from_its_text_is_taken_as_it_came() -> None:
    old, new = (Server(run, stream=True).answers([Turn("Hi.", calls=SEARCH.calls)])[0] for run in ("a", "bb"))
    # Written with an escape, the id does not stand in the frame as it is.
    events = tuple(
        it.replace("call_bb0", "call\\u005fbb0") if isinstance(it, str) else it for it in new.events or ()
    )
    escaped = responding(replace(new, events=events))
    assert keep_volatile([responding(old)], [escaped], [0]) == (escaped,)


def test_frames_that_are_more_than_json_are_kept_as_they_are() -> None:
    def framed(run: str, usage: int) -> Interaction:
        response = Server(run, stream=True).answers([replace(SEARCH, usage=usage)])[0]
        events = (
            RawFrame(frame=": a comment\n\n"),
            *(RawFrame(frame=f"event: x\r\ndata: {it}\r\n\r\n") for it in response.events or ()),
        )
        return responding(replace(response, events=events))

    old, new = framed("a", 1), framed("bb", 1)
    assert keep_volatile([old], [new], [0]) == (old,)
    (changed,) = keep_volatile([old], [framed("bb", 2)], [0])
    assert '"call_a0"' in body_of(changed.response)
    assert "call_bb0" not in body_of(changed.response)
    assert body_of(changed.response).startswith(": a comment\n\nevent: x\r\n")
    assert json_chunks_of(body_of(changed.response))[0]["id"] == "bb-0"


def test_frames_nested_too_deeply_are_taken_as_they_came() -> None:
    nested = '{"a":' * 900 + "1" + "}" * 900
    old, new = (
        Server(run, stream=True).answers([replace(SEARCH, usage=n)])[0] for run, n in (("a", 1), ("b", 2))
    )
    new = replace(new, events=(*(new.events or ()), nested))
    assert keep_volatile([responding(old)], [responding(new)], [0])[0].response in (
        new,
        replace(
            new,
            events=tuple(it.replace("call_b0", "call_a0") for it in new.events or () if isinstance(it, str)),
        ),
    )


def test_calls_of_other_kinds_and_broken_ones() -> None:
    def answering(*calls: Any) -> Interaction:
        message = {"role": "assistant", "content": "", "tool_calls": list(calls)}
        return plain(choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}])

    old = answering({"id": "a", "type": "web_search"}, {"id": "b", "type": "custom", "custom": {"name": "f"}})
    new = answering({"id": "x", "type": "web_search"}, {"id": "y", "type": "custom", "custom": {"name": "f"}})
    assert keep_volatile([old], [new], [0]) == (old,)
    broken = answering({"id": 3}, "call", None, {"id": "z", "function": {"name": 3}}, {"id": ""})
    assert keep_volatile([broken], [broken], [0]) == (broken,)
    assert keep_volatile([old], [broken], [0]) == (broken,)


def test_one_new_id_for_two_old_ones_is_no_renaming() -> None:
    """Ids are unique within a choice only, and a request that cites one does not say which."""

    def choosing(*ids: str) -> Interaction:
        choices = [
            {
                "index": i,
                "message": {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [
                        {"id": one, "type": "function", "function": {"name": "f", "arguments": "{}"}}
                    ],
                },
                "finish_reason": "tool_calls",
            }
            for i, one in enumerate(ids)
        ]
        return plain(choices=choices)

    new = choosing("call_0", "call_0")
    assert keep_volatile([choosing("call_a", "call_b")], [new], [0]) == (new,)
    assert keep_volatile([new], [choosing("x", "y")], [0]) == (new,)


def test_repeated_requests_are_kept_one_by_one() -> None:
    old, new = [plain(), plain("Bye.")], [plain(id="x"), plain("No.", id="y"), plain("Bye.", id="z")]
    assert keep_volatile(old, new, [0, 1, None]) == (old[0], *new[1:])
    assert keep_volatile([], [], []) == ()
