"""What a `vcr_config` and the keywords of `@pytest.mark.vcr` mean here.

One mapping of vcrpy's settings goes in; our settings, and a note for each one that has no meaning here, come
out. The names are those of vcrpy 9 and pytest-recording.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ..errors import SettingsError
from ..settings import MATCHERS, RECORD, REPLAY, REWRITE, Mode
from ..value_classes import dataclass

_ONCE: Final = "once"
_MODE_FOR: Final[Mapping[str, Mode]] = {
    "none": REPLAY,
    "new_episodes": RECORD,
    "all": REWRITE,
    "rewrite": REWRITE,
}
"""Our mode for each record mode but `once`, which depends on whether the cassette exists."""

RECORD_MODES: Final = (_ONCE, *_MODE_FOR)
"""The record modes of vcrpy, and `rewrite`, which pytest-recording has besides."""

_LOCALHOST: Final = ("localhost", "0.0.0.0", "127.0.0.1", "::1")  # noqa: S104 - vcrpy's own list, to compare with
_MATCHERS: Final = {
    "uri": ("scheme", "host", "port", "path", "query"),
    "url": ("scheme", "host", "port", "path", "query"),
    "raw_body": ("body",),
}
_FILTERS: Final = (
    "filter_query_parameters",
    "filter_post_data_parameters",
    "filter_nested_post_data_parameters",
    "before_record_request",
    "before_record",
    "before_record_response",
)
_PLACES: Final = ("serializer", "cassette_library_dir", "path_transformer")
_NEEDLESS: Final = (
    "filter_headers",
    "decode_compressed_response",
    "func_path_generator",
    "allowed_hosts",
    "drop_unused_requests",
    "inject_cassette",
)
REFUSED: Final = {
    "filter_sensitive_data": "what looks like a secret is redacted anyway; stepreplay_redact_fields adds JSON fields",
    "before_save_interaction": "use before_record_request and before_record_response",
    "after_load_interaction": "change the cassettes themselves, once",
    "custom_patches": "the clients that are intercepted are listed in docs/clients.md",
    "skip_patchers": "list hosts to leave alone in stepreplay_ignore_hosts",
    "persister": "cassettes are files here",
}
"""What would change what a test sees and cannot be had, with what to do instead: such a test is not run."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """What a `vcr_config` means here.

    Attributes:
        settings: our settings, by name.
        ignored_hosts: hosts that pass by.
        record_mode: vcrpy's, where it names one.
        filters: those of its settings that vcrpy itself is to apply to requests and responses.
        places: those of its settings that say where the cassettes lie.
        notes: what has no meaning here, and what to do instead.
        matchers: names in `match_on` that are not ours; `project` knows what they stand for.
    """

    settings: Mapping[str, Any]
    ignored_hosts: tuple[str, ...]
    record_mode: str | None
    filters: Mapping[str, Any]
    places: Mapping[str, Any]
    notes: tuple[str, ...]
    matchers: tuple[str, ...] = ()


def read_vcr_config(config: Mapping[str, Any]) -> Adopted:
    """Returns what vcrpy's settings mean here.

    Args:
        config: the `vcr_config`, with the keywords of the markers.

    Raises:
        SettingsError: one has a value that vcrpy would refuse too, or cannot be had here.
    """
    for name, instead in REFUSED.items():
        if config.get(name):
            raise SettingsError(
                f"vcr_config, {name}: not available with stepreplay_adopt_vcr_marker; {instead}. Take it out, or "
                "leave these tests to the plugin that they were written for"
            )
    settings: dict[str, Any] = {}
    notes = []
    matchers, own = _read_matchers(config)
    if matchers:
        settings["match_on"] = matchers
    if "headers" in own:
        notes.append("match_on='headers': less strict here, since the headers of requests are never stored")
    if config.get("allow_playback_repeats"):
        settings["allow_repeats"] = True
    names, patterns = _read_hosts(config)
    if patterns:
        notes.append(
            "ignore_hosts: requests to a pattern are let through, but in replay the network stays blocked for them; "
            "name such hosts in stepreplay_allowed_hosts"
        )
    filters = {name: config[name] for name in _FILTERS if config.get(name)}
    if patterns:
        filters["ignore_hosts"] = patterns
    if config.get("record_on_exception") is False:
        notes.append(
            "record_on_exception=False: a failing test never replaces a cassette, but may create one"
        )
    known = {"match_on", "additional_matchers", "allow_playback_repeats", "ignore_hosts", "ignore_localhost"}
    known |= {"record_mode", "record_on_exception", *_FILTERS, *_PLACES, *_NEEDLESS}
    unknown = (name for name in config if name not in known and name not in REFUSED)
    notes += [f"{name}: vcrpy and pytest-recording have no such setting" for name in unknown]
    return Adopted(
        settings=settings,
        ignored_hosts=names,
        record_mode=read_record_mode(config.get("record_mode"), "vcr_config, record_mode"),
        filters=filters,
        places={name: config[name] for name in _PLACES if config.get(name)},
        notes=tuple(notes),
        matchers=tuple(name for name in own if name != "headers"),
    )


def read_record_mode(value: object, source: str) -> str | None:
    """Returns the checked name of a record mode, which may be one of vcrpy's enumeration.

    Raises:
        SettingsError: there is no such record mode.
    """
    name = getattr(value, "value", value)
    if name is not None and name not in RECORD_MODES:
        raise SettingsError(f"{source}: {name!r} is not one of {', '.join(RECORD_MODES)}")
    return name


def mode_of(record_mode: str, *, exists: bool) -> Mode:
    """Returns our mode for a record mode.

    Args:
        record_mode: one of `RECORD_MODES`.
        exists: the cassette is there.
    """
    if record_mode == _ONCE:
        return REPLAY if exists else RECORD
    return _MODE_FOR[record_mode]


def record_mode_of(mode: Mode, *, of_vcrpy: bool = False) -> str:
    """Returns the record mode that does what one of our modes does.

    Args:
        mode: ours.
        of_vcrpy: it must be one of vcrpy's own.
    """
    if mode.adds:
        return "new_episodes"
    if mode.rewrites and not of_vcrpy:
        return "rewrite"
    return "all" if mode.rewrites or mode.passes_by else "none"


def read_allowed_hosts(given: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    r"""Returns the hosts that pytest-recording's regular expressions name, and those that name no host simply.

    ``api\.example\.com`` is a name, ``.*\.example\.com`` is every name below it, ``.*`` is every host.
    """
    texts = given.split(",") if isinstance(given, str) else given
    if texts is None:
        return (), ()
    if not isinstance(texts, Iterable) or not all(isinstance(text, str) for text in texts):
        raise SettingsError(f"allowed_hosts: {given!r} is not a list of strings")
    hosts, unclear = [], []
    for text in texts:
        host = re.sub(r"\\([.:-])", r"\1", text.strip().removeprefix("^").removesuffix("$"))
        host = "*" if host == ".*" else re.sub(r"^\.[*+]\.", "*.", host)
        if re.fullmatch(r"\*|(?:\*\.)?[\w.:-]+", host):
            hosts.append(host)
        else:
            unclear.append(text)
    return tuple(hosts), tuple(unclear)


def request_parts_of(name: str) -> tuple[str, ...]:
    """Returns what one of vcrpy's matchers compares, in our words."""
    return _MATCHERS.get(name, (name,))


def _read_matchers(config: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns our matchers, none where the default ones are meant, and the names that are not ours."""
    given = config.get("match_on") or ()
    names = [given] if isinstance(given, str) else [*given]
    extra = [*config.get("additional_matchers", ())]  # without match_on, all is compared anyway
    found = {part for name in names + extra for part in _MATCHERS.get(name, (name,))}
    own = dict.fromkeys(name for name in names + extra if name not in MATCHERS and name not in _MATCHERS)
    return tuple(name for name in MATCHERS if names and name in found), tuple(own)


def _read_hosts(config: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[re.Pattern[str], ...]]:
    given = config.get("ignore_hosts") or ()
    hosts = [given] if isinstance(given, str) else [*given]
    names = [host for host in hosts if isinstance(host, str)]
    if config.get("ignore_localhost"):
        names += _LOCALHOST
    return tuple(names), tuple(host for host in hosts if isinstance(host, re.Pattern))
