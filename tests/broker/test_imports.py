"""What is promised of files: never lost, never doubled, never half, and nothing later is undone by them."""

import asyncio
import time
from functools import partial

import pytest

from contracts import codes
from contracts.partitioning import member_partition
from services.tools.receiver import Receiver
from tests.broker.announcing import aws, message
from tests.broker.space import Space, named, rows
from tests.broker.system import PARTITIONS, SECRET_REFERENCE, System, eventually

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]


async def test_a_file_uploaded_right_after_its_feed_was_made_is_never_lost(space: Space) -> None:
    keys: list[str] = []
    for number in range(10):
        await space.audiences(f"a{number}")
        await space.feed(f"f{number}", mode="append", lookback_days=10)
        keys.append(await space.put(f"f{number}/file", rows(f"a{number}", range(3))))
        await space.send("members.add", {"audience": f"a{number}", "identifiers": ["later"]})

    ended = [await space.ended(key) for key in keys]

    assert [(one.state, one.counts.valid, one.counts.rejected) for one in ended] == [("applied", 3, 0)] * 10
    assert [space.members(f"a{number}") for number in range(10)] == [{*named(range(3)), "later"}] * 10
    assert space.letter_codes(space.name) == []


async def test_a_full_refresh_whose_rows_fall_into_one_partition_empties_the_others(space: Space) -> None:
    everybody = sorted(named(range(100)))
    at_home = [one for one in everybody if member_partition(one, PARTITIONS["membership"]) == 1]
    assert len({member_partition(one, PARTITIONS["membership"]) for one in everybody}) == PARTITIONS["membership"]
    await space.audiences("a", "b")
    await space.feed("full")
    await space.put_and_import("full/1", rows("a", everybody) + rows("b", everybody))

    ended = await space.put_and_import("full/2", rows("a", at_home))

    assert (ended.state, ended.counts.exited) == ("applied", 100 - len(at_home))
    assert space.members("a") == set(at_home)
    assert space.members("b") == set(everybody)  # the second file does not name it


async def test_a_remove_sent_while_a_file_is_read_is_not_undone_by_it(space: Space, system: System) -> None:
    await space.audiences("a")
    await space.feed("full")
    await space.send("members.add", {"audience": "a", "identifiers": ["u000001"]})
    await space.until("the member is there", lambda: space.members("a") == {"u000001"})
    system.freeze("membership")  # so that the reading can't end before the command is in
    try:
        key = await space.put("full/1", rows("a", range(1000)))
        await space.until("it is read", lambda: any(one.state == "reading" for one in space.imports(key)))
        (removed,) = await space.send("members.remove", {"audience": "a", "identifiers": ["u000001", "u000002"]})
    finally:
        system.thaw("membership")

    ended = await space.ended(key)

    assert (await space.import_ended(removed["import_id"])).state == "applied"
    assert (ended.state, ended.counts.valid) == ("applied", 1000)
    assert space.members("a") == named(range(1000)) - {"u000001", "u000002"}
    told = [change.change for _, change in space.changes if "u000001" in change.members]
    assert told == ["entered", "exited"]
    assert not any("u000002" in change.members for _, change in space.changes)


async def test_an_object_announced_again_is_a_duplicate(space: Space, system: System) -> None:
    await space.audiences("a")
    await space.feed("full")
    key = await space.put("full/1", rows("a", range(10)))
    first = await space.ended(key)
    assert first.object is not None
    await space.put_and_import("full/2", rows("a", range(20)))

    again = aws(system.bucket, key, first.object.etag)
    await system.notify(message(again), message(again, again))

    found = await space.all_ended(key, 4)
    assert [one.state for one in found] == ["applied", *["duplicate"] * 3]
    assert {one.error.code for one in found[1:] if one.error} == {codes.OBJECT_DUPLICATE.code}
    assert space.members("a") == named(range(20))


async def test_a_multipart_upload_that_the_store_announces_twice_is_imported_once(space: Space, system: System) -> None:
    await space.audiences("a")
    await space.feed("full")
    where = {"Bucket": system.bucket, "Key": f"{space.prefix}full/parts"}

    def upload() -> None:
        upload_id = system.s3.create_multipart_upload(**where)["UploadId"]
        part = system.s3.upload_part(**where, UploadId=upload_id, PartNumber=1, Body=rows("a", range(10)))
        parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
        system.s3.complete_multipart_upload(**where, UploadId=upload_id, MultipartUpload=parts)

    await asyncio.to_thread(upload)

    found = await space.all_ended(where["Key"], 2)
    assert sorted(one.state for one in found) in (["applied", "duplicate"], ["applied", "superseded"])
    assert space.members("a") == named(range(10))


@pytest.mark.parametrize("waiting_for", ["intake", "control"])
async def test_what_was_overwritten_while_it_waited_is_superseded(
    space: Space, system: System, waiting_for: str
) -> None:
    """By intake it is still to be announced, by control it is announced and not yet asked for."""
    await space.audiences("a")
    await space.feed("full")
    announced = await system.metric("intake", "usher_notifications_total", outcome="announced")

    async def is_announced() -> bool:
        return await system.metric("intake", "usher_notifications_total", outcome="announced") > announced

    system.freeze(waiting_for)
    try:
        key = await space.put("full/1", rows("a", range(10)))
        if waiting_for == "control":
            await eventually("it is announced", is_announced)
        await space.put("full/1", rows("a", range(5, 25)))
    finally:
        system.thaw(waiting_for)

    first, second = await space.all_ended(key, 2)

    assert (first.state, first.error and first.error.code) == ("superseded", codes.OBJECT_OVERWRITTEN.code)
    assert second.state == "applied"
    assert space.members("a") == named(range(5, 25))
    assert not any(named(range(5)) & {*change.members} for _, change in space.changes)


async def test_notifications_out_of_order_leave_the_newest_content(space: Space, system: System) -> None:
    await space.audiences("a")
    source = {"kind": "s3", "bucket": system.quiet_bucket, "prefix": space.prefix}
    await space.feed("full", source=source)
    key = f"{space.prefix}file"
    old, new = [await system.put(key, rows("a", range(n)), bucket=system.quiet_bucket) for n in (30, 20)]

    await system.notify(message(aws(system.quiet_bucket, key, new), aws(system.quiet_bucket, key, old)))

    newer, older = await space.all_ended(key, 2)
    assert newer.state == "applied"
    assert (older.state, older.error and older.error.code) == ("superseded", codes.OBJECT_OVERWRITTEN.code)
    assert space.members("a") == named(range(20))


async def test_earlier_content_that_comes_again_is_a_new_version(space: Space) -> None:
    await space.audiences("a")
    await space.feed("full")
    contents = [rows("a", range(10)), rows("a", range(5, 15))]
    for number in (0, 1, 0):
        key = await space.put("full/1", contents[number])
        second = int(time.time())
        await space.all_ended(key, len(space.imports(key)) + 1)
        # S3 tells versions of the same content apart by the second.
        await space.until("the next second", partial(lambda before: int(time.time()) > before, second))

    assert [one.state for one in space.imports(key)] == ["applied"] * 3
    assert space.members("a") == named(range(10))


async def test_an_older_full_refresh_never_takes_the_place_of_a_newer_one(space: Space) -> None:
    await space.audiences("a")
    await space.feed("full")

    newer = await space.put_and_import("full/2026-11-22/newer", rows("a", range(10)))
    older = await space.put_and_import("full/2026-11-21/older", rows("a", range(20)))

    assert newer.state == "applied"
    assert (older.state, older.error and older.error.code) == ("superseded", codes.IMPORT_SUPERSEDED.code)
    assert space.members("a") == named(range(10))


async def test_two_full_refreshes_at_once_are_never_mixed(space: Space) -> None:
    await space.audiences("a")
    await space.feed("full")
    files = {"1": range(500), "2": range(400, 1000)}

    keys = await asyncio.gather(*(space.put(f"full/{name}", rows("a", those)) for name, those in files.items()))

    ended = {key.rsplit("/", 1)[1]: await space.ended(key) for key in keys}
    await space.catch_up()
    left = [name for name, one in ended.items() if one.state == "applied"]
    assert {one.state for one in ended.values()} <= {"applied", "superseded"}
    assert space.members("a") in [named(files[name]) for name in left]


async def test_who_comes_and_goes_reaches_the_destination_in_that_order(
    space: Space, receiver: tuple[Receiver, str]
) -> None:
    got, url = receiver
    await space.audiences("a")
    await space.destination("d", url, secrets={"signing": SECRET_REFERENCE})
    await space.send("activations.create", {"name": "x", "audience": "a", "destination": "d"})
    for number in range(20):
        operation = "members.remove" if number % 2 else "members.add"
        await space.send(operation, {"audience": "a", "identifiers": ["u1", f"n{number}"]})

    await space.until("all is delivered", lambda: space.delivered("x", changes=30))

    activation = space.observed.id_of("activation", "x")
    assert set(got.received.members(activation)) == space.members("a") == {f"n{n}" for n in range(0, 20, 2)}
    assert got.received.counters["stale"] == 0
