"""What vcrpy writes, read by the quick parser: without PyYAML, and never otherwise than PyYAML reads it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_stepreplay.formats import construct_tag
from pytest_stepreplay.models import Request
from pytest_stepreplay.session.sessions import Session
from pytest_stepreplay.settings import Settings
from pytest_stepreplay.store import yaml_events, yaml_parser
from pytest_stepreplay.store.cassettes import parse_cassette
from pytest_stepreplay.store.yaml_parser import UnusualTextError
from pytest_stepreplay.wire.bodies import body_bytes
from tests.fuzz.targets import HERE

# vcrpy takes libyaml where it is there; each folds long texts in a way of its own.
DUMPERS = [yaml.Dumper, *([yaml.CDumper] if yaml.__with_libyaml__ else [])]

texts = st.text("ab  \n\\-:#'\",{é☕😀\x07\x85\u2028 1.", max_size=200) | st.lists(
    st.sampled_from(["word", "it's", '"quoted"', "a:b", "c:", "-", "#", "\\n", "\n", "é", "😀", "  ", "12"])
).map(" ".join)
bodies = texts | st.binary(max_size=200)
trees = st.dictionaries(
    texts, st.none() | bodies | st.lists(texts) | st.dictionaries(texts, bodies), min_size=1
)


@pytest.mark.parametrize("dumper", DUMPERS)
@settings(max_examples=60)
@given(tree=trees)
@example(tree={"a": "word " * 40, "b": ["it's " * 40, "é " * 60, "\n\n x" * 30], "c": b"\0" * 200})
def test_whatever_is_written_as_vcrpy_does_reads_as_yaml_reads_it(dumper: Any, tree: dict[str, Any]) -> None:
    text = yaml.dump(tree, Dumper=dumper)
    try:
        quick = yaml_parser.parse(text, construct_tag)
    except UnusualTextError:
        return
    assert repr(quick) == repr(yaml_events.parse_any(text, construct_tag))


@settings(max_examples=60)
@given(tree=trees, data=st.data())
def test_an_edited_one_is_read_quickly_only_where_yaml_reads_it_the_same(
    tree: dict[str, Any], data: st.DataObject
) -> None:
    text = yaml.dump(tree, Dumper=DUMPERS[-1])
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 3)))
        new = data.draw(
            st.sampled_from(["\n", "  ", "\n  ", "- ", "\\", "\\\n  ", ": ", "'", '"', "x", "!", "#", "\n\n"])
        )
        text = text[:start] + new + text[end:]
    try:
        quick = yaml_parser.parse(text, construct_tag)
    except UnusualTextError:
        return
    assert repr(quick) == repr(yaml_events.parse_any(text, construct_tag))


@pytest.mark.parametrize("dumper", DUMPERS)
def test_a_cassette_of_vcrpys_needs_no_general_parser(dumper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = json.dumps({"content": 'It\'s a "long" story: ' + "and so on, " * 30}, ensure_ascii=False)
    bodies: list[str | bytes] = [
        answer,
        answer.replace("story", "café ☕ 😀"),
        f"data: {answer}\n\n" * 3,
        gzip.compress(b"a" * 999),
    ]
    cookie = "__cf_bm=abc.DEF_1-1; path=/; expires=Thu, 20-Nov-25 10:00:00 GMT; domain=.example.com; HttpOnly"

    def interaction(body: str | bytes) -> dict[str, Any]:
        versions = ["1.109.1", "0", "true", "4fc603f7-f097", "<REDACTED>", "-1ms"]
        asked = {"Cookie": [cookie], "X-Version": versions}
        given = {"content-encoding": ["gzip"]} if isinstance(body, bytes) else {"set-cookie": [cookie]}
        return {
            "request": {
                "method": "POST",
                "uri": "https://api.example.com/v1",
                "body": answer,
                "headers": asked,
            },
            "response": {
                "body": {"string": body},
                "headers": given,
                "status": {"code": 200, "message": "OK"},
            },
        }

    text = yaml.dump({"interactions": [interaction(body) for body in bodies], "version": 1}, Dumper=dumper)
    expected = yaml_events.parse_any(text, construct_tag)
    monkeypatch.setattr(yaml_events, "parse_any", None)
    assert yaml_parser.parse(text, construct_tag) == expected
    read = parse_cassette(text, HERE)
    assert (read.format, len(read.cassette.interactions)) == ("vcr", len(bodies))
    with pytest.raises(UnusualTextError):
        yaml_parser.parse(text)  # a file of ours holds nothing binary


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ('a: "x\\\\\n  y"\n', {"a": "x\\ y"}),
        ('a: "x\n  y\n\n\n  z"\n', {"a": "x y\n\nz"}),
        ('a: "x\\\n  \\x41\\U0001F600\\_"\n', {"a": "xA😀\xa0"}),
        ('a: "\\\\x41"\n', {"a": "\\x41"}),
        ("a: 'x\n  y'\n", {"a": "x y"}),
        ("a: 'x\n\n  y'\nb: 1\n", {"a": "x\ny", "b": 1}),
        ("a: x\n  y\n", {"a": "x y"}),
        ("a:\n- x\n  - y: z\n", None),
        ("a:\n- x\n  - y\n  z:z\nb: no\n", {"a": ["x - y z:z"], "b": "no"}),
        ("a: 'x'\n  y\n", None),
        ("a: x\n  y\n\n  z\n", None),
        ("a: x\n  y # z\n", None),
        ("a: 1\n  y\n", None),
        ("a: |\n  x\n  b: y\n  z\n", {"a": "x\nb: y\nz\n"}),
        ('a: "\\uD83D\\uDE00"\n', None),
        ('a: "\\U00110000"\n', None),
    ],
)
def test_scalars_of_several_lines(text: str, tree: object) -> None:
    if tree is None:
        with pytest.raises(UnusualTextError):
            yaml_parser.parse(text)
    else:
        assert yaml_parser.parse(text) == yaml_events.parse_any(text) == tree


def test_a_large_body_in_a_cassette_of_vcrpys_needs_no_file_beside_it(tmp_path: Path) -> None:
    picture = bytes(range(256)) * 3000
    request: dict[str, Any] = {
        "method": "GET",
        "uri": "https://example.com/cat.jpg",
        "body": None,
        "headers": {},
    }
    response = {
        "status": {"code": 200, "message": "OK"},
        "headers": {"content-type": ["image/jpeg"]},
        "body": {"string": picture},
    }
    path = tmp_path / "cat.yaml"
    path.write_text(yaml.dump({"interactions": [{"request": request, "response": response}], "version": 1}))
    session = Session(Settings(adopt_vcr_marker=True), path)
    session.load()
    assert session.interactions[0].response.file is not None
    exchange = session.begin(Request(method="GET", url="https://example.com/cat.jpg"))
    assert exchange.answer is not None
    assert body_bytes(exchange.answer.response) == picture
    assert session.close(passed=True).replayed == (0,)
