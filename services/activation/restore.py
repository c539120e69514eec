"""The router as the fold loop runs it: shard n is partition n of the changes, its state is partition n of its topic.

Restores; what the router does is `services.domain.delivery.router`.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from contracts import catalog, codec, codes
from contracts.messages.delivery import RouterState
from contracts.records import Out, Record, TopicPartition
from services.activation.lane_events import ChangeRefused
from services.domain.delivery.router import RouterPartition
from services.runtime.dead_letters import dead_letter
from services.runtime.failures import Fatal
from services.runtime.log import Log

_READ_SECONDS: Final = 1.0


class RouterService:
    """Implements `FoldService`. The counts are those of the delivery queues and of the outcomes topic."""

    group = "activation-router"
    topics: Sequence[str] = (catalog.CHANGES,)
    transaction_timeout_seconds = 10.0
    records_max = 500

    def __init__(self, log: Log, *, queue_partitions: int, outcome_partitions: int) -> None:
        self._log = log
        self._queue_partitions = queue_partitions
        self._outcome_partitions = outcome_partitions

    async def restore(
        self,
        shard: int,
        offsets: Mapping[str, int],  # noqa: ARG002 - the state is written with them, so its end is exactly theirs
    ) -> RouterPartition:
        """All that runs on this partition; raises `Fatal` where the state topic does not fit."""
        return RouterPartition(
            shard,
            running=(await self._state(shard)).values(),
            queue_partitions=self._queue_partitions,
            outcome_partitions=self._outcome_partitions,
            refuse=refused_change,
        )

    async def _state(self, shard: int) -> dict[bytes, RouterState]:
        place = TopicPartition(catalog.ROUTER_STATE, shard)
        if shard >= await self._log.partitions(catalog.ROUTER_STATE):
            raise Fatal(f"{catalog.ROUTER_STATE} has fewer partitions than {catalog.CHANGES}: make them equal")
        # Earlier transactions of this shard are settled by now, so everything before the end is stable.
        end = (await self._log.end_offsets([place]))[place]
        found: dict[bytes, RouterState] = {}
        reader = await self._log.reader([place])
        try:
            while await reader.position(place) < end:
                for record in await reader.read(timeout_seconds=_READ_SECONDS):
                    _apply(record, found)
        finally:
            await reader.close()
        return found


def _apply(record: Record, found: dict[bytes, RouterState]) -> None:
    key = record.key or b""
    if record.value is None:
        found.pop(key, None)
        return
    try:
        found[key] = codec.decode(record.value, RouterState)
    except codec.Unreadable as error:
        raise Fatal(f"{record.topic}/{record.partition} at {record.offset} is no state of ours: {error}") from None


def refused_change(record: Record, detail: str) -> Out:
    """The dead letter of a change that can't be read, told to the operator at once."""
    ChangeRefused(partition=record.partition, offset=record.offset, detail=detail).emit()
    return dead_letter(record, codes.DELIVERY_UNREADABLE, detail, service="activation")
