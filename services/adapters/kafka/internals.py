"""What we need of aiokafka 0.14 that it does not publish: each use with its reason, and all of them only here.

`tests/unit/adapters/kafka/test_internals.py` fails when an upgrade renames one; what they do is held by the
conformance suite.
"""
# ruff: noqa: SLF001 - reaching into aiokafka is what this module is for

import asyncio
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, OffsetAndMetadata, TopicPartition
from aiokafka.errors import IllegalGenerationError, KafkaError, ProducerClosed

from services.runtime.failures import Fatal

_ABANDON_SECONDS = 5.0


def fetchable(consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> list[TopicPartition]:
    """Those of the partitions that a `getmany` may be asked for now without waiting for a rebalance to end.

    While one goes on, `getmany` blocks whatever its timeout, and would then return what nobody has sought.
    """
    subscription = consumer._subscription
    if subscription.reassignment_in_progress:
        return []
    return [partition for partition in partitions if subscription.is_assigned(partition)]


def arrival(consumer: AIOKafkaConsumer) -> asyncio.Future[None]:
    """Done when the fetcher has brought records or an error for any partition.

    A thousand tasks that each wait in a `getmany` of their own are all woken by every fetch; see `arrivals.py`.
    """
    waiter: asyncio.Future[None] = consumer._fetcher._create_fetch_waiter()
    return waiter


def arrived(consumer: AIOKafkaConsumer) -> list[TopicPartition]:
    """The partitions for which there are records or an error."""
    return list(consumer._fetcher._records)


def check_alive(consumer: AIOKafkaConsumer) -> None:
    """Raises what the background tasks have met: aiokafka does so only in a `getmany`.

    Without the second half, a fetcher or coordinator that ended by a mistake would look like a quiet topic.
    """
    if consumer._fetcher._fetch_task.done() or getattr(consumer._coordinator, "_coordination_task", _NEVER).done():
        raise Fatal("a background task of the Kafka consumer has ended: restart this process, and see the log for why")
    consumer._coordinator.check_errors()


async def commit(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
    """Commits as a member of the group, also in `on_partitions_revoked`.

    There the public `commit` refuses when a pattern has matched a new topic: it has no assignment by then. And a
    member that was thrown out would commit as an outsider, which the broker accepts for a group without members.
    """
    coordinator = consumer._coordinator
    if coordinator.generation < 0:
        raise IllegalGenerationError(coordinator.group_id)
    await coordinator.commit_offsets(
        None, {partition: OffsetAndMetadata(offset, "") for partition, offset in offsets.items()}
    )


async def abandon(producer: AIOKafkaProducer) -> None:
    """Stops a producer without sending what it still holds: `stop` would, for as long as the broker is away."""
    producer._closed = True
    producer._message_accumulator.fail_all(ProducerClosed())
    try:
        async with asyncio.timeout(_ABANDON_SECONDS):
            await producer._sender.close()
    except TimeoutError:
        pass  # the sender's last requests end with their own timeouts
    except KafkaError:
        pass  # what ended the sender was told to whoever sent
    await producer.client.close()


class _Never:
    def done(self) -> bool:
        """A group-less consumer has no coordination task."""
        return False


_NEVER = _Never()
