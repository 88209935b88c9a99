"""`stepreplay_adopt_vcr_marker`: a suite written for pytest-recording or pytest-vcr, with its cassettes, on ours."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import httpx
import pytest

from .suite import Suite

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from vcr import VCR

INI = "[pytest]\nstepreplay_adopt_vcr_marker = true\n"
ASK = """
    import httpx, pytest, uuid

    def ask(text, **more):
        body = {{"model": "step-3.5-flash", "messages": [{{"role": "user", "content": text}}], **more}}
        headers = {{"Authorization": "Bearer sk-any"}}
        reply = httpx.post("{url}/chat/completions", json=body, headers=headers)
        return reply.raise_for_status().json()["choices"][0]
"""
GREETING = (
    ASK
    + """
    @pytest.mark.vcr
    def test_greeting():
        assert ask("Say hello.")
"""
)


@pytest.fixture
def adopting(suite: Suite) -> Suite:
    """A suite with the one line in its ini file."""
    (suite.pytester.path / "pytest.ini").write_text(INI, encoding="utf-8")
    return suite


def record(suite: Suite, path: str, *texts: str, config: Any = None, **more: Any) -> Path:
    """Writes a cassette as pytest-recording does: with vcrpy itself."""
    file = suite.pytester.path / path
    with VCR(record_mode="all", **(config or {})).use_cassette(str(file)):
        for text in texts:
            body = {"model": "step-3.5-flash", "messages": [{"role": "user", "content": text}], **more}
            reply = httpx.post(
                f"{suite.url}/chat/completions", json=body, headers={"Authorization": "Bearer sk-any"}
            )
            assert reply.status_code == 200
    return file


def config(suite: Suite, text: str, scope: str = "module") -> None:
    """Writes a conftest.py with a `vcr_config`."""
    fixture = f"import pytest\n\n@pytest.fixture(scope={scope!r})\ndef vcr_config():\n    return {text}\n"
    (suite.pytester.path / "conftest.py").write_text(fixture, encoding="utf-8")


def offline(suite: Suite, *args: str) -> pytest.RunResult:
    suite.go_offline()
    return suite.run(*args)


def test_without_the_line_the_marker_means_nothing_here(suite: Suite) -> None:
    suite.write(GREETING)
    result = suite.run("-W", "ignore::pytest.PytestUnknownMarkWarning")
    result.assert_outcomes(passed=1)
    assert "replayed" not in result.stdout.str()


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_a_suite_of_pytest_recording_replays_where_its_cassettes_lie(
    adopting: Suite, options: tuple[str, ...]
) -> None:
    adopting.write(
        GREETING
        + """
    class TestIn:
        @pytest.mark.vcr
        @pytest.mark.parametrize("word", ["a/b", "x:y"])
        def test_class(self, word):
            assert ask(word)

    @pytest.mark.vcr
    def test_that_asks_nothing():
        pass
""",
        "tests/test_chat.py",
    )
    record(adopting, "tests/cassettes/test_chat/test_greeting.yaml", "Say hello.")
    record(adopting, "tests/cassettes/test_chat/TestIn.test_class[a-b].yaml", "a/b")
    record(adopting, "tests/cassettes/test_chat/TestIn.test_class[x-y].yaml", "x:y")
    result = offline(adopting, "--strict-markers", *options)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        ["stepreplay: replay, cassettes/, network blocked, vcr markers adopted", "replayed 3"]
    )
    assert "no test uses" not in result.stdout.str()


def test_a_changed_prompt_is_a_miss(adopting: Suite) -> None:
    adopting.write(GREETING)
    record(adopting, "cassettes/test_chat/test_greeting.yaml", "Say goodbye.")
    result = offline(adopting)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*not recorded: messages[[]0[]].content differs"])


def test_pytest_vcr_keeps_its_cassettes_in_one_folder_under_plain_names(adopting: Suite) -> None:
    adopting.write(
        ASK
        + """
    @pytest.mark.vcr
    @pytest.mark.parametrize("word", ["x:y"])
    def test_word(word):
        assert ask(word)

    @pytest.fixture
    def vcr_cassette_name():
        return "by-fixture"

    def test_with_the_fixture_alone(vcr_cassette):
        assert ask("Say hello.") and vcr_cassette.play_count == 1
"""
    )
    record(adopting, "cassettes/test_word[x:y].yaml", "x:y")
    record(adopting, "cassettes/by-fixture.yaml", "Say hello.")
    result = offline(adopting, "-k", "fixture")
    result.assert_outcomes(passed=1, deselected=1)
    adopting.change('return "by-fixture"', "return request.node.name")
    adopting.change("def vcr_cassette_name()", "def vcr_cassette_name(request)")
    adopting.run("-k", "word").assert_outcomes(passed=1, deselected=1)


def test_names_that_markers_and_fixtures_give(adopting: Suite) -> None:
    adopting.write(
        ASK
        + """
    @pytest.fixture(scope="module")
    def vcr_cassette_dir():
        return "recorded"

    @pytest.mark.vcr
    @pytest.mark.default_cassette("shared.yaml")
    @pytest.mark.parametrize("n", [1, 2])
    def test_default(n):
        assert ask(f"Say {{n}}.")

    @pytest.mark.vcr("shared.yaml", "more.yaml")
    def test_further():
        assert ask("Say 1.") and ask("Say more.") and ask("Say 2.")
"""
    )
    record(adopting, "recorded/shared.yaml", "Say 1.", "Say 2.")
    record(adopting, "recorded/more.yaml", "Say more.", "Say nothing.")
    result = offline(adopting)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["replayed 5"])


def test_a_further_cassette_that_is_not_there_is_named(adopting: Suite) -> None:
    adopting.write(GREETING.replace("mark.vcr", 'mark.vcr("gone.yaml")'))
    result = offline(adopting)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*cassettes/test_chat/gone.yaml: does not exist", "*marker names it*"])


def test_what_is_recorded_anew_goes_where_the_old_cassettes_lie(adopting: Suite) -> None:
    adopting.write(
        GREETING.replace("mark.vcr", 'mark.vcr("more.yaml")').replace(
            'ask("Say hello.")', 'ask("Say more.") and ask("Say hello.")'
        )
    )
    more = record(adopting, "cassettes/test_chat/more.yaml", "Say more.")
    before = more.read_bytes()
    adopting.run("--record-mode=once").assert_outcomes(passed=1)
    assert more.read_bytes() == before
    text = adopting.cassette().read_text(encoding="utf-8")
    assert "Say hello." in text and "Say more." not in text
    result = offline(adopting, "--record-mode=once")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["replayed 2"])


@pytest.mark.parametrize(
    ("arguments", "in_config", "sent"),
    [
        ((), "none", False),
        (("--record-mode=none",), "rewrite", False),
        (("--record-mode", "new_episodes"), "none", True),
        (("--vcr-record=all",), "none", True),
        ((), "once", True),
        (("--stepreplay=replay", "--record-mode=rewrite"), "all", False),
        (("--stepreplay=record",), "none", True),
        (("--disable-recording",), "none", True),
    ],
)
def test_record_modes_and_which_one_wins(
    adopting: Suite, arguments: tuple[str, ...], in_config: str, sent: bool
) -> None:
    adopting.write(GREETING)
    config(adopting, repr({"record_mode": in_config}), scope="function")
    result = adopting.run(*arguments)
    result.assert_outcomes(passed=sent, failed=not sent)
    assert bool(adopting.upstream.requests) == sent
    assert bool(adopting.cassettes) == (sent and arguments != ("--disable-recording",))


def test_the_record_mode_fixture_may_be_overridden_and_asked(adopting: Suite) -> None:
    adopting.write(
        GREETING
        + """
    def test_modes(record_mode, disable_recording):
        assert (record_mode, disable_recording) == ("new_episodes", False)
"""
    )
    adopting.run("--record-mode=new_episodes").assert_outcomes(passed=2)
    adopting.write(
        GREETING + '\n    @pytest.fixture(scope="session")\n    def record_mode():\n        return "all"\n'
    )
    result = adopting.run()
    result.assert_outcomes(passed=1)
    assert "replayed" not in result.stdout.str()


def test_a_rewrite_replaces_an_old_cassette_once_the_test_has_passed(adopting: Suite) -> None:
    adopting.write(GREETING)
    path = record(adopting, "cassettes/test_chat/test_greeting.yaml", "Say hello.")
    before = path.read_bytes()
    adopting.change('assert ask("Say hello.")', 'assert not ask("Say hello.")')
    adopting.run("--record-mode=rewrite").assert_outcomes(failed=1)
    assert path.read_bytes() == before
    adopting.change("assert not", "assert")
    adopting.run("--record-mode=rewrite").assert_outcomes(passed=1)
    assert path.read_bytes().startswith(b"stepreplay: 1\ntest: test_chat.py::test_greeting\n")


FILTERED = """
    @pytest.mark.vcr
    def test_filtered():
        body = {{"model": "m", "messages": [], "metadata": str(uuid.uuid4())}}
        if {deep}:
            body["deep"] = {{"metadata": str(uuid.uuid4())}}
        params = {{"session": str(uuid.uuid4()), "user": str(uuid.uuid4()), "k": "1"}}
        assert httpx.post("{url}/chat/completions", params=params, json=body).status_code == 401
"""


def test_filters_let_old_cassettes_match_what_is_asked_today(adopting: Suite) -> None:
    given: dict[str, Any] = {
        "filter_headers": ["authorization"],
        "filter_query_parameters": ["session", ("user", "someone")],
        "filter_post_data_parameters": ["metadata"],
        "decode_compressed_response": True,
    }
    deep = hasattr(VCR(), "filter_nested_post_data_parameters")  # older versions of vcrpy have none
    if deep:
        given["filter_nested_post_data_parameters"] = True
    adopting.write(ASK + FILTERED.replace("{deep}", str(deep)))
    config(adopting, repr(given))
    file = adopting.pytester.path / "cassettes/test_chat/test_filtered.yaml"
    with VCR(record_mode="all", **given).use_cassette(str(file)):
        body = {
            "model": "m",
            "messages": [],
            "metadata": "a",
            **({"deep": {"metadata": "b"}} if deep else {}),
        }
        params = {"session": "c", "user": "d", "k": "1"}
        httpx.post(f"{adopting.url}/chat/completions", params=params, json=body)
    assert "someone" in file.read_text(encoding="utf-8")
    result = offline(adopting)
    result.assert_outcomes(passed=1)
    assert "vcr marker:" not in result.stdout.str()


def test_hooks_see_what_is_recorded_and_may_let_it_pass(adopting: Suite) -> None:
    (adopting.pytester.path / "conftest.py").write_text(
        """
import pytest

def before_request(request):
    if request.path.endswith("/health"):
        return None
    request.body = request.body.replace(b"secret plan", b"PLAN")
    return request

def before_response(response):
    if response["status"]["code"] == 404:
        return None
    response["body"]["string"] = response["body"]["string"].replace(b"secret plan", b"PLAN")
    return response

@pytest.fixture
def vcr_config():
    return {"before_record_request": before_request, "before_record_response": [before_response]}
""",
        encoding="utf-8",
    )
    adopting.write(
        ASK
        + """
    @pytest.mark.vcr
    def test_hooked():
        httpx.get("{url}/health")
        assert "secret plan" in str(ask("My secret plan.")) or True
        httpx.post("{url}/nowhere", json={{}})
"""
    )
    adopting.run("--record-mode=once", "-o", "stepreplay_record_errors=true").assert_outcomes(passed=1)
    text = adopting.cassette("test_chat/test_hooked.yaml").read_text(encoding="utf-8")
    assert "My PLAN." in text
    assert "secret plan" not in text
    assert "health" not in text
    assert "nowhere" not in text


def test_a_hook_that_fails_says_what_it_is_shown(adopting: Suite) -> None:
    (adopting.pytester.path / "conftest.py").write_text(
        "import pytest\n\ndef hook(request):\n    del request.headers['Authorization']\n    return request\n\n"
        "@pytest.fixture\ndef vcr_config():\n    return {'before_record_request': hook}\n",
        encoding="utf-8",
    )
    adopting.write(GREETING)
    record(adopting, "cassettes/test_chat/test_greeting.yaml", "Say hello.")
    result = offline(adopting)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*vcr_config, before_record_request: KeyError: 'authorization'", "*Take out what*"]
    )


def test_what_has_no_meaning_here_is_said_once(adopting: Suite) -> None:
    adopting.write(
        GREETING
        + GREETING.partition("@pytest.mark.vcr")[2]
        .join(["\n    @pytest.mark.vcr", ""])
        .replace("test_greeting", "test_other")
    )
    config(adopting, "{'match_on': ['method', 'headers'], 'drop_unused_requests': True, 'filter_header': []}")
    record(adopting, "cassettes/test_chat/test_greeting.yaml", "Say hello.")
    record(adopting, "cassettes/test_chat/test_other.yaml", "Say hello.")
    for options in ((), ("-n", "2")):
        result = adopting.run(*options)
        result.assert_outcomes(passed=2)
        notes = [line for line in result.outlines if line.startswith("vcr marker: ")]
        assert sorted(notes) == [
            "vcr marker: vcr_config, filter_header: vcrpy and pytest-recording have no such setting",
            "vcr marker: vcr_config, match_on='headers': less strict here, since the headers of requests are never stored",
        ]


HOOK = """
    import json, re, pytest, yaml

    class Loud:
        @staticmethod
        def deserialize(text):
            return yaml.safe_load(text.removeprefix("LOUD"))

    def pytest_recording_configure(config, vcr):
        def without_digits(one, other):
            clean = lambda request: re.sub(rb"[0-9]", b"", request.body)
            assert clean(one) == clean(other)

        vcr.register_matcher("without_digits", without_digits)
        vcr.register_matcher("path", lambda one, other: one.path.lower() == other.path.lower())
        vcr.register_serializer("yaml", Loud)
        vcr.match_on = ["method", "path", "without_digits"]
        vcr.before_record_request = lambda request: None if "health" in request.uri else request
"""


def test_the_hook_of_pytest_recording_is_called_with_a_vcr_and_heard(adopting: Suite) -> None:
    adopting.write(
        GREETING.replace("Say hello.", "Say 2.").replace(
            'assert ask("Say 2.")',
            'assert httpx.get("{url}/health").status_code\n        assert ask("Say 2.")',
        )
    )
    file = record(adopting, "cassettes/test_chat/test_greeting.yaml", "Say 1.")
    file.write_text("LOUD" + file.read_text(encoding="utf-8"), encoding="utf-8")
    adopting.pytester.makeconftest(HOOK)
    result = adopting.run()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["replayed 1"])
    adopting.change("Say 2.", "Say 2 more.")
    result = adopting.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*not recorded: *"])


def test_what_a_hook_asks_for_in_vain_is_refused_by_name(adopting: Suite) -> None:
    adopting.write(GREETING)
    record(adopting, "cassettes/test_chat/test_greeting.yaml", "Say hello.")
    for asked, said in (
        ("vcr.register_persister(object)", "*vcr_config, persister: not available *"),
        ("vcr.match_on = ['mine']", "*match_on: 'mine' is neither one of vcrpy's matchers nor registered*"),
    ):
        adopting.pytester.makeconftest(f"def pytest_recording_configure(config, vcr):\n    {asked}\n")
        result = adopting.run()
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines([said])
    assert not adopting.upstream.requests[1:]


def test_a_suite_made_for_pytest_vcr_has_a_vcr_for_each_module(adopting: Suite) -> None:
    adopting.pytester.makeconftest(
        HOOK.partition("    def pytest_recording")[0]
        + """
    @pytest.fixture(scope="module", autouse=True)
    def configured(vcr):
        vcr.register_serializer("yaml", Loud)
        vcr.register_matcher("body", lambda one, other: len(one.body) == len(other.body))
        return vcr
"""
    )
    adopting.write(
        GREETING.replace("Say hello.", "Say 2.")
        + """
    def test_by_hand(vcr):
        with vcr.use_cassette("by_hand", serializer="json") as cassette:
            assert ask("Say 3.")
        assert cassette.play_count == 1

    def test_cassette(vcr_cassette):
        assert ask("Say 2.") and vcr_cassette.play_count == 1
"""
    )
    for name in ("test_greeting", "test_cassette"):
        file = record(adopting, f"cassettes/{name}.yaml", "Say 1.")
        file.write_text("LOUD" + file.read_text(encoding="utf-8"), encoding="utf-8")
    record(adopting, "cassettes/by_hand.yaml", "Say 3.", config={"serializer": "json"})
    result = offline(adopting)
    result.assert_outcomes(passed=3)


def test_a_cassette_that_a_test_opens_with_vcrpy_itself_answers_inside_of_it(adopting: Suite) -> None:
    adopting.write(
        """
    import httpx, pytest, requests, vcr as vcrpy

    @pytest.mark.vcr
    @pytest.mark.parametrize("get", [httpx.get, requests.get], ids=["httpx", "requests"])
    def test_inner(get):
        with vcrpy.use_cassette("inner.yaml", record_mode="none"):
            assert get("http://x.invalid/a").text == "inner"
        assert get("http://x.invalid/a").text == "outer"
"""
    )
    for name, said in (
        ("inner.yaml", "inner"),
        ("cassettes/test_chat/test_inner[httpx].yaml", "outer"),
        ("cassettes/test_chat/test_inner[requests].yaml", "outer"),
    ):
        file = adopting.pytester.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            "interactions:\n- request: {body: '', headers: {}, method: GET, uri: 'http://x.invalid/a'}\n"
            f"  response: {{body: {{string: {said}}}, headers: {{}}, status: {{code: 200, message: OK}}}}\n"
            "version: 1\n",
            encoding="utf-8",
        )
    offline(adopting).assert_outcomes(passed=2)


def test_response_headers_stay_in_a_cassette_of_another_tool(adopting: Suite) -> None:
    adopting.write(
        ASK
        + """
    @pytest.mark.vcr
    def test_headers():
        headers = httpx.get("{url}/models").headers
        assert headers["x-request-id"] == "abc" and "set-cookie" not in headers
"""
    )
    file = adopting.cassette("test_chat/test_headers.yaml")
    file.parent.mkdir(parents=True)
    file.write_text(
        f"interactions:\n- request: {{body: '', headers: {{}}, method: GET, uri: '{adopting.url}/models'}}\n"
        "  response: {body: {string: '{}'}, headers: {X-Request-Id: [abc], Set-Cookie: [a=b]}, "
        "status: {code: 200, message: OK}}\nversion: 1\n",
        encoding="utf-8",
    )
    offline(adopting).assert_outcomes(passed=1)


def test_match_on_and_repeats_mean_what_they_meant(adopting: Suite) -> None:
    adopting.write(GREETING.replace('ask("Say hello.")', 'ask("Say 1.") and ask("Say 2.")'))
    record(adopting, "cassettes/test_chat/test_greeting.yaml", "Say hello.")
    config(adopting, "{'match_on': ['method', 'uri'], 'allow_playback_repeats': True}")
    offline(adopting).assert_outcomes(passed=1)
    config(adopting, "{'match_on': ['method', 'uri'], 'additional_matchers': ['raw_body']}")
    adopting.run().assert_outcomes(failed=1)


def test_what_passed_with_another_request_than_the_recorded_one_is_told_by_cause(adopting: Suite) -> None:
    names = ("test_greeting", "test_second", "test_other", "test_same")
    adopting.write(
        ASK
        + "".join(
            f"""
    @pytest.mark.vcr
    def {name}():
        assert ask("Say hello."{", temperature=1" if name == "test_other" else ""})
"""
            for name in names
        )
    )
    for name in names:
        said = "Say goodbye." if name in names[:2] else "Say hello."
        record(adopting, f"cassettes/test_chat/{name}.yaml", said)
    result = offline(adopting)
    result.assert_outcomes(failed=3, passed=1)
    result.stdout.fnmatch_lines(["  stepreplay_match_on = method scheme host port path query"])
    told = [
        "3 tests passed with another request than the recorded one, since bodies are not compared:",
        "  2 tests: messages[[]0[]].content differs",
        "  1 test: temperature differs",
        '  to make them fail, add "body" to match_on *',
    ]
    ini = adopting.pytester.path / "pytest.ini"
    ini.write_text(INI + "stepreplay_match_on = method scheme host port path query\n", encoding="utf-8")
    for options in ((), ("-n", "2")):
        result = adopting.run(*options)
        result.assert_outcomes(passed=4)
        result.stdout.fnmatch_lines(told, consecutive=True)
    ini.write_text(INI, encoding="utf-8")
    config(adopting, "{'match_on': ['method', 'uri']}")
    adopting.run().stdout.fnmatch_lines(told, consecutive=True)


def test_a_missing_cassette_is_not_taken_for_another_tests_that_asks_the_same_url(adopting: Suite) -> None:
    adopting.write(GREETING)
    record(adopting, "cassettes/test_chat/test_other.yaml", "Say goodbye.")
    config(adopting, "{'match_on': ['method', 'uri']}")
    result = offline(adopting)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*not recorded: there is no cassette yet", "*it was never recorded."])
    assert "relink" not in result.stdout.str()
    record_in = adopting.pytester.path / "cassettes/test_chat/test_other.yaml"
    record_in.write_text(
        record_in.read_text(encoding="utf-8").replace("goodbye.", "hello."), encoding="utf-8"
    )
    result = adopting.run()
    result.stdout.fnmatch_lines(["*it was recorded for another test, in *test_other.yaml."])


def test_the_vcr_fixture_shows_the_cassette(adopting: Suite) -> None:
    adopting.write(
        ASK
        + """
    @pytest.mark.vcr
    def test_shown(vcr, vcr_markers):
        assert (vcr.play_count, vcr.all_played, len(vcr)) == (0, False, 2)
        ask("Say 1.")
        assert (vcr.play_count, vcr.all_played) == (1, False)
        ask("Say 2.")
        assert vcr.all_played and len(vcr_markers) == 1
        assert vcr.requests[0].method == "POST" and b"Say 1." in vcr.requests[0].body
        assert vcr.responses[1]["status"]["code"] == 200
        assert vcr.play_counts == {{0: 1, 1: 1}} and vcr.record_mode == "none" and vcr.write_protected
        assert vcr._path.endswith("test_shown.yaml") and not vcr.dirty and not vcr.allow_playback_repeats
        vcr.rewind()
        assert (vcr.play_count, vcr.all_played) == (0, False)
        ask("Say 2.")
        assert vcr.play_counts == {{1: 1}} and len(vcr.data) == 2 and len(list(vcr)) == 2
        with pytest.raises(AttributeError, match="one of stepreplay's, which has no 'append'"):
            vcr.append

    def test_unmarked(vcr):
        assert vcr is None
"""
    )
    record(adopting, "cassettes/test_chat/test_shown.yaml", "Say 1.", "Say 2.")
    offline(adopting).assert_outcomes(passed=2)


def test_the_network_is_blocked_for_tests_that_say_so(adopting: Suite) -> None:
    adopting.write(
        """
        import socket, pytest

        def look_up(host):
            try:
                socket.getaddrinfo(host, 80)
            except RuntimeError:
                return "blocked"
            except OSError:
                return "tried"

        @pytest.mark.block_network(allowed_hosts=[r"allowed\\.invalid", r".*\\.below\\.invalid", "a|b"])
        def test_blocked():
            assert look_up("example.invalid") == "blocked"
            assert look_up("allowed.invalid") == "tried"
            assert look_up("x.below.invalid") == "tried"

        def test_open():
            assert look_up("example.invalid") == "tried"
        """
    )
    result = adopting.run()
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["vcr marker: allowed_hosts, 'a|b' is not a host name; it stays blocked"])
    adopting.run("--block-network").assert_outcomes(passed=1, failed=1)
    adopting.run("--block-network", "--allowed-hosts=example.invalid,other").assert_outcomes(passed=2)
    adopting.change("allowed_hosts=[", "hosts=[")
    result = adopting.run()
    result.stdout.fnmatch_lines(["*@pytest.mark.block_network takes only allowed_hosts=*"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            "{'record_mode': 'some'}",
            "*record_mode: 'some' is not one of once, none, new_episodes, all, rewrite",
        ),
        ("[]", "*the vcr_config fixture must return a dict, not list"),
        ("{'allowed_hosts': 3}", "*allowed_hosts: 3 is not a list of strings"),
    ],
)
def test_a_config_that_nothing_could_read(adopting: Suite, given: str, said: str) -> None:
    adopting.write(GREETING)
    config(adopting, given)
    result = adopting.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([said])
    assert "Traceback" not in result.stdout.str()


def test_a_marker_that_names_no_text(adopting: Suite) -> None:
    adopting.write(GREETING.replace("mark.vcr", "mark.vcr(3)"))
    result = adopting.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the name of a cassette must be a string"])
    adopting.write(GREETING.replace("mark.vcr", "mark.vcr\n    @pytest.mark.default_cassette"))
    result = adopting.run()
    result.stdout.fnmatch_lines(["*@pytest.mark.default_cassette takes the name of a cassette"])


def test_places_and_formats_that_vcr_config_names(adopting: Suite) -> None:
    adopting.write(GREETING)
    file = adopting.pytester.path / "library/test_greeting.json"
    config(adopting, "{'serializer': 'json', 'cassette_library_dir': 'library'}")
    record(adopting, "library/test_greeting.json", "Say hello.", config={"serializer": "json"})
    assert json.loads(file.read_text(encoding="utf-8"))["version"] == 1
    offline(adopting).assert_outcomes(passed=1)
    config(adopting, "{'path_transformer': lambda path: path.replace('cassettes', 'library') + '.json'}")
    (adopting.pytester.path / "library/test_chat").mkdir()
    file.rename(adopting.pytester.path / "library/test_chat/test_greeting.json")
    adopting.run().assert_outcomes(passed=1)


def test_a_name_that_is_too_long_is_shortened_as_pytest_recording_does(adopting: Suite) -> None:
    long = "x" * 260
    adopting.write(GREETING.replace("def test_greeting()", f"def test_{long}()"))
    adopting.run("--record-mode=once").assert_outcomes(passed=1)
    (name,) = adopting.cassettes
    assert len(name.removeprefix("test_chat/")) == 255
    result = offline(adopting)
    result.assert_outcomes(passed=1)


def test_our_own_marker_wins_on_a_test_that_has_both(adopting: Suite) -> None:
    adopting.write(
        GREETING.replace("@pytest.mark.vcr", '@pytest.mark.vcr\n    @pytest.mark.stepreplay("own")')
    )
    adopting.record().assert_outcomes(passed=1)
    assert adopting.cassettes == ["own.yaml"]


def test_ignored_hosts_pass_by(adopting: Suite) -> None:
    adopting.write(GREETING)
    for given in ("{'ignore_localhost': True}", "{'ignore_hosts': ['127.0.0.1']}"):
        config(adopting, given)
        adopting.run().assert_outcomes(passed=1)
    assert len(adopting.upstream.requests) == 2
    assert not (adopting.pytester.path / "cassettes").exists()


@pytest.mark.parametrize("name", ["recording", "vcr", "cassetter"])
def test_another_plugin_that_would_answer_the_marker_is_refused(adopting: Suite, name: str) -> None:
    adopting.write(GREETING)
    (adopting.pytester.path / f"{name}.py").write_text("", encoding="utf-8")
    adopting.monkeypatch.syspath_prepend(str(adopting.pytester.path))
    record(adopting, "cassettes/test_chat/test_greeting.yaml", "Say hello.")
    result = adopting.run("-p", name)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"*or keep it out of this run: pytest -p no:{name} *"])
