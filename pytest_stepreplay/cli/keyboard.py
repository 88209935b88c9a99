"""Keys of a terminal, one by one, by name: a letter is its own name, and ``up`` or ``esc`` is what others are called.

The terminal gives single keys inside of `reading_keys`, and is as it was before outside, whatever the end was. While
nobody types, work can be done piece by piece; another size of the window comes as a key, too.
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RESIZED: Final = "resized"
ENDED: Final = "ended"
"""No terminal is left, or it was told so: Ctrl-D, and Ctrl-Z on Windows."""

_WHOLE_SEQUENCE: Final = 0.05  # seconds in which the rest of what one key sends is there
_NAMES: Final = {
    "": ENDED,
    "\x04": ENDED,
    "\x1a": ENDED,
    "\x1b": "esc",
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\b": "backspace",
    "\x0c": RESIZED,  # Ctrl-L asks for the screen to be drawn again
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\xe0H": "up",
    "\xe0P": "down",
    "\xe0I": "page up",
    "\xe0Q": "page down",
}
_KEY: Final = re.compile(r"\x1b\[[ -?]*[@-~]?|\x1bO.?|\x1b[^\x1b]?|.", re.DOTALL)
_CUT: Final = re.compile(r"\x1b(\[[ -?]*|O)?|\ufffd")


class Keyboard(Protocol):
    """What `reading_keys` yields."""

    def read(self, idle: Callable[[], bool] | None = None) -> str:
        """Waits for a key, and returns its name; what has none is returned as it was sent.

        Args:
            idle: does a small piece of work while there is no key; false once there is nothing left to do.
        """

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Gives the terminal to another program, as it was before."""


if sys.platform == "win32":
    import msvcrt

    class _WindowsKeyboard:
        def read(self, idle: Callable[[], bool] | None = None) -> str:
            while idle is not None and not msvcrt.kbhit() and idle():
                pass
            key = msvcrt.getwch()
            if key in ("\x00", "\xe0"):  # what a special key sends is two characters
                key = "\xe0" + msvcrt.getwch()
            if key == "\x03":  # Ctrl-C is not told in another way
                raise KeyboardInterrupt
            return _NAMES.get(key, key)

        @contextmanager
        def lent(self) -> Iterator[None]:
            yield

    @contextmanager
    def reading_keys() -> Iterator[Keyboard]:
        """Yields what gives the keys that are pressed."""
        yield _WindowsKeyboard()

else:
    import termios
    import tty

    class _TerminalKeyboard:
        def __init__(self, descriptor: int, waker: int) -> None:
            self._descriptor = descriptor
            self._waker = waker
            self._waiting: list[str] = []
            self._before = termios.tcgetattr(descriptor)

        def read(self, idle: Callable[[], bool] | None = None) -> str:
            working = idle is not None
            while not self._waiting:
                ready = select.select([self._descriptor, self._waker], [], [], 0 if working else None)[0]
                if self._waker in ready:
                    os.read(self._waker, 1024)
                    return RESIZED
                if ready:
                    self._waiting.extend(read_sent(self._descriptor))
                elif idle is not None:
                    working = idle()
            return self._waiting.pop(0)

        @contextmanager
        def lent(self) -> Iterator[None]:
            self.give_back()
            try:
                yield
            finally:
                self.take()

        def take(self, *_: object) -> None:
            tty.setcbreak(self._descriptor, termios.TCSADRAIN)

        def give_back(self) -> None:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    @contextmanager
    def reading_keys() -> Iterator[Keyboard]:
        """Yields what gives the keys that are pressed; all that a special key sends is one key."""
        waker, woken = os.pipe()
        os.set_blocking(woken, False)
        keys = _TerminalKeyboard(sys.stdin.fileno(), waker)

        def wake(*_: object) -> None:
            os.write(woken, b"!")

        def resume(*_: object) -> None:  # after Ctrl-Z the shell has had the terminal
            keys.take()
            wake()

        before: dict[int, Any] = {}
        try:
            before = {
                number: signal.signal(number, action)
                for number, action in ((signal.SIGCONT, resume), (signal.SIGWINCH, wake))
            }
            keys.take()
            yield keys
        finally:
            keys.give_back()
            for number, action in before.items():
                signal.signal(number, action)
            os.close(waker)
            os.close(woken)

    def read_sent(descriptor: int) -> list[str]:
        """Returns the names of the keys that were pressed, at least one; `ENDED` where no terminal is left."""
        try:
            sent = os.read(descriptor, 1024)
            # The letters in what an arrow key sends must not be taken for keys, nor half of a character for one.
            while _is_cut(sent) and select.select([descriptor], [], [], _WHOLE_SEQUENCE)[0]:
                more = os.read(descriptor, 1024)
                if not more:
                    break
                sent += more
        except OSError:
            return [ENDED]
        keys = _KEY.findall(sent.decode("utf-8", "replace")) or [""]
        return [_NAMES.get(key, key) for key in keys]

    def _is_cut(sent: bytes) -> bool:
        """Whether the rest of a key may still be on its way."""
        last = _KEY.findall(sent.decode("utf-8", "replace"))[-1:]
        return bool(last) and _CUT.fullmatch(last[0]) is not None
