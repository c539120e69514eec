"""Every odd key and every odd notification: the right object, or a declared code, or nothing, and always counted."""

import unicodedata

import pytest

from contracts import catalog, codec, codes
from contracts.records import Out
from tests.broker.announcing import aws, bare_array, by_sns, ceph, event_bridge, message, minio
from tests.broker.space import Space, rows
from tests.broker.system import System

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]

ODD_KEYS = [  # moto takes no line feed in a key
    "a+b",
    "a b",
    "a%2Bb",
    "a%20b",
    "100%",
    "a&b=c;d?e#f",
    unicodedata.normalize("NFC", "Müller–日本.txt"),
    unicodedata.normalize("NFD", "Müller–日本.txt"),
    "x/../../y",
    "//x",
    'quote"and\\backslash',
    "k" * 900,
]
NEVER_ROWS = ["folder/", "2026-11-23/_SUCCESS", ".hidden", "rejects/imp_1.jsonl", "2026-11-23/rejects/x"]


async def test_odd_keys_name_the_right_object(space: Space) -> None:
    await space.audiences("a")
    await space.feed("odd", mode="append", lookback_days=10)

    keys = [await space.put(f"odd/{name}", rows("a", [f"u{at}"])) for at, name in enumerate(ODD_KEYS)]

    for at, key in enumerate(keys):
        ended = await space.ended(key)
        assert (ended.state, ended.counts.entered) == ("applied", 1), ODD_KEYS[at]
    assert space.members("a") == {f"u{at}" for at in range(len(ODD_KEYS))}


async def test_what_is_never_rows_is_counted_and_left_alone(space: Space, system: System) -> None:
    await space.audiences("a")
    await space.feed("full")
    before = await system.metric("intake", "usher_notifications_total", outcome="never-rows")

    for name in NEVER_ROWS:
        await space.put(f"full/{name}", rows("a", ["x"]))
    await space.put_and_import("full/last", rows("a", ["good"]))

    assert await system.metric("intake", "usher_notifications_total", outcome="never-rows") == before + len(NEVER_ROWS)
    assert len(space.observed.imports) == 1
    assert space.members("a") == {"good"}
    assert space.letter_codes(space.name) == []


async def test_the_day_of_the_folder(space: Space) -> None:
    await space.audiences("a")
    await space.feed("incr", mode="append", lookback_days=10)

    impossible = await space.put_and_import("incr/2026-13-45/x", rows("a", ["x"]))
    expired = await space.put_and_import("incr/2020-01-01/x", rows("a", ["y"]))

    assert (impossible.state, impossible.error and impossible.error.code) == ("failed", codes.DAY_INVALID.code)
    assert (expired.state, expired.error and expired.error.code) == ("applied", codes.IMPORT_EXPIRED.code)
    assert (expired.counts.valid, expired.counts.entered) == (1, 0)
    assert space.members("a") == set()


async def test_the_longest_prefix_reads_it_and_what_no_feed_reads_is_kept(space: Space) -> None:
    await space.audiences("a")
    await space.feed("f", mode="append", lookback_days=10)
    source = {"kind": "s3", "prefix": f"{space.prefix}f/inner/"}
    await space.feed("inner", source=source, mode="append", lookback_days=10, format="tab")

    outer = await space.put_and_import("f/x", b"outer^a\n")
    inner = await space.put_and_import("f/inner/x", b"inner\ta\n")
    nowhere = await space.put("elsewhere/x", rows("a", ["x"]))

    await space.until("it is kept", lambda: space.letter_codes(nowhere.replace("/", "%2F")))
    assert space.letter_codes(space.name) == [codes.NO_FEED_FOR_OBJECT.code]
    assert (outer.feed_id != inner.feed_id, outer.counts.entered, inner.counts.entered) == (True, 1, 1)
    assert space.members("a") == {"outer", "inner"}


async def test_every_dialect_announces_and_none_twice(space: Space, system: System) -> None:
    bucket = system.quiet_bucket
    await space.audiences("a")
    await space.feed(
        "f", source={"kind": "s3", "bucket": bucket, "prefix": space.prefix}, mode="append", lookback_days=9
    )
    names = ["aws", "minio", "ceph", "bare array", "sns", "sns in sns", "event bridge", "kafka"]
    keys = {name: f"{space.prefix}{name} +%2B日" for name in names}
    etags = {name: await system.put(key, rows("a", [f"by-{name}"]), bucket=bucket) for name, key in keys.items()}

    await system.notify(
        message(aws(bucket, keys["aws"], etags["aws"])),
        minio(bucket, keys["minio"], etags["minio"]),
        ceph(bucket, keys["ceph"]),
        bare_array(bucket, keys["bare array"]),
        by_sns(message(aws(bucket, keys["sns"]))),
        by_sns(by_sns(message(aws(bucket, keys["sns in sns"])))),
        event_bridge(bucket, keys["event bridge"], etags["event bridge"]),
    )
    await publish(system, minio(bucket, keys["kafka"]).encode())

    assert {name: (await space.ended(key)).state for name, key in keys.items()} == dict.fromkeys(names, "applied")
    assert space.members("a") == {f"by-{name}" for name in names}


async def test_what_is_announced_and_not_there(space: Space, system: System) -> None:
    bucket = system.quiet_bucket
    await space.feed("f", source={"kind": "s3", "bucket": bucket, "prefix": space.prefix})
    gone, other = f"{space.prefix}gone", f"{space.prefix}other"
    await system.put(other, b"x^a\n", bucket=bucket)

    await system.notify(message(aws(bucket, gone), aws(bucket, other, "0" * 32)))

    ended = [await space.ended(key) for key in (gone, other)]
    told = [(one.state, one.error and one.error.code) for one in ended]
    assert told == [("failed", codes.OBJECT_GONE.code), ("superseded", codes.OBJECT_OVERWRITTEN.code)]


async def test_notifications_that_say_nothing_useful(space: Space, system: System) -> None:
    """Bodies by what becomes of them: ignored for a reason, or a dead letter with a code; a good one comes last."""
    await space.audiences("a")
    await space.feed("full")
    removed = aws(system.bucket, f"{space.prefix}full/x", eventName="ObjectRemoved:Delete")
    unknown = aws(system.bucket, f"{space.prefix}full/x", eventName="ObjectDreamt:Of")
    broken = aws(system.bucket, f"{space.prefix}full/x", s3={"bucket": 7})
    thousand = [aws("elsewhere", f"{number}") for number in range(1000)]
    ignored = {
        "test-event": ['{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}'],
        "event-not-created": [message(removed), message(unknown)],
        "empty-records": [message(), "[]"],
    }
    refused = {
        codes.NOTIFICATION_NOT_JSON: ["not JSON", "{", "NaN", "[" * 50_000],
        codes.NOTIFICATION_UNKNOWN_DIALECT: ["{}", '{"hello":"world"}', "7", '"text"', '{"Records":{}}'],
        codes.NOTIFICATION_RECORD_INVALID: [message(broken)],
        codes.NO_FEED_FOR_OBJECT: [message(*thousand)],
    }
    outcomes = [*ignored, *(code.code for code in refused)]
    before = {one: await system.metric("intake", "usher_notifications_total", outcome=one) for one in outcomes}

    for bodies in (*ignored.values(), *refused.values()):
        await system.notify(*bodies)
    await space.put_and_import("full/last", rows("a", ["good"]))

    expected = sorted(code.code for code, bodies in refused.items() for _ in bodies)
    await space.until("all are kept", lambda: len(space.letters) >= len(expected))
    assert sorted(space.letter_codes()) == expected
    assert all(codec.header(letter.headers, "dlq-service") == "intake" for letter in space.letters)
    counts = {one: len(bodies) for one, bodies in ignored.items()}
    counts |= {code.code: len(bodies) for code, bodies in refused.items()}
    counts[codes.NO_FEED_FOR_OBJECT.code] = len(thousand)
    after = {one: await system.metric("intake", "usher_notifications_total", outcome=one) for one in outcomes}
    assert {one: after[one] - before[one] for one in outcomes} == counts
    assert space.members("a") == {"good"}


async def test_notifications_on_a_topic_need_neither_value_nor_key_nor_text(space: Space, system: System) -> None:
    await space.audiences("a")
    await space.feed("f", source={"kind": "s3", "bucket": system.quiet_bucket, "prefix": space.prefix})
    key = f"{space.prefix}good"
    await system.put(key, rows("a", ["good"]), bucket=system.quiet_bucket)

    await publish(system, None, key=b"tombstone")
    await publish(system, b"\xff\xfe", key=None)
    await publish(system, minio(system.quiet_bucket, key).encode(), key=b"\xff\xfe")

    assert (await space.ended(key)).state == "applied"
    await space.until("both are kept", lambda: len(space.letters) >= 2)
    assert space.letter_codes() == [codes.NOTIFICATION_NOT_JSON.code] * 2
    assert {codec.header(one.headers, "dlq-topic") for one in space.letters} == {catalog.OBJECTS}


async def publish(system: System, value: bytes | None, *, key: bytes | None = b"k") -> None:
    """Writes a notification as a store that speaks Kafka would."""
    producer = await system.log.producer()
    await producer.send([Out(catalog.OBJECTS, key, value, (), 0)])
    await producer.close()
