"""Connections of aiokafka, and until when they are closing.

One by TLS ends with words of its own, some of which nobody in aiokafka waits for (that of a bootstrap, one that was
refused). An event loop that ends before them leaves the socket open. Here connections are made that are waited for.
"""

import asyncio
from typing import Any, Final
from weakref import WeakSet

from aiokafka.conn import AIOKafkaConnection

from services.adapters.kafka import internals

_CLOSE_SECONDS: Final = 1.0  # a peer that does not answer is not waited for longer

_made: WeakSet[AIOKafkaConnection] = WeakSet()


async def create(host: str, port: int, **options: Any) -> AIOKafkaConnection:
    """As aiokafka's `create_conn`; raises what that raises."""
    connection = AIOKafkaConnection(host, port, **options)
    _made.add(connection)
    await connection.connect()
    return connection


def under_way() -> list[asyncio.Future[None]]:
    """One for each connection of this loop that was closed here, and is not yet at an end."""
    loop = asyncio.get_running_loop()
    ends = [end for end in map(internals.closing, _made) if end is not None]
    return [end for end in ends if end.get_loop() is loop and not end.done()]


async def all_closed() -> None:
    """Returns when none is closing any more, or a second later."""
    if ends := under_way():
        await asyncio.wait(ends, timeout=_CLOSE_SECONDS)
