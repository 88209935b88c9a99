"""What was asked several times, for the forms of a report: how often, what came, and whether that is a change.

Results go in, each with its ``samples`` as `Sampled.to_json` has them; words and rows come out.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from ..texts import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Result = Mapping[str, Any]

_ORDER: Final = ("changed", "not decided", "not changed")
_MOST_CLASSES: Final = 6
_LEAST_CHANCE: Final = 0.0001


def sampled_in(results: Iterable[Result]) -> list[Result]:
    """Returns what was asked several times; what has changed stands first."""
    found = [each for each in results if each.get("samples")]
    return sorted(found, key=lambda each: _ORDER.index(each["samples"]["verdict"]))


def is_sampled(value: object) -> bool:
    """Whether a value, of whatever file, is what `Sampled.to_json` writes."""
    if not isinstance(value, dict) or not isinstance(value.get("classes"), list):
        return False
    numbers = (value.get(name) for name in ("asked", "of", "chance", "error_rate"))
    return (
        value.get("verdict") in _ORDER
        and isinstance(value.get("why"), str)
        and all(isinstance(each, int | float) for each in numbers)
        and all(
            isinstance(each, dict)
            and isinstance(each.get("answer"), str)
            and all(isinstance(each.get(side), int) for side in ("recorded", "new"))
            for each in value["classes"]
        )
    )


def numbers_of(sampled: Sequence[Result]) -> str:
    """Returns how many have changed and how many have not, in one line."""
    counts = Counter(each["samples"]["verdict"] for each in sampled)
    rates = sorted({each["samples"]["error_rate"] for each in sampled})
    told = ", ".join(
        f"{counts[verdict]:,} {verdict}" for verdict in ("changed", "not changed", "not decided")
    )
    of = plural(len(sampled), "interaction")
    return f"sampled {of}: {told} (error rate {' to '.join(f'{100 * rate:.3g}%' for rate in rates)})"


def verdict_of(samples: Mapping[str, Any]) -> str:
    """Returns what several answers have come to, in one line: ``changed: asked 27 of 60, p = 0.0012``."""
    chance = samples["chance"]
    shown = f"< {_LEAST_CHANCE:f}".rstrip("0") if chance < _LEAST_CHANCE else f"= {chance:.2g}"
    why = f"; {samples['why']}" if samples["why"] else ""
    return f"{samples['verdict']}: asked {samples['asked']:,} of {samples['of']:,}, p {shown}{why}"


def class_rows(samples: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Returns what the answers do, how often that was recorded, and how often it is answered now."""
    classes, found = samples["classes"], list[tuple[str, str, str]]()
    had, has = (sum(each[side] for each in classes) for side in ("recorded", "new"))
    found += [
        (each["answer"], _share(each["recorded"], had), _share(each["new"], has))
        for each in classes[:_MOST_CLASSES]
    ]
    rest = classes[_MOST_CLASSES:]
    if rest:
        recorded, new = (sum(each[side] for each in rest) for side in ("recorded", "new"))
        found.append((f"{len(rest):,} other kinds of answers", _share(recorded, had), _share(new, has)))
    return found


def _share(count: int, total: int) -> str:
    return f"{count:,} of {total:,}" + (f" ({count / total:.0%})" if total else "")
