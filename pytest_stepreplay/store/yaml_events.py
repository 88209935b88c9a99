"""Any YAML text -> a tree of values: for cassettes that a person edited, and for those of other tools.

Nothing in the text is ever executed, and nothing in it exhausts memory or the stack: the parser's events are
put together here, tags mean only what the caller says they mean, and what aliases stand for has a limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import yaml

from ..wire.json_values import MAX_DEPTH, Tree, shown
from .yaml_parser import resolve_plain
from .yaml_text import TAG_PREFIX

Construct = Callable[[str, Any], Any]
"""From a tag and the text, list or dict behind it to what they mean; a ValueError if they mean nothing."""

"""What ``!!`` stands for in a tag."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MOST_EXPANDED = 10_000_000  # characters that aliases may stand for, besides the length of the text
_ODD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]|\\U0000[dD][89a-fA-F]")
_NO_STEP = object()  # to what stands at, or in, a key that is no text
_TEXT_TAGS = frozenset({"!", f"{TAG_PREFIX}str"})
_BLOCK_TAGS = frozenset({f"{TAG_PREFIX}map", f"{TAG_PREFIX}seq"})


class BrokenYamlError(Exception):
    """The text is no YAML, or has what is refused.

    Attributes:
        problem: what is wrong; it names no value of the file.
        line: where, counted from 1.
    """

    def __init__(self, problem: str, line: int | None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


def parse_any(text: str, construct: Construct | None = None) -> Tree:
    """Return the tree of a YAML text; scalars without quotes are JSON's constants and numbers, or text.

    Args:
        text: one YAML document.
        construct: says what a tag means. Without it all but YAML's own tags for text and blocks are refused,
            and so are anchors and aliases.

    Raises:
        BrokenYamlError: the text cannot be read.
    """
    try:
        return _build(text, construct)
    except yaml.reader.ReaderError:
        odd = _ODD.search(text)
        line = text.count("\n", 0, odd.start()) + 1 if odd else None
        raise BrokenYamlError("has a control character, which YAML only has as an escape", line) from None
    except yaml.MarkedYAMLError as error:
        problem = ", ".join(filter(None, (error.context, error.problem)))
        mark = error.problem_mark  # its own line counts more than line feeds, and one after the last
        if mark:
            _refuse_depth(text[: mark.index], construct)
        line = text.count("\n", 0, mark.index) + 1 if mark else None
        raise BrokenYamlError(f"is not valid YAML ({problem})", line) from None


def _build(text: str, construct: Construct | None) -> Tree:
    builder = _Builder(text, construct)
    for event in yaml.parse(text, Loader=_Loader):
        builder.take(event)
    return builder.root


def _refuse_depth(text: str, construct: Construct | None) -> None:
    """Raise if what came before an error is nested too deeply.

    A scanner reads up to 1024 characters ahead, since ``[`` may start a key, and has limits of its own: it can refuse
    the depth, in words of its own, before the builder has seen the first level. Cut off there, all levels come.
    """
    with suppress(yaml.YAMLError):  # then it was not the depth
        _build(text, construct)


def lines_of(text: str, paths: Sequence[Sequence[object]]) -> list[int | None]:
    """Return the lines at which the values at some paths stand, or the nearest values around them that exist.

    Args:
        text: YAML that `parse_any` reads.
        paths: keys and indexes from the top.
    """
    wanted = {tuple(path[:end]) for path in paths for end in range(1, len(path) + 1)}
    lines: dict[tuple[object, ...], int] = {}
    with suppress(yaml.YAMLError):  # what was found before it is right
        for place, line in _places_in(text, max(map(len, wanted), default=0)):
            if place in wanted:
                lines.setdefault(place, line)
                if len(lines) == len(wanted):
                    break
    nearest = ([tuple(path[:end]) for end in range(len(path), 0, -1)] for path in paths)
    return [next((lines[place] for place in places if place in lines), None) for places in nearest]


def _places_in(text: str, deepest: int) -> Iterator[tuple[tuple[object, ...], int]]:
    """Yield the place of each member of a block, and its line, as far as that many steps lead."""
    open_blocks: list[_Steps] = []
    deeper = 0  # open blocks that no step leads into
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionEndEvent):
            if deeper:
                deeper -= 1
            else:
                open_blocks.pop()
        elif isinstance(event, yaml.NodeEvent):
            if open_blocks and not deeper and open_blocks[-1].take(event):
                yield tuple(each.step for each in open_blocks), _line(event)
            if isinstance(event, yaml.CollectionStartEvent):
                if deeper or len(open_blocks) == deepest:
                    deeper += 1
                else:
                    open_blocks.append(_Steps(isinstance(event, yaml.MappingStartEvent)))


class _Steps:
    """An open block, and the step to the member of it that came last."""

    __slots__ = ("expects_key", "is_mapping", "step")

    def __init__(self, is_mapping: bool) -> None:
        self.is_mapping = is_mapping
        self.expects_key = is_mapping
        self.step: Any = None if is_mapping else -1

    def take(self, event: Any) -> bool:
        """Take the event that a key, value or item starts with, and tell whether it starts a member."""
        if not self.is_mapping:
            self.step += 1
            return True
        is_key, self.expects_key = self.expects_key, not self.expects_key
        if is_key:
            self.step = event.value if isinstance(event, yaml.ScalarEvent) else _NO_STEP
        return is_key


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1


def _refuse_tag(tag: str, _: Any) -> Any:
    raise ValueError(f"has the YAML tag {shown(tag.replace(TAG_PREFIX, '!!'))}, which a cassette never has")


class _Open:
    """A mapping or list whose end has not come yet."""

    __slots__ = ("anchor", "key", "line", "tag", "value", "weight")

    def __init__(self, value: Any, event: Any) -> None:
        self.value = value
        self.tag: str | None = event.tag
        self.anchor: str | None = event.anchor
        self.line = _line(event)
        self.weight = 1
        self.key: str | None = None

    @property
    def expects_key(self) -> bool:
        return self.key is None and isinstance(self.value, dict)


class _Builder:
    """Puts the events of one document together."""

    def __init__(self, text: str, construct: Construct | None) -> None:
        self.root: Tree = None
        self._construct = construct or _refuse_tag
        self._has_anchors = construct is not None
        self._open: list[_Open] = []
        self._anchored: dict[str, tuple[Any, int]] = {}
        self._documents = 0
        self._expanded = 0
        self._may_expand = _MOST_EXPANDED + len(text)
        self._may_have_surrogates = bool(_SURROGATE_ESCAPE.search(text))

    def take(self, event: Any) -> None:
        """Take the next event."""
        if isinstance(event, yaml.ScalarEvent):
            self._take_scalar(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._refuse_anchor(event)
            started = _Open({} if isinstance(event, yaml.MappingStartEvent) else [], event)
            self._open.append(started)
            if len(self._open) > MAX_DEPTH:
                raise BrokenYamlError(f"is nested more than {MAX_DEPTH} levels deep", started.line)
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self._open.pop()
            value = done.value
            if done.tag and done.tag not in _BLOCK_TAGS:
                value = self._constructed(done.tag, value, done.line)
            self._place(value, done.weight, done.anchor, done.line)
        elif isinstance(event, yaml.AliasEvent):
            self._take_alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise BrokenYamlError("has a second YAML document", _line(event))

    def _take_scalar(self, event: Any) -> None:
        self._refuse_anchor(event)
        line = _line(event)
        value = event.value
        if self._may_have_surrogates and _SURROGATE.search(value):
            raise BrokenYamlError("has half of a surrogate pair in a text", line)
        if event.tag and event.tag not in _TEXT_TAGS:
            value = self._constructed(event.tag, value, line)
        elif not event.tag and event.implicit[0] and not (self._open and self._open[-1].expects_key):
            value = resolve_plain(value) if value else None
        self._place(value, 1 + len(event.value), event.anchor, line)

    def _take_alias(self, event: Any) -> None:
        self._refuse_anchor(event)
        line = _line(event)
        if event.anchor not in self._anchored:
            raise BrokenYamlError("has an alias without an anchor before it", line)
        value, weight = self._anchored[event.anchor]
        self._expanded += weight
        if self._expanded > self._may_expand:
            raise BrokenYamlError("has aliases that stand for more than fits into memory", line)
        self._place(value, weight, None, line)

    def _refuse_anchor(self, event: Any) -> None:
        if event.anchor and not self._has_anchors:
            raise BrokenYamlError("has a YAML anchor or alias, which a cassette never has", _line(event))

    def _constructed(self, tag: str, value: Any, line: int) -> Any:
        try:
            return self._construct(tag, value)
        except ValueError as error:
            raise BrokenYamlError(str(error), line) from None

    def _place(self, value: Any, weight: int, anchor: str | None, line: int) -> None:
        if anchor:
            self._anchored[anchor] = value, weight
        if not self._open:
            self.root = value
            return
        around = self._open[-1]
        around.weight += weight
        if isinstance(around.value, list):
            around.value.append(value)
        elif around.key is not None:
            around.value[around.key] = value
            around.key = None
        elif not isinstance(value, str):
            raise BrokenYamlError("has a key that is not text", line)
        elif value in around.value:
            raise BrokenYamlError(f"has the key {shown(value)} for the second time", line)
        else:
            around.key = value
