"""What is never stored: secrets in URLs, bodies and headers.

A request or response goes in, the same one with `PLACEHOLDER` in place of every secret comes out. The
placeholder does not depend on the secret, so that a request matches itself when it is sent with another key.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from .errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from .models import RawFrame, Request, Response

KEPT_RESPONSE_HEADERS: Final[frozenset[str]] = frozenset(
    {
        "content-type",
        "link",
        "location",
        "operation-location",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
    }
)
"""The response headers a client's behaviour depends on, in lower case. No other header is stored."""

PLACEHOLDER: Final = "[redacted]"
"""What stands in place of a secret, whatever its value."""

_NEVER_KEPT: Final = re.compile(
    r"(?:proxy-)?authorization|(?:set-)?cookie2?|(?:x-)?api-key"
    # What describes the bytes on the wire: the stored body is a decoded one.
    r"|content-(?:length|encoding)|transfer-encoding|connection|keep-alive"
)

# Names are compared without case, "-", "_", "." and a plural "s". What only looks like the name of a secret
# (max_tokens, token_count, tokenizer, next_page_token, ...) is not listed, and therefore kept.
_SECRET_NAME: Final = re.compile(
    r"authorization|proxyauthorization|bearertoken|idtoken|securitytoken|sessiontoken|jwt|credential|passphrase|pwd"
    r"|secret|webhooksecret|signingsecret"
    r"|.*(?:api|access|private|secret|secretaccess)key|.*(?:access|api|auth|refresh)token|.*(?:api|client)secret"
    r"|.*passw(?:or)?d",
    re.DOTALL,
)
# Secret only where the value looks like it: text is streamed as {"token": "Hel"}, too.
_DOUBTFUL_NAME: Final = re.compile(r"(?:x|basic)?auth|(?:bot)?token|sessionid")
_OPAQUE: Final = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_.~+/=:-]{16,}")
_SECRET_PARAMETER: Final = re.compile(
    r"auth|key|token|hmac|sig|signature|subscriptionkey|awsaccesskeyid|googleaccessid"
    r"|x(?:amz|goog)(?:credential|securitytoken|signature)"
)
_NAME_HINT: Final = re.compile(
    r"key|token|secret|pass(?:w|phrase)|pwd|auth|credential|jwt|sig|session|hmac|accessid"
)

_KEYS: Final = {
    "sk-": r"(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{16,}",  # StepFun, OpenAI, Anthropic, OpenRouter, DeepSeek, ...
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

# From the edge of a word to the edge of a word: none is found inside a longer one, and none is tried twice.
_KEY_SHAPES: Final = re.compile(
    rf"(?<![A-Za-z0-9_-])(?:{'|'.join(re.escape(start) + rest for start, rest in _KEYS.items())})"
    r"(?![A-Za-z0-9_-])",
    re.ASCII,
)
_BEARER: Final = re.compile(
    r"\b(bearer(?:\s{1,8}|%20))(?=[A-Za-z._~+/-]*[0-9])[A-Za-z0-9._~+/-]{8,}=*", re.IGNORECASE | re.ASCII
)
_BASIC: Final = re.compile(
    r"(authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?basic\s{1,8})[A-Za-z0-9+/]{6,}=*", re.IGNORECASE | re.ASCII
)
_PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r'(?:(?:[^-"]|-(?!----))*-----END (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----'
    # cut off: its lines, with newlines as they are or as JSON escapes
    r"|(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]{32,})+(?:(?:\s|\\[nr])+[A-Za-z0-9+/=]*[0-9+/=][A-Za-z0-9+/=]*)?)",
    re.ASCII,
)
_URL_PASSWORD: Final = re.compile(r"(?<=://)([^\s/?#@:\"'<>]{0,256}:)[^\s/?#@\"'<>]{1,256}(?=@)")
_URL_USERINFO: Final = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@")
_PARAMETER: Final = re.compile(r"(?<=[?&#])([\w.%-]{1,64})=([^&\s\"'<>#\\]+)", re.ASCII)
_JSON_FIELD: Final = re.compile(r'"([^"\\]{1,64})"(\s*:\s*)"([^"\\]*(?:\\.[^"\\]*)*)', re.DOTALL)
_ASSIGNMENT: Final = re.compile(
    r"(?<![A-Za-z0-9])((?:api[_-]?key|access[_-]?key|secret[_-]?key|access[_-]?token|auth[_-]?token|api[_-]?token|client[_-]?secret"
    r"|secret|password|passwd)'?\s{0,4}[:=]\s{0,4}[\"']?)(?=[A-Za-z_.~+/-]*[0-9])[A-Za-z0-9_.~+/-]{8,}=*",
    re.IGNORECASE | re.ASCII,
)
_INLINE_DATA: Final = re.compile(r"data:[\w/+.-]*(?:;[\w=.-]+)*;base64,[A-Za-z0-9+/]*={0,2}", re.ASCII)

_SECRET_VARIABLE: Final = re.compile(
    r"(?:API_?KEY|(?:^|_)(?:KEY|TOKEN|SECRET|PASSPHRASE|CREDENTIAL|PAT)|_PWD|PASSWORD|PASSWD|ACCESS_?TOKEN)S?(?:_?\d+)?$",
    re.IGNORECASE,
)
_SHORTEST_SECRET: Final = 8
_COMMON_WORD: Final = 12
"""A value of letters alone is a word, not a secret, when it is shorter than this."""


@dataclass(frozen=True)
class Redactor:
    """Replaces secrets, by what every run knows of them and by what a project adds.

    Attributes:
        fields: more names of JSON fields and query parameters whose values are secret.
        patterns: more regular expressions; what they match in a text is secret.
        secrets: exact values that are secret; None takes those of the environment, at the first use.
    """

    fields: Collection[str] = ()
    patterns: tuple[str, ...] = ()
    secrets: Collection[str] | None = None

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
        return request.model_copy(update=changes) if changes else request

    def redact_response(self, response: Response) -> Response:
        """Returns the response as it may be stored: the same object where it holds no secret."""
        changes = self._redact_body(response)
        headers = {
            name: self.redact_url(value)
            for name, value in response.headers.items()
            if not _NEVER_KEPT.fullmatch(name.lower())
        }
        if headers != response.headers:
            changes["headers"] = headers
        return response.model_copy(update=changes) if changes else response

    def redact_url(self, url: str) -> str:
        """Returns the URL without user and password, and with its secret parameters replaced."""
        return self.redact_text(_URL_USERINFO.sub(r"\1", url))

    def redact_text(self, text: str) -> str:
        """Returns the text with all that is, or looks like, a secret replaced."""
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
                    key = self._redact_name(name) if isinstance(name, str) else name
                    changed |= key != name
                    copied[key] = value
                    if isinstance(value, str | dict | list):
                        todo.append((copied, key, _holds_secret(str(name), value, self._extra_names)))
                parent[at] = copied
            elif isinstance(node, list):
                parent[at] = copied_list = list(node)
                todo.extend((copied_list, i, secret) for i in range(len(node)))
        return root[0] if changed else tree

    def _redact_body(self, message: Request | Response) -> dict[str, Any]:
        """Returns the fields of the message that change."""
        kind = message.body_kind
        if kind == "json":
            tree = self.redact_json(message.json_)
            return {} if tree is message.json_ else {"json_": tree}
        if kind == "events" and message.events:
            events = tuple(self._redact_event(event) for event in message.events)
            return {} if events == message.events else {"events": events}
        if kind == "text" and message.text:
            # A form's first field has no "&" before it.
            text = self.redact_text("&" + message.text)[1:]
            return {} if text == message.text else {"text": text}
        return {}

    def _redact_event(self, event: str | RawFrame) -> str | RawFrame:
        if not isinstance(event, str):
            frame = self.redact_text(event.frame)
            return event if frame == event.frame else event.model_copy(update={"frame": frame})
        return self.redact_text(event)

    def _redact_once(self, text: str) -> str:
        for value in self._values:
            if value in text:
                text = text.replace(value, PLACEHOLDER)
        if len(text) > 4096:
            text = _redact_shapes.__wrapped__(text, self._extra_names)
        else:
            text = _redact_shapes(text, self._extra_names)
        for pattern in self.patterns:
            text = re.sub(pattern, PLACEHOLDER, text)
        return text

    @cached_property
    def _extra_names(self) -> frozenset[str]:
        return frozenset(map(_normalise_name, self.fields))

    @cached_property
    def _values(self) -> tuple[str, ...]:
        """The secret values as they may stand in a text, in a JSON string and in a URL; the longest first."""
        secrets = secret_values(os.environ) if self.secrets is None else self.secrets
        forms = {
            form
            for value in secrets
            for form in (value, quote(value, safe=""), json.dumps(value)[1:-1])
            if form
        }
        return tuple(
            sorted((form for form in forms if form not in PLACEHOLDER), key=lambda form: (-len(form), form))
        )

    @cached_property
    def _redact_name(self) -> Callable[[str], str]:
        return lru_cache(maxsize=1024)(self.redact_text)


def kept_headers(headers: Iterable[tuple[str, str]], extra: Collection[str] = ()) -> dict[str, str]:
    """Returns the response headers to store, by lower-case name; several values of one joined with ``", "``.

    Args:
        headers: the response's, in order.
        extra: names to keep besides `KEPT_RESPONSE_HEADERS`. Cookies and credentials are never kept.
    """
    names = KEPT_RESPONSE_HEADERS.union(name.lower() for name in extra)
    kept: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower in names and not _NEVER_KEPT.fullmatch(lower):
            kept[lower] = f"{kept[lower]}, {value}" if lower in kept else value
    return kept


def secret_values(environ: Mapping[str, str]) -> frozenset[str]:
    """Returns the values of the environment variables that look like secrets.

    The name must say so (``*_API_KEY``, ``*_TOKEN``, ``*_SECRET``, ``*PASSWORD``, ...), and the value must be
    one that is worth finding in a text: not a number, a short word, a path or a placeholder.
    """
    return frozenset(
        value for name, value in environ.items() if _names_secret_variable(name) and _is_worth_finding(value)
    )


@lru_cache(maxsize=1024)
def _names_secret_variable(name: str) -> bool:
    return _SECRET_VARIABLE.search(name) is not None


def _is_worth_finding(value: str) -> bool:
    if len(value) < _SHORTEST_SECRET or value in PLACEHOLDER or "placeholder" in value.lower():
        return False
    if value.strip("0123456789.,:+- ") == "" or (value.isalpha() and len(value) < _COMMON_WORD):
        return False
    # pathlib would raise for what is no path at all.
    return not (value[0] in "/~." and os.path.exists(os.path.expanduser(value)))  # noqa: PTH110, PTH111


def _read_unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns the object; of a key that comes twice, the first value would hide from the search."""
    read = dict(pairs)
    if len(read) < len(pairs):
        raise ValueError("a key comes twice")
    return read


def _normalise_name(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(".", "").removesuffix("s")


@lru_cache(maxsize=2048)
def _names_secret(name: str, extra: frozenset[str]) -> bool:
    plain = _normalise_name(name)
    return plain in extra or _SECRET_NAME.fullmatch(plain) is not None


@lru_cache(maxsize=1024)
def _names_secret_parameter(name: str, extra: frozenset[str]) -> bool:
    return _SECRET_PARAMETER.fullmatch(_normalise_name(name)) is not None or _names_secret(name, extra)


def _holds_secret(name: str, value: object, extra: frozenset[str]) -> bool:
    """Whether a JSON field is secret by its name."""
    if isinstance(value, dict):
        return False
    if _names_secret(name, extra):
        return True
    return (
        isinstance(value, str)
        and len(value) >= 16
        and _DOUBTFUL_NAME.fullmatch(_normalise_name(name)) is not None
        and _OPAQUE.fullmatch(value) is not None
    )


@lru_cache(maxsize=2048)
def _redact_shapes(text: str, extra: frozenset[str]) -> str:
    """Returns the text without what looks like a key, and the values of fields that are secret by name.

    Cached, since the requests of a suite repeat their system prompts and each turn of a conversation repeats
    those before it. A regular expression runs only where a part that it cannot do without was found.
    """
    if len(text) < 6 or (text.startswith("data:") and _INLINE_DATA.fullmatch(text)):
        return text
    if any(start in text for start in _KEYS):
        text = _KEY_SHAPES.sub(PLACEHOLDER, text)
    if "-----BEGIN" in text:
        text = _PRIVATE_KEY.sub(PLACEHOLDER, text)
    if "://" in text and "@" in text:
        text = _URL_PASSWORD.sub(rf"\1{PLACEHOLDER}", text)
    lower = text.lower()
    if "bearer" in lower:
        text = _BEARER.sub(rf"\1{PLACEHOLDER}", text)
    if "basic" in lower:
        text = _BASIC.sub(rf"\1{PLACEHOLDER}", text)
    if ("=" in text or ":" in text) and (extra or _NAME_HINT.search(lower)):
        text = _JSON_FIELD.sub(lambda found: _redact_field(found, extra), text)
        text = _PARAMETER.sub(lambda found: _redact_parameter(found, extra), text)
        text = _ASSIGNMENT.sub(rf"\1{PLACEHOLDER}", text)
    return text


def _redact_field(found: re.Match[str], extra: frozenset[str]) -> str:
    name, colon, value = found.groups()
    return f'"{name}"{colon}"{PLACEHOLDER}' if value and _holds_secret(name, value, extra) else found[0]


def _redact_parameter(found: re.Match[str], extra: frozenset[str]) -> str:
    name = found[1]
    return f"{name}={PLACEHOLDER}" if _names_secret_parameter(unquote(name), extra) else found[0]
