"""The second wall's own rules: where in the bytes of a file something looks like a secret.

Bytes go in, hits with their offsets come out. Runs of the characters that keys are made of are found first, at
the speed of `bytes.find`; only those are looked at closely, each a bounded number of times, so the time grows
with the size of the file alone.

The shapes are those that their issuers document, and those of the rules of gitleaks and GitHub's secret scanning.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64decode
from functools import lru_cache
from math import log2
from typing import TYPE_CHECKING, Final, NamedTuple

from .variables import is_made_up

if TYPE_CHECKING:
    from collections.abc import Iterator

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


# By the words for a message. `[A-Za-z0-9_-]` and `.` are what the runs below are made of.
_SHAPES: Final = {
    "an Anthropic API key": rb"sk-ant-[A-Za-z0-9_-]{16,}",
    "an OpenAI API key": rb"sk-(?:(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{16,}"
    rb"|[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20})",
    "an OpenRouter API key": rb"sk-or-v1-[A-Za-z0-9]{32,}",
    "an API key of the form sk-...": rb"sk-[A-Za-z0-9_-]{16,}",  # StepFun, OpenAI, DeepSeek, Moonshot, ...
    "an AWS access key": rb"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9])",
    "a GitHub token": rb"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{36,255}",
    "a GitLab token": rb"gl(?:pat|ptt|rt|dt|cbt|soat)-[A-Za-z0-9_-]{20,}",
    "a Google API key": rb"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])",
    "a Google OAuth token": rb"ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{28}",
    "a Slack token": rb"xox[abeoprs]-[A-Za-z0-9.-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{10,}",
    "a Slack webhook": rb"hooks\.slack\.com/services/T[A-Za-z0-9]+/B[A-Za-z0-9]+/[A-Za-z0-9]{16,}",
    "a Stripe key": rb"[sr]k_(?:live|test|prod)_[A-Za-z0-9]{16,}",
    "a Hugging Face token": rb"(?:hf|api_org)_[A-Za-z0-9]{34}",
    "a Groq API key": rb"gsk_[A-Za-z0-9]{40,}",
    "an xAI API key": rb"xai-[A-Za-z0-9]{40,}",
    "a Perplexity API key": rb"pplx-[A-Za-z0-9]{40,}",
    "a Replicate token": rb"r8_[A-Za-z0-9]{37}",
    "an NVIDIA API key": rb"nvapi-[A-Za-z0-9_-]{40,}",
    "a Tavily API key": rb"tvly-[A-Za-z0-9_-]{20,}",
    "a LangSmith API key": rb"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}",
    "an npm token": rb"npm_[A-Za-z0-9]{36}",
    "a PyPI token": rb"pypi-[A-Za-z0-9_-]{50,}",
    "a SendGrid API key": rb"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    "a JSON Web Token": rb"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",
}
_NAMES: Final = tuple(_SHAPES)
_SHAPE: Final = re.compile(
    rb"(?<![A-Za-z0-9])(?:" + b"|".join(b"(" + shape + b")" for shape in _SHAPES.values()) + b")"
)
_STARTS: Final = tuple(
    b"sk- AKIA ASIA ABIA ACCA ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- glptt- glrt- gldt- glcbt- glsoat- AIza "
    b"ya29. GOCSPX- xox xapp- hooks.slack.com sk_ rk_ hf_ api_org_ gsk_ xai- pplx- r8_ nvapi- tvly- lsv2_ npm_ "
    b"pypi- SG. eyJ".split()
)
"""Each shape has one of these, and to look for them is much faster."""

_PRIVATE_KEY: Final = re.compile(rb"PRIVATE KEY(?: BLOCK)?-----")
_URL_PASSWORD: Final = re.compile(rb"://([^\s/?#@:\"'<>\\]{0,256}):([^\s/?#@\"'<>\\]{3,256})@")

# A key's part that no word is: letters and digits, or letters of both cases, or many different letters.
_PART: Final = re.compile(rb"[A-Za-z0-9]{12,}")
_MADE_UP: Final = re.compile(
    rb"example|placeholder|redacted|changeme|dummy|x{4}|\*{3}|123456|abcdef|(.)\1{5}|eyJzdWIiOiIxMjM0NTY3ODkw",
    re.IGNORECASE,
)

_IN_RUN: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+/."
_MASK: Final = bytes(97 if byte in _IN_RUN else 32 for byte in range(256))
_RUN: Final = b"a" * SHORTEST_RUN
_PRIVATE_KEY_LINE: Final = b"a" * 32
_HEAD_OF_PRIVATE_KEY: Final = 600  # an encrypted one says first how it is
_BY_NAME: Final = "a value that looks like a key, under a name that says so"
_IN_BASE64: Final = ", in base64"
_LONGEST_KEY: Final = 512
_CONTEXT: Final = 48
_NAME_AT_END: Final = re.compile(rb"([^A-Za-z0-9_.-]?)([A-Za-z0-9_.-]++)\Z")
_HEX_AND_DASH: Final = b"0123456789abcdefABCDEF-"
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{24,}")
_URLSAFE: Final = bytes.maketrans(b"-_", b"+/")
_BETWEEN: Final = b" \t\r\n\"'\\[-"

_KEY_NAME: Final = re.compile(
    r".*(?:api|access|secret|private|signing|encryption|master|account|auth|subscription|shared|storage)key"
    r"|.*(?:token|secret|passw(?:or)?d|passphrase|authorization|credential)|pwd|bearer|jwt|hmac"
)
_PARAMETER_NAME: Final = re.compile(r"key|sig|.*signature")  # in a URL only: elsewhere these may be anything
_NO_KEY_NAME: Final = re.compile(
    r".*(?:page|next|continuation|sync|max|stop|eos|bos|pad|cursor|public|cache).*"
)
_LEAST_ENTROPY: Final = 3.0


def find_hits(data: bytes, depth: int = 0) -> Iterator[Hit]:
    """Yields what looks like a secret in the bytes.

    Args:
        data: the content of a file, or of a text in it.
        depth: how many encodings it was in. What is found inside of base64 is reported where that stands.
    """
    mask = data.translate(_MASK)
    harmless: set[bytes] = set()  # a cassette repeats its ids and models all the time
    start = mask.find(_RUN)
    while start >= 0:
        end = mask.find(b" ", start)
        end = len(data) if end < 0 else end
        context = data[max(0, start - _CONTEXT) : start]
        known = context + data[start:end]
        if known not in harmless:
            hits = list(_hits_in_run(data, start, end, depth)) or list(
                _hits_by_name(data, start, end, context)
            )
            yield from hits
            if not hits:
                harmless.add(known)
        start = mask.find(_RUN, end)
    if b"PRIVATE KEY" in data:
        for key in _PRIVATE_KEY.finditer(data):
            line = mask.find(_PRIVATE_KEY_LINE, key.end(), key.end() + _HEAD_OF_PRIVATE_KEY)
            if line >= 0:
                yield Hit(key.start(), line + len(_PRIVATE_KEY_LINE), "a private key")
    if b"://" in data and b"@" in data:
        yield from _url_passwords(data)


def entropy(text: bytes) -> float:
    """Returns the bits of information in each byte, by how often each of them comes."""
    size = len(text)
    return -sum((n := text.count(byte)) / size * log2(n / size) for byte in set(text))


def _hits_in_run(data: bytes, start: int, end: int, depth: int) -> Iterator[Hit]:
    """Yields the keys of known shapes in a run of their characters, as it stands and in base64."""
    run = data[start:end]
    found = False
    if any(each in run for each in _STARTS):
        for match in _SHAPE.finditer(data, start, end):
            if _is_real(match[0]):
                found = True
                yield Hit(*match.span(), _NAMES[(match.lastindex or 1) - 1])
    if found or depth == DEEPEST or not run.translate(None, _HEX_AND_DASH):
        return
    for text in _BASE64.finditer(data, start, end):
        for offset in range(4 if len(text[0]) <= LONGEST_TRIED_AT_EACH_OFFSET else 1):
            for hit in find_hits(from_base64(text[0][offset:]), depth + 1):
                if hit.what != _BY_NAME:
                    what = hit.what if _IN_BASE64 in hit.what else hit.what + _IN_BASE64
                    yield Hit(*text.span(), what)


def from_base64(text: bytes) -> bytes:
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
    if _MADE_UP.search(key) or is_made_up(key.decode("ascii")):
        return False
    return any(_is_random(part[0]) for part in _PART.finditer(key))


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


def _hits_by_name(data: bytes, start: int, end: int, context: bytes) -> Iterator[Hit]:
    """Yields a run that could be any key, if what stands before it says that it is one."""
    value = data[start:end].rstrip(b".")
    if _names_a_key(context) and _is_opaque(value):
        yield Hit(start, start + len(value), _BY_NAME)


def _names_a_key(context: bytes) -> bool:
    head = context.rstrip(_BETWEEN)
    if head[-6:].lower() == b"bearer":
        return True
    scheme, before = head[-5:].lower(), head[:-5].rstrip(_BETWEEN + b":=").lower()
    if scheme in (b"basic", b"token") and before.endswith(b"authorization"):
        return True
    if head[-1:] not in (b":", b"="):
        return False
    name = _NAME_AT_END.search(head.rstrip(b" :=\"'\\"))
    return name is not None and _is_key_name(name[2], in_url=name[1] in (b"?", b"&"))


@lru_cache(maxsize=1024)
def _is_key_name(name: bytes, *, in_url: bool) -> bool:
    """Tells whether a value with this name is expected to be a key, a token or a password."""
    plain = re.sub(r"[^a-z0-9]", "", name.decode("ascii").lower())
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
