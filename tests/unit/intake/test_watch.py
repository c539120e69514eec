"""Every notification ends in announcements, in dead letters, or counted and ignored; then it is acknowledged."""

import asyncio
from urllib.parse import quote_plus

import pytest

from contracts import codes
from contracts.codes import Code
from contracts.messages.entities import Feed
from contracts.messages.intake import ObjectAnnounced, ObjectVersion
from contracts.records import TopicPartition
from services.intake.announcing import Announcer
from services.intake.watch import QueueWatch, TopicWatch
from services.runtime.clock import SystemClock
from services.runtime.failures import Unavailable
from tests.conformance.harness import eventually
from tests.unit.intake.outside import (
    BUCKET,
    PARTITIONS,
    PUT_MS,
    MemoryQueue,
    World,
    aws_record,
    feed,
    notification,
    notified,
    world,
)

EVENT_MS = 1_767_225_605_123
THEIRS = TopicPartition("their.topic", 1)
TEST_EVENT = b'{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-01-01T00:00:00.000Z","Bucket":"drops"}'


def announcer(outside: World) -> Announcer:
    return Announcer(outside.catalogue, outside.objects, default_bucket=BUCKET, control_partitions=PARTITIONS)


async def watched(outside: World, *bodies: bytes | None) -> list[ObjectAnnounced]:
    """Handles one batch of records, and says what was announced."""
    watch = TopicWatch(announcer(outside), outside.producer)
    await watch.handle(THEIRS, [notified(body, offset) for offset, body in enumerate(bodies)])
    found = await outside.said()
    announced = [event for event in found if isinstance(event, ObjectAnnounced)]
    assert len(announced) == len(found)
    return announced


async def test_an_object_is_announced_in_its_exact_version() -> None:
    async with world() as outside:
        await outside.publish(feed("f", "in/"))
        version = outside.objects.put("in/2026-01-01/file", b"u1^a\n")
        (said,) = await watched(outside, notification(aws_record(version)))
        assert said == ObjectAnnounced(
            space_id="acme", feed_id="f", object=version, event_time_ms=EVENT_MS, sequencer="0A"
        )
        assert await outside.dead_letters() == []


async def test_what_was_put_again_later_is_as_new_as_the_store_says() -> None:
    async with world() as outside:
        await outside.publish(feed("f", "in/"))
        version = outside.objects.put("in/file", b"u1^a\n", at_ms=EVENT_MS + 60_000)
        (said,) = await watched(outside, notification(aws_record(version)))
        assert said.event_time_ms == EVENT_MS + 60_000


@pytest.mark.parametrize(
    ("prefixes", "key", "expected"),
    [
        ({"outer": "in/", "inner": "in/inner/"}, "in/inner/file", ["inner"]),
        ({"outer": "in/", "inner": "in/inner/"}, "in/file", ["outer"]),
        ({"all": ""}, "anything", ["all"]),
        ({"text": "in/pre"}, "in/prefix/file", ["text"]),
    ],
)
async def test_the_longest_prefix_reads_it(prefixes: dict[str, str], key: str, expected: list[str]) -> None:
    async with world() as outside:
        await outside.publish(*(feed(name, prefix) for name, prefix in prefixes.items()))
        said = await watched(outside, notification(aws_record(outside.objects.put(key, b"x"))))
        assert [one.feed_id for one in said] == expected


async def test_each_space_has_its_own_feed() -> None:
    async with world() as outside:
        await outside.publish(feed("f1", "in/"), feed("f2", "in/a/", space_id="other"), feed("f3", "no/", space_id="x"))
        said = await watched(outside, notification(aws_record(outside.objects.put("in/a/file", b"x"))))
        assert {(one.space_id, one.feed_id) for one in said} == {("acme", "f1"), ("other", "f2")}


@pytest.mark.parametrize("prefix", ["in/", "", "in%2F"])
@pytest.mark.parametrize("source", ["aws:s3", "ceph:s3"])
@pytest.mark.parametrize("key", ["in/", "in/2026-01-01/_SUCCESS", "in/rejects/imp_1.jsonl", "in/.hidden"])
async def test_what_is_never_rows_is_ignored(key: str, source: str, prefix: str) -> None:
    """However the store writes the key: moto encodes slashes, and nobody knows what Ceph encodes."""
    async with world() as outside:
        await outside.publish(feed("f", prefix))
        version = outside.objects.put(key, b"x")
        records = [aws_record(version, key=form) | {"eventSource": source} for form in (key, quote_plus(key))]
        assert await watched(outside, notification(*records)) == []
        assert await outside.dead_letters() == []


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("in/2026-01-01/_SUCCESS", ["f"]),
        ("in/2026-01-01/part", ["f", "g"]),
        ("in/rejects/_SUCCESS", []),
        ("in/2026-01-01/_STARTED", []),
        ("in/2026-01-01/_SUCCESS/part", ["f", "g"]),
    ],
)
async def test_a_marker_is_announced_to_the_feeds_that_wait_for_it(key: str, expected: list[str]) -> None:
    async with world() as outside:
        await outside.publish(feed("f", "in/", marker="_SUCCESS"), feed("g", "in/", space_id="other"))
        said = await watched(outside, notification(aws_record(outside.objects.put(key, b""))))
        assert [one.feed_id for one in said] == expected
        assert await outside.dead_letters() == []


@pytest.mark.parametrize(
    "body",
    [
        TEST_EVENT,
        b'{"Records":[]}',
        b"[]",
        notification(aws_record(ObjectVersion(bucket=BUCKET, key="in/file"), name="ObjectRemoved:Delete")),
    ],
)
async def test_what_means_nothing_is_ignored(body: bytes) -> None:
    async with world() as outside:
        await outside.publish(feed("f", "in/"))
        assert await watched(outside, body) == []
        assert await outside.dead_letters() == []


@pytest.mark.parametrize(
    "key", ["in/a b", "in/a+b", "in/a%2Bb", "in/ü", "in/u\u0308", "in/100%", "in/../file", "/in/x"]
)
@pytest.mark.parametrize("encoded", [True, False])
async def test_keys_mean_what_the_store_has(key: str, *, encoded: bool) -> None:
    """AWS encodes; imitators say that they are AWS and don't. The store decides, and only on a 404."""
    async with world() as outside:
        await outside.publish(feed("f", ""))
        version = outside.objects.put(key, b"x")
        (said,) = await watched(outside, notification(aws_record(version, key=None if encoded else key)))
        assert (said.object, said.code) == (version, None)


async def test_the_likelier_key_wins_where_both_are_there() -> None:
    async with world() as outside:
        await outside.publish(feed("f", ""))
        decoded, _ = outside.objects.put("in/a b", b"x"), outside.objects.put("in/a+b", b"x")
        (said,) = await watched(outside, notification(aws_record(decoded)))
        assert said.object == decoded


@pytest.mark.parametrize("code", [codes.OBJECT_GONE, codes.OBJECT_OVERWRITTEN, codes.OBJECT_ACCESS_DENIED])
async def test_what_cannot_be_read_is_announced_with_the_reason(code: Code) -> None:
    async with world() as outside:
        await outside.publish(feed("f", "in/"))
        version = outside.objects.put("in/a+b", b"x")
        outside.objects.refused |= {"in/a+b": code, "in/a b": codes.OBJECT_GONE}
        (said,) = await watched(outside, notification(aws_record(version)))
        assert said.code == code.code
        assert (said.object.key, said.object.etag, said.event_time_ms) == ("in/a+b", version.etag, EVENT_MS)
        assert await outside.dead_letters() == []


async def test_overwritten_content() -> None:
    async with world() as outside:
        await outside.publish(feed("f", "in/"))
        first = outside.objects.put("in/file", b"first")
        outside.objects.put("in/file", b"second")
        (said,) = await watched(outside, notification(aws_record(first)))
        assert said.code == "object-overwritten"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "notification-not-json"),
        (b"", "notification-not-json"),
        (None, "notification-not-json"),
        (b"\xff", "notification-not-json"),
        (b'{"hello":"world"}', "notification-unknown-dialect"),
        (b'{"Records":[{"eventName":"ObjectCreated:Put","eventVersion":"2.1"}]}', "notification-record-invalid"),
    ],
)
async def test_unreadable(body: bytes | None, code: str) -> None:
    async with world() as outside:
        await outside.publish(feed("f", "in/"))
        good = notification(aws_record(outside.objects.put("in/file", b"x")))
        assert len(await watched(outside, good, body, good)) == 2
        (letter,) = await outside.dead_letters()
        assert (letter["dlq-code"], letter["dlq-topic"], letter["dlq-offset"]) == (code, "their.topic", "1")
        assert letter["value"] == (body or b"").decode(errors="replace")


@pytest.mark.parametrize(
    "feeds",
    [
        [],
        [feed("f", "elsewhere/")],
        [feed("f", "in/", enabled=False)],
        [feed("f", "in/", bucket="another")],
    ],
)
async def test_no_feed(feeds: list[Feed]) -> None:
    async with world() as outside:
        await outside.publish(*feeds)
        assert await watched(outside, notification(aws_record(outside.objects.put("in/file", b"x")))) == []
        (letter,) = await outside.dead_letters()
        assert (letter["dlq-code"], letter["dlq-service"]) == ("no-feed-for-object", "intake")
        assert "in/file" not in str(letter["dlq-detail"])


async def test_good_among_bad_and_one_letter_a_code() -> None:
    async with world() as outside:
        await outside.publish(feed("f", "in/"))
        records = [aws_record(outside.objects.put(key, b"x")) for key in ("in/1", "no/1", "in/2", "no/2", "in/_x")]
        said = await watched(outside, notification(*records, {"eventName": 5}, {"eventName": 6}))
        assert [one.object.key for one in said] == ["in/1", "in/2"]
        letters = {letter["dlq-code"]: letter["dlq-detail"] for letter in await outside.dead_letters()}
        assert set(letters) == {"no-feed-for-object", "notification-record-invalid"}
        assert all(str(detail).startswith("2 of 7 records: ") for detail in letters.values())


async def test_nothing_is_written_while_the_store_is_down() -> None:
    async with world() as outside:
        await outside.publish(feed("f", "in/"))
        bodies = [notification(aws_record(outside.objects.put(f"in/{n}", b"x"))) for n in range(3)]
        outside.objects.outages = 1
        with pytest.raises(Unavailable):
            await watched(outside, b"{", *bodies)
        assert await outside.said() == []
        assert await outside.dead_letters() == []
        assert len(await watched(outside, b"{", *bodies)) == 3


async def test_a_feed_that_was_just_created_is_known() -> None:
    """However far behind the view is when the notification arrives."""
    async with world() as outside:
        await outside.catalogue.caught_up()
        await outside.publish(*(feed(f"f{n}", f"no/{n}/") for n in range(500)), feed("f", "in/"))
        assert len(await watched(outside, notification(aws_record(outside.objects.put("in/file", b"x"))))) == 1


async def test_a_queue_is_acknowledged_when_all_is_durable() -> None:
    async with world() as outside:
        await outside.publish(feed("f", "in/"))
        queue, stopping = MemoryQueue(), asyncio.Event()
        watch = QueueWatch(
            queue,
            "http://sqs/q",
            announcer(outside),
            outside.producer,
            clock=SystemClock(),
            health=outside.health,
            random=lambda: 0.0,
        )
        good, bad = (notification(aws_record(outside.objects.put(f"{folder}/1", b"x"))) for folder in ("in", "no"))
        outside.objects.outages = 2
        receipts = [queue.put(body) for body in (good, TEST_EVENT, bad, b"{")]
        running = asyncio.create_task(watch.run(stopping))
        await eventually(lambda: queue.settled == receipts, "all are done")
        stopping.set()
        await running
        assert queue.seen[:8] == receipts * 2, "what was not done came again"
        assert [one.feed_id for one in await outside.said() if isinstance(one, ObjectAnnounced)] == ["f"]
        letters = {(one["dlq-code"], one["dlq-topic"], one["dlq-offset"]) for one in await outside.dead_letters()}
        assert letters == {
            ("no-feed-for-object", "http://sqs/q", "m3"),
            ("notification-not-json", "http://sqs/q", "m4"),
        }


async def test_event_time_falls_back_to_what_is_known() -> None:
    async with world() as outside:
        await outside.publish(feed("f", "in/"))
        version = outside.objects.put("in/file", b"x")
        record = aws_record(version)
        del record["eventTime"]
        (said,) = await watched(outside, notification(record))
        assert said.event_time_ms == PUT_MS
        outside.objects.present.clear()
        said = (await watched(outside, notification(record)))[-1]
        assert (said.code, said.event_time_ms) == ("object-gone", PUT_MS + 7), "when the record was written"
