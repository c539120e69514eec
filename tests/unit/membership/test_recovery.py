"""What is wrong with a checkpoint or with the log behind it: the one before is used, or the worker says what to do."""

from collections.abc import Callable

import msgspec
import pytest
from structlog.testing import capture_logs

from contracts import codes
from contracts.catalog import INPUT
from contracts.records import TopicPartition
from services.domain.membership.checkpoint import take
from services.domain.membership.checkpoint.manifest import FOLD_RULES
from services.membership import loading
from services.membership.checkpoint_store import MANIFEST
from services.membership.service import GROUP
from services.runtime.failures import Rejected, Unavailable
from tests.unit.membership.state import ALWAYS, BUCKET, NEVER, Everything, Feeding, events, everything
from tests.unit.membership.test_checkpoints import eventually_committed
from tests.unit.membership.test_service import PARTITIONS, feed, lived, topics

WORLD = lived(6)


@pytest.fixture(autouse=True)
def small_blobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each checkpoint has a dozen of them."""
    monkeypatch.setattr(take, "BLOB_BYTES", 700)


async def stopped_at(*shares: float) -> tuple[Everything, Feeding]:
    """Processes that stopped in order when such a share of the log was folded; all of it is there afterwards."""
    made = await everything(WORLD, feed_all=False)
    feeding = Feeding(made.log, WORLD)
    for share in shares:
        await feeding.some(share)
        running = made.start(pace=NEVER)
        await eventually_committed(made, feeding)
        await running.stop()
    await feeding.some(1.0)
    return made, feeding


def flip(made: Everything, key: str) -> None:
    body = bytearray(made.objects.body(BUCKET, key))
    body[len(body) // 2] ^= 4
    made.objects.put(BUCKET, key, bytes(body))


def truncate(made: Everything, key: str) -> None:
    made.objects.put(BUCKET, key, made.objects.body(BUCKET, key)[:-1])


def remove(made: Everything, key: str) -> None:
    made.objects.delete(BUCKET, key)


def empty(made: Everything, key: str) -> None:
    made.objects.put(BUCKET, key, b"")


Spoil = Callable[[Everything, str], None]


@pytest.mark.parametrize("which", [MANIFEST, "index.json", "data-00000", "data-00003"])
@pytest.mark.parametrize("spoil", [flip, truncate, remove, empty])
async def test_where_the_newest_is_damaged_the_one_before_is_used(spoil: Spoil, which: str) -> None:
    made, _ = await stopped_at(0.5, 0.8)
    before, newest = made.offsets(0)
    key = next(key for key in made.keys(0, newest) if key.endswith(which))
    spoil(made, key)
    told = await made.live(WORLD)
    restored = {line["partition"]: line["offset"] for line in events(told, "checkpoint-restored")}
    assert restored[0] == before
    assert [line["offset"] for line in events(told, "checkpoint-unusable")] == (
        [] if (spoil, which) == (remove, MANIFEST) else [newest]  # then it is none: it was never complete
    )
    assert newest not in made.offsets(0), "it goes when there is a newer one"
    assert made.offsets(0)[0] == before, "which is kept"
    assert made.keys(0, newest) == []


async def test_a_damaged_one_is_replaced_where_nothing_came_since() -> None:
    made, _ = await stopped_at(1.0)
    (newest,) = made.offsets(0)
    flip(made, made.keys(0, newest)[0])
    told = await made.live(WORLD)
    assert events(told, "checkpoint-unusable")
    told = await made.live(WORLD)
    assert {line["offset"] for line in events(told, "checkpoint-restored") if line["partition"] == 0} == {newest}


async def test_where_none_is_good_the_log_is_replayed_if_it_is_whole() -> None:
    made, _ = await stopped_at(0.5, 0.8)
    for offset in made.offsets(0):
        flip(made, made.keys(0, offset)[0])
    told = await made.live(WORLD)
    assert len(events(told, "checkpoint-unusable")) == 2


async def test_where_none_is_good_and_the_log_is_trimmed_the_worker_stops() -> None:
    made, _ = await stopped_at(0.2, 0.5, 0.8)
    assert await made.begins(0) > 0
    for offset in made.offsets(0):
        remove(made, made.manifest_key(0, offset))
    said = await made.refused()
    assert f"{INPUT}/0 begins at offset" in said
    assert "see USHER_STATE_URL" in said


async def test_a_log_that_no_longer_reaches_back_stops_the_worker() -> None:
    made, feeding = await stopped_at(0.5)
    running = made.start(pace=NEVER)
    await eventually_committed(made, feeding)
    await running.kill()
    newest = made.offsets(0)[-1]
    await made.log.delete_records({TopicPartition(INPUT, 0): newest + 1})
    said = await made.refused()
    assert f"{INPUT}/0 begins at offset {newest + 1}, behind the checkpoint of partition 0 at {newest}" in said
    assert "retention must be unlimited" in said


async def test_a_log_that_begins_exactly_behind_the_checkpoint_is_enough() -> None:
    made, _ = await stopped_at(0.5)
    await made.log.delete_records({TopicPartition(INPUT, 0): made.offsets(0)[-1]})
    await made.live(WORLD)


async def test_another_log_of_the_same_name_is_refused() -> None:
    """As after a topic was deleted and made anew: its offsets mean other records."""
    made, _ = await stopped_at(1.0)
    objects = made.objects
    made = Everything()
    made.objects = objects
    await topics(made.log)
    await feed(made.log, [list(reversed(records)) for records in WORLD.log])
    producer = await made.log.transactional_producer("other", timeout_seconds=60)
    await producer.begin()
    ends = {TopicPartition(INPUT, number): len(records) for number, records in enumerate(WORLD.log)}
    await producer.commit(ends, GROUP)
    said = await made.refused()
    assert f"is of another log than {INPUT}/0" in said
    assert f"remove everything under s3://{BUCKET}/state/usher/0/" in said


async def test_a_shorter_log_of_the_same_name_is_refused() -> None:
    made, _ = await stopped_at(1.0)
    objects = made.objects
    made = Everything()
    made.objects = objects
    await topics(made.log)
    producer = await made.log.transactional_producer("other", timeout_seconds=60)
    await producer.begin()
    ends = {TopicPartition(INPUT, number): len(records) for number, records in enumerate(WORLD.log)}
    await producer.commit(ends, GROUP)
    assert f"is of another log than {INPUT}/0" in await made.refused()


async def test_offsets_that_were_lost_are_not_taken_for_a_fresh_start() -> None:
    """Folding again from the beginning would publish every change a second time."""
    made, _ = await stopped_at(0.5, 0.8)
    oldest = made.offsets(0)[0]
    producer = await made.log.transactional_producer("other", timeout_seconds=60)
    await producer.begin()
    await producer.commit({TopicPartition(INPUT, 0): 1}, GROUP)
    said = await made.refused()
    assert f"has committed 1 of {INPUT}/0" in said
    assert "--to-offset) for this partition" in said
    assert f"set them to {oldest}" in said


async def test_a_checkpoint_beyond_the_committed_offset_is_passed_over() -> None:
    made, _ = await stopped_at(0.5, 0.8)
    before, newest = made.offsets(0)
    producer = await made.log.transactional_producer("other", timeout_seconds=60)
    await producer.begin()
    await producer.commit({TopicPartition(INPUT, 0): newest - 1}, GROUP)
    with capture_logs() as told:
        running = made.start(pace=NEVER)
        feeding = Feeding(made.log, WORLD, [len(records) for records in WORLD.log])
        await eventually_committed(made, feeding)
        await running.kill()
    assert before in {line["offset"] for line in events(told, "checkpoint-restored") if line["partition"] == 0}


def edit(made: Everything, offset: int, **changes: object) -> None:
    manifest = msgspec.structs.replace(made.manifest(0, offset), **changes)
    made.rewrite(manifest, partition=0, offset=offset)


async def test_another_number_of_partitions_is_refused() -> None:
    made, _ = await stopped_at(0.5)
    edit(made, made.offsets(0)[-1], partitions=3)
    said = await made.refused()
    assert "is of 3 partitions" in said
    assert f"{INPUT} has {PARTITIONS}" in said


async def test_a_newer_format_is_refused() -> None:
    made, _ = await stopped_at(0.5)
    edit(made, made.offsets(0)[-1], format=2)
    assert "has format 2, this usher knows formats up to 1" in await made.refused()


async def test_one_that_was_moved_is_damaged() -> None:
    made, _ = await stopped_at(0.5)
    edit(made, made.offsets(0)[-1], partition=1)
    told = await made.live(WORLD)
    assert "someone moved it" in events(told, "checkpoint-unusable")[0]["detail"]


async def test_a_tail_folded_by_other_rules_is_refused() -> None:
    made, feeding = await stopped_at(0.5)
    running = made.start(pace=NEVER)
    await eventually_committed(made, feeding)
    await running.kill()
    edit(made, made.offsets(0)[-1], fold_rules=FOLD_RULES - 1)
    said = await made.refused()
    assert f"folded by rules {FOLD_RULES - 1}, while this usher has rules {FOLD_RULES}" in said
    assert "stop it in order" in said


async def test_other_rules_take_over_where_nothing_is_to_be_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a crash right afterwards does not make the tail look as if the earlier rules had folded it."""
    made, feeding = await stopped_at(0.5)
    monkeypatch.setattr(loading, "FOLD_RULES", FOLD_RULES + 1)
    running = made.start(pace=NEVER)
    await eventually_committed(made, feeding)
    await running.kill()
    await made.live(WORLD)


async def test_a_store_that_refuses_us_stops_the_worker() -> None:
    made, _ = await stopped_at(0.5)

    def refuse(call: str) -> None:
        if call == "list":
            raise Rejected(codes.OBJECT_ACCESS_DENIED, "in bucket")

    made.objects.fault = refuse
    said = await made.refused()
    assert f"s3://{BUCKET}/state/usher/0/ can't be read: object-access-denied" in said
    assert "needs to list, read, write and delete" in said


async def test_a_store_that_does_not_answer_is_waited_for() -> None:
    made, _ = await stopped_at(0.5)
    failures = 5

    def fail(call: str) -> None:
        nonlocal failures
        if failures and call in ("list", "read"):
            failures -= 1
            raise Unavailable(call)

    made.objects.fault = fail
    told = await made.live(WORLD, pace=ALWAYS)
    assert failures == 0
    assert events(told, "shard-retried")
    assert events(told, "checkpoint-unusable") == [], "an outage damages nothing"


async def test_remains_of_a_write_that_never_ended_go() -> None:
    made, _ = await stopped_at(0.5)
    made.objects.put(BUCKET, f"state/usher/0/{3:020d}/data-00000", b"half")
    made.objects.put(BUCKET, "state/usher/0/notes.txt", b"someone else's")
    await made.live(WORLD)
    assert made.keys(0, 3) == []
    assert "state/usher/0/notes.txt" in made.keys(0)
