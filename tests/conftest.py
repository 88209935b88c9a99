"""What the tests share: a real upstream on loopback, and suites that run in a pytest of their own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import certifi
import pytest
from blockbuster import BlockBuster, BlockBusterFunction
from hypothesis import HealthCheck, settings

from pytest_stepreplay.machine import clock, disk
from pytest_stepreplay.session.routing import leave
from pytest_stepreplay.upstream import Upstream
from tests.browser import NAMES, Browser, find_chromium

pytest_plugins = ["pytester", "tests.left_open"]

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

KEY = "sk-step-test-4f9a1c77d2e84b0b"
"""The key that the tests record with; no cassette may ever hold it."""


_LEFT_ALONE: Final = ("socket.", "ssl.", "sqlite3.")
"""The guard of the network stands there itself."""
_DISK: Final = "access chmod fsync getcwd listdir lstat mkdir open readlink replace rmdir scandir stat unlink"


def _flushed(descriptor: int) -> None:
    """Stands in for fsync, which takes milliseconds for each of many thousands of files, and shows after a power cut alone."""


@pytest.fixture(scope="session", autouse=True)
def free_event_loops() -> Iterator[None]:
    """Nothing that the plugin does inside of an event loop waits for a disk, a lock or a name: it raises in every test."""
    vars(disk._system)["fsync"] = _flushed  # so that its place is watched, and nothing waits there
    buster = BlockBuster("pytest_stepreplay", excluded_modules=["pytest_stepreplay.upstream"])
    for name in [name for name in buster.functions if name.startswith(_LEFT_ALONE)]:
        del buster.functions[name]
    ours = [(disk._system, name) for name in _DISK.split()]  # the plugin has functions of its own
    for module, name in [*ours, (clock._time, "sleep"), (os, "lstat"), (os.path, "realpath")]:
        buster.functions[f"{module.__name__}.{name}"] = BlockBusterFunction(
            module,
            name,
            scanned_modules="pytest_stepreplay",
            excluded_modules=["pytest_stepreplay.upstream"],
            can_block_functions=[("<frozen importlib._bootstrap>", {"_find_and_load"})],
        )
    may_block = [
        # Before 3.14, aiohttp looks for a .netrc wherever it finds its proxy.
        ("aiohttp/helpers.py", {"netrc_from_env"}),
        # Once for each connection.
        ("redis/utils.py", {"get_lib_version"}),
        # Whoever makes a client of httpx in an event loop has it read certificates there, with us or without.
        ("interception/late_tls.py", {"make_transport", "get"}),
    ]
    for function in buster.functions.values():
        function.can_block_functions += may_block
    buster.activate()
    yield
    buster.deactivate()


@pytest.fixture(autouse=True)
def nothing_installed() -> None:
    """Takes out what a test with a cassette has installed for the rest of this run; the next such test puts it back."""
    leave()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A server that speaks StepFun's documented dialect. It is ours, not StepFun."""
    with Upstream() as server:
        yield server


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium, where there is one; with `STEPREPLAY_NEEDS_CHROMIUM`, as in CI, there must be."""
    if sys.platform == "win32":
        pytest.skip("a browser is told what to do through a pipe, which it does not inherit on Windows")
    program = find_chromium()
    if program is None:
        why = f"no Chromium is installed ({', '.join(NAMES)}); STEPREPLAY_CHROMIUM names one elsewhere"
        (pytest.fail if os.environ.get("STEPREPLAY_NEEDS_CHROMIUM") else pytest.skip)(why)
    running = Browser(program, tmp_path_factory.mktemp("chromium"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with one certificate. Clients load all there are, for 30 ms each time, and no test needs any."""
    end = "-----END CERTIFICATE-----\n"
    first = Path(certifi.where()).read_text(encoding="utf-8").partition(end)[0]
    path = tmp_path_factory.mktemp("authority") / "one.pem"
    path.write_text(first + end, encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, authority: Path) -> None:
    """No test depends on the keys, proxies or pytest options of the person who runs it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # what one child compiles, the next need not
    for name in [*os.environ]:
        if name.upper().endswith(("_PROXY", "_API_KEY")) or name in {
            "PYTEST_ADDOPTS",
            "CI",
            "GITHUB_ACTIONS",
        }:
            monkeypatch.delenv(name)
