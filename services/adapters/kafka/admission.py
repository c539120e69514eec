"""Starting clients of aiokafka, and why no broker lets them in where they can't start.

aiokafka only says that it could not bootstrap: to it a wrong password is a broker that is away, and somebody would wait
for ever. Called by everything in this package that starts a client.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from services.adapters.kafka.closing import create
from services.adapters.kafka.errors import translated
from services.adapters.kafka.settings import KafkaSettings
from services.runtime.failures import Fatal, Unavailable

_CONNECT_SECONDS: Final = 5.0


@asynccontextmanager
async def starting(settings: KafkaSettings, doing: str) -> AsyncIterator[None]:
    """As `translated`; raises `Fatal` where brokers answer, and none of them will ever have us."""
    try:
        with translated(doing):
            yield
    except Unavailable:
        await _check_let_in(settings)
        raise


async def _check_let_in(settings: KafkaSettings) -> None:
    """Returns where one broker lets us in, or where we can't know; raises what the first one says that refuses us."""
    refusal: Fatal | None = None
    for server in settings.bootstrap_servers.split(","):
        try:
            await _connect(settings, server)
        except Fatal as error:
            refusal = refusal or error
        except Unavailable:
            continue
        else:
            return
    if refusal is not None:
        raise refusal


async def _connect(settings: KafkaSettings, server: str) -> None:
    host, _, port = server.rpartition(":")
    said = settings.client()
    del said["bootstrap_servers"]
    with translated("connecting to Kafka at", server):
        async with asyncio.timeout(_CONNECT_SECONDS):
            connection = await create(host.strip("[]"), int(port), **said)
    connection.close()
