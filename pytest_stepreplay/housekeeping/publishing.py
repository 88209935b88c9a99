"""What the results of `verify` and `mutate` leave at the end of a run: a report, a baseline, a page in CI's summary.

Results go in, with what was set; the files are written, and the lines for the terminal come out.
"""

from __future__ import annotations

import os
import subprocess
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..commands import pytest_command
from ..drift import baseline
from ..errors import CassetteError, SettingsError, StepReplayError, display_path
from ..machine import disk
from ..mutation import survivors
from ..redaction import variables, wall
from ..report import drift_history, renderers
from ..report.mutated_runs import MutatedRun
from ..report.verified_runs import VerifiedRun
from ..settings import VERIFY
from ..store import pending as pending_files
from ..value_classes import dataclass
from . import quoted_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from ..drift.baseline import Baseline
    from ..mutation.survivors import Survivor
    from ..report.suite_runs import SuiteRun
    from ..report.verified_runs import EarlierRun, Spent
    from ..settings import Mode, Settings

Known = TypeVar("Known")


@dataclass(frozen=True)
class Surroundings:
    """Where a run was started, and what it knows of its cassettes.

    Attributes:
        start: the folder that it was started in, which the paths in the results are relative to.
        root: the folder that files are named from in settings.
        folders: of all its cassettes.
        typed_id: returns what a person types for the id of a test that stands in a cassette.
    """

    start: Path
    root: Path
    folders: Iterable[Path]
    typed_id: Callable[[str, Path], str]


def read_known(settings: Settings, root: Path) -> Baseline | None:
    """Returns the drift that the baseline file says is known; None where there is no file to read.

    Raises:
        SettingsError: the file is broken; or it is missing, and this run does not write it.
    """
    return _read_known(settings, root, baseline.read_baseline, mode=VERIFY, what="drift")


def read_known_survivors(settings: Settings, root: Path) -> frozenset[Survivor]:
    """Returns the survivors that the baseline file says are known; none where there is no file to read.

    Raises:
        SettingsError: the file is broken; or it is missing, and this run does not write it.
    """
    if not settings.baseline:
        return frozenset()
    known = _read_known(settings, root, survivors.read_survivors, mode=settings.mode, what="survivors")
    return known or frozenset()


def _read_known(
    settings: Settings, root: Path, read: Callable[[str, Path], Known], *, mode: Mode, what: str
) -> Known | None:
    path = root / (settings.baseline or "")
    try:
        return read(disk.read(path).decode(), path)
    except FileNotFoundError:
        if settings.fail_on == "never":
            return None
        write = pytest_command(
            f"--stepreplay={mode}", "--stepreplay-fail-on=never", f"--stepreplay-baseline={settings.baseline}"
        )
        raise SettingsError(
            f"the baseline {display_path(path)} does not exist. To create it with today's {what}: {write}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the baseline {display_path(path)} cannot be read: {error}") from None


def check_report_file(settings: Settings, source: str) -> None:
    """Checks that there is a form for the report that is asked for.

    Args:
        settings: of the run.
        source: where the report is set, for the message.

    Raises:
        SettingsError: there is none for a file of this name.
    """
    try:
        renderers.form_for(settings.report or "", MutatedRun if settings.mode.mutates else VerifiedRun)
    except SettingsError as error:
        raise SettingsError(f"{source}, report: {error}") from None


def check_history(settings: Settings, root: Path, *, asked: bool) -> None:
    """Checks that the report that is asked for can show the earlier ones.

    Args:
        settings: of the run.
        root: the folder that files are named from in settings.
        asked: they are asked for in the command line, and not by the project.

    Raises:
        SettingsError: one is missing, or no report; or no report would show them.
    """
    if asked and not (settings.report or "").endswith(".html"):
        raise SettingsError(
            "command line, history: only a report for a browser shows it; write one to a FILE.html"
        )
    _read_earlier(settings, root)


def _read_earlier(settings: Settings, root: Path) -> list[EarlierRun]:
    """Returns what the earlier reports say that the report of this run shows; nothing where it shows none."""
    return read_earlier(settings.history, root) if (settings.report or "").endswith(".html") else []


def read_earlier(reports: Iterable[str], root: Path) -> list[EarlierRun]:
    """Returns what earlier reports say.

    Args:
        reports: files in JSON, or globs of them, the oldest first.
        root: the folder that they are named from.

    Raises:
        SettingsError: one is missing, or no report.
    """
    names: list[str] = []
    for given in reports:
        # `Path.glob` refuses absolute ones.
        found = sorted(glob(given, root_dir=root, recursive=True)) if has_magic(given) else [given]  # noqa: PTH207
        names += [each for each in found if each not in names]
    try:
        paths = [root / each for each in names]
        return drift_history.read_runs(
            (display_path(each), disk.read(each).decode(errors="replace")) for each in paths
        )
    except OSError as error:
        raise SettingsError(f"history: {display_path(Path(str(error.filename)))}: {error.strerror}") from None
    except StepReplayError as error:
        raise SettingsError(f"history: {error}") from None


def _earlier_or_why_not(settings: Settings, root: Path) -> tuple[list[EarlierRun], list[str]]:
    """Returns the same at the end of a run, and the problem with it: what was found is worth more."""
    try:
        return _read_earlier(settings, root), []
    except SettingsError as error:
        return [], [f"ERROR: {error}"]


def publish(
    results: Sequence[dict[str, Any]],
    settings: Settings,
    around: Surroundings,
    *,
    shard: str = "",
    suite: SuiteRun | None = None,
    spent: Spent | None = None,
) -> list[str]:
    """Writes the files that were asked for, and returns the lines for the terminal.

    Args:
        results: as in `report.verified_runs`.
        settings: of the run.
        around: where it was started.
        shard: which part of a run this is; empty for all of it.
        suite: what the tests of a run of pytest did, for its report.
        spent: what was sent to ask a folder without tests.
    """
    mode = settings.mode if settings.mode.compares else VERIFY
    pending = settings.leaves_pending()
    if pending and not mode.rewrites:
        results = _with_quotes(results, around)
    earlier, problems = _earlier_or_why_not(settings, around.root)
    run = VerifiedRun(
        results,
        fail_on=settings.fail_on or "behavior",
        mode=mode,
        pending=pending,
        waiting=[*_waiting(around.folders)] if pending else (),
        shard=shard,
        earlier=earlier,
        commit=_commit_of(around.root) if settings.report else "",
        suite=suite,
        spent=spent,
    )
    known = None if mode.rewrites else baseline.render_baseline(results)
    return _publish(run, settings, around.root, known) + problems


def publish_suite(suite: SuiteRun, settings: Settings, root: Path, *, shard: str) -> list[str]:
    """Writes the report of a run that has verified nothing, and returns the lines for the terminal.

    Args:
        suite: what its tests did.
        settings: of the run.
        root: the folder that files are named from in settings.
        shard: which part of a run this is; empty for all of it.
    """
    earlier, problems = _earlier_or_why_not(settings, root)
    run = VerifiedRun(
        (),
        fail_on=settings.fail_on or "behavior",
        mode=settings.mode,
        pending=False,
        shard=shard,
        earlier=earlier,
        commit=_commit_of(root),
        suite=suite,
    )
    return _write_report(run, settings, root) + problems


def publish_mutants(
    results: Sequence[dict[str, Any]],
    settings: Settings,
    root: Path,
    known: Collection[Survivor],
    *,
    details: bool,
) -> tuple[list[str], bool]:
    """Writes the files that were asked for, and returns the lines for the terminal, and whether the run fails.

    Args:
        results: the tests, as `MutatedRun` takes them.
        settings: of the run.
        root: the folder that files are named from in settings.
        known: the survivors that fail no run.
        details: leave nothing out in the terminal.
    """
    judged = survivors.with_known(results, known)
    run = MutatedRun(
        judged, fail_on=settings.fail_on or "behavior", baseline=settings.baseline, details=details
    )
    return _publish(run, settings, root, survivors.render_survivors(judged)), run.fails


def _publish(run: VerifiedRun | MutatedRun, settings: Settings, root: Path, known: str | None) -> list[str]:
    """Writes what was asked for of a run, and returns the lines for the terminal.

    Args:
        run: what is reported.
        settings: of the run.
        root: the folder that files are named from in settings.
        known: what the baseline says after this run; None where the run has none.
    """
    # The id of a test may hold a key too, where one is its parameter.
    masked = _wall_of(settings).masked
    lines = masked(renderers.render(run, "terminal")).split("\n")
    lines += _write_report(run, settings, root)
    if known is None:
        return lines
    if settings.baseline and settings.fail_on == "never":
        lines += _write(root / settings.baseline, masked(known), "baseline")
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary and os.environ.get("GITHUB_ACTIONS"):
        disk.write_file(summary, masked(renderers.render(run, "markdown")).encode(), append=True)
    return lines


def _wall_of(settings: Settings) -> wall.Wall:
    return wall.Wall(variables.environment_secrets() | {*settings.secrets})


def _write_report(run: VerifiedRun | MutatedRun, settings: Settings, root: Path) -> list[str]:
    if not settings.report:
        return []
    text = renderers.render(run, renderers.form_for(settings.report, type(run)))
    return _write(root / settings.report, _wall_of(settings).masked(text), "report")


def _commit_of(root: Path) -> str:
    """Returns the commit that a folder is at; nothing where git does not know."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - the git that a person would run
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.decode("ascii", "replace").strip()


def _with_quotes(results: Sequence[dict[str, Any]], around: Surroundings) -> list[dict[str, Any]]:
    """Returns the results; where later requests quote a stored answer that has drifted, they say so."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name in dict.fromkeys(each["path"] for each in results if each["status"] == "drifted"):
        path = around.start / name
        try:
            pending = pending_files.read_pending(pending_files.pending_path(path))
        except (OSError, CassetteError):  # whoever accepts it is told
            continue
        for unit in pending.units:
            if quotes := quoted_answers.find_quotes_of(pending, unit):
                again = [around.typed_id(test, path) for test in quotes.tests]
                found[name, unit.name] = {"quoted": quotes.told, "again": again}
    return [each | found.get((each["path"], str(each["interaction"])), {}) for each in results]


def _waiting(folders: Iterable[Path]) -> Iterator[str]:
    """Yields the paths of all cassettes and snapshots for which a decision is pending."""
    for folder in folders:
        yield from (display_path(path.with_suffix("")) for path in pending_files.iter_pending(folder))


def _write(path: Path, text: str, what: str) -> list[str]:
    try:
        disk.make_folders(path.parent)
        disk.write_file(path, text.encode())
    except OSError as error:
        return [f"ERROR: the {what} {display_path(path)} could not be written: {error.strerror}"]
    return [f"{what} written to {display_path(path)}"]
