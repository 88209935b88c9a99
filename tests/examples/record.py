"""Records the cassettes of these examples anew: `python -m tests.examples.record`.

The answers come from the built-in upstream, which speaks StepFun's documented dialect and is not StepFun. The
examples are copied with its address in place of StepFun's; what they record gets StepFun's address back, so that
the cassettes answer the examples as they stand here.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_stepreplay.upstream import Upstream

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = Path("tests/examples")
API = "https://api.stepfun.com/v1"
SETTINGS = "[pytest]\nasyncio_default_fixture_loop_scope = function\n"


def copy_examples(folder: Path, url: str) -> None:
    """Writes the examples into a folder, asking `url`."""
    (folder / EXAMPLES).mkdir(parents=True)
    for path in (REPOSITORY / EXAMPLES).glob("*.py"):
        text = path.read_text(encoding="utf-8").replace(API, url)
        (folder / EXAMPLES / path.name).write_text(text, encoding="utf-8")


def name_the_api(folder: Path, url: str) -> None:
    """Puts StepFun's address into the cassettes of a folder where `url` stands."""
    for path in folder.rglob("*.yaml"):
        path.write_text(path.read_text(encoding="utf-8").replace(url, API), encoding="utf-8")


def main() -> None:
    """Replaces the cassettes of the examples."""
    with TemporaryDirectory() as name, Upstream() as upstream:
        folder = Path(name)
        copy_examples(folder, upstream.url)
        (folder / "pytest.ini").write_text(SETTINGS, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "--stepreplay=record"]
        subprocess.run(command, cwd=folder, check=True)
        name_the_api(folder / "cassettes", upstream.url)
        shutil.rmtree(REPOSITORY / "cassettes" / EXAMPLES, ignore_errors=True)
        shutil.copytree(folder / "cassettes" / EXAMPLES, REPOSITORY / "cassettes" / EXAMPLES)


if __name__ == "__main__":
    main()
