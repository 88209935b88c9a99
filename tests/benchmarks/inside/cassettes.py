"""One cassette of many interactions: recording it, or loading it and replaying its first and its last ones.

`python -m tests.benchmarks.inside.cassettes record|prepare|replay TOOL CASSETTE COUNT URL` prints JSON.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from pathlib import Path

import httpx

from ..environments import FLOOR
from .opening import opener

ENOUGH = 5
"""Of how many replays the median is taken; a cassette that is too small for it is opened so often instead."""
SCALE = 1 if sys.platform == "darwin" else 1024


class Asker:
    """Asks the numbered questions of a cassette."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/chat/completions"
        self._client = httpx.Client(headers={"authorization": "Bearer sk-step-benchmark-2f7d"})

    def ask(self, question: str) -> float:
        """Returns the milliseconds until the answer to this question was there."""
        body = {"model": "step-3.5-flash", "messages": [{"role": "user", "content": question}]}
        started = time.perf_counter()
        response = self._client.post(self._url, json=body)
        took = time.perf_counter() - started
        if not response.json()["choices"][0]["message"]["content"].startswith(f"{question} "):
            raise ValueError(f"{question} got the answer to another question")
        return took * 1e3


def record(tool: str, path: Path, count: int, asker: Asker) -> dict[str, float]:
    """Records the questions from 0 to `count`, and returns how long asking and saving took."""
    with opener(tool, "record")(str(path)):
        started, cpu = time.perf_counter(), time.process_time()
        for number in range(count):
            asker.ask(question(number))
        asked = time.perf_counter()
    saved = time.perf_counter()
    measures = {"asking, ms": (asked - started) * 1e3, "both, CPU ms": (time.process_time() - cpu) * 1e3}
    return measures if tool == FLOOR else {**measures, "saving, ms": (saved - asked) * 1e3}


def prepare(tool: str, path: Path, count: int, asker: Asker) -> dict[str, float]:
    """Makes the cassette that the tool would record: of two that it has recorded, the second stands for the rest.

    Some tools would take hours for ten thousand. Each question has the same length, so all that is said of the second
    answer holds for the others.
    """
    measures = record(tool, path, min(count, 2), asker)
    if count > 2:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        starts = [at for at, line in enumerate(lines) if line.startswith("- ")]
        end = next((at for at in range(starts[1] + 1, len(lines)) if lines[at][0] not in " -\n"), len(lines))
        second = "".join(lines[starts[1] : end])
        rest = [second.replace(question(1), question(number)) for number in range(2, count)]
        path.write_text("".join([*lines[:end], *rest, *lines[end:]]), encoding="utf-8")
    return measures


def question(number: int) -> str:
    """Returns a question, of the same length for every number, in which no tool breaks the line."""
    return f"Question-{number:06}"


def replay(tool: str, path: Path, count: int, asker: Asker) -> dict[str, float]:
    """Loads the cassette and replays some of it, and returns how long each step took."""
    open_cassette = opener(tool, "replay")
    with open_cassette(str(path.with_name("warm-up.yaml"))):
        asker.ask(question(0))
    plays = min(ENOUGH, max(1, count // 2))
    loads, first, last = [], [], []
    before = _peak()
    for _ in range(ENOUGH // plays):
        started = time.perf_counter()
        with open_cassette(str(path)):
            loads.append((time.perf_counter() - started) * 1e3)
            memory = _peak() - before
            first += [asker.ask(question(number)) for number in range(plays)]
            last += [asker.ask(question(count - 1 - at)) for at in range(plays) if count > 1]
    return {
        "load, ms": statistics.median(loads),
        "memory of the load, MB": memory / 1e6,
        "first replay, ms": statistics.median(first),
        "last replay, ms": statistics.median(last or first),
        "a miss, ms": _miss(tool, path, asker),
    }


def _miss(tool: str, path: Path, asker: Asker) -> float:
    """Returns how long a request takes that was not recorded, in milliseconds, and to say so at the end of the block."""
    started = 0.0
    try:
        with opener(tool, "replay")(str(path)):
            started = time.perf_counter()
            try:
                asker.ask("Question nobody asked")
            except BaseException:  # noqa: BLE001 - each tool raises its own
                pass
            else:
                raise SystemExit(f"{tool} answered a question that was not recorded")
    except BaseException as error:
        if "nobody asked" not in str(error):
            raise
    return (time.perf_counter() - started) * 1e3


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * SCALE


def main(action: str, tool: str, cassette: str, count: str, url: str) -> None:
    """Does one of the actions and prints its measures."""
    asker, path = Asker(url), Path(cassette)
    act = {"record": record, "prepare": prepare, "replay": replay}[action]
    print(json.dumps(act(tool, path, int(count), asker)))


if __name__ == "__main__":
    main(*sys.argv[1:])
