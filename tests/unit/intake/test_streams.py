"""Topic feeds over a memory log: every event of every feed's topic reaches membership, or a dead letter, with its reason."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import pytest

from contracts import catalog, codec, codes
from contracts.catalog import TopicSpec
from contracts.messages.entities import Audience, Feed, FixedAudience, Source, Space
from contracts.records import Out, Record, TopicPartition
from services.adapters.memory import Faults, MemoryLog
from services.domain.rows import decode_events, read_stream_header
from services.intake.feed_events import FeedEvents, Followed, Resolvers
from services.intake.streams import Streams
from services.runtime.clock import SystemClock
from services.runtime.failures import Unavailable
from services.runtime.telemetry import REGISTRY
from tests.conformance.harness import eventually
from tests.unit.intake.outside import CREATED, PARTITIONS, World, audience, world

TOPIC = "shop.events"
HOME = TopicPartition(TOPIC, 0)
HASH = "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514"  # of user@example.com
UUID = "00000000-0000-4000-8000-000000000001"
Said = tuple[str, int, int, str, str, bool]
"""Topic, partition, offset, identity, audience, whether it adds."""


def topic_feed(feed_id: str = "f", *, topic: str = TOPIC, space_id: str = "acme", enabled: bool = True,
               audience_from: str | FixedAudience = "column") -> Feed:  # fmt: skip
    return Feed(
        space_id=space_id,
        feed_id=feed_id,
        name=feed_id,
        created_at=CREATED,
        updated_at=CREATED,
        source=Source(kind="topic", topic=topic),
        mode="append",
        format="json",
        id_type="kuid",
        audience_from=audience_from,
        enabled=enabled,
    )


def space(clock: str) -> Space:
    return Space(space_id="acme", name="acme", created_at=CREATED, updated_at=CREATED, clock=clock)


def event(identity: str, audience_name: str = "a", op: str = "add") -> bytes:
    return json.dumps({"id": identity, "audience": audience_name, "op": op}).encode()


def hashes(name: str) -> Audience:
    return msgspec.structs.replace(audience(name), id_type="email_sha256")


async def written(outside: World, *, feed_id: str = "f") -> list[Said]:
    """All events of a feed that membership was sent, by topic, partition and offset; repeated ones are repeated."""
    found: list[Said] = []
    for record in await outside.records(catalog.INPUT):
        assert codec.header(record.headers, "ce_type") == "stream-rows"
        header = read_stream_header(record.headers)
        batch = decode_events(record.value or b"", header)
        assert record.key == header.space_id.encode()
        assert set(batch.rows.identities.partitions(PARTITIONS).tolist()) == {record.partition}
        if header.feed_id != feed_id:
            continue
        texts, names = batch.rows.identities.texts(), batch.rows.audiences
        for at, offset in enumerate(batch.offsets.tolist()):
            said = texts[at], names[batch.rows.audience[at]], bool(batch.adds[at])
            found.append((header.topic, header.partition, offset, *said))
    return sorted(found)


def records(*values: bytes | None, first: int = 0) -> list[Record]:
    return [
        Record(TOPIC, 0, offset, 1_767_225_600_000, b"k", value, (("theirs", b"header"),))
        for offset, value in enumerate(values, start=first)
    ]


def delivery(outside: World, *, feed_id: str = "f", topic: str = TOPIC) -> FeedEvents:
    return FeedEvents(
        Followed("acme", feed_id, topic),
        outside.catalogue,
        Resolvers(outside.catalogue),
        outside.producer,
        clock=SystemClock(),
        membership_partitions=PARTITIONS,
    )


class TestABatch:
    async def test_events_go_to_the_homes_of_their_identities(self) -> None:
        async with world() as outside:
            await outside.publish(topic_feed(), audience("a"), audience("b"))
            values = [event("u1"), event(UUID, "aud_b", "remove"), event("u2", "b"), event("u1", op="remove")]
            await delivery(outside).handle(HOME, records(*values, first=7))
            assert await written(outside) == [
                (TOPIC, 0, 7, "u1", "aud_a", True),
                (TOPIC, 0, 8, UUID, "aud_b", False),
                (TOPIC, 0, 9, "u2", "aud_b", True),
                (TOPIC, 0, 10, "u1", "aud_a", False),
            ]
            assert await outside.dead_letters() == []

    async def test_a_bad_event_goes_to_dead_letters_and_its_neighbours_go_on(self) -> None:
        async with world() as outside:
            await outside.publish(topic_feed(), audience("a"))
            values = [event("u1"), b"?", event("u2", "nobody"), event(" "), event("u3")]
            await delivery(outside).handle(HOME, records(*values))
            assert [offset for _, _, offset, *_ in await written(outside)] == [0, 4]
            letters = await outside.dead_letters()
            assert {(one["dlq-code"], one["dlq-topic"], one["dlq-offset"], one["value"]) for one in letters} == {
                (codes.EVENT_INVALID.code, TOPIC, "1", "?"),
                (codes.ROW_AUDIENCE_UNKNOWN.code, TOPIC, "2", values[2].decode()),
                (codes.ROW_IDENTIFIER_EMPTY.code, TOPIC, "3", values[3].decode()),
            }
            assert all("feed f of space acme: " in (one["dlq-detail"] or "") for one in letters)

    async def test_a_feed_that_names_its_audience(self) -> None:
        async with world() as outside:
            fixed = topic_feed(audience_from=FixedAudience(audience="aud_a"))
            await outside.publish(fixed, audience("a"), audience("b"))
            await delivery(outside).handle(HOME, records(b'{"id":"u1","op":"add"}', event("u2", "b")))
            assert [said[-2] for said in await written(outside)] == ["aud_a", "aud_a"]

    async def test_raw_identifiers_become_hashes(self) -> None:
        async with world() as outside:
            await outside.publish(msgspec.structs.replace(topic_feed(), id_type="email"), audience("a"), hashes("h"))
            values = [event(" User@Example.com", "h"), event("nobody", "h"), event("user@example.com", "a")]
            await delivery(outside).handle(HOME, records(*values))
            (record,) = await outside.records(catalog.INPUT)
            assert read_stream_header(record.headers).id_type == "email_sha256"
            assert [said[3:5] for said in await written(outside)] == [(HASH, "aud_h")]
            letters = await outside.dead_letters()
            assert [one["dlq-code"] for one in letters] == [
                codes.ROW_IDENTIFIER_INVALID.code, codes.ROW_AUDIENCE_UNKNOWN.code,
            ]  # fmt: skip

    async def test_an_audience_that_is_made_before_its_event_is_known(self) -> None:
        async with world() as outside:
            await outside.publish(topic_feed(), audience("a"))
            made = delivery(outside)
            await made.handle(HOME, records(event("u1")))
            for name in "bcd":
                await outside.publish(audience(name))
                await made.handle(HOME, records(event("u1", name), first=1))
            assert await outside.dead_letters() == []

    @pytest.mark.parametrize(("clock", "is_said"), [("system", True), ("manual", False)])
    async def test_the_time_is_told_where_the_space_keeps_system_time(self, clock: str, is_said: bool) -> None:
        async with world() as outside:
            await outside.publish(space(clock), topic_feed(), audience("a"))
            before_ms = SystemClock().now_ms()
            await delivery(outside).handle(HOME, records(event("u1")))
            (record,) = await outside.records(catalog.INPUT)
            at_ms = read_stream_header(record.headers).at_ms
            assert (at_ms is not None and before_ms <= at_ms <= SystemClock().now_ms()) == is_said

    @pytest.mark.parametrize("feeds", [[], [topic_feed(enabled=False)], [topic_feed(topic="another")]])
    async def test_of_a_feed_that_reads_it_no_more_nothing_is_done(self, feeds: Sequence[Feed]) -> None:
        async with world() as outside:
            await outside.publish(*feeds, audience("a"))
            with pytest.raises(Unavailable, match="no more"):
                await delivery(outside).handle(HOME, records(event("u1")))
            assert await written(outside) == []


def missing() -> float:
    """How often a topic was looked for in vain."""
    return REGISTRY.get_sample_value("usher_stream_topics_missing_total") or 0.0


@dataclass
class Following:
    """Streams at work."""

    outside: World
    log: MemoryLog
    task: asyncio.Task[None]
    stopping: asyncio.Event

    async def make_topic(self, name: str = TOPIC, partitions: int = 2) -> None:
        spec = TopicSpec(name=name, partitions=partitions, cleanup="delete", retention_ms=-1, max_message_bytes=1 << 20)
        await self.log.ensure_topic(spec)

    async def send(self, *identities: str, topic: str = TOPIC, partition: int = 0) -> None:
        producer = await self.outside.broker.connect("shop").producer()
        await producer.send([Out(topic, None, event(one), (), partition) for one in identities])

    async def until(self, expected: Sequence[str], *, feed_id: str = "f") -> None:
        """Just these identities were sent to membership for the feed, in any order."""
        async with asyncio.timeout(20):
            while (found := sorted(said[3] for said in await written(self.outside, feed_id=feed_id))) != expected:
                assert len(found) <= len(expected), found
                await asyncio.sleep(0.005)


@asynccontextmanager
async def following(*, faults: Faults | None = None, name: str = "intake") -> AsyncIterator[Following]:
    async with world(faults=faults) as outside:
        stopping = asyncio.Event()
        log = outside.broker.connect(f"{name}-others")
        streams = Streams(
            log,
            outside.catalogue,
            outside.producer,
            clock=SystemClock(),
            health=outside.health,
            membership_partitions=PARTITIONS,
            group_prefix="usher.intake-stream",
            instance_id="pod-1",
        )
        task = asyncio.create_task(streams.run(stopping))
        try:
            yield Following(outside, log, task, stopping)
        finally:
            stopping.set()
            async with asyncio.timeout(20):
                await task


class TestFollowing:
    async def test_a_new_feed_is_told_all_that_its_topic_holds_and_what_comes(self) -> None:
        async with following() as at:
            await at.make_topic()
            await at.send("u1", "u2")
            await at.send("u3", partition=1)
            await at.outside.publish(audience("a"), topic_feed())
            await at.until(["u1", "u2", "u3"])
            await at.send("u4")
            await at.until(["u1", "u2", "u3", "u4"])
            assert at.outside.health.not_alive() == []
            assert at.outside.health.not_ready() == []

    async def test_a_topic_may_be_made_after_its_feed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("services.intake.streams._LOOK_AGAIN_SECONDS", 0.01)
        async with following() as at:
            looked = missing()
            await at.outside.publish(audience("a"), topic_feed())
            await eventually(lambda: missing() > looked + 1, "it is looked for again")
            assert TOPIC not in await at.log.topics()
            await at.make_topic()
            await at.send("u1")
            await at.until(["u1"])

    async def test_each_feed_reads_for_itself(self) -> None:
        async with following() as at:
            await at.make_topic()
            others = audience("a", space_id="other")
            await at.outside.publish(audience("a"), topic_feed(), others, topic_feed("g", space_id="other"))
            await at.send("u1")
            await at.until(["u1"])
            await at.until(["u1"], feed_id="g")

    async def test_a_disabled_feed_goes_on_where_it_stood_when_it_is_enabled(self) -> None:
        async with following() as at:
            await at.make_topic()
            await at.outside.publish(audience("a"), topic_feed(), topic_feed("g"))
            await at.send("u1")
            await at.until(["u1"])
            await at.outside.publish(topic_feed(enabled=False))
            await at.send("u2")
            await at.until(["u1", "u2"], feed_id="g")
            await at.until(["u1"])
            await at.outside.publish(topic_feed())
            await at.until(["u1", "u2"])

    async def test_a_feed_may_change_to_another_topic_and_back(self) -> None:
        async with following() as at:
            await at.make_topic()
            await at.make_topic("shop.more")
            await at.outside.publish(audience("a"), topic_feed())
            await at.send("u1")
            await at.until(["u1"])
            await at.outside.publish(topic_feed(topic="shop.more"))
            await at.send("u2", topic="shop.more")
            await at.until(["u1", "u2"])
            await at.outside.publish(topic_feed())
            await at.send("u3")
            await at.until(["u1", "u2", "u3"])

    async def test_what_retention_has_taken_is_passed_over(self) -> None:
        async with following() as at:
            await at.make_topic()
            await at.outside.publish(audience("a"), topic_feed())
            await at.send("u1")
            await at.until(["u1"])
            await at.outside.publish(topic_feed(enabled=False))
            await eventually(lambda: not at.log.members[-1].assigned(), "the group is left")
            await at.send("u2", "u3")
            await at.log.delete_records({HOME: 2})
            await at.outside.publish(topic_feed())
            await at.until(["u1", "u3"])

    async def test_a_topic_that_was_made_anew_stalls_its_feed_and_no_other(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("services.intake.streams._STALLED_SECONDS", 0.01)
        async with following() as at:
            await at.make_topic()
            at.log._cluster.committed["usher.intake-stream.acme.f"] = {HOME: 9}
            await at.outside.publish(audience("a"), topic_feed(), topic_feed("g"))
            await at.send("u1", "u2")
            await at.until(["u1", "u2"], feed_id="g")
            await at.until([])
            assert not at.task.done()

    async def test_a_restart_goes_on_where_the_group_stood(self) -> None:
        async with following() as at:
            await at.make_topic()
            await at.outside.publish(audience("a"), topic_feed())
            await at.send("u1")
            await at.until(["u1"])
            at.stopping.set()
            await at.task
            await at.send("u2")
            again = Streams(
                at.outside.broker.connect("intake-again"),
                at.outside.catalogue,
                at.outside.producer,
                clock=SystemClock(),
                health=at.outside.health,
                membership_partitions=PARTITIONS,
                group_prefix="usher.intake-stream",
                instance_id="pod-1",
            )
            stopping = asyncio.Event()
            task = asyncio.create_task(again.run(stopping))
            await at.until(["u1", "u2"])
            stopping.set()
            await task
