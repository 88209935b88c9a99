from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pytest_stepreplay.drift.changes import Change, Drift
from pytest_stepreplay.drift.comparison import compare
from pytest_stepreplay.drift.forms import (
    describe_change,
    summarize_change,
)
from pytest_stepreplay.report.renderers import RENDERERS, Renderer, render
from pytest_stepreplay.settings.levels import Level
from pytest_stepreplay.texts.escaping import code_for_markdown, escape_for_markdown, escape_for_terminal

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
STORED: dict[str, Any] = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "step-3.5-flash",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Say hello."}, "finish_reason": "stop"},
    ],
}


def answer(content: str, **rest: Any) -> dict[str, Any]:
    response = copy.deepcopy(STORED) | rest
    response["choices"][0]["message"]["content"] = content
    return response


def changed(old: Any, new: Any) -> str:
    return summarize_change(Change("x", Level.CONTENT, "changed", old, new))


def drift_of(count: int) -> Drift:
    return Drift(tuple(Change(f"x[{i}]", Level.CONTENT, "changed", i, i + 1) for i in range(count)))


def test_no_drift() -> None:
    drift = Drift()
    assert {str(drift), drift.line(), drift.short(), drift.full()} == {"no drift"}
    assert drift.to_markdown() == "**no drift**"
    assert drift.to_json() == {"level": "none", "fail_on": "content", "passes": True, "changes": []}


def test_every_form_of_one_drift() -> None:
    drift = compare(STORED, answer("Say goodbye.", model="step-4", created="x"))
    contract = "the OpenAI-compatible API reference, the chat completion object"
    assert drift.line() == f"created: expected an integer, got a string (contract: {contract}) and 2 more"
    assert drift.short() == (
        "drift: contract (1 contract, 1 content, 1 metadata)\n"
        f"  created: expected an integer, got a string (contract: {contract})\n"
        "  choices[0].message.content: Say [-hello-]{+goodbye+}. (similarity 0.45) (content)\n"
        "  model: step-3.5-flash -> step-4 (metadata)"
    )
    assert drift.full() == (
        "drift: contract (1 contract, 1 content, 1 metadata)\n"
        "\n"
        "contract:\n"
        f"  created: expected an integer, got a string ({contract})\n"
        "\n"
        "content:\n"
        "  choices[0].message.content: Say [-hello-]{+goodbye+}. (similarity 0.45)\n"
        "\n"
        "metadata:\n"
        "  model: step-3.5-flash -> step-4"
    )
    assert drift.to_json() == {
        "level": "contract",
        "fail_on": "content",
        "passes": False,
        "changes": [
            {
                "selector": "created",
                "level": "contract",
                "kind": "contract",
                "summary": "expected an integer, got a string",
                "old": "an integer",
                "new": "a string",
                "note": "expected an integer, got a string",
                "source": contract,
            },
            {
                "selector": "choices[0].message.content",
                "level": "content",
                "kind": "text",
                "summary": "Say [-hello-]{+goodbye+}. (similarity 0.45)",
                "old": "Say hello.",
                "new": "Say goodbye.",
                "similarity": pytest.approx(10 / 22),
            },
            {
                "selector": "model",
                "level": "metadata",
                "kind": "changed",
                "summary": "step-3.5-flash -> step-4",
                "old": "step-3.5-flash",
                "new": "step-4",
            },
        ],
    }
    assert (
        str(drift.changes[2])
        == describe_change(drift.changes[2])
        == "model: step-3.5-flash -> step-4 (metadata)"
    )


def test_short_is_at_most_eight_lines() -> None:
    for count in (1, 6, 7, 8, 500):
        lines = drift_of(count).short().splitlines()
        assert len(lines) == min(count + 1, 8)
    assert lines[0] == "drift: content (500 content)"
    assert lines[-1] == "  … and 494 content more"
    assert drift_of(7).short().splitlines()[-1] == "  x[6]: 6 -> 7 (content)"
    assert len(drift_of(500).full().splitlines()) == 503
    page = drift_of(500).to_markdown().splitlines()
    assert len(page) == 53
    assert page[-1] == "- … and 450 content more"


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("stop", "length", "stop -> length"),
        ("two words", "", '"two words" -> ""'),
        ("true", True, '"true" -> true'),
        ("1", 1, '"1" -> 1'),
        ('say "x"', 'it\'s "x"', '\'say "x"\' -> "it\'s "x""'),
        (None, [1, {"a": "ü"}], 'null -> [1, {"a": "ü"}]'),
        (float("nan"), [10**5000], None),
        (
            {"function": {"name": "f", "arguments": {"a": 1}}},
            {"function": {"name": "f"}},
            'f({"a": 1}) -> f()',
        ),
        ("名字", "x" * 1000, None),
    ],
)
def test_values_are_shown_as_a_person_writes_them(old: Any, new: Any, shown: str | None) -> None:
    text = changed(old, new)
    assert len(text) < 260
    assert shown is None or text == shown


def test_a_text_is_never_shown_as_two_whole_strings() -> None:
    old = " ".join(f"word{i}" for i in range(400))
    new = old.replace("word200 ", "other ")
    drift = compare(answer(old), answer(new))
    assert "[-word200-]{+other+}" in drift.line()
    assert "(similarity 0.99)" in drift.line()
    assert len(drift.line()) < 300
    assert len(drift.full()) < len(old)


ATTACK = (
    "\x1b[2J\x1b]0;owned\x07 \r\n::error::gotcha\n##[error]no ##vso[task.complete]no"
    "\x9b31m\u202eevil\u200b\ud800\x7f"
    "<script>alert(1)</script> `code` | cell | **bold** [link](http://evil) @everyone "
    "https://evil &amp; $x$"
)


def texts_of(drift: Drift) -> list[str]:
    return [drift.line(), drift.short(), drift.full(), *(change.summary for change in drift.changes)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (STORED, answer(ATTACK)),
        (answer(ATTACK), STORED),
        (STORED, answer("Say hello.", model=ATTACK)),
        (STORED, answer("Say hello.", object=ATTACK)),
        (STORED, STORED | {ATTACK: 1}),
        (STORED, STORED | {"x": {ATTACK: [ATTACK]}}),
        (STORED, {"error": {"message": ATTACK, "type": ATTACK}}),
        ({"error": {"message": "m"}}, {"error": {"message": ATTACK}}),
        ({"::error::x": 1, "a": ATTACK}, {"::error::x": ATTACK, "a": 2}),
        ("::error::a", "::error::b"),
        ({"tool_calls": [{"function": {"name": ATTACK}}]}, {"tool_calls": []}),
        (
            {"tool_calls": [{"function": {"name": "a"}}, {"function": {"name": ATTACK}}]},
            {"tool_calls": [{"function": {"name": ATTACK}}, {"function": {"name": "a"}}]},
        ),
    ],
)
def test_what_a_model_wrote_is_data(old: Any, new: Any) -> None:
    drift = compare(old, new)
    assert drift
    for text in texts_of(drift):
        assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n"]
        assert not [line for line in text.splitlines() if line.strip().startswith("::")]
        assert "##[" not in text
        assert "##vso[" not in text
        text.encode("utf-8")
    page = drift.to_markdown()
    page.encode("utf-8")
    inline = [it for token in MARKDOWN.parse(page) for it in token.children or ()]
    tags = {it.content for it in inline if it.type == "html_inline"}
    assert tags <= {"<code>", "</code>"}
    kinds = {"text", "text_special", "code_inline", "html_inline", "strong_open", "strong_close"}
    assert {it.type for it in inline} <= kinds
    assert all(line == "" or line.startswith(("- `", "- <code>", "**drift")) for line in page.split("\n"))
    json.dumps(drift.to_json())


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain, 你好, é ü 👨‍👩‍👧", "plain, 你好, é ü 👨‍👩‍👧"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x9b \u2028 \u202e \U000e0041", "\\x9b \\u2028 \\u202e \\U000e0041"),
        ("::error::x", "\\x3a:error::x"),
        ("  ::set-output", "  \\x3a:set-output"),
        ("std::vector", "std::vector"),
        ("x ##[group]y", "x ##\\x5bgroup]y"),
        ("##teamcity[x]", "##teamcity\\x5bx]"),
        ("## [x]", "## [x]"),
    ],
)
def test_escape_for_terminal(text: str, escaped: str) -> None:
    assert escape_for_terminal(text) == escaped


def test_escape_for_terminal_can_keep_lines() -> None:
    text = "a\n::error::b\n\t::c\r\n\x1b"
    assert escape_for_terminal(text, lines=True) == "a\n\\x3a:error::b\n\t\\x3a:c\\r\n\\x1b"


@given(st.text() | st.text("\x1b\n\r :#[]a"))
def test_escaped_text_is_one_harmless_line(text: str) -> None:
    escaped = escape_for_terminal(text)
    assert len(escaped.splitlines()) <= 1
    assert not escaped.strip().startswith("::")
    assert "##[" not in escaped
    assert escape_for_terminal(escaped) == escaped
    escaped.encode()
    for line in escape_for_terminal(text, lines=True).split("\n"):
        assert not line.strip().startswith("::")


TEXTS = st.text() | st.text("`|\\_*~[]()<>&#;@:$!ab1 \n", max_size=30)


def cell(markdown: str) -> list[Token]:
    """Returns what GitHub reads in the cell of a table."""
    tokens = MARKDOWN.parse(f"| head | next |\n|---|---|\n| {markdown} | x |\n")
    assert [it.content for it in tokens if it.type == "inline"][-1] == "x", "the cell has been left"
    (inline,) = [it for it in tokens if it.type == "inline"][2:-1]
    return inline.children or []


@given(TEXTS)
def test_escaped_markdown_is_text(text: str) -> None:
    escaped = escape_for_markdown(text)
    found = cell(escaped)
    assert {it.type for it in found} <= {"text", "text_special"}
    assert "".join(it.content for it in found) == escape_for_terminal(text).strip()
    assert not re.search(r"@|https?:/|www\.|:\w+:|\$|#\w(?<!&#\w)", escaped, re.ASCII | re.IGNORECASE)
    escaped.encode()


@given(TEXTS)
def test_code_in_markdown_is_shown_as_it_is(text: str) -> None:
    shown = escape_for_terminal(text)
    found = cell(code_for_markdown(text, cell=True))
    if shown.strip() and not set("|<") & set(shown):
        assert [(it.type, it.content) for it in found] == [("code_inline", shown)]
    else:
        assert {it.type for it in found} <= {"text", "text_special", "html_inline"}
        assert "".join(it.content for it in found if it.type != "html_inline") == shown
    (paragraph,) = [it for it in MARKDOWN.parse(f"- {code_for_markdown(text)}") if it.type == "inline"]
    assert "<" not in re.sub(r"</?code>", "", code_for_markdown(text))
    if shown.strip() and "<" not in shown:
        assert [(it.type, it.content) for it in paragraph.children or ()] == [("code_inline", shown)]


@pytest.mark.parametrize(
    "text",
    [
        "cassettes/test_chat/test_weather.yaml",
        "429 Too Many Requests after 3 tries",
        "could not be sent: refused (at 12:30)",
        "it's 5% - or 6? a+b = c; {x}: y!",
    ],
)
def test_what_needs_no_escape_has_none(text: str) -> None:
    assert escape_for_markdown(text) == text
    assert code_for_markdown(text, cell=True) == f"`{text}`"


def test_a_value_that_json_cannot_hold_becomes_a_string() -> None:
    drift = compare({"a": float("nan"), "b": 10**400, "c": 1}, {"a": float("inf"), "b": 1, "c": "d"})
    text = json.dumps(drift.to_json(), allow_nan=False)
    found = {each["selector"]: each for each in json.loads(text)["changes"]}
    assert (found["a"]["old"], found["a"]["new"]) == ("nan", "inf")
    assert found["b"]["old"] == hex(10**400)
    assert found["c"]["summary"] == '1 (an integer) -> "d" (a string)'


def test_a_change_needs_no_values() -> None:
    assert str(Change("x", Level.METADATA, "changed")) == "x: nothing -> nothing (metadata)"


def test_what_is_absent_has_no_key_in_json() -> None:
    drift = compare({"a": None}, {"b": None})
    assert [sorted({"old", "new"} & set(each)) for each in drift.to_json()["changes"]] == [["old"], ["new"]]


def test_importing_the_room_is_light() -> None:
    code = (
        "import sys, pytest_stepreplay.report.renderers as report\n"
        "report.render\n"
        "assert not {'pydantic', 'deepdiff', 'yaml', 'vcr', 'pytest'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_table_of_renderers() -> None:
    drift = compare(answer("yes"), answer("no", model="other"))
    assert {form: render(drift, form) for form in RENDERERS[Drift]} == {
        "line": drift.line(),
        "short": drift.short(),
        "full": drift.full(),
        "json": json.dumps(drift.to_json(), indent=2),
        "markdown": drift.to_markdown(),
    }


def test_a_new_renderer_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    def html(drift: Drift) -> str:
        return (
            f"<ul>{''.join(f'<li>{escape_for_markdown(str(change))}</li>' for change in drift.changes)}</ul>"
        )

    monkeypatch.setitem(RENDERERS[Drift], "html", Renderer(html))
    assert render(compare(1, 2), "html") == "<ul><li>&#36;: 1 -&#62; 2 (content)</li></ul>"
    with pytest.raises(
        ValueError, match="no renderer 'pdf'; there are line, short, full, json, markdown, html"
    ):
        render(Drift(), "pdf")
