"""The clients that vcrpy's stubs serve: their entries in the table of clients, which `interception` fills and reads.

Whoever opens cassettes calls `serve_stubbed_clients` before the first one: the plugin, and the package for
`use_cassette`.
"""

from __future__ import annotations

from typing import Final

from ..interception.clients import Client, add_clients
from . import http_client, tornado_client

_STUBBED: Final = {
    "http.client": Client(http_client, ("http.client", "urllib.request")),
    "httplib2": Client(http_client, ("httplib2",)),
    "tornado.simple_httpclient": Client(tornado_client, ("tornado",)),
    "tornado.curl_httpclient": Client(tornado_client),
}


def serve_stubbed_clients() -> None:
    """Has these clients intercepted where a cassette is open."""
    add_clients(_STUBBED)
