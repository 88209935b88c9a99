"""The record/replay server: any process, in any language, asks the same cassettes through a base URL.

`ReplayServer` answers on a port of this machine, each request from the `Served` cassette that its URL names, by the
session, the matching and the redaction of a test. It runs in a thread with an event loop of its own. aiohttp, from
the extra `server`, both serves and asks the upstreams; a run that serves imports it, and no other.
"""

__all__ = ["autosave", "installed", "local_page", "of_test", "running", "served", "upstreams"]
