"""Checkpoints in the life of membership: written aside, three kept, the log trimmed behind them, restored from."""

import asyncio
import gc
import random
import weakref

import pytest
from structlog.testing import capture_logs

from contracts import codes
from services.adapters.memory import MemoryBroker
from services.domain.membership.checkpoint import take
from services.membership import checkpointing
from services.membership.checkpoint_store import CheckpointStore
from services.membership.checkpointing import Pace
from services.membership.fold import PartitionFold
from services.runtime.failures import Rejected, Unavailable
from services.runtime.telemetry import REGISTRY
from tests.conformance.harness import becomes, eventually
from tests.unit.membership.state import ALWAYS, BUCKET, NEVER, PREFIX, Everything, Feeding, events, everything
from tests.unit.membership.test_service import PARTITIONS, Running, comes_to_stand, lived, topics
from tests.unit.runtime.machine import FastClock, Flaky, HandClock


@pytest.fixture(autouse=True)
def small_blobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each checkpoint has a dozen of them."""
    monkeypatch.setattr(take, "BLOB_BYTES", 700)


async def test_a_graceful_stop_leaves_nothing_to_replay() -> None:
    world = lived()
    made = await everything(world)
    await made.live(world, pace=NEVER)
    ends = [len(records) for records in world.log]
    assert [made.offsets(partition) for partition in range(PARTITIONS)] == [[end] for end in ends]
    told = await made.live(world)
    restored = events(told, "checkpoint-restored")
    assert sorted((line["partition"], line["offset"], line["committed"]) for line in restored) == [
        (partition, end, end) for partition, end in enumerate(ends)
    ]
    assert events(told, "checkpoint-written") == [], "there is nothing new"


async def test_what_is_restored_folds_on_as_if_it_had_never_stopped() -> None:
    world = lived(6)
    made = await everything(world, feed_all=False)
    feeding = Feeding(made.log, world)
    for share in (0.2, 0.4, 0.6, 0.8, 1.0):
        await feeding.some(share)
        running = made.start()
        await eventually_committed(made, feeding)
        await running.stop()
    await comes_to_stand(made.log, world)


async def eventually_committed(made: Everything, feeding: Feeding) -> None:
    async def offsets() -> list[int]:
        return [await made.committed(partition) for partition in range(PARTITIONS)]

    await becomes(offsets, feeding.fed)


async def test_three_are_kept_and_the_log_goes_behind_the_oldest() -> None:
    world = lived(6)
    made = await everything(world, feed_all=False)
    feeding = Feeding(made.log, world)
    for number in range(1, 6):
        await feeding.some(number / 5)
        running = made.start(pace=NEVER)
        await eventually_committed(made, feeding)
        with capture_logs() as told:
            await running.stop()
        trimmed = {line["partition"]: line["before_offset"] for line in events(told, "input-trimmed")}
        for partition in range(PARTITIONS):
            offsets = made.offsets(partition)
            assert offsets[-1] == feeding.fed[partition]
            assert len(offsets) == min(number, 3)
            assert {int(key.split("/")[3]) for key in made.keys(partition)} == set(offsets), "no remains"
            anchor = offsets[0] - 1  # the last record that it was taken after: it tells the log from another one
            assert made.manifest(partition, offsets[0]).anchor.offset == anchor
            assert await made.begins(partition) == (anchor if number >= 3 else 0)
            assert trimmed.get(partition) == (anchor if number >= 3 else None)


async def test_they_are_written_while_folding_goes_on() -> None:
    world = lived()
    made = await everything(world)
    with capture_logs() as told:
        running = made.start(pace=ALWAYS)
        await comes_to_stand(made.log, world)
        await eventually(lambda: bool(events(told, "checkpoint-written")), "one is written without any stop")
        await running.stop()


MIB = 1 << 20
DUE = [
    # unsaved, size of the last, seconds since, failed, due
    (100 * MIB, 0, 0, False, True),
    (100 * MIB - 1, 0, 599, False, False),
    (100 * MIB, 100 * MIB + 1, 0, False, False),
    (100 * MIB + 1, 100 * MIB + 1, 0, False, True),
    (1, 1 << 40, 600, False, True),
    (0, 0, 10_000, False, False),
    (0, 0, 29, True, False),
    (0, 0, 30, True, True),
    (500 * MIB, 0, 29, True, False),
]


@pytest.mark.parametrize(("unsaved_bytes", "saved_bytes", "seconds", "failed", "due"), DUE)
def test_when_one_is_due(unsaved_bytes: int, saved_bytes: int, seconds: int, failed: bool, due: bool) -> None:
    clock = HandClock()
    fold = PartitionFold(0, partitions=1, results_partitions=1)
    fold.unsaved_bytes = unsaved_bytes
    fold.progress.saved_bytes, fold.progress.failed = saved_bytes, failed
    fold.progress.taken_at_seconds = clock.monotonic_seconds()
    made = Everything(clock=clock)
    store = CheckpointStore(made.objects, BUCKET, PREFIX)
    pace = Pace(input_bytes=100 * MIB, seconds=600)
    writing = checkpointing.Checkpointing(made.log, store, pace, clock=clock, offload=asyncio.to_thread)
    clock.pass_seconds(seconds)
    assert writing.is_due(fold) is due


@pytest.mark.parametrize("seed", range(6))
async def test_kills_and_failing_stores_lose_nothing_and_double_nothing(seed: int) -> None:
    """Broker and store fail, processes are killed in the middle of everything, the log is trimmed behind them."""
    clock, luck, world = FastClock(), random.Random(seed), lived(5)
    faults = Flaky(seed, share=0.03, spared="test")
    made = Everything(clock=clock, broker=MemoryBroker(clock=clock, faults=faults))

    def fail(call: str) -> None:
        if luck.random() < faults.share:
            raise Unavailable(call)

    made.objects.fault = fail
    await topics(made.log)
    feeding = Feeding(made.log, world)
    share = 0.0
    with capture_logs() as told:
        while share < 1:
            share += luck.random() / 5
            running = made.start(pace=luck.choice([ALWAYS, ALWAYS, NEVER]))
            await feeding.some(min(share, 1.0))
            for _ in range(luck.randint(0, 200)):
                await asyncio.sleep(0)
            await (running.kill() if luck.random() < 0.6 else running.stop())
        faults.share = 0.0
        for name in ("last", "after"):
            running = made.start(name)
            await comes_to_stand(made.log, world)
            await running.stop()
    assert {line["partition"] for line in events(told, "checkpoint-restored")} == set(range(PARTITIONS))
    assert events(told, "checkpoint-unusable") == []


async def test_a_store_that_fails_never_stops_folding_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointing, "RETRY_SECONDS", 0.0)
    world = lived()
    made = await everything(world, feed_all=False)
    feeding = Feeding(made.log, world)
    is_down = True

    def fail(call: str) -> None:
        if is_down and call == "write":
            raise Unavailable("the store does not answer")

    made.objects.fault = fail
    with capture_logs() as told:
        running = made.start(pace=ALWAYS)
        await feeding.some(0.5)
        await eventually_committed(made, feeding)
        await eventually(lambda: bool(events(told, "checkpoint-failed")), "it is told")
        assert events(told, "checkpoint-failed")[0]["detail"] == "the store does not answer"
        is_down = False
        await feeding.some(0.8)
        await eventually_committed(made, feeding)
        await eventually(lambda: bool(events(told, "checkpoint-written")), "it is tried again")
        await feeding.some(1.0)
        await comes_to_stand(made.log, world)
        await running.stop()


async def test_a_refused_write_is_told_and_folding_goes_on() -> None:
    world = lived()
    made = await everything(world)

    def refuse(call: str) -> None:
        if call == "write":
            raise Rejected(codes.OBJECT_ACCESS_DENIED, "in bucket")

    made.objects.fault = refuse
    told = await made.live(world)
    assert "object-access-denied" in events(told, "checkpoint-failed")[0]["detail"]
    assert made.objects.keys(BUCKET) == []


async def test_no_room_for_a_copy_is_told_and_folding_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpointing, "take", full)
    world = lived()
    made = await everything(world)
    told = await made.live(world)
    assert "No space left" in events(told, "checkpoint-failed")[0]["detail"]


async def test_a_bug_in_the_writing_is_told_as_one_and_folding_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise KeyError("what")

    world = lived()
    made = await everything(world)
    monkeypatch.setattr(CheckpointStore, "write", broken)
    told = await made.live(world)
    assert "a bug: KeyError('what')" in events(told, "checkpoint-failed")[0]["detail"]


async def test_a_store_that_hangs_holds_up_neither_folding_nor_for_long_the_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forever = asyncio.Event()

    async def hang(*_: object) -> None:
        await forever.wait()

    world = lived()
    made = await everything(world)
    monkeypatch.setattr(CheckpointStore, "write", hang)
    told = await made.live(world)
    details = [line["detail"] for line in events(told, "checkpoint-failed")]
    assert details == [f"not written within {checkpointing.STOP_SECONDS:.0f} s of the stop"] * PARTITIONS


async def test_a_partition_moves_by_checkpoint_and_tail_and_its_state_is_freed() -> None:
    world = lived(6)
    made = await everything(world, feed_all=False)
    feeding = Feeding(made.log, world)
    await feeding.some(0.3)
    with capture_logs() as told:
        first = made.start("first", pace=ALWAYS)
        folds: list[weakref.ref[PartitionFold]] = []
        restore = first.service.restore

        async def remembered(shard: int, offsets: dict[str, int]) -> PartitionFold:
            fold = await restore(shard, offsets)
            assert isinstance(fold, PartitionFold)
            folds.append(weakref.ref(fold))
            return fold

        first.service.restore = remembered  # type: ignore[method-assign,assignment]  # to see what becomes of the folds
        await eventually_committed(made, feeding)
        await eventually(lambda: all(made.offsets(partition) for partition in range(PARTITIONS)), "both have one")
        second = made.start("second", pace=ALWAYS)
        await feeding.some(0.6)
        await eventually_committed(made, feeding)
        await eventually(lambda: len(folds) == 3, "the first owned both, and owns one")
        gc.collect()
        alive = [one for one in (fold() for fold in folds) if one is not None]
        assert [one.number for one in alive] == [0]
        del alive
        await second.stop()
        await feeding.some(1.0)
        await comes_to_stand(made.log, world)
        await first.stop()
    moved = [line for line in events(told, "checkpoint-restored") if line["partition"] == 1]
    assert moved
    assert all(line["offset"] > 0 for line in moved)
    assert await made.begins(1) >= 0


async def test_without_a_place_for_them_the_log_is_replayed_and_never_trimmed() -> None:
    world = lived()
    made = await everything(world)
    for name in ("one", "two"):
        running = Running(made.broker, name, made.clock)
        await comes_to_stand(made.log, world)
        await running.stop()
    assert [await made.begins(partition) for partition in range(PARTITIONS)] == [0, 0]


async def test_what_is_shown_of_a_partition_goes_with_it() -> None:
    def shown(name: str) -> float | None:
        return REGISTRY.get_sample_value(name, {"partition": "0"})

    gauges = (
        "usher_membership_known_members",
        "usher_membership_identities_bytes",
        "usher_checkpoint_written_at_seconds",
        "usher_checkpoint_bytes",
    )
    world = lived()
    made = await everything(world)
    await made.live(world)
    running = made.start(pace=NEVER)
    await eventually(lambda: all(shown(name) for name in gauges), "also of the checkpoint that was loaded")
    blobs = made.manifest(0, made.offsets(0)[-1]).blobs
    assert shown("usher_checkpoint_bytes") == sum(blob.size_bytes for blob in blobs)
    await running.stop()
    assert [shown(name) for name in gauges] == [None] * len(gauges)


async def test_what_the_sets_take_is_shown_with_each_copy_and_goes_with_its_partition() -> None:
    def shown() -> float | None:
        return REGISTRY.get_sample_value("usher_membership_sets_bytes", {"partition": "0"})

    made = await everything(lived())
    running = made.start(pace=ALWAYS)
    await eventually(lambda: bool(shown()), "a copy was taken")
    await running.stop()
    assert shown() is None


async def test_the_stages_of_the_fold_are_timed() -> None:
    def batches(stage: str) -> float:
        return REGISTRY.get_sample_value("usher_membership_stage_seconds_count", {"stage": stage}) or 0.0

    before = {stage: batches(stage) for stage in ("stage", "apply", "encode")}
    world = lived()
    made = await everything(world)
    await made.live(world)
    assert all(batches(stage) > count for stage, count in before.items())
