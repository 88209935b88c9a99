"""Lines that a command adds to the ini file of a project: nothing else in it changes, and pytest can still read it.

The text of the file goes in and comes out. Where it is written in a way that a program should not touch, the error
says which line to add by hand.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from ..errors import CassetteError, StepReplayError, display_path
from ..projects import find_project
from ..store.files import read_bytes, write_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SECTION: Final = re.compile(
    r"^\[(?:pytest|tool:pytest|tool\.pytest(?:\.ini_options)?)\][^\n]*(?:\n|\Z)", re.MULTILINE
)


def with_line(path: Path, text: str, line: str, *, replaces: bool = False) -> str:
    """Returns the text of an ini file with a line more in pytest's section, or in place of the one with its key.

    Args:
        path: of the file, for its kind and for messages.
        text: what it says.
        line: ``key = value``.
        replaces: there is a line with this key.

    Raises:
        StepReplayError: the file is written in a way that is not changed by a program.
    """
    if replaces:
        name = re.escape(line.partition(" ")[0])
        return re.sub(rf"^{name}[ \t]*[=:][^\n]*", lambda _: line, text, count=1, flags=re.MULTILINE)
    sections = [*_SECTION.finditer(text)]
    if not sections:
        if text.strip():
            raise by_hand(path, line)
        return f"[pytest]\n{line}\n"
    at = sections[-1].end()
    before = text[:at] if text[:at].endswith("\n") else text[:at] + "\n"
    return f"{before}{line}\n{text[at:]}"


def with_option(path: Path, text: str, name: str, *, has_options: bool) -> str:
    """Returns the text of an ini file in which pytest is told to leave out a plugin.

    Args:
        path: of the file, for its kind and for messages.
        text: what it says.
        name: of the plugin.
        has_options: it has ``addopts``.

    Raises:
        StepReplayError: the file is written in a way that is not changed by a program.
    """
    is_toml = path.suffix == ".toml"
    if not has_options:
        option = f'["-p", "no:{name}"]' if is_toml else f"-p no:{name}"
        return with_line(path, text, f"addopts = {option}")
    if not is_toml:
        return re.sub(r"^(addopts[ \t]*[=:])", rf"\1 -p no:{name}", text, count=1, flags=re.MULTILINE)
    as_list = re.sub(r"^(addopts\s*=\s*\[)", rf'\1"-p", "no:{name}", ', text, count=1, flags=re.MULTILINE)
    if as_list != text:
        return as_list
    as_text = re.sub(
        r"""^(addopts\s*=\s*(["'])(?!\2\2))""", rf"\1-p no:{name} ", text, count=1, flags=re.MULTILINE
    )
    if as_text == text:
        raise by_hand(path, f"addopts: -p no:{name}")
    return as_text


def by_hand(path: Path, line: str) -> StepReplayError:
    """Returns the error for an ini file that only a person can change."""
    return StepReplayError(
        f"{display_path(path)} is written in a way that this command cannot edit; add this yourself: {line}"
    )


def ini_text(path: Path) -> str:
    """Returns the text of an ini file, its line ends as they are.

    Raises:
        StepReplayError: it cannot be read.
    """
    try:
        return read_bytes(path).decode()
    except (CassetteError, UnicodeDecodeError) as error:
        raise StepReplayError(f"{display_path(path)} cannot be read: {error}") from None


def write_ini(path: Path, old: str | None, new: str, wanted: Mapping[str, str]) -> None:
    """Writes the ini file in one step, once it is sure that pytest can read it, and that nobody else has written it.

    Args:
        path: of the file.
        old: what it said when it was read; None where there was none.
        new: what it is to say.
        wanted: keys that it must have then, with their values.

    Raises:
        StepReplayError: it could not be written, or would be broken. What stood there before still stands.
    """
    with TemporaryDirectory() as folder:
        trial = Path(folder, path.name)
        trial.write_bytes(new.encode())
        try:
            values = find_project(trial.parent).values
        except StepReplayError:
            values = {}
    for key, value in wanted.items():
        found = values.get(key, "")
        if " ".join(found if isinstance(found, list) else [str(found).lower()]) not in (value, value.lower()):
            raise by_hand(path, f"{key} = {value}")
    if (ini_text(path) if path.exists() else None) != old:
        raise StepReplayError(
            f"{display_path(path)} has changed meanwhile, and was not written; run this again"
        )
    write_bytes(path, new.encode())


def edited(old: str, edit: Callable[[str], str]) -> str:
    """Returns a text changed by a function that sees neither a byte order mark nor other line ends; both stay."""
    end = "\r\n" if old.count("\r\n") == old.count("\n") > 0 else "\n"
    mark = "\ufeff" if old.startswith("\ufeff") else ""
    return mark + edit(old.removeprefix(mark).replace(end, "\n")).replace("\n", end)
