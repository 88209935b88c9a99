"""Opens a cassette with the tool that the environment holds, told to compare bodies."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any, Literal, cast

from ..environments import CASSETTER, FLOOR, OURS

Open = Callable[[str], AbstractContextManager[Any]]


def opener(tool: str, mode: Literal["record", "replay"]) -> Open:
    """Returns what opens a cassette by its path.

    Args:
        tool: as in `environments`; the floor opens nothing.
        mode: what to do with requests.
    """
    if tool == FLOOR:
        return lambda path: nullcontext()
    if tool == OURS:
        use_cassette = import_module("pytest_stepreplay").use_cassette
        return lambda path: use_cassette(path, mode=mode)
    if tool == CASSETTER:
        use = import_module("cassetter").use_cassette
        record_mode = "new_episodes" if mode == "record" else "none"
        return lambda path: use(path, record_mode=record_mode, match_on=["method", "uri", "json_body"])
    record_mode = "new_episodes" if mode == "record" else "none"
    parts = ["method", "scheme", "host", "port", "path", "query", "body"]
    vcr: Any = import_module("vcr").VCR(record_mode=record_mode, match_on=parts)
    return cast("Open", vcr.use_cassette)
