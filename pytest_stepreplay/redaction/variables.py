"""Which values are secret because of where they come from: variables and settings, by their names.

A mapping of names and values goes in; the values worth finding come out, and the forms they take in a file.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode, urlsafe_b64encode
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus, unquote

from ..lazy import late_pattern
from ..machine import disk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SECRET_NAME: Final = late_pattern(
    r"(?:(?:API|ACCESS|SECRET|PRIVATE|SIGNING|ENCRYPTION|MASTER|ACCOUNT|AUTH|SUBSCRIPTION)_?KEY"
    r"|(?:^|_)(?:TOKEN|SECRET|PASSPHRASE|CREDENTIAL|PAT|JWT)|_PWD|PASSWORD|PASSWD|ACCESS_?TOKEN)S?(?:_?\d+)?$",
    re.IGNORECASE,
)
# A SORT_KEY names a column and an SSH_KEY a file: here the value must look like a secret too.
_DOUBTFUL_NAME: Final = late_pattern(r"(?:^|_)KEYS?(?:_?\d+)?$", re.IGNORECASE)
_OPAQUE: Final = late_pattern(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])\S{16,}")
_URL_PASSWORD: Final = late_pattern(r"[a-z][a-z0-9+.-]*://[^\s/?#@:]*:([^\s/?#@]+)@", re.IGNORECASE)

_SHORTEST: Final = 8
_WORDS: Final = frozenset(
    """
    a abc an anthropic ant api apikey auth authorization bar baz bearer change changeme default demo development
    disable disabled dummy enable enabled env example fake filtered foo foobar for from ghp gho github here hf hidden
    insert invalid key live local me missing mock my no none not null of only openai optional or pass password pk
    placeholder production proj pw pwd real redacted removed replace required sample secret set sk some step stepfun
    stepreplay stub test testing tests the this to token undefined unset unused use user username value xoxb xyz your
    """.split()  # noqa: SIM905 - a word for each line would be two pages
)
_PART: Final = late_pattern(r"[A-Za-z]+|[0-9]+")
_RISING: Final = "01234567890"


def secret_values(environ: Mapping[str, str]) -> frozenset[str]:
    """Returns the values of the variables that look like secrets, and the passwords in their URLs.

    The name must say so (``*_API_KEY``, ``*_TOKEN``, ``*_SECRET``, ``*PASSWORD``, ...), and the value must be
    one that is worth finding in a text: not a number, a word of every day, a path or a placeholder. Of a
    variable that is just some ``*_KEY`` the value must look like a key too.
    """
    found: set[str] = set()
    for name, value in environ.items():
        if "://" in value:
            password = _URL_PASSWORD.match(value)
            if password:
                found.update(each for each in (password[1], unquote(password[1])) if _is_worth_finding(each))
        sort = _sort_of(name)
        if sort and _is_worth_finding(value) and (sort == "secret" or _OPAQUE.fullmatch(value)):
            found.add(value)
    return frozenset(found)


def environment_secrets() -> frozenset[str]:
    """Returns the `secret_values` of the environment variables as they are now."""
    return environment_as_it_is()()


def environment_as_it_is() -> Callable[[], frozenset[str]]:
    """Returns what gives the `secret_values` of the environment variables as they are now, whenever it is called.

    Each test asks for them, and hardly any changes a variable, so it is first seen whether one has changed. What
    `os.environ` keeps its variables in is compared, since that costs a hundredth of reading all through it.
    """
    return partial(_secrets_among, dict(getattr(os.environ, "_data", os.environ)))


def _secrets_among(variables: dict[Any, Any]) -> frozenset[str]:
    global _known  # noqa: PLW0603 - a process has one environment
    known_variables, known = _known
    variables = {name: value for name, value in variables.items() if name not in _OF_EACH_TEST}
    if variables != known_variables:
        known = secret_values({os.fsdecode(name): os.fsdecode(value) for name, value in variables.items()})
        _known = variables, known
    return known


_OF_EACH_TEST: Final = ("PYTEST_CURRENT_TEST", b"PYTEST_CURRENT_TEST")
_known: tuple[dict[object, object], frozenset[str]] = {}, frozenset()


def is_made_up(value: str) -> bool:
    """Tells whether a value is a placeholder throughout, as ``your-api-key``, ``sk-xxxx`` and ``test-123`` are."""
    parts = [part.lower() for part in _PART.findall(value)]
    return bool(parts) and all(
        part in _WORDS or part in _RISING or len(set(part)) == 1 < len(part) for part in parts
    )


def forms_of(value: str) -> frozenset[str]:
    """Returns the ways in which a value may stand in a text: as it is, in JSON, in a URL, in base64."""
    data = value.encode("utf-8", "surrogateescape")
    return frozenset(
        {
            value,
            json.dumps(value)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1],
            value.replace("'", "''"),  # a text in YAML
            quote(value, safe="", errors="surrogateescape"),
            quote_plus(value, errors="surrogateescape"),
            b64encode(data).decode(),
            urlsafe_b64encode(data).decode(),
        }
    )


def base64_cores(value: str) -> frozenset[str]:
    """Returns what is in every base64 text that encodes the value, whatever stands before and behind it."""
    data = value.encode("utf-8", "surrogateescape")
    cores = set()
    for before in range(3):
        first = -(-before * 8 // 6)  # the first digit that only the value decides
        last = (before + len(data)) * 8 // 6
        for encode in (b64encode, urlsafe_b64encode):
            cores.add(encode(bytes(before) + data + bytes(2))[first:last].decode())
    return frozenset(cores)


@lru_cache(maxsize=1024)
def _sort_of(name: str) -> str:
    if _SECRET_NAME.search(name):
        return "secret"
    return "doubtful" if _DOUBTFUL_NAME.search(name) else ""


@lru_cache(maxsize=1024)
def _is_worth_finding(value: str) -> bool:
    if len(value) < _SHORTEST or "placeholder" in value.lower() or is_made_up(value):
        return False
    # pathlib would raise for what is no path at all.
    return not (value[0] in "/~." and disk.exists(os.path.expanduser(value)))  # noqa: PTH111
