"""What secrets look like in text, as redaction replaces them: keys, credentials behind a name, private keys.

Text goes in; out come the places in it that `PLACEHOLDER` is put into. The second wall, `scan`, looks in ways of its
own: all that both know is the table of how keys start.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import cache, lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote

from ..lazy import late_pattern
from . import key_table

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence


_BESIDE_PIECES: Final = ("logprob", "logprobs", "top_logprobs", "bytes", "special")
_NO_LINE: Final = '"-"'
_COOKIE_NAMES: Final = frozenset({"cookie", "setcookie"})
_NEAR: Final = 240

PLACEHOLDER: Final = "[redacted]"
"""What stands in place of a secret, whatever its value."""

# Names are compared without case, "-", "_", "." and a plural "s". What only looks like the name of a secret
# (max_tokens, token_count, tokenizer, next_page_token, ...) is not listed, and therefore kept.
_SECRET_NAME: Final = late_pattern(
    r"authorization|proxyauthorization|bearertoken|idtoken|securitytoken|sessiontoken|jwt|credential|passphrase|pwd"
    r"|secret|webhooksecret|signingsecret"
    r"|.*(?:api|access|private|secret|secretaccess)key|.*(?:access|api|auth|refresh)token|.*(?:api|client)secret"
    r"|.*passw(?:or)?d",
    re.DOTALL,
)
# Secret only where the value looks like it: text is streamed as {"token": "Hel"}, too.
# Neither a plain key, which may name anything, nor a signature: models sign their thoughts, and want them back.
_DOUBTFUL_NAME: Final = late_pattern(
    r"(?:x|basic)?auth|sessionid|(?:.*(?:signing|encryption|master|account|auth|subscription|shared|storage))key"
    r"|(?!.*(?:page|next|continuation|sync|max|stop|eos|bos|pad|cursor)).*token"
    r"|.*(?:secret|passphrase|authorization|credential)|bearer|hmac|(?:set)?cookie",
    re.DOTALL,
)
_OPAQUE: Final = late_pattern(
    r"(?:Bearer |Basic |Token )?(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_.~+/=:-]{16,}"
)
_SECRET_PARAMETER: Final = late_pattern(
    r"auth|key|token|hmac|sig|signature|subscriptionkey|awsaccesskeyid|googleaccessid"
    r"|x(?:amz|goog)(?:credential|securitytoken|signature)"
)
_NAME_HINT: Final = late_pattern(
    r"key|token|secret|pass(?:w|phrase)|pwd|auth|credential|jwt|sig|session|hmac|accessid|cookie"
)

_KEYS: Final = {
    # With a digit, or so many letters as no word has.
    # StepFun, OpenAI, Anthropic, OpenRouter, DeepSeek, ...
    "sk-": r"(?:(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{16,}|(?!([a-zA-Z])\1+(?![A-Za-z]))[A-Za-z]{20,})",
    "AIza": r"[A-Za-z0-9_-]{30,}",  # Google
    "ya29.": r"[A-Za-z0-9_-]{20,}",
    "GOCSPX-": r"[A-Za-z0-9_-]{20,}",
    "AKIA": r"[A-Z0-9]{16}",  # AWS
    "ASIA": r"[A-Z0-9]{16}",
    "ghp_": r"[A-Za-z0-9]{20,}",  # GitHub
    "gho_": r"[A-Za-z0-9]{20,}",
    "ghu_": r"[A-Za-z0-9]{20,}",
    "ghs_": r"[A-Za-z0-9]{20,}",
    "ghr_": r"[A-Za-z0-9]{20,}",
    "github_pat_": r"\w{22,}",
    "glpat-": r"[A-Za-z0-9_-]{20,}",  # GitLab
    "xox": r"[a-z]-[A-Za-z0-9-]{10,}",  # Slack
    "xapp-": r"[A-Za-z0-9-]{10,}",
    "hooks.slack.com/services/": r"T[A-Za-z0-9]+/B[A-Za-z0-9]+/[A-Za-z0-9]{16,}",
    "discord.com/api/webhooks/": r"[0-9]{15,}/[A-Za-z0-9_-]{50,}",
    "discordapp.com/api/webhooks/": r"[0-9]{15,}/[A-Za-z0-9_-]{50,}",
    "sk_live_": r"[A-Za-z0-9]{16,}",  # Stripe
    "sk_test_": r"[A-Za-z0-9]{16,}",
    "rk_live_": r"[A-Za-z0-9]{16,}",
    "hf_": r"[A-Za-z0-9]{30,}",  # Hugging Face
    "gsk_": r"[A-Za-z0-9]{40,}",  # Groq
    "xai-": r"[A-Za-z0-9]{40,}",
    "pplx-": r"[A-Za-z0-9]{40,}",
    "r8_": r"[A-Za-z0-9]{30,}",  # Replicate
    "nvapi-": r"[A-Za-z0-9_-]{40,}",
    "tvly-": r"(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,}",  # Tavily
    "lsv2_": r"[a-z]{2}_[a-f0-9_]{32,}",  # LangSmith
    "pcsk_": r"(?=[A-Za-z_]*[0-9])[A-Za-z0-9_]{32,}",  # Pinecone
    "csk-": r"(?=[A-Za-z]*[0-9])[A-Za-z0-9]{32,}",  # Cerebras
    "fw_": r"(?=[A-Za-z]*[0-9])[A-Za-z0-9]{20,}",  # Fireworks
    "fc-": r"(?=[a-f]*[0-9])[a-f0-9]{32}",  # Firecrawl
    "dapi": r"[a-f0-9]{32}(?:-[0-9]+)?",  # Databricks
    "hvs.": r"(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{24,}",  # Vault
    "ntn_": r"(?=[A-Za-z]*[0-9])[A-Za-z0-9]{40,}",  # Notion
    "npm_": r"[A-Za-z0-9]{36,}",
    "pypi-": r"[A-Za-z0-9_-]{50,}",
    "SG.": r"[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",  # SendGrid
    "eyJ": r"[A-Za-z0-9_-]{5,}\.eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]+)*",  # JSON Web Tokens
}
"""What keys look like, by how they start, beside those of `key_table`."""

_BY_START: Final = 3  # characters: no start is shorter
_SHORTEST_KEY: Final = 15
_EVERY: Final = "a" * _SHORTEST_KEY
# What keys are made of, and what stands between two of them without a space.
_IN_KEY: Final = bytes(
    97 if (chr(byte).isalnum() and byte < 128) or byte in b"_.+/=:~!$-" else 32 for byte in range(256)
)
# From the edge of a word to the edge of a word: none is found inside a longer one, and none is tried twice.
_EDGE: Final = late_pattern(r"[.+/=:~!$]")
_TELEGRAM: Final = late_pattern(
    r"(?<![A-Za-z0-9_-])(?:bot)?[0-9]{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])", re.ASCII
)
_TELEGRAM_BETWEEN_ESCAPES: Final = late_pattern(r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}", re.ASCII)
_BEARER: Final = late_pattern(
    r"\b(bearer(?:\s{1,8}|%20))((?:(?=[A-Za-z._~+/-]*[0-9])[A-Za-z0-9._~+/-]{8,}|[A-Za-z]{16,})=*)",
    re.IGNORECASE | re.ASCII,
)
_AUTHORIZATION: Final = late_pattern(
    r"(authorization[\"'\\]{0,4}\s{0,4}[:=]\s{0,4}[\"'\\]{0,4}"
    r"(?:bearer|basic|token|digest|negotiate|api-?key|bot|key)\s{1,8})([A-Za-z0-9._~+/-]{6,}=*)",
    re.IGNORECASE | re.ASCII,
)
_PRIVATE_KEY: Final = late_pattern(
    r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r'(?:[^-"]*+(?:-(?!----)[^-"]*+)*+-----END (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----'
    # cut off, or a list of its lines: with newlines as they are or as JSON escapes, or as JSON has a list
    r"|(?:(?:[\s\"',]|\\+[nr\"'])*+[A-Za-z0-9+/=]{32,}+)++"
    r"(?:(?:[\s\"',]|\\+[nr\"'])++[A-Za-z0-9+/=]*[0-9+/=][A-Za-z0-9+/=]*+)?"
    r"(?:(?:[\s\"',]|\\+[nr\"'])*+-----END (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----)?)",
    re.ASCII,
)
BEGIN_OF_KEY: Final = "-----BEGIN"
_URL_PASSWORD: Final = late_pattern(r"(?<=://)([^\s/?#@:\"'<>]{0,256}:)([^\s/?#@\"'<>]{1,256})(?=@)")
_PARAMETER: Final = late_pattern(r"(?<=[?&#])([\w.%-]{1,64})=([^&\s\"'<>#\\]+)", re.ASCII)
_JSON_FIELD: Final = late_pattern(r'"([^"\\]{1,64})"\s*:\s*"([^"\\]*+(?:\\.[^"\\]*+)*+)', re.DOTALL)
_ASSIGNMENT: Final = late_pattern(
    r"(?<![A-Za-z0-9])((?:api[_-]?key|access[_-]?key|secret[_-]?key|access[_-]?token|auth[_-]?token|api[_-]?token|client[_-]?secret"
    r"|secret|password|passwd|passphrase)'?\s{0,4}[:=]\s{0,4})"
    # In quotes it is a value, without them it needs a digit, or more letters than a word has.
    r"(?:([\"'])(?P<quoted>[^\s\"'\\]{8,})(?=\2)"
    r"|[\"']?(?P<bare>(?:(?=[A-Za-z_.~+/-]*[0-9])[A-Za-z0-9_.~+/-]{8,}|[A-Za-z]{16,}(?![\w.]))=*))",
    re.IGNORECASE | re.ASCII,
)
# A session's cookie lets anybody in. The names are those of servers' sessions; others say what a page looks like.
_COOKIES: Final = late_pattern(
    r"cookie2?[\"'\\]{0,4}\s{0,4}[:=,][\s\"'\\\[-]{0,8}([^\r\n\"'<>]{8,})", re.IGNORECASE | re.ASCII
)
_COOKIE: Final = late_pattern(
    r"(?<![\w.-])[\w.-]*(?:sess(?:ion)?(?:[_.-]?id)?|sid|auth|token|jwt|secret|login|remember[\w-]*)[\w-]{0,8}="
    r"([^\s;,\"']{6,})",
    re.IGNORECASE | re.ASCII,
)
_UUID: Final = late_pattern(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
# Made to be seen: Datadog's client token in a page's security policy, keys of Stripe, Langfuse and PostHog for pages.
_PUBLIC: Final = late_pattern(r"pub[0-9a-f]{32}|(?:pk|phc)[_-][A-Za-z0-9_-]+", re.ASCII)
_ASSIGNED: Final = late_pattern(r"(?:key|token|secret|passwo?r?d|passphrase)'?\s{0,4}[:=]")
_INLINE_DATA: Final = late_pattern(r"data:[\w/+.-]*(?:;[\w=.-]+)*;base64,[A-Za-z0-9+/]*={0,2}", re.ASCII)


def normalise_name(name: str) -> str:
    """Returns the name as names are compared: without case, separators and a plural "s"."""
    return name.lower().replace("_", "").replace("-", "").replace(".", "").removesuffix("s")


@lru_cache(maxsize=2048)
def _names_secret(name: str, extra: frozenset[str]) -> bool:
    plain = normalise_name(name)
    return plain in extra or _SECRET_NAME.fullmatch(plain) is not None


@lru_cache(maxsize=1024)
def _names_secret_parameter(name: str, extra: frozenset[str]) -> bool:
    return _SECRET_PARAMETER.fullmatch(normalise_name(name)) is not None or _names_secret(name, extra)


@lru_cache(maxsize=2048)
def may_hold_secret(name: str, extra: frozenset[str]) -> bool:
    """Whether a JSON field of this name is secret, or is where its value looks like it."""
    return _names_secret(name, extra) or _DOUBTFUL_NAME.fullmatch(normalise_name(name)) is not None


def holds_secret(name: str, value: object, extra: frozenset[str], beside: Container[object] = ()) -> bool:
    """Whether a JSON field is secret by its name.

    Args:
        name: the field's.
        value: the field's.
        extra: names that a project adds, as `normalise_name` returns them.
        beside: the names of the fields beside it.
    """
    if isinstance(value, dict):
        return False
    if _names_secret(name, extra):
        return not (isinstance(value, str) and _PUBLIC.fullmatch(value)) or normalise_name(name) in extra
    if not isinstance(value, str) or len(value) < 16:
        return False
    plain = normalise_name(name)
    if plain in _COOKIE_NAMES:
        return _COOKIE.search(value) is not None
    if plain == "token" and any(each in beside for each in _BESIDE_PIECES):  # of text, with its probability
        return False
    if plain.endswith("id") and _UUID.fullmatch(value):
        return False
    return _DOUBTFUL_NAME.fullmatch(plain) is not None and _OPAQUE.fullmatch(value) is not None


def spans_of_shapes(text: str, extra: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Yields where in the text something is secret because of what stands around it.

    A regular expression runs only where a part that it cannot do without was found.
    """
    if BEGIN_OF_KEY in text:
        yield from (found.span() for found in _PRIVATE_KEY.finditer(text))
    if "://" in text and "@" in text:
        yield from (found.span(2) for found in _URL_PASSWORD.finditer(text))
    lower = text.lower()
    if "bearer" in lower:
        yield from (found.span(2) for found in _BEARER.finditer(text))
    if "authorization" in lower:
        yield from (found.span(2) for found in _AUTHORIZATION.finditer(text))
    if "cookie" in lower:
        for cookies in _COOKIES.finditer(text):
            yield from (found.span(1) for found in _COOKIE.finditer(text, *cookies.span(1)))
    if ("=" in text or ":" in text) and (extra or _NAME_HINT.search(lower)):
        yield from _spans_by_name(text, lower, extra)


def _spans_by_name(text: str, lower: str, extra: frozenset[str]) -> Iterator[tuple[int, int]]:
    for found in _JSON_FIELD.finditer(text):
        name, value = found.groups()
        if value and holds_secret(name, value, extra, beside=_beside(text, found)):
            yield found.span(2)
    for found in _PARAMETER.finditer(text):
        if _names_secret_parameter(unquote(found[1]), extra) and not _PUBLIC.fullmatch(found[2]):
            yield found.span(2)
    for found in _ASSIGNMENT.finditer(text) if _ASSIGNED.search(lower) else ():
        kind = "quoted" if found["quoted"] is not None else "bare"
        if not _PUBLIC.fullmatch(found[kind]):
            yield found.span(kind)


def _beside(text: str, found: re.Match[str]) -> Container[object]:
    """Returns the names of pieces of text that stand near a field, without reading the JSON, which may be cut off."""
    near = text[max(0, found.start() - _NEAR) : found.end() + _NEAR]
    return [name for name in _BESIDE_PIECES if f'"{name}"' in near]


def without_keys_in_lines(items: list[Any], placeholder: str = PLACEHOLDER) -> list[Any]:
    """Return a list with the placeholder for each private key whose lines are its items; the same list if none is."""
    texts = [each if isinstance(each, str) else _NO_LINE for each in items]
    joined, kept = "\n".join(texts), items
    starts = list(accumulate((len(each) + 1 for each in texts), initial=0))
    for found in reversed(list(_PRIVATE_KEY.finditer(joined)) if BEGIN_OF_KEY in joined else []):
        first, last = (bisect_right(starts, at) - 1 for at in (found.start(), found.end() - 1))
        if first < last:
            before, behind = joined[starts[first] : found.start()], joined[found.end() : starts[last + 1] - 1]
            kept = [*kept[:first], f"{before}{placeholder}{behind}", *kept[last + 1 :]]
    return kept


def is_inline_data(text: str) -> bool:
    """Tells whether a text is a whole file, as a URL."""
    return text.startswith("data:") and _INLINE_DATA.fullmatch(text) is not None


class Edges(NamedTuple):
    """Where a key may start and end although a text does not show it: there was an escape. In order."""

    starts: Sequence[int]
    stops: Sequence[int]

    def starts_in(self, start: int, end: int) -> Sequence[int]:
        """Returns where between two places a key may start."""
        return self.starts[bisect_left(self.starts, start) : bisect_left(self.starts, end)]

    def stops_in(self, start: int, end: int) -> Sequence[int]:
        """Returns where between two places a key may end, of many the first ones."""
        first = bisect_right(self.stops, start)
        return self.stops[first : min(first + _MOST_STOPS, bisect_left(self.stops, end))]


_MOST_STOPS: Final = 32
NO_EDGES: Final = Edges((), ())


def spans_of_keys(text: str, edges: Edges = NO_EDGES) -> Iterator[tuple[int, int]]:
    """Yields where in the text something looks like a key by itself."""
    # One byte for each character, so that places are the same.
    mask = text.encode("ascii", "replace").translate(_IN_KEY).decode("ascii")
    start = mask.find(_EVERY)
    while start >= 0:
        end = mask.find(" ", start)
        end = len(text) if end < 0 else end
        shown = (edge.end() for edge in _EDGE.finditer(text, start, end))
        for at in (start, *shown, *edges.starts_in(start, end)):
            for known, rest in _shapes().get(text[at : at + _BY_START], ()):
                if text.startswith(known, at):
                    for stop in (end, *edges.stops_in(at, end)):
                        found = _compiled(known, rest).match(text, at, stop)
                        if found:
                            yield found.span()
                            break
        if ":AA" in text[start:end]:
            telegram = _TELEGRAM if edges is NO_EDGES else _TELEGRAM_BETWEEN_ESCAPES
            yield from (found.span() for found in telegram.finditer(text, start, end))
        start = mask.find(_EVERY, end)


@cache
def _compiled(start: str, rest: str) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(start)}(?:{rest})(?![A-Za-z0-9_-])", re.ASCII)


@cache
def _shapes() -> dict[str, list[tuple[str, str]]]:
    """Returns the shapes of keys by the first characters: a look-up, where nearly all words are of none."""
    shapes: dict[str, list[tuple[str, str]]] = {}
    # Zeros in base64 are many times the same letter.
    table = ((start, rf"(?![A-Za-z0-9]*([A-Za-z0-9])\1{{7}})(?:{rest})") for start, rest, _ in key_table.KEYS)
    rows = (*_KEYS.items(), *table)
    for start, rest in rows:
        shapes.setdefault(start[:_BY_START], []).append((start, rest))
    return shapes
