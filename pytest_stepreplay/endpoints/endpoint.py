"""`Endpoint`: what is known of one API, as a frozen value. It holds no code of its own endpoint, only facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Place = tuple[str, ...]
"""The steps to objects of a request's body: keys, and ``*`` for each item of a list. ``()`` is the body itself."""

Optional = dict[str, tuple[Any, ...]]
"""Fields of an object, each with the values that mean the same as leaving it out."""


@dataclass(frozen=True)
class Endpoint:
    """What is known of one API.

    Attributes:
        name: what people call it.
        paths: how the paths of its URLs end.
        optional: by place, which values of which fields mean the same as their absence, as documented.
        optional_by_host: the same for fields at the top whose default differs from host to host.
    """

    name: str
    paths: tuple[str, ...] = ()
    optional: Mapping[Place, Optional] = field(default_factory=dict)
    optional_by_host: Mapping[str, Optional] = field(default_factory=dict)

    def without_defaults(self, body: Any, host: str) -> Any:
        """Returns a request's body without the fields that say no more than their absence.

        Args:
            body: a JSON value. It is not changed; what stays as it is, is shared with it.
            host: where the request goes.
        """
        for place, optional in self.optional.items():
            if not place and host in self.optional_by_host:
                optional = optional | self.optional_by_host[host]  # noqa: PLW2901 - the same, and more
            body = _replace(body, place, optional)
        return body


def nullable(*names: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yields fields for which null is documented, and means that they are absent."""
    return ((name, (None,)) for name in names)


def _replace(value: Any, place: Place, optional: Optional) -> Any:
    """Returns the value with the objects at a place stripped; the value itself where nothing is to strip."""
    if not place:
        return _strip(value, optional)
    step, further = place[0], place[1:]
    if step == "*":
        if not isinstance(value, list):
            return value
        items = [_replace(item, further, optional) for item in value]
        return value if all(map(_is, items, value)) else items
    if not isinstance(value, dict) or step not in value:
        return value
    below = _replace(value[step], further, optional)
    return value if below is value[step] else {**value, step: below}


def _strip(value: Any, optional: Optional) -> Any:
    if not isinstance(value, dict):
        return value
    dropped = [
        name for name, usual in optional.items() if name in value and _stands_among(value[name], usual)
    ]
    return {name: each for name, each in value.items() if name not in dropped} if dropped else value


def _stands_among(value: Any, usual: tuple[Any, ...]) -> bool:
    # To Python, 1 is True; to JSON it is not, but it is 1.0.
    return any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in usual)


def _is(one: object, other: object) -> bool:
    return one is other
