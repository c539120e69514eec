"""Hex and UUID columns longer than a tile, with wrong characters anywhere, say what Python's own `fromhex` says."""

import re
from random import Random

import numpy as np
import numpy.typing as npt
import pytest

from services.domain.rows.hexadecimal import unhex, unhex_uuids

ROWS = 9_000  # several tiles of every width
ODD = [byte for byte in range(256) if chr(byte) not in "0123456789abcdefABCDEF"]


def matrix(rows: list[bytes]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), -1)


@pytest.mark.parametrize("digits", [32, 40, 64])
@pytest.mark.parametrize("any_case", [True, False])
def test_unhex(digits: int, *, any_case: bool) -> None:
    random = Random(digits)
    rows = [bytearray(random.randbytes(digits // 2).hex().encode()) for _ in range(ROWS)]
    for row in random.sample(rows, 1000):
        row[random.randrange(digits)] = random.choice(ODD)
    for row in random.sample(rows, 1000):
        row[:] = row.upper()
    values, good = unhex(matrix([bytes(row) for row in rows]), any_case=any_case)
    pattern = re.compile(rb"[0-9a-fA-F]+" if any_case else rb"[0-9a-f]+")
    for row, value, is_hex in zip(rows, values, good.tolist(), strict=True):
        assert is_hex == (pattern.fullmatch(row) is not None)
        if is_hex:
            assert value.tobytes() == bytes.fromhex(row.decode())


def test_every_byte_in_every_place() -> None:
    """Each byte value at each place of an otherwise good row, alone."""
    rows = [bytes(b"7" * at + bytes([byte]) + b"7" * (31 - at)) for byte in range(256) for at in range(32)]
    for any_case, allowed in ((True, b"0123456789abcdefABCDEF"), (False, b"0123456789abcdef")):
        _, good = unhex(matrix(rows), any_case=any_case)
        assert good.reshape(256, 32).all(axis=1).tolist() == [byte in allowed for byte in range(256)]
        assert good.reshape(256, 32).any(axis=1).tolist() == [byte in allowed for byte in range(256)]


def test_uuids() -> None:
    text = b"01234567-89ab-cdef-0123-456789abcdef"
    rows = [text[:at] + bytes([byte]) + text[at + 1 :] for byte in range(256) for at in range(len(text))]
    values, good = unhex_uuids(matrix(rows))
    pattern = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
    for row, value, is_uuid in zip(rows, values, good.tolist(), strict=True):
        assert is_uuid == (pattern.fullmatch(row) is not None)
        if is_uuid:
            assert value.tobytes() == bytes.fromhex(row.decode().replace("-", ""))
