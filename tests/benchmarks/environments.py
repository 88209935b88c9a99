"""The tools that are compared, and a virtual environment for each.

Each environment has pytest, the same HTTP clients, and one tool; no two of them can disturb each other.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .measuring import BenchmarkError

REPOSITORY = Path(__file__).parents[2]
CLIENTS = ("httpx", "httpx2", "aiohttp", "requests", "openai")

FLOOR = "floor"
OURS = "pytest-stepreplay"
RECORDING = "pytest-recording"
CASSETTER = "cassetter"
SYRUPY = "syrupy"
INLINE = "inline-snapshot"
MITMPROXY = "mitmproxy"

PACKAGES: dict[str, tuple[str, ...]] = {
    FLOOR: (),
    OURS: ("-e", str(REPOSITORY)),
    RECORDING: (RECORDING,),
    CASSETTER: (CASSETTER,),
    SYRUPY: (SYRUPY,),
    INLINE: (INLINE,),
    MITMPROXY: (MITMPROXY,),
}
"""What is installed into the environment of a tool, beside pytest and the clients."""
WITHOUT_CLIENTS = (MITMPROXY,)
"""Tools that are asked from outside, and whose requirements would hold clients at old versions."""

_VERSIONS = """
import json, sys
from importlib.metadata import distributions
print(json.dumps({each.name.lower(): each.version for each in distributions()}))
"""


@dataclass
class Environments:
    """Where the interpreters of the tools are; what is missing is made when it is first asked for.

    Args:
        folder: holds an environment for each tool. Those that exist are used as they are.
        here: no other environment than the one of this process, and so no other tools than those in it.
        say: is told what takes time.
        module: runs pytest, with arguments of its own before pytest's.
        used: the tools whose interpreters were asked for.
    """

    folder: Path
    here: bool = False
    say: Callable[[str], object] = print
    module: Sequence[object] = ("pytest",)
    used: set[str] = field(default_factory=set)
    _versions: dict[str, dict[str, str]] = field(default_factory=dict)

    def has(self, tool: str) -> bool:
        """Whether the tool can be measured."""
        return not self.here or tool in (FLOOR, OURS)

    def python(self, tool: str) -> Path:
        """Returns the interpreter of the tool's environment, which is made if there is none.

        Raises:
            BenchmarkError: it cannot be installed.
        """
        self.used.add(tool)
        if self.here:
            return Path(sys.executable)
        python = self.folder.resolve() / tool / "bin" / "python"
        done, wanted = python.parent.parent / "installed", _wanted(tool)
        if not done.exists() or done.read_text(encoding="utf-8") != wanted:
            self.say(f"installing {tool} into {python.parent.parent}")
            _install([sys.executable, "-m", "venv", "--clear", str(python.parent.parent)])
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            clients = () if tool in WITHOUT_CLIENTS else ("pytest", *CLIENTS)
            _install([*pip, *clients, *PACKAGES[tool]])
            done.write_text(wanted, encoding="utf-8")
        return python

    def pytest(self, tool: str) -> list[object]:
        """Returns the command that runs pytest with a tool, and with no other plugin."""
        only = ("-p", "stepreplay") if self.here and tool == OURS else ()
        return [self.python(tool), "-m", *self.module, "-q", "-p", "no:cacheprovider", *only]

    @property
    def variables(self) -> dict[str, str]:
        """The variables that the command needs."""
        # Here, other plugins than the tool are installed, too.
        return {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(REPOSITORY)} if self.here else {}

    def with_xdist(self, folder: Path, tool: str) -> dict[str, str]:
        """Returns the variables for runs that have pytest-xdist, which no other run is to load.

        Args:
            folder: where it is put, unless it is installed here.
            tool: whose interpreter installs it.
        """
        if self.here:
            return self.variables
        pip = [str(self.python(tool)), "-m", "pip", "install", "--quiet", "--target", str(folder)]
        _install([*pip, "pytest-xdist"])
        return {"PYTHONPATH": str(folder)}

    def versions(self, tool: str) -> dict[str, str]:
        """Returns the version of each package in the tool's environment."""
        if tool not in self._versions:
            told = subprocess.run(
                [self.python(tool), "-c", _VERSIONS], stdout=subprocess.PIPE, encoding="utf-8", check=True
            )
            self._versions[tool] = json.loads(told.stdout)
        return self._versions[tool]


def _wanted(tool: str) -> str:
    """Returns what an environment was made from; one that was made from something else is made anew."""
    ours = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8") if tool == OURS else ""
    return "\n".join([*CLIENTS, *PACKAGES[tool], ours])


def _install(command: list[str]) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False
    )
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}")
