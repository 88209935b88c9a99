"""What must hold for any input: one function for each thing that reads what strangers write.

Bytes go in. A function returns nothing, and raises where a promise is broken. hypothesis, a coverage-guided
fuzzer (`python -m tests.fuzz`) and the kept corpus all call these.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_stepreplay.endpoints.chat_stream import assemble
from pytest_stepreplay.errors import CassetteReadError, SelectorError
from pytest_stepreplay.formats import MisfitError, read_foreign
from pytest_stepreplay.models import Cassette
from pytest_stepreplay.selectors import Selector, Selectors, format_path, without
from pytest_stepreplay.store.cassettes import parse_cassette
from pytest_stepreplay.store.snapshot_files import parse_snapshots
from pytest_stepreplay.store.yaml_events import BrokenYamlError, lines_of, parse_any
from pytest_stepreplay.store.yaml_parser import UnusualTextError, parse
from pytest_stepreplay.store.yaml_text import render_yaml
from pytest_stepreplay.wire.bodies import body_bytes
from pytest_stepreplay.wire.events import events_of, frame_data, frame_of, json_chunks_of, split_frames
from pytest_stepreplay.wire.json_values import parse_json
from tests.rendering import render_cassette

HERE = Path("x.yaml")
CORPUS = Path(__file__).parent / "corpus"


def same(one: Any, other: Any) -> bool:
    """Tell whether two trees are equal, 1 and 1.0 and true being three things."""
    return json.dumps(one) == json.dumps(other)


def reader(data: bytes) -> None:
    """A file is a cassette, or an error in one line with what to do; what was read comes back the same."""
    try:
        read = parse_cassette(data, HERE)
    except CassetteReadError as error:
        message = str(error)
        assert message.startswith("x.yaml:")
        assert message.count("\n") <= 1, message
        # What YAML takes for a line end, it counts as one.
        lines = len((data.decode(errors="replace") + ".").splitlines())
        assert error.line is None or 1 <= error.line <= lines
        return
    for interaction in read.cassette.interactions:
        body_bytes(interaction.request)
        body_bytes(interaction.response)
    if read.format == "stepreplay":
        again = parse_cassette(render_cassette(read.cassette), HERE).cassette
        assert again == read.cassette
        assert render_cassette(again) == render_cassette(read.cassette)


def snapshots(data: bytes) -> None:
    """A file holds snapshots, or is an error with what to do."""
    try:
        tree = parse_snapshots(data, HERE)
    except CassetteReadError as error:
        assert str(error).startswith("x.yaml:")
        return
    assert same(parse_any(render_yaml(tree)), tree)


def yaml(data: bytes) -> None:
    """What the quick parser reads, the general one reads alike; a line is found or not, but nothing breaks."""
    text = data.decode(errors="replace")
    try:
        quick = parse(text)
    except UnusualTextError:
        quick = None
    try:
        slow = parse_any(text)
    except BrokenYamlError:
        assert quick is None
        slow = None
    assert quick is None or same(quick, slow)
    lines_of(text, [["a", 0, "a"]])
    if slow and isinstance(slow, dict):
        rendered = render_yaml(slow)
        assert same(parse_any(rendered), slow)
        assert same(parse(rendered), slow)


def json_text(data: bytes) -> None:
    """What is read as JSON can be written as a cassette, and comes back."""
    try:
        tree = parse_json(data.decode(errors="replace"))
    except ValueError:
        return
    if tree and isinstance(tree, dict):
        try:
            rendered = render_yaml(tree)
        except ValueError as error:
            assert "too large" in str(error) or "finite" in str(error) or "deep" in str(error)
        else:
            assert same(parse_any(rendered), tree)


def events(data: bytes) -> None:
    """No character of a stream is lost, and whatever its chunks are, they make a completion."""
    text = data.decode(errors="replace")
    frames = split_frames(text)
    assert "".join(frames) == text
    for frame in frames:
        payload = frame_data(frame)
        assert payload is None or frame_of(payload) == frame
    for event in events_of(text):
        assert event.data is not None
    completion = assemble(json_chunks_of(text))
    assert completion["object"] == "chat.completion"
    json.dumps(completion)


TREE = {"choices": [{"message": {"content": "x", "a b": [1, {"": None}]}}], "usage": {"x": 1}, "": [[[]]]}


def selectors(data: bytes) -> None:
    """A text is a selector, which names places of a tree, or an error that points at a character."""
    text = data.decode(errors="replace")
    try:
        selector = Selector.parse(text)
    except SelectorError as error:
        assert str(error)
        return
    assert str(selector) == text
    found = Selectors([text]).matched(TREE)
    left = without(TREE, [text])
    assert (left != TREE) == bool(found) or left == TREE
    for path in paths_of(TREE):
        assert Selector.parse(format_path(path)).matches(path) if path else True


def paths_of(tree: Any, before: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths to all places in a tree."""
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [before, *(path for key, child in children for path in paths_of(child, (*before, key)))]


def importer(data: bytes) -> None:
    """A tree of any kind, bare or under the keys of another tool, becomes exchanges, or an error with its place."""
    try:
        tree = parse_any(data.decode(errors="replace"))
    except BrokenYamlError:
        return
    trees = tree if isinstance(tree, list) else [tree]
    archive = {"log": {"version": "1.2", "entries": trees}}
    for each in (tree, {"version": 1, "interactions": trees}, archive):
        try:
            foreign = read_foreign(each)
        except MisfitError as error:
            assert error.problem
            continue
        cassette = Cassette(
            interactions=tuple(one.interaction() for one in foreign.exchanges) if foreign else ()
        )
        assert parse_cassette(render_cassette(cassette), HERE).cassette == cassette


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (reader, snapshots, yaml, json_text, events, selectors, importer)
}
