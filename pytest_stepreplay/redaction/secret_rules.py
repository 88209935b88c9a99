"""The second wall's own rules: where in the bytes of a file something looks like a secret.

Bytes go in, hits with their offsets come out. Runs of the characters that keys are made of are found first, at
the speed of `bytes.find`; only those are looked at closely, each a bounded number of times, so the time grows
with the size of the file alone.

The shapes are those that their issuers document, and those of `key_table`, which may be of any length here.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64decode
from bisect import bisect_left, bisect_right
from functools import cache, cached_property, lru_cache
from math import log2
from typing import TYPE_CHECKING, Final, NamedTuple

from . import key_table
from .variables import is_made_up

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

SHORTEST_RUN: Final = 16
LONGEST_TRIED_AT_EACH_OFFSET: Final = 4096
LARGEST_UNPACKED: Final = 64 * 1024 * 1024
DEEPEST: Final = 2
"""How often base64 in base64 is opened."""


class Hit(NamedTuple):
    """What looks like a secret: where it stands in the bytes, and what it is."""

    start: int
    end: int
    what: str


# By the words for a message: how the key starts, in one of several ways, and the rest of it.
_SHAPES: Final[dict[str, tuple[str, str]]] = {
    "an Anthropic API key": ("sk-ant-", r"[A-Za-z0-9_-]{16,}"),
    "an OpenAI API key": (
        "sk-",
        r"(?:(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{16,}|[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20})",
    ),
    "an OpenRouter API key": ("sk-or-v1-", r"[A-Za-z0-9]{32,}"),
    # StepFun, OpenAI, DeepSeek, Moonshot, ...
    "an API key of the form sk-...": ("sk-", r"[A-Za-z0-9_-]{16,}"),
    "an AWS access key": ("AKIA ASIA ABIA ACCA", r"[A-Z2-7]{16}(?![A-Za-z0-9])"),
    "a GitHub token": ("ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", r"[A-Za-z0-9_]{36,255}"),
    "a GitLab token": ("glpat- glptt- glrt- gldt- glcbt- glsoat-", r"[A-Za-z0-9_-]{20,}"),
    "a Google API key": ("AIza", r"[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    "a Google OAuth token": ("ya29.", r"[A-Za-z0-9_-]{20,}"),
    "a Google client secret": ("GOCSPX-", r"[A-Za-z0-9_-]{28}"),
    "a Slack token": ("xox", r"[abeoprs]-[A-Za-z0-9.-]{10,}"),
    "a Slack app token": ("xapp-", r"[0-9]-[A-Za-z0-9-]{10,}"),
    "a Slack webhook": ("hooks.slack.com/", r"[a-z]+/T[A-Za-z0-9]+/B?[A-Za-z0-9]+/[A-Za-z0-9/]{16,}"),
    "a Discord webhook": (
        "discord.com/api/webhooks/ discordapp.com/api/webhooks/",
        r"[0-9]{15,}/[A-Za-z0-9_-]{50,}",
    ),
    "a Stripe key": (
        "sk_live_ sk_test_ sk_prod_ rk_live_ rk_test_ rk_prod_",
        r"[A-Za-z0-9]{16,}",
    ),
    "a Hugging Face token": ("hf_ api_org_", r"[A-Za-z0-9]{34}"),
    "a Groq API key": ("gsk_", r"[A-Za-z0-9]{40,}"),
    "an xAI API key": ("xai-", r"[A-Za-z0-9]{40,}"),
    "a Perplexity API key": ("pplx-", r"[A-Za-z0-9]{40,}"),
    "a Replicate token": ("r8_", r"[A-Za-z0-9]{37}"),
    "an NVIDIA API key": ("nvapi-", r"[A-Za-z0-9_-]{40,}"),
    "a Tavily API key": ("tvly-", r"[A-Za-z0-9_-]{20,}"),
    "a LangSmith API key": ("lsv2_pt_ lsv2_sk_", r"[a-f0-9]{32}_[a-f0-9]{10}"),
    "a Pinecone API key": ("pcsk_", r"[A-Za-z0-9_]{32,}"),
    "a Cerebras API key": ("csk-", r"[A-Za-z0-9]{32,}"),
    "a Fireworks API key": ("fw_", r"[A-Za-z0-9]{20,}"),
    "a Firecrawl API key": ("fc-", r"[a-f0-9]{32}"),
    "a Databricks token": ("dapi", r"[a-f0-9]{32}"),
    "a DigitalOcean token": ("dop_v1_ doo_v1_ dor_v1_", r"[a-f0-9]{40,}"),
    "a Vault token": ("hvs. hvb. hvr.", r"[A-Za-z0-9_-]{24,}"),
    "a Shopify token": ("shpat_ shpca_ shppa_ shpss_", r"[A-Fa-f0-9]{32}"),
    "a Notion token": ("ntn_", r"[A-Za-z0-9]{40,}"),
    "an npm token": ("npm_", r"[A-Za-z0-9]{36}"),
    "a PyPI token": ("pypi-", r"[A-Za-z0-9_-]{50,}"),
    "a SendGrid API key": ("SG.", r"[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    "a JSON Web Token": ("eyJ", r"[A-Za-z0-9_-]{8,1024}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),
}
# A key whose length has changed since its rule was written: where the start says so much, random letters do the rest.
_OF_ANY_LENGTH: Final = r"[A-Za-z0-9]{24,}"
_TELLING_START: Final = re.compile(r".{3,}[_.-]")
_BY_START: Final = 3  # characters: no start is shorter
# What no run holds has the part that it cannot do without.
_SPLIT_SHAPES: Final = (
    ("a Telegram bot token", b":AA", rb"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])"),
    ("an Azure client secret", b"Q~", rb"(?<![\w~.-])[\w~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}"),
)

_LOOK_AROUND: Final = re.compile(rb"\(\?<?!\[[^\]]+\]\)")

_PRIVATE_KEY: Final = re.compile(rb"(?:-{4,5} ?BEGIN[^-]{0,80})?PRIVATE KEY(?: BLOCK)?-{4,5}")
_END_OF_PRIVATE_KEY: Final = re.compile(rb"-{4,5} ?(BEGIN|END)[^-]{0,80}PRIVATE KEY(?: BLOCK)?-{4,5}")
# The lines of one that is cut off, with what may stand between two lines: a break, an escape of one, quotes.
_PRIVATE_KEY_LINES: Final = re.compile(
    rb"(?:(?:[\s\"',+-]|\\+[nrt\r\n])*+[A-Za-z0-9+/=]{24,}+)++(?:(?:\s|\\+[nr])++[A-Za-z0-9+/]*[0-9+/=][A-Za-z0-9+/=]*)?"
)
_URL_PASSWORD: Final = re.compile(rb"://([^\s/?#@:\"'<>\\]{0,256}):([^\s/?#@\"'<>\\]{3,256})@")

# A key's part that no word is: letters and digits, or letters of both cases, or many different letters.
_PART: Final = re.compile(rb"[A-Za-z0-9]{12,}")
_MADE_UP: Final = re.compile(
    rb"example|placeholder|redacted|changeme|dummy|x{4}|\*{3}|123456|abcdef|(.)\1{5}|eyJzdWIiOiIxMjM0NTY3ODkw",
    re.IGNORECASE,
)

# What an escape leaves before a key, where a run starts: the letter or number after a backslash or a percent sign, of
# e-mail's "=0A", and of a terminal's colour.
_REST_OF_ESCAPE: Final = re.compile(
    rb"(?<=\\)(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}|[0-7]{1,3}|[A-Za-z])"
    rb"|(?<=%)(?:25)*[0-9A-Fa-f]{2}|(?<==)[0-9A-F]{2}|(?<=[\[;])[0-9]*[A-Za-z]"
)
_BEFORE_REST: Final = b"\\%=[;"
# Lines in the middle of an encoded file look like anything, keys too.
_BLOB: Final = re.compile(rb"[A-Za-z0-9+/_-]{24,64}")
_BLOB_CASES: Final = re.compile(rb"(?=.*[A-Z])(?=.*[a-z]).*[0-9]")
_BLOB_DENSITY: Final = 0.8

_IN_RUN: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+/."
_MASK: Final = bytes(97 if byte in _IN_RUN else 32 for byte in range(256))
_RUN: Final = b"a" * SHORTEST_RUN
_PRIVATE_KEY_LINE: Final = b"a" * 32
_HEAD_OF_PRIVATE_KEY: Final = 600  # an encrypted one says first how it is
PRIVATE_KEY: Final = "a private key"
BY_NAME: Final = "a value that looks like a key, under a name that says so"
_IN_BASE64: Final = ", in base64"
_LONGEST_KEY: Final = 512
# A JSON Web Token holds whatever its issuer likes. All others end sooner, and each start is tried: not to the end
# of a run, or the time would grow with its square.
_LONGEST: Final = {"eyJ": 16384}
_CONTEXT: Final = 48
_SCHEME: Final = b"bearer"
_WORD: Final = re.compile(rb"[A-Za-z0-9_-]*")
_NAME_AT_END: Final = re.compile(rb"([^A-Za-z0-9_.-]?)([A-Za-z0-9_.-]++)\Z")
_HEX_AND_DASH: Final = b"0123456789abcdefABCDEF-"
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{24,}")
_URLSAFE: Final = bytes.maketrans(b"-_", b"+/")
_EDGE: Final = re.compile(rb"[-_+/.]")
# Between a name and its value; of an escape, what it leaves.
_BETWEEN: Final = b" \t\r\n\"'\\[-"
_ESCAPED_BETWEEN: Final = re.compile(rb"(?:\\+(?:[nrt]|u00[0-9A-Fa-f]{2}|x[0-9A-Fa-f]{2})|[\s\"'\\\[-])*\Z")
_COLON: Final = re.compile(rb"(?::|=|\\+u003[ad]|\\+x3[ad]|%3[AaDd])\Z")
_COOKIE: Final = re.compile(rb"cookie2?[\"'\\]{0,8}\s*[:=,]", re.IGNORECASE)
_COOKIE_NAME: Final = re.compile(
    r".*(?:session|sess|sid|auth|token|jwt|secret|login)(?:id|key|data)?|remember.*"
)
_FARTHEST_COOKIE: Final = 1024
_PIECE: Final = re.compile(rb"(?:logprobs?|\b(?:bytes|special))[\\\"']{0,8}\s*:", re.IGNORECASE)
# Made to be seen: Datadog's client token in a page's security policy, keys of Stripe, Langfuse and PostHog for pages.
_PUBLIC: Final = re.compile(rb"pub[0-9a-f]{32}|(?:pk|phc)[_-][A-Za-z0-9_-]+")
_NEAR: Final = 256

_KEY_NAME: Final = re.compile(
    r".*(?:api|access|secret|private|signing|encryption|master|account|auth|subscription|shared|storage)key"
    r"|.*(?:token|secret|passw(?:or)?d|passphrase|authorization|credential)|pwd|bearer|jwt|hmac"
)
_PARAMETER_NAME: Final = re.compile(r"key|sig|.*signature")  # in a URL only: elsewhere these may be anything
_NO_KEY_NAME: Final = re.compile(
    r".*(?:page|next|continuation|sync|max|stop|eos|bos|pad|cursor|public|cache).*"
)
_LEAST_ENTROPY: Final = 3.0


class Bounds(NamedTuple):
    """Where a key may begin and end although the bytes do not show it: there was an escape. In order."""

    begins: Sequence[int]
    ends: Sequence[int]

    def begins_in(self, start: int, end: int) -> Sequence[int]:
        """Returns where between two places a key may begin."""
        return self.begins[bisect_left(self.begins, start) : bisect_left(self.begins, end)]

    def ends_in(self, start: int, end: int) -> Sequence[int]:
        """Returns where between two places a key may end, of many the first ones."""
        first = bisect_right(self.ends, start)
        return self.ends[first : min(first + _MOST_ENDS, bisect_left(self.ends, end))]


_harmless: Final = set[bytes]()
"""Runs that can hold no key, each with the context that decides it: cassettes repeat them all the time."""
_MOST_HARMLESS: Final = 4096
_LONGEST_HARMLESS: Final = 512

_MOST_ENDS: Final = 32
_SHOWN: Final = Bounds((), ())


def find_hits(data: bytes, depth: int = 0, bounds: Bounds = _SHOWN) -> Iterator[Hit]:
    """Yields what looks like a secret in the bytes.

    Args:
        data: the content of a file, or of a text in it.
        depth: how many encodings it was in. What is found inside of base64 is reported where that stands.
        bounds: where a key may begin and end beside where the bytes show it.
    """
    mask = data.translate(_MASK)
    if len(_harmless) > _MOST_HARMLESS:
        _harmless.clear()
    start = mask.find(_RUN)
    while start >= 0:
        end = mask.find(b" ", start)
        end = len(data) if end < 0 else end
        context = data[max(0, start - _CONTEXT) : start]
        known = context + data[start:end]
        if known not in _harmless:
            hits = list(_hits_in_run(data, start, end, depth, bounds))
            name = b"" if hits else _name_of(context)
            opaque = _opaque_part(data, start, end) if name and _may_name_secret(name) else None
            if opaque and _names_secret(data, start, end, name):
                hits = [Hit(*opaque, BY_NAME)]
            yield from hits
            if not (hits or opaque or depth) and bounds is _SHOWN and len(known) <= _LONGEST_HARMLESS:
                _harmless.add(known)
        start = mask.find(_RUN, end)
    if b"PRIVATE KEY" in data:
        yield from _private_keys(data, mask)
    for what, part, shape in _split_shapes(as_shown=bounds is _SHOWN):
        if part in data:
            yield from (Hit(*found.span(), what) for found in re.finditer(shape, data) if _is_real(found[0]))
    if b"://" in data and b"@" in data:
        yield from _url_passwords(data)


def private_keys_in(data: bytes) -> list[Hit]:
    """Returns the private keys in the bytes, each from BEGIN to END; of one that is cut off, all its lines."""
    return list(_private_keys(data, data.translate(_MASK))) if b"PRIVATE KEY" in data else []


def _private_keys(data: bytes, mask: bytes) -> Iterator[Hit]:
    done = 0
    for key in _PRIVATE_KEY.finditer(data):
        if key.start() < done:
            continue
        line = mask.find(_PRIVATE_KEY_LINE, key.end(), key.end() + _HEAD_OF_PRIVATE_KEY)
        if line < 0:
            continue
        end = _END_OF_PRIVATE_KEY.search(data, line)
        lines = _PRIVATE_KEY_LINES.match(data, line)
        cut_off = lines.end() if lines else line + len(_PRIVATE_KEY_LINE)
        done = end.end() if end and end[1] == b"END" else cut_off
        yield Hit(key.start(), done, PRIVATE_KEY)


def entropy(text: bytes) -> float:
    """Returns the bits of information in each byte, by how often each of them comes."""
    size = len(text)
    return -sum((n := text.count(byte)) / size * log2(n / size) for byte in set(text))


def _hits_in_run(data: bytes, start: int, end: int, depth: int, bounds: Bounds) -> Iterator[Hit]:
    """Yields the keys of known shapes in a run of their characters, as it stands and in base64."""
    found, shapes = start, _shapes()
    hidden = bounds.begins_in(start, end)
    edges = _edges(data, start, end)
    for at in sorted({*edges, *hidden}) if hidden else edges:
        for shape in shapes.get(data[at : at + _BY_START], ()) if at >= found else ():
            key = _key_at(data, at, min(end, at + shape.longest), shape, bounds)
            if key and not _in_blob(data, start, at):
                found = _end_of_word(data, key.end(), end)
                yield Hit(at, found, shape.what)
                break
    if found > start or depth == DEEPEST or not data[start:end].translate(None, _HEX_AND_DASH):
        return
    for text in _BASE64.finditer(data, start, end):
        for offset in range(4 if len(text[0]) <= LONGEST_TRIED_AT_EACH_OFFSET else 1):
            for hit in find_hits(decoded_base64(text[0][offset:]), depth + 1):
                if hit.what != BY_NAME:
                    what = hit.what if _IN_BASE64 in hit.what else hit.what + _IN_BASE64
                    yield Hit(*text.span(), what)


def _key_at(data: bytes, at: int, end: int, shape: _KindOfKey, bounds: Bounds) -> re.Match[bytes] | None:
    if data.startswith(shape.start, at):
        for stop in (end, *bounds.ends_in(at, end)):
            match = shape.pattern.match(data, at, stop)
            if match and shape.is_real(match[0]):
                return match
    return None


def _edges(data: bytes, start: int, end: int) -> list[int]:
    """Returns where in a run a key may start: at its own start, behind an escape, and behind what is no letter."""
    edges = [start]
    before = data[start - 1 : start]
    if before in _BEFORE_REST and before:
        rest = _REST_OF_ESCAPE.match(data, start, end)
        if rest:
            edges += [rest.end(), start + 1] if before == b"\\" else [rest.end()]
    edges += [edge.end() for edge in _EDGE.finditer(data, start, end)]
    return edges


def _end_of_word(data: bytes, at: int, end: int) -> int:
    word = _WORD.match(data, at, end)
    return word.end() if word else at


def _in_blob(data: bytes, start: int, at: int) -> bool:
    """Tells whether a place in a run is in the middle of encoded bytes, where each three letters come by chance."""
    before = data[max(start, at - 64) : at]
    return (
        _BLOB.fullmatch(before) is not None
        and _BLOB_CASES.match(before) is not None
        and entropy(before) >= _BLOB_DENSITY * log2(len(before))
    )


class _KindOfKey:
    """A kind of key, whose expression is compiled when a run has its start."""

    def __init__(self, what: str, start: str, rest: str, is_real: Callable[[bytes], bool]) -> None:
        self.what = what
        self.is_real = is_real
        self.longest = _LONGEST.get(start, _LONGEST_KEY)
        self.start = start.encode()
        self._text = f"{re.escape(start)}(?:{rest})".encode()

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        """What a key looks like."""
        return re.compile(self._text)


@cache
def _split_shapes(*, as_shown: bool) -> tuple[tuple[str, bytes, bytes], ...]:
    """Returns the shapes that start with what is in no run.

    Args:
        as_shown: whether the bytes show where a key begins and ends.
    """
    if not as_shown:
        return tuple(
            (what, part, _LOOK_AROUND.sub(b"", shape)) for what, part, shape in _split_shapes(as_shown=True)
        )
    rows = ((start.encode(), rest.encode(), kind) for start, rest, kind in key_table.KEYS)
    return *_SPLIT_SHAPES, *(
        (f"a key of the kind {kind}", start, re.escape(start) + rest)
        for start, rest, kind in rows
        if start.translate(None, _IN_RUN)
    )


@cache
def _shapes() -> dict[bytes, list[_KindOfKey]]:
    """Returns the shapes by the first characters: a look-up, where nearly all words are of none."""
    shapes = [
        _KindOfKey(what, start, rest, _is_real)
        for what, (starts, rest) in _SHAPES.items()
        for start in starts.split()
    ]
    shapes += [
        _KindOfKey(f"a key of the kind {kind}", start, rest, _is_random_at_all)
        for start, rest, kind in key_table.KEYS
    ]
    shapes += [
        _KindOfKey(f"a key of the kind {kind}", start, _OF_ANY_LENGTH, _is_real)
        for start, _, kind in key_table.KEYS
        if _TELLING_START.fullmatch(start)
    ]
    found: dict[bytes, list[_KindOfKey]] = {}
    for shape in shapes:
        found.setdefault(shape.start[:_BY_START], []).append(shape)
    return found


def decoded_base64(text: bytes) -> bytes:
    """Returns what a base64 text, URL-safe or not, encodes, as far as it does; unpacked where that is gzip."""
    digits = text.translate(_URLSAFE).rstrip(b"=")
    whole = digits[:-1] if len(digits) % 4 == 1 else digits
    return unpacked(b64decode(whole + b"=" * (-len(whole) % 4)))


def unpacked(data: bytes) -> bytes:
    """Returns what was compressed with gzip, as far as it can be read; other bytes as they are."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return zlib.decompressobj(wbits=31).decompress(data, LARGEST_UNPACKED)
    except zlib.error:
        return data


def _is_real(key: bytes) -> bool:
    """Tells whether what has the shape of a key is none of those that documentation shows."""
    key = key[:_LONGEST_KEY]
    if not any(_is_random(part[0]) for part in _PART.finditer(key)):
        return False
    return not (_MADE_UP.search(key) or is_made_up(key.decode("ascii")))


def _is_random_at_all(key: bytes) -> bool:
    """Tells whether a key of an exact form is none of those that documentation shows, however short its parts are."""
    key = key[:_LONGEST_KEY]
    made_up = _MADE_UP.search(key) or is_made_up(key.decode("ascii"))
    return not made_up and entropy(key) >= _LEAST_ENTROPY and not key.isalpha()


def _is_random(part: bytes) -> bool:
    text = part.decode("ascii")
    if not text.isalpha():
        return not text.isdigit()
    mixed = not (text.islower() or text.isupper() or text.istitle())
    return mixed or (len(text) >= 16 and entropy(part) >= _LEAST_ENTROPY)


def _is_opaque(value: bytes) -> bool:
    value = value[:_LONGEST_KEY]
    text = value.decode("ascii")
    if len(value) < SHORTEST_RUN or text.isalpha() or text.isdigit() or not _PART.search(value):
        return False
    if not any(map(str.isdigit, text)) or entropy(value) < _LEAST_ENTROPY:
        return False
    return not _MADE_UP.search(value) and not is_made_up(text)


def _opaque_part(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Returns the part of a run that could be any key, if its name says so; None where it could be none."""
    rest = _REST_OF_ESCAPE.match(data, start, end)
    at = rest.end() if rest else start
    value = data[at:end].rstrip(b".")
    return (at, at + len(value)) if _is_opaque(value) and not _PUBLIC.fullmatch(value) else None


@lru_cache(maxsize=1024)
def _may_name_secret(name: bytes) -> bool:
    """Tells whether a value with this name may be secret, whatever stands around them."""
    return (
        name == _SCHEME
        or _is_key_name(name[1:], in_url=name[:1] in (b"?", b"&"))
        or _COOKIE_NAME.fullmatch(_plain(name)) is not None
    )


def _names_secret(data: bytes, start: int, end: int, name: bytes) -> bool:
    """Tells whether a value is secret by its name, which may be that of a secret."""
    if name == _SCHEME:
        return True
    if _plain(name) == "token" and _PIECE.search(data, max(0, start - _NEAR), end + _NEAR):
        return False  # of text, with its probability
    return _is_key_name(name[1:], in_url=name[:1] in (b"?", b"&")) or bool(
        _COOKIE.search(data, max(0, start - _FARTHEST_COOKIE), start)
    )


def names_key(name: str) -> bool:
    """Tells whether a field of this name holds a key, or keys."""
    return _is_key_name(name.encode("utf-8", "replace"), in_url=False)


def named_secrets(name: str, value: str, beside: Collection[object]) -> list[str]:
    """Returns what is secret in the value of a field, by its name.

    Args:
        name: the field's.
        value: the field's.
        beside: the names of the fields beside it.
    """
    if len(value) < SHORTEST_RUN:
        return []
    others = "\n".join(f'"{other}":' for other in beside if other != name)
    data = f"{others}\n{name}: {value}".encode("utf-8", "replace")
    return [data[hit.start : hit.end].decode() for hit in find_hits(data) if hit.what == BY_NAME]


def _name_of(context: bytes) -> bytes:
    """Returns the name of what stands behind the context, with the character before it; nothing where it has none."""
    head = context.rstrip(_BETWEEN)
    if b"\\" in context:
        head = _ESCAPED_BETWEEN.sub(b"", context)
    if head[-6:].lower() == b"bearer":
        return _SCHEME
    scheme, before = head[-5:].lower(), head[:-5].rstrip(b" \t\r\n\"'\\[-:=").lower()
    if scheme in (b"basic", b"token") and before.endswith(b"authorization"):
        return _SCHEME
    colon = _COLON.search(head)
    if not colon:
        return b""
    name = _NAME_AT_END.search(head[: colon.start()].rstrip(b" :=\"'\\"))
    return (name[1] or b" ") + name[2] if name else b""


def _plain(name: bytes) -> str:
    return re.sub(r"[^a-z0-9]", "", name.decode("ascii", "replace").lower())


@lru_cache(maxsize=1024)
def _is_key_name(name: bytes, *, in_url: bool) -> bool:
    """Tells whether a value with this name is expected to be a key, a token or a password."""
    plain = _plain(name)
    if plain.endswith("tokens"):  # they are counted
        return False
    plain = plain.removesuffix("s")
    if in_url and _PARAMETER_NAME.fullmatch(plain):
        return True
    return _KEY_NAME.fullmatch(plain) is not None and _NO_KEY_NAME.fullmatch(plain) is None


def _url_passwords(data: bytes) -> Iterator[Hit]:
    at = data.find(b"://")
    while at >= 0:
        found = _URL_PASSWORD.match(data, at)
        # Nobody's secret: postgres:postgres@localhost
        if found and found[1] != found[2] and not _is_masked(found[2]):
            yield Hit(*found.span(2), "a password in a URL")
        at = data.find(b"://", at + 3)


def _is_masked(password: bytes) -> bool:
    return b"redacted" in password or is_made_up(password.decode("latin-1"))
