"""How soon a client of aiokafka tries again to connect to a broker that could not be reached.

aiokafka has no pause there: each of its clients tries ten times a second and more, for each broker, and a worker has
one for every shard. While a broker was away they wrote hundreds of lines a second. Importing this is what it takes;
`adapters.kafka` does.
"""

import asyncio
from typing import Any, Final

from aiokafka import client
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaError

from services.adapters.kafka.closing import create
from services.runtime.backoff import SYSTEM_RANDOM, Random

_FIRST_SECONDS: Final = 0.05
_LONGEST_SECONDS: Final = 1.0  # also how late a broker that is back is found
_FAILURES_MAX: Final = 10

Failures = dict[tuple[str, int], int]
"""How often in a row a host and port could not be connected to."""

_failures: Failures = {}


async def connect(
    host: str, port: int, *, make: Any = create, failures: Failures = _failures, **options: Any
) -> AIOKafkaConnection:
    """As `create_conn`, after a pause that doubles with each failure of whichever client of this process."""
    place = host, port
    failed = failures.get(place, 0)
    if failed:
        await asyncio.sleep(pause_seconds(failed, SYSTEM_RANDOM))
    try:
        connection = await make(host, port, **options)
    except (OSError, KafkaError, TimeoutError):
        failures[place] = min(failed + 1, _FAILURES_MAX)
        raise
    failures.pop(place, None)
    return connection


def pause_seconds(failed: int, random: Random) -> float:
    """Between half and all of what the failures make, so that clients do not come all at once."""
    longest: float = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2 ** (failed - 1))
    return longest * (1 + random()) / 2


client.create_conn = connect
