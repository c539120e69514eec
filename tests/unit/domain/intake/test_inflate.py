"""Gunzip and unzstd by content: members, damage, limits, bounded pieces."""

import gzip
import os
import tracemalloc
from collections.abc import Callable
from functools import partial

import pytest

from contracts import codes
from contracts.codes import Code
from services.domain.intake.inflate import PIECE_BYTES_MAX, Inflate
from services.domain.intake.refused import ObjectRefused
from tests.unit.domain.intake.objects_read import zstd_compress

gzipped = partial(gzip.compress, mtime=0)  # in the names of tests, which may not differ by the second
TEXT = b"".join(b"u%06d^segment\n" % i for i in range(20_000))
GZIP = gzipped(TEXT)
ZSTD = zstd_compress(TEXT)
CHECKED = zstd_compress(TEXT, checksum=True)
SKIPPABLE = b"\x5a\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"other"

Pack = Callable[[bytes], bytes]
PACKERS: list[Pack] = [gzipped, zstd_compress]


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
        (b"\x28\xb5\x2f", b"\x28\xb5\x2f"),
        (b"\x28\xb5\x2fu^a", b"\x28\xb5\x2fu^a"),
        (b"\x2a\x4d\x18u", b"\x2a\x4d\x18u"),
        (b"`\x2a\x4d\x18", b"`\x2a\x4d\x18"),
        (gzipped(b""), b""),
        (zstd_compress(b""), b""),
        (gzipped(b"abc") + gzipped(b"") + gzipped(b"def"), b"abcdef"),
        (gzipped(b"\x1f\x8b"), b"\x1f\x8b"),
        (zstd_compress(b"abc") + zstd_compress(b"") + zstd_compress(b"def"), b"abcdef"),
        (SKIPPABLE + zstd_compress(b"abc") + SKIPPABLE + SKIPPABLE, b"abc"),
        (zstd_compress(GZIP), GZIP),
    ],
)
def test_right(data: bytes, text: bytes, chunk_bytes: int) -> None:
    assert inflated(data, chunk_bytes=chunk_bytes) == text


@pytest.mark.parametrize("pack", PACKERS)
def test_large_members(pack: Pack) -> None:
    assert inflated(pack(TEXT) + pack(TEXT)) == TEXT + TEXT
    noise = os.urandom(3 << 20)
    assert inflated(pack(noise), chunk_bytes=1 << 20) == noise


def test_a_million_bytes_of_tiny_members() -> None:
    for pack in PACKERS:
        one = pack(b"u^a\n")
        count = (1 << 20) // len(one)
        assert inflated(one * count, chunk_bytes=1 << 20) == b"u^a\n" * count


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
        ZSTD[:4],
        ZSTD[:9],
        ZSTD[:-1],
        ZSTD[: len(ZSTD) // 2],
        ZSTD + ZSTD[:1],
        ZSTD + ZSTD[:-1],
        ZSTD + b"junk",
        ZSTD + b"\x00" * 512,
        ZSTD + b"j",
        ZSTD + GZIP,
        GZIP + ZSTD,
        CHECKED[:-4] + b"\x00" * 4,
        ZSTD[: len(ZSTD) // 2] + b"\xff" * 100 + ZSTD[len(ZSTD) // 2 + 100 :],
        SKIPPABLE[:-1],
        SKIPPABLE + b"u1^a\n",
    ],
)
def test_damaged(data: bytes, chunk_bytes: int) -> None:
    assert refusal(data, chunk_bytes=chunk_bytes) is codes.OBJECT_TRUNCATED


def test_a_frame_that_wants_more_memory_than_any_decoder_must_give() -> None:
    assert refusal(zstd_compress(TEXT, window_log=27)) is None
    assert refusal(zstd_compress(TEXT, window_log=28)) is codes.OBJECT_TRUNCATED


@pytest.mark.parametrize("pack", PACKERS)
def test_a_bomb_by_ratio(pack: Pack) -> None:
    bomb = pack(bytes(64 << 20))
    assert refusal(bomb) is codes.OBJECT_TOO_LARGE
    assert refusal(bomb, Inflate(ratio_max=40_000)) is None
    assert refusal(pack(bytes(16 << 20))) is None  # too small to harm anybody


@pytest.mark.parametrize("pack", PACKERS)
def test_a_bomb_of_members(pack: Pack) -> None:
    assert refusal(pack(bytes(1 << 20)) * 64) is codes.OBJECT_TOO_LARGE


@pytest.mark.parametrize("pack", PACKERS)
def test_a_bomb_is_refused_before_it_is_inflated(pack: Pack) -> None:
    pieces = Inflate(size_bytes_max=3 * PIECE_BYTES_MAX).feed(pack(bytes(64 << 20)))  # in one chunk
    assert [len(next(pieces)) for _ in range(3)] == [PIECE_BYTES_MAX] * 3
    with pytest.raises(ObjectRefused):
        next(pieces)


@pytest.mark.parametrize("pack", PACKERS)
def test_a_bomb_within_its_limits_is_never_whole_in_memory(pack: Pack) -> None:
    """A store of text so far lets the ratio pass: what follows comes in pieces all the same."""
    bomb = pack(bytes(256 << 20))
    tracemalloc.start()
    for piece in Inflate(ratio_max=1 << 20).feed(bomb):
        assert len(piece) <= PIECE_BYTES_MAX
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 8 * PIECE_BYTES_MAX


def test_too_large_by_size() -> None:
    for data in (TEXT, GZIP, ZSTD):
        assert refusal(data, Inflate(size_bytes_max=len(TEXT))) is None
        assert refusal(data, Inflate(size_bytes_max=len(TEXT) - 1)) is codes.OBJECT_TOO_LARGE


def refusal(data: bytes, inflate: Inflate | None = None, chunk_bytes: int = 1 << 16) -> Code | None:
    try:
        inflated(data, inflate, chunk_bytes)
    except ObjectRefused as refused:
        return refused.code
    return None
