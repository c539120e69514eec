"""Control as the fold loop runs it: shard n is partition n of commands, events, results and outcomes.

Restores a shard from its own changelog and its part of the catalogue, and shows how far its activations are behind;
what it does is `services.domain.control`.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from contracts import catalog, codec
from contracts.codes import Code
from contracts.messages.control_state import ControlState
from contracts.messages.entities import CatalogueEntity
from contracts.partitioning import space_partition
from contracts.records import Out, Record, TopicPartition
from services.control.events import RecordRefused
from services.control.lagging import ActivationLags
from services.domain.catalogue.connectors import Connectors
from services.domain.control.config import CommandSenders, ShardConfig
from services.domain.control.effects import state_bytes
from services.domain.control.shard import TOPICS, ControlShard, restored
from services.runtime.clock import Clock
from services.runtime.dead_letters import dead_letter
from services.runtime.failures import Fatal
from services.runtime.fold import Fold
from services.runtime.log import Log

_READ_SECONDS: Final = 1.0
_SHARDED: Final = (
    catalog.CATALOGUE,
    catalog.AUDIT,
    catalog.CONTROL_STATE,
    catalog.REPLIES,
    catalog.IMPORTS,
    catalog.ACTIVATIONS,
)


class ControlService:
    """Implements `FoldService` and `Watching`. A new delivery queue is made with `delivery_partitions`.

    No feed may read topics with `topic_prefix`.
    """

    group = "control"
    transaction_timeout_seconds = 10.0
    records_max = 500  # of small ones: a fetch is 1 MiB, or one command of 50,000 identifiers, 60 ms of work

    def __init__(
        self,
        log: Log,
        *,
        connectors: Connectors,
        delivery_partitions: int,
        topic_prefix: str = "usher",
        command_senders: CommandSenders,
        reply_topics: Mapping[str, str],
        clock: Clock,
    ) -> None:
        self.topics: Sequence[str] = (*command_senders, *TOPICS)
        self._log = log
        self._command_senders = command_senders
        self._reply_topics = reply_topics
        self._connectors = connectors
        self._delivery_partitions = delivery_partitions
        self._topic_prefix = topic_prefix
        self._lags = ActivationLags(clock)

    async def restore(
        self,
        shard: int,
        offsets: Mapping[str, int],  # noqa: ARG002 - the state is written with them, so its end is exactly theirs
    ) -> ControlShard:
        """The spaces of the shard; raises `Fatal` where topics or state do not fit."""
        config = ShardConfig(
            shard=shard,
            control_partitions=await self._control_partitions(),
            membership_partitions=await self._partitions(catalog.INPUT),
            intake_partitions=await self._partitions(catalog.INTAKE_REQUESTS),
            delivery_partitions=self._delivery_partitions,
            verification_partitions=await self._partitions(catalog.VERIFICATIONS),
            dead_letter=refused_record,
            connectors=self._connectors,
            topic_prefix=self._topic_prefix,
            command_senders=self._command_senders,
            reply_topics=self._reply_topics,
        )
        state = await self._latest(TopicPartition(catalog.CONTROL_STATE, shard))
        entities = await self._latest(TopicPartition(catalog.CATALOGUE, shard))
        entries = [_decoded(record, ControlState) for record in state]
        for entry in entries:
            if space_partition(entry.space_id, config.control_partitions) != shard:
                raise Fatal(
                    f"space {entry.space_id} has its state on shard {shard}, which is not its own: the number of "
                    f"partitions was changed to {config.control_partitions}. It is fixed when the topics are made; "
                    "start anew under another USHER_TOPIC_PREFIX"
                )
        return restored(config, [_decoded(record, CatalogueEntity) for record in entities], entries)

    async def committed(self, shard: int, fold: Fold, offsets: Mapping[str, int], *, stopping: bool) -> None:  # noqa: ARG002 - the port's
        """Shows how far its activations are behind, now and then."""
        assert isinstance(fold, ControlShard)
        if self._lags.is_due(shard):
            self._lags.show(shard, fold.waiting())

    def ended(self, shard: int) -> None:
        """They are another worker's to show."""
        self._lags.forget(shard)

    async def _control_partitions(self) -> int:
        """All topics that are keyed by space must have one count, else a space's records would part ways."""
        topics = {*self.topics, *_SHARDED, *self._reply_topics.values()}
        counts = {topic: await self._partitions(topic) for topic in sorted(topics)}
        if len(set(counts.values())) > 1:
            shown = ", ".join(f"{topic} has {count}" for topic, count in counts.items())
            raise Fatal(f"control needs topics with one and the same number of partitions, but {shown}")
        return counts[catalog.REPLIES]

    async def _partitions(self, topic: str) -> int:
        count = await self._log.partitions(topic)
        if count == 0:
            raise Fatal(f"there is no topic {topic}: `usher topics` creates what is missing")
        return count

    async def _latest(self, place: TopicPartition) -> list[Record]:
        """The newest record of each key, those without value left out."""
        # Earlier transactions of this shard are settled by now, so everything before the end is stable.
        end = (await self._log.end_offsets([place]))[place]
        found: dict[bytes, Record] = {}
        reader = await self._log.reader([place])
        try:
            while await reader.position(place) < end:
                for record in await reader.read(timeout_seconds=_READ_SECONDS):
                    if record.value is None:
                        found.pop(record.key or b"", None)
                    else:
                        found[record.key or b""] = record
        finally:
            await reader.close()
        return list(found.values())


def refused_record(record: Record, code: Code, detail: str) -> Out:
    """The dead letter of a record, told to the operator at once."""
    RecordRefused(record.topic, record.partition, record.offset, code.code, detail).emit()
    return dead_letter(record, code, detail, service="control")


def _decoded(record: Record, kind: Any) -> Any:
    assert record.value is not None
    try:
        return codec.decode(state_bytes(record.value), kind)
    except (codec.Unreadable, zlib.error) as error:
        place = f"{record.topic}/{record.partition} at {record.offset}"
        raise Fatal(f"{place} is no state of this version: {error}; run the version that wrote it") from None
