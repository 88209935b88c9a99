"""Who quotes an answer that is about to change: later requests of its cassette, and of a fixture's tests.

In a conversation each turn quotes the answers before it. Accepting a new answer alone leaves the later turns with the
old one, and the test asks something that is not recorded.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from .. import store
from ..errors import CassetteError, display_path
from ..matching import find_quoting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..models import Request, Response

FIXTURE: Final = " (fixture)"
"""How the name of a cassette's owner ends that is a fixture."""

_SEARCHED: Final = 200
"""How many other cassettes are read for what quotes a fixture's answer."""


def tell_quoting(
    old: Response, new: Response, later: Sequence[Request], *, first: int, cassette: Path, test: str
) -> str:
    """Returns who quotes the old response, in words; an empty text where nobody does.

    Args:
        old: the stored response.
        new: the one that would take its place.
        later: the requests behind it in its cassette.
        first: the number of the first of them.
        cassette: where it stands.
        test: whose the cassette is.
    """
    numbers = [str(first + position) for position in find_quoting(old, new, later)]
    if numbers:
        many = len(numbers) > 1
        return f"interaction{'s' * many} {', '.join(numbers)} quote{'s' * (not many)} the old answer"
    if test.endswith(FIXTURE):
        for path in islice(store.iter_cassettes(cassette.parent), _SEARCHED):
            if path != cassette and _quotes(path, old, new):
                return f"{display_path(path)} quotes the old answer"
    return ""


def _quotes(path: Path, old: Response, new: Response) -> bool:
    try:
        interactions = store.read_cassette(path).cassette.interactions
    except (OSError, CassetteError):
        return False
    return bool(find_quoting(old, new, [each.request for each in interactions]))
