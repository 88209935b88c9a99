"""What a command of `stepreplay` is: the words of a command line go in, and its function gets typed arguments.

argparse reads the options. The other words are read here, since argparse, in some versions of Python, loses
track of those that stand between options or behind ``--``. Help is printed the same by every version, too.
"""

from __future__ import annotations

import argparse
import os
import textwrap
from difflib import get_close_matches
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

from ..errors import StepReplayError
from ..value_classes import dataclass, field
from . import naming, project
from .terminal import echo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

NARROWEST: Final = 20
WIDEST: Final = 78
BESIDE: Final = 24  # letters of a name that still has its text beside it


class UsageError(Exception):
    """A command was called as it cannot be; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A word that is no option, such as a path.

    Attributes:
        name: as the function takes it; help shows it in capitals.
        number: how many of them there are; where there may be more than one, the function takes
            a tuple; where there may be none, it may take None.
        read: returns what the word stands for, or raises an `ArgumentTypeError`.
        spreads: a word may stand for several; `read` returns all of them.
    """

    name: str
    number: Literal["one", "maybe", "some", "any"] = "one"
    read: Callable[[str], Any] = str
    spreads: bool = False

    @property
    def label(self) -> str:
        """How the usage shows it."""
        return {"one": "{}", "maybe": "[{}]", "some": "{}...", "any": "[{}]..."}[self.number].format(
            self.name.upper()
        )


@dataclass(frozen=True, slots=True)
class Option:
    """An option.

    Attributes:
        label: as help shows it: ``-n, --interaction N``. One that names no value is a flag.
        text: what it is for.
        settings: what else argparse is told about it.
    """

    label: str
    text: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def flags(self) -> list[str]:
        """How it is written."""
        return [name.split()[0] for name in self.label.split(", ")]

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Has the parser read it."""
        kind: dict[str, Any] = {"action": "store_true"} if self.label.endswith(self.flags[-1]) else {}
        parser.add_argument(*self.flags, **kind, **self.settings)


AS_JSON: Final = Option("--json", "Print JSON for a program.", {"dest": "as_json"})
HISTORY_OF_REPORT: Final = Option(
    "--history REPORT...",
    "Earlier reports in JSON, or globs of them, the oldest first: a report in .html shows them.",
    {"nargs": "+", "action": "extend"},
)
HELP: Final = Option("-h, --help", "Show this message and exit.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command: what help says about it, what it takes, and what it does.

    Attributes:
        name: what a person types.
        description: paragraphs, with an empty line between them.
        examples: commands to try.
        run: gets the operands and options by their names, and returns the exit status.
        operands: in their order.
        options: besides ``--help``.
        keys: what a person can press while it runs, and what that does.
    """

    name: str
    description: str
    examples: Sequence[str]
    run: Callable[..., int]
    operands: Sequence[Operand] = ()
    options: Sequence[Option] = ()
    keys: Sequence[tuple[str, str]] = ()

    @property
    def usage(self) -> str:
        """How it is called."""
        return " ".join(["stepreplay", self.name, "[OPTIONS]", *(each.label for each in self.operands)])

    def start(self, words: Sequence[str]) -> int:
        """Does what the words say, and returns the exit status.

        Raises:
            UsageError: they do not say what to do.
        """
        parser = _Parser(add_help=False, allow_abbrev=False)
        options = (*self.options, HELP)
        for option in options:
            option.add_to(parser)
        end = words.index("--") if "--" in words else len(words)
        found, others = parser.parse_known_args(words[:end])
        arguments = vars(found)
        if arguments.pop("help"):
            sections = {
                "Options": [(option.label, option.text) for option in options],
                "Keys": self.keys,
                "Example": [(example, "") for example in self.examples],
            }
            echo(help_page(self.usage, self.description, sections))
            return 0
        for word in others:
            if word.startswith("-") and word != "-":
                raise unknown("option", word, [flag for option in options for flag in option.flags])
        return self.run(**self._read_operands([*others, *words[end + 1 :]]), **arguments)

    def _read_operands(self, words: Sequence[str]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for operand in self.operands:
            at_most_one = operand.number in {"one", "maybe"}
            here, words = (words[:1], words[1:]) if at_most_one else (words, ())
            if not here and operand.number not in {"maybe", "any"}:
                raise UsageError(f"{operand.name.upper()} is missing")
            try:
                read = tuple(map(operand.read, here))
            except argparse.ArgumentTypeError as error:
                raise UsageError(f"{operand.name.upper()}: {error}") from None
            if operand.spreads:
                read = tuple(each for several in read for each in several)
            values[operand.name] = next(iter(read), None) if at_most_one else read
        if words:
            raise UsageError(f"unexpected argument: {words[0]}")
        return values


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def unknown(noun: str, word: str, known: Iterable[str]) -> UsageError:
    """Returns the error for a word that is not known, with the known ones that are like it."""
    near = get_close_matches(word.partition("=")[0], list(known))
    return UsageError(f"no such {noun}: {word}" + (f". Did you mean {' or '.join(near)}?" if near else ""))


def help_page(usage: str, description: str, sections: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """Returns a page of help that fits the terminal.

    Args:
        usage: how the command is called.
        description: paragraphs, with an empty line between them.
        sections: by title, names and what they mean; a section without any is left out.
    """
    width = max(min(get_terminal_size().columns - 2, WIDEST), NARROWEST)

    def filled(text: str, indent: str, first: str) -> str:
        return textwrap.fill(
            " ".join(text.split()),
            width,
            initial_indent=first,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )

    parts = [f"Usage: {usage}", *(filled(each, "  ", "  ") for each in description.split("\n\n"))]
    for title, rows in sections.items():
        room = max((len(name) for name, text in rows if text and len(name) <= BESIDE), default=0)
        lines = [f"{title}:"]
        for name, text in rows:
            beside = len(name) <= room
            lines += [] if beside else [f"  {name}"]
            indent = " " * (room + 4)
            lines += [filled(text, indent, f"  {name:{room}}  " if beside else indent)] if text else []
        parts += ["\n".join(lines)] if rows else []
    return "\n\n".join(parts)


# ---------------------------------------------------------------- what words stand for


def existing_path(word: str) -> Path:
    """Returns the path of a file or folder that is there."""
    if not word or not Path(word).exists():  # the path of an empty word would be this folder
        raise argparse.ArgumentTypeError(f"{word!r} does not exist")
    if not os.access(word, os.R_OK):
        raise argparse.ArgumentTypeError(f"{word!r} is not readable")
    return Path(word)


def existing_paths(word: str) -> tuple[Path, ...]:
    """Returns the path of a file or folder that is there, else the cassettes of that name or test."""
    if not word or Path(word).exists():
        return (existing_path(word),)

    try:
        paths = tuple(
            Path(project.display(each.cassette)) for each in naming.find_named(word) if each.cassette
        )
        if not paths:
            raise argparse.ArgumentTypeError(f"{word!r} does not exist{naming.nearest_names(word)}")
    except StepReplayError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return paths


def folder_path(word: str) -> Path:
    """Returns the path of a folder that may be there."""
    if Path(word).exists() and not Path(word).is_dir():
        raise argparse.ArgumentTypeError(f"{word!r} is a file, not a folder")
    return Path(word)


def one_of(words: Sequence[str]) -> Callable[[str], str]:
    """Returns what reads one of the words."""

    def read(word: str) -> str:
        if word not in words:
            raise argparse.ArgumentTypeError(f"{word!r} is not one of {', '.join(words)}")
        return word

    return read


COLOR: Final = Option(
    "--color [auto|yes|no]",
    "Color removed and added text; auto: in a terminal, unless NO_COLOR is set. [default: auto]",
    {"type": one_of(("auto", "yes", "no")), "default": "auto"},
)


def number_from_1(word: str) -> int:
    """Returns a number of something that is counted from 1."""
    try:
        number = int(word)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number of 1 or more")
    return number
