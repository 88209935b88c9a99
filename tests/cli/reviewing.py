"""A person at a terminal who types keys into `stepreplay review`, in this process, and looks at the screen each time."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyte
import pytest

from pytest_stepreplay.cli import main
from pytest_stepreplay.cli.keyboard import ENDED, RESIZED


class _Tty(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@dataclass
class Seen:
    """What was seen before each key, as lines; what was printed in all; and how it ended."""

    screens: list[str] = field(default_factory=list)
    colors: list[set[tuple[str, str]]] = field(default_factory=list)
    printed: str = ""
    status: int = -1

    @property
    def end(self) -> str:
        """What stands in the terminal after the review."""
        return self.printed.rpartition("\x1b[?1049l")[2]


Step = str | Callable[[], object]


def review(
    keys: Sequence[Step], *args: str, size: tuple[int, int] = (80, 24), env: dict[str, str] | None = None
) -> Seen:
    """Types the keys, and then ends it; what is callable is called before the next one.

    Before ``idle``, nobody types until all is read.
    """
    seen, out, waiting = Seen(), _Tty(), [*keys]
    columns, lines = size
    screen = pyte.Screen(columns, lines)
    stream = pyte.Stream(screen)

    class Typed:
        def __init__(self) -> None:
            self._told = 0

        def read(self, idle: Callable[[], bool] | None = None) -> str:
            text = out.getvalue()[self._told :].replace("\n", "\r\n")
            self._told = len(out.getvalue())
            stream.feed(text)
            seen.screens.append("\n".join(line.rstrip() for line in screen.display).rstrip("\n"))
            seen.colors.append(
                {(cell.data, cell.fg) for row in screen.buffer.values() for cell in row.values()}
            )
            while waiting and not isinstance(waiting[0], str):
                waiting.pop(0)()  # type: ignore[operator]
            if waiting[:1] == ["idle"]:
                waiting.pop(0)
                while idle is not None and idle():
                    pass
                return RESIZED
            return str(waiting.pop(0)) if waiting else ENDED

        @contextmanager
        def lent(self) -> Iterator[None]:
            yield

    @contextmanager
    def reading_keys() -> Iterator[Typed]:
        yield Typed()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pytest_stepreplay.cli.review.reading_keys", reading_keys)
        patch.setattr(sys, "stdin", _Tty())
        patch.setattr(sys, "stdout", out)
        settings = {"COLUMNS": str(columns), "LINES": str(lines), "TERM": "xterm-256color"}
        for name, value in {**settings, **(env or {})}.items():
            patch.setenv(name, value)
        seen.status = main(["review", *args])
    seen.printed = out.getvalue()
    return seen
