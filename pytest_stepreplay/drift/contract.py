"""Where a response breaks the documented object: which field, what was expected, and what came.

The trees of both answers go in; what comes out is what the new one breaks and the stored one did not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from . import breaches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .answers import Answer
    from .breaches import Breach

MISSING: Final = "required, but missing"


def new_breaches(stored: Answer, new: Answer, contract: str | type[Any] | None) -> list[Breach]:
    """Returns what the new answer breaks in a way that the stored one does not.

    Args:
        stored: the stored answer; what it breaks in the same way is how this server is.
        new: the answer to judge. The chunks of a streamed one are checked too; of those that break alike only
            the first is returned.
        contract: the name of the documented object, or a pydantic model class.

    Raises:
        SettingsError: if a model class of the user's fails other than by refusing the value.
    """
    known = {breach.sort for breach in breaches_of(stored, contract)}
    fresh: list[Breach] = []
    told: set[tuple[object, str, str]] = set()
    for breach in breaches_of(new, contract):
        field = (breach.path[-1:], breach.expected, breach.got)
        if breach.sort not in known and not (breach.path[:1] == ("chunks",) and field in told):
            fresh.append(breach)
            told.add(field)
    return fresh


def breaches_of(answer: Answer, contract: str | type[Any] | None) -> Iterator[Breach]:
    """Yields every place where an answer breaks the documented object, its chunks' included.

    Args:
        answer: the answer.
        contract: the name of the documented object, or a pydantic model class; None finds nothing.

    Raises:
        SettingsError: if a model class of the user's fails other than by refusing the value.
    """
    if isinstance(contract, type):
        yield from breaches.check(answer.tree, contract, f"the model {contract.__name__}")
    elif answer.sort == "answer":
        documented = answer.endpoint.contracts.get(contract or "")
        if documented is None:
            return
        model, chunk_model = documented.models()
        yield from breaches.check(answer.tree, model, documented.source)
        for i, chunk in enumerate(answer.chunks):
            if "error" not in chunk:
                yield from breaches.check(chunk, chunk_model, documented.chunk_source, ("chunks", i))
