"""Options, ini keys, the marker and the `stepreplay_config` fixture become one frozen `Settings`.

Each setting stands once, in `FIELDS`, with the check of its value, the help text and where it may be set.
A bad value is a `SettingsError` that names its source and lists the good ones. Nothing heavy is imported:
this runs at the start of every pytest run.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, Literal, NamedTuple

from .. import selectors
from ..commands import pytest_command
from ..errors import SettingsError
from ..texts import spelling, varying
from ..value_classes import dataclass, field
from . import hosts, judges, policy, prices
from .faults import Fault, read_fault_table, read_faults
from .levels import Level
from .modes import MODES, REPLAY, Mode

Unused = Literal["ignore", "warn", "error"]
BlockNetwork = Literal["marked", "always", "never"]
Stale = Literal["warn", "error", "record"]

MATCHERS: Final = ("method", "scheme", "host", "port", "path", "query", "body")
"""What a request can be matched on; by default on all of it."""

ABSENT_EQUALS: Final = ("nothing", "default", "null", "empty")
"""What of a request's body is the same as its absence: nothing; what the API documents as the default; null anywhere,
too; empty texts, lists and objects anywhere, too."""

MOST_SAMPLES: Final = 200
"""How often a request is asked at most, to see how its answers vary."""

PLACEHOLDER_KEY: Final = "stepreplay-placeholder-key"
"""Stands in a missing API key's environment variable, so that clients can be built without one."""


class Field(NamedTuple):
    """One setting: how its value is read, and where it may be given besides the ini file."""

    read: Callable[[object], object]
    help: str
    ini_type: Literal["string", "bool", "args", "linelist"] = "string"
    marker: bool = True
    option: str | None = None
    metavar: str = ""


def _one_of(*names: str) -> Callable[[object], object]:
    def read(value: object) -> object:
        if value not in names:
            raise ValueError(
                f"{value!r} is not one of {', '.join(names)}{spelling.did_you_mean(value, names)}"
            )
        return value

    return read


def _mode(value: object) -> object:
    return value if isinstance(value, Mode) else MODES[str(_one_of(*MODES)(value))]


def _flag(value: object) -> object:
    words = {
        "true": True,
        "yes": True,
        "on": True,
        "1": True,
        "false": False,
        "no": False,
        "off": False,
        "0": False,
    }
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise ValueError(f"{value!r} is not one of true, false")


def _text(value: object) -> object:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str) and value.strip():
        return value
    raise ValueError(f"{value!r} must be a string that is not empty")


def _texts(value: object) -> tuple[str, ...]:
    items = value.split() if isinstance(value, str) else value
    if isinstance(items, Iterable) and not isinstance(items, Mapping | bytes):
        texts = tuple(items)
        if all(isinstance(text, str) and text for text in texts):
            return texts
    raise ValueError(f"{value!r} is not a list of strings")


def _some_of(*names: str) -> Callable[[object], object]:
    def read(value: object) -> object:
        texts = _texts(value)
        for text in texts:
            _one_of(*names)(text)
        if not texts:
            raise ValueError(f"it is empty; name some of {', '.join(names)}")
        return texts

    return read


def _selectors(value: object) -> object:
    texts = _texts(value)
    for text in texts:
        selectors.Selector.parse(text)
    return texts


def _kinds(value: object) -> object:
    if isinstance(value, str):
        value = value.split()
    if isinstance(value, Iterable) and not isinstance(value, Mapping | bytes):
        value = [_written(each, varying.REGEX) if isinstance(each, re.Pattern) else each for each in value]
    texts = _texts(value)
    varying.Normalizer(texts)
    return tuple(sorted(set(texts)))


def _written(pattern: re.Pattern[Any], prefix: str) -> str:
    """Returns a compiled pattern as it is written in a file, with its flags."""
    if not isinstance(pattern.pattern, str):
        raise ValueError(f"{pattern!r:.80} is not a pattern of text")  # noqa: TRY004 - a wrong value, as the others are
    flags = "".join(letter for letter in "aimsx" if pattern.flags & getattr(re, letter.upper()))
    return f"{prefix}(?{flags}){pattern.pattern}" if flags else f"{prefix}{pattern.pattern}"


def _hosts(value: object) -> object:
    texts = _texts(value)
    hosts.Hosts.read(texts)
    return texts


def _report_file(value: object) -> object:
    name = str(_text(value))
    form, colon, path = name.partition(":")
    if colon and form.lower() in {"json", "md", "markdown"}:
        raise ValueError(f"{value!r} must be the path alone, such as {path!r}; its ending names the form")
    return name


def _table(kind: str) -> Callable[[object], object]:
    """Reads pairs of a selector and its rule, from a mapping or from lines of ``SELECTOR: RULE``."""

    def read(value: object) -> object:
        if isinstance(value, str):
            value = value.splitlines()
        if isinstance(value, Mapping):
            pairs: dict[Any, Any] = dict(value)
        elif isinstance(value, Iterable) and all(isinstance(line, str) and ": " in line for line in value):
            pairs = {name.strip(): rule.strip() for name, _, rule in (line.partition(": ") for line in value)}
        else:
            raise ValueError(f"{value!r:.60} is neither a mapping nor lines of SELECTOR: RULE")
        try:
            policy.Policy.from_mapping({kind: pairs})
        except SettingsError as error:  # whoever reads the setting names it
            raise ValueError(str(error).removeprefix(f"{kind}, ")) from None
        return tuple(pairs.items())

    return read


def _pace(value: object) -> object:
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


def _age(value: object) -> object:
    parse_age(str(value))
    return value


def _count(value: object) -> object:
    text = str(value).strip()
    if (
        isinstance(value, bool)
        or not text.isascii()
        or not text.isdigit()
        or not 1 <= int(text) <= MOST_SAMPLES
    ):
        raise ValueError(f"{value!r:.60} is not a whole number from 1 to {MOST_SAMPLES}")
    return int(text)


def _error_rate(value: object) -> object:
    """Returns the share that 0.05 or 5% stands for."""
    text = str(value).strip()
    try:
        rate = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        rate = 0.0
    if isinstance(value, bool) or not 0 < rate <= 0.5:
        raise ValueError(f"{value!r:.60} is not an error rate; write a share such as 0.05 or 5%, at most 50%")
    return rate


def _judge(value: object) -> object:
    return judges.read_judge(value)


def _mutants(value: object) -> object:
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


def _reasons(value: object) -> object:
    """Reads pairs of a selector and the reason for it, from a mapping or from lines of ``SELECTOR: reason``."""
    if isinstance(value, str):
        value = value.splitlines()
    if isinstance(value, Mapping):
        pairs = [(str(name), str(reason or "")) for name, reason in value.items()]
    elif isinstance(value, Iterable) and all(isinstance(line, str) for line in value):
        pairs = [
            (name, reason) for name, _, reason in (line.partition(": ") for line in value if line.strip())
        ]
    else:
        raise ValueError(f"{value!r:.60} is neither a mapping nor lines of SELECTOR: REASON")
    for name, reason in pairs:
        selectors.Selector.parse(name.strip())
        if not reason.strip():
            raise ValueError(f"{name.strip()!r:.200} has no reason; write it as SELECTOR: REASON")
    return tuple((name.strip(), reason.strip()) for name, reason in pairs)


def _prices(value: object) -> object:
    """Reads pairs of a model and its prices, from a mapping or from lines of ``MODEL: INPUT OUTPUT [CACHED]``."""
    if isinstance(value, str):
        value = value.splitlines()
    if isinstance(value, Mapping):
        pairs = [(str(name), str(written)) for name, written in value.items()]
    elif isinstance(value, Iterable) and all(isinstance(line, str) for line in value):
        lines = [line.rpartition(":") for line in value if line.strip()]
        pairs = [(name.strip(), written.strip()) for name, _, written in lines]
    else:
        raise ValueError(f"{value!r:.60} is neither a mapping nor lines of MODEL: INPUT OUTPUT [CACHED]")
    prices.Prices(pairs)
    return tuple(pairs)


def _host_keys(value: object) -> object:
    """Reads pairs of a host and the variable with its key, from a mapping or from lines of ``HOST: VARIABLE``."""
    if isinstance(value, str):
        value = value.splitlines()
    if isinstance(value, Mapping):
        pairs = [(str(host), str(name)) for host, name in value.items()]
    elif isinstance(value, Iterable) and all(isinstance(line, str) for line in value):
        lines = [line.rpartition(":") for line in value if line.strip()]
        pairs = [(host.strip(), name.strip()) for host, _, name in lines]
    else:
        raise ValueError(f"{value!r:.60} is neither a mapping nor lines of HOST: VARIABLE")
    for host, name in pairs:
        if not host or not re.fullmatch(r"\w+", name):
            raise ValueError(
                f"{f'{host}: {name}'!r:.100} is not HOST: VARIABLE, such as api.example.com: EXAMPLE_KEY"
            )
        hosts.Hosts.read([host])
    return tuple(pairs)


def _store(value: object) -> object:
    url = str(_text(value)).strip().rstrip("/")
    if not re.match(r"[A-Za-z][\w+.-]*(?:::[A-Za-z][\w+.-]*)*://[^/]|file:///[^/]", url):
        shown = f"{url!r:.100} " if "@" not in url else ""  # before that may be a password
        raise ValueError(f"{shown}is not a URL such as s3://BUCKET/FOLDER or file:///FOLDER")
    return url


def _store_options(value: object) -> object:
    """Reads pairs of an option and its value, which is JSON or else a text, from a mapping or from lines."""
    if isinstance(value, str):
        value = value.splitlines()
    if isinstance(value, Mapping):
        return tuple((str(name), each) for name, each in value.items())
    if not isinstance(value, Iterable) or not all(isinstance(line, str) for line in value):
        raise ValueError("it is neither a mapping nor lines of NAME: VALUE")
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


def _contract(value: object) -> object:
    """Returns a dialect, or a project's own pydantic model, which only Python can name."""
    if isinstance(value, type) and hasattr(value, "model_validate"):
        return value
    return _one_of("stepfun", "openai", "none")(value)


FIELDS: Final[Mapping[str, Field]] = {
    "mode": Field(
        _mode,
        f"what a run does with requests: {', '.join(MODES)} (default: replay)",
        option="--stepreplay",
        metavar="MODE",
    ),
    "dir": Field(
        _text,
        "the folder of the cassettes, relative to the rootdir (default: cassettes)",
        marker=False,
        option="--stepreplay-dir",
        metavar="DIR",
    ),
    "unused": Field(
        _one_of("ignore", "warn", "error"),
        "what to do about interactions and cassettes that a run did not use: ignore, warn, error (default: warn)",
        marker=False,
        option="--stepreplay-unused",
        metavar="ignore|warn|error",
    ),
    "fail_on": Field(
        _one_of("contract", "behavior", "content", "metadata", "never"),
        "the lowest level of drift that fails a test: contract, behavior (default in verify), content (default for "
        "snapshots), metadata, never",
        option="--stepreplay-fail-on",
        metavar="LEVEL",
    ),
    "samples": Field(
        _count,
        f"how often verify may ask a request, to tell a change from chance: 1 to {MOST_SAMPLES} (default: 1)",
        option="--stepreplay-samples",
        metavar="N",
    ),
    "error_rate": Field(
        _error_rate,
        "how often verify may report a change of behavior where there is none, where samples is above 1, such as 1% "
        "(default: 5%)",
    ),
    "report": Field(
        _report_file,
        "write what the run found to this file, in the form that its name ends in: .json, .md, .html; set in the "
        "ini file, it is for the runs that verify, rewrite or mutate",
        marker=False,
        option="--stepreplay-report",
        metavar="FILE",
    ),
    "history": Field(
        _texts,
        "earlier reports in JSON, or globs of them, the oldest first; a report for a browser shows them",
        ini_type="args",
        marker=False,
        option="--stepreplay-history",
        metavar="GLOB",
    ),
    "baseline": Field(
        _text,
        "a file of known drift, which fails no test",
        marker=False,
        option="--stepreplay-baseline",
        metavar="FILE",
    ),
    "fault": Field(
        read_faults,
        "what goes wrong with a recorded answer: rate_limit, server_error, timeout, reset, cut_at=CHUNKS, "
        "stall=SECONDS, slow=FACTOR, truncated_arguments, invalid_json, empty, content_filter; of several, one for "
        "each request in turn",
        ini_type="args",
    ),
    "faults": Field(
        read_fault_table,
        "faults, or all, with each of which the test is run once",
        ini_type="args",
    ),
    "mutate": Field(
        _flag,
        "whether the mode mutate runs a test again with changed answers (default: yes)",
        ini_type="bool",
    ),
    "mutants": Field(
        _mutants,
        "which mutants of a test are tried in the mode mutate: at most so many, or those of a level and above: "
        "contract, behavior, content, metadata (default: all)",
        marker=False,
        option="--stepreplay-mutants",
        metavar="N|LEVEL",
    ),
    "pending": Field(
        _flag,
        "write pending files for what drifted (default: yes, unless CI is set)",
        ini_type="bool",
        marker=False,
    ),
    "match_on": Field(_some_of(*MATCHERS), "which parts of a request must be equal", ini_type="args"),
    "ignore_request": Field(_selectors, "selectors of request body fields that may differ", ini_type="args"),
    "ignore_order": Field(
        _selectors,
        "selectors of lists in the request body whose items may come in any order",
        ini_type="args",
    ),
    "absent_equals": Field(
        _one_of(*ABSENT_EQUALS),
        "which request fields count as left out: nothing, default (those that hold the API's documented default; "
        "this is used unless set), null (also any null), empty (also any empty string, list or object)",
        metavar="|".join(ABSENT_EQUALS),
    ),
    "normalize": Field(
        _kinds,
        "values in a request that differ from run to run, by kind (uuid, iso-date, tmp-path, ...) or as "
        "regex:PATTERN",
        ini_type="args",
    ),
    "ignore": Field(_selectors, "selectors of response places that are never compared", ini_type="args"),
    "volatile": Field(
        _selectors,
        "selectors of response places of which only the type counts; ids and times stand for all that look so",
        ini_type="args",
    ),
    "tolerances": Field(
        _table("tolerances"),
        "how far numbers may differ, as lines of SELECTOR: 20% (a vector: cosine>=0.999)",
        ini_type="linelist",
    ),
    "text": Field(
        _table("text"), "when texts count as equal, as lines of SELECTOR: RULE", ini_type="linelist"
    ),
    "judge": Field(
        _judge,
        "what says whether two texts mean the same: MODULE:FUNCTION of both, or of one text for its vector",
    ),
    "contract": Field(
        _contract, "the documented object to check against: stepfun, openai, none (default: the host's)"
    ),
    "allow_repeats": Field(_flag, "answer a request more often than it was recorded", ini_type="bool"),
    "pace": Field(
        _pace,
        "how fast recorded streams are replayed: none (at once, the default), recorded, or a factor of the "
        "recorded times, such as 0.1",
    ),
    "record_errors": Field(_flag, "also record responses with status 400 and above", ini_type="bool"),
    "ignore_hosts": Field(
        _hosts, "hosts whose requests are let through, neither recorded nor replayed", ini_type="args"
    ),
    "allowed_hosts": Field(_hosts, "hosts that a test may reach in replay", ini_type="args"),
    "block_network": Field(
        _one_of("marked", "always", "never"),
        "which tests may not reach other machines in replay: marked (those with a cassette, the default), "
        "always (every test), never (none)",
        marker=False,
        option="--stepreplay-block-network",
        metavar="marked|always|never",
    ),
    "keep_headers": Field(
        _texts, "response headers to store besides content-type and its like", ini_type="args"
    ),
    "redact_fields": Field(
        _texts, "JSON fields and query parameters whose values are never stored", ini_type="args"
    ),
    "max_age": Field(
        _age,
        "how old a recording may be, such as 12h, 90d or 4w (default: any age)",
        option="--stepreplay-max-age",
        metavar="AGE",
    ),
    "stale": Field(
        _one_of("warn", "error", "record"),
        "what to do about recordings older than max_age: warn, error, record (again) (default: warn)",
        option="--stepreplay-stale",
        metavar="warn|error|record",
    ),
    "adopt_vcr_marker": Field(
        _flag,
        "run tests that are marked for pytest-recording or pytest-vcr (@pytest.mark.vcr)",
        ini_type="bool",
        marker=False,
    ),
    "allow_secret": Field(
        _reasons,
        "places that may hold what only looks like a secret, as lines of SELECTOR: REASON",
        ini_type="linelist",
    ),
    "prices": Field(
        _prices,
        "what a million tokens cost, as lines of MODEL: INPUT OUTPUT [CACHED]; a * in the name stands for any text",
        ini_type="linelist",
        marker=False,
    ),
    "upstream": Field(
        _texts,
        "the API that stepreplay_server and `stepreplay serve` stand for, as a base URL; further ones as NAME=URL",
        ini_type="args",
        metavar="URL",
    ),
    "cors": Field(
        _texts,
        "origins of web pages that may ask stepreplay_server; * for all (default: none)",
        ini_type="args",
        marker=False,
    ),
    "host_keys": Field(
        _host_keys,
        "which environment variable holds the API key of a host, for `stepreplay verify`, as lines of HOST: VARIABLE "
        "(none: it needs no key)",
        ini_type="linelist",
        marker=False,
    ),
    "store": Field(
        _store,
        "where cassettes are kept outside of git, for `stepreplay pull` and `push`: a URL that fsspec opens, such as "
        "s3://BUCKET/FOLDER",
        marker=False,
        metavar="URL",
    ),
    "store_options": Field(
        _store_options,
        "what fsspec is told to open the store, as lines of NAME: VALUE, such as endpoint_url: http://127.0.0.1:9000",
        ini_type="linelist",
        marker=False,
    ),
    "api_keys": Field(
        _texts,
        "environment variables to fill with a placeholder where they are not set",
        ini_type="args",
        marker=False,
    ),
}
"""Every setting. The ini key is ``stepreplay_NAME``."""

MARKER_SETTINGS: Final = tuple(name for name, known in FIELDS.items() if known.marker)
MARKER_ARGUMENTS: Final = ("cassette", *MARKER_SETTINGS)


@dataclass(frozen=True, slots=True)
class Settings:
    """All that was set for a test, checked.

    `cassette` is a name that the marker gave; `secrets` are values of other settings that must not be stored.
    """

    mode: Mode = REPLAY
    dir: str = "cassettes"
    unused: Unused = "warn"
    fail_on: str | None = None
    samples: int = 1
    error_rate: float = 0.05
    report: str | None = None
    history: tuple[str, ...] = ()
    baseline: str | None = None
    fault: tuple[Fault, ...] = ()
    faults: tuple[Fault, ...] = ()
    mutate: bool = True
    mutants: str | None = None
    pending: bool | None = None
    max_age: str | None = None
    stale: Stale = "warn"
    adopt_vcr_marker: bool = False
    ignore: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()
    tolerances: tuple[tuple[str, Any], ...] = ()
    text: tuple[tuple[str, Any], ...] = ()
    judge: Any = None
    contract: Any = None
    match_on: tuple[str, ...] = MATCHERS
    ignore_request: tuple[str, ...] = ()
    ignore_order: tuple[str, ...] = ()
    absent_equals: str = "default"
    normalize: tuple[str, ...] = ()
    allow_repeats: bool = False
    pace: float = 0.0
    record_errors: bool = False
    ignore_hosts: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    block_network: BlockNetwork = "marked"
    keep_headers: tuple[str, ...] = ()
    redact_fields: tuple[str, ...] = ()
    allow_secret: tuple[tuple[str, str], ...] = ()
    prices: tuple[tuple[str, str], ...] = ()
    api_keys: tuple[str, ...] = ("STEP_API_KEY", "OPENAI_API_KEY")
    host_keys: tuple[tuple[str, str], ...] = ()
    store: str | None = field(default=None, repr=False)
    store_options: tuple[tuple[str, Any], ...] = field(default=(), repr=False)
    upstream: tuple[str, ...] = ()
    cors: tuple[str, ...] = ()
    cassette: str | None = field(default=None)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def leaves_pending(self) -> bool:
        """Whether what drifted is left as a pending file: by default not where the variable CI is set."""
        if self.pending is not None:
            return self.pending
        return os.environ.get("CI", "").lower() in {"", "0", "false", "no"}

    def takes_other_bodies(self) -> bool:
        """Whether a suite that was made for another plugin has its bodies not compared, as there."""
        return self.adopt_vcr_marker and self.mode.answers and "body" not in self.match_on

    @classmethod
    def merge(cls, *layers: Mapping[str, object]) -> Settings:
        """Returns the settings of all layers; a later layer wins for what it names."""
        known = cls.__match_args__
        values: dict[str, Any] = {}
        for layer in layers:
            values.update((name, value) for name, value in layer.items() if name in known)
        return cls(**values)


def read_values(
    source: str, given: Mapping[str, object], allowed: Iterable[str] = FIELDS
) -> dict[str, object]:
    """Returns the checked values of one layer.

    Args:
        source: names the layer in an error, such as ``@pytest.mark.stepreplay``.
        given: what was set there; a value of None counts as not set.
        allowed: the names that may be set there.

    Raises:
        SettingsError: for unknown names and bad values; it tells them all.
    """
    valid = tuple(allowed)
    values: dict[str, object] = {}
    unknown, wrong = [], []
    for name, value in given.items():
        if name not in valid:
            unknown.append(f"{name!r}{spelling.did_you_mean(name, valid)}")
        elif value is not None:
            try:
                values[name] = _read(f"{source}, {name}", name, value, of_run=allowed is FIELDS)
            except SettingsError as error:
                wrong.append(str(error))
    if unknown:
        wrong.append(f"{source} has no argument {' or '.join(unknown)}. Valid ones: {', '.join(valid)}")
    if wrong:
        raise SettingsError("\n".join(wrong))
    return values


def _read(where: str, name: str, value: object, *, of_run: bool) -> object:
    read = _text if name == "cassette" else FIELDS[name].read
    try:
        found = read(value)
    except (ValueError, SettingsError) as error:
        raise SettingsError(f"{where}: {error}") from None
    if isinstance(found, Mode) and found.mutates and not of_run:
        raise SettingsError(
            f"{where}: {found} is a mode of a whole run: {pytest_command(f'--stepreplay={found}')}"
        )
    return found


def read_marker(args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, object]:
    """Returns the checked values of one ``@pytest.mark.stepreplay(...)``."""
    source = "@pytest.mark.stepreplay"
    if len(args) > 1:
        raise SettingsError(f"{source} takes one positional argument, the cassette; got {len(args)}")
    given = dict(kwargs)
    if args:
        if "cassette" in given:
            raise SettingsError(f"{source} names the cassette twice")
        given["cassette"] = args[0]
    return read_values(source, given, MARKER_ARGUMENTS)
