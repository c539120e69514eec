"""Gunzip by content: members, damage, limits, bounded pieces."""

import gzip
import os

import pytest

from contracts import codes
from contracts.codes import Code
from services.domain.intake.inflate import PIECE_BYTES_MAX, Inflate
from services.domain.intake.refused import ObjectRefused

TEXT = b"".join(b"u%06d^segment\n" % i for i in range(20_000))
GZIP = gzip.compress(TEXT)


def inflated(data: bytes, inflate: Inflate | None = None, chunk_bytes: int = 1 << 16) -> bytes:
    inflate = inflate or Inflate()
    pieces = []
    for start in range(0, len(data), chunk_bytes):
        pieces += list(inflate.feed(data[start : start + chunk_bytes]))
    assert all(len(piece) <= PIECE_BYTES_MAX for piece in pieces)
    return b"".join(pieces) + inflate.finish()


@pytest.mark.parametrize("chunk_bytes", [1, 2, 7, 1000, 1 << 20])
@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", b""),
        (b"\x1f", b"\x1f"),
        (b"u1^a\n", b"u1^a\n"),
        (GZIP[:0] + gzip.compress(b""), b""),
        (gzip.compress(b"abc") + gzip.compress(b"") + gzip.compress(b"def"), b"abcdef"),
        (gzip.compress(b"\x1f\x8b"), b"\x1f\x8b"),
    ],
)
def test_right(data: bytes, text: bytes, chunk_bytes: int) -> None:
    assert inflated(data, chunk_bytes=chunk_bytes) == text


def test_large_members() -> None:
    assert inflated(GZIP + GZIP) == TEXT + TEXT
    assert inflated(gzip.compress(os.urandom(3 << 20)), chunk_bytes=1 << 20)


@pytest.mark.parametrize("chunk_bytes", [1, 1 << 16])
@pytest.mark.parametrize(
    "data",
    [
        b"\x1f\x8b",
        GZIP[:9],
        GZIP[:-1],
        GZIP[:-9],
        GZIP + GZIP[:1],
        GZIP + GZIP[:-1],
        GZIP + b"junk",
        GZIP + b"\x00" * 512,
        GZIP + b"j",
        b"\x1f\x8b\x00" + GZIP[3:],
        GZIP[:-8] + b"\x00" * 8,
        GZIP[: len(GZIP) // 2] + b"\xff" * 100 + GZIP[len(GZIP) // 2 + 100 :],
    ],
)
def test_damaged(data: bytes, chunk_bytes: int) -> None:
    assert refusal(data, Inflate(), chunk_bytes) is codes.OBJECT_TRUNCATED


def test_a_bomb_by_ratio() -> None:
    bomb = gzip.compress(bytes(64 << 20))
    assert refusal(bomb, Inflate()) is codes.OBJECT_TOO_LARGE
    assert refusal(bomb, Inflate(ratio_max=2000)) is None
    assert refusal(gzip.compress(bytes(16 << 20)), Inflate()) is None  # too small to harm anybody


def test_a_bomb_of_members() -> None:
    assert refusal(gzip.compress(bytes(1 << 20)) * 64, Inflate()) is codes.OBJECT_TOO_LARGE


def test_a_bomb_is_refused_before_it_is_inflated() -> None:
    pieces = Inflate(size_bytes_max=3 * PIECE_BYTES_MAX).feed(gzip.compress(bytes(64 << 20)))  # in one chunk
    assert [len(next(pieces)) for _ in range(3)] == [PIECE_BYTES_MAX] * 3
    with pytest.raises(ObjectRefused):
        next(pieces)


def test_too_large_by_size() -> None:
    for data in (TEXT, GZIP):
        assert refusal(data, Inflate(size_bytes_max=len(TEXT))) is None
        assert refusal(data, Inflate(size_bytes_max=len(TEXT) - 1)) is codes.OBJECT_TOO_LARGE


def refusal(data: bytes, inflate: Inflate, chunk_bytes: int = 1 << 16) -> Code | None:
    try:
        inflated(data, inflate, chunk_bytes)
    except ObjectRefused as refused:
        return refused.code
    return None
