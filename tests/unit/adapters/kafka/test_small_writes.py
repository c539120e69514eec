"""Small calls that wait for one another: together, in their order, and none harmed by another's end."""

import asyncio
from typing import cast

import pytest
from aiokafka import AIOKafkaProducer

from contracts.records import Out
from services.adapters.kafka.producers import Writer
from services.adapters.kafka.small_writes import SmallWrites
from services.adapters.kafka.topics import KafkaTopics
from services.runtime.failures import Rejected
from tests.unit.adapters.kafka.test_producers import SETTINGS, Broker


class Storing(Broker):
    """Keeps each request's records, and answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[list[bytes]] = []
        self.asked, self.answers = asyncio.Event(), asyncio.Event()

    def create_batch(self) -> "Storing":
        self.requests.append([])
        self.asked.set()
        return self

    def append(self, *, value: bytes, **_: object) -> bool:
        self.requests[-1].append(value)
        return True

    def close(self) -> None: ...

    async def send_batch(self, builder: object, topic: str, *, partition: int) -> "asyncio.Task[bool]":
        del builder, topic, partition
        return asyncio.ensure_future(self.answers.wait())


async def storing(monkeypatch: pytest.MonkeyPatch) -> tuple[Storing, SmallWrites]:
    broker, topics = Storing(), KafkaTopics(SETTINGS)

    async def admin() -> Broker:
        return broker

    monkeypatch.setattr(topics, "_admin", admin)
    writer = Writer(SETTINGS, topics, cast("AIOKafkaProducer", broker), transactional=False)
    return broker, SmallWrites(writer)


async def test_small_calls_that_wait_go_together_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    broker, small = await storing(monkeypatch)
    calls = [asyncio.ensure_future(small.store([Out("t", b"k", b"%d" % n)])) for n in range(3)]
    await broker.asked.wait()
    calls += [asyncio.ensure_future(small.store([Out("t", b"k", b"%d" % n)])) for n in range(3, 6)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(broker.requests) == 1, "one at a time"
    broker.answers.set()
    await asyncio.gather(*calls)
    assert len(broker.requests) == 2
    assert [value for request in broker.requests for value in request] == [b"%d" % n for n in range(6)]


async def test_a_call_that_is_cancelled_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    broker, small = await storing(monkeypatch)
    first, second = (asyncio.ensure_future(small.store([Out("t", b"k", value)])) for value in (b"1", b"2"))
    await broker.asked.wait()
    first.cancel()
    broker.answers.set()
    await second
    assert first.cancelled()


async def test_one_that_is_refused_is_refused_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    broker, small = await storing(monkeypatch)
    broker.answers.set()
    good, bad = small.store([Out("t", b"k", b"v")]), small.store([Out("t", b"k", b"x" * 2_000)])
    outcomes = await asyncio.gather(good, bad, return_exceptions=True)
    assert outcomes[0] is None
    assert isinstance(outcomes[1], Rejected)
    assert broker.requests == [[b"v"]]
