"""Compares two answers, a thousand times: with this plugin's `compare`, and with plain DeepDiff.

`python -m tests.benchmarks.inside.comparing TOOL COUNT FILL` prints JSON.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from ..environments import OURS

VOLATILE = ["root['id']", "root['created']", "root['usage']['cached_tokens']"]


def answers(count: int, fill: int) -> list[dict[str, Any]]:
    """Returns as many different completions."""
    words = ("alpha beta gamma delta epsilon zeta eta theta " * (fill // 40 + 1)).split()
    return [
        {
            "id": f"b7b56af0-52a6-483f-a589-{number:012x}",
            "object": "chat.completion",
            "created": 1763800000 + number,
            "model": "step-3.5-flash",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": f"Answer {number}: " + " ".join(words)[:fill],
                        "tool_calls": [
                            {
                                "id": f"call_{number}",
                                "type": "function",
                                "function": {
                                    "name": "weather",
                                    "arguments": f'{{"city": "Oslo", "day": {number}}}',
                                },
                            }
                        ],
                    },
                    "finish_reason": "tool_calls",
                }
            ],
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 99,
                "total_tokens": 108,
                "cached_tokens": number,
            },
        }
        for number in range(count)
    ]


def again(answer: dict[str, Any], *, word: str = "", day: int | None = None) -> dict[str, Any]:
    """Returns an answer as it comes from another call, changed in its text or its arguments."""
    new = copy.deepcopy(answer)
    new["id"], new["created"] = new["id"][::-1], new["created"] + 60
    message = new["choices"][0]["message"]
    if word:
        message["content"] = message["content"].replace("gamma", word, 3)
    if day is not None:
        message["tool_calls"][0]["function"]["arguments"] = f'{{"city": "Oslo", "day": {day}}}'
    return new


def _comparer(tool: str) -> Callable[[object, object], bool]:
    if tool == OURS:
        from pytest_stepreplay import compare

        return lambda old, new: bool(compare(old, new).changes)
    from deepdiff import DeepDiff

    return lambda old, new: bool(DeepDiff(old, new, exclude_paths=VOLATILE))


def main(tool: str, count: str, fill: str) -> None:
    """Prints the milliseconds for all comparisons of each sort."""
    differs = _comparer(tool)
    old = answers(int(count), int(fill))
    sorts = {
        "the same but for ids": ([again(each) for each in old], False),
        "three words differ": ([again(each, word="omega") for each in old], True),
        "an argument differs": ([again(each, day=-1) for each in old], True),
    }
    differs(old[0], again(old[0], word="omega"))
    measures = {}
    for sort, (new, expected) in sorts.items():
        started = time.perf_counter()
        found = [differs(*pair) for pair in zip(old, new, strict=True)]
        measures[f"{sort}, ms"] = (time.perf_counter() - started) * 1e3
        if found != [expected] * len(old):
            raise SystemExit(f"{tool} is wrong about pairs where {sort}")
    print(json.dumps(measures))


if __name__ == "__main__":
    main(*sys.argv[1:])
