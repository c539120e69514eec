"""usher on three brokers of which one is away, moves what it leads, or dies: not in `make test` but in `make outages`."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

import msgspec
import pytest
import pytest_asyncio

from contracts.catalog import TopicSpec
from contracts.records import Out, TopicPartition
from deploy.local.state import StackState
from services.adapters.kafka import KafkaLog, KafkaSettings
from services.runtime.failures import Unavailable
from services.tools.receiver import Receiver
from tests.broker.brokers import Brokers, all_in_sync, partitions_of, running_brokers
from tests.broker.chaos_laws import Witness, check
from tests.broker.chaos_nemesis import pass_by
from tests.broker.chaos_user import START, User
from tests.broker.space import own_space
from tests.broker.system import System, eventually, running_system

BROKERS: Final = 3
TOPICS: Final = 9
PATIENCE_SECONDS: Final = 120.0  # of a sender whose every record must be there once

pytestmark = [
    pytest.mark.broker,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(not os.environ.get("OUTAGE_SECONDS"), reason="takes minutes: make outages"),
]


@dataclass(frozen=True)
class Cluster:
    brokers: Brokers
    system: System
    others: KafkaLog  # with topics by their whole names

    async def back(self) -> None:
        """Returns when all are there, and no replica is behind."""
        await asyncio.to_thread(self.brokers.restart)
        await eventually("all replicas in sync", lambda: all_in_sync(self.brokers.bootstrap_servers))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(stack: StackState, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """With the session's S3."""
    if stack.process("kafka") is None:
        pytest.skip("the given Kafka is not ours to start others of")
    with running_brokers(tmp_path_factory.mktemp("brokers"), BROKERS) as brokers:
        servers = brokers.bootstrap_servers
        state = msgspec.structs.replace(stack, kafka_bootstrap_servers=servers)
        settings = KafkaSettings(
            bootstrap_servers=servers, prefix="", replication_factor=BROKERS, request_timeout_seconds=PATIENCE_SECONDS
        )
        async with (
            running_system(state, tmp_path_factory.mktemp("cluster"), replicas=BROKERS) as system,
            KafkaLog(settings) as others,
        ):
            yield Cluster(brokers, system, others)
            assert await system.broken_promises() == []


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def whole(cluster: Cluster) -> AsyncIterator[None]:
    """Nobody stays away."""
    yield
    await cluster.back()


async def test_leaders_and_coordinators_that_move_and_die_change_nothing(
    cluster: Cluster, receiver: tuple[Receiver, str], space_name: str
) -> None:
    brokers = cluster.brokers
    async with own_space(cluster.system, space_name, clock="manual", time=START) as space:
        user = User(Random(18), space, receiver[1], cluster.others)
        async with Witness.of(space) as witness:
            await user.set_up()
            stopping = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(user.live(stopping, a_second=1.5))
                for blow in (brokers.stop, brokers.kill):
                    for number in brokers.numbers:
                        await asyncio.to_thread(blow, number)
                        await pass_by(3)
                        await cluster.back()
                stopping.set()
            for number in (0, 1):  # two of three: nobody may write until one is back, and much is still to be done
                await asyncio.to_thread(brokers.kill, number)
            await pass_by(5)
            await cluster.back()
            await user.settle()
        await check(user, witness)
        assert not cluster.system.ended()


async def test_what_is_acknowledged_outlives_a_leader_that_dies_at_once(cluster: Cluster) -> None:
    """Also on a topic that is seconds old, and seen by readers of what is committed."""
    brokers, log = cluster.brokers, cluster.others
    for number in range(TOPICS):
        topic = TopicPartition(f"tail-{number}", 0)
        spec = TopicSpec(name=topic.topic, partitions=1, cleanup="delete", retention_ms=-1, max_message_bytes=1 << 20)
        await eventually("a topic more", partial(made, log, spec))
        producer = await log.transactional_producer(topic.topic, timeout_seconds=60)
        await producer.begin()
        await producer.send([Out(topic.topic, None, b"%d" % value, (), 0) for value in range(100)])
        await producer.commit({}, "group")
        (partition,) = await partitions_of(brokers.bootstrap_servers, topic.topic)
        await asyncio.to_thread(brokers.kill, partition["leader"] - 1)
        assert await values_of(log, topic) == [b"%d" % value for value in range(100)]
        await cluster.back()
        assert await values_of(log, topic) == [b"%d" % value for value in range(100)]
        await producer.close()


async def made(log: KafkaLog, spec: TopicSpec) -> bool:
    """False where a broker that has just come back was asked by a connection of before."""
    try:
        await log.ensure_topic(spec)
    except Unavailable:
        return False
    return True


async def values_of(log: KafkaLog, topic: TopicPartition) -> list[bytes | None]:
    """What a reader of committed records gets who begins now."""
    found: list[bytes | None] = []
    reader = await log.reader([topic])

    async def all_there() -> bool:
        found.extend(record.value for record in await reader.read(timeout_seconds=1))
        return len(found) >= 100

    try:
        await eventually(f"what was committed in {topic}", all_there)
    finally:
        await reader.close()
    return found
