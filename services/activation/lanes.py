"""The lanes of this worker as the Deliver loop sees them: one for each assigned partition of each delivery queue."""

import math
from collections.abc import Sequence
from typing import Final

from contracts.catalog import queue_of
from contracts.records import Record, TopicPartition
from services.activation.lane import Lane
from services.activation.lane_ports import LanePorts

GROUP: Final = "activation-lanes"
PARTITION_BYTES_MAX: Final = 64 * 1024  # a thousand lanes hold a batch each, many of them for hours
LANE_BYTES_MAX: Final = 1 << 20  # ten thousand hashes: what a request of the largest limits holds
BACKLOG_BYTES_MAX: Final = 16 << 20  # of all lanes; decoded it is several times that
RECORDS_MAX: Final = 500
HANDLE_SECONDS_MAX: Final = math.inf  # a parked lane is no stuck one: each thing it awaits has a limit of its own


class Lanes:
    """Implements `Deliver`."""

    def __init__(self, ports: LanePorts) -> None:
        self._ports = ports
        self._lanes: dict[TopicPartition, Lane] = {}

    async def assigned(self, partition: TopicPartition) -> None:
        """A new lane: what the destination's state was before us is for it to find out."""
        self._lanes[partition] = Lane(partition, self._ports)
        self._ports.rates.joined(queue_of(partition.topic))

    async def handle(self, partition: TopicPartition, records: Sequence[Record]) -> None:
        """Returns when all is delivered, merged or in dead letters; hours, if the destination is down so long."""
        await self._lanes[partition].deliver(records)

    async def revoked(self, partition: TopicPartition) -> None:
        del self._lanes[partition]
        self._ports.rates.left(queue_of(partition.topic))
