"""`compare` says how a new response differs from the stored one, and how much each difference matters.

Two answers and a policy go in, a `Drift` comes out; nothing is read, written or printed. What differs is found
by `ranking`, which is imported only then: most answers are the same to the last value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..endpoints import endpoint_named
from ..selectors import Selectors
from ..settings.policy import Policy
from ..wire.json_values import is_equal
from . import ranking
from .answers import read_answer
from .changes import Drift

if TYPE_CHECKING:
    from ..endpoints import Endpoint
    from .answers import Answer
    from .changes import Change


def compare(
    stored: object, new: object, policy: Policy | None = None, *, endpoint: Endpoint | str | None = None
) -> Drift:
    """Returns how the new response differs from the stored one.

    Each side may be an answer of any endpoint as a JSON value or as its SDK's object (anything with
    ``model_dump()``), another JSON value, a text (JSON and raw server-sent events are read), or a list of streamed
    chunks.

    Args:
        stored: the response that was recorded.
        new: the response to judge.
        policy: what counts, and which level fails; by default the `Policy` without arguments.
        endpoint: the API that they are answers of, or its name, such as ``"chat"``: it says what is volatile
            in them, which items belong together, and how much a change matters. By default their shape shows it.

    Returns:
        The drift; false if only volatile values differ. Its level is ``contract`` only for what the new
        response breaks and the stored one does not.

    Raises:
        TypeError: for what is neither JSON nor one of these.
        SettingsError: if a callable or a model class of the policy's fails, or no endpoint has that name.
    """
    policy = policy or Policy()
    if isinstance(endpoint, str):
        endpoint = endpoint_named(endpoint)
    old, fresh = read_answer(stored, endpoint), read_answer(new, endpoint)
    matched = _matched_selectors(policy, old, fresh)
    changes: list[Change] = []
    if not _are_same(old, fresh) or isinstance(policy.contract, type):
        changes = ranking.changes_between(old, fresh, policy)
    return Drift(tuple(changes), policy.fail_on, matched)  # type: ignore[arg-type]  # a policy holds it checked


def _are_same(old: Answer, new: Answer) -> bool:
    """Whether nothing at all differs: then they break the documented object alike, if they do."""
    return is_equal([old.tree, *old.chunks], [new.tree, *new.chunks])


def _matched_selectors(policy: Policy, *answers: Answer) -> frozenset[str]:
    if not policy.selectors:
        return frozenset()
    selectors = Selectors(policy.selectors)
    return frozenset().union(*(selectors.matched(answer.tree, inside_texts=True) for answer in answers))
