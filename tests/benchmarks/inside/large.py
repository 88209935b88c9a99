"""One response of many megabytes, recorded and replayed: time and memory.

`python -m tests.benchmarks.inside.large record|replay TOOL CASSETTE URL` prints JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import httpx

from .opening import opener

SCALE = 1 if sys.platform == "darwin" else 1024


def main(mode: str, tool: str, cassette: str, url: str) -> None:
    """Asks once, and prints what opening, asking and closing took."""
    body = {"model": "step-3.5-flash", "messages": [{"role": "user", "content": "Say a lot."}]}
    headers = {"authorization": "Bearer sk-step-benchmark-2f7d"}
    open_cassette = opener(tool, "record" if mode == "record" else "replay")
    client = httpx.Client(headers=headers, timeout=600)
    with opener(tool, "record")(f"{cassette}.none.yaml"):
        pass  # what is imported once is not counted
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    with open_cassette(cassette):
        response = client.post(f"{url}/chat/completions", json=body)
    took = time.perf_counter() - started
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    size = len(response.json()["choices"][0]["message"]["content"])
    print(json.dumps({"ms": took * 1e3, "memory, MB": grown * SCALE / 1e6, "size": size}))


if __name__ == "__main__":
    main(*sys.argv[1:])
