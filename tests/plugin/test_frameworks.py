"""The ways tests are written and run: classes, unittest, async plugins, xdist, reruns, wide fixtures."""

from __future__ import annotations

from .suite import GREETING, PLAIN, Suite

ASK = """
    import asyncio, os, unittest
    import httpx, pytest

    def ask(text):
        body = {{"model": "step-3.5-flash", "messages": [{{"role": "user", "content": text}}]}}
        headers = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
        reply = httpx.post("{url}/chat/completions", json=body, headers=headers)
        return reply.raise_for_status().json()["choices"][0]["message"]["content"]

"""

STYLES = {
    "pytestmark": """
    pytestmark = pytest.mark.stepreplay

    def test_one():
        assert ask("one")

    def test_two():
        assert ask("two")
    """,
    "class": """
    @pytest.mark.stepreplay
    class TestChat:
        def test_one(self):
            assert ask("one")

        def test_two(self):
            assert ask("two")
    """,
    "unittest": """
    @pytest.mark.stepreplay
    class TestChat(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            cls.topic = ask("a topic")

        def setUp(self):
            self.first = ask("first")

        def test_one(self):
            assert ask("one " + self.topic)

        def test_two(self):
            assert ask("two " + self.first)
    """,
    "pytest-asyncio": """
    async def later(text):
        return await asyncio.to_thread(ask, text)

    @pytest.mark.stepreplay
    @pytest.mark.asyncio
    async def test_one():
        assert all(await asyncio.gather(later("one"), later("other")))

    @pytest.mark.stepreplay
    @pytest.mark.asyncio
    async def test_two():
        assert ask("two")
    """,
    "anyio": """
    @pytest.mark.stepreplay
    @pytest.mark.anyio
    @pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
    async def test_both(anyio_backend):
        async with httpx.AsyncClient() as client:
            headers = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}
            body = {{"model": "m", "messages": [{{"role": "user", "content": "hi"}}]}}
            reply = await client.post("{url}/chat/completions", json=body, headers=headers)
            assert reply.raise_for_status()
    """,
    "the fixture instead of the marker": """
    def test_one(stepreplay):
        assert ask("one")
        assert len(stepreplay.played) + len(stepreplay.recorded) == 1

    def test_two(tmp_path, stepreplay):
        assert ask("two")
        assert stepreplay.path.name == "test_two.yaml"
    """,
    "a session fixture that asks first": """
    @pytest.fixture(scope="session")
    def topic():
        yield ask("a topic")
        ask("goodbye")

    @pytest.fixture(scope="module", params=["red", "blue"])
    def colour(request, topic):
        return ask(request.param)

    @pytest.mark.stepreplay
    def test_two(colour, topic):
        assert ask("about " + topic)
    """,
    "only some parameters": """
    @pytest.mark.parametrize("text", [pytest.param("one", marks=pytest.mark.stepreplay), "two"])
    def test_some(request, text):
        if text == "one":
            assert ask("one")
        else:
            assert "stepreplay" not in request.fixturenames
    """,
    "a thread pool": """
    from concurrent.futures import ThreadPoolExecutor

    @pytest.mark.stepreplay
    def test_one():
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(ask, ["one", "two", "three", "four", "one"]))

    @pytest.mark.stepreplay
    def test_two():
        assert ask("two")
    """,
}


WAYS = [
    ("-q",),
    ("-n", "2"),
    ("-p", "no:cacheprovider", "-q"),
    ("-k", "two or both or some"),
]


def test_every_style_is_recorded_once_and_replayed_offline_in_every_way(suite: Suite) -> None:
    for number, style in enumerate(STYLES):
        suite.write(ASK + STYLES[style], f"test_style_{number}.py")
    suite.needs = ("asyncio", "anyio")
    suite.record().assert_outcomes(passed=2 * len(STYLES))
    sent = suite.upstream.count
    suite.go_offline()
    for options in WAYS:
        result = suite.run("--stepreplay-unused=error", *options)
        assert result.ret == 0, result.stdout.str()
    assert suite.upstream.count == sent


def test_a_session_fixtures_requests_belong_to_the_fixture(suite: Suite) -> None:
    suite.write(ASK + STYLES["a session fixture that asks first"])
    suite.record()
    assert suite.cassettes == [
        "test_chat/colour[0].fixture.yaml",
        "test_chat/colour[1].fixture.yaml",
        "test_chat/test_two[blue].yaml",
        "test_chat/test_two[red].yaml",
        "test_chat/topic.fixture.yaml",
    ]
    topic = suite.cassette("test_chat/topic.fixture.yaml").read_text(encoding="utf-8")
    assert topic.index("a topic") < topic.index("goodbye")


def test_a_miss_in_a_session_fixture_is_an_error_even_if_swallowed(suite: Suite) -> None:
    suite.write(
        ASK
        + """
    @pytest.fixture(scope="session")
    def topic():
        try:
            return ask("a topic")
        except BaseException:
            return "none"

    @pytest.mark.stepreplay
    def test_one(topic):
        pass
    """
    )
    result = suite.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E *test_chat.py::topic (fixture)", "E *pytest --stepreplay=record"])


def test_an_unmarked_test_that_comes_first_does_not_reach_the_network_for_a_shared_fixture(
    suite: Suite,
) -> None:
    suite.write(
        ASK
        + """
    @pytest.fixture(scope="session")
    def topic():
        return ask("a topic")

    def test_a_unmarked(topic):
        assert topic

    @pytest.mark.stepreplay
    def test_b_marked(topic):
        assert ask(topic)
    """
    )
    suite.record().assert_outcomes(passed=2)
    suite.go_offline()
    suite.run().assert_outcomes(passed=2)


def test_unmarked_tests_are_left_alone(suite: Suite) -> None:
    suite.write(
        ASK
        + """
    def test_before():
        assert ask("before")

    @pytest.mark.stepreplay
    def test_marked():
        assert ask("marked")

    def test_after():
        assert ask("after")
    """
    )
    suite.record().assert_outcomes(passed=3)
    assert suite.upstream.count == 3
    suite.run(key="sk-any").assert_outcomes(passed=3)
    assert suite.upstream.count == 5
    assert suite.cassettes == ["test_chat/test_marked.yaml"]


def test_each_try_of_a_rerun_asks_anew_while_recording_and_replays_from_the_start(suite: Suite) -> None:
    suite.write(GREETING)
    suite.change("import pytest", "import pytest\ntries = []")
    suite.change(
        'assert ask("Say hello.")', 'assert ask("Say hello.")\n    tries.append(1)\n    assert len(tries) > 1'
    )
    suite.needs = ("rerunfailures",)
    suite.record("--reruns", "2")
    result = suite.run("--reruns", "2")
    assert result.ret == 0
    assert suite.upstream.count == 2, "what the failed try recorded would fail the next one too"


def test_a_marked_test_in_which_nothing_was_intercepted_fails(suite: Suite) -> None:
    suite.write("import pytest\n\n@pytest.mark.stepreplay\ndef test_nothing():\n    pass\n")
    for mode in ("replay", "record", "live"):
        result = suite.run(f"--stepreplay={mode}")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            ["*stepreplay intercepted no request of this test, so its cassette tests nothing."]
        )


def test_a_skipped_test_needs_no_request(suite: Suite) -> None:
    suite.write("import pytest\n\n@pytest.mark.stepreplay\ndef test_skip():\n    pytest.skip('later')\n")
    suite.run().assert_outcomes(skipped=1)


def test_an_installed_but_unused_plugin_imports_nothing_heavy(suite: Suite) -> None:
    suite.write(
        """
    import sys

    def test_it():
        print('HEAVY', sorted(sys.modules.keys() & {{'vcr', 'deepdiff', 'pydantic', 'yaml', 'httpx', 'rich', 'click'}}))
        rooms = [f"pytest_stepreplay.{{room}}." for room in ("drift", "network", "redaction", "report", "vcr", "wire")]
        print('ROOMS', [name for name in sys.modules if name.startswith(tuple(rooms))])
    """
    )
    result = suite.run_process("-s")  # other plugins, such as pytest-httpx, do import a client
    result.stdout.fnmatch_lines(["*HEAVY ?]*", "*ROOMS ?]*"])


def test_a_replay_imports_nothing_heavy_either(suite: Suite) -> None:
    suite.write(
        PLAIN
        + """
    def test_heavy():
        import sys
        print("HEAVY", sorted(sys.modules.keys() & {{"vcr", "deepdiff", "pydantic", "yaml"}}))
    """
    )
    suite.record()
    suite.go_offline()
    result = suite.run_process("-s")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*HEAVY ?]*"])
