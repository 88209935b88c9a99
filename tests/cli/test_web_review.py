"""`stepreplay review --web` in a real browser: clicks and keys become files, and nobody else's orders do."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

from pytest_stepreplay.cli import main, web_review
from pytest_stepreplay.models import Cassette
from pytest_stepreplay.store.cassettes import read_cassette, write_cassette
from pytest_stepreplay.store.pending import iter_pending, write_pending
from tests.browser import Browser, Tab
from tests.unit.test_html_report import HOSTILE

from .conftest import Project, chat, completion, user


def call(tool: str) -> dict[str, Any]:
    function = {"name": tool, "arguments": '{"q": "x"}'}
    return completion(
        None, "tool_calls", tool_calls=[{"id": "call_1", "type": "function", "function": function}]
    )


def files(project: Project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in project.path.rglob("*.yaml*")}


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    with browser.tab() as tab:
        yield tab


def pend(project: Project, name: str, *pairs: tuple[Any, Any], test: str = "test_x.py::test_x") -> None:
    """Leaves new answers beside a cassette: a pair of an old and a new one for each interaction."""
    questions = [user(f"Question {n} of {name}?") for n in range(len(pairs))]
    old, new = (
        Cassette(
            test=test,
            interactions=tuple(
                chat(asked, answer=pair[side]) for asked, pair in zip(questions, pairs, strict=True)
            ),
        )
        for side in (0, 1)
    )
    write_cassette(project.path / name, old)
    write_pending(project.path / name, new)


class Review:
    """A review that is served, and how it ends."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.status: int | None = None

    def ask(self, method: str, what: str = "", body: str = "{}", **headers: str) -> tuple[int, str]:
        """Returns the status and the text of an answer to a request as the page sends it, but for some headers."""
        parts = urlsplit(self.url)
        token = parts.path.strip("/")
        own = {
            "origin": f"http://{parts.netloc}",
            "x-stepreplay-token": token,
            "content-type": "application/json",
        }
        given = {**own, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        connection.request(
            method, parts.path + what, body, {name: value for name, value in given.items() if value}
        )
        answer = connection.getresponse()
        text = answer.read().decode()
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        connection.close()
        return answer.status, text


@contextmanager
def reviewing(monkeypatch: pytest.MonkeyPatch, *args: str) -> Iterator[Review]:
    """Serves a review in a thread, and ends it as its page does."""
    opened, running = threading.Event(), Review("")

    def note(url: str) -> bool:
        running.url = url
        opened.set()
        return True

    def run() -> None:
        try:
            running.status = main(["review", "--web", *args])
        finally:
            opened.set()

    monkeypatch.setattr(webbrowser, "open", note)
    thread = threading.Thread(target=run)
    thread.start()
    opened.wait(60)
    try:
        yield running
    finally:
        with suppress(ConnectionError):  # its page has ended it, and it may still be telling what was decided
            running.ask("POST", "end")
        thread.join(60)
        assert not thread.is_alive()


def contents(project: Project, name: str) -> list[Any]:
    cassette = read_cassette(project.path / name).cassette
    return [each.response.json["choices"][0]["message"]["content"] for each in cassette.interactions]


def test_50_changes_are_clicked_through(project: Project, monkeypatch: pytest.MonkeyPatch, tab: Tab) -> None:
    """Every second one is accepted, the others are rejected."""
    for n in range(10):
        pend(
            project,
            f"cassettes/{n}.yaml",
            *[(completion(f"Old {n}{i}."), completion(f"New {i}{n}.")) for i in range(5)],
        )
    with reviewing(monkeypatch) as review:
        tab.open(review.url)
        assert tab.texts("#left") == ["50"]
        assert tab.texts("h2") == ["content the text differs"]
        tab.press("e")
        for number in range(1, 51):
            at = f'[data-id="{number}"]'
            tab.click(f"{at} button[data-verb={'accept' if number % 2 else 'reject'}]")
            tab.until(f"document.querySelector('{at}').dataset.decided")
        assert tab.texts("#left") == ["0"]
        tab.click("button[data-do=end]")
        tab.until("document.querySelector('#ended p')")
        assert tab.texts("#ended") == ["25 accepted, 25 rejected, 0 still pending. You can close this page."]
        assert not tab.problems
    assert review.status == 0
    assert not [*iter_pending(project.path)]
    for n in range(10):
        assert contents(project, f"cassettes/{n}.yaml") == [
            f"New {i}{n}." if (n * 5 + i) % 2 == 0 else f"Old {n}{i}." for i in range(5)
        ]
    out = project.capsys.readouterr().out
    assert f"review 50 changes at {review.url}\nCtrl-C ends it; what was decided stays decided.\n" in out
    assert "accepted cassettes/0.yaml: interactions 1, 3, 5\n" in out
    assert "rejected cassettes/9.yaml: interactions 1, 3, 5\n" in out


def test_keys_decide_go_on_and_undo(project: Project, monkeypatch: pytest.MonkeyPatch, tab: Tab) -> None:
    same = [(call("search"), call("fetch")), (call("search"), call("fetch"))]
    pend(project, "cassettes/a.yaml", *same, (completion("Hello."), completion("Good day.")))
    pend(project, "cassettes/b.yaml", *same)
    before = files(project)
    with reviewing(monkeypatch) as review:
        tab.open(review.url)
        left = "document.querySelector('#left').textContent"
        tab.press("A")  # all four of one kind
        tab.until(f"{left} === '1'")
        assert tab.texts("#told") == ["accepted 4 changes."]
        assert tab.js("document.activeElement.textContent").startswith("cassettes/a.yaml#3")
        assert files(project) != before
        tab.press("u")
        tab.until(f"{left} === '5'")
        assert files(project) == before
        tab.press("r", "s", "u", "u", "a", "s")  # one after the other, whatever the pace of the keys
        decided = "changes.map((each) => each.dataset.decided).join()"
        tab.until(f"{decided} === 'accepted,skipped,,,'")
        tab.press("u", "u", "u")
        tab.until("told.textContent.startsWith('Nothing was decided')")
        assert files(project) == before
        tab.click("button[data-all][data-verb=reject]")
        tab.until(f"{left} === '1'")
        tab.open(review.url)  # what is decided does not come again
        assert tab.texts("summary") == ["cassettes/a.yaml#3 test_x.py::test_x"]
        tab.press("/", "a", "r")  # letters of a search decide nothing
        assert tab.texts("#left") == ["1"]
    assert review.status == 0
    assert (
        "rejected cassettes/b.yaml: interactions 1, 2\n1 change still pending\n"
        in project.capsys.readouterr().out
    )


def test_what_has_changed_meanwhile_is_refused_and_said(
    project: Project, monkeypatch: pytest.MonkeyPatch, tab: Tab
) -> None:
    for name in ("a", "b", "c"):
        pend(project, f"cassettes/{name}.yaml", (completion("Old."), completion(f"New {name}.")))
    (project.path / "cassettes/d.yaml.new").write_text("stepreplay: 99\n")
    with reviewing(monkeypatch) as review:
        tab.open(review.url)
        assert "d.yaml.new" in tab.texts("#problems + ul")[0]
        assert project.run("accept", "cassettes/a.yaml").status == 0  # another review was faster
        text = (project.path / "cassettes/b.yaml").read_text()
        (project.path / "cassettes/b.yaml").write_text(text.replace("Old.", "Edited."))
        pend_again = completion("Newer.")
        (project.path / "cassettes/c.yaml.new").unlink()
        pend(project, "cassettes/c.yaml", (completion("Old."), pend_again))
        before = files(project)
        told = {
            "a": "cassettes/a.yaml.new",
            "b": "was made from another version of cassettes/b.yaml, which has changed since",
            "c": "cassettes/c.yaml.new: has changed since 1 was shown; look at it again",
        }
        tab.press("e")
        for number, (name, why) in enumerate(told.items(), 1):
            at = f'[data-id="{number}"]'
            tab.click(f"{at} button[data-verb=accept]")
            tab.until(f"document.querySelector('{at}').dataset.decided === 'refused'")
            assert why in tab.texts("#refused")[0], name
        assert files(project) == before
        assert "Reload this page to see what is pending now." in tab.texts("#refused")[0]
        tab.open(review.url)
        assert tab.texts("summary") == ["cassettes/c.yaml#1 test_x.py::test_x"]
        tab.press("a")
        tab.until("document.querySelector('#left').textContent === '0'")
    assert contents(project, "cassettes/c.yaml") == ["Newer."]
    assert review.status == 1
    tab.press("u")  # the review has ended under the page
    tab.until("document.querySelector('#refused p')")
    assert "Start it again with: stepreplay review --web" in tab.texts("#refused")[0]


def test_orders_of_anybody_else_are_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    pend(project, "cassettes/a.yaml", (completion("Old."), completion("New.")))
    order = '{"verb": "accept", "changes": ["1"]}'
    before = files(project)
    with reviewing(monkeypatch) as review:
        assert review.ask("GET")[0] == 200
        url, review.url = review.url, f"http://{urlsplit(review.url).netloc}/guessed/"
        assert (review.ask("GET")[0], review.ask("POST", "decide", order)[0]) == (404, 404)
        review.url = url
        for status, headers in (
            (421, {"host": "evil.example.com"}),
            (403, {"x_stepreplay_token": ""}),
            (403, {"x_stepreplay_token": "guéssed"}),
            (403, {"origin": ""}),
            (403, {"origin": "http://evil.example.com"}),
            (403, {"origin": "null"}),
            (403, {"sec_fetch_site": "cross-site"}),
            (403, {"content_type": "text/plain"}),
        ):
            assert review.ask("POST", "decide", order, **headers)[0] == status, headers
        assert review.ask("OPTIONS", "decide", "")[0] == 405
        assert review.ask("GET", "decide")[0] == 405
        assert review.ask("POST", "elsewhere")[0] == 404
        for wrong in ("", "[]", "{", " " * 2_000_000):
            assert review.ask("POST", "decide", wrong)[0] == 400
        for wrong in (
            '{"verb": "keep", "changes": ["1"]}',
            '{"verb": "accept", "changes": ["7"]}',
            '{"changes": 1}',
        ):
            assert review.ask("POST", "decide", wrong)[0] == 400
        assert files(project) == before
        assert review.ask("POST", "decide", order)[0] == 200
        assert review.ask("POST", "decide", order)[0] == 409
    assert contents(project, "cassettes/a.yaml") == ["New."]


def test_a_hostile_answer_decides_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch, tab: Tab
) -> None:
    click = "<img src=x onerror=\"document.querySelector('[data-verb=accept]').click()\">"
    for n, text in enumerate((*HOSTILE, click)):
        pend(project, f"cassettes/{n}.yaml", (completion("Old."), completion(text)), test=text)
    before = files(project)
    with reviewing(monkeypatch) as review:
        tab.open(review.url)
        tab.press("e")
        assert tab.texts("#left") == [str(len(HOSTILE) + 1)]
        assert tab.requested == [review.url]
        assert not tab.problems
        assert tab.js("typeof owned") == "undefined"
        assert "data-verb=accept" in " ".join(tab.texts("ins"))
    assert files(project) == before


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no SIGINT for one process")
@pytest.mark.usefixtures("interruptible")
def test_without_a_browser_it_prints_the_url_and_ctrl_c_says_what_was_decided(project: Project) -> None:
    pend(
        project,
        "cassettes/a.yaml",
        (completion("Old."), completion("New.")),
        (completion("A."), completion("B.")),
    )
    command = [sys.executable, "-m", "pytest_stepreplay.cli", "review", "--web"]
    environment = {**os.environ, "BROWSER": "false", "DISPLAY": "", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, cwd=project.path
    ) as running:
        assert running.stdout is not None
        first = running.stdout.readline()
        found = re.fullmatch(r"review 2 changes at (http://127\.0\.0\.1:\d+/[\w-]{32}/)\n", first)
        assert found, first
        assert running.stdout.readline() == "Ctrl-C ends it; what was decided stays decided.\n"
        assert running.stdout.readline() == "no browser could be opened: open that URL in one\n"
        assert Review(found[1]).ask("GET")[0] == 200
        assert Review(found[1]).ask("POST", "decide", '{"verb": "accept", "changes": ["2"]}')[0] == 200
        running.send_signal(signal.SIGINT)
        assert running.stdout.read() == "\naccepted cassettes/a.yaml: interaction 2\n1 change still pending\n"
    assert running.returncode == 0
    assert contents(project, "cassettes/a.yaml") == ["Old.", "B."]


def test_very_many_changes_come_in_parts(project: Project, monkeypatch: pytest.MonkeyPatch, tab: Tab) -> None:
    monkeypatch.setattr(web_review, "_AT_ONCE", 3)
    pend(project, "cassettes/a.yaml", *[(completion("Old."), completion("New."))] * 5)
    with reviewing(monkeypatch) as review:
        tab.open(review.url)
        assert tab.texts(".numbers")[0].startswith("3 pending here, and 2 more after these: reload this page")
        tab.press("A")
        tab.until("document.querySelector('#left').textContent === '0'")
        tab.open(review.url)
        assert tab.texts(".numbers")[0].startswith("2 pending. ")
        tab.press("R")
        tab.until("document.querySelector('#left').textContent === '0'")
    assert contents(project, "cassettes/a.yaml") == ["New."] * 3 + ["Old."] * 2


def test_an_answer_that_later_turns_quote_is_accepted_with_a_warning(
    project: Project, monkeypatch: pytest.MonkeyPatch, tab: Tab
) -> None:
    def talk(first: str) -> Cassette:
        asked = [user("Name a city."), {"role": "assistant", "content": "Paris is a city."}, user("Another?")]
        turns = (chat(asked[0], answer=completion(first)), chat(*asked, answer=completion("Rome.")))
        return Cassette(test="test_x.py::test_talk", interactions=turns)

    path = project.path / "cassettes/talk.yaml"
    write_cassette(path, talk("Paris is a city."))
    write_pending(path, talk("Oslo is a city."))
    with reviewing(monkeypatch) as review:
        tab.open(review.url)
        assert "interaction 2 quotes the old answer" in tab.texts(".quoted")[0]
        assert "pytest test_x.py::test_talk --stepreplay=re" in tab.texts(".quoted code")[0]
        tab.press("a")
        tab.until("told.textContent.includes('interaction 2 quotes the old answer')")
    out = project.capsys.readouterr().out
    assert "accepted cassettes/talk.yaml: interaction 1\ncassettes/talk.yaml: interaction 2 quotes" in out


def test_snapshots_and_new_cassettes_are_shown_too(
    project: Project, monkeypatch: pytest.MonkeyPatch, tab: Tab
) -> None:
    snapshots = project.path / "cassettes/test_x.snapshots.yaml"
    write_pending(
        snapshots,
        {"stepreplay": 1, "test": "test_x", "snapshots": {"plan": {"steps": ["<b>search</b>"]}}},
    )
    write_pending(
        project.path / "cassettes/new.yaml", Cassette(test="test_new", interactions=(chat(user("Hi?")),))
    )
    with reviewing(monkeypatch) as review:
        tab.open(review.url)
        tab.press("e")
        assert tab.texts("main h2") == ["added what was not there before"]
        assert tab.texts("summary") == [
            "cassettes/new.yaml#all test_new",
            "cassettes/test_x.snapshots.yaml#plan test_x",
        ]
        assert '{ "steps": [ "<b>search</b>" ] }' in tab.texts(".value")
        assert "Hello!" in tab.texts(".value")[0]
        tab.press("a", "a")
        tab.until("document.querySelector('#left').textContent === '0'")
        assert not tab.problems
    assert "<b>search</b>" in snapshots.read_text()
    assert contents(project, "cassettes/new.yaml") == ["Hello!"]


def test_what_it_needs_is_said(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert project.run("review", "--web").out == "Nothing is pending.\n"
    assert "--no-open goes with --web" in project.run("review", "--no-open").err
    with monkeypatch.context() as patched:
        patched.setattr(web_review, "find_spec", lambda name: None)
        found = project.run("review", "--web")
    assert (found.status, found.err.splitlines()[-1]) == (
        2,
        "Install it with: pip install 'pytest-stepreplay[html,server]'",
    )
