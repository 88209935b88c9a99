"""The second wall, under attack: every kind of key in every place of a file is found, and no placeholder is."""

from __future__ import annotations

import base64
import gzip
import json
import random
import string
from functools import cache
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_stepreplay.models import Cassette, Interaction, RawFrame, Request, Response
from pytest_stepreplay.redaction.redactor import Redactor
from pytest_stepreplay.redaction.secret_rules import find_hits
from pytest_stepreplay.redaction.wall import Finding, Wall, scan
from pytest_stepreplay.store.schema import tree_of
from pytest_stepreplay.store.yaml_text import render_yaml

LETTERS = string.ascii_letters
ALNUM = string.ascii_letters + string.digits
URL_SAFE = ALNUM + "-_"
AWS = string.ascii_uppercase + "234567"


def some(alphabet: str, length: int, seed: int = 7) -> str:
    """Returns random characters, always the same: no key stands in this file."""
    return "".join(random.Random(f"{alphabet}{length}{seed}").choices(alphabet, k=length))


SEGMENT = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
CLAIMS = base64.urlsafe_b64encode(json.dumps({"iss": some(LETTERS, 9)}).encode()).decode().rstrip("=")

KEYS = {
    "StepFun, DeepSeek": "sk-" + some(ALNUM, 48),
    "letters alone": "sk-" + some(LETTERS, 40),
    "OpenAI": "sk-" + some(ALNUM, 20) + "T3BlbkFJ" + some(ALNUM, 20, 8),
    "OpenAI project": "sk-proj-" + some(URL_SAFE, 74) + "T3BlbkFJ" + some(URL_SAFE, 74, 8),
    "Anthropic": "sk-ant-api03-" + some(URL_SAFE, 93) + "AA",
    "OpenRouter": "sk-or-v1-" + some("0123456789abcdef", 64),
    "AWS": "AKIA" + some(AWS, 16),
    "AWS session": "ASIA" + some(AWS, 16),
    "GitHub": "ghp_" + some(ALNUM, 36),
    "GitHub fine-grained": "github_pat_" + some(ALNUM, 22) + "_" + some(ALNUM, 59),
    "GitLab": "glpat-" + some(URL_SAFE, 20),
    "Google": "AIza" + some(URL_SAFE, 35),
    "Slack": f"xoxb-{some(string.digits, 12)}-{some(string.digits, 13)}-{some(ALNUM, 24)}",
    "Stripe": "sk_live_" + some(ALNUM, 24),
    "Hugging Face": "hf_" + some(ALNUM, 34),
    "Groq": "gsk_" + some(ALNUM, 52),
    "xAI": "xai-" + some(ALNUM, 80),
    "npm": "npm_" + some(ALNUM, 36),
    "SendGrid": f"SG.{some(URL_SAFE, 22)}.{some(URL_SAFE, 43)}",
    "JWT": f"{SEGMENT}.{CLAIMS}.{some(URL_SAFE, 43)}",
    "private key": f"-----BEGIN RSA PRIVATE KEY-----\n{some(ALNUM, 64)}\n{some(ALNUM, 64, 8)}\n-----END RSA PRIVATE KEY-----",
    "URL with a password": f"postgres://admin:{some(ALNUM, 16)}@db.internal/app",
    "plain": some(ALNUM, 40),  # no shape at all: only its name, or the environment, tells
}
SHAPES = {name: key for name, key in KEYS.items() if name != "plain"}
URL = "https://api.stepfun.com/v1/chat/completions"


def asked(body: Any = None, **other: Any) -> dict[str, Any]:
    return {"request": Request(method="POST", **{"url": URL, "json": body, **other})}


def answered(**body: Any) -> dict[str, Any]:
    return {"response": Response(status=200, **body)}


def deltas(text: str, size: int) -> tuple[str, ...]:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    chunks = [
        {"id": "1", "model": "m", "choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces
    ]
    return (*(json.dumps(chunk) for chunk in chunks), "[DONE]")


def call_deltas(text: str) -> tuple[str, ...]:
    """Streams two tool calls side by side, the secret in the arguments of the second."""

    def chunk(index: int, piece: str) -> str:
        call = {"index": index, "function": {"arguments": piece}}
        return json.dumps({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})

    arguments = json.dumps({"note": text})
    half = len(arguments) // 2
    return (chunk(0, "{"), chunk(1, arguments[:half]), chunk(0, "}"), chunk(1, arguments[half:]))


def talk_deltas(said: str, event_kind: str, **names: str) -> tuple[RawFrame, ...]:
    """Streams a text in the events of a response or a message."""

    def frame(piece: str) -> str:
        inner = {key: piece if value == "?" else value for key, value in names.items()}
        event = inner if event_kind.startswith("response.") else {"index": 0, "delta": inner}
        return f"event: {event_kind}\ndata: {json.dumps({'type': event_kind, **event})}\n\n"

    return tuple(RawFrame(frame=frame(said[at : at + 5])) for at in range(0, len(said), 5))


def encoded(text: str, before: str = "user:") -> str:
    return base64.b64encode(f"{before}{text}".encode()).decode()


PLACES: dict[str, Any] = {
    "request header that is kept": lambda key: answered(headers={"link": f"<https://h/{key}>"}, json={}),
    "path of the URL": lambda key: asked({}, url=f"https://h/v1/{quote(key, safe='')}/chat"),
    "query": lambda key: asked({}, url=f"{URL}?hint={quote(key, safe='')}"),
    "field of the request": lambda key: asked({"metadata": {"note": key}}),
    "name of a field": lambda key: asked({"metadata": {key: 1}}),
    "prompt": lambda key: asked({"messages": [{"role": "user", "content": f"Use {key}, please."}]}),
    "several lines": lambda key: asked({"messages": [{"role": "user", "content": f"a\n  {key}\nb"}]}),
    "arguments of a tool call": lambda key: asked({"arguments": json.dumps({"note": f'"{key}"'})}),
    "JSON in JSON in JSON": lambda key: asked({"a": json.dumps({"b": json.dumps({"c": f"\n{key}\n"})})}),
    "text": lambda key: answered(text=f"Incorrect key: {key}."),
    "error message": lambda key: answered(json={"error": {"message": f"bad key {key}", "type": "x"}}),
    "event": lambda key: answered(events=deltas(f"It is {key}.", 4000)),
    "frame": lambda key: answered(
        events=(RawFrame(frame=f"event: x\ndata: {json.dumps(key)}\n\n"), "[DONE]")
    ),
    "split over chunks": lambda key: answered(events=deltas(f"It is {key}, yes.", 7)),
    "one character in each chunk": lambda key: answered(events=deltas(f"It is {key}, yes.", 1)),
    "split over the chunks of a tool call": lambda key: answered(events=call_deltas(key)),
    "split over the events of a response": lambda key: answered(
        events=talk_deltas(f"It is {key}, yes.", "response.output_text.delta", item_id="msg_1", delta="?")
    ),
    "split over the arguments of a response": lambda key: answered(
        events=talk_deltas(
            json.dumps({"a": key}), "response.function_call_arguments.delta", item_id="f", delta="?"
        )
    ),
    "split over the events of a message": lambda key: answered(
        events=talk_deltas(f"It is {key}, yes.", "content_block_delta", type="text_delta", text="?")
    ),
    "split over the input of a tool of a message": lambda key: answered(
        events=talk_deltas(
            json.dumps({"a": key}), "content_block_delta", type="input_json_delta", partial_json="?"
        )
    ),
    "split over frames": lambda key: answered(
        events=tuple(
            RawFrame(frame="data: " + part.replace("\n", "\ndata: ") + "\n\n")
            for part in (key[:9].rstrip(), key[9:])
        )
    ),
    "a stream that is stored as text": lambda key: answered(
        text="".join(f"data: {event}\n\n" for event in deltas(key, 6))
    ),
    "lines of JSON": lambda key: answered(text="".join(f"{event}\n" for event in deltas(key, 6)[:-1])),
    "base64": lambda key: answered(base64=encoded(key)),
    "base64 at another offset": lambda key: asked(
        {"image": "data:text/plain;base64," + encoded(key, "name:")}
    ),
    "base64 at a third offset": lambda key: answered(text="seen:" + encoded(key, "names:")),
    "base64 in a text": lambda key: asked({"content": f"see {encoded(key)} there"}),
    "gzip in base64": lambda key: answered(base64=base64.b64encode(gzip.compress(key.encode())).decode()),
    "URL-encoded": lambda key: asked({"content": "".join(f"%{byte:02X}" for byte in key.encode())}),
    "escaped JSON": lambda key: answered(
        events=('{"a": "' + "".join(f"\\u{ord(c):04x}" for c in key) + '"}',)
    ),
    "id of the test": lambda key: {"test": f"t.py::test[{key}]"},
}


def cassette(parts: dict[str, Any]) -> dict[str, Any]:
    """Returns the tree of a cassette with these parts in its second interaction."""
    test = parts.pop("test", "t.py::test")
    plain = {**asked({"model": "m"}), **answered(json={"ok": True})}
    interactions = (Interaction(**plain), Interaction(**{**plain, **parts}))
    return tree_of(Cassette(test=test, interactions=interactions))


def findings(tree: dict[str, Any], secrets: tuple[str, ...] = ()) -> tuple[Finding, ...]:
    return scan(render_yaml(tree).encode(), tree, secrets=secrets)


@cache
def found_at(place: str) -> dict[str, tuple[Finding, ...]]:
    """Returns what is found where each kind of key stands there."""
    return {kind: findings(cassette(PLACES[place](key))) for kind, key in SHAPES.items()}


@pytest.mark.parametrize("place", PLACES)
def test_a_key_is_found_by_its_shape(place: str) -> None:
    assert [kind for kind, found in found_at(place).items() if not found] == []


@pytest.mark.parametrize("place", PLACES)
def test_a_finding_never_shows_the_secret(place: str) -> None:
    for kind, found in found_at(place).items():
        for finding in found:
            assert KEYS[kind][:12] not in repr(finding) or place == "name of a field", kind
            assert KEYS[kind][:12] not in finding.what, kind


@pytest.mark.parametrize("place", PLACES)
def test_the_value_of_a_secret_variable_is_found_whatever_it_looks_like(place: str) -> None:
    for kind in ("plain", "StepFun, DeepSeek"):
        assert findings(cassette(PLACES[place](KEYS[kind])), secrets=(KEYS[kind],)), f"{kind}: not found"


@pytest.mark.parametrize("place", [place for place in PLACES if place != "split over frames"])
def test_a_password_is_found_with_all_its_odd_characters(place: str) -> None:
    for secret in ('pass"word\\ with/odd+chars é', "hunterhunter", "it's a 'secret'"):
        assert findings(cassette(PLACES[place](secret)), secrets=(secret,)), f"{secret}: not found"


NO_SECRETS = [
    "sk-xxxxxxxxxxxxxxxxxxxxxxxx",
    "sk-your-api-key-goes-here",
    "sk-test-1234567890abcdef",
    "sk-learn-contributors-documentation",
    "Authorization: Bearer test",
    "authorization: Bearer AUTHORIZATION-XXX",
    "authorization:\n- Bearer your-api-key-here-123",
    "X-API-KEY: XXXXXXXXXXXXXXXXXXXXXXXX",
    "api_key: [redacted]",
    "api_key=placeholder-key-123456",
    "stepreplay-placeholder-key",
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY is the secret key",
    "https://user:password@example.com/x and postgres://postgres:postgres@localhost/db",
    "https://h/x?key=abc and https://h/x?page_token=CAUQAA8675309abcdef12",
    "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0.abc",
    "-----BEGIN PRIVATE KEY----- is how a PEM file begins",
    '{"id": "b7b56af0-52a6-483f-a589-948182676a1b", "model": "step-3.5-flash-2026-01-12"}',
    '{"tool_call_id": "call_abcDEF1234567890ghiJKL", "prompt_cache_key": "a8f5f167f44f4964e6c998dee827110c"}',
    '{"max_tokens": 1000000000000000000000, "token": "Hello", "next_page_token": "a8f5f167f44f4964e6c998dee827110c"}',
    '{"signature": "ErUBCkYIBhgCIkDrN0Qm3wXr9dEMlZ7F9yW3jY5kT2", "key": "customer-2024-1234567890-a"}',
    '{"encrypted_content": "gAAAAABn2Qm3wXr9dEMlZ7F9yW3jY5kT2gAAAAABn2Qm3wXr9dEMlZ7F9yW3jY5kT2"}',
    "task-abcdefghijklmnop1234 and disk-a1b2c3d4e5f6g7h8i9j0",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
]


@pytest.mark.parametrize("text", NO_SECRETS)
def test_a_placeholder_is_no_alarm(text: str) -> None:
    assert findings(cassette(asked({"content": text}))) == ()
    assert scan(text.encode(), None) == ()


def test_a_picture_is_no_alarm() -> None:
    picture = base64.b64encode(random.Random(1).randbytes(300_000)).decode()
    assert findings(cassette(asked({"url": "data:image/png;base64," + picture}))) == ()


OPAQUE = some(ALNUM, 32)


@pytest.mark.parametrize(
    "text",
    [
        f"api_key={OPAQUE}",
        f"x-api-key:\n- {OPAQUE}",
        f'{{"accessToken": "{OPAQUE}"}}',
        f'{{\\"client_secret\\": \\"{OPAQUE}\\"}}',
        f"https://h/x?key={OPAQUE}&y=1",
        f"https://h/x?X-Amz-Signature={OPAQUE}",
        f"Authorization: Bearer {OPAQUE}",
        f"Authorization: Token {OPAQUE}",
        f"authorization:\n  - Basic {OPAQUE}==",
        f"DB_PASSWORD={OPAQUE}",
        f"ApiKeys: ['{OPAQUE}']",
    ],
)
def test_a_value_that_looks_like_a_key_is_found_by_its_name(text: str) -> None:
    (finding,) = scan(text.encode(), None)
    assert finding.what == "a value that looks like a key, under a name that says so"
    assert finding.line == text[: text.index(OPAQUE)].count("\n") + 1
    assert finding.secret == OPAQUE


def test_a_finding_names_its_place_and_kind() -> None:
    key = KEYS["GitHub"]
    tree = cassette(asked({"messages": [{"content": f"use {key}"}]}))
    assert findings(tree) == (
        Finding(("interactions", 1, "request", "json", "messages", 0, "content"), "a GitHub token", 18, key),
    )
    tree = cassette(answered(events=deltas(f"use {key}", 5)))
    (finding,) = findings(tree)
    place = ("interactions", 1, "response", "events", 0, "choices", 0, "delta", "content")
    assert (finding.place, finding.what, finding.line) == (place, "a GitHub token", None)


def test_every_place_of_a_secret_is_told_once() -> None:
    key = KEYS["AWS"]
    found = findings(cassette(asked({"a": key, "b": [f"{key} and {key}", {"c": "x"}]})))
    assert [each.place[-2:] for each in found] == [("json", "a"), ("b", 0)]


def test_what_is_in_the_file_and_not_in_its_tree_is_found_by_its_line() -> None:
    content = f"a: 1\n# {KEYS['Stripe']}\n".encode()
    (finding,) = scan(content, {"a": 1})
    assert (finding.place, finding.line, finding.what) == (("file",), 2, "a Stripe key")
    assert Wall(secrets=(), allowed=("file",)).findings(content, {"a": 1}) == ()


def test_places_are_allowed_by_selector() -> None:
    tree = cassette(asked({"a": KEYS["AWS"], "b": KEYS["GitHub"]}))
    content = render_yaml(tree).encode()
    allowed = Wall(secrets=(), allowed=("request.json.a",)).findings(content, tree)
    assert [each.what for each in allowed] == ["a GitHub token"]
    assert Wall(secrets=(), allowed=("request.json.*",)).findings(content, tree) == ()
    test = cassette({"test": f"t.py::t[{KEYS['AWS']}]"})
    assert Wall(secrets=(), allowed=("test",)).findings(render_yaml(test).encode(), test) == ()


def test_the_environment_is_read_when_nothing_else_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEP_API_KEY", "quite an odd key")
    tree = cassette(asked({"content": "it is quite an odd key"}))
    (finding,) = Wall().findings(render_yaml(tree).encode(), tree)
    assert finding.what == "the value of a secret variable or setting"


def test_a_report_is_masked_and_keeps_the_rest() -> None:
    text = f"use {KEYS['AWS']}, {KEYS['GitHub']} or mañana"
    assert Wall(secrets=("mañana",)).masked(text) == "use [redacted], [redacted] or [redacted]"


def test_bytes_and_broken_bodies_are_searched_too() -> None:
    key = KEYS["GitHub"].encode()
    assert scan(b"", {"body": gzip.compress(key)})[0].place == ("body",)
    assert scan(b"", {"body": b"\x1f\x8b" + key})
    assert scan(b"", {"events": [{"frame": 1}, "{", '{"a": [1', "2]}", f"{KEYS['AWS']}\nx"]})


def test_a_deep_body_hides_nothing() -> None:
    deep: Any = KEYS["AWS"]
    for _ in range(20_000):
        deep = [deep]
    (finding,) = scan(KEYS["AWS"].encode(), {"a": deep})
    assert len(finding.place) == 20_001


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_break_the_scan(data: bytes) -> None:
    for hit in find_hits(data):
        assert 0 <= hit.start < hit.end <= len(data)
    scan(data, {"a": data, "b": data.decode("latin-1"), "events": [data.decode("latin-1"), "{}"]})


@given(
    st.lists(
        st.sampled_from(
            [
                *KEYS.values(),
                "sk-",
                "://",
                ":",
                "@",
                "=",
                "key",
                " ",
                "\\n",
                "eyJ",
                "%41",
                "data: ",
                "\n",
                "{",
            ]
        ),
        max_size=6,
    ).map("".join)
)
def test_what_is_found_is_in_the_bytes(text: str) -> None:
    data = text.encode()
    for finding in scan(data, {"a": text}):
        # A private key is found with the ends of its lines taken out, too.
        in_one_line = text.replace("\n", "")
        assert "URL-encoded" in finding.what or finding.secret in text or finding.secret in in_one_line


@pytest.mark.parametrize(
    "place",
    [
        place
        for place in PLACES
        if "base64" not in place and "id of" not in place and place not in {"URL-encoded", "path of the URL"}
    ],
)
def test_redaction_leaves_nothing_for_the_scan_to_refuse(place: str) -> None:
    redactor = Redactor(secrets=())
    for kind, key in SHAPES.items():
        parts = PLACES[place](key)
        if "request" in parts:
            parts["request"] = redactor.redact_request(parts["request"])
        else:
            parts["response"] = redactor.redact_response(parts["response"])
        assert findings(cassette(parts)) == (), kind
