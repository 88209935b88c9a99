"""What is stored holds no secret, and nothing that only looks like one is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_stepreplay.errors import SettingsError
from pytest_stepreplay.matching.keys import Matcher
from pytest_stepreplay.models import RawFrame, Request, Response
from pytest_stepreplay.redaction.redactor import Redactor
from pytest_stepreplay.redaction.shapes import PLACEHOLDER
from pytest_stepreplay.redaction.variables import secret_values
from pytest_stepreplay.wire.headers import KEPT_RESPONSE_HEADERS, kept_headers

PLAIN = Redactor(secrets=())
URL = "https://api.stepfun.com/v1/chat/completions"

KEYS = [
    "sk-abcdefghijklmnop1234",
    "sk-ant-api03-AbCdEf0123456789-xyz_AA",
    "sk-or-v1-0123456789abcdef0123456789abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_0123456789abcdefghij0123456789abcdef",
    "github_pat_11AAAAAAA0aaaaaaaaaaaaaa_bbbbbbbbbb",
    "glpat-0123456789abcdefghij",
    "AIza0123456789abcdefghijklmnopqrstuvwxy",
    "xoxb-123456789012-abcdefABCDEF",
    "sk_live_0123456789abcdefghij",
    "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_def-123",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\\n" + "A1b2" * 16 + "\\n" + "C3d4" * 16,
]


def request(body: Any = None, url: str = URL, **other: Any) -> Request:
    return Request(method="POST", url=url, **({"json": body} if body is not None else {}), **other)


PEM = [
    "-----BEGIN {}PRIVATE KEY-----",
    *("aB3/" * 16 for _ in range(3)),
    "Zm9v=",
    "-----END {}PRIVATE KEY-----",
]


@pytest.mark.parametrize("kind", ["", "RSA ", "OPENSSH "])
@pytest.mark.parametrize("cut_off", [False, True])
def test_a_private_key_as_a_list_of_its_lines_is_redacted(kind: str, cut_off: bool) -> None:
    lines = [line.format(kind) for line in PEM][: -1 if cut_off else None]
    kept = ["before", 1, *lines, "behind it", None, "the end"]
    left = ["before", 1, "[redacted]", "behind it", None, "the end"]
    redactor = Redactor(secrets=())
    for tree, wanted in (
        ({"key": kept}, {"key": left}),
        ([[kept]], [[left]]),
        ({"text": json.dumps({"key": kept})}, {"text": json.dumps({"key": left})}),
        ({"text": "Use " + json.dumps(lines, indent=2)}, {"text": 'Use [\n  "[redacted]"\n]'}),
        ({"text": f"Use {lines!r}"}, {"text": "Use ['[redacted]']"}),
        (
            {"text": json.dumps({"a": f"x {json.dumps(lines)}"})},
            {"text": json.dumps({"a": 'x ["[redacted]"]'})},
        ),
        (lines * 2, ["[redacted]", "[redacted]"]),
        (lines[:1], lines[:1]),
        (
            ["-----BEGIN PRIVATE KEY-----", "is how it starts", 2],
            ["-----BEGIN PRIVATE KEY-----", "is how it starts", 2],
        ),
    ):
        for _ in range(2):  # what is remembered of the first time must not let it through
            assert redactor.redact_json(tree) == wanted


@pytest.mark.parametrize("key", KEYS)
def test_keys_go_wherever_they_stand(key: str) -> None:
    body = {"messages": [{"role": "user", "content": f"use {key}, please"}], key: [key]}
    redacted = PLAIN.redact_request(request(body))
    assert redacted.json == {
        "messages": [{"role": "user", "content": f"use {PLACEHOLDER}, please"}],
        PLACEHOLDER: [PLACEHOLDER],
    }


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Bearer abc123def456", "Bearer [redacted]"),
        ("authorization: Basic dXNlcjpwYXNzdzByZA==", "authorization: Basic [redacted]"),
        ("postgres://user:pw@db/x", "postgres://user:[redacted]@db/x"),
        (
            "see https://h/x?sig=a%2Fb&y=2#access_token=zz.",
            "see https://h/x?sig=[redacted]&y=2#access_token=[redacted]",
        ),
        ("export STEP_API_KEY=abcd1234efgh;", "export STEP_API_KEY=[redacted];"),
        ("password: 'hunter2hunter2'", "password: '[redacted]'"),
        ('{"api_key": "a\\"b", "q": "x"}', '{"api_key": "[redacted]", "q": "x"}'),
        ('{"q": "x", "apiKey":"cut off', '{"q": "x", "apiKey":"[redacted]'),
        ('{"token": "abcdef0123456789abcd"}', '{"token": "[redacted]"}'),
    ],
)
def test_secrets_in_text(text: str, redacted: str) -> None:
    assert PLAIN.redact_text(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "task-abcdefghijklmnop1234 is no key, nor is sk-learn",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxx",
        "Bearer authentication is needed",
        "Basic JavaScript tutorials, basic Python3Tutorials",
        "max_tokens=1000000000 and next_page_token=abc123abc123",
        "password: required",
        "apiKey: process.env.STEP_API_KEY",
        '{"token": "Hel", "token_count": "12345678901234567890", "tokenizer": "cl100k_base_0123456789"}',
        "The key points: 12345678. Mail me@example.com, see https://example.com/a:b@c",
        "data:image/png;base64,AKIAIOSFODNN7EXAMPLE",
        "-----BEGIN PRIVATE KEY----- is how a PEM file begins",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert PLAIN.redact_text(text) == text


def test_fields_are_secret_by_their_names() -> None:
    body = {
        "api_key": "a",
        "x-api-key": "a",
        "openaiApiKey": "a",
        "client_secret": "a",
        "db_password": "a",
        "secret": "a",
        "Authorization": "a",
        "api_keys": ["a", "b"],
        "deep": [{"access_token": "a"}],
    }
    redacted = PLAIN.redact_request(request(body)).json
    assert redacted == {
        **dict.fromkeys(body, PLACEHOLDER),
        "api_keys": [PLACEHOLDER, PLACEHOLDER],
        "deep": [{"access_token": PLACEHOLDER}],
    }


def test_what_a_client_needs_stays_the_same_object() -> None:
    body = {
        "max_tokens": 5,
        "usage": {"prompt_tokens": 1, "token_count": 2},
        "logprobs": {"content": [{"token": "Hello", "logprob": -1.0}]},
        "tools": [{"function": {"parameters": {"properties": {"password": {"type": "string"}}}}}],
        "secret": "",
        "api_key": None,
        "password": True,
    }
    one = request(body)
    assert PLAIN.redact_request(one) is one
    response = Response(status=200, headers={"content-type": "application/json"}, json=body)
    assert PLAIN.redact_response(response) is response
    empty = Response(status=204)
    assert PLAIN.redact_response(empty) is empty
    binary = Response(status=200, base64="c2stYWJj")
    assert PLAIN.redact_response(binary) is binary


def test_the_callers_body_is_not_changed() -> None:
    body = {"messages": [{"content": "sk-abcdefghijklmnop1234"}]}
    PLAIN.redact_request(request(body))
    assert body == {"messages": [{"content": "sk-abcdefghijklmnop1234"}]}


def test_tool_call_arguments_stay_json() -> None:
    arguments = '{"api_key": "abc \\" def", "path": "C:\\\\x", "n": 1}'
    body = {"messages": [{"tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}]}
    redacted = PLAIN.redact_request(request(body)).json
    text = redacted["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(text) == {"api_key": PLACEHOLDER, "path": "C:\\x", "n": 1}


def test_a_key_that_comes_twice_hides_nothing() -> None:
    text = '{"a": "sk-abcdefghijklmnop1234", "a": "x"}'
    assert PLAIN.redact_text(text) == '{"a": "[redacted]", "a": "x"}'


def test_urls_lose_users_and_secret_parameters() -> None:
    url = "https://user:p%40ss@api.example.com/v1?key=abc&model=x&X-Amz-Signature=1&api%5Fkey=2"
    assert PLAIN.redact_request(request(url=url)).url == (
        "https://api.example.com/v1?key=[redacted]&model=x&X-Amz-Signature=[redacted]&api%5Fkey=[redacted]"
    )


def test_forms_lose_their_secrets() -> None:
    form = "client_secret=abc&grant_type=client_credentials&password=x%20y"
    redacted = PLAIN.redact_request(request(text=form))
    assert redacted.text == "client_secret=[redacted]&grant_type=client_credentials&password=[redacted]"
    plain = request(text="just a text = with & signs")
    assert PLAIN.redact_request(plain) is plain


def test_events_lose_their_secrets_and_keep_their_bytes_otherwise() -> None:
    events = (
        '{"a": 1,  "b": "Hel"}',
        '{"delta": {"api_key": "x", "text": "é"}}',
        "[DONE] sk-abcdefghijklmnop1234",
        RawFrame(frame="event: x\ndata: Bearer abc123def456\n"),
        RawFrame(frame=": comment"),
    )
    redacted = PLAIN.redact_response(Response(status=200, events=events)).events
    assert redacted == (
        '{"a": 1,  "b": "Hel"}',
        '{"delta": {"api_key": "[redacted]", "text": "é"}}',
        "[DONE] [redacted]",
        RawFrame(frame="event: x\ndata: Bearer [redacted]\n"),
        RawFrame(frame=": comment"),
    )
    quiet = Response(status=200, events=events[:1])
    assert PLAIN.redact_response(quiet) is quiet


def test_a_deep_body_does_not_hide_a_secret() -> None:
    deep: Any = {"password": "x"}
    for _ in range(50_000):
        deep = [deep]
    redacted = PLAIN.redact_json(deep)
    for _ in range(50_000):
        redacted = redacted[0]
    assert redacted == {"password": PLACEHOLDER}
    event = "[" * 100_000 + '"sk-abcdefghijklmnop1234"'
    response = PLAIN.redact_response(Response(status=200, events=(event,)))
    assert response.events == ("[" * 100_000 + '"[redacted]"',)


def test_response_headers() -> None:
    headers = {
        "content-type": "text/plain",
        "location": "https://u:p@h/x?token=abc",
        "link": '<https://h/x?access_token=abc&page=2>; rel="next"',
        "set-cookie": "a=b",
    }
    redacted = PLAIN.redact_response(Response(status=302, headers=headers)).headers
    assert redacted == {
        "content-type": "text/plain",
        "location": "https://h/x?token=[redacted]",
        "link": '<https://h/x?access_token=[redacted]&page=2>; rel="next"',
    }


def test_kept_headers() -> None:
    headers = [
        ("Content-Type", "application/json"),
        ("Set-Cookie", "a=b"),
        ("Retry-After", "1"),
        ("X-Trace-Id", "t"),
        ("X-Limit", "1"),
        ("x-limit", "2"),
        ("Content-Length", "5"),
    ]
    assert kept_headers(headers) == {"content-type": "application/json", "retry-after": "1"}
    assert kept_headers(headers, ["X-Limit", "set-cookie", "content-length"]) == {
        "content-type": "application/json",
        "retry-after": "1",
        "x-limit": "1, 2",
    }
    assert {"content-type", "retry-after", "retry-after-ms", "location"} <= KEPT_RESPONSE_HEADERS


def test_a_project_adds_names_and_patterns() -> None:
    redactor = Redactor(fields=("tenantId",), patterns=(r"EMP-\d+",), secrets=())
    redacted = redactor.redact_request(
        request({"tenant_id": "t", "content": 'EMP-42 {"tenant-id": "t"}'}, url=URL + "?tenantid=1&x=2")
    )
    assert redacted.json == {"tenant_id": PLACEHOLDER, "content": '[redacted] {"tenant-id": "[redacted]"}'}
    assert redacted.url == URL + "?tenantid=[redacted]&x=2"


@pytest.mark.parametrize(
    ("pattern", "problem"), [("(", "not a regular expression"), (r"\w+", "make it narrower")]
)
def test_a_pattern_that_cannot_work_is_refused(pattern: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        Redactor(patterns=(pattern,))


def test_values_of_secret_variables_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEP_API_KEY", 'plain-looking "value"/x')
    redactor = Redactor()
    body = {
        "content": 'it is plain-looking "value"/x',
        "arguments": '{"x": "plain-looking \\"value\\"/x"}',
    }
    redacted = redactor.redact_request(request(body, url=URL + "?q=plain-looking%20%22value%22%2Fx"))
    assert redacted.json == {"content": "it is [redacted]", "arguments": '{"x": "[redacted]"}'}
    assert redacted.url == URL + "?q=[redacted]"


def test_which_variables_hold_secrets() -> None:
    secret = {
        "STEP_API_KEY": "abcdefgh1",
        "OPENAI_API_KEY_2": "bcdefghi1",
        "GITHUB_TOKEN": "cdefghij1",
        "MY_CLIENT_SECRET": "defghijk1",
        "MYSQL_PWD": "efghijkl1",
        "DBPASSWORD": "fghijklm1",
        "SIGNING_KEY": "/ghi/jkl+not-a-file",
    }
    harmless = {
        "PWD": "/somewhere/else",
        "OLDPWD": "/somewhere/else",
        "HOME": "abcdefgh2",
        "TOKENIZERS_PARALLELISM": "falsefalse1",
        "MAX_TOKENS": "123456789",
        "SHORT_TOKEN": "abc1",
        "WORD_TOKEN": "disabled",
        "PATH_TOKEN": "/" * 12,
        "REDACTED_TOKEN": PLACEHOLDER,
        "OPENAI_API_KEY": "stepreplay-placeholder-key",
        "MONKEY": "abcdefgh3",
        "API_KEY_FILE": "abcdefgh4",
    }
    assert secret_values({**secret, **harmless}) == set(secret.values())


def test_the_password_in_a_url_of_the_environment_is_secret() -> None:
    environ = {
        "DATABASE_URL": "postgres://app:tr0ub4dor%21x@db/app",
        "DOCS_URL": "https://example.com/a:b@c",
        "LOCAL_URL": "postgres://app:password@localhost/x",
        "SORT_KEY": "created_at_by_user",
        "SHIPPING_KEY": "a1b2c3d4e5f6a7b8c9",
        "LETTERS_TOKEN": "qwzxkjvhplm",
    }
    assert secret_values(environ) == {"tr0ub4dor%21x", "tr0ub4dor!x", "a1b2c3d4e5f6a7b8c9", "qwzxkjvhplm"}


def test_json_that_is_one_only_together_keeps_no_secret() -> None:
    key = "sk-abcdefghijklmnop1234"
    events = (
        '{"a": "sk-abcdefghi',
        'jklmnop1234"}',
        '{"a": 1},{"b": "x"}',
        '{"a": [1',
        "2]}",
        '{"k": "sk-abcdef"}',
    )
    redacted = PLAIN.redact_response(Response(status=200, events=events)).events
    assert key not in str(redacted)
    odd = ('{"a":"sk-abcdefghi"},{"b":1}', '{"a":"jklmnop1234","c":[1', "2]}")
    assert PLAIN.redact_response(Response(status=200, events=odd)).events is not None


def test_a_secret_in_pieces_is_replaced_in_the_first_of_them() -> None:
    def chunk(text: str) -> str:
        return json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]})

    texts = ["It is ", "sk-abcd", "efghijkl", "mnop1234", ", yes", "."]
    redacted = PLAIN.redact_response(Response(status=200, events=tuple(map(chunk, texts)))).events
    assert redacted == tuple(map(chunk, ["It is ", "[redacted]", "", "", ", yes", "."]))
    frames = tuple(
        RawFrame(frame=f"event: x\ndata: {part}\n\n") for part in ("a sk-abcd", "efghijklmnop1234 b")
    )
    assert PLAIN.redact_response(Response(status=200, events=frames)).events == (
        RawFrame(frame="event: x\ndata: a [redacted]\n\n"),
        RawFrame(frame="event: x\ndata:  b\n\n"),
    )


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Authorization: Token abcdefghij", "Authorization: Token [redacted]"),
        ("Bearer abcdefghijklmnopqrst", "Bearer [redacted]"),
        ('api_key = "abcdefghij"', 'api_key = "[redacted]"'),
        ("password: hunterhunterhunter", "password: [redacted]"),
        ("sk-AbCdEfGhIjKlMnOpQrStUv", "[redacted]"),
    ],
)
def test_secrets_of_letters_alone(text: str, redacted: str) -> None:
    assert PLAIN.redact_text(text) == redacted


# Words that come near to secrets, so that the search meets the rules.
PIECES = st.sampled_from(
    [
        *KEYS,
        "sk-",
        "Bearer ",
        "Basic ",
        "?key=",
        "&sig=",
        '"api_key": "',
        '"',
        "password=",
        "a1b2c3d4e5",
        "://",
        "u:p@",
        "token",
        "=",
        " ",
        "\\",
        "-",
        "é",
        "{",
        "}",
        "[redacted]",
        "-----BEGIN PRIVATE KEY-----",
        "\n",
        ":",
        "x",
    ]
)
TEXTS = st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=20)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["token", "api_key", "content", "passwords", "auth"]) | TEXTS, inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(TREES, TEXTS)
def test_redacting_twice_changes_nothing_more(tree: Any, text: str) -> None:
    once = PLAIN.redact_request(request({"x": tree}, url=f"https://h/{text}"))
    assert PLAIN.redact_request(once) is once
    once = PLAIN.redact_request(request(text=text))
    assert PLAIN.redact_request(once) == once


@given(TEXTS, TEXTS, st.text("abcdefghij0123456789!$-", min_size=8, max_size=20))
def test_a_secret_value_never_stays(before: str, after: str, secret: str) -> None:
    redactor = Redactor(secrets=(secret,))
    text = f"{before}{secret}{after}"
    body = {"content": text, "list": [{text: text}], "arguments": json.dumps({"x": text})}
    redacted = redactor.redact_request(request(body, url=f"https://h/x?q={text}"))
    assert secret not in str(redacted)
    json.loads(redacted.json["arguments"])


@given(TEXTS, st.sampled_from(KEYS), st.sampled_from(KEYS))
def test_a_request_matches_itself_with_another_key(text: str, one: str, other: str) -> None:
    keys = {
        Matcher().key(
            PLAIN.redact_request(
                request({"api_key": key, "content": f"{text} {key} x"}, url=f"{URL}?key={key}")
            )
        )
        for key in (one.replace("\n", ""), other.replace("\n", ""))
    }
    assert len(keys) == 1


@given(st.dictionaries(st.text("abc", max_size=3), TREES, max_size=3))
def test_json_stays_json(tree: Any) -> None:
    text = json.dumps({"arguments": json.dumps(tree)})
    event = PLAIN.redact_response(Response(status=200, events=(text,))).events
    assert event is not None
    assert isinstance(event[0], str)
    json.loads(json.loads(event[0])["arguments"])
