"""Every reader of what strangers write, with inputs of hypothesis and with those that a fuzzer once found."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import targets

KEPT = sorted(path for path in targets.CORPUS.rglob("*") if path.is_file())

WORDS = [
    *(
        "stepreplay: 1\n",
        "interactions:\n",
        "- ",
        "  ",
        "\n",
        ": ",
        "request:\n",
        "response:\n",
        "status: 200\n",
    ),
    *(
        "json:\n",
        "events:\n",
        "text: ",
        "base64: ",
        "url: u\n",
        "method: GET\n",
        "'",
        '"',
        "\\",
        "|\n",
        ">-\n",
        "#",
    ),
    *(
        "&a ",
        "*a",
        "!!binary ",
        "!!python/tuple ",
        "<<: ",
        "? ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "---\n",
        "...\n",
        "\t",
    ),
    *(
        "data: ",
        "event: ",
        "id: ",
        "retry: ",
        "[DONE]",
        "\r",
        "\r\n",
        "\ufeff",
        "\x00",
        "\x85",
        "\u2028",
        "\ud7ff",
    ),
    *("null", "true", "no", "0", "-1.5e3", "0x1F", "1_000", ".inf", "NaN", "\\ud800", "\\u0000", "é", "😀"),
    *("choices", "message", "tool_calls", "index", "delta", "content", "**", "*", ".", "$", "[0]", "[*]"),
]
"""Pieces of which something that reads as a cassette, a stream or a selector can come together."""

TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(WORDS), max_size=40).map("".join))
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
KEYS = st.sampled_from(
    [
        "request",
        "response",
        "body",
        "headers",
        "method",
        "uri",
        "status",
        "code",
        "string",
        "base64_string",
        "content",
        "choices",
        "delta",
        "message",
        "tool_calls",
        "index",
        "function",
        "name",
        "arguments",
        "id",
        "usage",
        "error",
    ]
)
TREES = st.recursive(
    LEAVES, lambda child: st.lists(child) | st.dictionaries(KEYS | st.text(), child), max_leaves=20
)
MESSAGES = st.fixed_dictionaries(
    {
        "request": st.fixed_dictionaries(
            {"body": TREES, "headers": TREES, "method": st.text(), "uri": st.text()},
        ),
        "response": st.fixed_dictionaries(
            {"body": TREES, "headers": TREES, "status": st.fixed_dictionaries({"code": st.integers(0, 1000)})}
        ),
    }
)


@pytest.mark.parametrize("target", targets.TARGETS)
@given(text=TEXTS)
def test_any_text(target: str, text: str) -> None:
    targets.TARGETS[target](text.encode(errors="replace"))


@pytest.mark.parametrize("target", targets.TARGETS)
@given(data=st.binary())
def test_any_bytes(target: str, data: bytes) -> None:
    targets.TARGETS[target](data)


@given(tree=TREES)
def test_any_chunks_of_a_stream(tree: Any) -> None:
    chunks = tree if isinstance(tree, list) else [tree]
    targets.events("".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode())
    targets.events(b"data: " + json.dumps({"choices": chunks}).encode() + b"\n\n")
    targets.events(
        b"data: " + json.dumps({"choices": [{"delta": {"tool_calls": chunks}}]}).encode() + b"\n\n"
    )


@given(tree=TREES | MESSAGES)
def test_any_cassette_of_another_tool(tree: Any) -> None:
    targets.importer(json.dumps(tree).encode())
    targets.reader(json.dumps({"version": 1, "interactions": [tree]}).encode())


@given(tree=TREES)
def test_any_tree_under_our_keys(tree: Any) -> None:
    targets.reader(json.dumps({"stepreplay": 1, "interactions": tree}).encode())
    targets.reader(
        json.dumps({"stepreplay": 1, "interactions": [{"request": tree, "response": tree}]}).encode()
    )
    targets.snapshots(json.dumps({"stepreplay": 1, "snapshots": {"a": tree}}).encode())


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found_once(path: Any) -> None:
    targets.TARGETS[path.parent.name](path.read_bytes())


def test_each_target_has_a_corpus() -> None:
    assert {path.parent.name for path in KEPT} == targets.TARGETS.keys()
