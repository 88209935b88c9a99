"""``--stepreplay=mutate``: which tests notice that an answer is another one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from . import labelled
from .suite import Suite


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def survivors_of(result: dict[str, Any]) -> list[str]:
    return [each["operator"] for each in result["mutants"] if each["result"] == "survived"]


def test_a_labelled_suite_is_judged_as_its_labels_say(suite: Suite) -> None:
    folder = suite.pytester.path
    labelled.write(folder)
    suite.start_pytest("-q", "--stepreplay=record", "-k", "snapshot")
    before = contents(folder / "cassettes")
    (folder / "shop.txt").unlink(missing_ok=True)
    options = ("--stepreplay=mutate", "--stepreplay-report=mutants.json")
    result = suite.start_pytest(*options, "--junitxml=junit.xml", "-v", "-s")
    assert contents(folder / "cassettes") == before
    result.assert_outcomes(passed=14, failed=1, xfailed=1)
    assert len(ElementTree.parse(folder / "junit.xml").getroot().findall(".//testcase")) == 16
    tree = json.loads((folder / "mutants.json").read_text())
    found = {each["test"].rpartition("::")[2]: each for each in tree["tests"]}
    assert {name: it["status"] for name, it in found.items() if it["status"] != "mutated"} == labelled.APART
    mutated = {name: it for name, it in found.items() if it["status"] == "mutated"}
    assert mutated.keys() == labelled.SURVIVORS.keys()
    for name, wanted in labelled.SURVIVORS.items():
        survived = survivors_of(mutated[name])
        if wanted == labelled.EVERY:
            assert {each["operator"] for each in mutated[name]["mutants"]} - set(survived) == {"error"}
        else:
            assert sorted(survived) == sorted(wanted.split()), name
    # A turn that the first answer changes is another request: that is told apart.
    turns = mutated["test_turns_noticing"]["mutants"]
    assert {it["operator"] for it in turns if it["result"] == "conversation"} >= {
        "another_tool",
        "changed_argument",
    }
    assert {it["answer"] for it in turns if it["result"] == "killed"} == {1, 2}
    noticed = sum(each["result"] == "killed" for it in mutated.values() for each in it["mutants"])
    assert tree["score"] == {"noticed": noticed, "of": noticed + tree["numbers"]["survived"]}
    # The fixture of the module is set up once; that of a test for each run, and its output is nobody's.
    assert (folder / "shop.txt").read_text() == "set up torn down "
    text = result.stdout.str()
    planted = "survived (behavior): test_shop.py::test_tools_planted stays green when the tool is `cancel_order` instead of `refund`"
    assert planted in text
    assert "test_turns_noticing stays green when, in answer 2, the answer ends" in text
    assert "brittle: test_shop.py::test_brittle fails when only what differs on every call does" in text
    assert "flaky: test_shop.py::test_flaky failed when it ran again with nothing changed" in text
    assert "not mutated: test_shop.py::test_left_out says mutate=False" in text
    assert "stepreplay: [#" in text
    assert "left" in text


def test_the_page_says_what_the_operators_and_the_labelled_suite_do() -> None:
    page = labelled.PAGE.read_text(encoding="utf-8")
    for made in (labelled.operator_table(), labelled.table()):
        assert made in page, "write it anew: python -m tests.plugin.labelled"


def test_known_survivors_fail_no_run_and_workers_find_the_same(suite: Suite) -> None:
    folder = suite.pytester.path
    labelled.write(folder)
    chosen = ("-k", "planted or vacuous", "--stepreplay=mutate")
    known = "--stepreplay-baseline=known.json"
    result = suite.start_pytest(*chosen, known)
    result.stderr.fnmatch_lines(
        ["*the baseline known.json does not exist. To create it with today's survivors:*"]
    )
    first = suite.start_pytest(*chosen, "--stepreplay-report=one.json")
    assert first.ret == 1
    first.stdout.fnmatch_lines(["* of the survivors fail this run: they are of the level behavior or above"])
    written = suite.start_pytest(
        *chosen, known, "--stepreplay-fail-on=never", "-n1", "--stepreplay-report=two.json"
    )
    assert written.ret == 0
    written.stdout.fnmatch_lines(["baseline written to known.json"])
    one, two = (json.loads((folder / name).read_text()) for name in ("one.json", "two.json"))
    assert one == two
    again = suite.start_pytest(*chosen, known, "--stepreplay-report=page.md")
    assert again.ret == 0
    again.stdout.fnmatch_lines(["* mutants of the baseline survived again, not listed"])
    again.stdout.no_fnmatch_line("survived (*")
    assert (
        "(known) `test_shop.py::test_tools_planted` survived: it stays green"
        in (folder / "page.md").read_text()
    )
    (folder / "known.json").rename(folder / "known.before")
    page = suite.start_pytest(*chosen, "--stepreplay-mutants=3", "--stepreplay-report=page.html")
    assert page.ret == 1
    text = (folder / "page.html").read_text()
    assert "default-src &#39;none&#39;; style-src &#39;sha256-" in text
    assert "test_shop.py::test_tools_planted stays green when the tool is <code>cancel_order</code>" in text
    (folder / "known.before").rename(folder / "known.json")
    tree = json.loads((folder / "known.json").read_text())
    tree["survivors"] = [each for each in tree["survivors"] if "planted" in each["test"]]
    (folder / "known.json").write_text(json.dumps(tree))
    new = suite.start_pytest(*chosen, known)
    assert new.ret == 1
    new.stdout.fnmatch_lines(["survived (behavior): test_shop.py::test_plain_vacuous stays green when *"])
    new.stdout.no_fnmatch_line("survived (*planted*")


def test_few_mutants_and_what_cannot_be_mutated(suite: Suite) -> None:
    folder = suite.pytester.path
    labelled.write(folder)
    few = suite.start_pytest(
        "-k", "plain_vacuous or plain_noticing", "--stepreplay=mutate", "--stepreplay-mutants=3"
    )
    few.stdout.fnmatch_lines(["6 mutants of 2 tests: *"])
    levels = suite.start_pytest("-k", "json", "--stepreplay=mutate", "--stepreplay-mutants=contract")
    levels.stdout.fnmatch_lines(
        ["not mutated: *test_json_planted has no answer that can be changed at the level contract or above"]
    )
    wrong = suite.start_pytest("--stepreplay-mutants=some")
    wrong.stderr.fnmatch_lines(
        ["*'some' is neither a number of 1 or more nor one of metadata, content, behavior, *"]
    )
    (folder / "test_shop.py").write_text(
        "import pytest\n\n@pytest.mark.stepreplay(mode='mutate')\ndef test_mode():\n    pass\n"
    )
    marked = suite.start_pytest()
    marked.stdout.fnmatch_lines(["*mutate is a mode of a whole run: pytest --stepreplay=mutate"])
    (folder / "verify.json").write_text('{"stepreplay_baseline": 1, "drift": []}')
    of_verify = suite.start_pytest("--stepreplay=mutate", "--stepreplay-baseline=verify.json")
    of_verify.stderr.fnmatch_lines(["*is a baseline of drift, as verify writes it. Name another file*"])
