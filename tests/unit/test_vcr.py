"""What a `vcr_config` means here, and vcrpy's filters as functions on our requests and responses."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pytest_stepreplay.errors import RequestStoppedError, SettingsError
from pytest_stepreplay.models import Request, Response
from pytest_stepreplay.settings import MATCHERS
from pytest_stepreplay.vcr.config import read_allowed_hosts, read_record_mode, read_vcr_config
from pytest_stepreplay.vcr.filters import request_filter, response_filter, to_vcr_request

URL = "https://api.stepfun.com/v1/chat/completions"


def test_an_empty_config_changes_nothing() -> None:
    adopted = read_vcr_config({})
    assert (adopted.settings, adopted.ignored_hosts, adopted.record_mode) == ({}, (), None)
    assert (adopted.filters, adopted.places, adopted.notes) == ({}, {}, ())


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"match_on": ["uri", "method"]}, ("method", "scheme", "host", "port", "path", "query")),
        ({"match_on": ("path", "raw_body")}, ("path", "body")),
        ({"match_on": "body"}, ("body",)),
        ({"match_on": ["method", "path"], "additional_matchers": ["body"]}, ("method", "path", "body")),
        ({"match_on": MATCHERS}, MATCHERS),
        ({"additional_matchers": ["query"]}, None),
        ({"match_on": ["mine"]}, None),
    ],
)
def test_matchers(config: dict[str, Any], expected: tuple[str, ...] | None) -> None:
    assert read_vcr_config(config).settings.get("match_on") == expected


@pytest.mark.parametrize(
    "name",
    [
        "filter_sensitive_data",
        "before_save_interaction",
        "after_load_interaction",
        "custom_patches",
        "skip_patchers",
        "persister",
    ],
)
def test_a_setting_that_cannot_be_had_is_refused_with_what_to_do_instead(name: str) -> None:
    with pytest.raises(SettingsError, match=f"vcr_config, {name}: not available with .*; .* Take it out"):
        read_vcr_config({name: [1]})
    assert read_vcr_config({name: ()}).notes == ()


def test_what_ours_does_anyway_needs_no_word() -> None:
    assert read_vcr_config({"drop_unused_requests": True, "inject_cassette": True}).notes == ()
    (note,) = read_vcr_config({"record_on_exception": False}).notes
    assert note.startswith("record_on_exception=False: a failing test never replaces a cassette")


def test_matchers_that_are_not_ours_are_named() -> None:
    adopted = read_vcr_config({"match_on": ["method", "headers", "mine"]})
    assert adopted.matchers == ("mine",)
    assert adopted.settings == {"match_on": ("method",)}
    assert adopted.notes == (
        "match_on='headers': less strict here, since the headers of requests are never stored",
    )


def test_hosts_that_pass_by() -> None:
    adopted = read_vcr_config({"ignore_hosts": ["a.example", re.compile("b.*")], "ignore_localhost": True})
    assert adopted.ignored_hosts == ("a.example", "localhost", "0.0.0.0", "127.0.0.1", "::1")
    assert adopted.filters == {"ignore_hosts": (re.compile("b.*"),)}
    assert adopted.notes[0].startswith("ignore_hosts: requests to a pattern are let through")
    assert read_vcr_config({"ignore_hosts": "one.example"}).ignored_hosts == ("one.example",)


def test_record_modes_may_be_an_enumeration() -> None:
    from vcr.record_mode import RecordMode

    assert read_record_mode(RecordMode.NEW_EPISODES, "here") == "new_episodes"
    assert read_record_mode(None, "here") is None
    with pytest.raises(SettingsError, match="here: 'x' is not one of once, none, new_episodes, all, rewrite"):
        read_record_mode("x", "here")


@pytest.mark.parametrize(
    ("given", "hosts", "unclear"),
    [
        (None, (), ()),
        ("a.example,b.example", ("a.example", "b.example"), ()),
        ([r"^api\.example\.com$", r".*\.below\.com", ".*"], ("api.example.com", "*.below.com", "*"), ()),
        (["127.0.0.1", "::1", "a(b|c)"], ("127.0.0.1", "::1"), ("a(b|c)",)),
    ],
)
def test_allowed_hosts(given: object, hosts: tuple[str, ...], unclear: tuple[str, ...]) -> None:
    assert read_allowed_hosts(given) == (hosts, unclear)


def test_filters_change_what_they_name_and_leave_the_rest_the_same_object() -> None:
    config = {"filter_query_parameters": ["key", ("user", "x")], "filter_post_data_parameters": [("id", "0")]}
    apply = request_filter(config)
    plain = Request(method="POST", url=URL, json={"a": [1, 2.5, None]})
    assert apply(plain) is plain
    changed = apply(Request(method="POST", url=f"{URL}?key=1&user=2&k=3", json={"id": 5, "a": "é"}))
    assert changed == Request(method="POST", url=f"{URL}?k=3&user=x", json={"a": "é", "id": "0"})
    form = apply(Request(method="POST", url=URL, text="id=7&b=1"))
    assert form == Request(method="POST", url=URL, text="id=0&b=1")
    empty = Request(method="GET", url=URL)
    assert apply(empty) is empty


def test_hooks_may_give_any_body_and_let_a_request_pass() -> None:
    def hook(request: Any) -> Any:
        if request.method == "GET":
            return None
        request.body = "text"
        return request

    apply = request_filter({"before_record": hook})
    assert apply(Request(method="GET", url=URL)) is None
    assert apply(Request(method="POST", url=URL, json={})) == Request(method="POST", url=URL, text="text")


def test_a_response_hook_sees_vcrpys_shape() -> None:
    def hook(response: Any) -> Any:
        if response["status"]["code"] == 500:
            return None
        if response["status"]["code"] == 201:
            response["status"]["code"] = 200
            response["headers"]["content-type"] = "application/json"
            response["body"]["string"] = '{"a": 2}'
        return response

    apply = response_filter({"before_record_response": hook})
    same = Response(status=200, headers={"content-type": "application/json"}, json={"a": 1})
    assert apply(same) is same
    assert apply(Response(status=500)) is None
    changed = apply(Response(status=201, json={"a": 1}))
    assert changed == Response(status=200, headers={"content-type": "application/json"}, json={"a": 2})


def test_a_hook_that_fails_is_named() -> None:
    apply = response_filter({"before_record_response": lambda response: response["headers"]["Set-Cookie"]})
    with pytest.raises(
        RequestStoppedError, match="vcr_config, before_record_response: KeyError: 'Set-Cookie'"
    ):
        apply(Response(status=200))


def test_a_request_as_vcrpy_knows_it() -> None:
    request = to_vcr_request(Request(method="POST", url=URL, json={"a": "é"}))
    assert (request.method, request.host, request.path) == ("POST", "api.stepfun.com", "/v1/chat/completions")
    assert request.body == '{"a":"é"}'.encode()
    assert request.headers["content-type"] == "application/json"


def test_a_filter_that_this_vcrpy_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        def __init__(self) -> None:
            self.filter_query_parameters = ()

    monkeypatch.setattr("vcr.config.VCR", Old)
    with pytest.raises(
        SettingsError, match="has no filter_nested_post_data_parameters; take it out, or install"
    ):
        request_filter({"filter_nested_post_data_parameters": True, "filter_query_parameters": ["a"]})
