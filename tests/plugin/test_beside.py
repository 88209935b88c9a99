"""Beside what else a suite uses: each other plugin, each way to start pytest, one suite recorded and replayed.

A plugin that is not installed is skipped by its name. `.ci/run` installs those that do not go with each other.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from .suite import QUICK, Suite


@dataclass(frozen=True)
class Beside:
    """Another plugin, and a suite that uses it.

    Attributes:
        plugin: the name of its entry point; empty for pytest itself.
        code: the tests that use it.
        outcomes: of all tests of the suite.
        requests: how many are sent while recording.
        options: of the command line.
        files: others of the suite, by name.
        process: it is run in a process of its own.
    """

    plugin: str
    code: str
    outcomes: dict[str, int]
    requests: int
    options: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    process: bool = False


BESIDE = {
    "pytest-timeout": Beside(
        "timeout",
        """
    @pytest.mark.timeout(60)
    @pytest.mark.stepreplay
    def test_signal():
        assert ask("Say hello in time.")

    @pytest.mark.timeout(60, method="thread")
    @pytest.mark.stepreplay
    def test_thread(chat_snapshot):
        assert ask("Say hello in time.") == chat_snapshot
    """,
        {"passed": 3},
        3,
        ("--timeout=90",),
    ),
    "pytest-cov": Beside(
        "pytest_cov",
        "",
        {"passed": 1},
        1,
        ("--cov=.", "--cov-branch", "--cov-report=term"),
        process=True,
    ),
    "subtests": Beside(
        "",
        """
    @pytest.mark.stepreplay
    def test_parts(subtests, chat_snapshot):
        for name in ("one", "two"):
            with subtests.test(msg=name):
                assert ask(name) == chat_snapshot(name)
    """,
        {"passed": 2},
        3,
    ),
    "pytest-repeat": Beside(
        "repeat",
        """
    @pytest.mark.repeat(3)
    @pytest.mark.stepreplay
    def test_again():
        assert ask("Say hello again.")
    """,
        {"passed": 4},
        4,
    ),
    "pytest-retry": Beside(
        "pytest-retry",
        """
    tries = []

    @pytest.mark.flaky(retries=2)
    @pytest.mark.stepreplay
    def test_second_try():
        assert ask("Try.")
        tries.append(1)
        assert len(tries) > 1
    """,
        {"passed": 2, "retried": 1},
        3,
    ),
    "flaky": Beside(
        "flaky",
        """
    from flaky import flaky

    tries = []

    @flaky
    @pytest.mark.stepreplay
    def test_second_try():
        assert ask("Try.")
        tries.append(1)
        assert len(tries) > 1
    """,
        {"passed": 2},
        3,
    ),
    "pytest-order": Beside(
        "pytest_order",
        """
    @pytest.mark.order(1)
    @pytest.mark.stepreplay
    def test_first():
        assert ask("Say hello first.")
    """,
        {"passed": 2},
        2,
    ),
    "pytest-dependency": Beside(
        "dependency",
        """
    @pytest.mark.dependency()
    @pytest.mark.stepreplay
    def test_base():
        assert ask("Say hello below.")

    @pytest.mark.dependency(depends=["test_base"])
    @pytest.mark.stepreplay
    def test_upon():
        assert ask("Say hello above.")
    """,
        {"passed": 3},
        3,
    ),
    "pytest-bdd": Beside(
        "pytest-bdd",
        """
    from pytest_bdd import given, parsers, scenario, then, when

    @pytest.mark.stepreplay
    @scenario("chat.feature", "Greeting")
    def test_scenario():
        pass

    @given(parsers.parse('the prompt "{{text}}"'), target_fixture="prompt")
    def prompt(text):
        return text

    @when("it is asked", target_fixture="answer")
    def answer(prompt):
        return ask(prompt)

    @then("there is an answer")
    def answered(answer, chat_snapshot):
        assert answer == chat_snapshot
    """,
        {"passed": 2},
        2,
        files=(
            (
                "chat.feature",
                'Feature: Chat\n  Scenario: Greeting\n    Given the prompt "Say hello, Gherkin."\n'
                "    When it is asked\n    Then there is an answer\n",
            ),
        ),
    ),
    "pytest-django": Beside(
        "django",
        """
    @pytest.mark.stepreplay(ignore_hosts=["localhost"])  # what the server itself answers is not recorded
    def test_live_server(live_server):
        assert httpx.get(live_server.url + "/ask", timeout=30).json()["answer"]

    @pytest.mark.stepreplay
    def test_client(client, chat_snapshot):
        assert client.get("/ask").json() == chat_snapshot
    """,
        {"passed": 3},
        3,
        files=(
            (
                "project.py",
                "SECRET_KEY = 'x'\nROOT_URLCONF = 'urls'\nALLOWED_HOSTS = ['*']\nUSE_TZ = True\nSTATIC_URL = '/static/'\n"
                "DATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}}}}\n",
            ),
            (
                "urls.py",
                "from django.http import JsonResponse\nfrom django.urls import path\n\n"
                "def view(request):\n    from test_chat import ask\n"
                "    return JsonResponse({{'answer': ask('Say hello to the browser.')}})\n\n"
                "urlpatterns = [path('ask', view)]\n",
            ),
        ),
        options=("--ds=project",),
        process=True,
    ),
    "pytest-benchmark": Beside(
        "benchmark",
        """
    @pytest.mark.stepreplay(allow_repeats=True)
    def test_speed(benchmark):
        assert benchmark.pedantic(ask, args=("Say hello fast.",), rounds=3)
    """,
        {"passed": 2},
        4,
    ),
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_suite_is_recorded_and_replayed_beside(name: str, suite: Suite) -> None:
    beside = BESIDE[name]
    if beside.plugin and not entry_points(group="pytest11", name=beside.plugin):
        pytest.skip(f"{name} is not installed")
    if name == "subtests" and pytest.version_tuple < (9,):
        pytest.skip("pytest 8 has no subtests")
    suite.write(QUICK + beside.code)
    for file, text in beside.files:
        suite.write(text, file)
    suite.needs = (beside.plugin,) if beside.plugin else ()
    suite.monkeypatch.setenv("STEP_API_KEY", "sk-step-test-4f9a1c77d2e84b0b")

    suite.monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # benchmarks would be off
    suite.monkeypatch.delenv(
        "COVERAGE_FILE", raising=False
    )  # pytest-cov would erase what this run itself counts

    def run(*args: str) -> pytest.RunResult:
        args = ("-p", "no:cacheprovider", *beside.options, *args)
        if beside.process:
            return suite.run_process(*args)
        with suite.few_plugins() as few:
            return suite.pytester.runpytest_inprocess(*few, *args)

    result = run("--stepreplay=record")
    assert result.ret == 0, result.stdout.str()
    assert {
        name: count for name, count in result.parseoutcomes().items() if name not in {"warning", "warnings"}
    } == beside.outcomes
    assert suite.upstream.count == beside.requests
    suite.go_offline()
    result = run("--stepreplay-unused=error")
    assert result.ret == 0, result.stdout.str()


WAYS = {
    "packages": ("--pyargs", "project.test_chat"),
    "no logging": ("-p", "no:logging"),
    "no capture": ("-s",),
    "no warnings": ("-p", "no:warnings", "-p", "no:doctest", "-p", "no:unittest", "-p", "no:threadexception"),
    "folder": ("--basetemp=temporary",),
    "importlib": ("--import-mode=importlib",),
    "reports": ("--junitxml=junit.xml", "-rA", "--durations=1", "-vv"),
    "plain asserts": ("--assert=plain", "--tb=native"),
    "subset": ("--keep-duplicates", "project/test_chat.py", "project/test_chat.py::test_greeting"),
    "last failed": ("--lf", "--ff", "--nf", "--sw"),
}


def test_a_suite_is_replayed_whichever_way_pytest_is_started(suite: Suite) -> None:
    code = """
    @pytest.mark.stepreplay
    def test_files(tmp_path, caplog, chat_snapshot):
        (tmp_path / "prompt").write_text("Say hello from a file.")
        assert ask((tmp_path / "prompt").read_text()) == chat_snapshot
    """
    suite.write(QUICK + code, "project/test_chat.py")
    suite.write("", "project/__init__.py")
    suite.monkeypatch.syspath_prepend(suite.pytester.path)
    suite.record("--basetemp=temporary", "-p", "no:logging", "-k", "greeting").assert_outcomes(
        passed=1, deselected=1
    )
    suite.record("--pyargs", "project.test_chat").assert_outcomes(passed=2)
    assert suite.upstream.count == 2
    suite.go_offline()
    for name, options in WAYS.items():
        if name == "no logging":
            suite.change("tmp_path, caplog,", "tmp_path,", "project/test_chat.py")
        with suite.few_plugins() as few:
            result = suite.pytester.runpytest_inprocess(*few, "--stepreplay-unused=error", *options)
        assert result.ret == 0, f"{name}: {result.stdout.str()}"
        assert result.parseoutcomes()["passed"] in {2, 3}, name


IDE = """
import pathlib, sys
import pytest

class Reporter:
    \"\"\"As those of PyCharm and VS Code: a plugin object that hears of collection and reports.\"\"\"

    seen = []

    def pytest_collection_finish(self, session):
        self.seen += [item.nodeid for item in session.items]

    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            self.seen.append(report.outcome)

project, mode = sys.argv[1:]
common = ["-p", "no:cacheprovider", f"--rootdir={project}"]
assert pytest.main([*common, "--collect-only", "-q", project], plugins=[Reporter()]) == 0
assert pytest.main([*common, f"--stepreplay={mode}", f"{project}/test_chat.py::test_greeting"], plugins=[Reporter()]) == 0
assert Reporter.seen == ["test_chat.py::test_greeting"] * 2 + ["passed"], Reporter.seen
"""


def test_an_ide_and_an_optimized_python_start_it_from_elsewhere(suite: Suite, tmp_path: Path) -> None:
    suite.write(QUICK)
    suite.monkeypatch.setenv("STEP_API_KEY", "sk-step-test-4f9a1c77d2e84b0b")
    suite.monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    suite.monkeypatch.setenv("PYTEST_PLUGINS", "pytest_stepreplay.plugin")

    def start(*options: str, mode: str) -> None:
        command = [sys.executable, *options, "-c", IDE, str(suite.pytester.path), mode]
        done = subprocess.run(command, cwd=tmp_path.parent, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    start(mode="record")
    assert suite.cassettes == ["test_chat/test_greeting.yaml"]
    suite.go_offline()
    suite.change('assert ask("Say hello.")', 'if not ask("Say hello."):\n        raise ValueError')
    start("-O", mode="replay")


GEVENT = """
import gevent.monkey
gevent.monkey.patch_all()

import sys
import gevent, pytest

sys.exit(pytest.main(sys.argv[1:]))
"""


def test_greenlets_ask_and_wait_beside_each_other(suite: Suite) -> None:
    pytest.importorskip("gevent")
    suite.write(
        QUICK
        + """
    import gevent, gevent.pool, requests

    def ask_in_greenlet(text):
        body = {{"model": "m", "messages": [{{"role": "user", "content": text}}]}}
        headers = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
        reply = requests.post("{url}/chat/completions", json=body, headers=headers)
        return reply.json()["choices"][0]["message"]["content"]

    @pytest.mark.stepreplay
    @pytest.mark.parametrize("client", [ask, ask_in_greenlet])
    def test_pool(client):
        texts = [f"greenlet {{number}}" for number in range(8)]
        assert all(gevent.pool.Pool(4).map(client, texts))
    """
    )
    suite.monkeypatch.setenv("STEP_API_KEY", "sk-step-test-4f9a1c77d2e84b0b")

    def start(*args: str) -> None:
        with suite.few_plugins() as few:
            done = suite.pytester.run(sys.executable, "-c", GEVENT, *few, *args)
        done.assert_outcomes(passed=3)

    start("--stepreplay=record")
    assert suite.upstream.count == 17
    suite.go_offline()
    start("--stepreplay-unused=error")


def test_a_read_only_checkout_replays(suite: Suite) -> None:
    if os.name == "nt" or os.geteuid():
        pytest.skip("it takes root to mount a read-only folder")
    suite.write(
        QUICK
        + """
    @pytest.mark.stepreplay
    def test_snapshot(chat_snapshot):
        assert ask("Say hello.") == chat_snapshot
    """
    )
    suite.record().assert_outcomes(passed=2)
    suite.go_offline()
    here, checkout = suite.pytester.path, suite.pytester.path / "checkout"
    checkout.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "tmpfs", str(checkout)], capture_output=True, check=False
    ).returncode:
        pytest.skip("a file system cannot be mounted here")
    try:
        shutil.copy(here / "test_chat.py", checkout)
        shutil.copytree(here / "cassettes", checkout / "cassettes")
        subprocess.run(["mount", "-o", "remount,ro", str(checkout)], check=True)
        suite.monkeypatch.chdir(checkout)
        with suite.few_plugins() as few:
            result = suite.pytester.run(
                sys.executable,
                "-m",
                "pytest",
                *few,
                "-W",
                "ignore::pytest.PytestCacheWarning",
                f"--rootdir={checkout}",
                "test_chat.py",
            )
        suite.monkeypatch.undo()
    finally:
        subprocess.run(["umount", "-l", str(checkout)], check=True)
    result.assert_outcomes(passed=2)
