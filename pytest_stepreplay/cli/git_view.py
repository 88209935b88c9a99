"""`stepreplay git-textconv`: what git shows of a cassette in `git diff` and `git log -p`.

git calls it once for each version of a file, so it imports nothing that only looks are worth, and nothing in it is
bound to a place: no path, no number, no date. What cannot be read is shown as it is, so that `git diff` always works.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import CassetteError
from ..formats import MisfitError
from ..store.cassettes import read_cassette
from ..store.files import PENDING_SUFFIX
from ..store.paths import SNAPSHOTS_SUFFIX
from ..texts.sentences import in_sentences
from ..wire.json_values import on_one_line
from .command import Command, Operand
from .conversation import body_shown, is_streamed, read_turns, summary_of
from .terminal import echo, safe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..endpoints import Remark
    from .conversation import Turn


def _run(file: str) -> int:
    path = Path(file)
    try:
        lines = list(_lines_of(path))
    except (CassetteError, MisfitError, OSError, RecursionError):
        # As it is, but for what a terminal would obey.
        echo(safe(path.read_bytes().decode("utf-8", "backslashreplace")).removesuffix("\n"))
        return 0
    echo(safe("\n".join(lines)))
    return 0


GIT_TEXTCONV: Final = Command(
    name="git-textconv",
    description="""
    Print a cassette as the conversation that it holds, for `git diff` and `git log -p`.

    Git calls this where `stepreplay setup` has said so. A file that cannot be read as a cassette is printed as it is.
    """,
    examples=("stepreplay git-textconv cassettes/test_chat/test_greeting.yaml",),
    operands=(Operand("file"),),
    run=_run,
)


def _lines_of(path: Path) -> Iterator[str]:
    if path.name.removesuffix(PENDING_SUFFIX).endswith(SNAPSHOTS_SUFFIX):
        raise CassetteError(path, "holds snapshots, which read well as they are")
    cassette = read_cassette(path).cassette
    if cassette.test:
        yield f"test: {cassette.test}"
    for turn in read_turns(cassette.interactions):
        yield ""
        yield from _lines_of_turn(turn)


def _lines_of_turn(turn: Turn) -> Iterator[str]:
    request, response = turn.interaction.request, turn.interaction.response
    yield f"{request.method} {request.url}"
    if turn.asked is None:
        if request.body_kind:
            yield from _block("request", summary_of(request) or _text_of(body_shown(request)))
    else:
        yield from _block("asks", "\n".join(_parameters_of(turn)))
        # What was said before stands above.
        for remark in turn.asked[turn.repeated :]:
            yield from _remark(remark, turn)
    yield f"{response.status}, streamed" if is_streamed(response) else str(response.status)
    for remark in turn.answered:
        yield from _remark(remark, turn)
    if not turn.answered:
        body = body_shown(response)
        yield from _block(
            "response", summary_of(response) or _text_of(body) if body not in (None, "") else ""
        )
    if turn.end:
        yield from _block("ends", turn.end)


def _parameters_of(turn: Turn) -> Iterator[str]:
    """Yields what a request asks beside the conversation, a line for each field."""
    said = {
        *(turn.endpoint.conversation.said if turn.endpoint.conversation else ()),
        *(turn.endpoint.reading.said if turn.endpoint.reading else ()),
    }
    for name, value in turn.interaction.request.json.items():
        if name not in said and name != "stream":
            yield f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


def _remark(remark: Remark, turn: Turn) -> Iterator[str]:
    suffix = f" {remark.label}" if remark.label else ""
    for thought in remark.reasoning:
        yield from _block(f"reasoning{suffix}", in_sentences(thought))
    text = remark.text
    if remark.cites is not None:
        text = f"{turn.tools.get(remark.cites, 'a tool')}: {text}"
    if text:
        yield from _block((remark.role or "text") + suffix, in_sentences(text))
    if remark.refusal:
        yield from _block(f"refusal{suffix}", remark.refusal)
    for call in remark.calls:
        yield from _block(f"call{suffix}", f"{call.tool}({on_one_line(call.given)})")


def _block(label: str, text: str) -> Iterator[str]:
    """Yields a label, and below it the text, so that no line of it can be taken for a label."""
    if text:
        yield f"  {label}:"
        yield from (f"    {line}".rstrip() for line in text.split("\n"))


def _text_of(body: Any) -> str:
    return body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, indent=2)
