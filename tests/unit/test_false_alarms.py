"""What only looks like a secret is neither refused nor changed, and each place of an alarm can be allowed."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest

from pytest_stepreplay.errors import CassetteWriteError
from pytest_stepreplay.models import RawFrame
from pytest_stepreplay.redaction.redactor import Redactor
from pytest_stepreplay.redaction.shapes import PLACEHOLDER
from pytest_stepreplay.redaction.wall import Wall, scan, within_interaction
from pytest_stepreplay.store.secrets import guarded_by, refuse_secrets, written
from pytest_stepreplay.store.yaml_text import render_yaml

from .test_scan import ALNUM, KEYS, PLACES, answered, asked, cassette, findings, some

REDACTOR = Redactor(secrets=())


def blob(seed: int, size: int = 75_000) -> str:
    """Returns the base64, URL-safe, of random bytes, with what looks like a key in its middle."""
    text = base64.urlsafe_b64encode(random.Random(seed).randbytes(size)).decode()
    at = random.Random(seed).randrange(100, len(text) - 100)
    return f"{text[:at]}{'-_'[seed % 2]}sk-{text[at + 4 :]}"


@pytest.mark.parametrize("seed", range(20))
def test_what_looks_like_a_key_inside_of_a_picture_is_no_alarm(seed: int) -> None:
    text = blob(seed)
    for body in ({"image": text}, {"arguments": f'{{"image": "{text}"}}'}, {"content": f"see {text} there"}):
        assert findings(cassette(asked(body))) == ()
        assert REDACTOR.redact_json(body) is body


def test_a_key_beside_a_picture_is_found() -> None:
    for before in ("picture.png-", "the-name-of-a-file-that-is-quite-long-for-a-name-", blob(1)[:3000] + " "):
        assert findings(cassette(asked({"a": before + KEYS["StepFun, DeepSeek"]})))


PIECES = [
    {"token": "iVBORw0KGgoAAAANSUhEUgAA", "logprob": -0.25, "bytes": [105]},
    {"token": "\u2581applications1234567", "logprob": -0.25},
    {"logprob": -1.5, "token": "QmFzZTY0RW5jb2RlZDEy"},
    {"generatedToken": {"token": "\u2581applications", "logprob": -0.03}},
    {"token": "abc123def456ghi789jkl", "special": False},
]


@pytest.mark.parametrize("piece", PIECES)
def test_a_piece_of_text_under_the_name_of_a_token_is_no_secret(piece: dict[str, Any]) -> None:
    body = {"choices": [{"logprobs": {"content": [piece]}}]}
    text = json.dumps(body)
    for parts in (
        answered(json=body),
        answered(events=(text, "[DONE]")),
        answered(events=(RawFrame(frame=f"event: x\r\ndata: {text}\r\n\r\n"),)),
        asked({"arguments": text}),
        asked({"content": f"```json\n{text}\n```"}),
    ):
        assert findings(cassette(dict(parts))) == ()
        for message in parts.values():
            redact = REDACTOR.redact_response if "response" in parts else REDACTOR.redact_request
            assert redact(message) is message


def test_a_token_that_is_no_piece_is_still_secret() -> None:
    body = {"token": some(ALNUM, 32)}
    assert findings(cassette(answered(json=body)))
    assert REDACTOR.redact_json(body) == {"token": PLACEHOLDER}


POLICY = (
    "default-src 'self'; report-uri https://csp.example.com/api/v2/logs?dd-api-key=pub"
    + some("0123456789abcdef", 32)
    + "&dd-evp-origin=content-security-policy"
)


def test_a_public_key_in_a_policy_of_a_page_is_no_secret() -> None:
    headers = {"content-security-policy": POLICY}
    assert findings(cassette(answered(headers=headers, json={}))) == ()
    assert REDACTOR.redact_text(POLICY) == POLICY
    text = f"headers:\n  Content-Security-Policy:\n  - {POLICY}\n"
    assert scan(text.encode(), {"headers": {"Content-Security-Policy": [POLICY]}}) == ()


def test_a_uuid_of_a_session_is_no_secret() -> None:
    body = {
        "session_id": "b7b56af0-52a6-483f-a589-948182676a1b",
        "text": 'x "session-id": "B7B56AF0-52A6-483F-A589-948182676A1B"',
    }
    assert REDACTOR.redact_json(body) is body
    assert findings(cassette(asked(body))) == ()
    other = {"session_id": some(ALNUM, 32)}
    assert REDACTOR.redact_json(other) == {"session_id": PLACEHOLDER}


VALUE = some(ALNUM, 32)


@pytest.mark.parametrize(
    "text",
    [
        f"Cookie: session={VALUE}",
        f"Cookie: theme=dark; session={VALUE}; lang=en",
        f"curl -H 'Cookie: session={VALUE}' https://h",
        f'{{"Cookie": "session={VALUE}"}}',
        f"('Set-Cookie', 'sessionid={VALUE}; Path=/; HttpOnly')",
        f"cookie: connect.sid={VALUE}",
        f"set-cookie: _gitlab_session={VALUE}",
        f"Cookie:\\u0020session\\u003d{VALUE}",
        f"GET / HTTP/1.1\\r\\nCookie: session={VALUE}\\r\\n",
    ],
)
def test_the_cookie_of_a_session_is_secret(text: str) -> None:
    assert VALUE not in REDACTOR.redact_text(text)
    assert findings(cassette(asked({"content": text})))


def test_a_cookie_under_its_name_is_secret() -> None:
    body = {"headers": {"Cookie": f"theme=dark; session={VALUE}"}}
    assert REDACTOR.redact_json(body) == {"headers": {"Cookie": PLACEHOLDER}}
    (finding,) = findings(cassette(asked(body)))
    assert finding.place[-2:] == ("headers", "Cookie")


@pytest.mark.parametrize(
    "text",
    ["Cookie: theme=dark; lang=en", "Accept the cookie: name=value pairs are stored", "cookie=yes&session=1"],
)
def test_other_cookies_are_no_secret(text: str) -> None:
    assert REDACTOR.redact_text(text) == text
    assert findings(cassette(asked({"content": text}))) == ()


NAMED: dict[str, Any] = {
    "a field": asked({"metadata": {"client_secret": VALUE}}),
    "a list": asked({"api_keys": ["x", VALUE]}),
    "a field in JSON in a text": asked({"arguments": json.dumps({"auth_token": VALUE})}),
    "a header": answered(headers={"x-api-key": VALUE}, json={}),
    "a frame": answered(events=(RawFrame(frame=f'event: x\ndata: {{"client_secret": "{VALUE}"}}\n\n'),)),
}


@pytest.mark.parametrize(
    "parts",
    [*(put(KEYS["StepFun, DeepSeek"]) for put in PLACES.values()), *NAMED.values()],
    ids=[*PLACES, *NAMED],
)
def test_every_place_of_an_alarm_can_be_allowed(parts: dict[str, Any], tmp_path: Any) -> None:
    tree = cassette(dict(parts))
    content = render_yaml(tree).encode()
    found = scan(content, tree)
    assert found
    assert all(each.place != ("file",) for each in found)
    with pytest.raises(CassetteWriteError) as refusal:
        refuse_secrets(tmp_path / "a.yaml", content, tree)
    told = str(refusal.value).rpartition("stepreplay_allow_secret:\n  ")[2].partition(": REASON")[0]
    # What the message says is what works, once for each place.
    allowed = {
        told,
        *(written(within_interaction(each.place)) for each in found),
    }
    assert Wall((), (told,)).findings(content, tree) != found
    with guarded_by(lambda: Wall((), tuple(allowed))):
        refuse_secrets(tmp_path / "a.yaml", content, tree)
