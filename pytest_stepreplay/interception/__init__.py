"""HTTP requests of this process become exchanges with the cassette that is open for them.

The clients in `clients.CLIENTS` are patched once, each when it is imported, and every request asks `Route` for its
open cassette; without one it passes through untouched. What is sent flows to the caller as it arrives, and a `Tape`
beside it takes it down; what is stored flows from a `Playback`. Connections, redirects, cookies, decoding and errors
stay the client's own.
"""

__all__ = [
    "aiohttp_client",
    "asking",
    "async_sending",
    "clients",
    "exchanges",
    "failures",
    "installing",
    "late_tls",
    "own_requests",
    "pauses",
    "player",
    "sending",
]
