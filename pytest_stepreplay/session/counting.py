"""What became of a session's requests, in numbers: those fields of an `Outcome` that can be counted.

The session's history and the answers it had go in, and what was played, missed, sent and saved comes out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ..interception import exchanges
from ..matching import contrast, keys
from ..report.ledger import entries
from ..settings import MATCHERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..models import Interaction
    from ..report.ledger import Entry
    from ..settings import Settings
    from ..verify.judging import Verdict
    from .answering import Answers
    from .exchange import Exchange
    from .history import History


REFUSED: Final = 401
"""The status of a request whose key is missing or wrong (RFC 9110, section 15.5.2)."""


def count(
    history: History,
    answers: Answers,
    settings: Settings,
    name: str,
    *,
    verdicts: Iterable[Verdict] = (),
    faulted: set[int] | None = None,
) -> dict[str, Any]:
    """Returns those fields of an `Outcome` that say what became of the requests.

    Args:
        history: what came by.
        answers: what the session could answer with.
        settings: the session's.
        name: of the test or, without one, of the cassette, for responses that were errors.
        verdicts: on what was sent once more.
        faulted: the positions of what would have answered, had there been no faults.
    """
    played = history.played if not settings.mode.verifies else ()  # what is sent once more saves nothing
    asked = (*history.gone.elements(), *(each.position for each in history.exchanges))
    positions = [each for each in asked if each is not None]
    if faulted:  # what a fault kept back is no recording that nobody needs
        positions += sorted(faulted - {*positions})
    errors = [each for each in history.exchanges if each.error_status is not None]
    return {
        "total": len(answers.own),
        "replayed": tuple([each for each in positions if each < len(answers.own)]),
        "missed": len(history.misses),
        "sent": history.gone[None]
        + sum([each.answer is None and each.served is None for each in history.exchanges]),
        "errors_not_recorded": tuple(_errors(errors, history, answers, name)) if errors else (),
        "refused_keys": tuple(_refused(errors)) if errors else (),
        "unsent": tuple([(why, name) for why in _unsent(history)]),
        "ledger": tuple(_ledger(history, answers, played, verdicts)),
        "seconds_saved": sum([each.elapsed or 0.0 for each in played]),
        "borrowed": tuple(answers.borrowed(positions)),
        "asked": _asked_in_vain(history, settings),
        "otherwise": _answered_otherwise(history, settings) if settings.takes_other_bodies() else (),
    }


def _ledger(
    history: History, answers: Answers, played: Iterable[Interaction], verdicts: Iterable[Verdict]
) -> Iterator[Entry]:
    yield from entries("saved", [(each.request, each.response) for each in played])
    recorded = [each.recorded for each in history.exchanges if each.recorded]
    spent = [(each.request, each.response) for each in recorded]
    spent += [(answers.at(each.position).request, it) for each in verdicts for it in each.answers]
    yield from entries("spent", spent)


def _answered_otherwise(history: History, settings: Settings) -> tuple[str, ...]:
    """Returns what made each request another than the recorded one that has answered it, each cause once."""
    matcher = keys.Matcher.of(replace(settings, match_on=MATCHERS))
    causes: dict[str, None] = {}
    for each in history.exchanges:
        recorded = each.answer.request if each.answer else None
        if recorded is None or keys.is_plainly_same(each.request, recorded):
            continue
        found = contrast.differences(recorded, each.request, matcher)
        if found:
            causes[found[0].selector] = None
    return tuple(causes)


def _errors(errors: list[Exchange], history: History, answers: Answers, name: str) -> Iterator[str]:
    """Yields each response that was an error, all tries of a request together, unless one of them did better."""
    recorded = [each.recorded.request for each in history.exchanges if each.recorded]
    tries = Counter(
        (each.error_status, answers.matcher.key(each.request))
        for each in errors
        if each.request not in recorded
    )
    for (status, _), number in tries.items():
        times = f", {number} times" if number > 1 else ""
        yield f"{status} in {name}{times}" + (": the API refused the key" if status == REFUSED else "")


def _refused(errors: list[Exchange]) -> Iterable[str]:
    """Returns what to do about keys that the API has refused, each once."""
    found: dict[str, None] = {}
    for each in errors:
        if each.error_status == REFUSED:
            name = exchanges.KEY_OF_HOST.get(
                urlsplit(each.request.url).hostname or "", "the API key that your client sends"
            )
            missing = f"{each.keyless} is not set, and a placeholder was sent: set it"
            found[missing if each.keyless else f"check {name}"] = None
    return found


def _unsent(history: History) -> Iterable[str]:
    """Returns why nothing came back to requests that no later try has had answered, each reason once."""
    sent = [each for each in history.exchanges if each.unsent is not None]
    recorded = [each.recorded.request for each in history.exchanges if each.recorded] if sent else ()
    return dict.fromkeys(each.unsent.why for each in sent if each.unsent and each.request not in recorded)


def _whole_keys(history: History, settings: Settings) -> tuple[str, ...]:
    """Returns the keys of what was missed, with the bodies that the settings do not compare."""
    matcher = keys.Matcher.of(replace(settings, match_on=(*settings.match_on, "body")))
    return tuple(matcher.key(each.request) for each in history.missed.values() if each.request is not None)


def _asked_in_vain(history: History, settings: Settings) -> dict[str, tuple[str, ...] | str]:
    """Returns the keys of what was missed, with the settings that make them, for `stepreplay relink`."""
    if not history.missed:
        return {}
    return {
        "keys": tuple(str(key) for key in history.missed),
        "whole_keys": () if "body" in settings.match_on else _whole_keys(history, settings),
        "match_on": settings.match_on,
        "ignore_request": settings.ignore_request,
        "ignore_order": settings.ignore_order,
        "absent_equals": settings.absent_equals,
        "normalize": settings.normalize,
        "redact_fields": settings.redact_fields,
    }
