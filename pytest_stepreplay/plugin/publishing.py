"""Where the results of `verify` go at the end of a run: the terminal, a file, CI's summary page, the baseline."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from ..commands import pytest_command
from ..drift import baseline
from ..errors import CassetteError, SettingsError, display_path
from ..housekeeping import quoted_answers
from ..machine import disk
from ..redaction import variables, wall
from ..report import verified_runs as report
from ..settings import VERIFY
from ..store import pending as pending_files
from .run import RUN, with_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pytest

    from ..drift.baseline import Baseline
    from ..settings import Settings
    from .run import Run


def read_known(settings: Settings, rootpath: Path) -> Baseline | None:
    """Returns the drift that the baseline file says is known; None where there is no file to read.

    Raises:
        SettingsError: the file is broken; or it is missing, and this run does not write it.
    """
    if settings.baseline is None:
        return None

    path = rootpath / settings.baseline
    try:
        return baseline.read_baseline(disk.read(path).decode(), path)
    except FileNotFoundError:
        if settings.fail_on == "never":
            return None
        write = pytest_command(
            "--stepreplay=verify", "--stepreplay-fail-on=never", f"--stepreplay-baseline={settings.baseline}"
        )
        raise SettingsError(
            f"the baseline {display_path(path)} does not exist. To create it with today's drift: {write}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the baseline {display_path(path)} cannot be read: {error}") from None


def publish(results: Sequence[dict[str, Any]], settings: Settings, config: pytest.Config) -> list[str]:
    """Writes the files that were asked for, and returns the lines for the terminal."""
    # The id of a test may hold a key too, where one is its parameter.
    masked = wall.Wall(variables.environment_secrets() | {*with_secrets(settings, config).secrets}).masked
    mode = settings.mode if settings.mode.rewrites else VERIFY
    fail_on = settings.fail_on or "behavior"
    pending, run = settings.leaves_pending(), config.stash[RUN]
    if pending and not mode.rewrites:
        results = _with_quotes(results, config.invocation_params.dir, run)
    lines = report.render_verification(
        results, fail_on=fail_on, mode=mode, pending=pending, waiting=_waiting(run) if pending else ()
    )
    lines = [masked(line) for line in lines]
    if mode.rewrites:
        return lines
    page = masked(report.render_verification_markdown(results, pending=pending))
    if settings.report:
        text = page
        if settings.report.endswith(".json"):
            text = json.dumps(report.render_verification_json(results), indent=2, ensure_ascii=False) + "\n"
        lines += _write(config.rootpath / settings.report, masked(text), "report")
    if settings.baseline and settings.fail_on == "never":
        lines += _write(
            config.rootpath / settings.baseline, masked(baseline.render_baseline(results)), "baseline"
        )
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary and os.environ.get("GITHUB_ACTIONS"):
        disk.write_file(summary, page.encode(), append=True)
    return lines


def _with_quotes(results: Sequence[dict[str, Any]], folder: Path, run: Run) -> list[dict[str, Any]]:
    """Returns the results; where later requests quote a stored answer that has drifted, they say so."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name in dict.fromkeys(each["path"] for each in results if each["status"] == "drifted"):
        path = folder / name
        try:
            pending = pending_files.read_pending(pending_files.pending_path(path))
        except (OSError, CassetteError):  # whoever accepts it is told
            continue
        for unit in pending.units:
            if quotes := quoted_answers.find_quotes_of(pending, unit):
                again = [run.places.typed_id(test, path) for test in quotes.tests]
                found[name, unit.name] = {"quoted": quotes.told, "again": again}
    return [each | found.get((each["path"], str(each["interaction"])), {}) for each in results]


def _waiting(run: Run) -> Iterator[str]:
    """Yields the paths of all cassettes and snapshots for which a decision is pending."""
    for folder in {run.folder, *run.places.roots}:
        yield from (display_path(path.with_suffix("")) for path in pending_files.iter_pending(folder))


def _write(path: Path, text: str, what: str) -> list[str]:
    try:
        disk.make_folders(path.parent)
        disk.write_file(path, text.encode())
    except OSError as error:
        return [f"ERROR: the {what} {display_path(path)} could not be written: {error.strerror}"]
    return [f"{what} written to {display_path(path)}"]
