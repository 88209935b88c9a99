"""What goes over the wire: bodies, content encodings, chunks, multipart, and the JSON trees that they become.

Bytes go in and come out as our frozen requests and responses, and back. Nothing here knows a file or a client.
"""

__all__ = [
    "arrays",
    "bodies",
    "chunks",
    "encoded",
    "encodings",
    "events",
    "frame_patterns",
    "frame_runs",
    "headers",
    "json_values",
    "large",
    "last_body",
    "multipart",
    "vectors",
]
