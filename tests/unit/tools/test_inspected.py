"""What is said of an identity and an audience, given what membership's partitions say."""

import pytest

from services.domain.membership.inspection import AudienceSeen, CheckpointSeen, LayerSeen, StandSeen
from services.tools.inspected import audience_of_identity, layers_of, stand_of

DAY_MS = 86_400_000


def seen(*layers: LayerSeen, kind: str = "list") -> AudienceSeen:
    members = sum(layer.members for layer in layers)
    return AudienceSeen(
        audience_id="a", kind=kind, id_type="kuid", members=members, scheduled=False, layers=list(layers)
    )


def dated(day: int, *, members: int = 1) -> LayerSeen:
    return LayerSeen(
        kind="dated", members=members, import_id=f"imp_{day}", day=f"1970-01-0{day}", leaves_ms=day * DAY_MS
    )


BASE = LayerSeen(kind="base", members=1, import_id="imp_0", day="1970-01-01")
ADDED = LayerSeen(kind="added", members=1)


@pytest.mark.parametrize(
    ("layers", "leaves_at"),
    [
        ([dated(2)], "1970-01-03T00:00:00.000Z"),
        ([dated(2), dated(4), dated(3)], "1970-01-05T00:00:00.000Z"),
        ([dated(2), ADDED], None),
        ([BASE, dated(2)], None),
        ([], None),
    ],
)
def test_an_identity_leaves_when_its_last_layer_does(layers: list[LayerSeen], leaves_at: str | None) -> None:
    assert audience_of_identity(seen(*layers), "a").leaves_at == leaves_at


def test_layers_are_summed_over_partitions_and_stand_in_order() -> None:
    parts = [seen(ADDED, dated(3, members=5), BASE), seen(dated(2, members=4), dated(3, members=7)), seen(BASE)]
    found = [(layer.kind, layer.day, layer.members) for layer in layers_of(parts)]
    assert found == [
        ("base", "1970-01-01", 2),
        ("dated", "1970-01-02", 4),
        ("dated", "1970-01-03", 12),
        ("added", None, 1),
    ]


def test_the_age_is_that_of_the_newest_checkpoint_that_can_be_read() -> None:
    checkpoints = [CheckpointSeen(offset=9, problem="torn"), CheckpointSeen(offset=6, taken_at_ms=1_000, size_bytes=5)]
    stand = StandSeen(
        partition=0, partitions=1, begin_offset=2, committed_offset=10, end_offset=15, checkpoints=checkpoints
    )
    found = stand_of(stand, 3_500)
    assert (found.lag_records, found.checkpoint_age_seconds, found.checkpoint_behind_records) == (5, 2.5, 4)
    without = stand_of(StandSeen(partition=0, partitions=1, begin_offset=0, committed_offset=0, end_offset=0), 0)
    assert (without.checkpoint_age_seconds, without.checkpoint_behind_records) == (None, None)
