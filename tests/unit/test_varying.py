"""Values that differ from run to run: what each kind finds, what it leaves alone, and what `normalize` makes equal."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_stepreplay.errors import SettingsError
from pytest_stepreplay.matching.keys import Matcher
from pytest_stepreplay.matching.nearness import nearest, telling_words
from pytest_stepreplay.models import Request
from pytest_stepreplay.settings import read_marker
from pytest_stepreplay.texts.varying import KINDS, Normalizer
from pytest_stepreplay.wire.bodies import request_from_wire

UUID, OTHER = "b7b56af0-52a6-483f-a589-948182676a1b", "0c8f2a10-1111-4222-8333-444455556666"
URL = "https://api.stepfun.com/v1/chat/completions"


def normalized(text: Any, *names: str) -> Any:
    return Normalizer(names).start()(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("uuid", UUID),
        ("uuid", UUID.upper()),
        ("hex-id", "b7b56af052a6483fa589948182676a1b"),
        ("hex-id", "00f067aa0ba902b7"),
        ("iso-date", "2026-11-28"),
        ("iso-date", "2026-11-28T09:30:00Z"),
        ("iso-date", "2026-11-28T09:30:00.123456+01:00"),
        ("iso-date", "2026-11-28 09:30"),
        ("date", "2026-11-28"),
        ("date", "November 28, 2026"),
        ("date", "Saturday, November 28, 2026"),
        ("date", "Sat, 28 Nov 2026"),
        ("date", "28th of November 2026"),
        ("date", "May 1st, 2026"),
        ("date", "11/28/2026"),
        ("date", "28.11.2026"),
        ("date", "2026/11/28"),
        ("date", "Sat Nov 28 09:30:00 2026"),
        ("date", "Sun Nov  1 09:30:00 UTC 2026"),
        ("time", "9:30"),
        ("time", "09:30:00.123"),
        ("time", "9:30 PM"),
        ("time", "09:30:00 UTC"),
        ("timestamp", "1764322200"),
        ("timestamp", "1764322200123"),
        ("timestamp", "1764322200.25"),
        ("tmp-path", "/tmp/pytest-of-ada/pytest-12/test_hello0"),
        ("tmp-path", "/tmp/pytest-of-ada/pytest-12/popen-gw1/test_hello0"),
        ("tmp-path", "/private/var/folders/zz/x_1/T/pytest-of-ada/pytest-current/test_hello0"),
        ("tmp-path", r"C:\Users\Ada\AppData\Local\Temp\pytest-of-Ada\pytest-3\test_hello0"),
        ("tmp-path", r"C:\\Users\\Ada\\AppData\\Local\\Temp\\tmpab12cd_9"),
        ("tmp-path", "/tmp/tmpab12cd_9"),
        ("tmp-path", "/var/folders/zz/x_1/T/tmpab12cd_9"),
    ],
)
def test_a_kind_finds_the_whole_value_wherever_it_stands(name: str, text: str) -> None:
    found = f"<{name} 1>" if KINDS[name].identifies else f"<{name}>"
    for around in ("{}", "It is {}, I think.", "a={}\nb", '{{"a": "{}"}}', "({})"):
        assert normalized(around.format(text), name) == around.format(found)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("uuid", UUID[:-1]),
        ("uuid", UUID + "0"),
        ("hex-id", "deadbeefdeadbeef"),  # no digit: it may be a word
        ("hex-id", "1234567890123456"),  # a number
        ("hex-id", "abc123"),
        ("iso-date", "gpt-4o-2024-08-06"),
        ("date", "gpt-4o-2024-08-06"),
        ("iso-date", "2026-13-28"),
        ("iso-date", "12026-11-28"),
        ("iso-date", "2026-11-281"),
        ("date", "November 2026"),
        ("date", "1/2/3"),
        ("time", "1:2:3:4"),
        ("time", "24:00"),
        ("time", "Matthew 5:3"),
        ("timestamp", "+491764322200"[1:]),
        ("timestamp", "1264322200"),
        ("tmp-path", "/home/ada/project/tmp"),
        ("tmp-path", "/usr/share/doc"),
        ("local-port", "example.localhost:80"),
        ("local-port", "api.stepfun.com:443"),
        ("address", "0x7f3c5a1b2c40"),
    ],
)
def test_a_kind_leaves_alone_what_is_none(name: str, text: str) -> None:
    assert normalized(text, name) == text


def test_what_stands_around_a_value_counts() -> None:
    assert normalized("/tmp/tmpab12cd_9/a.txt", "tmp-path") == "<tmp-path 1>/a.txt"
    assert normalized("http://localhost:8080/x", "local-port") == "http://localhost:<local-port 1>/x"
    assert normalized("<Tool at 0x7f3c5a1b2c40>", "address") == "<Tool at <address 1>>"
    assert normalized("run-17 of 20", r"regex:run-\d+") == "<match> of 20"


def test_equal_values_stay_equal_and_different_ones_different() -> None:
    assert normalized(f"{UUID} {OTHER} {UUID.upper()}", "uuid") == "<uuid 1> <uuid 2> <uuid 1>"
    assert normalized("2026-11-28 to 2026-11-29", "iso-date") == "<iso-date> to <iso-date>"


def test_numbers() -> None:
    for number in (1764322200, 1764322200.5, 1764322200123, 1764322200123456789):
        assert normalized(number, "timestamp") == "<timestamp>"
    for number in (True, 7, -1764322200, 17643222001, float("nan"), float("inf")):
        assert normalized(number, "timestamp") is number


@given(st.text(alphabet="/\\0aft-:. 2026T", max_size=400), st.sets(st.sampled_from(sorted(KINDS))))
def test_any_text_is_normalized_once_and_for_all(text: str, names: set[str]) -> None:
    once = normalized(text, *names)
    assert normalized(once, *(names - {"tmp-path"})) == once


@pytest.mark.parametrize(
    "text", ["/a" * 50_000, "/" * 100_000, "a" * 100_000, "0:" * 50_000, "2026-" * 20_000]
)
def test_a_long_text_without_values_comes_back(text: str) -> None:
    assert normalized(text, *KINDS) == text


def chat(content: Any, url: str = URL, **fields: Any) -> Request:
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **fields}
    return Request(method="POST", url=url, json=body)


def same(one: Request, other: Request, *names: str) -> bool:
    return len({Matcher(normalize=names).key(each) for each in (one, other)}) == 1


class TestMatching:
    def test_other_values_match_where_they_are_named(self) -> None:
        one, other = chat("Today is 2026-11-28."), chat("Today is 2026-11-29.")
        assert not same(one, other)
        assert not same(one, other, "uuid")
        assert same(one, other, "iso-date")
        assert not same(one, chat("Today is 2026-11-29!"), "iso-date")

    def test_swapped_values_do_not(self) -> None:
        one = chat(f"Move {UUID} to {OTHER}.", metadata={"to": OTHER})
        assert same(one, chat(f"Move {OTHER} to {UUID}.", metadata={"to": UUID}), "uuid")
        assert not same(one, chat(f"Move {OTHER} to {UUID}.", metadata={"to": OTHER}), "uuid")

    def test_the_order_of_keys_does_not_matter(self) -> None:
        one, other = ({"a": UUID, "b": [OTHER]}, {"b": [UUID], "a": OTHER})
        assert same(
            Request(method="POST", url=URL, json=one), Request(method="POST", url=URL, json=other), "uuid"
        )

    def test_a_url_keeps_its_dates(self) -> None:
        def at(version: str, run: str) -> Request:
            return chat("Hi", f"https://example.com/{run}/chat?api-version={version}&run={run}")

        names = ("uuid", "iso-date")
        assert same(at("2024-10-21", UUID), at("2024-10-21", OTHER), *names)
        assert not same(at("2024-10-21", UUID), at("2025-01-01", UUID), *names)

    def test_texts_and_parts(self) -> None:
        def text(day: str) -> Request:
            return request_from_wire("POST", URL, f"On {day}.".encode(), "text/plain")

        def form(day: str) -> Request:
            body = f'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n{day}\r\n--x--\r\n'
            return request_from_wire("POST", URL, body.encode(), "multipart/form-data; boundary=x")

        for make in (text, form):
            assert not same(make("2026-11-28"), make("2026-11-29"))
            assert same(make("2026-11-28"), make("2026-11-29"), "iso-date")

    def test_turns_of_a_conversation(self) -> None:
        def turns(day: str, more: bool) -> list[Any]:
            first = {"role": "system", "content": f"Today is {day}."}
            return [first, {"role": "user", "content": "Hi"}, *([{"role": "assistant"}] if more else [])]

        matcher = Matcher(normalize=("iso-date",))
        short, long = (
            matcher.conversation(Request(method="POST", url=URL, json={"messages": turns(day, more)}))
            for day, more in (("2026-11-28", False), ("2026-11-29", True))
        )
        assert long[: len(short)] == short

    def test_a_request_says_what_was_normalized(self) -> None:
        matcher = Matcher(normalize=("iso-date", "date", "uuid", "timestamp", r"regex:step-\d"))
        asked = chat(f"2026-11-28, 28 Nov 2026: {UUID} step-1 step-2", now=1764322200)
        assert matcher.normalized(asked) == "2 matches, 1 UUID, 2 dates, 1 timestamp"
        assert matcher.normalized(chat("Hi")) == ""
        assert Matcher().normalized(asked) == ""

    def test_a_file_need_not_spell_what_is_normalized(self) -> None:
        words = telling_words(chat(f"Where is {UUID}, Ada?"), Matcher(normalize=("uuid",)))
        assert words == ["Where"]


class TestRemedies:
    """A miss that differs by such values alone names the kinds that make it match."""

    @pytest.mark.parametrize(
        ("old", "new", "kinds"),
        [
            ("On 2026-11-28", "On 2026-11-29", ("iso-date",)),
            ("On 28 Nov 2026", "On 29 Nov 2026", ("date",)),
            (f"2026-11-28 {UUID}", f"2026-11-29 {OTHER}", ("uuid", "iso-date")),
            ("/tmp/tmpab12cd_9/a", "/var/tmp/tmpzz12cd_9/a", ("tmp-path",)),
            ("Hi", "Hello", None),
            ("Hi on 2026-11-28", "Hello on 2026-11-29", None),
        ],
    )
    def test_a_text(self, old: str, new: str, kinds: tuple[str, ...] | None) -> None:
        found = nearest(chat(new), [chat(old)])
        assert found
        assert found.remedy == ({"normalize": kinds} if kinds else {})

    def test_a_number_and_a_url(self) -> None:
        found = nearest(chat("Hi", now=1764322200), [chat("Hi", now=1764322299)])
        assert found
        assert found.remedy == {"normalize": ("timestamp",)}
        found = nearest(chat("Hi", f"{URL}?run={UUID}"), [chat("Hi", f"{URL}?run={OTHER}")])
        assert found
        assert found.remedy == {"normalize": ("uuid",)}

    def test_what_is_normalized_already_stays_so(self) -> None:
        matcher = Matcher(normalize=("uuid",))
        found = nearest(chat(f"{UUID} 2026-11-28"), [chat(f"{OTHER} 2026-11-29")], matcher=matcher)
        assert found
        assert found.remedy == {"normalize": ("uuid", "iso-date")}


class TestSettings:
    def test_names_and_patterns(self) -> None:
        given = {"uuid", "regex:run-[0-9]+", re.compile("step", re.IGNORECASE)}
        values = read_marker((), {"normalize": given})
        assert values == {"normalize": ("regex:(?i)step", "regex:run-[0-9]+", "uuid")}
        assert read_marker((), {"normalize": "uuid  iso-date"}) == {"normalize": ("iso-date", "uuid")}

    @pytest.mark.parametrize(
        ("value", "problem"),
        [
            (["uid"], "'uid' is not one of tmp-path, uuid, .+ or regex:PATTERN \\(did you mean uuid\\?\\)"),
            (["regex:("], "'regex:\\(' is not a regular expression: "),
            (["regex:a*"], "'regex:a\\*' also finds an empty text"),
            ([re.compile(b"a")], "is not a pattern of text"),
            ([1], "is not a list of strings"),
            ({"uuid": 1}, "is not a list of strings"),
        ],
    )
    def test_a_wrong_one(self, value: Any, problem: str) -> None:
        with pytest.raises(SettingsError, match=f"normalize: .*{problem}"):
            read_marker((), {"normalize": value})
