"""`stepreplay lint`: secrets and other problems in cassettes that exist, ours and those of other tools."""

from __future__ import annotations

import argparse
import json
import os
import re
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..commands import mend_or_record, pytest_command, record_again, stepreplay_command
from ..errors import CassetteError
from ..lint import (
    CHECKS,
    NOT_FIXED,
    Expected,
    Problem,
    check_cassette,
    check_secrets,
    replaced_in_text,
    replaced_in_tree,
)
from ..machine import clock
from ..redaction.secret_rules import unpacked
from ..redaction.shapes import PLACEHOLDER
from ..redaction.variables import environment_secrets
from ..redaction.wall import Wall
from ..remote import states
from ..settings.fields import Settings
from ..store import codec
from ..store.body_files import cited_in, problems_with, texts_in
from ..store.cassettes import ReadCassette, parse_cassette, read_cassette
from ..store.files import PENDING_SUFFIX, read_bytes, write_bytes
from ..store.paths import LOCK, READ_SUFFIXES
from ..store.secrets import told_place
from ..value_classes import dataclass, field
from .command import AS_JSON, Command, Operand, Option, UsageError, existing_paths
from .naming import adopted_folders
from .project import cassette_folder, display, project_settings, typed_test
from .terminal import echo, plural, safe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..models import Cassette

_DAYS: Final = {"h": 1 / 24, "d": 1, "w": 7, "m": 30, "y": 365}
_NO_CASSETTES: Final = (".new", ".snapshots.yaml")


@dataclass(frozen=True, slots=True)
class LintedProject:
    """What the project has set, as far as its cassettes are judged by it."""

    wall: Wall
    expected: Expected
    skip: frozenset[str]
    standings: Mapping[Path, states.Standing] = field(default_factory=dict)
    paths: tuple[str, ...] = ()


def _run(
    paths: tuple[Path, ...], as_json: bool, fix: bool, max_age: timedelta | None, skip: list[str]
) -> int:
    project = replace(_read_project(max_age, skip), paths=tuple(map(str, paths)))
    searched = paths or (cassette_folder(), *adopted_folders())
    found: list[tuple[str, Problem]] = []
    files = fixed = 0
    for path in _files_under(searched):
        files += 1
        shown = Path(display(path))
        problems = _lint_file(shown, project)
        if fix and any(problem.check == "secret" for problem in problems):
            left = _lint_file(shown, project) if _fix(shown, problems) else problems
            fixed += len(problems) - len(left)
            problems = [
                replace(it, fix=NOT_FIXED) if it.check == "secret" and it.place else it for it in left
            ]
        name = project.wall.masked(shown.as_posix())
        found += [(name, problem) for problem in problems]
    if as_json:
        rows = [_row(name, problem) for name, problem in found]
        echo(json.dumps({"files": files, "fixed": fixed, "problems": rows}, indent=2))
    else:
        _print(found, files, fixed, " or ".join(display(path) for path in searched))
    return 1 if found else 0


def _age(text: str) -> timedelta:
    """Returns the time span that a text such as ``90d`` names."""
    found = re.fullmatch(r"(\d{1,6})([hdwmy])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not an age; write it as 36h, 90d, 12w, 6m or 1y")
    return timedelta(days=int(found[1]) * _DAYS[found[2]])


LINT: Final = Command(
    name="lint",
    description="""
    Check cassettes: secrets, broken contracts, requests that never match, and more.

    PATHS are cassettes, tests and folders, ours and other tools'; by default the project's folder. Each problem
    is one line with file, line and place. The checks: secret, contract, match, repeat, volatile, body, answer,
    file, lock, stale, unreadable. Exit status 0: no problem is left. 1: some are. 2: bad usage.
    """,
    examples=(
        "stepreplay lint",
        "stepreplay lint tests/cassettes --max-age 90d --skip volatile",
        "stepreplay lint --fix",
    ),
    operands=(Operand("paths", "any", existing_paths, spreads=True),),
    options=(
        AS_JSON,
        Option("--fix", "Replace secrets in place, where that is safe."),
        Option("--max-age AGE", "Also report recordings older than this: 90d, 12w, 1y.", {"type": _age}),
        Option(
            "--skip CHECK",
            "Skip a check; can be given several times.",
            {"action": "append", "default": []},
        ),
    ),
    run=_run,
)


def _read_project(max_age: timedelta | None, skip: list[str]) -> LintedProject:
    unknown = [name for name in skip if name not in CHECKS]
    if unknown:
        raise UsageError(f"--skip: {unknown[0]!r} is not a check; the checks are {', '.join(CHECKS)}")
    settings = Settings.merge(project_settings())
    return LintedProject(
        wall=Wall(environment_secrets(), tuple(selector for selector, _ in settings.allow_secret)),
        expected=Expected(
            match_on=settings.match_on,
            ignore_request=settings.ignore_request,
            ignore_order=settings.ignore_order,
            absent_equals=settings.absent_equals,
            normalize=settings.normalize,
            ignore_hosts=settings.ignore_hosts,
            contract=settings.contract,
            max_age=max_age or (_age(settings.max_age.strip()) if settings.max_age else None),
            now=clock.now(),
        ),
        skip=frozenset(skip),
        standings=_standings() if settings.store and "lock" not in skip else {},
    )


def _standings() -> dict[Path, states.Standing]:
    """Returns how the files in the project's folder stand to what the lock file lists.

    Raises:
        CassetteReadError: the lock file cannot be read.
    """
    folder = cassette_folder()
    return {(folder / each.name).absolute(): each.standing for each in states.states_of(folder)}


def _files_under(paths: Sequence[Path]) -> Iterator[Path]:
    """Yields the files to check: cassettes of whatever tool, snapshots and pending files."""
    seen = set()
    for path in paths:
        found = [path]
        if path.is_dir():
            found = []
            for folder, folders, names in os.walk(path):
                folders[:] = sorted(each for each in folders if not each.startswith("."))
                found += [
                    Path(folder, name)
                    for name in sorted(names)
                    if name.lower().endswith((*READ_SUFFIXES, ".new")) and not name.startswith(".")
                ]
        for each in found:
            if each.is_file() and each.resolve() not in seen:
                seen.add(each.resolve())
                yield each


# ---------------------------------------------------------------- one file


def _lint_file(path: Path, project: LintedProject) -> list[Problem]:
    """Returns the problems of a file, with their lines."""
    try:
        content = read_bytes(path)
    except CassetteError as error:
        return [Problem("unreadable", (), _reason(error, path), "make it readable")]
    tree, text = _tree_of(content, path)
    problems = check_secrets(unpacked(content), tree, project.wall)
    name = check_secrets(path.name.encode("utf-8", "surrogateescape"), {"test": path.name}, project.wall)
    problems += [Problem("secret", (), f"its name {each.what}", "rename it") for each in name]
    problems += _check_lock(path, project)
    if path.name.endswith(_NO_CASSETTES):
        read: ReadCassette | Problem | None = None
    else:
        read = _cassette_of(path)
    if isinstance(read, Problem):
        problems.append(read)
    elif read is not None:
        cassette, again = read.cassette, _again(read, path)
        problems += check_cassette(cassette, replace(project.expected, again=again))
        problems += _check_files(cassette, path, project.wall, again)
    problems += _check_answers(text, path)
    mend = f"revoke it, then: {stepreplay_command('lint', '--fix', *project.paths)}"
    problems = [replace(each, fix=mend) if each.secret else each for each in problems]
    kept = [each for each in problems if each.check not in project.skip]
    return _with_lines(kept, text)


def _check_lock(path: Path, project: LintedProject) -> Iterator[Problem]:
    """Yields how a file differs from what the lock file lists, where cassettes are kept outside of git."""
    standing = project.standings.get(path.absolute(), states.Standing.SAME)
    if standing is not states.Standing.SAME:
        command = {states.TO_PULL: "pull", states.TO_PUSH: "push"}
        verb = next((verb for kinds, verb in command.items() if standing in kinds), "status")
        what = f"is not as {LOCK} lists it: {standing.value}"
        yield Problem("lock", (), what, stepreplay_command(verb))


def _tree_of(content: bytes, path: Path) -> tuple[Any, str]:
    try:
        return codec.decode(unpacked(content), path)
    except CassetteError:  # of another tool's, or broken, which is told elsewhere
        return None, ""


def _cassette_of(path: Path) -> ReadCassette | Problem:
    try:
        return read_cassette(path)
    except CassetteError as error:
        fix = mend_or_record(path, goes_on=True)
        return Problem("unreadable", (), _reason(error, path), fix, error.line)


def _again(read: ReadCassette, path: Path) -> str:
    """Returns how a cassette is recorded again, in words, as a command where one is known."""
    if read.format != "stepreplay":
        return record_again(path, goes_on=True)
    test = typed_test(read.cassette.test or "")
    tests = [test] if test and Path(test.partition("::")[0]).exists() else []
    return f"record it again: {pytest_command('--stepreplay=rewrite', tests=tests)}"


def _check_answers(text: str, path: Path) -> Iterator[Problem]:
    """Yields the streams whose answer to read somebody has changed, or the frames below it."""
    fix = f"make it anew: {stepreplay_command('convert', str(path))}"
    if path.name.endswith(PENDING_SUFFIX):
        fix = f"drop it, and verify again: {stepreplay_command('reject', str(path))}"
    for place in codec.wrong_answers(text, path) if text else ():
        yield Problem("answer", place, "is not what the frames below it say, which count", fix)


def _check_files(cassette: Cassette, path: Path, wall: Wall, again: str) -> Iterator[Problem]:
    """Yields what is wrong with the files beside a cassette that hold what is too large for it."""
    fix = f"restore it, or {again}"
    for number, interaction in enumerate(cassette.interactions):
        for place, file, problem in problems_with(interaction, path):
            what = f"{file.name}, beside the cassette, {problem}"
            yield Problem("file", ("interactions", number, *place), what, fix)
    for file in {each.name: each for each in cited_in(cassette.interactions)}.values():
        with suppress(CassetteError):
            for text in texts_in(file.read()):
                for each in check_secrets(text, None, wall):
                    what = f"{file.name}, beside the cassette, {each.what}"
                    yield Problem(
                        "secret", (), what, "keep it out of what the test sends, and record it again"
                    )


def _reason(error: CassetteError, path: Path) -> str:
    """Returns what is wrong with a file, without its name and the advice."""
    text = str(error).partition("\n")[0]
    return re.sub(rf"^{re.escape(str(path))}(?::\d+)?: ", "", text)


def _with_lines(problems: list[Problem], text: str) -> list[Problem]:
    """Returns the problems with the lines of their places, the text being read once for all of them."""
    if not text or all(each.line or not each.place for each in problems):
        return problems

    lines = codec.lines_at(text, [each.place for each in problems])
    return [replace(each, line=each.line or line) for each, line in zip(problems, lines, strict=True)]


# ---------------------------------------------------------------- mending it


def _fix(path: Path, problems: list[Problem]) -> bool:
    """Replaces the secrets in a file, and returns whether it did; whatever else it says stays as it is."""
    secrets = [each.secret for each in problems if each.secret]
    content = read_bytes(path)
    tree, _ = _tree_of(content, path)
    if tree is None or not secrets:
        return False
    # In YAML a plain text cannot start with a bracket, so what comes out is read again before it is written.
    for placeholder in (PLACEHOLDER, PLACEHOLDER.strip("[]").upper()):
        mended = replaced_in_text(content, secrets, placeholder)
        if mended == content:
            return False
        if _tree_of(mended, path)[0] != replaced_in_tree(tree, secrets, placeholder):
            continue
        if not any(each.check == "unreadable" for each in problems) and not path.name.endswith(_NO_CASSETTES):
            try:
                parse_cassette(mended, path)
            except CassetteError:  # as where a body is base64 as a whole
                continue
        write_bytes(path, mended)
        return True
    return False


# ---------------------------------------------------------------- telling it


def _row(name: str, problem: Problem) -> dict[str, Any]:
    return {
        "path": name,
        "line": problem.line,
        "check": problem.check,
        "place": _place(problem),
        "what": problem.what,
        "fix": problem.fix,
    }


def _place(problem: Problem) -> str:
    return told_place(problem.place) if problem.place else ""


def _print(found: list[tuple[str, Problem]], files: int, fixed: int, where: str) -> None:
    for name, problem in found:
        at = f"{name}:{problem.line}" if problem.line else name
        place = _place(problem)
        told = f"{at}: {place}: " if place else f"{at}: "
        echo(safe(f"{told}{problem.what}; {problem.fix}").replace("\n", " "))
    if not files:
        echo(
            f"There is no cassette in {where}: record some with {pytest_command('--stepreplay=record')}",
            err=True,
        )
        return
    told = f"{plural(files, 'file')}, " + (plural(len(found), "problem") if found else "no problems")
    echo(told + (f", {fixed} fixed" if fixed else ""))
