"""Content encodings, undone piece by piece."""

from __future__ import annotations

import gzip
import sys
import types
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_stepreplay.wire import encodings
from pytest_stepreplay.wire.encodings import EncodingError, undo_encoding, undo_encodings


def bare_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("gzip", gzip.compress),
        ("GZip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("gzip", lambda body: gzip.compress(body[:3]) + gzip.compress(body[3:])),
        ("deflate", zlib.compress),
        ("deflate", bare_deflate),
        ("deflate, gzip", lambda body: gzip.compress(zlib.compress(body))),
        ("identity", bytes),
        ("", bytes),
        ("aws-chunked", bytes),
    ],
)
def test_encodings_are_undone(encoding: str, encode: Callable[[bytes], bytes]) -> None:
    body = b'{"hello": "world"}' * 50
    assert undo_encoding(encode(body), encoding) == body
    assert undo_encoding(b"", encoding) == b""


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, br"])
def test_a_plain_body_under_a_header_that_lies_is_kept(encoding: str) -> None:
    for body in (b'{"error": "x"}', b"data: {}\n\n", "你好".encode(), b"x"):
        assert undo_encoding(body, encoding) == body


def test_a_body_that_is_compressed_but_cut_off_or_broken_is_an_error() -> None:
    whole = gzip.compress(b"hello" * 1000)
    with pytest.raises(EncodingError, match="a body is compressed, but cut off"):
        undo_encoding(whole[:-9], "gzip")
    with pytest.raises(EncodingError, match="a body is compressed, but broken"):
        undo_encoding(whole[:10] + b"\xff" * 20, "gzip")


@pytest.mark.parametrize(("encoding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_body_cannot_become_larger_than_memory(
    encoding: str, encode: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encodings, "MAX_DECODED", 1000)
    assert len(undo_encoding(encode(b"x" * 1000), encoding)) == 1000
    with pytest.raises(EncodingError, match="a compressed body becomes larger than"):
        undo_encoding(encode(b"x" * 1001), encoding)


@pytest.mark.parametrize(
    ("encoding", "body", "modules", "fix"),
    [
        ("br", b"\x8b\x02\x80hello\x03", ["brotli", "brotlicffi"], "pip install brotli"),
        (
            "zstd",
            b"\x28\xb5\x2f\xfd\x24\x05",
            ["compression", "compression.zstd", "backports", "backports.zstd", "zstandard"],
            "pip install zstandard",
        ),
    ],
)
def test_what_no_installed_package_can_undo_is_an_error(
    encoding: str, body: bytes, modules: list[str], fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EncodingError, match=f"to read it: {fix}"):
        undo_encoding(body, encoding)


class TestBrotli:
    """With a stand-in for the package, which need not be installed; it turns "\\xff" into many letters."""

    @pytest.fixture(autouse=True)
    def package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class BrokenError(Exception):
            pass

        class Decompressor:
            seen = b""

            def process(self, piece: bytes) -> bytes:
                if b"\xfe" in piece:
                    raise BrokenError
                self.seen += piece
                return piece.replace(b"\xff", b"x" * 100)

            def is_finished(self) -> bool:
                return self.seen.endswith(b"\xff")

        package = types.ModuleType("brotli")
        package.Decompressor, package.error = Decompressor, BrokenError  # type: ignore[attr-defined]  # a stand-in
        monkeypatch.setitem(sys.modules, "brotli", package)

    def test_it_is_undone(self) -> None:
        assert undo_encoding(b"a" * 3000 + b"\xff", "br") == b"a" * 3000 + b"x" * 100

    def test_broken_ones_are_errors(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(EncodingError, match="but cut off"):
            undo_encoding(b"\xffa", "br")
        with pytest.raises(EncodingError, match="but broken"):
            undo_encoding(b"\xfe", "br")
        monkeypatch.setattr(encodings, "MAX_DECODED", 99)
        with pytest.raises(EncodingError, match="becomes larger"):
            undo_encoding(b"\xff", "br")


@pytest.mark.parametrize("name", ["brotli", "zstandard", "compression.zstd"])
def test_the_real_packages_are_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip(name)
    encoding = "br" if name == "brotli" else "zstd"
    body = b'{"hello": "world"}' * 5000
    compressed = module.ZstdCompressor().compress(body) if name == "zstandard" else module.compress(body)
    if name == "zstandard":
        monkeypatch.setitem(sys.modules, "compression.zstd", None)
    assert undo_encoding(compressed, encoding) == body
    with pytest.raises(EncodingError):
        undo_encoding(compressed[:20] + b"\xff" * 20, encoding)
    monkeypatch.setattr(encodings, "MAX_DECODED", 1000)
    with pytest.raises(EncodingError, match="becomes larger"):
        undo_encoding(compressed, encoding)


def flushed(frames: list[bytes], wbits: int) -> list[bytes]:
    """Returns the frames as a server compresses a stream, each readable once it has come."""
    compressor = zlib.compressobj(wbits=wbits)
    pieces = [compressor.compress(frame) + compressor.flush(zlib.Z_SYNC_FLUSH) for frame in frames]
    return [*pieces, compressor.flush()]


@given(frames=st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=8), cut=st.integers(0, 99))
def test_each_piece_of_a_stream_is_undone_by_itself(frames: list[bytes], cut: int) -> None:
    pieces = flushed(frames, zlib.MAX_WBITS | 16)
    assert list(undo_encodings(pieces, "gzip")) == [*frames, b""]
    wire = b"".join(pieces)
    place = cut % len(wire)
    split = undo_encodings([wire[:place], b"", wire[place:]], "gzip")
    assert b"".join(split) == b"".join(frames)
    assert len(split) == 3


def test_what_came_of_a_stream_that_was_cut_off_is_undone() -> None:
    pieces = flushed([b"data: 1\n\n", b"data: 2\n\n"], zlib.MAX_WBITS | 16)[:1]
    assert list(undo_encodings(pieces, "gzip", whole=False)) == [b"data: 1\n\n"]
    with pytest.raises(EncodingError, match="cut off"):
        undo_encodings(pieces, "gzip")


def test_a_gzip_member_may_begin_in_the_middle_of_a_piece_or_between_two() -> None:
    one, two = gzip.compress(b"one"), gzip.compress(b"two")
    assert b"".join(undo_encodings([one + two[:1], two[1:]], "gzip")) == b"onetwo"
    assert b"".join(undo_encodings([one + b"rubbish"], "gzip")) == b"one"
