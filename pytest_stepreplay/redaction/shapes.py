"""What secrets look like in text, as redaction replaces them: keys, credentials behind a name, private keys.

Text goes in and comes out with `PLACEHOLDER` in place of what looks like a secret. The second wall, `scan`, has
rules of its own and knows nothing of these.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from typing import Final
from urllib.parse import unquote


class Late:
    """A regular expression that is compiled when it is first used: hardly any run meets a key of each kind."""

    def __init__(self, text: str, flags: int = 0) -> None:
        self._text = text
        self._flags = flags

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The expression, compiled."""
        return re.compile(self._text, self._flags)


PLACEHOLDER: Final = "[redacted]"
"""What stands in place of a secret, whatever its value."""

# Names are compared without case, "-", "_", "." and a plural "s". What only looks like the name of a secret
# (max_tokens, token_count, tokenizer, next_page_token, ...) is not listed, and therefore kept.
_SECRET_NAME: Final = Late(
    r"authorization|proxyauthorization|bearertoken|idtoken|securitytoken|sessiontoken|jwt|credential|passphrase|pwd"
    r"|secret|webhooksecret|signingsecret"
    r"|.*(?:api|access|private|secret|secretaccess)key|.*(?:access|api|auth|refresh)token|.*(?:api|client)secret"
    r"|.*passw(?:or)?d",
    re.DOTALL,
)
# Secret only where the value looks like it: text is streamed as {"token": "Hel"}, too.
# Neither a plain key, which may name anything, nor a signature: models sign their thoughts, and want them back.
_DOUBTFUL_NAME: Final = Late(
    r"(?:x|basic)?auth|sessionid|(?:.*(?:signing|encryption|master|account|auth|subscription|shared|storage))key"
    r"|(?!.*(?:page|next|continuation|sync|max|stop|eos|bos|pad|cursor)).*token"
    r"|.*(?:secret|passphrase|authorization|credential)|bearer|hmac",
    re.DOTALL,
)
_OPAQUE: Final = Late(
    r"(?:Bearer |Basic |Token )?(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_.~+/=:-]{16,}"
)
_SECRET_PARAMETER: Final = Late(
    r"auth|key|token|hmac|sig|signature|subscriptionkey|awsaccesskeyid|googleaccessid"
    r"|x(?:amz|goog)(?:credential|securitytoken|signature)"
)
_NAME_HINT: Final = Late(
    r"key|token|secret|pass(?:w|phrase)|pwd|auth|credential|jwt|sig|session|hmac|accessid"
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
    "npm_": r"[A-Za-z0-9]{36,}",
    "pypi-": r"[A-Za-z0-9_-]{50,}",
    "SG.": r"[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",  # SendGrid
    "eyJ": r"[A-Za-z0-9_-]{5,}\.eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]+)*",  # JSON Web Tokens
}
"""What keys look like, by how they start."""

_KEY_STARTS: Final = {
    mark: [start for start in _KEYS if (mark and mark in start) or not (mark or "-" in start or "_" in start)]
    for mark in ("-", "_", "")
}
"""The starts of keys by a character that they all have, so that most texts need not be searched for most of them."""

# From the edge of a word to the edge of a word: none is found inside a longer one, and none is tried twice.
_KEY_SHAPES: Final = Late(
    rf"(?<![A-Za-z0-9_-])(?:{'|'.join(re.escape(start) + rest for start, rest in _KEYS.items())})"
    r"(?![A-Za-z0-9_-])",
    re.ASCII,
)
_BEARER: Final = Late(
    r"\b(bearer(?:\s{1,8}|%20))(?:(?=[A-Za-z._~+/-]*[0-9])[A-Za-z0-9._~+/-]{8,}|[A-Za-z]{16,})=*",
    re.IGNORECASE | re.ASCII,
)
_AUTHORIZATION: Final = Late(
    r"(authorization[\"'\\]{0,4}\s{0,4}[:=]\s{0,4}[\"'\\]{0,4}"
    r"(?:bearer|basic|token|digest|negotiate|api-?key|bot|key)\s{1,8})[A-Za-z0-9._~+/-]{6,}=*",
    re.IGNORECASE | re.ASCII,
)
_PRIVATE_KEY: Final = Late(
    r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r'(?:(?:[^-"]|-(?!----))*-----END (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----'
    # cut off: its lines, with newlines as they are or as JSON escapes
    r"|(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]{32,})+(?:(?:\s|\\[nr])+[A-Za-z0-9+/=]*[0-9+/=][A-Za-z0-9+/=]*)?)",
    re.ASCII,
)
_URL_PASSWORD: Final = Late(r"(?<=://)([^\s/?#@:\"'<>]{0,256}:)[^\s/?#@\"'<>]{1,256}(?=@)")
_PARAMETER: Final = Late(r"(?<=[?&#])([\w.%-]{1,64})=([^&\s\"'<>#\\]+)", re.ASCII)
_JSON_FIELD: Final = Late(r'"([^"\\]{1,64})"(\s*:\s*)"([^"\\]*(?:\\.[^"\\]*)*)', re.DOTALL)
_ASSIGNMENT: Final = Late(
    r"(?<![A-Za-z0-9])((?:api[_-]?key|access[_-]?key|secret[_-]?key|access[_-]?token|auth[_-]?token|api[_-]?token|client[_-]?secret"
    r"|secret|password|passwd|passphrase)'?\s{0,4}[:=]\s{0,4})"
    # In quotes it is a value, without them it needs a digit, or more letters than a word has.
    r"(?:([\"'])[^\s\"'\\]{8,}(?=\2)|([\"']?)(?:(?=[A-Za-z_.~+/-]*[0-9])[A-Za-z0-9_.~+/-]{8,}|[A-Za-z]{16,}(?![\w.]))=*)",
    re.IGNORECASE | re.ASCII,
)
_INLINE_DATA: Final = Late(r"data:[\w/+.-]*(?:;[\w=.-]+)*;base64,[A-Za-z0-9+/]*={0,2}", re.ASCII)


def normalise_name(name: str) -> str:
    """Returns the name as names are compared: without case, separators and a plural "s"."""
    return name.lower().replace("_", "").replace("-", "").replace(".", "").removesuffix("s")


@lru_cache(maxsize=2048)
def _names_secret(name: str, extra: frozenset[str]) -> bool:
    plain = normalise_name(name)
    return plain in extra or _SECRET_NAME.pattern.fullmatch(plain) is not None


@lru_cache(maxsize=1024)
def _names_secret_parameter(name: str, extra: frozenset[str]) -> bool:
    return _SECRET_PARAMETER.pattern.fullmatch(normalise_name(name)) is not None or _names_secret(name, extra)


@lru_cache(maxsize=2048)
def may_hold_secret(name: str, extra: frozenset[str]) -> bool:
    """Whether a JSON field of this name is secret, or is where its value looks like it."""
    return _names_secret(name, extra) or _DOUBTFUL_NAME.pattern.fullmatch(normalise_name(name)) is not None


def holds_secret(name: str, value: object, extra: frozenset[str]) -> bool:
    """Whether a JSON field is secret by its name."""
    if isinstance(value, dict):
        return False
    if _names_secret(name, extra):
        return True
    return (
        isinstance(value, str)
        and len(value) >= 16
        and _DOUBTFUL_NAME.pattern.fullmatch(normalise_name(name)) is not None
        and _OPAQUE.pattern.fullmatch(value) is not None
    )


def redact_shapes(text: str, extra: frozenset[str]) -> str:
    """Returns the text without what looks like a key, and the values of fields that are secret by name.

    A regular expression runs only where a part that it cannot do without was found.
    """
    if len(text) < 6 or (text.startswith("data:") and _INLINE_DATA.pattern.fullmatch(text)):
        return text
    if _may_hold_key(text):
        text = _KEY_SHAPES.pattern.sub(PLACEHOLDER, text)
    if "-----BEGIN" in text:
        text = _PRIVATE_KEY.pattern.sub(PLACEHOLDER, text)
    if "://" in text and "@" in text:
        text = _URL_PASSWORD.pattern.sub(rf"\1{PLACEHOLDER}", text)
    lower = text.lower()
    if "bearer" in lower:
        text = _BEARER.pattern.sub(rf"\1{PLACEHOLDER}", text)
    if "authorization" in lower:
        text = _AUTHORIZATION.pattern.sub(rf"\1{PLACEHOLDER}", text)
    if ("=" in text or ":" in text) and (extra or _NAME_HINT.pattern.search(lower)):
        text = _JSON_FIELD.pattern.sub(lambda found: _redact_field(found, extra), text)
        text = _PARAMETER.pattern.sub(lambda found: _redact_parameter(found, extra), text)
        text = _ASSIGNMENT.pattern.sub(rf"\1\2\3{PLACEHOLDER}", text)
    return text


def _may_hold_key(text: str) -> bool:
    return any(start in text for mark, starts in _KEY_STARTS.items() if mark in text for start in starts)


def _redact_field(found: re.Match[str], extra: frozenset[str]) -> str:
    name, colon, value = found.groups()
    return f'"{name}"{colon}"{PLACEHOLDER}' if value and holds_secret(name, value, extra) else found[0]


def _redact_parameter(found: re.Match[str], extra: frozenset[str]) -> str:
    name = found[1]
    return f"{name}={PLACEHOLDER}" if _names_secret_parameter(unquote(name), extra) else found[0]
