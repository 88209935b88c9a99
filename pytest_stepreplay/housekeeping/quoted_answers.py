"""Who quotes an answer that is about to change: later requests of its cassette, and of a fixture's tests.

In a conversation each turn quotes the answers before it. Accepting a new answer alone leaves the later turns with the
old one, and the test asks something that is not recorded.
"""

from __future__ import annotations

from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from ..errors import CassetteError, display_path
from ..matching.quoting import find_quoting
from ..models import Interaction
from ..store import cassettes, paths
from ..value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ..models import Request, Response
    from ..store.pending import Pending, Unit

FIXTURE: Final = " (fixture)"
"""How the name of a cassette's owner ends that is a fixture."""

_SEARCHED: Final = 200
"""How many other cassettes are read for what quotes a fixture's answer."""


_NAMED: Final = 5
"""How many tests a command names; beyond, it names their modules."""


@dataclass(frozen=True, slots=True)
class Quoting:
    """Who quotes an answer; false where nobody does.

    Attributes:
        told: that, in words.
        tests: the ids of the tests to record anew, or their modules where they are many.
    """

    told: str = ""
    tests: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.told)


def find_quotes(
    old: Response, new: Response, later: Sequence[Request], *, first: int, cassette: Path, test: str
) -> Quoting:
    """Returns who quotes the old response.

    Args:
        old: the stored response.
        new: the one that would take its place.
        later: the requests behind it in its cassette.
        first: the number of the first of them.
        cassette: where it stands.
        test: whose the cassette is.
    """
    numbers = [str(first + position) for position in find_quoting(old, new, later)]
    told = [f"interaction{'s' * (len(numbers) > 1)} {', '.join(numbers)}"] if numbers else []
    many = len(numbers) > 1
    tests: tuple[str, ...] = ()
    if not test.endswith(FIXTURE):
        tests = (test,) if test else ()
    else:
        found = list(_quoting_cassettes(old, new, cassette, test))
        told += [display_path(path) for path, _ in found[:1]]
        told += [f"{len(found) - 1} more"] if len(found) > 1 else []
        many = many or len(told) > 1
        tests = tuple(dict.fromkeys(owner for _, owner in found if owner)) or (_served_by(test),)
    if not told:
        return Quoting()
    if len(tests) > _NAMED:
        tests = tuple(dict.fromkeys(each.partition("::")[0] for each in tests))
    return Quoting(f"{' and '.join(told)} quote{'s' * (not many)} the old answer", tests)


def find_quotes_of(pending: Pending, unit: Unit) -> Quoting:
    """Returns who quotes the old answer of a unit that is pending: a miss, once the new one is accepted alone."""
    old, new = unit.old, unit.new
    if not isinstance(old, Interaction) or not isinstance(new, Interaction):
        return Quoting()
    return find_quotes(
        old.response,
        new.response,
        unit.later,
        first=int(unit.name) + 1,
        cassette=pending.target,
        test=pending.test or "",
    )


def _served_by(fixture: str) -> str:
    """Returns the module whose tests may use a fixture; the folder, for a fixture of a conftest."""
    module = PurePosixPath(fixture.partition("::")[0])
    return str(module.parent if module.name == "conftest.py" else module)


def _quoting_cassettes(old: Response, new: Response, cassette: Path, test: str) -> Iterator[tuple[Path, str]]:
    """Yields the cassettes of other tests that quote a fixture's old response, and whose they are."""
    # A conftest's fixtures serve the folder in which it lies.
    folder = cassette.parent if _served_by(test).endswith(".py") else cassette.parent.parent
    for path in islice(paths.iter_cassettes(folder), _SEARCHED):
        if path == cassette:
            continue
        try:
            other = cassettes.read_cassette(path).cassette
        except (OSError, CassetteError):
            continue
        if find_quoting(old, new, [each.request for each in other.interactions]):
            yield path, "" if (other.test or "").endswith(FIXTURE) else other.test or ""
