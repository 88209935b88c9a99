"""A suite that asserts answers against stored values: with this plugin, syrupy, inline-snapshot, and a plain dict."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .environments import FLOOR, INLINE, OURS, SYRUPY, Environments
from .measuring import BenchmarkError, Cost, run
from .suites import FILL

_REPLIES = '''\
"""The answers that the tests of this suite get."""

FILL = {fill!r}


def reply(number):
    message = {{"role": "assistant", "content": f"Answer {{number}}: {{FILL}}"}}
    return {{
        "id": f"b7b56af0-52a6-483f-a589-{{number:012x}}",
        "object": "chat.completion",
        "created": 1763800000,
        "model": "step-3.5-flash",
        "choices": [{{"index": 0, "message": message, "finish_reason": "stop"}}],
        "usage": {{"prompt_tokens": 9, "completion_tokens": 300, "total_tokens": 309}},
    }}
'''
_TEST = "\n\ndef test_{number}({fixture}):\n    assert reply({number}) == {value}\n"


@dataclass(frozen=True)
class Kind:
    """One way to store values.

    Attributes:
        name: as tables show it.
        environment: the one it is installed in.
        fixture: that a test asks for.
        value: what a test compares with.
        create: options that store the values.
        imports: a line of the test module.
    """

    name: str
    environment: str
    fixture: str
    value: str
    create: tuple[str, ...] = ()
    imports: str = ""


KINDS = (
    Kind(FLOOR, FLOOR, "", "reply({number})"),
    Kind(OURS, OURS, "chat_snapshot", "chat_snapshot", ("--stepreplay=record",)),
    Kind(SYRUPY, SYRUPY, "snapshot", "snapshot", ("--snapshot-update",)),
    Kind(
        INLINE,
        INLINE,
        "",
        "snapshot()",
        ("--inline-snapshot=create",),
        "from inline_snapshot import snapshot\n",
    ),
)


class SnapshotSuite:
    """A folder with tests of one kind, whose values are stored."""

    def __init__(self, folder: Path, kind: Kind, tests: int, fill: int, environments: Environments) -> None:
        self._folder, self._kind, self._tests = folder, kind, tests
        self._command = environments.pytest(kind.environment)
        self._environment = environments.variables
        folder.mkdir(parents=True)
        text = (FILL * (fill // len(FILL) + 1))[:fill]
        (folder / "replies.py").write_text(_REPLIES.format(fill=text), encoding="utf-8")
        (folder / "conftest.py").touch()
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        for module in range(min(10, tests)):
            head = f"{kind.imports}from replies import reply\n"
            body = (
                _TEST.format(number=n, fixture=kind.fixture, value=kind.value.format(number=n))
                for n in range(module, tests, 10)
            )
            (folder / f"test_{module}.py").write_text(head + "".join(body), encoding="utf-8")
        with suppress(
            BenchmarkError
        ):  # inline-snapshot stores the values, and fails the tests that lacked them
            self._pytest(*kind.create)

    def run(self) -> Cost:
        """Runs the tests against what is stored, and returns what that cost."""
        off = ("-p", "no:stepreplay") if self._kind.name == FLOOR else ()
        cost = self._pytest(*off)
        passed = re.search(r"^(\d+) passed", cost.output, re.MULTILINE)
        if not passed or int(passed[1]) != self._tests:
            raise BenchmarkError(f"{self._kind.name}: not all snapshots agree:\n{cost.output[-3000:]}")
        return cost

    def _pytest(self, *options: str) -> Cost:
        return run([*self._command, *options], folder=self._folder, environment=self._environment)
