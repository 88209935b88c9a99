"""Whose marker counts: those that a project's hooks add too, whenever they do."""

from __future__ import annotations

import pytest

from .suite import PLAIN, Suite

UNMARKED = PLAIN.replace("    @pytest.mark.stepreplay\n", "")

HOOKS = {
    "pytest_collection_modifyitems": "def pytest_collection_modifyitems(items):\n    [add(each) for each in items]",
    "the last one": "@pytest.hookimpl(trylast=True)\ndef pytest_collection_modifyitems(items):\n    [add(each) for each in items]",
    "around all others": "@pytest.hookimpl(wrapper=True, tryfirst=True)\ndef pytest_collection_modifyitems(items):\n"
    "    yield\n    [add(each) for each in items]",
    "pytest_itemcollected": "def pytest_itemcollected(item):\n    add(item)",
    "pytest_collection_finish": "def pytest_collection_finish(session):\n    [add(each) for each in session.items]",
    "pytest_runtest_setup": "def pytest_runtest_setup(item):\n    add(item)",
}
ADDING = "import pytest\n\ndef add(item):\n    item.add_marker(pytest.mark.{marker})\n\n"


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("marker", ["stepreplay", "vcr"])
def test_a_marker_that_a_hook_adds_counts(suite: Suite, marker: str, hook: str) -> None:
    suite.write(UNMARKED)
    (suite.pytester.path / "conftest.py").write_text(ADDING.format(marker=marker) + HOOKS[hook], "utf-8")
    adopting = ("-o", "stepreplay_adopt_vcr_marker=true", "-p", "no:recording", "-p", "no:cassetter")
    args = adopting if marker == "vcr" else ()
    suite.record(*args).assert_outcomes(passed=1)
    suite.run(*args).assert_outcomes(passed=1)
    assert suite.upstream.count == 1
    suite.change("Say hello.", "Say goodbye.")
    suite.run(*args).assert_outcomes(failed=1)
    assert suite.upstream.count == 1


@pytest.mark.parametrize("marker", ["stepreplay", "vcr"])
def test_a_marker_that_comes_too_late_fails_the_test(suite: Suite, marker: str) -> None:
    suite.write(UNMARKED)
    suite.change("def test_greeting():", "def test_greeting(late):")
    suite.change(
        "def ask(text):",
        f"@pytest.fixture\ndef late(request):\n    request.node.add_marker(pytest.mark.{marker})\n\ndef ask(text):",
    )
    args = ("-o", "stepreplay_adopt_vcr_marker=true") if marker == "vcr" else ()
    result = suite.run(*args)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            f"this test is marked with @pytest.mark.{marker}, but has no cassette:*",
            "The marker was added after its set-up had begun. Add it while tests are collected,*",
        ]
    )
    suite.change(f"pytest.mark.{marker}", "pytest.mark.usefixtures()")
    suite.run(*args).assert_outcomes(passed=1)


def test_tests_that_are_no_functions_have_cassettes_too(suite: Suite) -> None:
    suite.write(UNMARKED, "asking.py")
    (suite.pytester.path / "conftest.py").write_text(
        """
import pytest

def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".ask":
        return File.from_parent(parent, path=file_path)

class File(pytest.File):
    def collect(self):
        for number, line in enumerate(self.path.read_text().splitlines()):
            item = Line.from_parent(self, name=f"line {number}")
            item.line = line
            item.add_marker(pytest.mark.stepreplay)
            yield item

class Line(pytest.Item):
    def runtest(self):
        import asking
        assert asking.ask(self.line)
""",
        "utf-8",
    )
    (suite.pytester.path / "questions.ask").write_text("Say hello.\nSay goodbye.\n", "utf-8")
    suite.record("-p", "no:doctest").assert_outcomes(passed=2)
    suite.run().assert_outcomes(passed=2)
    assert len(suite.cassettes) == 2
    assert suite.upstream.count == 2
