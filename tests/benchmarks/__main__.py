"""`python -m tests.benchmarks`: measures this plugin beside its peers, and prints tables.

Needs Linux or macOS, pip, and for a whole run about an hour; `--quick` takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from . import counts
from .environments import PACKAGES, Environments
from .measuring import BenchmarkError
from .tables import render_table
from .works import QUICK, TINY, WORKS, Bench, Size, named

SIZES = {"whole": Size(), "quick": QUICK, "tiny": TINY}


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the command line says, and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    names = ", ".join(WORKS)
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help=f"a work, or how its name begins: {names}"
    )
    parser.add_argument("--size", choices=SIZES, default="whole", help="how much of everything")
    parser.add_argument(
        "--quick", action="store_const", const="quick", dest="size", help="the same as --size=quick"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write every single value to this file"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each tool does each work")
    parser.add_argument(
        "--environments",
        type=Path,
        metavar="DIR",
        help="keep the environments of the tools in this folder, for the next time; without it they are temporary",
    )
    parser.add_argument(
        "--here",
        action="store_true",
        help="install nothing: compare this project with the floor only, in the environment that runs this",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="take no time: count what this project does in some works, and fail if that has grown since "
        f"{counts.TABLE.name} was written; --only takes {', '.join(counts.WORKS)}",
    )
    parser.add_argument("--renew", action="store_true", help="with --check: write the counts to that table")
    given = parser.parse_args(arguments)
    if given.rounds is not None and given.rounds < 1:
        parser.error("--rounds must be at least 1")
    if given.renew and not given.check:
        parser.error("--renew needs --check")
    size = SIZES[given.size]
    if given.rounds:
        size = Size(**{**vars(size), "rounds": given.rounds})
    try:
        if given.check:
            return _check(given.only, given.json, renew=given.renew)
        works = named(given.only, WORKS)
        with ExitStack() as stack:
            folder = given.environments or Path(stack.enter_context(TemporaryDirectory()))
            report = _measure(works, size, Environments(folder, given.here, _say))
    except BenchmarkError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    if given.json:
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def _check(only: Sequence[str], report: Path | None, *, renew: bool) -> int:
    """Counts, and returns the exit status: 1 where something has grown that is not written to the table now."""
    found = counts.count(named(only, counts.WORKS))
    if report:
        functions = {work: vars(each) for work, each in found.items()}
        report.write_text(json.dumps(functions, indent=1) + "\n", encoding="utf-8")
    if renew:
        counts.renew(found)
    lines, good = counts.check(found)
    print("\n".join(lines))
    return 0 if good else 1


def _measure(works: Sequence[str], size: Size, environments: Environments) -> dict[str, object]:
    print(
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {size.rounds} rounds"
    )
    report: dict[str, object] = {"python": platform.python_version(), "size": vars(size)}
    for name in works:
        work = WORKS[name]
        _say(f"measuring {name}")
        with TemporaryDirectory() as folder:
            series = work.measure(Bench(environments, size, Path(folder).resolve()))
        print(f"\n## {work.title} ({name})\n\n{render_table(series, work.base)}", flush=True)
        report[name] = [
            {"measure": each.measure, "tool": each.tool, "values": each.values} for each in series
        ]
    if not environments.here:
        report["versions"] = {
            tool: environments.versions(tool) for tool in PACKAGES if tool in environments.used
        }
    return report


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
