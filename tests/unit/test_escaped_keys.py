"""An escape is an edge: a key behind one, or written in some, is found by each wall alone, wherever it stands."""

from __future__ import annotations

import json
import random
import re
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_stepreplay.models import RawFrame
from pytest_stepreplay.redaction.key_table import KEYS as TABLE
from pytest_stepreplay.redaction.redactor import Redactor
from pytest_stepreplay.redaction.secret_rules import find_hits
from pytest_stepreplay.store.yaml_text import render_yaml

from .test_scan import ALNUM, SHAPES, answered, asked, cassette, findings, some

if TYPE_CHECKING:
    from collections.abc import Callable

HEX = "0123456789abcdef"

KEYS = {
    **{name: key for name, key in SHAPES.items() if name not in {"private key", "URL with a password"}},
    "Databricks": "dapi" + some(HEX, 32),
    "DigitalOcean": "dop_v1_" + some(HEX, 64),
    "Pinecone": f"pcsk_{some(ALNUM, 6)}_{some(ALNUM, 63)}",
    "Vault": "hvs." + some(ALNUM + "-_", 95),
    "Shopify": "shpat_" + some(HEX, 32),
    "Notion": "ntn_" + some("0123456789", 11) + some(ALNUM, 35),
    "Cerebras": "csk-" + some("abcdefghijklmnopqrstuvwxyz0123456789", 48),
    "Fireworks": "fw_" + some(ALNUM, 24),
    "Firecrawl": "fc-" + some(HEX, 32),
    "Telegram": f"{some('123456789', 10)}:AA{some(ALNUM + '-_', 33)}",
}

ESCAPES = [
    "\\n",
    "\\t",
    "\\r\\n",
    "\\b",
    "\\f",
    "\\0",
    "\\033",
    "\\x0a",
    "\\x3d",
    "\\u000a",
    "\\u003d",
    "\\u{a}",
    "\\U0000000a",
    "\\\\n",
    "\\\\\\\\n",
    "\\\\u000a",
    "\\u005cn",
    "%0A",
    "%3D",
    "%250A",
    "%25250A",
    "=0A",
    "=3D",
    "&#10;",
    "&#x3d;",
    "&quot;",
    "&amp;quot;",
    "\x1b[0m",
    "\x1b[1;31m",
    "\\x1b[31m",
    "\\u001b[0m",
    "\\033[1m",
    '\\"',
    "\\'",
    "`",
]

PLACES: dict[str, Any] = {
    "prompt": lambda text: asked({"messages": [{"role": "user", "content": f"See {text} there"}]}),
    "code fence": lambda text: asked({"content": f'```json\n{{"note": "see{text}"}}\n```'}),
    "Python repr": lambda text: asked({"content": f"{{'note': 'see{text}', 'n': 1}}"}),
    "arguments that are cut off": lambda text: asked({"arguments": f'{{"path": "a", "note": "see{text}'}),
    "JSON in lines, in a prompt": lambda text: asked(
        {"content": f'{{"a": 1}}\n{{"note": "see{text}"}}\n{{"b"'}
    ),
    "JSON in lines": lambda text: answered(text=f'{{"a": 1}}\n{{"note": "see{text}"}}\n'),
    "broken JSON": lambda text: answered(text=f'{{"note": "see{text}", "note": 1}}'),
    "event": lambda text: answered(events=(f'{{"note": "see{text}"}}', "[DONE]")),
    "frame with CR LF": lambda text: answered(
        events=(RawFrame(frame=f'data: {{"note": "see{text}"}}\r\n\r\n'),)
    ),
    "frame with CR": lambda text: answered(events=(RawFrame(frame=f'data: {{"note": "see{text}"}}\r\r'),)),
    "frame with its event": lambda text: answered(
        events=(RawFrame(frame=f'event: x\ndata: {{"note": "see{text}"}}\n\n'), "[DONE]")
    ),
    "frame with its id": lambda text: answered(
        events=(RawFrame(frame=f'id: 1\ndata:{{"note": "see{text}"}}\n\n'),)
    ),
    "frame with no space": lambda text: answered(
        events=(RawFrame(frame=f'data:{{"note": "see{text}"}}\n\n'),)
    ),
    "frame of two lines": lambda text: answered(
        events=(RawFrame(frame=f'data: {{"note":\ndata: "see{text}"}}\n\n'),)
    ),
    "stream as text": lambda text: answered(text=f'data:{{"note": "see{text}"}}\r\n\r\ndata: [DONE]\r\n\r\n'),
    "JSON in JSON": lambda text: asked({"a": json.dumps({"b": json.dumps({"c": f"see{text}"})})}),
}


def redacted(parts: dict[str, Any]) -> dict[str, Any]:
    redactor = Redactor(secrets=())
    if "request" in parts:
        return {"request": redactor.redact_request(parts["request"])}
    return {"response": redactor.redact_response(parts["response"])}


def written(parts: dict[str, Any]) -> str:
    """Returns a cassette's text as short as YAML allows: a line that is folded would hide a key from this test."""
    return re.sub(r"\\\n\s*", "", render_yaml(cassette(parts)))


def some_keys(seed: str) -> list[tuple[str, str]]:
    """Returns three of the keys, others for each seed: all of them come in turn."""
    return random.Random(seed).sample(sorted(KEYS.items()), 3)


@pytest.mark.parametrize("escape", ESCAPES)
def test_an_escape_in_front_of_a_key_hides_it_from_neither_wall(escape: str) -> None:
    for place, put in PLACES.items():
        for name, key in some_keys(escape + place):
            parts = put(f"{escape}{key}")
            assert findings(cassette(dict(parts))), f"{name} in {place}: the scan misses it"
            assert key not in written(redacted(parts)), f"{name} in {place}: it is not redacted"


HIDDEN: dict[str, Callable[[str], str]] = {
    "all in \\u": lambda key: "".join(f"\\u{ord(char):04x}" for char in key),
    "all in \\x": lambda key: "".join(f"\\x{ord(char):02x}" for char in key),
    "all in octal": lambda key: "".join(f"\\{ord(char):03o}" for char in key),
    "all in %": lambda key: "".join(f"%{ord(char):02X}" for char in key),
    "all in % twice": lambda key: "".join(f"%25{ord(char):02X}" for char in key),
    "all in &#": lambda key: "".join(f"&#{ord(char)};" for char in key),
    "all in \\\\u": lambda key: "".join(f"\\\\\\\\u{ord(char):04x}" for char in key),
    "a backslash each": lambda key: "".join(f"\\{char}" for char in key),
    "two backslashes each": lambda key: "".join(f"\\\\{char}" for char in key),
    "Markdown": lambda key: re.sub(r"([_.-])", r"\\\1", key),
    "URL": lambda key: key.replace("_", "%5F").replace("-", "%2D").replace(".", "%2E"),
    "JSON with a slash": lambda key: "https:\\/\\/h\\/" + key,
    "one letter": lambda key: f"\\u{ord(key[0]):04x}" + key[1:],
    "one letter of it": lambda key: f"{key[:12]}\\u{ord(key[12]):04x}{key[13:]}",
    "one backslash": lambda key: re.sub(r"^(..+?)(?=[^nrt])", r"\1\\", key),
    "every second character": lambda key: "".join(
        f"\\{char}" if i % 2 else char for i, char in enumerate(key)
    ),
    "every letter": lambda key: re.sub(r"([A-Za-z])", r"\\\1", key),
    "every digit and sign": lambda key: re.sub(r"([^A-Za-z])", r"\\\\\1", key),
    "some, and one as a number": lambda key: (
        f"\\x{ord(key[0]):02x}" + re.sub(r"([aeg_.-])", r"\\\1", key[1:])
    ),
}


@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_key_that_is_written_in_escapes_is_hidden_from_neither_wall(hidden: str) -> None:
    for place, put in PLACES.items():
        for name, key in some_keys(hidden + place):
            parts = put(" " + HIDDEN[hidden](key))
            assert findings(cassette(dict(parts))), f"{name} in {place}: the scan misses it"
            after = written(redacted(parts))
            assert "[redacted]" in after, f"{name} in {place}: it is not redacted"
            assert HIDDEN[hidden](key)[-12:] not in after, f"{name} in {place}: a part of it stays"


EDGES = [
    " ",
    "\\n",
    "\\t",
    "\\r\\n",
    "\\\\n",
    "\\u000a",
    "\\x3d",
    "%0A",
    "%250A",
    "=0A",
    "&#10;",
    '\\"',
    "\x1b[0m",
]
"""Of the escapes those that are one, with nothing behind it."""


@given(st.data())
def test_a_key_with_any_needless_backslashes_is_found_behind_any_escape(data: st.DataObject) -> None:
    key = KEYS[data.draw(st.sampled_from(sorted(KEYS)))]
    backslashes = data.draw(st.lists(st.integers(0, 2), min_size=len(key), max_size=len(key)))
    if not any(count for count, char in zip(backslashes, key, strict=True) if char not in "nrt"):
        backslashes[key.index(next(char for char in key if char not in "nrt"))] = 1
    hidden = "".join("\\" * count + char for count, char in zip(backslashes, key, strict=True))
    place = PLACES[data.draw(st.sampled_from(sorted(PLACES)))]
    before = data.draw(st.sampled_from(EDGES))
    after = data.draw(st.sampled_from(["\\n", "\\r\\n", " ", '\\"']))
    parts = place(before + hidden + after)
    assert findings(cassette(dict(parts))), "the scan misses it"
    left = written(redacted(parts))
    assert "[redacted]" in left, "it is not redacted"
    assert key[-12:] not in left.replace("\\", ""), "a part of it stays"


@pytest.mark.parametrize("before", ["", "see ", "see\\n", "see\\r\\n\\t", '{"note": "x\\n'])
def test_a_backslash_before_each_character_of_a_key_may_look_like_a_break(before: str) -> None:
    for name, key in KEYS.items():
        if key[0] not in "nrt":
            continue
        text = before + "".join(f"\\{char}" for char in key) + "\\n\\n"
        parts = asked({"content": text})
        assert findings(cassette(dict(parts))), f"{name}: the scan misses it"
        assert key[-12:] not in written(redacted(parts)).replace("\\", ""), f"{name}: it is not redacted"


def test_breaks_between_words_are_no_part_of_a_key() -> None:
    """Read without its backslashes, this is one word that starts as a key does; and some are needless, elsewhere."""
    text = "\\alpha sk-\\nproject\\n42words\\nin\\nlines \\_x\\_ fc-\\tfw_\\nStepFun2\\rModels\\nand\\ntheirs"
    assert not findings(cassette(asked({"content": text})))
    assert Redactor(secrets=()).redact_text(text) == text


def drawn(items: Any, letters: random.Random) -> str:
    """Returns a text at random that a parsed expression matches: of a set, each character as likely."""
    text = ""
    for op, value in items:
        if op is ops.LITERAL:
            text += chr(value)
        elif op is ops.IN:
            ranges = [(each, each) if kind is ops.LITERAL else each for kind, each in value]
            # Some rules allow padding everywhere, and the backslash of an escape.
            chars = [chr(n) for low, high in ranges for n in range(low, high + 1)]
            text += letters.choice([char for char in chars if char not in "=\\"])
        elif op is ops.MAX_REPEAT:
            low, high, inner = value
            times = letters.randint(low, min(high, low + 3))
            text += "".join(drawn(inner, letters) for _ in range(times))
        elif op is ops.SUBPATTERN:
            text += drawn(value[3], letters)
        elif op is ops.BRANCH:
            text += drawn(letters.choice(value[1]), letters)
    return text


def test_every_kind_of_key_in_the_table_is_known_to_both_walls() -> None:
    for start, rest, what in TABLE:
        key = start + drawn(parser.parse(rest), random.Random(start + rest))
        assert re.fullmatch(re.escape(start) + rest, key), what
        for parts in (asked({"content": f"See {key}, please."}), asked({"content": f'{{"a": "x\\n{key}'})):
            assert findings(cassette(dict(parts))), f"{what}: the scan misses it"
            assert key not in written(redacted(parts)), f"{what}: it is not redacted"


ROWS = st.sampled_from(TABLE)


@given(st.data())
def test_every_kind_of_key_in_the_table_is_found_behind_any_escape(data: st.DataObject) -> None:
    start, rest, what = data.draw(ROWS)
    tail = data.draw(st.from_regex(re.compile(rest, re.ASCII), fullmatch=True), label=what)
    key = start + tail
    if set(key) & set("=\\") or not any(True for _ in find_hits(f" {key} ".encode())):
        return  # what no issuer makes, or a placeholder, as of one letter all along
    escape = data.draw(st.sampled_from(ESCAPES))
    place = data.draw(st.sampled_from(sorted(PLACES)))
    parts = PLACES[place](f"{escape}{key}")
    assert findings(cassette(dict(parts))), "the scan misses it"
    assert key not in written(redacted(parts)), "it is not redacted"


KEY = KEYS["GitHub"]


@pytest.mark.parametrize(
    "text",
    [
        "\\" * 200_000 + "n" + KEY,
        "%" + "25" * 100_000 + "0A" + KEY,
        "&" + "amp;" * 50_000 + "#10;" + KEY,
        "sk-" * 20_000 + " " + KEY,
        "eyJ-" * 20_000 + " " + KEY,
        "-----BEGIN PRIVATE KEY-----\n" * 5_000 + KEY,
        '"api_key": "' * 10_000 + KEY,
        "\\g\\h\\p\\_" + KEY[4:],
        "".join(f"\\u{ord(char):04x}" for char in f"{KEY} " * 500),
        KEY + " \\g" + "\\" * 200_000,
        "x\\n\\n" + "".join(f"\\{char}" for char in KEY),
    ],
    ids=[
        "backslashes",
        "percent signs",
        "ampersands",
        "sk-",
        "eyJ-",
        "BEGIN",
        "names",
        "each",
        "all",
        "cut off",
        "each, behind breaks",
    ],
)
def test_a_hostile_text_hides_no_key(text: str) -> None:
    assert findings(cassette(asked({"content": text})))
    after = Redactor(secrets=()).redact_text(text)
    assert "[redacted]" in after
    assert KEY[4:] not in after.replace("\\", "")
