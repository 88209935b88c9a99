"""What time it is, how much has passed, and waiting: also where a test has frozen or mocked the clock.

The time of day is the one that was read when this was imported, plus what a clock has counted since that nobody sets:
patches of C code, as time-machine's, move the time of day alone, in every copy of the function.
"""

from __future__ import annotations

import datetime as _datetime
import sys
import time
from functools import partial
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Any, Final

from .copies import own_copy

if TYPE_CHECKING:
    from datetime import datetime

_time: Final = own_copy("time")


def _counter() -> Any:
    """Returns the clock that nobody sets; where there is one that goes on while a laptop sleeps, that one."""
    if sys.platform == "linux":
        return partial(_time.clock_gettime, _time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return partial(_time.clock_gettime, _time.CLOCK_MONOTONIC)
    return _time.perf_counter


def _time_of_day() -> float:
    # time-machine may be travelling already where this is imported by a test, and not at the start of a run.
    hatch = getattr(sys.modules.get("time_machine"), "escape_hatch", None)
    return float(hatch.time.time() if hatch and hatch.is_travelling() else _time.time())


class _RealClock:
    """What would be replaced if a name of the module held it."""

    datetime: Any = next(each for each in _datetime.datetime.__mro__ if each.__module__ == "datetime")
    count = staticmethod(_counter())


_ZERO: Final = _time_of_day() - _RealClock.count()
_LATE: Final = 1.0  # seconds that may pass between two readings


def seconds() -> float:
    """Returns a count of seconds: the difference between two tells what has passed."""
    return float(_RealClock.count())


def now() -> datetime:
    """Returns what time it is, in UTC."""
    return moment(seconds())


def moment(count: float) -> datetime:
    """Returns what time it was, in UTC, when `seconds` was this."""
    return at(_ZERO + count)


def stamp(count: float) -> str:
    """Returns the same as a text, in ISO 8601."""
    return f"{moment(count).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def at(timestamp: float) -> datetime:
    """Returns the time, in UTC, of so many seconds since 1970.

    Raises:
        ValueError, OverflowError, OSError: that is no time.
    """
    found: datetime = _RealClock.datetime.fromtimestamp(timestamp, _datetime.UTC)
    return found


def read(text: str) -> datetime:
    """Returns the time that a text in ISO 8601 names.

    Raises:
        ValueError: it names none.
    """
    found: datetime = _RealClock.datetime.fromisoformat(text)
    return found


def sleep(duration: float) -> None:
    """Waits for so many seconds."""
    _time.sleep(duration)


def is_replaced() -> bool:
    """Tells whether event loops may count with a clock that somebody has put in the place of the real one."""
    if not all(type(each) is BuiltinFunctionType for each in (time.monotonic, time.perf_counter)):
        return True  # not asked what time it is: a mock may count how often it is
    if not hasattr(_time, "clock_gettime"):
        return False
    # time-machine 2 moves what `monotonic` returns, and not the clock that it reads.
    moved = _time.monotonic() - _time.clock_gettime(_time.CLOCK_MONOTONIC)
    return bool(abs(moved) > _LATE)
