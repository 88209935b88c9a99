"""How the value of a setting is read, wherever it was given: as a text in an ini file, as any object in Python.

A value goes in, and comes out as `Settings` has it. Each reader raises a `ValueError`, or a `SettingsError`, that
says what is wrong with the value, and which ones are good. Whoever calls it names the setting.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from .. import selectors
from ..errors import SettingsError
from ..texts import spelling, varying
from . import hosts, policy, prices
from .levels import Level
from .modes import MODES, Mode


def read_choice(value: object, *names: str) -> object:
    """Returns one of the names."""
    if value not in names:
        raise ValueError(f"{value!r} is not one of {', '.join(names)}{spelling.did_you_mean(value, names)}")
    return value


def read_mode(value: object) -> object:
    """Returns a mode, by its name."""
    return value if isinstance(value, Mode) else MODES[str(read_choice(value, *MODES))]


def read_flag(value: object) -> object:
    """Returns whether something is so."""
    words = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(
        ("false", "no", "off", "0"), False
    )
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise ValueError(f"{value!r} is not one of true, false")


def some_text(value: object) -> object:
    """Returns a text that is not empty, or a path as one."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str) and value.strip():
        return value
    raise ValueError(f"{value!r} must be a string that is not empty")


def read_texts(value: object) -> tuple[str, ...]:
    """Returns texts, from a list or from a text with spaces between them."""
    items = value.split() if isinstance(value, str) else value
    if isinstance(items, Iterable) and not isinstance(items, Mapping | bytes):
        texts = tuple(items)
        if all(isinstance(text, str) and text for text in texts):
            return texts
    raise ValueError(f"{value!r} is not a list of strings")


def read_choices(value: object, *names: str) -> object:
    """Returns at least one of the names."""
    texts = read_texts(value)
    for text in texts:
        read_choice(text, *names)
    if not texts:
        raise ValueError(f"it is empty; name some of {', '.join(names)}")
    return texts


def read_selectors(value: object) -> object:
    """Returns selectors, as texts."""
    texts = read_texts(value)
    for text in texts:
        selectors.Selector.parse(text)
    return texts


def read_kinds(value: object) -> object:
    """Returns kinds of text that differ from run to run, patterns as they are written in a file."""
    if isinstance(value, str):
        value = value.split()
    if isinstance(value, Iterable) and not isinstance(value, Mapping | bytes):
        value = [_written(each, varying.REGEX) if isinstance(each, re.Pattern) else each for each in value]
    texts = read_texts(value)
    varying.Normalizer(texts)
    return tuple(sorted(set(texts)))


def _written(pattern: re.Pattern[Any], prefix: str) -> str:
    """Returns a compiled pattern as it is written in a file, with its flags."""
    if not isinstance(pattern.pattern, str):
        raise ValueError(f"{pattern!r:.80} is not a pattern of text")  # noqa: TRY004 - a wrong value, as the others are
    flags = "".join(letter for letter in "aimsx" if pattern.flags & getattr(re, letter.upper()))
    return f"{prefix}(?{flags}){pattern.pattern}" if flags else f"{prefix}{pattern.pattern}"


def read_host_names(value: object) -> object:
    """Returns hosts, of which one may be a pattern."""
    texts = read_texts(value)
    hosts.Hosts.read(texts)
    return texts


def read_report_file(value: object) -> object:
    """Returns the path of a report."""
    name = str(some_text(value))
    form, colon, path = name.partition(":")
    if colon and form.lower() in {"json", "md", "markdown"}:
        raise ValueError(f"{value!r} must be the path alone, such as {path!r}; its ending names the form")
    return name


def read_pace(value: object) -> object:
    """Returns the factor of the recorded times: 0 for no pauses, 1 for those that were recorded."""
    named = {"none": 0.0, "recorded": 1.0}
    if isinstance(value, str) and value in named:
        return named[value]
    try:
        factor = float(value) if isinstance(value, str | int | float) else -1.0
    except ValueError:
        factor = -1.0
    if isinstance(value, bool) or not 0 <= factor <= 1000:
        raise ValueError(f"{value!r} is not a pace; write none, recorded or a factor such as 0.1")
    return factor


def read_age(value: object) -> object:
    """Returns an age as it is written."""
    parse_age(str(value))
    return value


def parse_age(text: str) -> timedelta:
    """Returns how long ``12h``, ``90d`` or ``4w`` is.

    Raises:
        ValueError: the text is none of these.
    """
    found = re.fullmatch(r"([1-9]\d{0,5})([hdw])", text.strip())
    if not found:
        raise ValueError(f"{text!r} is not an age; write it as 12h, 90d or 4w (hours, days, weeks)")
    unit = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}[found[2]]
    return int(found[1]) * unit


def read_count(value: object, most: int) -> object:
    """Returns a number from 1 to the most that there may be."""
    text = str(value).strip()
    is_whole = not isinstance(value, bool) and text.isascii() and text.isdigit()
    if not is_whole or not 1 <= int(text) <= most:
        raise ValueError(f"{value!r:.60} is not a whole number from 1 to {most}")
    return int(text)


def read_error_rate(value: object) -> object:
    """Returns the share that 0.05 or 5% stands for."""
    text = str(value).strip()
    try:
        rate = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        rate = 0.0
    if isinstance(value, bool) or not 0 < rate <= 0.5:
        raise ValueError(f"{value!r:.60} is not an error rate; write a share such as 0.05 or 5%, at most 50%")
    return rate


def read_most_mutants(value: object) -> object:
    """Returns which mutants are tried, as it is written."""
    read_mutants(str(value))
    return str(value)


def read_mutants(text: str) -> tuple[int | None, Level]:
    """Returns how many mutants a test has at most, None for all, and the lowest level of one.

    Raises:
        ValueError: the text is neither a number nor a level.
    """
    names = {str(level): level for level in Level if level}
    text = text.strip()
    if text in names:
        return None, names[text]
    if not text.isascii() or not text.isdigit() or not int(text):
        raise ValueError(f"{text!r} is neither a number of 1 or more nor one of {', '.join(names)}")
    return int(text), Level.METADATA


def _pairs(
    value: object, form: str, split: Callable[[str], tuple[str, str, str]], *, strict: bool = False
) -> list[tuple[Any, Any]]:
    """Returns the pairs of a mapping, or those of lines.

    Args:
        value: either, or a text with the lines.
        form: what a line should be, for the error.
        split: returns a line's two texts, and what is between them in the middle.
        strict: something must be there.
    """
    if isinstance(value, Mapping):
        return [*value.items()]
    lines = value.splitlines() if isinstance(value, str) else value
    if isinstance(lines, Iterable) and all(isinstance(line, str) for line in lines):
        parts = [split(line) for line in lines if line.strip()]
        if not strict or all(between for _, between, _ in parts):
            return [(name.strip(), rest.strip()) for name, _, rest in parts]
    raise ValueError(f"{value!r:.60} is neither a mapping nor lines of {form}")


def read_policy(value: object, kind: str) -> object:
    """Returns pairs of a selector and its rule, from a mapping or from lines of ``SELECTOR: RULE``.

    Args:
        value: what is set.
        kind: of the rules, as `Policy.from_mapping` calls it.
    """
    pairs = dict(_pairs(value, "SELECTOR: RULE", lambda line: line.partition(": "), strict=True))
    try:
        policy.Policy.from_mapping({kind: pairs})
    except SettingsError as error:  # whoever reads the setting names it
        raise ValueError(str(error).removeprefix(f"{kind}, ")) from None
    return tuple(pairs.items())


def read_reasons(value: object) -> object:
    """Returns pairs of a selector and the reason for it, from a mapping or from lines of ``SELECTOR: reason``."""
    pairs = [
        (str(name).strip(), str(reason or "").strip())
        for name, reason in _pairs(value, "SELECTOR: REASON", lambda line: line.partition(": "))
    ]
    for name, reason in pairs:
        selectors.Selector.parse(name)
        if not reason:
            raise ValueError(f"{name!r:.200} has no reason; write it as SELECTOR: REASON")
    return tuple(pairs)


def read_prices(value: object) -> object:
    """Returns pairs of a model and its prices, from a mapping or from lines of ``MODEL: INPUT OUTPUT [CACHED]``."""
    pairs = _pairs(value, "MODEL: INPUT OUTPUT [CACHED]", lambda line: line.rpartition(":"))
    written = tuple((str(name), str(each)) for name, each in pairs)
    prices.Prices(written)
    return written


def read_host_keys(value: object) -> object:
    """Returns pairs of a host and the variable with its key, from a mapping or from lines of ``HOST: VARIABLE``."""
    pairs = _pairs(value, "HOST: VARIABLE", lambda line: line.rpartition(":"))
    named = tuple((str(host), str(name)) for host, name in pairs)
    for host, name in named:
        if not host or not re.fullmatch(r"\w+", name):
            raise ValueError(
                f"{f'{host}: {name}'!r:.100} is not HOST: VARIABLE, such as api.example.com: EXAMPLE_KEY"
            )
        hosts.Hosts.read([host])
    return named


def read_store(value: object) -> object:
    """Returns the URL of a store."""
    url = str(some_text(value)).strip().rstrip("/")
    if not re.match(r"[A-Za-z][\w+.-]*(?:::[A-Za-z][\w+.-]*)*://[^/]|file:///[^/]", url):
        shown = f"{url!r:.100} " if "@" not in url else ""  # before that may be a password
        raise ValueError(f"{shown}is not a URL such as s3://BUCKET/FOLDER or file:///FOLDER")
    return url


def read_store_options(value: object) -> object:
    """Returns pairs of an option and its value, which is JSON or else a text, from a mapping or from lines."""
    if isinstance(value, str):
        value = value.splitlines()
    if isinstance(value, Mapping):
        return tuple((str(name), each) for name, each in value.items())
    if not isinstance(value, Iterable) or not all(isinstance(line, str) for line in value):
        raise ValueError("it is neither a mapping nor lines of NAME: VALUE")  # it may hold a password
    pairs: list[tuple[str, object]] = []
    for number, line in enumerate((line for line in value if line.strip()), 1):
        name, colon, text = (part.strip() for part in line.partition(":"))
        if not colon or not name.isidentifier() or not text:
            raise ValueError(f"line {number} is not NAME: VALUE, such as endpoint_url: http://127.0.0.1:9000")
        try:
            pairs.append((name, json.loads(text)))
        except ValueError:
            pairs.append((name, text))
    return tuple(pairs)


def read_contract(value: object) -> object:
    """Returns a dialect, or a project's own pydantic model, which only Python can name."""
    if isinstance(value, type) and hasattr(value, "model_validate"):
        return value
    return read_choice(value, "stepfun", "openai", "none")
