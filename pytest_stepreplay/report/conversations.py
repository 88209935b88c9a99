"""A drifted interaction as a conversation: what was asked, what the stored answer said, and what the new one says.

A request and two responses go in; plain values come out, as results hold them, so that xdist can carry them. An API
that nobody knows how to read as a conversation gives none.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from ..drift import answers, keeping
from ..endpoints import GENERIC, endpoint_of_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..endpoints import Remark
    from ..models import Request, Response

MOST_REMARKS: Final = 8
"""How many of the last remarks of a request are kept; the others are counted."""
MOST_LETTERS: Final = 20_000
"""Of one text; what goes beyond is counted."""
MOST_OF_LINE: Final = 100
"""Letters of an answer that is told in a line."""


def conversation_of(request: Request, stored: Response, new: Response) -> dict[str, Any] | None:
    """Returns what was said, as plain values; None where it is no conversation.

    ::

        {"asked": [REMARK, ...],      what the request says, the last remarks of it
         "earlier": 12,               how many more stand before them
         "stored": [REMARK, ...],     what the stored answer says
         "new": [REMARK, ...]}        what the new one says

    where a remark is ``{"role", "text", "reasoning", "refusal", "calls": [{"tool", "given"}], "is_result"}``.
    """
    endpoint = endpoint_of_url(request.url)
    said = [_answered(endpoint, each) for each in (stored, new)]
    if not any(said):
        return None
    asked: Iterable[Remark] | None = None
    if endpoint.reading is not None and isinstance(request.json, dict):
        asked = endpoint.reading.request(request.json)
    remarks = [_plain(each) for each in asked or ()]
    return {
        "asked": remarks[-MOST_REMARKS:],
        "earlier": max(len(remarks) - MOST_REMARKS, 0),
        "stored": said[0],
        "new": said[1],
    }


def _answered(endpoint: Any, response: Response) -> list[dict[str, Any]]:
    answer = answers.read_answer(keeping.body_of(response), None if endpoint is GENERIC else endpoint)
    reading = answer.endpoint.reading
    known = answer.sort == "answer" or (answer.sort == "error" and answer.chunks)
    if reading is None or not known or not isinstance(answer.tree, dict):
        return []
    return [_plain(each) for each in reading.answer(answer.tree)]


def _plain(remark: Remark) -> dict[str, Any]:
    return {
        "role": _cut(remark.role),
        "text": _cut(remark.text),
        "reasoning": _cut("\n".join(remark.reasoning)),
        "refusal": _cut(remark.refusal),
        "calls": [{"tool": _cut(each.tool), "given": _given(each.given)} for each in remark.calls],
        "is_result": remark.cites is not None,
    }


def _given(given: Any) -> Any:
    """Returns what a tool is given: a JSON value, or a text that is none."""
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except (ValueError, RecursionError):
        return _cut(given)


def _cut(text: str) -> str:
    left = len(text) - MOST_LETTERS
    return f"{text[:MOST_LETTERS]}… ({left:,} more characters)" if left > 0 else text


def told_answer(request: Request, response: Response) -> str:
    """Returns what an answer does, in a line that tells it from answers that do something else."""
    status = "" if response.status < 400 else f"status {response.status}: "
    endpoint = endpoint_of_url(request.url)
    body = keeping.body_of(response)
    try:
        remarks = _answered(endpoint, response)
    except Exception:  # noqa: BLE001 - what cannot be read as a conversation is told as it is
        remarks = []
    told = []
    for each in remarks:
        calls = [f"{it['tool']}({_compact(it['given'])})" for it in each["calls"]]
        said = f"refuses: {each['refusal']}" if each["refusal"] else f'"{each["text"]}"'
        told += calls or [said]
    if not told:
        told = [_compact(body)]
    end = _end_of(endpoint, body) if remarks else ""
    line = f"{status}{'; '.join(told)}"
    line = f"{line[:MOST_OF_LINE]}…" if len(line) > MOST_OF_LINE else line
    return f"{line} ({end})" if end else line


def _end_of(endpoint: Any, body: Any) -> str:
    answer = answers.read_answer(body, None if endpoint is GENERIC else endpoint)
    reading = answer.endpoint.reading
    try:
        return reading.end(answer.tree) if reading is not None and isinstance(answer.tree, dict) else ""
    except Exception:  # noqa: BLE001 - as above
        return ""


def _compact(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
