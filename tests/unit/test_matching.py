"""Requests match when they mean the same, and a miss says what differs."""

from __future__ import annotations

import copy
import json
from base64 import b64encode
from datetime import date
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_stepreplay.errors import SelectorError, SettingsError
from pytest_stepreplay.matching.canonical import canonical_text
from pytest_stepreplay.matching.contrast import differences
from pytest_stepreplay.matching.keys import Index, Matcher, is_plainly_same, is_sent_so
from pytest_stepreplay.matching.nearness import nearest, telling_words
from pytest_stepreplay.models import RawFrame, Request
from pytest_stepreplay.settings import MATCHERS
from pytest_stepreplay.wire.bodies import body_bytes, request_from_wire
from pytest_stepreplay.wire.multipart import Part, read_parts, with_fixed_boundary

URL = "https://api.stepfun.com/v1/chat/completions"


def request(body: Any = None, url: str = URL, method: str = "POST", **other: Any) -> Request:
    return Request(method=method, url=url, **({} if body is None else {"json": body}), **other)


def chat(*messages: Any, **other: Any) -> Request:
    return request({"model": "step-3.5-flash", "messages": list(messages), **other})


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any, **other: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **other}


def calls(*ids: str) -> dict[str, Any]:
    function = {"name": "search", "arguments": "{}"}
    return assistant(None, tool_calls=[{"id": one, "type": "function", "function": function} for one in ids])


def result(call: str, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call, "content": content}


def same(one: Request, other: Request, **matcher: Any) -> bool:
    return Matcher(**matcher).key(one) == Matcher(**matcher).key(other)


def told(recorded: Request, new: Request, **matcher: Any) -> list[str]:
    return [str(each) for each in differences(recorded, new, Matcher(**matcher))]


class TestKeys:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"a": 1, "b": [1.0]}, {"b": [1], "a": 1.0}),
            ({"a": 0.0}, {"a": -0.0}),
            ({"a": 10**400}, {"a": 10**400}),
            ({"stream": False}, {}),
        ],
    )
    def test_equal_bodies(self, one: Any, other: Any) -> None:
        assert same(request(one), request(other))

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"a": 1}, {"a": "1"}),
            ({"a": 1}, {"a": True}),
            ({"a": 0}, {"a": False}),
            ({"a": None}, {"a": "None"}),
            ({"a": None}, {}),
            ({"a": 1.5}, {"a": 1.25}),
            ({"a": [1, 2]}, {"a": [2, 1]}),
            ({"a": [[], 1]}, {"a": [[1]]}),
            ({"a": "b"}, {"a": "B"}),
            ({"a": {}}, {"a": []}),
            ({"stream": True}, {}),
            ({"x": {"stream": False}}, {"x": {}}),
            ({"stream": False, "a": 1}, {"stream": 0, "a": 1}),
            ([], {}),
        ],
    )
    def test_different_bodies(self, one: Any, other: Any) -> None:
        assert not same(request(one), request(other))
        assert told(request(one), request(other))

    def test_values_that_only_yaml_knows(self) -> None:
        one, other = request({"day": date(2026, 1, 1)}), request({"day": date(2026, 1, 2)})
        assert same(one, copy.deepcopy(one))
        assert told(one, other) == ['day: "2026-01-01" -> "2026-01-02"']

    def test_no_body_is_not_null(self) -> None:
        assert not same(request(), Request(method="POST", url=URL, json=None))
        assert same(request(), request())

    def test_other_bodies_compare_exactly(self) -> None:
        assert same(request(text="a=1&b=2"), request(text="a=1&b=2"))
        assert not same(request(text="a=1&b=2"), request(text="b=2&a=1"))
        assert not same(request(text="YQ=="), request(base64="YQ=="))
        assert not same(request(events=("a",)), request(events=("b",)))
        assert not same(request(events=("a",)), request(events=(RawFrame(frame="a"),)))

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("https://API.stepfun.com/v1", "https://api.stepfun.com:443/v1"),
            ("http://h", "http://h:80/"),
            ("https://h/?b=2&a=1", "https://h/?a=1&b=2"),
            ("https://u:p@h./x#part", "https://h/x"),
            ("http://localhost:8001/v1", "http://localhost:9000/v1"),
            ("http://127.0.0.5:1/v1", "http://127.0.0.5/v1"),
            ("http://[::1]:8001/v1", "http://[::1]:1/v1"),
            ("http://a.localhost:8001/v1", "http://a.localhost:1/v1"),
        ],
    )
    def test_equal_urls(self, one: str, other: str) -> None:
        assert same(request(url=one), request(url=other))

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("https://h/x", "http://h/x"),
            ("https://h:1/x", "https://h:2/x"),
            ("https://h/x", "https://h/X"),
            ("https://h/x?a=", "https://h/x"),
            ("https://h/x?a=1&a=2", "https://h/x?a=1"),
            ("https://h/x", "https://other/x"),
            ("http://[broken", "http://[broken2"),
            ("https://h:99999/x", "https://h:99998/x"),
        ],
    )
    def test_different_urls(self, one: str, other: str) -> None:
        assert not same(request(url=one), request(url=other))
        assert told(request(url=one), request(url=other))

    def test_match_on_leaves_out_the_rest(self) -> None:
        one, other = (
            request({"a": 1}, url="https://h/x?q=1"),
            request({"a": 2}, url="http://g:1/x", method="put"),
        )
        assert not same(one, other)
        assert same(one, other, match_on=("path",))
        assert told(one, other, match_on=("path",)) == []
        assert told(one, other, match_on=("method", "query")) == [
            "method: POST -> PUT",
            "query: q=1 is missing",
        ]

    @pytest.mark.parametrize("names", [("method", "uri"), (), "body"])
    def test_match_on_is_checked(self, names: Any) -> None:
        with pytest.raises(SettingsError, match="Valid names: method, scheme, host, port, path, query, body"):
            Matcher(match_on=names)

    def test_ignored_places_may_differ(self) -> None:
        one, other = chat(user("a"), user_id="1", seed=1), chat(user("a"), user_id="2", seed=2)
        assert same(one, other, ignore_request=("user_id", "seed"))
        assert not same(one, other, ignore_request=("user_id",))
        assert told(one, other, ignore_request=("user_id",)) == ["seed: 1 -> 2"]
        assert other.json["user_id"] == "2"
        with pytest.raises(SelectorError):
            Matcher(ignore_request=("a[",))

    def test_a_key_does_not_depend_on_the_depth_of_a_body(self) -> None:
        deep: list[Any] = []
        for _ in range(20_000):
            deep = [deep]
        assert same(request(deep), request(deep))
        assert not same(request(deep), request([deep]))
        assert told(request({"a": deep}), request({"a": [deep]}))

    def test_the_index_finds_every_position_in_order(self) -> None:
        matcher = Matcher()
        index = Index(matcher, [chat(user("a")), chat(user("b")), chat(user("a"))])
        assert list(index.positions(matcher.key(chat(user("a"))))) == [0, 2]
        assert list(index.positions(matcher.key(chat(user("b"))))) == [1]
        assert list(index.positions(matcher.key(chat(user("c"))))) == []


class TestToolCalls:
    def test_fresh_ids_match_and_swapped_results_do_not(self) -> None:
        def talk(a: str, b: str, first: str, second: str) -> Request:
            return chat(user("x"), calls(a, b), result(first, "1"), result(second, "2"))

        recorded = talk("call_1", "call_2", "call_1", "call_2")
        assert same(recorded, talk("fresh_9", "fresh_8", "fresh_9", "fresh_8"))
        swapped = talk("fresh_9", "fresh_8", "fresh_8", "fresh_9")
        assert not same(recorded, swapped)
        assert told(recorded, swapped) == [
            'messages[2].tool_call_id: "call-1" -> "call-2"',
            'messages[3].tool_call_id: "call-2" -> "call-1"',
        ]

    def test_only_links_are_renamed(self) -> None:
        assert not same(chat(calls("a"), user("a")), chat(calls("b"), user("b")))
        assert not same(
            chat({**user("x"), "id": "a"}, calls("a")), chat({**user("x"), "id": "b"}, calls("b"))
        )
        assert not same(request({"tool_call_id": "a"}), request({"tool_call_id": "b"}))
        assert not same(chat(result("a", "x"), result("a", "y")), chat(result("a", "x"), result("b", "y")))

    def test_the_request_is_left_as_it_is(self) -> None:
        one = chat(calls("a"), result("a", "x"))
        before = copy.deepcopy(one.json)
        Matcher().key(one)
        assert one.json == before


ODD_MESSAGES: list[Any] = [
    None,
    5,
    "text",
    {},
    {"role": 1, "content": 2},
    {"role": "user", "content": None},
    {
        "role": "user",
        "content": ["a", {"type": "text", "text": 5}, None, {"type": "text", "text": "words here"}],
    },
    {"role": "assistant", "tool_calls": "no"},
    {"role": "assistant", "tool_calls": [None, {"id": 5}, {"id": "a"}]},
    {"role": "tool", "tool_call_id": 7},
    {"role": "tool", "tool_call_id": "a", "content": "x\x1b[31m\n\u202e"},
    {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 999}}],
    },
]
BODIES: list[Any] = [
    {"messages": None},
    {"messages": "x"},
    {"messages": {}},
    {"messages": []},
    {"messages": ODD_MESSAGES},
    {
        "messages": list(reversed(ODD_MESSAGES)),
        "tools": [{"name": "a"}, {"type": "web_search"}, {"type": "x"}],
    },
    {"messages": [ODD_MESSAGES[6]], "tools": [None], "model": None},
    {"tools": "x", "temperature": float("inf")},
    {"tools": [{"name": "a"}, {"name": "a"}]},
    {"tools": [{"type": "web_search"}, {"function": {"name": "a", "description": "d"}}], "a b": {"c.d": 1}},
    ["x", {"messages": []}],
    "x y",
    5,
]
IDS = st.sampled_from(["a", "b", "c"])
TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.floats(-2, 2)
    | st.sampled_from(["", "a", "1", "a b", "héé"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
MESSAGES = st.one_of(
    st.sampled_from(ODD_MESSAGES),
    TREES.map(user),
    st.lists(IDS, max_size=2).map(lambda ids: calls(*ids)),
    st.builds(result, IDS, st.sampled_from("xy")),
)
CHATS = st.builds(
    lambda messages, other: request({**other, "messages": messages}),
    st.lists(MESSAGES, max_size=5),
    st.dictionaries(st.sampled_from(["model", "tools", "stream", "temperature", "user"]), TREES, max_size=2),
)
REQUESTS = CHATS | TREES.map(request) | st.sampled_from([request(body) for body in BODIES])


def renamed(body: Any, names: dict[str, str]) -> Any:
    body = json.loads(json.dumps(body))  # a message may stand in it twice, as one object
    for message in body["messages"]:
        if isinstance(message, dict):
            tool_calls = message.get("tool_calls")
            for call in tool_calls if isinstance(tool_calls, list) else []:
                if isinstance(call, dict) and isinstance(call.get("id"), str):
                    call["id"] = names[call["id"]]
            if isinstance(message.get("tool_call_id"), str):
                message["tool_call_id"] = names[message["tool_call_id"]]
    return body


@given(CHATS, st.permutations(["a", "b", "c", "call-1", "call-2"]))
def test_any_renaming_of_tool_calls_matches(one: Request, names: list[str]) -> None:
    other = request(renamed(one.json, dict(zip("abc", names, strict=False))))
    assert same(one, other)
    assert differences(one, other) == ()


@given(CHATS, st.dictionaries(IDS, IDS, min_size=3, max_size=3))
def test_only_a_one_to_one_renaming_matches(one: Request, names: dict[str, str]) -> None:
    other = request(renamed(one.json, names))
    used = [name for name in "abc" if f'"{name}"' in json.dumps(ids_of(one.json))]
    assert same(one, other) == (len({names[name] for name in used}) == len(used))


def ids_of(body: Any) -> list[str]:
    found: list[str] = []

    class Names(dict[str, str]):
        def __missing__(self, name: str) -> str:
            found.append(name)
            return name

    renamed(body, Names())
    return found


@given(TREES, st.randoms())
def test_the_order_of_keys_and_white_space_never_matter(tree: Any, random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            items = [(key, shuffled(inner)) for key, inner in value.items()]
            random.shuffle(items)
            return dict(items)
        return [shuffled(inner) for inner in value] if isinstance(value, list) else value

    assert same(request(tree), request(json.loads(json.dumps(shuffled(tree), indent=3))))


@settings(max_examples=5)
@given(st.lists(TREES, min_size=10, max_size=30))
@example([1e300, [-0.0, 1e16, float("inf")], {"a": "1.0", "b": [10**5000]}])
def test_the_text_of_a_body_is_the_same_on_a_deep_stack(trees: list[Any]) -> None:
    deep: Any = trees
    for _ in range(20_000):  # so deep that nothing but the walk without recursion can do it
        deep = [deep]
    assert canonical_text(deep) == "[" * 20_000 + canonical_text(trees) + "]" * 20_000


@given(REQUESTS, REQUESTS)
@example(request({"stream": True}), request({"stream": 1}))
@example(request({"n": 1}), request({"n": 1.0}))
@example(request({"a": 1, "b": 2}), request({"b": 2, "a": 1}))
@example(request(None), request())
def test_what_is_plainly_the_same_has_the_same_key(one: Request, other: Request) -> None:
    assert is_plainly_same(one, one)
    assert same(one, other) or not is_plainly_same(one, other)


@given(REQUESTS, REQUESTS)
def test_requests_differ_exactly_where_differences_are_told(one: Request, other: Request) -> None:
    found = differences(one, other)
    assert (found == ()) == same(one, other)
    assert all(str(each).isprintable() and len(str(each)) < 700 for each in found)
    nearest(one, [other, one])
    continues(one, other)
    telling_words(one)


def continues(earlier: Request, later: Request, matcher: Matcher | None = None) -> bool:
    """Tells whether `later` carries on the conversation of `earlier`: all its messages, and then more."""
    matcher = matcher or Matcher()
    return matcher.conversation(earlier)[-1:] in [[each] for each in matcher.conversation(later)[:-1]]


@given(CHATS, st.integers(0, 5))
def test_a_proper_prefix_is_continued(later: Request, length: int) -> None:
    messages = later.json["messages"]
    earlier = request(
        {"messages": renamed({"messages": messages[:length]}, {"a": "x", "b": "y", "c": "z"})["messages"]}
    )
    assert continues(earlier, later) == (0 < length < len(messages))


class TestContinues:
    def test_a_changed_conversation_is_another_one(self) -> None:
        first = chat(user("a"), calls("1"), result("1", "x"))
        assert continues(first, chat(user("a"), calls("9"), result("9", "x"), user("b")))
        assert not continues(first, chat(user("a"), calls("9"), result("8", "x"), user("b")))
        assert not continues(first, chat(user("A"), calls("1"), result("1", "x"), user("b")))
        assert not continues(first, first)
        assert not continues(request(text="x"), first)
        assert not continues(first, request({"messages": "abcdef"}))

    def test_true_is_not_one(self) -> None:
        assert not continues(chat(user(1)), chat(user(True), user("b")))

    def test_ignored_places_may_differ(self) -> None:
        matcher = Matcher(ignore_request=("messages[0]",))
        earlier, later = chat(user("now 1"), user("a")), chat(user("now 2"), user("a"), user("b"))
        assert continues(earlier, later, matcher)
        assert not continues(earlier, later)

    def test_hostile_depth(self) -> None:
        def deep(leaf: Any) -> Any:
            for _ in range(20_000):
                leaf = [leaf]
            return leaf

        assert continues(chat(user(deep(1))), chat(user(deep(1)), user("b")))
        assert not continues(chat(user(deep(1))), chat(user(deep(2)), user("b")))


class TestDifferences:
    def test_the_conversation_stands_first(self) -> None:
        tools = [
            {"type": "function", "function": {"name": name, "description": f"To {name}."}}
            for name in ("a", "b")
        ]
        recorded = chat(user("Say hello."), temperature=0.2, tools=tools, user="x", max_tokens=5)
        new = request(
            {
                "user": "y",
                "max_tokens": 6,
                "temperature": 0.7,
                "model": "step-3",
                "tools": [{"type": "function", "function": {"name": "b", "description": "To be."}}],
                "messages": [user("Say goodbye.")],
                "extra": {"a": [1, 2, 3, 4], "b": "x"},
            },
            url="https://api.stepfun.ai/v1/chat/completions?x=1",
        )
        assert told(recorded, new) == [
            "messages[0].content: Say [-hello-]{+goodbye+}.",
            'model: "step-3.5-flash" -> "step-3"',
            "tools: a was removed",
            "tools[0].function.description: To [-b-]{+be+}.",
            "temperature: 0.2 -> 0.7",
            "max_tokens: 5 -> 6",
            "host: api.stepfun.com -> api.stepfun.ai",
            "query: x=1 was not recorded",
            'user: "x" -> "y"',
            'extra: was not recorded, now {"a": [1, 2, 3, …], "b": "x"}',
        ]
        assert [each.in_body for each in differences(recorded, new)] == [True] * 6 + [False] * 2 + [True] * 2

    def test_messages_more_less_moved(self) -> None:
        system, a, b = {"role": "system", "content": "Be brief."}, user("Name a colour."), assistant("Red.")
        assert told(chat(system, a), chat(system, a, b, user("Another."))) == [
            'messages[2]: a new message (assistant, "Red.")',
            'messages[3]: a new message (user, "Another.")',
        ]
        assert told(chat(system, a, b), chat(a, b)) == [
            'messages[0]: was recorded, and is missing now (system, "Be brief.")'
        ]
        assert told(chat(system, a), chat(a, system)) == [
            'messages[1]: moved, recorded as messages[0] (system, "Be brief.")'
        ]
        assert told(chat(a, calls("1")), chat(a)) == [
            "messages[1]: was recorded, and is missing now (assistant, 1 tool call)"
        ]
        assert told(chat(a, user("Name two cars.")), chat(a, user("Why?"), user("Name two cars!"))) == [
            'messages[1]: a new message (user, "Why?")',
            "messages[2].content: Name two cars[-.-]{+!+}",
        ]
        assert told(chat(a), chat(system)) == [
            'messages[0]: was recorded, and is missing now (user, "Name a colour.")',
            'messages[0]: a new message (system, "Be brief.")',
        ]

    def test_tool_calls(self) -> None:
        recorded, new = calls("1"), calls("1")
        new["tool_calls"][0]["function"] = {"name": "find", "arguments": '{"q": "b"}'}
        assert told(chat(recorded), chat(new)) == [
            'messages[0].tool_calls[0].function.name: "search" -> "find"',
            'messages[0].tool_calls[0].function.arguments: {[+"q": "b"+}}'.replace("[+", "{+"),
        ]

    def test_tools_in_another_order(self) -> None:
        one, other = {"type": "web_search"}, {"type": "function", "function": {"name": "f"}}
        assert told(chat(tools=[one, other]), chat(tools=[other, one])) == [
            "tools: in another order, now f, web_search"
        ]
        assert told(chat(tools=[one]), chat(tools=[one, other])) == ["tools: f was added"]
        grep, sql = ({"type": "custom", "custom": {"name": name}} for name in ("grep", "run_sql"))
        assert told(chat(tools=[grep, sql]), chat(tools=[grep])) == ["tools: run_sql was removed"]
        assert told(chat(tools=[one]), chat()) == ['tools: is missing, recorded as [{"type": "web_search"}]']

    def test_images_are_abbreviated(self) -> None:
        def image(data: str) -> Request:
            return chat(user([{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}]))

        assert told(image("A" * 9000), image("B" * 9000)) == [
            'messages[0].content[0].image_url.url: "data:image/png;base64,AAAAAAAA… (9,022 characters)" -> '
            '"data:image/png;base64,BBBBBBBB… (9,022 characters)"'
        ]
        assert told(image("A" * 9000), image("A" * 8999 + "B")) == [
            'messages[0].content[0].image_url.url: "data:image/png;base64,AAAAAAAA… (9,022 characters)", '
            "which differs from character 9022 on"
        ]

    def test_long_texts_show_what_is_around_the_change(self) -> None:
        words = " ".join(f"word{i}" for i in range(200_000))
        [line] = told(chat(user(words)), chat(user(words.replace("word150000 ", "changed "))))
        assert "[-word150000-]{+changed+}" in line
        assert len(line) < 400
        assert told(chat(user(words)), chat(user(words[::-1])))

    def test_bodies_of_other_kinds(self) -> None:
        assert told(request(), request(text="x")) == ["body: was recorded as empty"]
        assert told(request(text="x"), request()) == ["body: is missing"]
        assert told(request(text="a b"), request(text="a c")) == ["body: a [-b-]{+c+}"]
        assert told(request(text="a"), request({"a": 1})) == [
            'body: recorded as text, now json: "a" -> {"a": 1}'
        ]
        assert told(request([1, 2]), request([1, 3, 4])) == [
            "body[1]: 2 -> 3",
            "body[2]: was not recorded, now 4",
        ]
        assert told(request([[1]]), request([[]])) == ["body[0][0]: is missing, recorded as 1"]

    def test_what_is_shown_alike_still_says_that_it_differs(self) -> None:
        deep: Any = 1
        for _ in range(50):
            deep = {"a": deep}
        other = json.loads(json.dumps(deep).replace("1", "2"))
        assert told(request({"x": deep}), request({"x": other}))[0].endswith("which differs further inside")
        assert told(request({"x": 10**500}), request({"x": 1})) == ["x: a number of 1661 bits -> 1"]
        assert told(request({"x": "a"}), request({"x": "a\x1b"})) == ['x: "a" -> "a\\x1b"']

    def test_no_more_than_a_hundred(self) -> None:
        one, other = request({f"k{i}": 1 for i in range(500)}), request({f"k{i}": 2 for i in range(500)})
        assert len(differences(one, other)) == 100

    def test_long_conversations_that_share_nothing(self) -> None:
        one, other = ([user(f"{side} {i}") for i in range(2000)] for side in "ab")
        assert len(differences(chat(*one), chat(*other))) == 100


class TestNearest:
    def test_none_recorded(self) -> None:
        assert nearest(chat(user("a")), []) is None

    def test_the_changed_one_among_many(self) -> None:
        system = {"role": "system", "content": "You translate."}
        candidates = [
            chat(system, user(f"Translate sentence number {i} about topic{i * 7}.")) for i in range(300)
        ]
        found = nearest(chat(system, user("Translate the sentence number 123 about topic861.")), candidates)
        assert found is not None
        assert found.position == 123
        assert not found.played
        assert [str(each) for each in found.differences] == [
            "messages[1].content: Translate {+the +}sentence number 123 about topic861."
        ]

    def test_the_turn_of_the_conversation(self) -> None:
        a, b, c = user("Name a colour."), assistant("Red."), user("Name another one.")
        candidates = [chat(a), chat(a, b, c), chat(a, b, c, assistant("Blue."), user("Thanks."))]
        found = nearest(chat(a, b, user("Name another two.")), candidates, played={0})
        assert found is not None
        assert found.position == 1

    def test_of_two_alike_the_unplayed_then_the_first(self) -> None:
        candidates = [chat(user("Say hello."))] * 3
        wanted = chat(user("Say hello!"))
        positions = [
            found.position for played in ((), (0,), (0, 1)) if (found := nearest(wanted, candidates, played))
        ]
        assert positions == [0, 1, 2]
        all_played = nearest(wanted, candidates, {0: 1, 1: 1, 2: 2})
        assert all_played is not None
        assert all_played.played

    def test_where_it_went_counts(self) -> None:
        elsewhere = request({"input": "the very same words"}, url="https://api.stepfun.com/v1/embeddings")
        here = chat(user("something else"))
        found = nearest(chat(user("the very same words")), [elsewhere, here])
        assert found is not None
        assert found.position == 1

    def test_other_bodies(self) -> None:
        candidates = [request(), request(text="one two three"), request({"input": "four five"}), request([1])]
        for wanted, position in [
            (request(text="one two four"), 1),
            (request({"input": "four six"}), 2),
            (request(), 0),
        ]:
            found = nearest(wanted, candidates)
            assert found is not None
            assert found.position == position

    def test_what_the_matcher_ignores_is_not_told(self) -> None:
        matcher = Matcher(
            match_on=tuple(name for name in MATCHERS if name != "host"), ignore_request=("user",)
        )
        found = nearest(chat(user("b"), user="1"), [chat(user("a"), user="2")], matcher=matcher)
        assert found is not None
        assert [each.selector for each in found.differences] == ["messages[0].content"]

    def test_hostile_depth(self) -> None:
        deep: Any = []
        for _ in range(20_000):
            deep = [deep]
        found = nearest(chat(user([deep])), [chat(user([[deep]])), chat(user([copied(deep)]))])
        assert found is not None


def copied(deep: Any) -> Any:
    depth = 0
    while deep:
        deep, depth = deep[0], depth + 1
    new: Any = []
    for _ in range(depth):
        new = [new]
    return new


class TestTellingWord:
    @pytest.mark.parametrize(
        ("one", "word"),
        [
            (chat(user("a first message"), user("is followed by another")), "followed"),
            (chat(user("the only words"), user("???")), "words"),
            (chat(user("说一句问候的话")), "说一句问候的"),
            (chat(user("什么是 stepfun 吗")), "stepfun"),
            (chat(user([{"type": "text", "text": "in parts"}])), "parts"),
            (request(text="grant_type=password"), "password"),
            (request({"input": "embed"}), "embed"),
            (request([1]), ""),
            (request(), ""),
        ],
    )
    def test_telling_words(self, one: Request, word: str) -> None:
        assert telling_words(one)[:1] == [word] * bool(word)


RESPONSES = "https://api.openai.com/v1/responses"
OPENAI = "https://api.openai.com/v1/chat/completions"
OTHERS = "https://llm.example.com/v1/chat/completions"


class TestAbsent:
    """A field that says no more than its absence is the same as its absence, where the API documents that."""

    @pytest.mark.parametrize(
        ("url", "field"),
        [
            (RESPONSES, {"previous_response_id": None}),
            (RESPONSES, {"store": True}),
            (RESPONSES, {"tools": [{"type": "function", "name": "f", "description": None}]}),
            (OTHERS, {"n": 1}),
            (OTHERS, {"n": 1.0}),
            (OTHERS, {"stop": None, "temperature": None}),
            (OTHERS, {"stream": False}),
            (OTHERS, {"tools": [{"type": "function", "function": {"name": "f", "strict": None}}]}),
            (OTHERS, {"messages": [assistant("Hi", refusal=None)]}),
            (OPENAI, {"temperature": 1, "top_p": 1}),
            (URL, {"temperature": 0.5, "top_p": 0.9}),
            ("https://x.azure.com/openai/deployments/d/chat/completions?api-version=1", {"n": 1}),
            ("https://api.openai.com/v1/embeddings", {"encoding_format": "float"}),
            ("https://api.openai.com/v1/completions", {"echo": False}),
            ("https://example.com/else", {"stream": False}),
        ],
    )
    def test_documented_defaults(self, url: str, field: dict[str, Any]) -> None:
        def stripped(tree: Any) -> Any:
            if isinstance(tree, dict):
                left = {name: stripped(value) for name, value in tree.items()}
                return {name: value for name, value in left.items() if value is not None and name != "strict"}
            return [stripped(each) for each in tree] if isinstance(tree, list) else tree

        absent = {name: stripped(each) for name, each in field.items() if isinstance(each, list)}
        before = copy.deepcopy(field)
        one, other = request({"model": "m", **field}, url), request({"model": "m", **absent}, url)
        assert same(one, other) and not told(one, other)
        assert not same(one, other, absent_equals="nothing")
        assert field == before

    @pytest.mark.parametrize(
        ("url", "field"),
        [
            (OTHERS, {"n": 2}),
            (OTHERS, {"n": True}),
            (OTHERS, {"stream": 0}),
            (OTHERS, {"temperature": 1}),
            (URL, {"temperature": 1}),
            (OTHERS, {"customer": None}),
            (OTHERS, {"user": ""}),
            (OTHERS, {"messages": None}),
            (RESPONSES, {"store": False}),
            ("https://example.com/else", {"n": 1}),
        ],
    )
    def test_what_is_not_documented_counts(self, url: str, field: dict[str, Any]) -> None:
        assert not same(request({"model": "m", **field}, url), request({"model": "m"}, url))

    def test_null_or_empty_anywhere(self) -> None:
        null = request({"a": [{"b": None, "c": ""}], "d": None, "e": False, "f": 0})
        absent = request({"a": [{"c": ""}], "e": False, "f": 0})
        empty = request({"a": [{}], "e": False, "f": 0})
        assert not same(null, absent)
        assert same(null, absent, absent_equals="null")
        assert not same(null, empty, absent_equals="null")
        assert same(null, empty, absent_equals="empty")
        assert not same(null, request({"a": [], "f": 0}), absent_equals="empty")
        assert not same(null, request({"a": [{}], "e": False}), absent_equals="empty")

    def test_an_unknown_value(self) -> None:
        with pytest.raises(SettingsError, match="absent_equals: 'all' is not one of nothing, default"):
            Matcher(absent_equals="all")


class TestOrder:
    def tools(self, *names: str) -> list[Any]:
        return [{"type": "function", "function": {"name": name}} for name in names]

    def test_a_list_that_is_named_may_come_in_any_order(self) -> None:
        one, other = chat(tools=self.tools("a", "b")), chat(tools=self.tools("b", "a"))
        assert not same(one, other)
        assert same(one, other, ignore_order=("tools",))
        assert not same(one, chat(tools=self.tools("a", "b", "b")), ignore_order=("tools",))
        assert not told(one, other, ignore_order=("tools",))

    def test_inner_lists_are_sorted_first(self) -> None:
        one, other = request({"a": [[2, 1], [4, 3]]}), request({"a": [[3, 4], [1, 2]]})
        assert same(one, other, ignore_order=("a", "a[*]"))
        assert not same(one, other, ignore_order=("a",))

    def test_calls_in_another_order_are_still_answered_by_their_own_results(self) -> None:
        def turn(first: str, second: str, answer: str) -> Request:
            both = [
                {"id": name, "type": "function", "function": {"name": what, "arguments": "{}"}}
                for name, what in ((first, "weather"), (second, "time"))
            ]
            ordered = both if first < second else both[::-1]
            return chat(assistant(None, tool_calls=ordered), result(answer, "Sunny."))

        order = ("messages[*].tool_calls",)
        assert same(turn("a", "b", "a"), turn("z", "y", "z"), ignore_order=order)
        assert not same(turn("a", "b", "a"), turn("z", "y", "y"), ignore_order=order)

    @given(st.permutations(["a", "b", "c", "d"]))
    def test_any_order(self, names: list[str]) -> None:
        shuffled = request({"x": [{"required": names}], "y": 1})
        ordered = request({"x": [{"required": ["a", "b", "c", "d"]}], "y": 1})
        assert same(shuffled, ordered, ignore_order=("**.required",))


class TestRemedies:
    """A miss names the setting under which the two would be equal."""

    def remedy(self, recorded: Request, new: Request, **matcher: Any) -> Any:
        found = nearest(new, [recorded], matcher=Matcher(**matcher))
        assert found
        return found.remedy

    def test_null(self) -> None:
        assert self.remedy(chat(user("Hi"), customer=None), chat(user("Hi"))) == {"absent_equals": "null"}
        assert self.remedy(chat(user("Hi"), customer=""), chat(user("Hi"))) == {"absent_equals": "empty"}

    def test_order(self) -> None:
        one = {"function": {"name": "a", "parameters": {"required": ["x", "y"]}}}
        turned = {"function": {"name": "a", "parameters": {"required": ["y", "x"]}}}
        other = {"function": {"name": "b"}}
        recorded, new = chat(user("Hi"), tools=[one, other]), chat(user("Hi"), tools=[other, turned])
        lists = ("tools", "tools[*].function.parameters.required")
        assert self.remedy(recorded, new) == {"ignore_order": lists}
        assert self.remedy(recorded, chat(user("Hi"), tools=[other, turned], x="")) == {
            "ignore_order": lists,
            "absent_equals": "empty",
        }
        assert "tools: in another order, now b, a" in told(recorded, new)

    def test_none_where_more_differs(self) -> None:
        assert self.remedy(chat(user("Hi"), x=None), chat(user("Hello"))) == {}


def form(boundary: str, *, name: str = "a.wav", data: bytes = b"RIFF\xff", prompt: str = "") -> bytes:
    parts = [
        f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: audio/wav\r\n'.encode(),
        b'Content-Disposition: form-data; name="prompt"\r\n',
    ]
    bodies = [data, prompt.encode()]
    pieces = [head + b"\r\n" + body for head, body in zip(parts, bodies, strict=True)]
    start = f"--{boundary}\r\n".encode()
    return b"".join(start + piece + b"\r\n" for piece in pieces) + f"--{boundary}--\r\n".encode()


def upload(boundary: str, *, sent_as: str = "", **other: Any) -> Request:
    kind = f"multipart/form-data; boundary={sent_as or boundary}"
    return request_from_wire("POST", "https://api.stepfun.com/v1/files", form(boundary, **other), kind)


class TestMultipart:
    def test_a_fresh_boundary_is_not_stored(self) -> None:
        one, other = upload("1f3a"), upload("99--b7", sent_as='"99--b7"')
        assert one == other
        assert [part.text or part.base64 for part in one.parts or ()] == [
            b64encode(b"RIFF\xff").decode(),
            None,
        ]
        assert read_parts(body_bytes(one)) == read_parts(form("1f3a"))

    @pytest.mark.parametrize("text", [b"RIFF", b"RIFF\xff"])
    def test_recorded_boundaries_do_not_count(self, text: bytes) -> None:
        def raw(boundary: str) -> Request:
            body = form(boundary, data=text)
            try:
                return request(text=body.decode())
            except UnicodeDecodeError:
                return request(base64=b64encode(body).decode())

        assert raw("one") != raw("two")
        assert same(raw("one"), raw("two")) and not told(raw("one"), raw("two"))

    def test_what_differs_is_told_by_part(self) -> None:
        recorded = upload("x", prompt="Say hello to them.")
        assert told(recorded, upload("y", name="b.wav", prompt="Say hello to them.")) == [
            'body[0].filename: "a.wav" -> "b.wav"'
        ]
        assert told(recorded, upload("y", prompt="Say hello to us.")) == [
            "body[1].text: Say hello to [-them-]{+us+}."
        ]
        assert told(recorded, upload("y", data=b"RIFF\xfe\xfe", prompt="Say hello to them."))[0] == (
            "body[0].bytes: 5 -> 6"
        )

    @given(st.binary(), st.binary())
    def test_equal_parts_and_only_those_match(self, one: bytes, other: bytes) -> None:
        assert same(upload("q1w2e3", data=one), upload("r4t5z6", data=other)) == (one == other)

    @given(st.binary(), st.sampled_from(["", "multipart/form-data", "multipart/mixed; boundary=ab", "a/b"]))
    def test_any_other_body_stays_as_it_is(self, body: bytes, kind: str) -> None:
        if not body.startswith(b"--ab"):
            assert with_fixed_boundary(body, kind) == body

    @pytest.mark.parametrize(
        "broken",
        [
            b"--a\r\n",
            b"--a\r\nx: y\r\n\r\nz\r\n--a",
            b"--a\r\nx\r\n--aa\r\n--a--",
            b"--",
            b"",
            b"a=b",
            b"--a\r\nx\r\n--a--",
            b"--a\r\nx\r\n\r\ny\r\n--a--",
        ],
    )
    def test_a_broken_body_has_no_parts(self, broken: bytes) -> None:
        assert read_parts(broken) is None

    def test_a_part_without_headers_and_one_with_a_strange_name(self) -> None:
        body = (
            b"--a\r\n\r\nbare\r\n--a\r\n"
            b'Content-Disposition: form-data; name="x"; filename="caf\xc3\xa9.txt"\r\n\r\n\r\n--a--\r\n'
        )
        assert read_parts(body) == (
            Part(None, None, None, b"bare"),
            Part("x", "café.txt", None, b""),
        )


@pytest.mark.parametrize(
    ("recorded", "body", "is_same"),
    [
        ({"model": "step", "n": 1}, b'{"model":"step","n":1}', True),
        ({"text": "é"}, '{"text":"é"}'.encode(), True),
        ([1.5, None, True], b"[1.5,null,true]", True),
        ({"model": "step"}, b'{"model": "step"}', False),
        ({"n": 1}, b'{"n":1.0}', False),
        ({"n": True}, b'{"n":1}', False),
        ({"half": "\ud800"}, b'{"half":"\\ud800"}', False),
        ({"n": float("inf")}, b'{"n":Infinity}', False),
        ({"n": float("nan")}, b'{"n":NaN}', False),
        ("text", b'"text"', False),
        (None, b"", False),
    ],
)
def test_what_is_sent_to_the_letter_need_not_be_read(recorded: Any, body: bytes, is_same: bool) -> None:
    known = request(recorded)
    assert is_sent_so(known, "POST", URL, body) is is_same
    if is_same:
        assert is_plainly_same(request_from_wire("POST", URL, body, None), known)
    assert not is_sent_so(known, "PUT", URL, body)
    assert not is_sent_so(known, "POST", f"{URL}?x=1", body)


@given(REQUESTS, REQUESTS)
@example(request({"n": 1}), request({"n": 1.0}))
@example(request({"a": -0.0}), request({"a": 0.0}))
def test_what_is_taken_for_sent_to_the_letter_is_the_same_once_it_is_read(
    one: Request, other: Request
) -> None:
    body = body_bytes(one)
    if is_sent_so(other, one.method, one.url, body):
        assert is_plainly_same(request_from_wire(one.method, one.url, body, "application/json"), other)
