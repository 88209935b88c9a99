"""The `vcr.VCR` that a project's hooks and fixtures configure, and what it was told beyond a `vcr_config`.

A real one goes out to them. What they set on it comes back by the names of a `vcr_config`, their own matchers as one
function on our requests, and their own serializer as the function that reads a cassette's text.
"""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

from ..errors import RequestStoppedError, SettingsError
from ..formats.vcrpy import import_vcr
from .filters import to_vcr_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..models import Request


def make_vcr(folder: str, suffix: str, config: Mapping[str, Any]) -> Any:
    """Returns a `vcr.VCR` for the cassettes of a folder.

    Raises:
        SettingsError: vcrpy does not take the settings.
    """
    vcr = import_vcr("vcr.config").VCR
    plain = {"cassette_library_dir": folder, "path_transformer": vcr.ensure_suffix(suffix)}
    try:
        return vcr(**plain | dict(config))
    except (TypeError, ValueError) as error:
        raise SettingsError(f"vcr_config: {error}") from None


def told(vcr: Any, folder: str) -> dict[str, Any]:
    """Returns what a VCR was told that a new one for the same folder was not, by the names of a `vcr_config`."""
    vcr_type = import_vcr("vcr.config").VCR
    new, found = vcr_type(cassette_library_dir=folder), {}
    for name in [*signature(vcr_type.__init__).parameters][1:]:
        attribute = {"custom_patches": "_custom_patches", "before_record": ""}.get(name, name)
        value = getattr(vcr, attribute, None)
        if name != "path_transformer" and attribute and value != getattr(new, attribute, None):
            found[name] = value
    if vcr.persister is not new.persister:
        found["persister"] = vcr.persister
    return found


def own_matchers(vcr: Any, names: Iterable[str]) -> dict[str, Callable[[Any, Any], object]]:
    """Returns those of these matchers that are not vcrpy's own, by name.

    Raises:
        SettingsError: none of this name is registered.
    """
    known = import_vcr("vcr.config").VCR().matchers
    found: dict[str, Callable[[Any, Any], object]] = {}
    for name in names:
        matcher = vcr.matchers.get(name)
        if matcher is None:
            raise SettingsError(
                f"match_on: {name!r} is neither one of vcrpy's matchers nor registered; register it in "
                "pytest_recording_configure: vcr.register_matcher(name, function)"
            )
        if matcher is not known.get(name):
            found[name] = matcher
    return found


def same_by(matchers: Mapping[str, Callable[[Any, Any], object]]) -> Callable[[Request, Request], bool]:
    """Returns a function that tells whether all these matchers take a request for a recorded one, as vcrpy asks."""

    def same(request: Request, recorded: Request) -> bool:
        first, second = to_vcr_request(request), to_vcr_request(recorded)
        for name, matcher in matchers.items():
            try:
                if matcher(first, second) not in {None, True}:
                    return False
            except AssertionError:
                return False
            except Exception as error:  # the project's own code, in the middle of a client's call
                raise RequestStoppedError(
                    f"the matcher {name!r} of this project: {type(error).__name__}: {error}\n"
                    "It gets requests without headers, since these are never stored here."
                ) from error
        return True

    return same


def own_deserializer(vcr: Any, name: str) -> Callable[[str], Any] | None:
    """Returns what reads a cassette's text where the project has registered a serializer of its own.

    Raises:
        SettingsError: there is no serializer of this name.
    """
    serializer = vcr.serializers.get(name)
    if serializer is None:
        raise SettingsError(f"serializer: {name!r} is not registered; known: {', '.join(vcr.serializers)}")
    if serializer is import_vcr("vcr.config").VCR().serializers.get(name):
        return None
    deserialize: Callable[[str], Any] = serializer.deserialize
    return deserialize
