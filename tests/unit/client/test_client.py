"""The Python client on the memory log: each command its own reply, changes one identity at a time from a kept place."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal

import pytest

from contracts import catalog, codec
from contracts.messages.commands import AudienceCreate
from contracts.messages.published import Cause, Change, Reply, ReplyCounts
from contracts.records import Out, Record
from services.adapters.memory import MemoryBroker
from services.client import Client, Follower, MemberChange, NoReply, TopicMissing, opened
from services.runtime.log import Log
from tests.unit.runtime.machine import topics

AT = "2026-01-01T00:00:00.000Z"


@pytest.fixture
async def log() -> AsyncGenerator[Log]:
    async with MemoryBroker().connect("client") as connected:
        await topics(connected, catalog.COMMANDS, catalog.REPLIES, catalog.CHANGES)
        yield connected


class Answerer:
    """Stands for control: answers commands in the order in which it is told to."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._commands: dict[str, dict[str, object]] = {}

    async def commands(self, count: int) -> list[dict[str, object]]:
        follower = await Follower.open(self._log, [catalog.COMMANDS], self._take, from_end=False)
        async with asyncio.timeout(5):
            while len(self._commands) < count:
                await follower.pump()
        await follower.close()
        return list(self._commands.values())

    def _take(self, record: Record) -> None:
        command = codec.decode(record.value or b"", dict[str, object])
        self._commands[str(command["id"])] = command

    async def answer(self, *ids: object) -> None:
        producer = await self._log.producer()
        for id_ in ids:
            reply = Reply(
                status="accepted",
                counts=ReplyCounts(items=1, applied=1),
                data=[{"answers": str(id_)}],
                effective_at=AT,
                expected_live_at=AT,
                trace_id="t",
            )
            headers = (("ce_correlationid", str(id_).encode()),)
            await producer.send([Out(catalog.REPLIES, b"acme", codec.encode(reply), headers)])
        await producer.close()


async def test_each_call_gets_its_own_reply_whatever_their_order(log: Log) -> None:
    control = Answerer(log)
    async with opened(log, source="/tests") as client:
        item = AudienceCreate(name="vip", kind="list", id_type="kuid")
        calls = [
            asyncio.create_task(client.call("acme", "audiences.create", [item], id_=f"c-{number}"))
            for number in range(5)
        ]
        sent = await control.commands(5)
        await control.answer("somebody-elses", *(command["id"] for command in reversed(sent)))
        assert [(await call).data for call in calls] == [[{"answers": f"c-{number}"}] for number in range(5)]

    assert sent[0]["data"] == {"items": [{"name": "vip", "kind": "list", "id_type": "kuid"}]}
    assert (sent[0]["source"], sent[0]["spaceid"], sent[0]["type"]) == ("/tests", "acme", "audiences.create")


async def test_no_reply_is_said_and_the_same_id_may_be_sent_again(log: Log) -> None:
    control = Answerer(log)
    async with opened(log) as client:
        with pytest.raises(NoReply, match=r"audiences\.create c-1"):
            await client.call("acme", "audiences.create", [{"name": "vip"}], id_="c-1", timeout_seconds=0.05)
        await control.answer("c-1")
        again = await client.call("acme", "audiences.create", [{"name": "vip"}], id_="c-1")
    assert again.data == [{"answers": "c-1"}]


async def test_only_awaited_replies_are_kept(log: Log) -> None:
    control = Answerer(log)
    async with opened(log) as client:
        await client.publish("acme", "audiences.create", {"items": [{}]}, id_="c-1")
        await control.answer(*(f"other-{number}" for number in range(100)), "c-1")
        await client.reply("c-1")
        assert client._replies == {}


async def test_a_missing_topic_is_named() -> None:
    async with MemoryBroker().connect("client") as empty:
        with pytest.raises(TopicMissing, match=catalog.REPLIES):
            await Client.open(empty)


async def _publish_change(log: Log, id_: str, change: Literal["entered", "exited"], *members: str, space: str = "acme",
                          type_: str | None = None) -> None:  # fmt: skip
    value = Change(
        space_id=space,
        audience_id="aud_1",
        change=change,
        member_type="identity",
        id_type="kuid",
        at=AT,
        members=list(members),
        step=7,
        cause=Cause("import", "imp_1"),
    )
    headers = codec.event_headers(
        id=id_, source="/usher/membership", type=type_ or f"audience.{change}", space_id=space, time=AT
    )
    producer = await log.producer()
    await producer.send([Out(catalog.CHANGES, None, codec.encode(value), headers, 0)])
    await producer.close()


async def _read(changes: AsyncGenerator[MemberChange], count: int) -> list[MemberChange]:
    read: list[MemberChange] = []
    async with asyncio.timeout(5), aclosing(changes):
        async for change in changes:
            read.append(change)
            if len(read) == count:
                break
    return read


async def test_changes_come_one_identity_at_a_time_without_snapshots_and_other_spaces(log: Log) -> None:
    await _publish_change(log, "a", "entered", "u1", "u2")
    await _publish_change(log, "b", "entered", "u9", space="other")
    await _publish_change(log, "c", "entered", "u8", type_="audience.snapshot")
    await _publish_change(log, "d", "exited", "u1")
    async with opened(log) as client:
        read = await _read(client.changes(space="acme", from_beginning=True), 3)
    assert [(one.change, one.member, one.change_id, one.number) for one in read] == [
        ("entered", "u1", "a", 0),
        ("entered", "u2", "a", 1),
        ("exited", "u1", "d", 0),
    ]
    assert [one.record_ends for one in read] == [False, True, True]
    assert read[0].cause == Cause("import", "imp_1")


async def test_reading_goes_on_where_it_stopped(log: Log) -> None:
    for number in range(4):
        await _publish_change(log, f"c{number}", "entered", f"u{number}")
    async with opened(log) as client:
        first = await _read(client.changes(from_beginning=True), 2)
        rest = await _read(client.changes(start={first[-1].partition: first[-1].offset + 1}), 2)
    assert [one.change_id for one in first + rest] == ["c0", "c1", "c2", "c3"]
