"""Has asyncpg read nothing but messages of the form that Postgres speaks. Used by `postgres`, by being imported.

asyncpg takes a message of type zero for none and looks at it again, for ever and without an await: five zeros of
somebody else's server would hold up every lane of the worker, and no deadline could end it.
"""

from typing import Any, Final

import asyncpg.protocol

_HEADER_BYTES: Final = 5  # the type, and a length that counts itself but not the type
_LENGTH_BYTES: Final = 4
_BODY_BYTES_MAX: Final = 16 << 20  # what we ask for is answered with some numbers; asyncpg would hold two gigabytes


class Framing:
    """Follows the bytes of one connection from message to message."""

    def __init__(self) -> None:
        self._header = b""  # the beginning of one that is not here whole
        self._body_bytes = 0  # of the message's body, still to come

    def holds(self, data: bytes) -> bool:
        """Whether these bytes, which come next, may be parts of messages; after a False nothing may follow."""
        place = 0
        while place < len(data):
            if self._body_bytes:
                skipped = min(self._body_bytes, len(data) - place)
                self._body_bytes -= skipped
            else:
                skipped = min(_HEADER_BYTES - len(self._header), len(data) - place)
                self._header += data[place : place + skipped]
                if len(self._header) == _HEADER_BYTES:
                    self._body_bytes = int.from_bytes(self._header[1:], signed=True) - _LENGTH_BYTES
                    if not (self._header[:1].isalnum() and 0 <= self._body_bytes <= _BODY_BYTES_MAX):
                        return False
                    self._header = b""
            place += skipped
        return True


class FramedProtocol(asyncpg.protocol.Protocol):  # type: ignore[misc] # asyncpg's own is compiled
    """asyncpg's own, which loses its connection to a server that speaks otherwise."""

    def connection_made(self, transport: Any) -> None:
        self._framing = Framing()
        self._carrier = transport
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._framing.holds(data):
            super().data_received(data)
        else:
            self._carrier.abort()


asyncpg.protocol.Protocol = FramedProtocol  # `connect` takes it from here
