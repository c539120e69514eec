"""The log while the broker is away: calls say `Unavailable` in time, nothing spins, everything goes on afterwards."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiokafka.errors import RequestTimedOutError
from aiokafka.protocol.produce import ProduceRequest

from contracts.records import TopicPartition
from deploy.local.session import Broker
from deploy.local.state import StackState
from services.adapters.kafka import KafkaLog, KafkaSettings
from services.adapters.kafka.producers import KafkaProducer
from services.runtime.failures import Unavailable
from tests.conformance.harness import Recording, eventually, new_topic, out, poll_until, read_all, unique, values, whole

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

REQUEST_SECONDS = 5.0


@pytest.fixture
async def log(stack: StackState) -> AsyncIterator[KafkaLog]:
    settings = KafkaSettings(
        bootstrap_servers=stack.kafka_bootstrap_servers,
        prefix="outage",
        replication_factor=1,
        request_timeout_seconds=REQUEST_SECONDS,
    )
    async with KafkaLog(settings) as log:
        yield log


async def test_everything_goes_on_after_an_outage(log: KafkaLog, broker: Broker) -> None:
    topic, group = await new_topic(log), unique("group")
    partition = TopicPartition(topic, 0)
    producer, listener = await log.producer(), Recording()
    member = await log.join(group, listener=listener, topics=[topic])
    await listener.holds(whole(topic, 0))
    member.seek(partition, 0)
    await producer.send([out(topic, "before")])
    await member.commit({partition: 1})
    await eventually(lambda: member.behind(partition) == 1, "the member has fetched what it will be asked for")

    await asyncio.to_thread(broker.kill)
    started, cpu = time.monotonic(), _cpu_seconds()
    for call in (producer.send([out(topic, "lost")]), member.commit({partition: 2}), log.end_offsets([partition])):
        with pytest.raises(Unavailable):
            await call
    assert values(await member.poll([partition], records_max=10, timeout_seconds=1)) == ["before"]
    assert time.monotonic() - started < 5 * REQUEST_SECONDS
    assert (_cpu_seconds() - cpu) / (time.monotonic() - started) < 0.5  # of one core: waiting, not spinning

    await asyncio.to_thread(broker.restart)
    await _until_available(lambda: producer.send([out(topic, "after")]))
    assert values(await poll_until(member, [partition], 1)) == ["after"]
    await _until_available(lambda: member.commit({partition: 2}))
    assert await log.committed(group, [partition]) == {partition: 2}


async def test_a_write_whose_answer_is_lost_is_stored_once(log: KafkaLog, monkeypatch: pytest.MonkeyPatch) -> None:
    topic, producer = await new_topic(log), await log.producer()
    assert isinstance(producer, KafkaProducer)
    await producer.send([out(topic, "before")])
    client = (await producer.started())[0]._producer.client
    send, lost = client.send, 0

    async def loses_an_answer(node: int, request: object, **options: object) -> object:
        nonlocal lost
        answer = await send(node, request, **options)
        if isinstance(request, ProduceRequest) and not lost:
            lost += 1
            raise RequestTimedOutError
        return answer

    monkeypatch.setattr(client, "send", loses_an_answer)
    await producer.send([out(topic, "once"), out(topic, "after")])

    assert lost == 1
    assert values(await read_all(log, topic)) == ["before", "once", "after"]


async def test_a_transaction_is_redone_by_a_new_producer_after_an_outage(log: KafkaLog, broker: Broker) -> None:
    topic, group, transactional_id = await new_topic(log), unique("group"), unique("transactional")
    producer = await log.transactional_producer(transactional_id, timeout_seconds=10)
    await producer.begin()
    await producer.send([out(topic, "one")])
    await asyncio.to_thread(broker.kill)
    with pytest.raises(Unavailable):
        await producer.commit({TopicPartition(topic, 0): 1}, group)
    with pytest.raises(Unavailable):
        await producer.abort()
    await producer.close()
    await asyncio.to_thread(broker.restart)

    async def redone() -> None:
        again = await log.transactional_producer(transactional_id, timeout_seconds=10)
        if await log.committed(group, [TopicPartition(topic, 0)]) == {}:
            await again.begin()
            await again.send([out(topic, "one")])
            await again.commit({TopicPartition(topic, 0): 1}, group)

    await _until_available(redone)
    assert values(await read_all(log, topic)) == ["one"]


async def test_closing_while_the_broker_is_away_ends_and_leaves_nothing(stack: StackState, broker: Broker) -> None:
    before = asyncio.all_tasks()
    settings = KafkaSettings(
        bootstrap_servers=stack.kafka_bootstrap_servers,
        prefix="outage",
        replication_factor=1,
        request_timeout_seconds=REQUEST_SECONDS,
    )
    log = KafkaLog(settings)
    topic = await new_topic(log)
    producer, listener = await log.producer(), Recording()
    await producer.send([out(topic, "a")])
    transactional = await log.transactional_producer(unique("transactional"), timeout_seconds=10)
    await transactional.begin()
    await transactional.send([out(topic, "b")])
    await log.join(unique("group"), listener=listener, topics=[topic])
    await listener.holds(whole(topic, 0))
    await log.reader([TopicPartition(topic, 0)])
    await asyncio.to_thread(broker.kill)
    pending = asyncio.ensure_future(producer.send([out(topic, "c")]))
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await log.close()
    with pytest.raises(Unavailable):
        await pending
    assert listener.calls[-1] == ("revoked", whole(topic, 0))
    await eventually(lambda: asyncio.all_tasks() <= before, "all tasks have ended", seconds=2 * REQUEST_SECONDS)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _until_available(call: Callable[[], Awaitable[None]]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            await call()
        except Unavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)
        else:
            return
