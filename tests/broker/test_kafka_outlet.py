"""The kafka connector on a real Kafka, by the outlet that lanes use."""

import asyncio
import json
import uuid

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from contracts import codes
from contracts.partitioning import default_partition
from deploy.local.state import StackState
from services.adapters.kafka.events import EventWriter
from services.adapters.kafka.settings import KafkaSettings
from services.adapters.outlets import OpenOutlets
from services.connectors.base import Target
from services.connectors.declaration import filled
from services.connectors.kafka.definition import DECLARATION, Kafka
from services.domain.delivery.merge import collapse, cut
from services.runtime.clock import SystemClock
from services.runtime.failures import Rejected, Unavailable
from services.runtime.outlets import EventsWrite, TopicCheck
from tests.broker.system import eventually
from tests.unit.domain.delivery.making import delivery

PARTITIONS = 3
MEMBERS = [f"u{number:06}" for number in range(20_000)]


def effect(servers: str, topic: str) -> EventsWrite:
    settings = filled(DECLARATION.settings, {"bootstrap_servers": servers, "topic": topic, "tls": False})
    (items,) = cut(collapse([delivery(7, "add", MEMBERS), delivery(8, "remove", MEMBERS[:10])]), 50_000)
    (request,) = Kafka().requests(items, settings)
    return Kafka().effect(request, Target(settings, {}, 0))


def check(servers: str, topic: str) -> TopicCheck:
    settings = filled(DECLARATION.settings, {"bootstrap_servers": servers, "topic": topic, "tls": False})
    return Kafka().check(Target(settings, {}, 0))


async def test_events_are_where_their_keys_belong_each_once_and_in_order(stack: StackState) -> None:
    servers, topic = stack.kafka_bootstrap_servers, f"theirs-{uuid.uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])

    async def is_known() -> bool:  # a broker may hear of it a moment after the controller has answered
        return [one["error_code"] for one in await admin.describe_topics([topic])] == [0]

    await eventually("the topic is known", is_known)
    await admin.close()
    outlets = OpenOutlets(clock=SystemClock(), allow_private=True)
    try:
        await outlets.check(check(servers, topic), timeout_seconds=20)
        await outlets.carry_out(effect(servers, topic), timeout_seconds=20)
    finally:
        await outlets.close()
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
    await consumer.start()
    places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    consumer.assign(places)
    ends = await consumer.end_offsets(places)
    seen: dict[str, list[bool]] = {}
    try:
        async with asyncio.timeout(20):
            while sum([await consumer.position(place) for place in places]) < sum(ends.values()):
                for place, records in (await consumer.getmany(timeout_ms=500)).items():
                    for record in records:
                        assert default_partition(record.key, PARTITIONS) == place.partition
                        entered = json.loads(record.value)["context"]["usher"]["entered"]
                        seen.setdefault(record.key.decode(), []).append(entered)
    finally:
        await consumer.stop()
    assert seen == {member: [False] if member in MEMBERS[:10] else [True] for member in MEMBERS}


async def test_what_is_wrong_with_a_cluster_is_told_apart(stack: StackState) -> None:
    """Fault 65: a cluster that is down makes the lane wait, and holds nothing."""
    outlets = OpenOutlets(clock=SystemClock(), allow_private=True)
    guarded = OpenOutlets(clock=SystemClock(), allow_private=False)
    try:
        with pytest.raises(Unavailable):
            await outlets.carry_out(effect("127.0.0.1:1", "any"), timeout_seconds=3)
        with pytest.raises(Rejected) as caught:
            await guarded.carry_out(effect(stack.kafka_bootstrap_servers, "any"), timeout_seconds=3)
        assert caught.value.code is codes.DELIVERY_ADDRESS_REFUSED
        with pytest.raises(Unavailable):
            await outlets.check(check("127.0.0.1:1", "any"), timeout_seconds=3)
        for looked, topic in ((outlets, "no-such-topic"), (guarded, "any")):
            with pytest.raises(Rejected) as caught:
                await looked.check(check(stack.kafka_bootstrap_servers, topic), timeout_seconds=3)
            assert caught.value.code in {codes.DELIVERY_SETTINGS_INVALID, codes.DELIVERY_ADDRESS_REFUSED}
        with pytest.raises(Rejected) as caught:  # and was not made by the question
            await outlets.check(check(stack.kafka_bootstrap_servers, "no-such-topic"), timeout_seconds=3)
        assert caught.value.code is codes.DELIVERY_SETTINGS_INVALID
    finally:
        await outlets.close()
        await guarded.close()


async def test_no_broker_is_written_to_that_may_not_be_gone_to(stack: StackState) -> None:
    """The servers in the settings are checked by the outlet; brokers tell of others, and may tell anything."""
    told: list[str] = []

    async def refuse(host: str) -> str:
        told.append(host)
        raise Rejected(codes.DELIVERY_ADDRESS_REFUSED, f"{host} is no public address")

    settings = KafkaSettings(bootstrap_servers=stack.kafka_bootstrap_servers, prefix="", request_timeout_seconds=2.0)
    writer = EventWriter(settings, SystemClock(), refuse)
    with pytest.raises(Rejected) as refused:
        await writer.write(effect(stack.kafka_bootstrap_servers, "theirs"))
    assert refused.value.code is codes.DELIVERY_ADDRESS_REFUSED
    assert told
