"""A report as a page: what stands in it and where, and that nothing of a model's text can be more than text."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import pytest

from pytest_stepreplay.errors import SettingsError
from pytest_stepreplay.models import Response
from pytest_stepreplay.report import conversations, drift_history, renderers
from pytest_stepreplay.report.verified_runs import EarlierRun, VerifiedRun
from pytest_stepreplay.settings import VERIFY, Settings
from pytest_stepreplay.verify.judging import Verdict, result_of, verdict_on
from tests.cli.conftest import chat, completion, user

HOSTILE = (
    "</script><script>owned()</script>",
    "<img src=x onerror=owned()>",
    "</style><style>*{display:none}</style>",
    "{{ 7 * 7 }}{% for x in y %}",
    '"><svg onload=owned()>',
    "<!-- -->]]>\x1b[31m\u202eevil\x00",
    "<iframe src=https://example.com></iframe><a href=javascript:owned()>",
)


def drifted(number: int, old: Any, new: Any, *messages: dict[str, Any], name: str = "") -> dict[str, Any]:
    stored = chat(*messages, answer=old)
    verdict = verdict_on(Settings(mode=VERIFY), stored, Response(status=200, json=new), 0)
    name = name or f"number_{number}"
    return result_of(verdict, stored, test=f"test_x.py::test_{name}", path=f"cassettes/{name}.yaml")


def calling(tool: str, arguments: str) -> dict[str, Any]:
    call = {"id": "call_1", "type": "function", "function": {"name": tool, "arguments": arguments}}
    return completion(None, "tool_calls", tool_calls=[call])


class Page(HTMLParser):
    """A page as a browser takes it apart."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {
            "script": [],
            "style": [],
            "ins": [],
            "del": [],
            "h2": [],
            "title": [],
        }
        self._open = ""
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in self.inside:
            self._open = tag
            self.inside[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._open:
            self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.inside[self._open][-1] += data
        if self._open not in ("script", "style"):
            self.text += data


def page_of(*results: dict[str, Any]) -> Page:
    return Page(renderers.render(VerifiedRun(results), "html"))


def test_what_matters_most_comes_first_and_reads_as_a_conversation() -> None:
    asked = [{"role": "system", "content": "Be brief."}, user("How is the weather in Paris?")]
    page = page_of(
        drifted(1, completion("It is sunny today."), completion("It is rainy today."), *asked),
        *(
            drifted(
                n, calling("get_weather", '{"city": "Paris"}'), calling("get_forecast", '{"city": "Rome"}')
            )
            for n in (2, 3, 4)
        ),
        {**drifted(5, completion(), completion()), "status": "same"},
        result_of(
            Verdict(0, "unverified", reason="no answer"), chat(), test="test_x.py::test_u", path="u.yaml"
        ),
    )
    assert [" ".join(each.split()) for each in page.inside["h2"]] == [
        "behavior the model does something different",
        "content the text differs",
        "not verified could not verify: there was no answer to compare",
        "Figures",
    ]
    order = [
        page.text.index(each)
        for each in ("get_forecast", "3 interactions", "How is the weather in Paris?", "no answer")
    ]
    assert order == sorted(order)
    assert "sunny" in page.inside["del"]
    assert "rainy" in page.inside["ins"]
    for told in (
        "Be brief.",
        "verified 5 of 6 interactions",
        "argument",
        "Paris",
        "Rome",
        "test_x.py::test_number_1",
    ):
        assert told in page.text
    assert page.inside["title"][0] == "stepreplay: 4 drifted"


def test_nothing_of_a_model_is_more_than_text() -> None:
    plain = page_of(drifted(1, completion("a"), completion("b"), user("c")))
    for text in HOSTILE:
        said = completion(f"1 {text}", reasoning=text, refusal=text)
        page = page_of(
            drifted(1, said, completion(f"2 {text}"), user(text), name=text),
            drifted(2, calling(text, '{"a": 1}'), calling("b", f'{{"{len(text)}": "x"}}')),
            result_of(Verdict(0, "unverified", reason=text), chat(), test=text, path=text),
        )
        for tag in ("script", "style"):
            assert page.inside[tag] == plain.inside[tag]
        assert {tag for tag, _ in page.tags}.isdisjoint({"img", "iframe"})
        assert all("viewbox" in attrs for tag, attrs in page.tags if tag == "svg"), "it is drawn by the page"
        assert [attrs for tag, attrs in page.tags if tag == "a"] == [{"class": "skip", "href": "#found"}]
        assert not [
            attrs for _, attrs in page.tags if any(name.startswith("on") or name == "src" for name in attrs)
        ]
        assert "\x1b" not in page.text
        assert "\u202e" not in page.text
        if "{{" in text:
            assert text in page.text


def test_only_its_own_script_and_style_may_run_and_nothing_is_loaded() -> None:
    page = page_of(drifted(1, completion("a"), completion("b")))
    (policy,) = (
        attrs["content"]
        for tag, attrs in page.tags
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
    )
    digests = {
        tag: b64encode(sha256(page.inside[tag][0].encode()).digest()).decode() for tag in ("style", "script")
    }
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digests['style']}'; script-src 'sha256-{digests['script']}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert not re.search(r"https?:|@import|url\(", "".join(page.inside["style"] + page.inside["script"]))
    assert not [tag for tag, attrs in page.tags if tag == "link" or "style" in attrs]


def test_a_keyboard_and_a_screen_reader_find_their_way() -> None:
    page = page_of(drifted(1, completion("a"), completion("b")))
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    for tag, attrs in page.tags:
        for name in ("for", "aria-labelledby"):
            assert attrs.get(name, None) in {None, *ids}
        if tag == "th":
            assert attrs["scope"] in {"col", "row"}
    tags = [tag for tag, _ in page.tags]
    assert {"main", "nav", "header", "h1", "summary", "caption"} <= set(tags)
    assert ("html", {"lang": "en"}) in page.tags
    assert tags.count("h1") == tags.count("main") == 1


def test_an_empty_run_and_one_without_drift_say_so() -> None:
    assert "Nothing was verified." in page_of().text
    assert (
        "Nothing has drifted." in page_of({**drifted(1, completion(), completion()), "status": "same"}).text
    )


def test_a_long_conversation_is_cut_and_an_answer_that_is_none_has_no_conversation() -> None:
    many = [user(f"Question {n}") for n in range(20)]
    said = conversations.conversation_of(
        chat(*many).request, chat().response, Response(status=200, json=completion("x" * 50_000))
    )
    assert said is not None
    assert (len(said["asked"]), said["earlier"], said["asked"][-1]["text"]) == (8, 12, "Question 19")
    assert said["new"][0]["text"].endswith("… (30,000 more characters)")
    generic = chat(url="https://example.com/x").request
    assert (
        conversations.conversation_of(generic, Response(status=200, text="a"), Response(status=200, text="b"))
        is None
    )
    page = page_of({**drifted(1, completion("a"), completion("b")), "said": None})
    assert "choices[0].message.content" in page.text


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        ([None], "in no earlier report"),
        ([""], "new: no drift in 1 earlier report"),
        (["", None, "content"], "since 2.json: in 2 of 3 runs"),
        (["content", "", "behavior", ""], "since 0.json: in 3 of 5 runs, came back 2 times"),
    ],
)
def test_since_when_an_interaction_drifts(levels: list[str | None], told: str) -> None:
    result = drifted(1, completion("a"), completion("b"))
    key = result["path"], result["interaction"], result["test"]
    earlier = [
        EarlierRun(f"{n}.json", {} if level is None else {key: level}) for n, level in enumerate(levels)
    ]
    assert drift_history.since_when(VerifiedRun([result], earlier=earlier), result)[1] == told


def test_a_stream_is_shown_as_the_answer_that_it_folds_into() -> None:
    def streamed(*pieces: str) -> Response:
        chunks = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
        events = (*map(json.dumps, chunks), "[DONE]")
        return Response(status=200, headers={"content-type": "text/event-stream"}, events=events)

    stored = chat(user("Weather?"), response=streamed("It is ", "sunny", " to", "day."), stream=True)
    verdict = verdict_on(Settings(mode=VERIFY), stored, streamed("It ", "is rai", "ny today."), 0)
    page = page_of(result_of(verdict, stored, test="test_x", path="x.yaml"))
    assert ("sunny" in page.inside["del"], "rainy" in page.inside["ins"]) == (True, True)
    assert "delta" not in page.text


def test_a_huge_answer_is_shown_around_what_changed() -> None:
    many = " ".join(map(str, range(6_000)))
    huge = page_of(drifted(1, completion(many), completion(many.replace(" 2999 ", " new "))))
    assert ("2999" in huge.inside["del"], "new" in huge.inside["ins"]) == (True, True)
    assert "characters that stayed" in huge.text
    assert len(huge.text) < 20_000
    other = page_of(drifted(1, completion(many), completion("x" * 50_000)))
    assert "more characters)" in other.text
    assert len(other.text) < 100_000
    keys = page_of(
        drifted(
            1,
            calling("a", "{}"),
            calling("a", json.dumps({"long": many} | {f"k{n}": n for n in range(300)})),
        )
    )
    assert "more changes" in keys.text
    assert len(keys.text) < 150_000


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderers, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"'drift.html' needs jinja2.*\n.*pytest-stepreplay\[html\]"):
        renderers.form_for("drift.html", VerifiedRun)
    assert renderers.form_for("drift.md", VerifiedRun) == "markdown"
