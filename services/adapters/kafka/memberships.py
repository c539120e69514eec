"""Who a member is, and the offsets that a producer's transactions take only as long as the group goes by that.

aiokafka sends such offsets by the oldest form of the request, which does not name the member: hence its internals.
Called by `member` and `producers`.
"""
# ruff: noqa: SLF001 - as in `internals`

from types import SimpleNamespace
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, OffsetAndMetadata, TopicPartition
from aiokafka.client import CoordinationType
from aiokafka.errors import IllegalGenerationError, ProducerFenced, UnknownMemberIdError
from aiokafka.producer.sender import TxnOffsetCommitHandler

from services.adapters.kafka.offset_forms import FENCED_INSTANCE_ID, TxnOffsetCommitByMember
from services.runtime.log import Membership

_THROWN_OUT: Final = {IllegalGenerationError.errno, UnknownMemberIdError.errno, FENCED_INSTANCE_ID}


def membership_of(consumer: AIOKafkaConsumer, group: str, instance_id: str | None) -> Membership:
    """As the coordinator knows it; to be asked for in `on_partitions_assigned`, before a rebalance makes it void."""
    coordinator = consumer._coordinator
    return Membership(group, coordinator.generation, coordinator.member_id, instance_id)


def add_offsets_by(producer: AIOKafkaProducer, membership: Membership) -> None:
    """From here on the producer's transactions take offsets only as long as the group goes by this membership."""
    sender = producer._sender

    async def commit_offsets(offsets: dict[TopicPartition, OffsetAndMetadata], group: str) -> None:
        node = await sender._find_coordinator(CoordinationType.GROUP, group)
        await _OffsetsByMember(sender, offsets, group, membership).do(node)

    sender._do_txn_offset_commit = commit_offsets


class _OffsetsByMember(TxnOffsetCommitHandler):  # type: ignore[misc] # aiokafka ships no types
    def __init__(
        self, sender: Any, offsets: dict[TopicPartition, OffsetAndMetadata], group: str, membership: Membership
    ) -> None:
        super().__init__(sender, offsets, group)
        self._membership = membership

    def create_request(self) -> TxnOffsetCommitByMember:
        manager = self._sender._txn_manager
        return TxnOffsetCommitByMember(
            manager.transactional_id,
            self._group_id,
            (manager.producer_id, manager.producer_epoch),
            self._membership,
            {partition: offset.offset for partition, offset in self._offsets.items()},
        )

    def handle_response(self, answer: Any) -> float | None:
        topics = [(name, [(number, code) for number, code, _ in found]) for name, found, _ in answer.topics]
        if any(code in _THROWN_OUT for _, found in topics for _, code in found):
            raise ProducerFenced
        backoff_seconds: float | None = super().handle_response(SimpleNamespace(errors=topics))
        return backoff_seconds
