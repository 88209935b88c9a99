"""Runs pytest and counts what this plugin does in it: the same figures on every machine, however busy that is.

`python -m tests.benchmarks.inside.counting RESULT STATUS ARGUMENTS...` runs pytest with the arguments, expects it to end
with the status, and writes the counts as JSON. Only what our own code calls counts, so no other package's new
version changes them. Left out is what differs between versions of Python, which are comprehensions and generator
expressions, and what others call as often as they import something.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from types import BuiltinFunctionType, FrameType
from typing import Any

import pytest

PACKAGE = Path(str(find_spec("pytest_stepreplay").origin)).parent  # type: ignore[union-attr]
LEFT_OUT = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>", "find_spec"})
SYSTEM = {"open": "files opened", "fsync": "fsyncs", "flock": "locks", "replace": "files replaced"}
"""What the system is asked for, by the names of its functions in the module posix, and of fcntl's."""
MODULES = frozenset({"posix", "fcntl"})


class Counts:
    """What our own code has done so far."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self.others: Counter[str] = Counter(dict.fromkeys(SYSTEM.values(), 0))
        self.others["bytes hashed"] = 0
        self._ours: dict[str, str] = {}
        self._lock = threading.Lock()

    def _file(self, path: str) -> str:
        """Returns where a file stands in our package; an empty text for others."""
        inside = Path(path).is_relative_to(PACKAGE)
        return self._ours.setdefault(path, Path(path).relative_to(PACKAGE).as_posix() if inside else "")

    def of_code(self, frame: FrameType) -> str:
        """Returns the file of ours whose code a frame runs; an empty text for others."""
        path = frame.f_code.co_filename
        found = self._ours.get(path)
        return self._file(path) if found is None else found

    def see(self, frame: FrameType, event: str, what: object) -> None:
        """Counts an event, as `sys.setprofile` tells it."""
        if event == "call":
            if frame.f_code.co_name not in LEFT_OUT and (file := self.of_code(frame)):
                with self._lock:
                    self.calls[file, frame.f_code.co_qualname] += 1
        elif (
            event == "c_call"
            and isinstance(what, BuiltinFunctionType)
            and what.__name__ in SYSTEM
            and what.__module__ in MODULES
            and self.of_code(frame)
        ):
            with self._lock:
                self.others[SYSTEM[what.__name__]] += 1

    def counted_hash(self, real: Any) -> Any:
        """Returns a function of hashlib that counts the bytes which our code gives it."""
        counts = self

        class Hash:
            def __init__(self, data: bytes = b"", **options: Any) -> None:
                self._hash, self._counts = real(data, **options), bool(counts.of_code(sys._getframe(1)))
                self._count(data)

            def __getattr__(self, name: str) -> Any:
                return getattr(self._hash, name)

            def update(self, data: bytes) -> None:
                self._hash.update(data)
                self._count(data)

            def _count(self, data: bytes) -> None:
                if self._counts:
                    counts.others["bytes hashed"] += len(data)

        return Hash

    @property
    def total(self) -> int:
        """How many calls there were."""
        return self.calls.total()

    def told(self) -> dict[str, object]:
        """Returns what is counted of a run, and how often each function was called."""
        modules = sum(name == "<module>" for _, name in self.calls)
        functions = {f"{file}:{name}": count for (file, name), count in sorted(self.calls.items())}
        return {"modules": modules, **self.others, "functions": functions}


class Watch:
    """Notes, when a test begins, how many calls there were before it."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self.begun: list[int] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self) -> None:
        """Notes it."""
        self.begun.append(self._counts.total)


def main(result: str, status: str, *arguments: str) -> int:
    """Writes the counts of a run of pytest."""
    counts = Counts()
    for name in ("sha256", "blake2b", "md5"):
        setattr(hashlib, name, counts.counted_hash(getattr(hashlib, name)))
    watch = Watch(counts)
    threading.setprofile(counts.see)
    sys.setprofile(counts.see)
    try:
        ended = pytest.main(list(arguments), plugins=[watch])
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    further = watch.begun[-1] - watch.begun[-2] if len(watch.begun) > 1 else 0
    told = {"calls": counts.total, "calls of a further test": further, **counts.told()}
    Path(result).write_text(json.dumps(told), encoding="utf-8")
    return 0 if ended == int(status) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
