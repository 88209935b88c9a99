"""How large a body may be that stands in the cassette itself."""

from __future__ import annotations

LARGE = 32 * 1024
"""More bytes than these that are no text stand in a file of their own, beside the cassette."""

LARGE_TEXT = 1024 * 1024
"""And more than these of a part of a multipart body, whatever they are."""
