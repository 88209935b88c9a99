"""Content encodings (RFC 9110, section 8.4), undone piece by piece: gzip, deflate, br and zstd.

The pieces of a body go in as they came over the wire; the same pieces come out decoded, so that it stays known where
each one ended. A header that claims an encoding the body does not have is common: such a body comes out as it is.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

MAX_DECODED = 256 * 1024 * 1024
"""The most bytes that a compressed body may become."""

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_STEP: Final = 1024
"""Bytes fed at once to a decoder that cannot limit its output, so that nothing becomes huge unseen."""


class EncodingError(ValueError):
    """A body says it is compressed, and it cannot be decompressed."""


class _TooLargeError(EncodingError):
    def __init__(self) -> None:
        super().__init__(f"a compressed body becomes larger than {MAX_DECODED >> 20} MiB")


class _Decoder(Protocol):
    """Decodes one piece after the other."""

    def decode(self, piece: bytes, at_most: int) -> bytes:
        """Returns what the piece decodes to; a little more than `at_most` bytes if it is too much."""

    def is_done(self) -> bool:
        """Tells whether the compressed data ended where it should."""


def undo_encoding(body: bytes, content_encoding: str) -> bytes:
    """Return the body with its content encodings undone.

    Args:
        body: as it came over the wire.
        content_encoding: the header's value, empty where there is none.

    Raises:
        EncodingError: the body is compressed but broken, cut off, larger than `MAX_DECODED`, or in an encoding that
            no installed package can undo.
    """
    return b"".join(undo_encodings([body], content_encoding))


def undo_encodings(pieces: Sequence[bytes], content_encoding: str, *, whole: bool = True) -> Sequence[bytes]:
    """Return the pieces of a body, each with its content encodings undone.

    Args:
        pieces: as they came over the wire.
        content_encoding: the header's value, empty where there is none.
        whole: nothing is missing at the end; else what can be decoded is returned.

    Raises:
        EncodingError: as `undo_encoding`.
    """
    for encoding in reversed(content_encoding.split(",")):
        choose = _DECODERS.get(encoding.strip().lower())
        decoder = choose(pieces) if choose and any(pieces) else None
        if decoder:
            pieces = _decoded(pieces, decoder)
            if whole and not decoder.is_done():
                raise EncodingError("a body is compressed, but cut off")
    return pieces


def _decoded(pieces: Sequence[bytes], decoder: _Decoder) -> list[bytes]:
    decoded, left = [], MAX_DECODED
    for piece in pieces:
        decoded.append(decoder.decode(piece, left))
        left -= len(decoded[-1])
        if left < 0:
            raise _TooLargeError
    return decoded


def _start_of(pieces: Sequence[bytes], length: int) -> bytes:
    start = b""
    for piece in pieces:
        start += piece[: length - len(start)]
        if len(start) == length:
            break
    return start


class _Zlib:
    """gzip and deflate. One gzip member may follow another; what is no member behind the last is left out."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._inflate = zlib.decompressobj(window)
        self._behind = b""
        self._ended = False

    def decode(self, piece: bytes, at_most: int) -> bytes:
        decoded, data = bytearray(), self._behind + piece
        self._behind = b""
        while data:
            if self._inflate.eof:
                if not (self._window > zlib.MAX_WBITS and _GZIP.startswith(data[:2])):
                    break
                if len(data) < len(_GZIP):
                    self._behind = data
                    break
                self._inflate = zlib.decompressobj(self._window)
            try:
                decoded += self._inflate.decompress(data, at_most + 1 - len(decoded))
            except zlib.error:
                raise EncodingError("a body is compressed, but broken") from None
            if len(decoded) > at_most:
                break
            data = self._inflate.unused_data
        return bytes(decoded)

    def is_done(self) -> bool:
        return self._inflate.eof


class _Brotli:
    def __init__(self, module: ModuleType) -> None:
        self._error: type[Exception] = module.error
        self._decompressor: Any = module.Decompressor()

    def decode(self, piece: bytes, at_most: int) -> bytes:
        decoded = bytearray()
        try:
            for start in range(0, len(piece), _STEP):
                decoded += self._decompressor.process(piece[start : start + _STEP])
                if len(decoded) > at_most:
                    break
        except self._error:
            raise EncodingError("a body is compressed, but broken") from None
        return bytes(decoded)

    def is_done(self) -> bool:
        done: bool = self._decompressor.is_finished()
        return done


class _Zstd:
    """One frame may follow another."""

    def __init__(self, module: ModuleType) -> None:
        self._error: type[Exception] = module.ZstdError
        # zstandard names differently what Python 3.14 and its backport have.
        self._new: Callable[[], Any] = (
            (lambda: module.ZstdDecompressor().decompressobj())
            if module.__name__ == "zstandard"
            else module.ZstdDecompressor
        )
        self._decompressor = self._new()

    def decode(self, piece: bytes, at_most: int) -> bytes:
        decoded = bytearray()
        try:
            for start in range(0, len(piece), _STEP):
                data = piece[start : start + _STEP]
                while data:
                    if self._decompressor.eof:
                        self._decompressor = self._new()
                    decoded += self._decompressor.decompress(data)
                    data = self._decompressor.unused_data if self._decompressor.eof else b""
                if len(decoded) > at_most:
                    break
        except self._error:
            raise EncodingError("a body is compressed, but broken") from None
        return bytes(decoded)

    def is_done(self) -> bool:
        done: bool = self._decompressor.eof
        return done


def _gzip(pieces: Sequence[bytes]) -> _Decoder | None:
    return _Zlib(zlib.MAX_WBITS | 16) if _start_of(pieces, 2) == _GZIP else None


def _deflate(pieces: Sequence[bytes]) -> _Decoder | None:
    # The standard says zlib; some servers send the bare stream. Neither has a mark that is sure.
    if _is_text(pieces):
        return None
    start = _start_of(pieces, 1 << 16)
    for window in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        with suppress(zlib.error):
            zlib.decompressobj(window).decompress(start, 1 << 16)
            return _Zlib(window)
    return None


def _brotli(pieces: Sequence[bytes]) -> _Decoder | None:
    if _is_text(pieces):  # Brotli has no mark to know it by
        return None
    fix = "a body is compressed with brotli; to read it: pip install brotli"
    return _Brotli(_first_installed("brotli", "brotlicffi", fix=fix))


def _zstd(pieces: Sequence[bytes]) -> _Decoder | None:
    if _start_of(pieces, 4) != _ZSTD:
        return None
    fix = "a body is compressed with zstd; to read it: pip install zstandard"
    return _Zstd(_first_installed("compression.zstd", "backports.zstd", "zstandard", fix=fix))


def _is_text(pieces: Sequence[bytes]) -> bool:
    """What is text is not compressed."""
    try:
        b"".join(pieces).decode()
    except UnicodeDecodeError:
        return False
    return True


def _first_installed(*names: str, fix: str) -> ModuleType:
    for name in names:
        with suppress(ImportError):
            return import_module(name)
    raise EncodingError(fix)


_DECODERS: Final[dict[str, Callable[[Sequence[bytes]], _Decoder | None]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
