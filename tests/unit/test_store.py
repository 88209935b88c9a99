"""What a user relies on in cassette files: they read well, nothing changes in them, and none is lost."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_stepreplay.errors import CassetteReadError, CassetteWriteError
from pytest_stepreplay.machine import disk
from pytest_stepreplay.models import Cassette, Interaction, RawFrame, Request, Response
from pytest_stepreplay.store import cassettes, codec, files, paths, yaml_events, yaml_parser, yaml_text
from pytest_stepreplay.wire.json_values import MAX_DEPTH
from tests.rendering import render_cassette

HERE = Path("cassettes/test_x/test_y.yaml")
URL = "https://api.stepfun.com/v1/chat/completions"

GREETING = """\
stepreplay: 1
test: tests/test_greeting.py::test_greeting
interactions:
- recorded_at: '2026-11-22T17:00:00Z'
  elapsed: 0.412
  request:
    method: POST
    url: https://api.stepfun.com/v1/chat/completions
    json:
      model: step-3.5-flash
      messages:
      - role: user
        content: Say hello.
  response:
    status: 200
    headers:
      content-type: application/json
    json:
      id: b7b56af0-52a6-483f-a589-948182676a1b
      object: chat.completion
      created: 1709893411
      choices:
      - index: 0
        message:
          role: assistant
          content: |-
            Hello! 你好 👋

            - one
              - two
        finish_reason: stop
"""


def one(request: dict[str, Any] | None = None, response: dict[str, Any] | None = None) -> Cassette:
    made = Interaction(
        request=Request(method="POST", url=URL, **(request or {})),
        response=Response(status=200, **(response or {})),
    )
    return Cassette(interactions=(made,))


def read(text: str | bytes, path: Path = HERE) -> Cassette:
    return cassettes.parse_cassette(text, path).cassette


def problem_of(text: str | bytes, path: Path = HERE) -> str:
    with pytest.raises(CassetteReadError) as caught:
        cassettes.parse_cassette(text, path)
    return str(caught.value).splitlines()[0]


# ---------------------------------------------------------------- the text


def test_a_cassette_reads_as_the_documentation_shows_it() -> None:
    cassette = read(GREETING)
    assert (
        cassette.interactions[0].response.json["choices"][0]["message"]["content"].startswith("Hello! 你好")
    )
    assert render_cassette(cassette) == GREETING


def test_every_kind_of_body_stands_under_its_key() -> None:
    frames = ('{"id":"1","choices":[]}', RawFrame(frame=": ping\n\n"), "[DONE]")
    cassette = Cassette(
        interactions=(
            one({"json": {"a": [], "b": {}}}, {"events": frames}).interactions[0],
            one({"json": None}, {"text": ""}).interactions[0],
            one({}, {"base64": "/wA="}).interactions[0],
        )
    )
    assert render_cassette(cassette) == dedent(
        """\
        stepreplay: 1
        interactions:
        - request:
            method: POST
            url: https://api.stepfun.com/v1/chat/completions
            json:
              a: []
              b: {}
          response:
            status: 200
            events:
            - '{"id":"1","choices":[]}'
            - frame: |+
                : ping

            - '[DONE]'
        - request:
            method: POST
            url: https://api.stepfun.com/v1/chat/completions
            json: null
          response:
            status: 200
            text: ''
        - request:
            method: POST
            url: https://api.stepfun.com/v1/chat/completions
          response:
            status: 200
            base64: /wA=
        """
    )
    assert read(render_cassette(cassette)) == cassette


def test_an_empty_cassette_says_that_it_is_one() -> None:
    assert render_cassette(Cassette()) == "stepreplay: 1\ninteractions: []\n"
    assert read("stepreplay: 1\ninteractions: []\n") == Cassette()


@pytest.mark.parametrize(
    "text",
    [
        "Say hello.",
        "user",
        "b7b56af0-52a6",
        "https://a.b/c?d=e#f",
        "tests/a.py::b",
        "你好",
        "$ref",
        "_x",
        "it's",
        "a, b",
    ],
)
def test_ordinary_text_stands_without_quotes(text: str) -> None:
    assert yaml_text.render_yaml({"text": text}) == f"text: {text}\n"


AMBIGUOUS = """
no Yes ON off y N null Null NULL true TRUE false ~ = << 1 -1 +1 1.5 1e3 0o17 0x1F 017 1_000 .inf -.inf .nan 4x
12:30:45 2001-01-01 2001-01-01T00:00:00Z - ? : -x ?x :x --- ... @x `x %x &x *x !x |x >x 'x "x {x [x ]x }x ,x
#x
"""


@pytest.mark.parametrize("text", AMBIGUOUS.split())
def test_text_that_some_yaml_takes_for_something_else_is_quoted(text: str) -> None:
    assert yaml_text.render_yaml({"text": text, text: 1}) == "text: '{0}'\n'{0}': 1\n".format(
        text.replace("'", "''")
    )


@pytest.mark.parametrize("text", ["", "a ", " a", "a: b", "a:", "a #b", "- a", "? a", ": a"])
def test_text_whose_ends_or_pairs_mean_something_is_quoted(text: str) -> None:
    assert yaml_text.render_yaml({"text": text}) == f"text: '{text}'\n"


@pytest.mark.parametrize(
    "text", ["a\tb", "a\rb", "\x00", "\x1b[31m", "\x7f", "\x85", "a\u2028b", "\ufeffa", "\uffff", "a\u202eb"]
)
def test_what_no_reviewer_would_see_is_escaped(text: str) -> None:
    rendered = yaml_text.render_yaml({"text": text})
    assert rendered.removesuffix("\n").isprintable()
    assert yaml_parser.parse(rendered) == yaml.safe_load(rendered) == {"text": text}


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("a\nb", "|-\n  a\n  b\n"),
        ("a\n", "|\n  a\n"),
        ("a\n\nb\n", "|\n  a\n\n  b\n"),
        ("\n\na", "|2-\n\n\n  a\n"),
        ("  a\nb", "|2-\n    a\n  b\n"),
        ("\tif x:\n\t\ty", "|2-\n  \tif x:\n  \t\ty\n"),
        ("a\n# b\n--- c", "|-\n  a\n  # b\n  --- c\n"),
        ("a \nb", '"a \\n\\\n  b"\n'),
        ("a\r\n b\n", '"a\\r\\n\\\n  \\ b\\n"\n'),
        ("\n", '"\\n"\n'),
    ],
)
def test_text_of_several_lines_keeps_its_lines(text: str, rendered: str) -> None:
    assert yaml_text.render_yaml({"text": text}) == f"text: {rendered}"
    assert yaml_parser.parse(f"text: {rendered}") == yaml.safe_load(f"text: {rendered}") == {"text": text}


def test_a_file_ends_with_one_newline_even_if_its_last_text_ends_with_two() -> None:
    rendered = yaml_text.render_yaml({"a": "x\n\n", "b": [{"c": "x\n\n"}]})
    assert rendered == 'a: |+\n  x\n\nb:\n- c: "x\\n\\\n    \\n"\n'
    assert yaml_parser.parse(rendered) == yaml.safe_load(rendered) == {"a": "x\n\n", "b": [{"c": "x\n\n"}]}


def test_long_lines_are_not_folded() -> None:
    text = "word " * 5000 + "end"
    assert yaml_text.render_yaml({"a": text, "b": f"'{text}"}).count("\n") == 2


def test_a_key_too_long_for_yaml_gets_the_form_for_such_keys() -> None:
    tree = {"k" * 2000: {"a": [1]}, "l" * 2000: [[1]], "m" * 2000: 1, "é\x01" * 300: "x\ny"}
    rendered = yaml_text.render_yaml(tree)
    assert yaml.safe_load(rendered) == yaml_events.parse_any(rendered) == tree


texts = st.text(st.characters(exclude_categories=["Cs"])) | st.text(
    "ab \n\t-:#'\"\\|>&*!%@`?{}[],0123.~\r\x85\u2028\ufeff😀"
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
trees = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=25)
roots = st.dictionaries(texts, trees, min_size=1)


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types: 1 is not 1.0 is not True; the order of keys counts too."""
    return json.dumps(one) == json.dumps(other)


@settings(max_examples=60)
@given(roots)
@example({"a": [-0.0, 1, 1.0, True, "1", 1e16, 1e-7, 5e-324, 1.7976931348623157e308, 10**400, -(2**64)]})
@example({"a": [[[], {}], [[1, [2]]], {"b": [{"c": [{}]}]}], "": {"": {"": ""}}})
def test_any_tree_comes_back_the_same_from_every_reader(tree: dict[str, Any]) -> None:
    rendered = yaml_text.render_yaml(tree)
    assert rendered.endswith("\n")
    assert not rendered.endswith("\n\n")
    assert same(yaml_events.parse_any(rendered), tree)
    assert same(yaml.safe_load(rendered), tree)  # all of YAML 1.1
    if all(len(line) < 900 for line in rendered.split("\n")):
        assert same(yaml_parser.parse(rendered), tree)
    assert yaml_text.render_yaml(yaml_events.parse_any(rendered)) == rendered


@given(roots)
@settings(max_examples=30)
def test_the_parser_written_in_python_reads_the_same(tree: dict[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_events, "_Loader", yaml.SafeLoader)
        assert same(yaml_events.parse_any(yaml_text.render_yaml(tree)), tree)


@settings(max_examples=60)
@given(roots, st.data())
def test_an_edited_text_is_read_quickly_only_where_yaml_reads_it_the_same(
    tree: dict[str, Any], data: st.DataObject
) -> None:
    text = yaml_text.render_yaml(tree)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 3)))
        new = data.draw(
            st.text(" \n\n-:#'\"\\|+-2>&*!{}[],0a1.\tnu", max_size=4)
            | st.sampled_from(["  ", "- ", "\\\n ", ": "])
        )
        text = text[:start] + new + text[end:]
    try:
        quick = yaml_parser.parse(text)
    except yaml_parser.UnusualTextError:
        return
    assert same(quick, yaml_events.parse_any(text))


@pytest.mark.parametrize("kind", [list, dict])
def test_deep_nesting_comes_back_and_deeper_is_refused(kind: type) -> None:
    def nested(levels: int) -> Any:
        tree: Any = "x"
        for _ in range(levels):
            tree = [tree] if kind is list else {"k": tree}
        return {"deep": tree}

    deep = nested(MAX_DEPTH - 1)
    rendered = yaml_text.render_yaml(deep)
    assert yaml_parser.parse(rendered) == yaml_events.parse_any(rendered) == deep
    with pytest.raises(ValueError, match="nested more than 500 levels"):
        yaml_text.render_yaml(nested(MAX_DEPTH))
    with pytest.raises(yaml_parser.UnusualTextError):
        yaml_parser.parse("a:\n" + "- " * 501 + "x\n")


LOADERS = [
    yaml.SafeLoader,
    *([yaml.CSafeLoader] if yaml.__with_libyaml__ else []),
]  # PyYAML comes without, too


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    ("start", "level", "line"),
    [
        ("", "[", 1),
        ("a: 1\nb: ", "[[", 2),
        ("a: 1\nb: ", "{", 2),
        ("", "{a: ", 1),
        ("a: ", "[{a: ", 1),
        ("", "- ", 1),
        ("", "? ", 1),
        ("", "[\n", 501),
        ("a: ", "[ #\n", 500),
        ("", "[ 1, ", 1),
        ("", '["[", ', 1),
    ],
)
def test_too_deep_is_said_in_our_words_whatever_the_parser_says(
    start: str, level: str, line: int, loader: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml_events, "_Loader", loader)
    for levels in (501, 1_100):  # the second is deeper than Python goes
        with pytest.raises(
            yaml_events.BrokenYamlError, match=r"^is nested more than 500 levels deep$"
        ) as refused:
            yaml_events.parse_any(start + level * levels)
        assert refused.value.line == line


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a:\n    b: 1\n", {"a": {"b": 1}}),
        ("a:\n  - 1\n", {"a": [1]}),
        ("a:\n- - 1\n  -  2\n", {"a": [[1, 2]]}),
        ("a:\n\nb: 1\n", {"a": None, "b": 1}),
        ("- 1\n", [1]),
        ("1: x\nnull: y\n", {"1": "x", "null": "y"}),
        ("null: y\n", {"null": "y"}),
        pytest.param("k" * 1010 + ": 1\n", {"k" * 1010: 1}, id="long key"),
        ("a: |\nb: 1\n", {"a": "", "b": 1}),
        ("a: |\n\n  x\n", {"a": "\nx\n"}),
        ("a: |\n   x\n", {"a": "x\n"}),
        ("a: |4\n      x\n", {"a": "  x\n"}),
        ('a: "x\\\n   y"\n', {"a": "xy"}),
        *([("a: x\ty\n", {"a": "x\ty"})] if yaml.__with_libyaml__ else []),  # without, it is refused
        ("a : x\n", {"a": "x"}),
        ("a: !!str 5\nb: !!map {c: !!seq []}\n", {"a": "5", "b": {"c": []}}),
    ],
)
def test_yaml_of_another_shape_is_read_too(text: str, tree: object) -> None:
    with pytest.raises(yaml_parser.UnusualTextError):
        yaml_parser.parse(text)
    assert yaml_events.parse_any(text) == tree


def test_the_parser_written_in_python_refuses_half_a_surrogate_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_events, "_Loader", yaml.SafeLoader)
    with pytest.raises(yaml_events.BrokenYamlError, match="has half of a surrogate pair"):
        yaml_events.parse_any('a: "\\ud800"\n')
    assert yaml_events.parse_any("a: '\\ud800'\n") == {"a": "\\ud800"}


def test_a_line_is_found_for_any_path() -> None:
    assert codec.line_at(GREETING, ["interactions", 0, "request", "json", "messages", 0, "content"]) == 13
    assert codec.line_at(GREETING, ["interactions", 0, "response", "missing", 5]) == 14
    assert codec.line_at(GREETING, ["interactions", 7]) == 3
    assert codec.line_at(GREETING, ["test", "x"]) == 2
    assert codec.line_at(GREETING, []) is None
    assert codec.line_at("a: [", ["a"]) == 1
    assert codec.line_at("[", ["a"]) is codec.line_at("", ["a"]) is None
    assert codec.line_at("? {a: [b]}\n: c\na: [[], {b: c}, d]", ["a", 2]) == 3


# ---------------------------------------------------------------- what a person may edit


def edited(old: str, new: str) -> Any:
    assert old in GREETING
    return read(GREETING.replace(old, new)).interactions[0].request.json["messages"][0]["content"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("no", "no"),
        ("2001-01-01", "2001-01-01"),
        ("12:30:45", "12:30:45"),
        ("~", "~"),
        ("0x1F", "0x1F"),
        ("1e3", "1e3"),
        ("1.0e999", "1.0e999"),
        pytest.param("9" * 5000, "9" * 5000, id="huge"),
        ("null", None),
        ("", None),
        ("true", True),
        ("-7", -7),
        ("1.50", 1.5),
        ('"a\\x41\\N"', "aA\x85"),
        ("[a, 1]  # comment", ["a", 1]),
        (">-\n          one\n          two", "one two"),
        ("one\n          two", "one two"),
    ],
)
def test_edited_values_are_json_and_everything_else_is_text(written: str, meant: object) -> None:
    found = edited("Say hello.", written)
    assert (found, type(found)) == (meant, type(meant))


def test_comments_other_indentation_windows_line_ends_and_a_byte_order_mark_are_fine() -> None:
    plain = read(GREETING)
    for text in (
        "# a comment\n" + GREETING,
        "---\n" + GREETING,
        GREETING.replace("interactions:\n", "\ninteractions:   # all of them\n"),
        GREETING.replace("\n", "\r\n"),
        "\ufeff" + GREETING,
        GREETING + "\n   \n",
    ):
        assert read(text) == plain
        assert read(text.encode()) == plain
    assert read("{stepreplay: 1, interactions: []}") == Cassette()
    assert read('{"stepreplay": 1, "test": "\\ud83d\\ude00", "interactions": []}') == Cassette(test="😀")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "  elapsed: 0.412\n",
            "  elapsed: 0.412\n  elapsed: 0.4\n",
            ":6: has the key elapsed for the second time",
        ),
        ("Say hello.", "'Say hello.", ": is not valid YAML ("),
        (
            "Say hello.",
            "Say: hello.",
            ":13: is not valid YAML (",
        ),
        ("Say hello.", "a\x07b", ":13: has a control character, which YAML only has as an escape"),
        (
            "Say hello.",
            "!!python/object/apply:os.system [x]",
            ":13: has the YAML tag !!python/object/apply:os.system, which",
        ),
        ("Say hello.", "!secret x", ":13: has the YAML tag !secret, which a cassette never has"),
        ("Say hello.", "&a x", ":13: has a YAML anchor or alias"),
        ("Say hello.", "*a", ":13: has a YAML anchor or alias"),
        ("model:", "[a]:", ":10: has a key that is not text"),
        ("Say hello.", '"\\ud800"', ":13: "),  # libyaml refuses it before us
        ("stepreplay: 1", "---\n---\nstepreplay: 1", ":2: has a second YAML document"),
        (
            "stepreplay: 1",
            "stepreplay: 3",
            ":1: was written by a newer pytest-stepreplay (format 3; this one knows 2)",
        ),
        (
            "stepreplay: 1",
            "stepreplay: one",
            ":1: stepreplay: should be the version of the format, such as 1",
        ),
        (
            "stepreplay: 1",
            "stepreplay: true",
            ":1: stepreplay: should be the version of the format, such as 1",
        ),
        ("stepreplay: 1", "stepreplay: 0", ":1: stepreplay: should be the version of the format, such as 1"),
        (
            "status: 200",
            "status: abc",
            ":15: interactions[0].response.status: should be a whole number",
        ),
        (
            "status: 200",
            "status: 20",
            ":15: interactions[0].response.status: should be a number from 100 to 999",
        ),
        ("    method: POST\n", "", ":6: interactions[0].request.method: is missing"),
        ("elapsed", "elapsd", ":5: interactions[0].elapsd: the cassette format has no such key"),
        (
            "    url:",
            "    text: x\n    url:",
            ":6: interactions[0].request: a body has exactly one key",
        ),
        (
            "    json:\n      model: step",
            "    base64: abc\n    jso:\n      model: step",
            "jso: the cassette format has no",
        ),
        (
            "interactions:\n",
            "interactions: 5\nx:\n",
            ":3: interactions: should be a list (and 1 more)",
        ),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line_with_its_place(old: str, new: str, problem: str) -> None:
    assert old in GREETING
    assert f"{HERE}{problem}" in problem_of(GREETING.replace(old, new)) or problem in problem_of(
        GREETING.replace(old, new)
    )


def test_events_and_base64_are_checked_when_the_file_is_read() -> None:
    head = GREETING[: GREETING.index("    headers:")]
    assert problem_of(head + "    base64: '%%'\n").startswith(
        f"{HERE}:16: interactions[0].response.base64: should be valid base64"
    )
    assert problem_of(head + "    events:\n    - ok\n    - 5\n").startswith(
        f"{HERE}:18: interactions[0].response.events[1]: "
    )
    assert problem_of(head + "    events:\n    - frame: 5\n").startswith(
        f"{HERE}:17: interactions[0].response.events[0]"
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        ("\ufeff".encode(), "is empty"),
        (GREETING.encode("utf-16"), "is not UTF-8 text"),
        (GREETING.encode().replace(b"Say", b"S\xffy"), "is not UTF-8 text"),
        ("just text\n", "is not a cassette: it holds text"),
        ("42\n", "is not a cassette: it holds a single value"),
        ("- a\n", "is not a cassette: it holds a list"),
        ("# only a comment\n", "is not a cassette: it holds nothing"),
        ("a: 1\n", "is not a cassette: it holds other keys, and no 'stepreplay: 1' at the top"),
        ("stepreplay: 1\n", "seems cut off: it has no 'interactions'"),
        ("interactions: 1\n", "is not a cassette: it holds other keys"),
    ],
)
def test_what_is_no_cassette_is_never_taken_for_an_empty_one(content: str | bytes, problem: str) -> None:
    assert problem in problem_of(content)


def test_a_byte_that_is_not_utf8_is_named_by_its_line() -> None:
    assert problem_of(GREETING.encode().replace(b"Say", b"S\xffy")) == f"{HERE}:13: is not UTF-8 text"


@pytest.mark.parametrize(
    "markers", ["<<<<<<< HEAD\n{0}=======\n{1}>>>>>>> theirs\n", "{0}=======\n{1}>>>>>>> theirs\n"]
)
def test_a_merge_conflict_is_called_one(markers: str) -> None:
    line = "        content: Say hello.\n"
    text = GREETING.replace(line, markers.format(line, line.replace("hello", "goodbye")))
    first = next(number for number, each in enumerate(text.splitlines(), 1) if each[0] in "<=")
    assert problem_of(text) == f"{HERE}:{first}: has an unresolved merge conflict"


def test_conflict_markers_inside_a_text_are_no_conflict() -> None:
    cassette = one({"text": "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> x\n"})
    assert read(render_cassette(cassette)) == cassette


def test_a_file_cut_off_anywhere_is_not_read_as_if_it_were_whole() -> None:
    whole = read(GREETING)
    for length in range(len(GREETING) - 1):
        part = GREETING[:length]
        if part.endswith("\n") and length >= GREETING.index("    headers:"):
            continue  # a response whose last lines are missing is one that could have been recorded
        problem = problem_of(part)
        assert "\n" not in problem
    assert read(GREETING) == whole
    assert "seems cut off: its last line is incomplete" in problem_of(GREETING[:-1])


def test_an_error_never_shows_a_value() -> None:
    secret = "sk-abcdefghijklmnop"  # not a real one
    for text in (
        GREETING.replace("status: 200", f"status: {secret}"),
        GREETING.replace("elapsed: 0.412", f"elapsed: '{secret}'"),
        GREETING.replace("Say hello.", f"{secret}: {secret}: x"),
        GREETING.replace("Say hello.", f"*{secret}"),
        GREETING.replace("stepreplay: 1", f"stepreplay: {secret}"),
        GREETING.replace("application/json", f"[{secret}]"),
        f"{secret}\n",
        f"- {secret}\n",
    ):
        with pytest.raises(CassetteReadError) as caught:
            read(text)
        assert secret not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


# ---------------------------------------------------------------- files


def test_a_cassette_written_is_the_cassette_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folders" / "test_x.yaml"
    assert not files.exists(path)
    cassettes.write_cassette(path, read(GREETING))
    assert files.exists(path)
    assert path.read_bytes() == GREETING.encode()
    assert cassettes.read_cassette(path) == cassettes.ReadCassette(read(GREETING), "stepreplay")
    assert list(path.parent.iterdir()) == [path]


def test_a_json_cassette_stays_json(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    cassette = one({"json": {"a": "你好\u2028😀"}}, {"events": ("[DONE]", RawFrame(frame=":\n\n"))})
    cassettes.write_cassette(path, cassette)
    assert json.loads(path.read_text("utf-8"))["stepreplay"] == 1
    assert cassettes.read_cassette(path).cassette == cassette


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"stepreplay": 1,\n "interactions": [', ":2: is not valid JSON "),
        ('{"stepreplay": 1, "stepreplay": 1}', ": has the key stepreplay twice in one object"),
        ('{"stepreplay": 1, "test": "\\ud800"}', ": has half of a surrogate pair in a text"),
        ('{"stepreplay": 1, "x":' + "[" * 600 + "]" * 600 + "}", ": is nested more than 500 levels deep"),
        ('{"stepreplay": 1, "x":' + "[" * 200_000, ": is nested more than 500 levels deep"),
        ('{"stepreplay": 1, "x": NaN}', ": has NaN, which JSON does not have"),
        ("null", ": is not a cassette: it holds nothing"),
        ('{"stepreplay": 1,\n "interactions": 1}', ":2: interactions: should be a list"),
    ],
)
def test_a_broken_json_cassette_is_an_error_too(text: str, problem: str) -> None:
    path = Path("x.json")
    assert problem_of(text, path).startswith(f"{path}{problem}")


def test_the_problem_is_said_where_its_line_cannot_be_found() -> None:
    text = (
        '{"stepreplay": 1, "t": "\\ud83d\\ude00", "interactions": 1}'  # an escape that libyaml does not read
    )
    said = problem_of(text, Path("x.json"))
    assert said.startswith("x.json:")
    assert ": interactions: should be a list (and 1 more)" in said


def test_what_is_not_a_file_is_said(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    with pytest.raises(CassetteReadError, match="does not exist\nRecord it with: pytest --stepreplay=record"):
        cassettes.read_cassette(missing)
    with pytest.raises(CassetteReadError, match="is a folder, where a cassette file should be"):
        cassettes.read_cassette(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(CassetteReadError, match="cannot be read: Not a directory"):
        cassettes.read_cassette(tmp_path / "file" / "x.yaml")
    with pytest.raises(CassetteReadError, match=r"cannot be read: .*\bnull\b"):
        cassettes.read_cassette(tmp_path / "a\0b")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(CassetteReadError, match="is not a regular file"):
        cassettes.read_cassette(tmp_path / "pipe.yaml")


def test_a_file_without_permission_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(GREETING)

    def refuse(*_: object) -> bytes:  # root, as which tests may run, may read everything
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(disk, "read", refuse)
    with pytest.raises(CassetteReadError, match="cannot be read: Permission denied"):
        cassettes.read_cassette(path)


def test_a_file_too_large_for_memory_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(GREETING)

    def give_up(*_: object) -> bytes:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(disk, "read", give_up)
        with pytest.raises(CassetteReadError, match="too large for the memory"):
            cassettes.read_cassette(path)
    monkeypatch.setattr(yaml_parser, "parse", give_up)
    with pytest.raises(CassetteReadError, match="too large for the memory"):
        cassettes.read_cassette(path)


def test_an_unchanged_cassette_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    cassettes.write_cassette(path, read(GREETING))
    os.utime(path, ns=(1, 1))
    before = path.stat()
    cassettes.write_cassette(path, read(GREETING))
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    cassettes.write_cassette(path, Cassette())
    assert path.stat().st_mtime_ns != before.st_mtime_ns


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_permissions_are_those_of_the_file_or_of_any_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.yaml"
    before = os.umask(0o027)
    monkeypatch.setattr(disk, "UMASK", 0o027)  # as if the run had begun with it
    try:
        cassettes.write_cassette(path, Cassette())
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640
    path.chmod(0o600)
    cassettes.write_cassette(path, read(GREETING))
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name == "nt", reason="Windows asks for a privilege to make links")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.yaml"
    link.symlink_to(tmp_path / "real" / "x.yaml")
    cassettes.write_cassette(link, Cassette())
    assert link.is_symlink()
    assert cassettes.read_cassette(tmp_path / "real" / "x.yaml").cassette == Cassette()


def test_what_the_system_refuses_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(CassetteWriteError, match=r"could not be written: .*; nothing was written"):
        cassettes.write_cassette(tmp_path / "file" / "x.yaml", Cassette())
    with pytest.raises(CassetteWriteError, match="could not be written: Is a directory"):
        cassettes.write_cassette(tmp_path, Cassette())
    with pytest.raises(
        CassetteWriteError, match="could not be written: File name too long; nothing was written"
    ):
        cassettes.write_cassette(tmp_path / ("x" * 300), Cassette())
    with pytest.raises(CassetteWriteError, match=r"could not be written: .*\bnull\b"):
        cassettes.write_cassette(tmp_path / "a\0b", Cassette())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_longest_name_that_a_folder_allows_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 125 + ".yaml")
    cassettes.write_cassette(path, Cassette())
    assert cassettes.read_cassette(path).cassette == Cassette()


@pytest.mark.parametrize("moment", ["fsync", "write", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_trace(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.yaml"
    cassettes.write_cassette(path, read(GREETING))

    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if moment == "write":
        if not Path("/dev/full").exists():
            pytest.skip("this system has no /dev/full")
        full = os.open  # the temporary file is opened on a device that takes nothing
        monkeypatch.setattr(
            disk._system,
            "open",
            lambda path, flags, mode: full(
                *("/dev/full", os.O_WRONLY) if flags & os.O_EXCL else (path, flags, mode)
            ),
        )
    elif moment == "fsync":
        monkeypatch.setattr(disk._system, "fsync", no_space)
    else:
        monkeypatch.setattr(disk, "replace", no_space)
    with pytest.raises(CassetteWriteError) as caught:
        cassettes.write_cassette(path, Cassette())
    monkeypatch.undo()
    assert str(caught.value) == (
        f"{path}: could not be written: No space left on device; the file on disk is still the old one\n"
        "Free some disk space, then run it again."
    )
    assert path.read_text("utf-8") == GREETING
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.yaml"
    cassettes.write_cassette(path, read(GREETING))

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(disk._system, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cassettes.write_cassette(path, Cassette())
    assert path.read_text("utf-8") == GREETING
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (float("nan"), "a number is not finite"),
        (float("inf"), "a number is not finite"),
        ("\ud800", "half of a surrogate pair"),
        pytest.param(10**5000, "Exceeds the limit", id="huge"),
        ({1: 2}, "a key is of the type int, not text"),
        (b"x", "a value is of the type bytes, which JSON does not have"),
    ],
)
def test_what_a_file_cannot_hold_is_not_written(value: object, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with pytest.raises(CassetteWriteError, match=f"was not written: .*{problem}"):
        cassettes.write_cassette(path, one({"json": {"a": value}}))
    assert not files.exists(path)


def test_what_holds_itself_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(CassetteWriteError, match="was not written: it is nested more than 500 levels deep"):
        cassettes.write_cassette(tmp_path / "x.yaml", one({"json": endless}))
    monkeypatch.setattr(yaml_text, "MAX_DEPTH", 10**6)
    with pytest.raises(CassetteWriteError, match="was not written: it would be nested too deeply"):
        cassettes.write_cassette(tmp_path / "x.yaml", one({"json": endless}))


SAVER = """
import sys
from pathlib import Path
from pytest_stepreplay.store.cassettes import write_cassette
from pytest_stepreplay.models import Cassette
path = Path(sys.argv[1])
both = [Cassette(test=letter * 200_000) for letter in "ab"]
print("ready", flush=True)
while True:
    for cassette in both:
        write_cassette(path, cassette)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_process_killed_while_it_saves_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    cassettes.write_cassette(path, Cassette(test="a" * 200_000))
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", SAVER, str(path)], stdout=subprocess.PIPE) as saver:
            assert saver.stdout is not None
            assert saver.stdout.readline() == b"ready\n"
            inode = path.stat().st_ino
            while path.stat().st_ino == inode:  # it is saving now
                assert saver.poll() is None
            saver.kill()
        test = cassettes.read_cassette(path).cassette.test
        assert test in {"a" * 200_000, "b" * 200_000}
        assert list(paths.iter_cassettes(tmp_path)) == [path]


def test_reading_our_own_files_needs_no_yaml_parser(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    cassettes.write_cassette(path, read(GREETING))
    code = (
        "import sys; from pathlib import Path; from pytest_stepreplay.store.cassettes import read_cassette; "
        "read_cassette(Path(sys.argv[1])); print('yaml' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_names_are_flushed_together_in_a_run_and_at_once_outside_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    monkeypatch.setattr(disk, "flush_folder", lambda folder: flushed.append(Path(folder).name))

    def write(folder: str, count: int) -> None:
        for number in range(count):
            files.write_bytes(tmp_path / folder / f"{number}.yaml", b"x")

    write("alone", 2)
    assert flushed == ["alone", "alone"]
    flushed.clear()
    with files.flushed_together():
        write("many", 70)
        write("few", 3)
        assert flushed == ["many", "many"]
        with files.flushed_together():
            write("inner", 1)
        assert "inner" not in flushed
    assert sorted(flushed) == ["few", "inner", "many", "many", "many"]
