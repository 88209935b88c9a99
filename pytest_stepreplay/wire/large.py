"""Bodies of which a part, or all, is too large for a cassette, or is no text: what is stored of them.

The bytes of a body go in, and a `BodyFile` or the parts of a multipart body come out, which hold on to the bytes
without a copy until they are written; and back.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from ..models import LARGE, LARGE_TEXT, BodyFile, BodyPart
from ..value_classes import dataclass
from .multipart import BOUNDARY, joined, part_of, split_parts

if TYPE_CHECKING:
    from ..models import Buffer

_SUFFIXES: Final = {
    "application/jsonl": "jsonl",
    "application/pdf": "pdf",
    "application/zip": "zip",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/wav": "wav",
    "audio/webm": "webm",
    "audio/x-wav": "wav",
    "image/gif": "gif",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "text/csv": "csv",
    "text/plain": "txt",
    "video/mp4": "mp4",
    "video/webm": "webm",
}
"""By media type, so that a person can open the file."""

_OTHER: Final = "bin"


@dataclass(frozen=True, slots=True)
class _InMemory:
    """Bytes in memory."""

    data: Buffer

    def __call__(self) -> Buffer:
        return self.data

    def __reduce__(self) -> tuple[type[_InMemory], tuple[bytes]]:
        return _InMemory, (bytes(self.data),)


def file_of(data: Buffer, content_type: str) -> BodyFile:
    """Returns what stands in the cassette for bytes in a file beside it, bound to them.

    Args:
        data: the bytes.
        content_type: of them, with its parameters.
    """
    kind = content_type.partition(";")[0].strip().lower()
    name = f"{sha256(data).hexdigest()}.{_SUFFIXES.get(kind, _OTHER)}"
    return BodyFile(name, len(data)).bind(_InMemory(data))


def body_parts_of(body: bytes) -> tuple[BodyPart, ...] | None:
    """Returns the parts of a multipart body; None where they would not give it back, but for its boundary."""
    split, fixed = split_parts(body), BOUNDARY.encode()
    if split is None or split[1] != b"--\r\n" or (fixed in body and not body.startswith(b"--%b\r\n" % fixed)):
        return None
    parts: list[BodyPart] = []
    for head, data in split[0]:
        part = part_of(head, data)
        try:
            lines = head.decode().replace("\r\n", "\n")
        except UnicodeDecodeError:
            return None
        if part is None or "\r" in lines or lines.encode().replace(b"\n", b"\r\n") != head:
            return None
        parts.append(_stored(lines, data, part.type or ""))
    return tuple(parts)


def _stored(head: str, data: memoryview, content_type: str) -> BodyPart:
    try:
        text = str(data, "utf-8") if len(data) <= LARGE_TEXT else None
    except UnicodeDecodeError:
        text = None
    if text is not None:
        return BodyPart(head=head, text=text)
    if len(data) > LARGE:
        return BodyPart(head=head, file=file_of(data, content_type))
    return BodyPart(head=head, base64=b64encode(data).decode())


def data_of(part: BodyPart) -> Buffer:
    """Returns the bytes of a part.

    Raises:
        CassetteReadError: the file that holds them is not there, or holds something else.
    """
    if part.file is not None:
        return part.file.read()
    return part.text.encode() if part.text is not None else b64decode(part.base64 or "")


def bytes_of(parts: tuple[BodyPart, ...]) -> bytes:
    """Returns the body of these parts, with the fixed boundary.

    Raises:
        CassetteReadError: as `data_of`.
    """
    return joined((part.head, data_of(part)) for part in parts)


def head_of(part: BodyPart) -> bytes:
    """Returns the header of a part, as `part_of` takes it."""
    return part.head.replace("\n", "\r\n").encode()
