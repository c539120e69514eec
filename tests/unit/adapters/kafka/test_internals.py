"""The private parts of aiokafka that `internals.py` uses exist in the installed version; what they do is held elsewhere."""

import inspect
from importlib.metadata import version

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.consumer.fetcher import Fetcher, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import ProducerClosed

from services.adapters.kafka import internals

PARTITION = TopicPartition("topic", 0)


def test_the_version_is_the_one_that_was_read() -> None:
    assert version("aiokafka").split(".")[:2] == ["0", "14"]


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (AIOKafkaConsumer, "_client"),
        (AIOKafkaConsumer, "_coordinator"),
        (AIOKafkaConsumer, "_fetcher"),
        (AIOKafkaConsumer, "_subscription"),
        (AIOKafkaProducer, "_closed"),
        (AIOKafkaProducer, "_message_accumulator"),
        (AIOKafkaProducer, "_sender"),
        (Fetcher, "_create_fetch_waiter"),
        (Fetcher, "_fetch_max_wait_ms"),
        (Fetcher, "_fetch_task"),
        (Fetcher, "_records"),
        (PartitionRecords, "_consumer_record"),
        (GroupCoordinator, "_coordination_task"),
        (GroupCoordinator, "_do_heartbeat"),
        (GroupCoordinator, "check_errors"),
        (GroupCoordinator, "commit_offsets"),
        (GroupCoordinator, "generation"),
        (GroupCoordinator, "member_id"),
    ],
)
def test_what_we_reach_into_is_there(owner: type, name: str) -> None:
    source = inspect.getsource(owner)
    assert f"self.{name}" in source or f"def {name}(" in source


async def test_a_consumer_has_what_we_use() -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers="127.0.0.1:1")
    assert internals.fetchable(consumer, [PARTITION]) == []  # no subscription: as while a rebalance goes on
    consumer.assign([PARTITION])
    assert internals.fetchable(consumer, [PARTITION, TopicPartition("other", 0)]) == [PARTITION]
    await consumer.stop()


async def test_a_producer_is_abandoned_with_what_it_holds() -> None:
    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1", enable_idempotence=True)
    batch = producer.create_batch()
    batch.append(timestamp=0, key=b"k", value=b"v")
    held = producer._message_accumulator._append_batch(batch, PARTITION)
    await internals.abandon(producer)
    assert isinstance(held.future.exception(), ProducerClosed)
