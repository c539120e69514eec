"""A list of one import holds one set, and whoever writes to it first leaves the other half as it was."""

from collections.abc import Callable

import pytest
from pyroaring import BitMap

from services.domain.membership.audiences.layers import DatedLayer
from services.domain.membership.audiences.members import Difference, ListAudience
from services.domain.membership.checkpoint.packing import Packing, Unpacking
from services.domain.membership.imports.order import ImportOrder

EVERYONE = BitMap(range(0, 1_000, 3))
FEW, NOBODY_OF_THEM = BitMap([3, 6]), BitMap([4, 5])
FIRST, SECOND = (ImportOrder("2026-11-23", 0, "", "", import_id) for import_id in ("imp-1", "imp-2"))


def refreshed() -> ListAudience:
    audience = ListAudience("aud-1", "user_id", "user")
    audience.layers.refresh(EVERYONE.copy(), order=FIRST, day_ms=0, added=BitMap(), at_ms=0)
    audience.settle_layers()
    return audience


def is_one_set(audience: ListAudience) -> bool:
    return audience.layers.base is not None and audience.layers.base.members is audience.members


def removed(audience: ListAudience) -> Difference:
    audience.layers.remove(FEW, added_since=BitMap())
    return audience.settle_layers(FEW)


def added(audience: ListAudience) -> Difference:
    audience.layers.add(NOBODY_OF_THEM)
    return audience.settle_layers(NOBODY_OF_THEM)


def appended(audience: ListAudience) -> Difference:
    layer = DatedLayer(SECOND, 1 << 60, NOBODY_OF_THEM.copy())
    return audience.settle_layers(audience.layers.append(layer, lookback_days=30_000, at_ms=0))


def test_one_import_is_held_once() -> None:
    audience = refreshed()
    assert is_one_set(audience)
    assert audience.members == EVERYONE


@pytest.mark.parametrize(
    ("write", "difference"),
    [
        (removed, Difference(BitMap(), FEW)),
        (added, Difference(NOBODY_OF_THEM, BitMap())),
        (appended, Difference(NOBODY_OF_THEM, BitMap())),
    ],
)
def test_a_write_changes_members_and_layers_each_for_itself(
    write: Callable[[ListAudience], Difference], difference: Difference
) -> None:
    audience = refreshed()
    for expected in (difference, Difference(BitMap(), BitMap())):  # the second time nothing is new
        assert write(audience) == expected
        assert audience.members == audience.layers.union() == (EVERYONE | difference.entered) - difference.exited


def test_an_import_that_adds_nobody_and_a_removal_after_it_change_the_members_once() -> None:
    audience = refreshed()
    layer = DatedLayer(SECOND, 1 << 60, FEW.copy())
    assert not audience.settle_layers(audience.layers.append(layer, lookback_days=30_000, at_ms=0))
    audience.share()
    assert removed(audience) == Difference(BitMap(), FEW)


def test_what_changes_nobody_leaves_it_one_set() -> None:
    audience = refreshed()
    audience.layers.remove(NOBODY_OF_THEM, added_since=BitMap())
    assert not audience.settle_layers(NOBODY_OF_THEM)
    assert is_one_set(audience)


def test_of_a_scheduled_list_only_the_layers_change_before_its_run() -> None:
    audience = refreshed()
    audience.scheduled = True
    removed(audience)
    assert audience.members == EVERYONE
    assert audience.run() == Difference(BitMap(), FEW)
    assert audience.members == EVERYONE - FEW
    assert is_one_set(audience)


def test_it_is_one_set_again_when_it_is_restored() -> None:
    sunk: list[bytes | memoryview] = []
    packing = Packing(sunk.append)
    saved = refreshed().saved(packing)
    assert len(packing.sections) == 2  # members and the import are one, the commands another
    unpacking = Unpacking(packing.sections)
    unpacking.feed(b"".join(sunk))
    restored = ListAudience.restored(saved, unpacking.finished())
    assert restored.members == EVERYONE
    assert is_one_set(restored)
