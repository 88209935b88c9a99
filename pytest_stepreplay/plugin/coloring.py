"""Word diffs in pytest's own output, coloured where pytest uses colours: removed text is red, added text green.

Reports go in as they came from the test's process and are changed only in how a terminal shows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..report.marks import marked_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from ..report.marks import Mark

STYLES: Final[dict[Mark, dict[str, bool]]] = {"": {}, "removed": {"red": True}, "added": {"green": True}}
OURS: Final = "stepreplay"


def write_line(reporter: pytest.TerminalReporter, line: str) -> None:
    """Writes a line of ours."""
    for text, mark in marked_words(line):
        reporter.write(text, **STYLES[mark])
    reporter.line("")


def color_failures(reporter: pytest.TerminalReporter) -> None:
    """Has the failures that we explain shown in colour, once all other plugins have seen the reports."""
    for report in (each for name in ("failed", "error") for each in reporter.stats.get(name, ())):
        text = getattr(report, "longreprtext", "")
        if OURS in text:
            _color_longrepr(report.longrepr)
        sections = getattr(report, "sections", [])
        for at, (title, content) in enumerate(sections):
            if title.startswith(OURS):
                sections[at] = (title, _colored(content, reporter))


def _color_longrepr(longrepr: Any) -> None:
    show = getattr(longrepr, "toterminal", None)
    if show is not None and hasattr(longrepr, "__dict__"):
        # On the object itself, which stays what it was to whoever else reads it.
        longrepr.toterminal = lambda writer: show(_Colored(writer))


def _colored(content: str, reporter: pytest.TerminalReporter) -> str:
    markup = reporter._tw.markup  # there is no public way to a text in colour
    return "".join(markup(text, **STYLES[mark]) for text, mark in marked_words(content))


class _Colored:
    """A terminal writer whose lines have their word diffs in colour."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def write(self, text: str, *, flush: bool = False, **markup: bool) -> None:
        """Writes a text; around a word diff, pytest's red would hide it."""
        stretches = marked_words(text)
        if len(stretches) > 1:
            markup.pop("red", None)
        for stretch, mark in stretches:
            self._writer.write(stretch, flush=flush, **markup, **STYLES[mark])

    def line(self, text: str = "", **markup: bool) -> None:
        """Writes a line."""
        self.write(text, **markup)
        self._writer.write("\n")

    def _write_source(self, lines: Sequence[str], indents: Sequence[str] = ()) -> None:
        """Writes a text: pytest 8 takes it for Python and highlights that, so what is no code comes as it is."""
        if indents:
            self._writer._write_source(lines, indents)
        else:
            for line in lines:
                self.line(line)
