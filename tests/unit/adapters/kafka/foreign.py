"""Records as other clients may write them and ours can't: names of headers that are no UTF-8. For tests only."""

import time
from collections.abc import Iterable
from typing import Self

from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

NOW_MS = round(time.time() * 1000)  # a broker takes none from far ahead
Headers = Iterable[tuple[bytes, bytes | None]]

BAD = b"\xff\xfe name"
BAD_AS_READ = r"\xff\xfe name"
GZIP = 1


def builder(records: Iterable[tuple[bytes, Headers]], *, compression: int = 0) -> _DefaultRecordBatchBuilderPy:
    """A batch of these values, with names of headers as they are."""
    made = _DefaultRecordBatchBuilderPy(2, compression, 0, -1, -1, -1, 1 << 20)
    for index, (value, headers) in enumerate(records):
        added = made.append(index, NOW_MS, None, value, [(_Name(name), one) for name, one in headers])
        assert added is not None
    return made


class _Name(str):
    """Encodes to the bytes that it is made of; the builder in Python asks it to, the compiled one would not."""

    __slots__ = ()

    def __new__(cls, name: bytes) -> Self:
        return super().__new__(cls, name.decode(errors="surrogateescape"))

    def encode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> bytes:
        del errors
        return super().encode(encoding, "surrogateescape")
