"""An upstream that costs nothing: it answers whatever comes with the same bytes. Its port goes to stdout."""

from __future__ import annotations

import asyncio
import json

CONTENT = "Hello! I am a stand-in, not a model."
_BODY = json.dumps(
    {
        "id": "b7b56af0-52a6-483f-a589-948182676a1b",
        "object": "chat.completion",
        "created": 1709893411,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": CONTENT},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 13, "total_tokens": 20},
    }
).encode()
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY) + _BODY
)


class _Answering(asyncio.Protocol):
    def __init__(self) -> None:
        self._come = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._come += data
        head, ended, body = self._come.partition(b"\r\n\r\n")
        if not ended:
            return
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if len(body) >= (int(lengths[0].partition(b":")[2]) if lengths else 0):
            self._come = b""
            self._transport.write(_ANSWER)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
