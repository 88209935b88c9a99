from __future__ import annotations

import copy
import json
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pytest_stepreplay.drift.changes import Change, Drift
from pytest_stepreplay.drift.comparison import compare
from pytest_stepreplay.report.failing_tests import failure_text, section_text
from pytest_stepreplay.report.renderers import render
from pytest_stepreplay.report.verified_runs import VerifiedRun
from pytest_stepreplay.settings import REWRITE
from pytest_stepreplay.settings.levels import Level
from pytest_stepreplay.settings.policy import Policy

WEATHER = "cassettes/test_chat/test_weather.yaml"
TEST = "tests/test_chat.py::test_weather"
BEHAVIOR = Policy(fail_on="behavior")
STORED: dict[str, Any] = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "step-3.5-flash",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Let me look for the weather in Paris.",
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "search", "arguments": "{}"}}
                ],
            },
            "finish_reason": "tool_calls",
        },
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def changed(**changes: Any) -> dict[str, Any]:
    new = copy.deepcopy(STORED)
    message = new["choices"][0]["message"]
    if "name" in changes:
        message["tool_calls"][0]["function"]["name"] = changes.pop("name")
    if "content" in changes:
        message["content"] = changes.pop("content")
    if changes.pop("usage", 1) is None:
        del new["usage"]
    return new | changes


def drift(**changes: Any) -> Drift:
    return compare(STORED, changed(**changes), BEHAVIOR)


TOOL = drift(name="fetch", content="Let me look for the weather in Rome.", usage=None)
TEXT = drift(content="Let me look for the weather in Rome.")
USAGE = drift(usage=None)
BROKEN = drift(created="now")


def result(told: Drift | str | None = None, n: int = 1, **rest: Any) -> dict[str, Any]:
    status = "drifted" if isinstance(told, Drift) else "unverified" if told else "same"
    return {
        "test": TEST,
        "path": WEATHER,
        "interaction": n,
        "status": status,
        "drift": told.to_json() if isinstance(told, Drift) else None,
        "reason": told if isinstance(told, str) else "",
        "known": False,
    } | rest


LIMIT = "429 Too Many Requests after 3 tries"
GREETING = {"path": "cassettes/test_hi.yaml", "test": "tests/test_hi.py::test_hi"}
RUN = [
    result(TEXT, 3),
    result(USAGE, 1, **GREETING),
    result(LIMIT, 2, **GREETING),
    result(TOOL, 2),
    result(None, 1),
    result(BROKEN, 4),
]


def page(results: list[dict[str, Any]], fail_on: str | Level = "behavior", **rest: Any) -> str:
    return render(VerifiedRun(results, fail_on, **rest), "terminal")


def test_the_end_of_a_run() -> None:
    assert page(RUN) == (
        "verified 5 of 6 interactions in 2 cassettes: 1 unchanged, 4 drifted\n"
        "2 interactions fail (fail-on: behavior)\n"
        "\n"
        "contract (1): the response breaks the documented object\n"
        "  cassettes/test_chat/test_weather.yaml#4\n"
        "    created: expected an integer, got a string\n"
        "\n"
        "behavior (1): the model does something different\n"
        "  cassettes/test_chat/test_weather.yaml#2\n"
        "    choices[0].message.tool_calls[0].function.name: search -> fetch (+2 more)\n"
        "\n"
        "content (1): the text differs\n"
        "  cassettes/test_chat/test_weather.yaml#3\n"
        "    choices[0].message.content: …[-Paris-]{+Rome+}. (similarity 0.87)\n"
        "\n"
        "metadata (1): only other fields differ\n"
        "  cassettes/test_hi.yaml#1\n"
        '    usage: removed {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens":…\n'
        "\n"
        "could not verify: there was no answer to compare (1)\n"
        "  cassettes/test_hi.yaml#2  429 Too Many Requests after 3 tries\n"
        "\n"
        "stepreplay review          look at each change, accept or reject it\n"
        "stepreplay accept --all    accept all of them"
    )


def test_the_order_of_results_does_not_matter() -> None:
    assert page(RUN[::-1]) == page(RUN)
    assert json.loads(render(VerifiedRun(RUN[::-1]), "json")) == json.loads(render(VerifiedRun(RUN), "json"))
    assert render(VerifiedRun(RUN[::-1]), "markdown") == render(VerifiedRun(RUN), "markdown")


def test_without_drift_it_is_one_line() -> None:
    assert page([result(n=n) for n in (1, 2)]) == (
        "verified 2 interactions in 1 cassette: 2 unchanged, 0 drifted"
    )
    assert page([result()]) == "verified 1 interaction in 1 cassette: 1 unchanged, 0 drifted"
    assert page([]) == ""


@pytest.mark.parametrize(
    ("fail_on", "line"),
    [
        ("never", "no interactions fail (fail-on: never)"),
        ("content", "1 interaction fails (fail-on: content)"),
        (Level.CONTENT, "1 interaction fails (fail-on: content)"),
        ("behavior", "no interactions fail (fail-on: behavior)"),
    ],
)
def test_it_says_what_fails(fail_on: str | Level, line: str) -> None:
    one = compare(STORED, changed(content="No."), Policy(fail_on=fail_on))
    assert page([result(one)], fail_on).splitlines()[1] == line


def test_known_drift_is_counted_and_not_listed() -> None:
    known = [result(TOOL, 2, known=True), result(TOOL, 3, known=True)]
    assert page(known) == (
        "verified 2 interactions in 1 cassette: 0 unchanged, 2 drifted\n"
        "no interactions fail (fail-on: behavior)\n"
        "2 interactions with known drift, not listed: it is in the baseline"
    )
    text = page([*known[:1], result(TEXT, 5)])
    assert "1 interaction with known drift" in text
    assert "test_weather.yaml#5" in text
    assert "test_weather.yaml#2" not in text


def test_what_fits_stands_in_two_columns() -> None:
    short = [
        result(Drift((Change("model", Level.METADATA, "changed", "a", "b"),)), 9, path="a.yaml"),
        result(Drift((Change("model", Level.METADATA, "changed", "c", "d"),)), 10, path="名字.yaml"),
    ]
    assert page(short).splitlines()[4:6] == [
        "  a.yaml#9      model: a -> b",
        "  名字.yaml#10  model: c -> d",
    ]
    wide = page([result(TOOL, 2)], width=140)
    assert (
        "  cassettes/test_chat/test_weather.yaml#2  "
        "choices[0].message.tool_calls[0].function.name: search -> fetch (+2 more)" in wide.splitlines()
    )


def test_a_long_list_is_capped() -> None:
    lines = page([result(other_tool(n), n) for n in range(1, 1301)]).splitlines()
    assert len(lines) == 2 + 2 + 10 * 2 + 1 + 3
    assert "  ... and 1,290 more; --stepreplay-report=FILE.json lists all" in lines
    lines = page([result(f"error {n}", n) for n in range(1, 31)]).splitlines()
    assert lines[-1] == "  ... and 20 more; --stepreplay-report=FILE.json lists all"


def other_tool(number: int) -> Drift:
    place = "choices[0].message.tool_calls[0].function.name"
    return Drift((Change(place, Level.BEHAVIOR, "changed", "search", f"fetch_{number}"),))


def test_what_many_have_in_common_is_told_once() -> None:
    same = [
        result(other_tool(0), 1, path=f"cassettes/test_{n:03}.yaml", test=f"t.py::test_{n}")
        for n in range(200)
    ]
    lines = page([*same, result(other_tool(1), 9, path="cassettes/other.yaml")], width=120).splitlines()
    assert lines[3:9] == [
        "behavior (201): the model does something different",
        "  200 tests: choices[0].message.tool_calls[0].function.name: search -> fetch_0",
        "    cassettes/test_000.yaml#1",
        "    cassettes/test_001.yaml#1",
        "    cassettes/test_002.yaml#1",
        "    ... and 197 more",
    ]
    assert lines[9] == "    stepreplay review cassettes"  # to accept the folder would accept the other, too
    assert lines[10].startswith("  cassettes/other.yaml#9  choices")
    four = page([result(TOOL, n, path="a [1].yaml") for n in range(4)])
    assert "  4 interactions: choices[0].message.tool_calls[0].function.name" in four
    assert "\n    stepreplay accept 'a [1].yaml'\n" in four
    assert "accept 'a" not in page([result(TOOL, n, path="a [1].yaml") for n in range(4)], mode=REWRITE)
    down = page([result("the server answered 503", n) for n in range(30)]).splitlines()
    assert down[-5:] == [
        "  30 interactions: the server answered 503",
        *(f"    cassettes/test_chat/test_weather.yaml#{n}" for n in range(3)),
        "    ... and 27 more",
    ]


NAMES = ["Ann", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal", "Ida", "Joe"]


def chatty(number: int, **rest: Any) -> dict[str, Any]:
    """Returns a drift of one cause, in other words each time, with an incidental change beside it."""
    place = f"{NAMES[number % 10]} of row {number}"
    told = compare(
        changed(content=f"For {place} I give a terse answer about {'rain ' * number}today."),
        changed(
            content=f"For {place} I give a chatty answer about {'rain ' * number}today.",
            **({"trace": f"x{number}"} if number % 2 else {}),
        ),
        Policy(fail_on="content"),
    )
    path = f"cassettes/test_{number % 3}/test_{number:03}.yaml"
    return result(told, 1, path=path, test=f"tests/test_{number % 3}.py::test_{number:03}") | rest


def test_one_cause_is_told_once_whatever_words_stand_around_it() -> None:
    lines = page([chatty(n) for n in range(200)], "content", width=120).splitlines()
    assert lines[3:] == [
        "content (200): the text differs",
        "  200 tests: choices[0].message.content: …[-terse-]{+chatty+}… (+0 to 1 more)",
        *(f"    cassettes/test_0/test_{n:03}.yaml#1" for n in (0, 3, 6)),
        "    ... and 197 more",
        "    stepreplay accept --all",
        "",
        "stepreplay review          look at each change, accept or reject it",
        "stepreplay accept --all    accept all of them",
    ]
    text = render(VerifiedRun([chatty(n) for n in range(200)]), "markdown")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows == [
        "| `cassettes/test_0/test_000.yaml`#1, `cassettes/test_0/test_003.yaml`#1, "
        "`cassettes/test_0/test_006.yaml`#1 and 197 more "
        "| `choices[0].message.content`: `…[-terse-]{+chatty+}…` (and 0 to 1 more) "
        "| `tests/test_0.py::test_000`, `tests/test_0.py::test_003`, `tests/test_0.py::test_006` and 197 more |"
    ]


def test_a_cause_is_told_where_it_stands_and_by_what_all_have_in_common() -> None:
    places = [
        Drift(
            (
                Change(
                    f"choices[{n}].message.tool_calls[{n}].function.name", Level.BEHAVIOR, "changed", "a", "b"
                ),
            )
        )
        for n in range(3)
    ]
    text = page([result(each, n) for n, each in enumerate(places)], width=120)
    assert "3 interactions: choices[*].message.tool_calls[*].function.name: a -> b\n" in text
    counted = [
        Drift((Change("usage.completion_tokens", Level.METADATA, "changed", 20, 30 + n),)) for n in range(3)
    ]
    text = page([result(each, n) for n, each in enumerate(counted)], width=120)
    assert "3 interactions: usage.completion_tokens: 20 -> 30, or another value\n" in text
    fields = [Drift((Change("trace", Level.METADATA, "added", new=f"x{n}"),)) for n in range(3)]
    text = page([result(each, n) for n, each in enumerate(fields)], width=120)
    assert "3 interactions: trace: added x0, or another value\n" in text
    models = [Drift((Change("model", Level.METADATA, "changed", "a", f"b{n}"),)) for n in range(3)]
    assert "interactions: model" not in page([result(each, n) for n, each in enumerate(models)], width=120)


def test_one_command_decides_about_a_cause_and_nothing_else() -> None:
    terse = [chatty(3 * n) for n in range(50)]
    assert "    stepreplay accept --all\n" in page(terse, "content")
    folder = "    stepreplay accept cassettes/test_0\n"
    beside = result(other_tool(1), path="cassettes/test_1/x.yaml")
    assert folder in page([*terse, beside], "content")
    assert folder in page(terse, "content", waiting=["cassettes/test_1/x.yaml"])
    inside = result(other_tool(1), path="cassettes/test_0/x.yaml")
    shown = "    stepreplay review cassettes/test_0\n"
    for mixed in (
        page([*terse, inside], "content"),
        page(terse, "content", waiting=["cassettes/test_0/y.snapshots.yaml"]),
    ):
        assert shown in mixed
        assert "    stepreplay accept" not in mixed
    few = terse[:3]
    names = " ".join(each["path"] for each in few)
    assert f"    stepreplay accept {names}\n" in page([*few, inside], "content")
    too = result(other_tool(1), 2, path=few[0]["path"])
    both = page([*few, too], "content")
    assert "    stepreplay accept" not in both
    assert f"    stepreplay review {names}\n" in both
    spread = [{**each, "path": f"cassettes/test_{n}/x.yaml"} for n, each in enumerate(terse)]
    others = [result(other_tool(1), path=f"cassettes/test_{n}/y.yaml") for n in range(50)]
    assert "    stepreplay review cassettes\n" in page([*spread, *others], "content")
    spread = [{**each, "path": f"test_{n}.yaml"} for n, each in enumerate(terse)]
    assert "    stepreplay review\n" in page([*spread, *others], "content", waiting=["z.yaml"])


def test_what_later_requests_quote_is_recorded_anew_and_not_accepted() -> None:
    quoted = [
        chatty(n, quoted="interaction 2 quotes the old answer", again=[f"tests/test_{n}.py::test_talk"])
        for n in range(3)
    ]
    rewrite = "pytest tests/test_0.py::test_talk tests/test_1.py::test_talk tests/test_2.py::test_talk --stepreplay=rewrite"
    text = page(quoted, "never", width=120)
    assert f"#1\n    {rewrite}\n" in text
    assert text.endswith(
        "\n\ncassettes/test_0/test_000.yaml#1: interaction 2 quotes the old answer, and 2 more are quoted. "
        f"To accept that alone breaks the tests; record them anew:\n  {rewrite}\n"
        "stepreplay review    look at each change, accept or reject it"
    )
    assert "accept --all" not in text
    text = page([*quoted[:1], result(TOOL)], "never")
    assert "  pytest tests/test_0.py::test_talk --stepreplay=rewrite\n" in text
    assert text.endswith("stepreplay accept --all    accept all of them, once those are recorded")
    told = render(VerifiedRun([*quoted[:1], result(TOOL)]), "markdown")
    assert "`pytest tests/test_0.py::test_talk --stepreplay=rewrite`" in told
    assert "accept all with `stepreplay accept --all`" in told
    assert "accept" not in render(VerifiedRun(quoted, pending=False), "markdown")
    many = [chatty(n, quoted="it is quoted", again=[f"tests/test_{n % 3}.py::test_{n}"]) for n in range(30)]
    modules = "pytest tests/test_0.py tests/test_1.py tests/test_2.py --stepreplay=rewrite"
    assert page(many, "never").count(modules) == 2


def test_without_pending_files_it_says_how_to_get_them() -> None:
    last = page([result(TOOL)], pending=False).splitlines()[-1]
    assert last == "no pending files were written here; to get them, run: pytest --stepreplay=verify"


def test_a_rewrite() -> None:
    text = page([result(TOOL), result(None, 2), result("it was not recorded before", 3)], mode=REWRITE)
    assert text.splitlines() == [
        "rewrote 2 of 3 interactions in 1 cassette: 1 unchanged, 1 drifted",
        "",
        "behavior (1): the model does something different",
        "  cassettes/test_chat/test_weather.yaml#1",
        "    choices[0].message.tool_calls[0].function.name: search -> fetch (+2 more)",
        "",
        "not compared with the old cassette (1)",
        "  cassettes/test_chat/test_weather.yaml#3  it was not recorded before",
        "",
        "git diff shows what changed in the cassettes",
    ]


def columns(line: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in line)


LONG = "The quick brown fox jumps over the lazy dog. " * 9
CJK = "今天巴黎的天气很好，适合出去散步。" * 30  # noqa: RUF001 - a Chinese comma


@pytest.mark.parametrize(
    "told",
    [
        TOOL,
        TEXT,
        compare(STORED, changed(content=LONG)),
        compare(changed(content=CJK), changed(content=CJK.replace("巴黎", "罗马"))),
        compare(changed(content=LONG), changed(content=LONG + "x"), Policy(text={"**.content": 1.0})),
        compare(
            changed(content='{"a": 1}'), changed(content="It is one, and not more than one, said the fox")
        ),
        compare(STORED, changed(model="很" * 300)),
        compare(STORED, {**STORED, "k" * 500: 1}),
        compare(STORED, {**STORED, "键" * 500: ["v" * 500]}),
    ],
)
@pytest.mark.parametrize("width", [80, 100])
def test_facts_fit_into_the_terminal(told: Drift, width: int) -> None:
    for line in page([result(told), result("timeout " * 50, 2)], width=width).splitlines():
        assert columns(line) <= width, line


def test_a_long_place_leaves_room_for_the_fact() -> None:
    arguments = ("filters", "published", "after", "the_first_of")
    old, new = ({"day": "Monday"}, {"day": "Tuesday"})
    for key in reversed(arguments):
        old, new = {key: old}, {key: new}  # type: ignore[dict-item]  # any JSON value

    def calling(value: Any) -> Any:
        response = changed()
        call = response["choices"][0]["message"]["tool_calls"][0]
        call["function"]["arguments"] = json.dumps(value)
        return response

    line = page([result(compare(calling(old), calling(new)))]).splitlines()[5]
    assert line == "    choices[0].message.tool_call…shed.after.the_first_of.day: Monday -> Tuesday"


def test_what_a_rule_says_of_a_text_is_not_cut_off() -> None:
    told = compare(changed(content='{"a": 1}'), changed(content="It is one, and not more than one, it said."))
    assert page([result(told)]).splitlines()[5].endswith("; was JSON")


ATTACK = (
    "\x1b[2J\x1b]0;owned\x07 \r\n::error::gotcha\n##[error]no ##vso[task.complete]no\x9b31m\u202eevil\u200b\x7f"
    "<script>alert(1)</script> `code` | cell | **bold** [link](http://evil) @everyone &amp; $x$"
)
HOSTILE = [
    result(compare(STORED, changed(content=ATTACK))),
    result(compare(STORED, changed(name="::error::" + ATTACK)), 2),
    result(compare(STORED, {**STORED, "::error::" + ATTACK: ATTACK}), 3),
    result(compare(STORED, {"error": {"message": ATTACK}}), 4),
    result("::error::" + ATTACK, 5),
    result("::error::x", 6, path="::error::" + ATTACK, test="::error::" + ATTACK),
    result(Drift((Change("::error::x", Level.METADATA, "changed", 1, 2),)), 7, path="::set-output"),
]


def test_what_a_model_or_a_server_wrote_is_data() -> None:
    drifts = [(1, compare(STORED, changed(content=ATTACK))), (2, compare(STORED, changed(name="::x\n::y")))]
    drifts.append((3, Drift((Change("::error::x", Level.CONTRACT, "contract", note=ATTACK, source=ATTACK),))))
    texts = [
        page(HOSTILE),
        page(HOSTILE, width=40),
        failure_text(drifts, path="::error::\x1b", test="::error::\x1b"),
        failure_text(drifts[:1], path=WEATHER, test=TEST, pending=False),
        section_text(drifts, path="::error::\x1b"),
    ]
    for text in texts:
        assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n"]
        assert not [line for line in text.splitlines() if line.strip().startswith("::")]
        assert "##[" not in text
        assert "##vso[" not in text
        text.encode()


def test_markdown_has_no_markup_but_its_own() -> None:
    text = render(VerifiedRun(HOSTILE), "markdown")
    markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    inline = [it for token in markdown.parse(text) for it in token.children or ()]
    assert {it.type for it in inline} <= {"text", "text_special", "code_inline", "html_inline"}
    assert {it.content for it in inline if it.type == "html_inline"} <= {"<code>", "</code>"}
    body = re.sub(r"</?code>|(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
    assert not set("<>\x1b") & set(body)
    assert "**bold" not in body
    assert "http:" not in body
    assert "@every" not in body
    assert "](" not in body
    for line in text.splitlines():
        assert not line.strip().startswith("::")
        assert line.count("|") in (0, 4)


def test_markdown() -> None:
    text = render(VerifiedRun([*RUN, result(USAGE, 7, known=True)]), "markdown")
    assert text.startswith(
        "## stepreplay: verified against the API\n"
        "\n"
        "verified 6 of 7 interactions in 2 cassettes: 1 unchanged, 5 drifted.\n"
        "\n"
        "1 interaction with known drift, not listed: it is in the baseline.\n"
        "\n"
        "### contract (1): the response breaks the documented object\n"
        "\n"
        "| interaction | what changed | test |\n"
        "|---|---|---|\n"
        "| `cassettes/test_chat/test_weather.yaml`#4 "
        "| `created`: `expected an integer, got a string` "
        "| `tests/test_chat.py::test_weather` |\n"
        "\n"
        "### behavior (1): the model does something different\n"
    )
    assert " (and 2 more) |" in text
    assert "| 429 Too Many Requests after 3 tries |" in text
    assert text.endswith("`stepreplay accept --all`.\n")
    titles = [line.split(" ")[1] for line in text.splitlines() if line.startswith("###")]
    assert titles == ["contract", "behavior", "content", "metadata", "could"]
    assert render(VerifiedRun([]), "markdown") == (
        "## stepreplay: verified against the API\n\nNothing was verified.\n"
    )
    text = render(VerifiedRun([result(TOOL)], mode=REWRITE), "markdown")
    assert text.startswith("## stepreplay: rewritten\n\nrewrote 1 interaction in 1 cassette")
    assert "accept" not in text


def test_markdown_stays_far_below_what_github_takes() -> None:
    hostile = [compare(STORED, {**STORED, f"{n}{'`' * 9999}": "|" * 9999}) for n in range(40)]
    results = [result(hostile[n % 40], n, path=f"{'_' * 400}{n}") for n in range(1, 1001)]
    text = render(VerifiedRun(results), "markdown")
    assert "#1, " in text and " and 22 more |" in text
    assert len(text.encode()) < 2**20 / 4
    results = [result(other_tool(n), n, path="_" * 400) for n in range(1, 1001)]
    text = render(VerifiedRun(results), "markdown")
    assert "... and 950 more" in text
    assert len(text.encode()) < 2**20 / 4


def test_json() -> None:
    report = json.loads(render(VerifiedRun([*RUN, result(TOOL, 9, known=True)]), "json"))
    assert report["stepreplay_report"] == 1
    assert report["mode"] == "verify"
    assert report["counts"] == {"same": 1, "drifted": 5, "unverified": 1, "known": 1, "failed": 2}
    assert report["levels"] == {"contract": 1, "behavior": 2, "content": 1, "metadata": 1}
    listed = report["interactions"]
    assert [(it["path"], it["interaction"]) for it in listed] == [
        *((WEATHER, n) for n in (1, 2, 3, 4, 9)),
        ("cassettes/test_hi.yaml", 1),
        ("cassettes/test_hi.yaml", 2),
    ]
    assert listed[1] == result(TOOL, 2) | {"failed": True, "said": None, "tokens": None, "seconds": None}
    assert listed[4]["failed"] is False
    assert listed[6]["reason"] == LIMIT
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    rewritten = json.loads(render(VerifiedRun([result(TOOL)], mode=REWRITE), "json"))
    assert (rewritten["mode"], rewritten["counts"]["failed"]) == ("rewrite", 0)


def test_the_failure_of_a_test() -> None:
    assert failure_text([(2, TOOL)], path=WEATHER, test=TEST) == (
        "choices[0].message.tool_calls[0].function.name: search -> fetch\n"
        "\n"
        "  drift     behavior: the model does something different\n"
        "  cassette  cassettes/test_chat/test_weather.yaml, interaction 2\n"
        "  test      tests/test_chat.py::test_weather\n"
        "  also      choices[0].message.content: Let me look for the weather in [-Paris-]{+Rome+}."
        " (similarity 0.87) (content)\n"
        '            usage: removed {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3} (metadata)\n'
        "\n"
        "  Fix: if the new answer is as good as the stored one, accept it:\n"
        "         stepreplay accept cassettes/test_chat/test_weather.yaml\n"
        "       to look at each change first:\n"
        "         stepreplay review"
    )


def test_the_failure_of_several_interactions_leads_with_the_worst() -> None:
    lines = failure_text([(1, TEXT), (3, BROKEN), (5, TOOL)], path=WEATHER, test=TEST).splitlines()
    assert lines[0] == "created: expected an integer, got a string"
    assert lines[2] == (
        "  drift     contract: the response breaks the documented object "
        "(the OpenAI-compatible API reference, the chat completion object)"
    )
    assert lines[3].endswith(", interaction 3")
    assert lines[5] == (
        "  also      interaction 5: choices[0].message.tool_calls[0].function.name: search -> fetch (behavior)"
    )
    assert lines[6] == "            ... and 3 more: 2 content, 1 metadata"
    assert len(lines) == 12


def test_a_failure_where_nothing_is_pending_says_what_to_run() -> None:
    test = "tests/test_chat.py::test_weather[a b]"
    lines = failure_text([(1, TEXT)], path="cassettes/a b.yaml", test=test, pending=False).splitlines()
    assert lines[-2:] == [
        "         pytest 'tests/test_chat.py::test_weather[a b]' --stepreplay=verify",
        "         stepreplay accept 'cassettes/a b.yaml'",
    ]
    assert lines[5] == ""  # nothing else changed


def many(count: int) -> Drift:
    return Drift(tuple(Change(f"x[{i}]", Level.BEHAVIOR, "changed", i, i + 1) for i in range(count)))


def test_a_failure_has_at_most_twelve_lines() -> None:
    for drifts in ([(1, many(10_000))], [(n, many(2)) for n in range(1, 50)]):
        for pending in (True, False):
            assert len(failure_text(drifts, path=WEATHER, test=TEST, pending=pending).splitlines()) <= 12


def test_the_section_has_every_change_of_every_interaction() -> None:
    text = section_text([(2, TOOL), (4, USAGE)], path=WEATHER)
    assert text.splitlines()[:5] == [
        f"{WEATHER}#2  drift: behavior (1 behavior, 1 content, 1 metadata)",
        "",
        "  behavior:",
        "    choices[0].message.tool_calls[0].function.name: search -> fetch",
        "",
    ]
    assert f"\n\n{WEATHER}#4  drift: metadata (1 metadata)\n" in text
    lines = section_text([(1, many(10_000))], path=WEATHER).splitlines()
    assert len(lines) == 200
    assert lines[-1] == "... and 9,804 more lines; --stepreplay-report=FILE.json lists all"


@settings(max_examples=50)
@given(st.text(), st.text(), st.text(), st.integers(40, 200))
def test_any_texts_can_be_told(old: str, new: str, reason: str, width: int) -> None:
    told = compare(changed(content=old), changed(content=new))
    results = [result(told) if told else result(), result(reason or "?", 2), result(told or reason or "?", 3)]
    for line in render(VerifiedRun(results, "content", width=width), "terminal").split("\n"):
        assert len(line.splitlines()) <= 1
        line.encode()
    render(VerifiedRun(results), "markdown").encode()
    render(VerifiedRun(results), "json").encode()
