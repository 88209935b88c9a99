"""Whatever order tests run in, and however a run ends: nothing stale is written, nothing good is lost."""

from __future__ import annotations

import pytest

from pytest_stepreplay.upstream import answer
from tests.conftest import KEY

from .suite import QUICK, Suite

MANY = (
    QUICK
    + """
    @pytest.fixture(scope="session")
    def topic():
        return ask("a topic")

    @pytest.mark.stepreplay
    @pytest.mark.parametrize("number", range(4))
    def test_number(number, topic):
        assert ask(f"number {{number}}")

    @pytest.mark.stepreplay("shared")
    @pytest.mark.parametrize("number", range(4))
    def test_shared(number):
        assert ask(f"shared {{number}}")
        assert ask("the same")

    @pytest.mark.stepreplay
    def test_dynamic(request):
        assert request.getfixturevalue("asked_for") in ask("dynamic")

    @pytest.fixture(scope="module")
    def asked_for():
        return ask("asked for") and "dynamic"
"""
)


def run_shuffled(suite: Suite, seed: int, *options: str) -> pytest.RunResult:
    """Runs the suite in an order of its own."""
    suite.needs = ("randomly",)
    return suite.start_pytest(f"--randomly-seed={seed}", *options)


def read_all(suite: Suite) -> dict[str, bytes]:
    return {name: suite.cassette(name).read_bytes() for name in suite.cassettes}


def test_any_order_records_the_same_and_replays(suite: Suite) -> None:
    suite.write(MANY)
    suite.monkeypatch.setenv("STEP_API_KEY", KEY)
    names = set()
    for seed in (1, 2):
        run_shuffled(suite, seed, "--stepreplay=record").assert_outcomes(passed=10)
        names.add(tuple(suite.cassettes))
    assert len(names) == 1
    fixtures, own, shared = 2, 6, 5
    assert suite.upstream.count == fixtures + own + shared
    suite.go_offline()
    before = read_all(suite)
    for seed in (3, 4, 5):
        run_shuffled(suite, seed, "--stepreplay-unused=error").assert_outcomes(passed=10)
    assert read_all(suite) == before


def test_a_flaky_test_keeps_the_recording_of_the_try_that_passed(suite: Suite) -> None:
    """The first answer is a bad one; asked again, the model says what the test expects."""
    suite.replies = [answer("I will not."), answer("Hello!")]
    suite.write(QUICK)
    suite.change('assert ask("Say hello.")', 'assert ask("Say hello.") == "Hello!"')
    suite.needs = ("rerunfailures",)
    result = suite.record("--reruns", "1")
    result.assert_outcomes(passed=1)
    assert "not written" not in result.stdout.str()
    assert "I will not." not in suite.cassette().read_text(encoding="utf-8")
    suite.run().assert_outcomes(passed=1)


def test_a_flaky_test_loses_no_good_recording(suite: Suite) -> None:
    suite.write(QUICK)
    suite.record()
    before = read_all(suite)
    suite.change('assert ask("Say hello.")', 'assert ask("Say hello.") == "something else"')
    suite.needs = ("rerunfailures",)
    suite.run("--stepreplay=rewrite", "--reruns", "2", key=KEY).assert_outcomes(failed=1)
    assert read_all(suite) == before


def test_each_try_of_a_replay_starts_from_the_first_interaction(suite: Suite) -> None:
    suite.write(QUICK)
    suite.record()
    suite.change("import httpx", "tries = []\nimport httpx")
    suite.change(
        'assert ask("Say hello.")', 'assert ask("Say hello.")\n    tries.append(1)\n    assert len(tries) > 2'
    )
    suite.needs = ("rerunfailures",)
    suite.run("--reruns", "2").assert_outcomes(passed=1)
    assert suite.upstream.count == 1


THREE = (
    QUICK
    + """
    @pytest.mark.stepreplay
    def test_middle():
        assert ask("middle")
        END

    @pytest.mark.stepreplay
    def test_last():
        assert ask("last")
"""
)


def test_last_failed_and_exit_first_judge_nothing_that_they_did_not_see(suite: Suite) -> None:
    suite.write(THREE.replace("END", "assert True"))
    suite.record().assert_outcomes(passed=3)
    before = read_all(suite)
    suite.change("assert True", "assert False")
    suite.monkeypatch.setenv("STEP_API_KEY", KEY)
    for mode in ("record", "rewrite", "replay"):
        for narrowed in (["-x"], ["--lf"]):
            options = (f"--stepreplay={mode}", "--stepreplay-unused=error", *narrowed)
            with suite.few_plugins() as few:
                run = suite.pytester.runpytest_inprocess(*few, *options)
            run.assert_outcomes(passed=1 if narrowed == ["-x"] else 0, failed=1, deselected=None)
            assert "no test uses" not in run.stdout.str()
    after = read_all(suite)
    assert after.keys() == before.keys()
    assert after["test_chat/test_middle.yaml"] == before["test_chat/test_middle.yaml"]
    assert after["test_chat/test_last.yaml"] == before["test_chat/test_last.yaml"]
    suite.change("assert False", "assert True")
    suite.go_offline()
    suite.run("--stepreplay-unused=error").assert_outcomes(passed=3)


STOPPED = (
    QUICK
    + """
    import os, signal
    from pytest_stepreplay import use_cassette

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a run in the background may ignore it

    @pytest.fixture(scope="SCOPE")
    def around():
        assert ask("before")
        SETUP
        yield
        assert ask("after")
        TEARDOWN

    @pytest.mark.stepreplay
    def test_middle(around):
        assert ask("middle")
        with use_cassette("cassettes/block.yaml"):
            assert ask("in the block")
            BLOCK
        assert ask("later")
        CALL

    @pytest.mark.stepreplay
    def test_last():
        assert ask("last")
"""
)
PLACES = {
    "SETUP": ("function", set()),
    "BLOCK": ("function", set()),
    "CALL": ("function", {"block.yaml"}),
    "TEARDOWN": ("function", {"block.yaml"}),
    "SETUP of a wide fixture": ("session", set()),
    "TEARDOWN of a wide fixture": (
        "session",
        {"block.yaml", "test_chat/around.fixture.yaml", "test_chat/test_middle.yaml"},
    ),
}


@pytest.mark.parametrize("ending", ["pytest.exit('enough')", "os.kill(os.getpid(), signal.SIGINT)"])
@pytest.mark.parametrize("place", PLACES)
def test_a_run_that_is_stopped_writes_nothing_of_what_it_was_doing(
    suite: Suite, ending: str, place: str
) -> None:
    scope, done = PLACES[place]
    code = STOPPED.replace("SCOPE", scope)
    for each in ("SETUP", "BLOCK", "CALL", "TEARDOWN"):
        code = code.replace(each, ending if place.startswith(each) else "pass")
    suite.write(code)
    suite.monkeypatch.setenv("STEP_API_KEY", KEY)
    # The signal is a real one, so it goes to a process of its own.
    run = suite.start_pytest if "pytest.exit" in ending else suite.run_process
    stopped = run("--stepreplay=record")
    assert stopped.ret == pytest.ExitCode.INTERRUPTED
    assert set(suite.cassettes) == {"test_chat/test_greeting.yaml"} | done
    stopped.stdout.fnmatch_lines(["not written, the run was interrupted: cassettes/*"])
    before = read_all(suite)
    suite.change(ending, "pass")
    suite.record().assert_outcomes(passed=3)
    after = read_all(suite)
    for name, written in before.items():
        assert after[name].startswith(written), "what was written is good; a fixture's teardown adds to it"
    suite.go_offline()
    suite.run("--stepreplay-unused=error").assert_outcomes(passed=3)


def test_a_stopped_recording_keeps_the_old_cassettes(suite: Suite) -> None:
    code = STOPPED.replace("SCOPE", "session")
    for each in ("SETUP", "BLOCK", "CALL", "TEARDOWN"):
        code = code.replace(each, f"assert '{each}'")
    suite.write(code)
    suite.record().assert_outcomes(passed=3)
    before = read_all(suite)
    suite.change("assert 'CALL'", "pytest.exit('enough')")
    assert suite.run("--stepreplay=rewrite", key=KEY).ret == pytest.ExitCode.INTERRUPTED
    after = read_all(suite)
    assert after.keys() == before.keys()
    suite.change("pytest.exit('enough')", "pass")
    suite.go_offline()
    suite.run("--stepreplay-unused=error").assert_outcomes(passed=3)


def test_fixtures_that_fail_in_teardown_keep_the_old_cassettes(suite: Suite) -> None:
    code = STOPPED.replace("SCOPE", "session")
    for each in ("SETUP", "BLOCK", "CALL", "TEARDOWN"):
        code = code.replace(each, f"assert '{each}'")
    suite.write(code)
    suite.record().assert_outcomes(passed=3)
    before = read_all(suite)
    suite.change('ask("after")', 'ask("after all")')
    suite.change("assert 'TEARDOWN'", "assert not 'TEARDOWN'")
    result = suite.record()
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["not written, its teardown failed: cassettes/test_chat/around.fixture.yaml"])
    assert read_all(suite) == before
    suite.change('ask("after all")', 'ask("after")')
    suite.change("assert not 'TEARDOWN'", "assert 'TEARDOWN'")
    suite.go_offline()
    suite.run("--stepreplay-unused=error").assert_outcomes(passed=3)
