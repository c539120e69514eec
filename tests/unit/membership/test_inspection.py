"""`usher inspect` looks at what was published, wherever that has to be fetched from, and leaves no trace."""

import pytest

from contracts.catalog import INPUT
from contracts.partitioning import member_partition
from contracts.records import TopicPartition
from services.domain.membership.inspection import (
    Answer,
    AudienceAsked,
    IdentityAsked,
    PartitionAsked,
    Place,
    Question,
    audience_seen,
    identity_seen,
)
from services.domain.membership.partition import MembershipPartition
from services.membership.checkpoint_store import CheckpointStore
from services.membership.inspection import Inspection
from tests.unit.domain.membership.wire import ID_TYPE, SPACE
from tests.unit.membership.state import BUCKET, PREFIX, Everything, Feeding, everything
from tests.unit.membership.test_checkpoints import eventually_committed
from tests.unit.membership.test_service import IDS, PARTITIONS, lived

WORLD = lived()


def inspection(made: Everything, *, stored: bool = True) -> Inspection:
    store = CheckpointStore(made.objects, BUCKET, PREFIX) if stored else None
    return Inspection(made.log, store, clock=made.clock)


async def stopped_at(*shares: float) -> tuple[Everything, Feeding]:
    """A process has folded each share and stopped in order."""
    made = await everything(WORLD, feed_all=False)
    feeding = Feeding(made.log, WORLD)
    for share in shares:
        await feeding.some(share)
        running = made.start()
        await eventually_committed(made, feeding)
        await running.stop()
    return made, feeding


def folded(partition: int, records: int) -> MembershipPartition:
    fold = WORLD.fold(partition)
    for _ in fold.handle(WORLD.log[partition][:records], 0):
        pass
    return fold


@pytest.mark.parametrize("stored", [True, False])
async def test_an_identity_is_seen_as_of_what_is_committed(*, stored: bool) -> None:
    made, feeding = await stopped_at(0.6)
    kept = made.keys(0) + made.keys(1)
    counts = list(feeding.fed)
    await feeding.some(1.0)  # nobody folds it: it is not published
    for one in IDS[::7]:
        asked = IdentityAsked(space_id=SPACE, id_type=ID_TYPE, identifier=one)
        home = member_partition(one, PARTITIONS)
        committed = await made.committed(home)
        expected = identity_seen(folded(home, counts[home]), Place(home, PARTITIONS, committed), asked)
        assert await inspection(made, stored=stored).answer(asked) == Answer(seen=[expected])
    assert made.keys(0) + made.keys(1) == kept


async def test_an_audience_is_seen_on_every_partition() -> None:
    made, feeding = await stopped_at(0.4, 1.0)
    asked = AudienceAsked(space_id=SPACE, audience_id="b")
    expected = [
        audience_seen(
            folded(number, feeding.fed[number]), Place(number, PARTITIONS, await made.committed(number)), asked
        )
        for number in range(PARTITIONS)
    ]
    assert await inspection(made).answer(asked) == Answer(seen=expected)


async def test_a_partition_shows_its_offsets_and_its_checkpoints() -> None:
    made, feeding = await stopped_at(0.4, 0.8)
    await feeding.some(1.0)
    stand = (await inspection(made).answer(PartitionAsked(partition=1))).stand
    assert stand is not None
    place = TopicPartition(INPUT, 1)
    assert stand.begin_offset == await made.begins(1)
    assert stand.committed_offset == await made.committed(1)
    assert stand.end_offset == (await made.log.end_offsets([place], committed_only=True))[place]
    assert stand.committed_offset < stand.end_offset
    assert stand.checkpoints is not None
    assert [one.offset for one in stand.checkpoints] == made.offsets(1)[::-1]
    newest = made.manifest(1, stand.checkpoints[0].offset)
    assert stand.checkpoints[0].size_bytes == sum(blob.size_bytes for blob in newest.blobs)
    made.objects.put(BUCKET, made.manifest_key(1, newest.offset), b"{")
    stand = (await inspection(made).answer(PartitionAsked(partition=1))).stand
    assert stand is not None
    assert stand.checkpoints is not None
    assert "can't be read" in (stand.checkpoints[0].problem or "")


@pytest.mark.parametrize(
    ("question", "why"),
    [
        (PartitionAsked(partition=PARTITIONS), f"has {PARTITIONS}, numbered from 0"),
        (PartitionAsked(partition=-1), "there is no partition -1"),
    ],
)
async def test_what_can_not_be_answered_says_why(question: Question, why: str) -> None:
    made = await everything(WORLD)
    assert why in ((await inspection(made).answer(question)).failed or "")


async def test_without_topics_it_says_who_makes_them() -> None:
    answer = await inspection(Everything()).answer(AudienceAsked(space_id=SPACE, audience_id="a"))
    assert "usher topics" in (answer.failed or "")
