"""What is never stored: secrets in URLs, bodies and headers.

A request or response goes in, the same one with `PLACEHOLDER` in place of every secret comes out. The
placeholder does not depend on the secret, so that a request matches itself when it is sent with another key.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cached_property, lru_cache
from os.path import commonprefix
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from ..errors import SettingsError
from ..lazy import late_pattern
from ..settings import PLACEHOLDER_KEY
from ..value_classes import dataclass
from ..wire.headers import NEVER_KEPT
from .escapes import layers_of, may_be_escaped
from .shapes import (
    BEGIN_OF_KEY,
    NO_EDGES,
    PLACEHOLDER,
    Edges,
    holds_secret,
    is_inline_data,
    may_hold_secret,
    normalise_name,
    spans_of_keys,
    spans_of_shapes,
    without_keys_in_lines,
)
from .streams import framed_payload, is_stream, payload_of, split_texts, with_payload
from .variables import environment_secrets, forms_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from ..models import BodyPart, RawFrame, Request, Response

_LONGEST_REMEMBERED: Final = 4096
"""How many characters a text may have that is remembered as clean."""
_MOST_REMEMBERED: Final = 4096
_SHORTEST_SECRET: Final = 6
_LONGEST_NAME: Final = 64

_PART_NAME: Final = late_pattern(r'\bname="([^"]*)"')
_URL_ENCODED: Final = late_pattern(r"(?<=[=/])[^=/&?#%]*%[^=/&?#]*")
_URL_USERINFO: Final = late_pattern(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@")


@dataclass(frozen=True)
class Redactor:
    """Replaces secrets, by what every run knows of them and by what a project adds.

    Attributes:
        fields: more names of JSON fields and query parameters whose values are secret.
        patterns: more regular expressions; what they match in a text is secret.
        secrets: exact values that are secret; None takes those of the environment, at the first use.
        values: more exact values that are secret.
    """

    fields: Collection[str] = ()
    patterns: tuple[str, ...] = ()
    secrets: Collection[str] | None = None
    values: Collection[str] = ()

    def __post_init__(self) -> None:
        """Checks the patterns.

        Raises:
            SettingsError: one is not a regular expression, or matches the placeholder itself.
        """
        for pattern in self.patterns:
            try:
                found = re.search(pattern, PLACEHOLDER)
            except re.error as error:
                raise SettingsError(f"the pattern {pattern!r} is not a regular expression: {error}") from None
            if found:
                raise SettingsError(f"the pattern {pattern!r} also matches {PLACEHOLDER}; make it narrower")

    def redact_request(self, request: Request) -> Request:
        """Returns the request as it may be stored: the same object where it holds no secret."""
        changes = self._redact_body(request)
        url = self.redact_url(request.url)
        if url != request.url:
            changes["url"] = url
        return replace(request, **changes) if changes else request

    def redact_response(self, response: Response) -> Response:
        """Returns the response as it may be stored: the same object where it holds no secret."""
        changes = self._redact_body(response)
        headers = {
            name: self.redact_url(value)
            for name, value in response.headers.items()
            if not NEVER_KEPT.fullmatch(name.lower())
        }
        if headers != response.headers:
            changes["headers"] = headers
        return replace(response, **changes) if changes else response

    def redact_url(self, url: str) -> str:
        """Returns the URL without user and password, and with its secret parameters replaced."""
        url = _URL_USERINFO.sub(r"\1", url)
        return self.redact_text(_URL_ENCODED.sub(self._redact_encoded, url) if "%" in url else url)

    def redact_text(self, text: str) -> str:
        """Returns the text with all that is, or looks like, a secret replaced."""
        clean = self._rules.clean
        if text in clean:
            return text
        redacted = self._redact(text)
        if redacted == text and len(text) <= _LONGEST_REMEMBERED and BEGIN_OF_KEY not in text:
            if len(clean) >= _MOST_REMEMBERED:
                clean.clear()
                self._rules.plain_names.clear()
            clean.add(text)
        return redacted

    def _redact(self, text: str) -> str:
        if text[:1] in ("{", "["):  # as the arguments of a tool call: it must stay JSON
            try:
                tree = json.loads(text, object_pairs_hook=_read_unique)
            except (ValueError, RecursionError):
                pass
            else:
                redacted = self.redact_json(tree)
                return text if redacted is tree else json.dumps(redacted, ensure_ascii=text.isascii())
        for _ in range(4):  # what stood beside a secret may now stand alone, and be one
            redacted = self._redact_once(text)
            if redacted == text:
                break
            text = redacted
        return text

    def redact_json(self, tree: Any) -> Any:
        """Returns the JSON tree with its secrets replaced: the same object where it holds none.

        It is walked without recursion: a deep body must not keep its secrets.
        """
        if self._is_clean(tree):
            return tree
        root = [tree]
        todo: list[tuple[Any, Any, bool]] = [(root, 0, False)]
        changed = False
        while todo:
            parent, at, secret = todo.pop()
            node = parent[at]
            if isinstance(node, str):
                redacted = (PLACEHOLDER if node else "") if secret else self.redact_text(node)
                if redacted != node:
                    parent[at] = redacted
                    changed = True
            elif isinstance(node, dict):
                copied = {}
                for name, value in node.items():
                    key = self.redact_text(name) if isinstance(name, str) else name
                    changed |= key != name
                    copied[key] = value
                    if isinstance(value, str | dict | list):
                        hidden = holds_secret(str(name), value, self._rules.names, beside=node)
                        todo.append((copied, key, hidden))
                parent[at] = copied
            elif isinstance(node, list):
                copied_list = list(without_keys_in_lines(node))
                changed |= len(copied_list) != len(node)
                parent[at] = copied_list
                todo.extend((copied_list, i, secret) for i in range(len(copied_list)))
        return root[0] if changed else tree

    def _is_clean(self, tree: Any) -> bool:
        """Whether nothing in the tree can be secret, as in most. It copies nothing, as redaction must."""
        rules = self._rules
        todo = [tree]
        for node in todo:  # which grows meanwhile
            if node.__class__ in _NUMBERS:
                continue
            if isinstance(node, str):
                if node not in rules.clean and (self.redact_text(node) != node or BEGIN_OF_KEY in node):
                    return False  # or it may be the first line of a key
            elif isinstance(node, dict):
                if not rules.plain_names.issuperset(node):
                    for name, value in node.items():
                        if name not in rules.plain_names and not self._is_plain_field(name, value, node):
                            return False
                todo += node.values()
            elif isinstance(node, list):
                todo += node
        return True

    def _is_plain_field(self, name: object, value: object, beside: dict[Any, Any]) -> bool:
        """Whether a field's name is no secret, and says of its value that it is none."""
        text, rules = str(name), self._rules
        if self.redact_text(text) != text:
            return False
        if may_hold_secret(text, rules.names):
            return not isinstance(value, str | dict | list) or not holds_secret(
                text, value, rules.names, beside=beside
            )
        if text in rules.clean:
            rules.plain_names.add(text)
        return True

    def _redact_body(self, message: Request | Response) -> dict[str, Any]:
        """Returns the fields of the message that change."""
        kind = message.body_kind
        if kind == "json":
            tree = self.redact_json(message.json)
            return {} if tree is message.json else {"json": tree}
        if kind == "events" and message.events:
            events = self._redact_split(tuple(self._redact_event(event) for event in message.events))
            return {} if events == message.events else {"events": events}
        if kind == "text" and message.text:
            # A form's first field has no "&" before it.
            text = message.text
            if is_stream(text):
                lines = tuple(self._redact_framed(line) for line in text.split("\n"))
                text = "\n".join(map(_text_of, self._redact_split(lines)))
            text = self.redact_text("&" + text)[1:]
            return {} if text == message.text else {"text": text}
        if kind == "parts" and message.parts:
            parts = tuple(self._redact_part(part) for part in message.parts)
            return {} if parts == message.parts else {"parts": parts}
        return {}

    def _redact_part(self, part: BodyPart) -> BodyPart:
        """Returns a part of a form redacted: its name says of its text what that of a JSON field says."""
        head = self.redact_text(part.head)
        text = part.text
        if text is not None:
            named = _PART_NAME.search(part.head)
            text = self.redact_json({named[1]: text})[named[1]] if named else self.redact_text(text)
        return part if (head, text) == (part.head, part.text) else replace(part, head=head, text=text)

    def _redact_encoded(self, found: re.Match[str]) -> str:
        plain = unquote(found[0])
        return found[0] if self.redact_text(plain) == plain else PLACEHOLDER

    def _redact_event(self, event: str | RawFrame) -> str | RawFrame:
        if not isinstance(event, str):
            frame = self._redact_framed(event.frame)
            return event if frame == event.frame else replace(event, frame=frame)
        return self.redact_text(event)

    def _redact_framed(self, frame: str) -> str:
        """Returns a frame, or a line of a stream, redacted: what it carries as what it is, so JSON by its fields."""
        payload = framed_payload(frame)
        if payload is not None:
            redacted = self.redact_text(payload)
            if redacted != payload:
                frame = with_payload(frame, redacted)
        return self.redact_text(frame)

    def _redact_split(self, events: tuple[str | RawFrame, ...]) -> tuple[str | RawFrame, ...]:
        """Redacts what only the texts show that the events carry in pieces.

        Of such a text the first piece with some of the secret gets the placeholder, and the others what is left.
        """
        changed: dict[int, list[tuple[tuple[str | int, ...], str]]] = {}
        for pieces in split_texts([_text_of(event) for event in events]):
            whole = "".join(piece.text for piece in pieces)
            redacted = self.redact_text(whole)
            if redacted == whole:
                continue
            for piece, text in zip(
                pieces, _spread(whole, redacted, [len(it.text) for it in pieces]), strict=True
            ):
                if text != piece.text:
                    changed.setdefault(piece.event, []).append((piece.path, text))
        if not changed:
            return events
        return tuple(_with_texts(event, changed.get(i, ())) for i, event in enumerate(events))

    def _redact_once(self, text: str) -> str:
        if len(text) < _SHORTEST_SECRET or is_inline_data(text):
            return text
        for find in (self._spans_of_values, spans_of_keys, self._spans_of_others):
            text = _replaced(text, find)
        return text

    def _spans_of_values(self, text: str, _edges: Edges = NO_EDGES) -> Iterator[tuple[int, int]]:
        for value in self._rules.values:
            at = text.find(value)
            while at >= 0:
                yield at, at + len(value)
                at = text.find(value, at + len(value))

    def _spans_of_others(self, text: str, _edges: Edges = NO_EDGES) -> Iterator[tuple[int, int]]:
        yield from spans_of_shapes(text, self._rules.names)
        for pattern in self._rules.patterns:
            yield from (found.span() for found in re.finditer(pattern, text) if found[0])

    @cached_property
    def known(self) -> frozenset[str]:
        """The exact values that are secret."""
        return frozenset(self.values) | (
            environment_secrets() if self.secrets is None else frozenset(self.secrets)
        )

    @cached_property
    def _rules(self) -> _Rules:
        # What holds a key when it is recorded holds this in its place when it is replayed without one.
        values = self.known | {PLACEHOLDER_KEY} if self.secrets is None else self.known
        return _rules_of(values, frozenset(map(normalise_name, self.fields)), tuple(self.patterns))


_NUMBERS: Final = frozenset({int, float, bool, type(None)})


class _Rules:
    """What the redactors of all tests share that replace the same.

    Attributes:
        values: each way in which a value that is secret may stand in a text, the longest first.
        names: those of more fields that are secret.
        patterns: what more is secret.
        clean: texts in which nothing is replaced: a suite repeats its system prompts, and each turn of a
            conversation repeats those before it.
        plain_names: names of fields in which nothing is replaced either, whatever their values are.
    """

    def __init__(self, values: frozenset[str], names: frozenset[str], patterns: tuple[str, ...]) -> None:
        forms = {form for value in values for form in forms_of(value)}
        forms |= {form.rstrip("=") for form in forms if form not in values}
        found = [form for form in forms if form not in PLACEHOLDER]
        self.values = tuple(sorted(found, key=lambda form: (-len(form), form)))
        self.names = names
        self.patterns = patterns
        self.clean: set[str] = set()
        self.plain_names: set[str] = set()


_rules_of = lru_cache(maxsize=8)(_Rules)


def _replaced(text: str, find: Callable[[str, Edges], Iterator[tuple[int, int]]]) -> str:
    """Returns the text with the placeholder for what is found in it, and in what it says behind its escapes."""
    spans = list(find(text, NO_EDGES))
    if may_be_escaped(text):
        for layer in layers_of(text):
            spans += layer.spans(find, 0 if find is spans_of_keys else _LONGEST_NAME)
    if not spans:
        return text
    pieces, at = [], 0
    for start, end in _merged(spans):
        pieces += [text[at:start], PLACEHOLDER]
        at = end
    return "".join([*pieces, text[at:]])


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Returns the spans in order, those that overlap as one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _text_of(event: str | RawFrame) -> str:
    return event if isinstance(event, str) else event.frame


def _spread(before: str, after: str, lengths: Sequence[int]) -> list[str]:
    """Returns the new text in as many pieces as the old one had, what stayed the same where it was."""
    start = len(commonprefix([before, after]))  # noqa: RUF071 - no paths
    end = len(commonprefix([before[start:][::-1], after[start:][::-1]]))  # noqa: RUF071
    stop = len(before) - end  # before[start:stop] has become after[start : len(after) - end]
    new = after[start : len(after) - end]
    pieces, at = [], 0
    for length in lengths:
        text = before[at : at + length]
        kept = text[: max(0, start - at)]
        if at <= start < at + length:
            kept += new
        pieces.append(kept + text[max(0, stop - at) :])
        at += length
    return pieces


def _with_texts(event: str | RawFrame, texts: Iterable[tuple[tuple[str | int, ...], str]]) -> str | RawFrame:
    """Returns the event with other texts at these places of its JSON; as a whole where it has none."""
    whole = _text_of(event)
    for path, text in texts:
        payload = text
        if path:
            try:
                tree = node = json.loads(payload_of(whole))
                for step in path[:-1]:
                    node = node[step]
                node[path[-1]] = text
                payload = json.dumps(tree, ensure_ascii=whole.isascii())
            except (ValueError, TypeError, LookupError):  # JSON only together with the event after it
                payload = PLACEHOLDER
        whole = with_payload(whole, payload)
    return whole if isinstance(event, str) else replace(event, frame=whole)


def _read_unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns the object; of a key that comes twice, the first value would hide from the search."""
    read = dict(pairs)
    if len(read) < len(pairs):
        raise ValueError("a key comes twice")
    return read
