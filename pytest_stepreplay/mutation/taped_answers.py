"""A recorded answer as one tree, whether it was streamed or not, and a tree as a response that a server sends."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..endpoints import endpoint_of_url
from ..models import Interaction, RawFrame, Response, Stream
from ..value_classes import dataclass
from ..wire.bodies import body_bytes, frames_of
from ..wire.chunks import chunks_of, response_from_chunks
from ..wire.events import json_chunks_of
from ..wire.json_values import parsed

if TYPE_CHECKING:
    from typing import Literal

    from ..endpoints import Endpoint, altering
    from ..models import Request, StreamError

    Tree = dict[str, Any]


@dataclass(frozen=True)
class TapedAnswer:
    """A recorded answer that can be changed.

    Attributes:
        endpoint: what is known of the API that answers so.
        request: what it answers.
        response: as it was recorded.
        tree: the answer; of a stream, what its chunks fold into.
        chunks: of a stream; none where it was not streamed.
    """

    endpoint: Endpoint
    request: Request
    response: Response
    tree: Tree
    chunks: tuple[Tree, ...] = ()

    @property
    def altering(self) -> altering.Altering | None:
        """How answers of its API can be changed."""
        return self.endpoint.altering()

    @property
    def is_streamed(self) -> bool:
        """Whether it came in chunks of an answer."""
        return bool(self.chunks)

    def tools_offered(self) -> list[str]:
        """Returns the names of the tools that the request offers."""
        body = self.request.json
        if not isinstance(body, dict):
            return []
        listed = ((body.get(key), name_of) for key, name_of in self.endpoint.tools.items())
        named = (name_of(each) for tools, name_of in listed if isinstance(tools, list) for each in tools)
        return [name for each in named if each for name in each.split(", ")]

    def interaction_with(self, response: Response) -> Interaction:
        """Returns the interaction with another response."""
        return Interaction(request=self.request, response=response)

    def with_tree(self, tree: Tree) -> Response:
        """Returns the response that holds another answer, streamed where the recorded one was."""
        if not self.is_streamed:
            return self._with_body(json=tree)
        unfold = self.altering.unfold if self.altering else None
        chunks = unfold(tree, self.chunks) if unfold else [*self.chunks]
        if self.response.events is None:
            return self._with_body(json=chunks)
        return self._with_body(events=tuple(self._frames(chunks)))

    def _with_body(self, **body: Any) -> Response:
        return Response(status=self.response.status, headers=self.response.headers, **body)

    def _frames(self, chunks: list[Tree]) -> list[str | RawFrame]:
        key, last = self.endpoint.event_key, self.endpoint.last_event
        texts = [json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in chunks]
        if key:
            named = zip(chunks, texts, strict=True)
            return [RawFrame(f"event: {each[key]}\ndata: {text}\n\n") for each, text in named]
        return [*texts, last] if last and last in (self.response.events or ()) else [*texts]


def read_taped(interaction: Interaction) -> TapedAnswer | None:
    """Returns the answer of an interaction; None where it is an error, or nothing that can be changed."""
    request, response = interaction.request, interaction.response
    endpoint = endpoint_of_url(request.url)
    if response.status >= 400:
        return None
    if response.events is not None:
        text = b"".join(frames_of(response)).decode("utf-8", "replace")
        return _streamed(endpoint, request, response, json_chunks_of(text))
    body = parsed(response.text) if response.text is not None else response.json
    if isinstance(body, list):
        return _streamed(endpoint, request, response, body)
    return TapedAnswer(endpoint, request, response, body) if isinstance(body, dict) else None


def _streamed(
    endpoint: Endpoint, request: Request, response: Response, chunks: list[Any]
) -> TapedAnswer | None:
    known = endpoint.altering()
    alterable = known is not None and known.unfold is not None
    if not chunks or not all(isinstance(each, dict) for each in chunks) or not alterable:
        return None
    if endpoint.fold is None or not endpoint.are_chunks(chunks, True):
        return None
    return TapedAnswer(endpoint, request, response, endpoint.fold(chunks), tuple(chunks))


def number_of_chunks(response: Response) -> int:
    """Returns in how many chunks a stream came; 0 where the answer came at once."""
    number = len(chunks_of(response))
    return number if response.events is not None or number > 1 else 0


def cut_off(response: Response, after: int, error: StreamError = "incomplete") -> Response:
    """Returns a stream that breaks off after so many of its chunks.

    Args:
        response: the whole stream.
        after: how many of its chunks still come.
        error: what breaks it off.
    """
    chunks = chunks_of(response)[:after]
    end: Literal["broken"] = "broken"
    cut = response_from_chunks(response.status, response.headers, chunks, end, error)
    if response.events is None or cut.events is not None or not body_bytes(cut):
        return cut
    # What is left of the events may look like something else where it is but one.
    first = replace(response, events=response.events[:1], stream=None)
    return (
        replace(first, stream=Stream(end=end, error=error)) if body_bytes(first) == body_bytes(cut) else cut
    )
