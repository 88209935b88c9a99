"""Reports as pages, in a real browser: what a person does with mouse and keys, and what a hostile text can't do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pytest_stepreplay.report import drift_history, renderers
from pytest_stepreplay.report.mutated_runs import MutatedRun
from pytest_stepreplay.report.verified_runs import VerifiedRun
from pytest_stepreplay.verify.judging import Verdict, result_of
from tests.browser import Browser, Tab
from tests.cli.conftest import chat, completion, user
from tests.unit.test_html_report import HOSTILE, calling, drifted


@pytest.fixture
def tab(browser: Browser) -> Any:
    with browser.tab() as tab:
        yield tab


def show(tab: Tab, folder: Path, run: VerifiedRun | MutatedRun, **look: Any) -> Tab:
    page = folder / "page.html"
    page.write_text(renderers.render(run, "html"), encoding="utf-8")
    return tab.open(page.as_uri(), **look)


def few() -> VerifiedRun:
    return VerifiedRun(
        [
            drifted(1, completion("It is sunny today."), completion("It is rainy today."), user("Paris?")),
            drifted(2, calling("weather", '{"city": "Paris"}'), calling("forecast", '{"city": "Rome"}')),
            drifted(3, calling("weather", '{"city": "Paris"}'), calling("forecast", '{"city": "Rome"}')),
            result_of(Verdict(0, "unverified", reason="no answer"), chat(), test="test_u", path="u.yaml"),
        ]
    )


def test_a_person_filters_searches_and_goes_through_with_keys(tab: Tab, tmp_path: Path) -> None:
    show(tab, tmp_path, few())
    assert tab.texts("main h2") == [
        "behavior the model does something different",
        "content the text differs",
        "not verified could not verify: there was no answer to compare",
    ]
    tab.click("label[for=show-behavior]")
    assert [each.partition(" ")[0] for each in tab.texts("main h2")] == ["content", "not"]
    tab.click("label[for=show-behavior]")
    tab.press("/", *"rainy")
    assert tab.texts("#told") == ["1 of 4 found"]
    assert tab.texts("main h2") == ["content the text differs"]
    tab.press("q")
    assert tab.texts("#told") == ["0 of 4 found"]
    tab.press("Escape")
    assert len(tab.texts("main h2")) == 3
    tab.press("j", "j", "Enter")
    assert tab.js("document.activeElement.textContent").startswith("cassettes/number_3.yaml#1")
    assert tab.js("all.map((each) => each.open)") == [False, True, True, None]
    tab.press("k")
    assert tab.js("document.activeElement.textContent").startswith("cassettes/number_2.yaml#1")
    tab.press("e")
    assert tab.texts("details[open] .answer del, details[open] .answer ins")[:2] == ["weather", "forecast"]
    tab.press("e")
    assert not tab.texts("details[open]")
    assert not tab.problems


def test_nothing_hostile_runs_or_is_asked_for(tab: Tab, tmp_path: Path) -> None:
    results = []
    for number, text in enumerate(HOSTILE):
        said = completion(f"1 {text}", reasoning=text, refusal=text)
        results += [
            drifted(number, said, completion(f"2 {text}"), user(text), name=text.replace("/", "|")),
            drifted(
                number, calling(text, '{"a": 1}'), calling("b", '{"<b>": "<img src=x onerror=owned()>"}')
            ),
            result_of(Verdict(0, "unverified", reason=text), chat(), test=text, path=text),
        ]
    mutant = {
        "operator": "a", "level": "content", "answer": 1, "place": "", "result": "survived", "known": False,
    }  # fmt: skip
    survived = [
        {"test": text, "path": text, "status": "mutated", "reason": "", "answers": 1,
         "mutants": [{**mutant, "told": f"the text is `{text}`"}]}
        for text in HOSTILE
    ]  # fmt: skip
    for run in (VerifiedRun(results), MutatedRun(survived)):
        show(tab, tmp_path, run)
        assert tab.js("typeof owned") == "undefined"
        assert (
            tab.js("document.querySelectorAll('iframe, img, svg[onload], script:not(:last-of-type)').length")
            == 0
        )
        assert tab.requested == [(tmp_path / "page.html").as_uri()]
        assert not tab.problems
        # What gets in all the same may not run.
        tab.js(
            "document.body.insertAdjacentHTML('beforeend', '<img src=https://example.com/x onerror=\"window.owned = 1\">');"
            "const it = document.createElement('script'); it.textContent = 'window.owned = 1'; document.body.append(it)"
        )
        assert tab.js("typeof owned") == "undefined"
        assert "Content Security Policy" in "".join(tab.problems)


def test_it_is_readable_in_the_dark_on_a_phone_and_aloud(tab: Tab, tmp_path: Path) -> None:
    light_or_dark = "getComputedStyle(document.body).backgroundColor"
    show(tab, tmp_path, few(), width=390)
    light = tab.js(light_or_dark)
    assert tab.js("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than a phone"
    tab.press("e")
    assert tab.js("document.documentElement.scrollWidth <= innerWidth")
    assert tab.texts("#theme") == ["Dark"]
    tab.click("#theme")
    dark = tab.js(light_or_dark)
    assert (tab.texts("#theme"), dark != light) == (["Light"], True)
    show(tab, tmp_path, few(), dark=True)
    assert (tab.texts("#theme"), tab.js(light_or_dark)) == (["Light"], dark)
    assert tab.spoken("main", "navigation", "contentinfo", "banner") == ["", "Filters", "", ""]
    assert {"2 behavior", "1 content", "1 not verified"} <= set(tab.spoken("checkbox"))
    assert tab.spoken("searchbox") == ["Search"]
    assert "behavior the model does something different" in tab.spoken("region")
    assert tab.js(CONTRAST) >= 4.5


CONTRAST = """(() => {
  const light = (color) => color.match(/[\\d.]+/g).slice(0, 3).map((each) => each / 255)
    .map((each) => each <= 0.03928 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
    .reduce((sum, each, i) => sum + each * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (each) => {
    for (; each; each = each.parentElement) {
      const color = getComputedStyle(each).backgroundColor;
      if (!color.endsWith(', 0)')) return color;
    }
  };
  let worst = 21;
  for (const each of document.querySelectorAll('main *, header *, .tile:not(input:disabled + .tile)')) {
    if (![...each.childNodes].some((it) => it.nodeType === 3 && it.data.trim()) || !each.getClientRects().length) continue;
    const [one, other] = [light(getComputedStyle(each).color), light(behind(each))].sort((a, b) => b - a);
    worst = Math.min(worst, (one + 0.05) / (other + 0.05));
  }
  return worst;
})()"""
"""The least contrast of a text with what is behind it (WCAG 2.2, 1.4.3)."""


def test_500_drifts_are_found_at_once(tab: Tab, tmp_path: Path) -> None:
    long = " ".join(map(str, range(30)))
    one = drifted(0, completion(long), completion(f"{long}!"), *[user(long)] * 3)
    results = [
        one | {"path": f"cassettes/number_{n}.yaml", "test": f"test_x.py::test_number_{n}"}
        for n in range(500)
    ]
    show(tab, tmp_path, VerifiedRun(results))
    assert tab.js("document.querySelectorAll('.interaction').length") == 500
    # Only what is seen is laid out, and a search reads the page once: the second letter costs no more than a look.
    assert re.search(
        r"details\.interaction \{[^}]*content-visibility: auto",
        tab.js("document.querySelector('style').textContent"),
    )
    tab.press("/", *"number_499")
    assert tab.texts("#told") == ["1 of 500 found"]
    assert tab.texts("summary") == ["cassettes/number_499.yaml#1 test_x.py::test_number_499"]


def test_plots_and_earlier_runs_are_drawn_and_told(tab: Tab, tmp_path: Path) -> None:
    numbers = {1: ([40, 57], [0.4, 0.3]), 2: ([40, 40], [1.0, None]), 3: ([None, 9], "nonsense")}
    results = [
        drifted(n, completion("a"), completion("b")) | {"tokens": tokens, "seconds": seconds}
        for n, (tokens, seconds) in numbers.items()
    ]
    results[1] |= {"status": "same"}
    before = [[], results[:2], [results[1] | {"status": "drifted"}], results[1:2], results]
    reports = [(f"<b>{n}.json", renderers.render(VerifiedRun(each), "json")) for n, each in enumerate(before)]
    run = VerifiedRun(results, earlier=drift_history.read_runs(reports))
    show(tab, tmp_path, run)
    assert tab.texts("figcaption") == [
        "interactions that drifted in this run and 5 before",
        "tokens of an answer median 40 tokens → 48 tokens, in all 80 tokens → 97 tokens",
        "seconds until its end median 0.40 s → 0.30 s, in all 0.40 s → 0.30 s",
    ]
    heights = "[...document.querySelectorAll('figure:first-child g')].map((g) => g.querySelectorAll('.content').length)"
    assert tab.js(heights) == [0, 1, 1, 0, 1, 1]
    assert "<b>1.json: 1 of 2" in tab.js(
        "[...document.querySelectorAll('title')].map((each) => each.textContent)"
    )
    lies = "[...document.querySelectorAll('circle')].map((dot) => [dot.textContent, +dot.getAttribute('cx'), +dot.getAttribute('cy')])"
    (same, _, _), (longer, x, y), (_, faster, lower) = tab.js(lies)
    assert (same, longer) == (
        "cassettes/number_2.yaml#1: 40 tokens → 40 tokens",
        "cassettes/number_1.yaml#1: 40 tokens → 57 tokens",
    )
    above = 180 - y > x * 180 / 300
    assert (above, 180 - lower < faster * 180 / 300) == (True, True), (
        "what has become longer lies above the line"
    )
    tab.press("e")
    assert tab.texts(".since") == [
        "since <b>1.json: in 3 of 3 runs",
        "since <b>4.json: in 2 of 2 runs",
    ]
    tab.click("figure summary")
    assert tab.texts("figure tbody tr")[-1] == "this run 3 0 0 2 0"
    assert tab.js("document.documentElement.scrollWidth <= innerWidth")
    assert not tab.problems
