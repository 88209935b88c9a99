"""Options, ini keys, the marker and the `stepreplay_config` fixture become one frozen `Settings`.

Each setting stands once, in `FIELDS`, with what reads its value, the help text and where it may be set. A bad value
is a `SettingsError` that names its source and lists the good ones. Nothing heavy is imported: this runs at the start
of every pytest run, and `readers` where something is set.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, Literal

from ..commands import pytest_command
from ..errors import SettingsError
from ..texts import spelling
from ..value_classes import dataclass, field
from . import faults, judges, readers
from .modes import MODES, REPLAY, Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .faults import Fault

MATCHERS: Final = ("method", "scheme", "host", "port", "path", "query", "body")
"""What a request can be matched on; by default on all of it."""

ABSENT_EQUALS: Final = ("nothing", "default", "null", "empty")
"""What of a request's body is the same as its absence: nothing; what the API documents as the default; null anywhere,
too; empty texts, lists and objects anywhere, too."""

MOST_SAMPLES: Final = 200
"""How often a request is asked at most, to see how its answers vary."""

API_KEYS: Final = ("STEP_API_KEY", "OPENAI_API_KEY")
"""The environment variables that are filled with a placeholder where nothing else is set."""

PLACEHOLDER_KEY: Final = "stepreplay-placeholder-key"
"""Stands in a missing API key's environment variable, so that clients can be built without one."""


class Field:
    """One setting: how its value is read, and where it may be given besides the ini file."""

    __slots__ = ("help", "ini_type", "marker", "metavar", "option", "read")

    def __init__(
        self,
        read: Callable[[object], object],
        help: str,  # noqa: A002 - as pytest calls it
        ini_type: Literal["string", "bool", "args", "linelist"] = "string",
        *,
        marker: bool = True,
        option: str | None = None,
        metavar: str = "",
    ) -> None:
        self.read, self.help, self.ini_type = read, help, ini_type
        self.marker, self.option, self.metavar = marker, option, metavar


FIELDS: Final[Mapping[str, Field]] = {
    "mode": Field(
        lambda it: readers.read_mode(it),
        f"what a run does with requests: {', '.join(MODES)} (default: replay)",
        option="--stepreplay",
        metavar="MODE",
    ),
    "dir": Field(
        lambda it: readers.some_text(it),
        "the folder of the cassettes, relative to the rootdir (default: cassettes)",
        marker=False,
        option="--stepreplay-dir",
        metavar="DIR",
    ),
    "unused": Field(
        lambda it: readers.read_choice(it, "ignore", "warn", "error"),
        "what to do about interactions and cassettes that a run did not use: ignore, warn, error (default: warn)",
        marker=False,
        option="--stepreplay-unused",
        metavar="ignore|warn|error",
    ),
    "fail_on": Field(
        lambda it: readers.read_choice(it, "contract", "behavior", "content", "metadata", "never"),
        "the lowest level of drift that fails a test: contract, behavior (default in verify), content (default for "
        "snapshots), metadata, never",
        option="--stepreplay-fail-on",
        metavar="LEVEL",
    ),
    "samples": Field(
        lambda it: readers.read_count(it, MOST_SAMPLES),
        f"how often verify may ask a request, to tell a change from chance: 1 to {MOST_SAMPLES} (default: 1)",
        option="--stepreplay-samples",
        metavar="N",
    ),
    "error_rate": Field(
        lambda it: readers.read_error_rate(it),
        "how often verify may report a change of behavior where there is none, where samples is above 1, such as 1% "
        "(default: 5%)",
    ),
    "report": Field(
        lambda it: readers.read_report_file(it),
        "write what the run found to this file, in the form that its name ends in: .json, .md, .html; set in the "
        "ini file, it is for the runs that verify, rewrite or mutate",
        marker=False,
        option="--stepreplay-report",
        metavar="FILE",
    ),
    "history": Field(
        lambda it: readers.read_texts(it),
        "earlier reports in JSON, or globs of them, the oldest first; a report for a browser shows them",
        ini_type="args",
        marker=False,
        option="--stepreplay-history",
        metavar="GLOB",
    ),
    "baseline": Field(
        lambda it: readers.some_text(it),
        "a file of known drift, which fails no test",
        marker=False,
        option="--stepreplay-baseline",
        metavar="FILE",
    ),
    "fault": Field(
        lambda it: faults.read_faults(it),
        "what goes wrong with a recorded answer: rate_limit, server_error, timeout, reset, cut_at=CHUNKS, "
        "stall=SECONDS, slow=FACTOR, truncated_arguments, invalid_json, empty, content_filter; of several, one for "
        "each request in turn",
        ini_type="args",
    ),
    "faults": Field(
        lambda it: faults.read_fault_table(it),
        "faults, or all, with each of which the test is run once",
        ini_type="args",
    ),
    "mutate": Field(
        lambda it: readers.read_flag(it),
        "whether the mode mutate runs a test again with changed answers (default: yes)",
        ini_type="bool",
    ),
    "mutants": Field(
        lambda it: readers.read_most_mutants(it),
        "which mutants of a test are tried in the mode mutate: at most so many, or those of a level and above: "
        "contract, behavior, content, metadata (default: all)",
        marker=False,
        option="--stepreplay-mutants",
        metavar="N|LEVEL",
    ),
    "pending": Field(
        lambda it: readers.read_flag(it),
        "write pending files for what drifted (default: yes, unless CI is set)",
        ini_type="bool",
        marker=False,
    ),
    "match_on": Field(
        lambda it: readers.read_choices(it, *MATCHERS),
        "which parts of a request must be equal",
        ini_type="args",
    ),
    "ignore_request": Field(
        lambda it: readers.read_selectors(it),
        "selectors of request body fields that may differ",
        ini_type="args",
    ),
    "ignore_order": Field(
        lambda it: readers.read_selectors(it),
        "selectors of lists in the request body whose items may come in any order",
        ini_type="args",
    ),
    "absent_equals": Field(
        lambda it: readers.read_choice(it, *ABSENT_EQUALS),
        "which request fields count as left out: nothing, default (those that hold the API's documented default; "
        "this is used unless set), null (also any null), empty (also any empty string, list or object)",
        metavar="|".join(ABSENT_EQUALS),
    ),
    "normalize": Field(
        lambda it: readers.read_kinds(it),
        "values in a request that differ from run to run, by kind (uuid, iso-date, tmp-path, ...) or as "
        "regex:PATTERN",
        ini_type="args",
    ),
    "ignore": Field(
        lambda it: readers.read_selectors(it),
        "selectors of response places that are never compared",
        ini_type="args",
    ),
    "volatile": Field(
        lambda it: readers.read_selectors(it),
        "selectors of response places of which only the type counts; ids and times stand for all that look so",
        ini_type="args",
    ),
    "tolerances": Field(
        lambda it: readers.read_policy(it, "tolerances"),
        "how far numbers may differ, as lines of SELECTOR: 20% (a vector: cosine>=0.999)",
        ini_type="linelist",
    ),
    "text": Field(
        lambda it: readers.read_policy(it, "text"),
        "when texts count as equal, as lines of SELECTOR: RULE",
        ini_type="linelist",
    ),
    "judge": Field(
        lambda it: judges.read_judge(it),
        "what says whether two texts mean the same: MODULE:FUNCTION of both, or of one text for its vector",
    ),
    "contract": Field(
        lambda it: readers.read_contract(it),
        "the documented object to check against: stepfun, openai, none (default: the host's)",
    ),
    "allow_repeats": Field(
        lambda it: readers.read_flag(it), "answer a request more often than it was recorded", ini_type="bool"
    ),
    "pace": Field(
        lambda it: readers.read_pace(it),
        "how fast recorded streams are replayed: none (at once, the default), recorded, or a factor of the "
        "recorded times, such as 0.1",
    ),
    "record_errors": Field(
        lambda it: readers.read_flag(it), "also record responses with status 400 and above", ini_type="bool"
    ),
    "ignore_hosts": Field(
        lambda it: readers.read_host_names(it),
        "hosts whose requests are let through, neither recorded nor replayed",
        ini_type="args",
    ),
    "allowed_hosts": Field(
        lambda it: readers.read_host_names(it), "hosts that a test may reach in replay", ini_type="args"
    ),
    "block_network": Field(
        lambda it: readers.read_choice(it, "marked", "always", "never"),
        "which tests may not reach other machines in replay: marked (those with a cassette, the default), "
        "always (every test), never (none)",
        marker=False,
        option="--stepreplay-block-network",
        metavar="marked|always|never",
    ),
    "keep_headers": Field(
        lambda it: readers.read_texts(it),
        "response headers to store besides content-type and its like",
        ini_type="args",
    ),
    "redact_fields": Field(
        lambda it: readers.read_texts(it),
        "JSON fields and query parameters whose values are never stored",
        ini_type="args",
    ),
    "max_age": Field(
        lambda it: readers.read_age(it),
        "how old a recording may be, such as 12h, 90d or 4w (default: any age)",
        option="--stepreplay-max-age",
        metavar="AGE",
    ),
    "stale": Field(
        lambda it: readers.read_choice(it, "warn", "error", "record"),
        "what to do about recordings older than max_age: warn, error, record (again) (default: warn)",
        option="--stepreplay-stale",
        metavar="warn|error|record",
    ),
    "adopt_vcr_marker": Field(
        lambda it: readers.read_flag(it),
        "run tests that are marked for pytest-recording or pytest-vcr (@pytest.mark.vcr)",
        ini_type="bool",
        marker=False,
    ),
    "allow_secret": Field(
        lambda it: readers.read_reasons(it),
        "places that may hold what only looks like a secret, as lines of SELECTOR: REASON",
        ini_type="linelist",
    ),
    "prices": Field(
        lambda it: readers.read_prices(it),
        "what a million tokens cost, as lines of MODEL: INPUT OUTPUT [CACHED]; a * in the name stands for any text",
        ini_type="linelist",
        marker=False,
    ),
    "upstream": Field(
        lambda it: readers.read_texts(it),
        "the API that stepreplay_server and `stepreplay serve` stand for, as a base URL; further ones as NAME=URL",
        ini_type="args",
        metavar="URL",
    ),
    "cors": Field(
        lambda it: readers.read_texts(it),
        "origins of web pages that may ask stepreplay_server; * for all (default: none)",
        ini_type="args",
        marker=False,
    ),
    "host_keys": Field(
        lambda it: readers.read_host_keys(it),
        "which environment variable holds the API key of a host, for `stepreplay verify`, as lines of HOST: VARIABLE "
        "(none: it needs no key)",
        ini_type="linelist",
        marker=False,
    ),
    "store": Field(
        lambda it: readers.read_store(it),
        "where cassettes are kept outside of git, for `stepreplay pull` and `push`: a URL that fsspec opens, such as "
        "s3://BUCKET/FOLDER",
        marker=False,
        metavar="URL",
    ),
    "store_options": Field(
        lambda it: readers.read_store_options(it),
        "what fsspec is told to open the store, as lines of NAME: VALUE, such as endpoint_url: http://127.0.0.1:9000",
        ini_type="linelist",
        marker=False,
    ),
    "api_keys": Field(
        lambda it: readers.read_texts(it),
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
    unused: Literal["ignore", "warn", "error"] = "warn"
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
    stale: Literal["warn", "error", "record"] = "warn"
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
    block_network: Literal["marked", "always", "never"] = "marked"
    keep_headers: tuple[str, ...] = ()
    redact_fields: tuple[str, ...] = ()
    allow_secret: tuple[tuple[str, str], ...] = ()
    prices: tuple[tuple[str, str], ...] = ()
    api_keys: tuple[str, ...] = API_KEYS
    host_keys: tuple[tuple[str, str], ...] = ()
    store: str | None = field(default=None, repr=False)
    store_options: tuple[tuple[str, Any], ...] = field(default=(), repr=False)
    upstream: tuple[str, ...] = ()
    cors: tuple[str, ...] = ()
    cassette: str | None = field(default=None)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def selects_nothing(self) -> bool:
        """Whether they select no places to compare otherwise, and name no contract of the project's own."""
        rules = (self.ignore, self.volatile, self.tolerances, self.text, self.judge)
        return not any(rules) and not isinstance(self.contract, type)

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
    read = readers.some_text if name == "cassette" else FIELDS[name].read
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
