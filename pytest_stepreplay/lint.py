"""Checks of cassettes that stand on disk, ours and those of other tools: secrets, and what makes a test less useful.

A cassette, or a file's bytes and tree, goes in, with what the project has set; problems come out, each with its place
and what to do about it. Secrets are found in the bytes as the scan finds them, and replaced where that is safe: a
private key goes as one, from BEGIN to END, however the file breaks its lines.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from .drift.answers import read_answer
from .drift.contract import MISSING, breaches_of
from .drift.keeping import body_of
from .endpoints import contract_of_url, endpoint_of_url
from .machine import clock
from .matching.keys import Matcher
from .redaction.secret_rules import PRIVATE_KEY, private_keys_in
from .redaction.shapes import PLACEHOLDER, without_keys_in_lines
from .selectors import Selectors, format_path
from .settings import MATCHERS
from .texts.varying import Normalizer
from .value_classes import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime, timedelta

    from .models import Cassette, Interaction
    from .redaction.wall import Place, Wall

_ERROR_STATUS: Final = 400
_NO_BODY: Final = frozenset({204, 205, 304})
_UUID: Final = r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
_MOMENT: Final = r"\b20\d\d-[01]\d-[0-3]\d[T ][0-2]\d:[0-5]\d:[0-5]\d"
_VOLATILE: Final = re.compile(f"(?P<uuid>{_UUID})|(?P<moment>{_MOMENT})", re.IGNORECASE)
_EPOCH_NAME: Final = re.compile(r"(?:.*(?:time|date|stamp|created|now|_at|seed|nonce).*)", re.IGNORECASE)
_SCRUBBED: Final = re.compile(
    r"redacted|filtered|scrubbed|x{4,}|\*{3,}|<[a-z_ -]{3,}>|%3c[a-z_ -]{3,}%3e", re.IGNORECASE
)
_OURS: Final = "[redacted]"


@dataclass(frozen=True)
class Problem:
    """Something in a cassette that a person should know.

    Attributes:
        check: the name of the check that found it.
        place: where in the file's tree; empty for the whole file.
        what: what is wrong there. It never holds a value that could be a secret.
        fix: what to do about it.
        line: where in the file, counted from 1, if that is known without reading it again.
        secret: the secret itself, for replacing it; in no message.
    """

    check: str
    place: Place
    what: str
    fix: str
    line: int | None = None
    secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class Expected:
    """What the project has set, as far as it decides what is a problem.

    Attributes:
        match_on: which parts of a request must be equal.
        ignore_request: selectors of request fields that may differ.
        ignore_order: selectors of lists whose items may come in any order.
        absent_equals: what is the same as its absence, one of `ABSENT_EQUALS`.
        normalize: values that differ from run to run, by kind or pattern.
        ignore_hosts: hosts whose requests pass by.
        contract: the documented object; None for that of each host.
        max_age: how old a recording may be; None for as old as it likes.
        now: the time that ages are counted from; None for this moment.
        again: how a cassette is recorded again, in words.
    """

    match_on: tuple[str, ...] = MATCHERS
    ignore_request: tuple[str, ...] = ()
    ignore_order: tuple[str, ...] = ()
    absent_equals: str = "default"
    normalize: tuple[str, ...] = ()
    ignore_hosts: tuple[str, ...] = ()
    contract: str | None = None
    max_age: timedelta | None = None
    now: datetime | None = None
    again: str = "record it again"


def check_cassette(cassette: Cassette, expected: Expected) -> list[Problem]:
    """Returns the problems of a cassette, in the order of its interactions."""
    found = [problem for check in _OF_EACH for problem in _each(check, cassette.interactions, expected)]
    found += _repeated(cassette.interactions, expected)
    return sorted(found, key=_number_of)


def _number_of(problem: Problem) -> int:
    number = problem.place[1]
    return number if isinstance(number, int) else 0


def _each(
    check: Callable[[Interaction, Expected], Iterator[tuple[str, Place, str, str]]],
    interactions: Sequence[Interaction],
    expected: Expected,
) -> Iterator[Problem]:
    for number, interaction in enumerate(interactions):
        for name, place, what, fix in check(interaction, expected):
            yield Problem(name, ("interactions", number, *place), what, fix)
        for i, sample in enumerate(interaction.samples if check in _OF_ANSWERS else ()):
            for name, place, what, fix in check(replace(interaction, response=sample), expected):
                yield Problem(name, ("interactions", number, "samples", i, *place[1:]), what, fix)


# ---------------------------------------------------------------- one interaction


def _broken_contract(interaction: Interaction, expected: Expected) -> Iterator[tuple[str, Place, str, str]]:
    """Finds what breaks the documented object."""
    response = interaction.response
    if _split(interaction.request.url) is None:
        return
    contract = expected.contract or contract_of_url(interaction.request.url)
    if response.status >= _ERROR_STATUS or contract == "none":
        return
    told = set()
    asked = endpoint_of_url(interaction.request.url)
    answer = read_answer(body_of(response), asked)
    if answer.sort == "answer" and asked.noun and answer.endpoint is not asked:
        what = f"should be {asked.noun}, not {answer.endpoint.noun}"
        yield "contract", ("response",), what, f"{expected.again}, or set stepreplay_contract"
        return
    for breach in breaches_of(answer, contract):
        place: Place = ("response", response.body_kind or "json", *breach.path)
        if breach.path[:1] == ("chunks",):  # the chunks of a stream, which are not its events
            place = ("response", response.body_kind or "events")
        if breach.sort not in told:
            told.add(breach.sort)
            broken = f"should be {breach.expected}, not {breach.got}" if breach.got else MISSING
            where = f"{format_path(breach.path)}: " if breach.path[:1] == ("chunks",) else ""
            what = f"{where}{broken} ({breach.source})"
            yield "contract", place, what, f"{expected.again}, or set stepreplay_contract"


def _never_matching(interaction: Interaction, expected: Expected) -> Iterator[tuple[str, Place, str, str]]:
    """Finds requests that no client of today can send, or that are never looked for."""
    url = interaction.request.url
    parts = _split(url)
    host = parts.hostname or "" if parts else ""
    if parts is None or parts.scheme not in {"http", "https"} or not host:
        yield (
            "match",
            ("request", "url"),
            "is not an HTTP URL, so no request matches it",
            "remove the interaction",
        )
    elif host in expected.ignore_hosts:
        yield (
            "match",
            ("request", "url"),
            f"{host} is in stepreplay_ignore_hosts, so this is never played",
            "remove one of the two",
        )
    elif _SCRUBBED.search(url.replace(_OURS, "")):
        what = "holds another tool's placeholder, so no request matches it any more"
        yield (
            "match",
            ("request", "url"),
            what,
            f"{expected.again}; secrets are redacted the same way on both sides",
        )


def _volatile(interaction: Interaction, expected: Expected) -> Iterator[tuple[str, Place, str, str]]:
    """Finds values in a request that the next run will hardly send again."""
    request = interaction.request
    parts = _split(request.url)
    normalizer = Normalizer(expected.normalize)
    for name, value in parse_qsl(parts.query) if parts and "query" in expected.match_on else ():
        kind = _volatile_kind(name, normalizer.start().in_url(value))
        if kind:
            yield (
                "volatile",
                ("request", "url"),
                f"the parameter {name:.60} holds {kind}",
                "send a fixed value in tests",
            )
    if request.body_kind != "json" or "body" not in expected.match_on:
        return
    walk, ids = Selectors(expected.ignore_request), endpoint_of_url(request.url).ids
    todo: list[tuple[Any, Place, Any]] = [(request.json, (), walk.start)]
    while todo:
        node, place, state = todo.pop()
        if state.hits:
            continue
        if isinstance(node, dict):
            # Ids that differ on each call are matched up to a consistent renaming.
            under = next((step for step in reversed(place) if isinstance(step, str)), "")
            renamed = dict(ids.keys_in(node, under)) if ids else {}
            todo.extend(
                (value, (*place, name), state.step(name))
                for name, value in node.items()
                if name not in renamed
            )
        elif isinstance(node, list):
            todo.extend((value, (*place, i), state.step(i)) for i, value in enumerate(node))
        else:
            kind = _volatile_kind(str(place[-1]) if place else "", normalizer.start()(node))
            if kind:
                fix = f"send a fixed value in tests, or set stepreplay_ignore_request = {format_path(place)}"
                yield "volatile", ("request", "json", *place), f"holds {kind}, which differs in each run", fix


def _volatile_kind(name: str, value: object) -> str:
    if isinstance(value, str) and len(value) >= 19:
        found = _VOLATILE.search(value)
        if found:
            return "a UUID" if found["uuid"] else "a time of day"
    number = str(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    if re.fullmatch(r"1[5-9]\d{8}(?:\d{3})?(?:\.\d+)?", number) and _EPOCH_NAME.fullmatch(name):
        return "a time in seconds"
    return ""


def _wrong_body(interaction: Interaction, expected: Expected) -> Iterator[tuple[str, Place, str, str]]:
    """Finds bodies that are not what their content type says."""
    response = interaction.response
    said = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    kind = response.body_kind
    if not said or response.status in _NO_BODY or interaction.request.method.upper() == "HEAD":
        return
    is_json = said == "application/json" or said.endswith("+json")
    if is_json and (kind != "json" and not _parses(response.text)):
        got = "is empty" if kind is None or response.text == "" else "is not JSON"
        yield "body", ("response",), f"the content type is {said:.60}, and the body {got}", expected.again
    elif (
        said == "text/event-stream"
        and kind not in {"events", None}
        and not (response.text or "").strip().startswith(("data:", "event:", ":", "id:", "retry:"))
    ):
        yield (
            "body",
            ("response",),
            f"the content type is {said}, and the body holds no events",
            expected.again,
        )
    elif (
        not is_json
        and said.startswith(("text/html", "image/", "audio/", "video/"))
        and kind in {"json", "events"}
    ):
        yield (
            "body",
            ("response",),
            f"the content type is {said:.60}, and the body is {'JSON' if kind == 'json' else 'a stream'}",
            expected.again,
        )


def _stale(interaction: Interaction, expected: Expected) -> Iterator[tuple[str, Place, str, str]]:
    """Finds what the test no longer asks, and what was recorded too long ago."""
    if interaction.stale:
        yield "stale", ("stale",), interaction.stale, expected.again
    if expected.max_age is None or interaction.recorded_at is None:
        return
    try:
        moment = clock.read(interaction.recorded_at)
    except ValueError:
        yield "stale", ("recorded_at",), "is no date", expected.again
        return
    age = (expected.now or clock.now()) - (moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    if age > expected.max_age:
        yield "stale", ("recorded_at",), f"was recorded {age.days} days ago", expected.again


_OF_EACH: Final = (_broken_contract, _never_matching, _volatile, _wrong_body, _stale)
_OF_ANSWERS: Final = (_broken_contract, _wrong_body)


# ---------------------------------------------------------------- all of them


def _repeated(interactions: Sequence[Interaction], expected: Expected) -> Iterator[Problem]:
    """Finds the same request with the same answer over and over, as other tools stack them up."""
    matcher = Matcher.of(expected)
    first: dict[tuple[str, str], int] = {}
    repeated: dict[int, list[int]] = {}
    for number, each in enumerate(interactions):
        key = (matcher.key(each.request), _answer_key(each))
        if key in first:
            repeated.setdefault(first[key], []).append(number)
        else:
            first[key] = number
    for original, others in repeated.items():
        told = ", ".join(str(other + 1) for other in others[:5]) + (", ..." if len(others) > 5 else "")
        what = f"comes again with the same answer, as {told}"
        fix = f"if the test asks once, {expected.again}"
        yield Problem("repeat", ("interactions", original), what, fix)


def _answer_key(interaction: Interaction) -> str:
    answer = read_answer(body_of(interaction.response), endpoint_of_url(interaction.request.url))
    tree, endpoint = answer.tree, answer.endpoint
    if isinstance(tree, dict):
        changing = {*endpoint.volatile, *endpoint.fleeting, *endpoint.measured}
        tree = {name: value for name, value in tree.items() if name not in changing}
    return f"{interaction.response.status} {json.dumps(tree, sort_keys=True)}"


def _split(url: str) -> SplitResult | None:
    """Returns the parts of a URL; None where it is none."""
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _parses(text: str | None) -> bool:
    try:
        json.loads(text or "")
    except (ValueError, RecursionError):
        return False
    return True


CHECKS: Final = (
    "secret",
    "contract",
    "match",
    "repeat",
    "volatile",
    "body",
    "answer",
    "file",
    "lock",
    "stale",
    "unreadable",
)
"""The names of all checks, of files too."""


# ---------------------------------------------------------------- secrets in a file

_ENCODED = ("in base64", "URL-encoded", "escaped")
_FIX = "revoke it, and replace it here"
_RECORD = "revoke it, delete the file, and record the test again without it"
_LOOK = "too long to be replaced unseen: look at it, and record the test again without it, or allow its place"
NOT_FIXED = (
    "--fix could not replace it safely: revoke it, delete the file, and record the test again without it"
)
"""The advice where a repair was tried."""

_LONGEST_REPLACED = 4096
"""Characters. What is longer may be anything, such as a picture that holds what looks like the start of a key."""


def check_secrets(content: bytes, tree: Any, wall: Wall) -> list[Problem]:
    """Returns a problem for each secret in a file.

    Args:
        content: its bytes.
        tree: what they stand for; None where they cannot be read.
        wall: what is secret, and where it is allowed.
    """
    found = []
    for each in wall.findings(content, tree):
        # Base64 with a hole in it decodes to something else.
        replaceable = tree is not None and not each.what.endswith(_ENCODED)
        fix = _FIX if replaceable else _RECORD
        if replaceable and each.what != PRIVATE_KEY and len(each.secret) > _LONGEST_REPLACED:
            replaceable, fix = False, _LOOK
        secret = each.secret if replaceable else ""
        found.append(Problem("secret", each.place, f"holds {each.what}", fix, each.line, secret))
    return found


def replaced_in_text(content: bytes, secrets: Iterable[str], placeholder: str = PLACEHOLDER) -> bytes:
    """Returns the bytes of a file with the placeholder for each secret that stands in them as it is."""
    content = _without_private_keys(content, placeholder)
    for secret in sorted(set(secrets), key=len, reverse=True):
        content = content.replace(secret.encode(), placeholder.encode())
    return content


def _without_private_keys(content: bytes, placeholder: str) -> bytes:
    for key in reversed(private_keys_in(content)):
        content = content[: key.start] + placeholder.encode() + content[key.end :]
    return content


def replaced_in_tree(tree: Any, secrets: Iterable[str], placeholder: str = PLACEHOLDER) -> Any:
    """Returns a tree with the placeholder for each secret in its texts and keys. Without recursion."""
    ordered = sorted(set(secrets), key=len, reverse=True)

    def replaced(value: Any) -> Any:
        if isinstance(value, str):
            data = value.encode("utf-8", "surrogatepass")
            return replaced_in_text(data, ordered, placeholder).decode("utf-8", "surrogatepass")
        return replaced_in_text(value, ordered, placeholder) if isinstance(value, bytes) else value

    root = [tree]
    todo: list[tuple[Any, Any]] = [(root, 0)]
    while todo:
        parent, at = todo.pop()
        node = parent[at]
        if isinstance(node, dict):
            parent[at] = copied = {replaced(key): value for key, value in node.items()}
            todo.extend((copied, key) for key in copied)
        elif isinstance(node, list):
            parent[at] = items = list(without_keys_in_lines(node, placeholder))
            todo.extend((items, i) for i in range(len(items)))
        else:
            parent[at] = replaced(node)
    return root[0]
