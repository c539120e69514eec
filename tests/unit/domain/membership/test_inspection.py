"""What an operator is shown of a partition: the layers that hold an identity, when they leave, and nothing else."""

from services.domain.membership.inspection import (
    AudienceAsked,
    IdentityAsked,
    LayerSeen,
    PartitionSeen,
    Place,
    audience_seen,
    identity_seen,
)
from tests.unit.domain.membership.wire import ID_TYPE, SPACE
from tests.unit.domain.membership.world import World, day_ms, ids, rows

ONE, OTHER, *MANY = ids(1, 20)


def seen(world: World, identifier: str, id_type: str = ID_TYPE) -> PartitionSeen:
    (fold,) = world.folds
    return identity_seen(fold, Place(0, 1, 7), IdentityAsked(space_id=SPACE, id_type=id_type, identifier=identifier))


def layers(world: World, identifier: str) -> dict[str, list[LayerSeen]]:
    return {audience.audience_id: audience.layers for audience in seen(world, identifier).audiences}


def world_of(*audiences: str) -> World:
    world = World(partitions=1)
    for audience in audiences:
        world.define(audience)
    return world


def test_each_layer_that_holds_an_identity_is_shown_with_its_import_and_its_end() -> None:
    world = world_of("a", "b")
    world.upload("imp_full", "replace", rows("a", [ONE, OTHER]), on_day=1)
    world.tick(2)
    world.upload("imp_more", "append", rows("a", [ONE, *MANY]), on_day=2, lookback_days=3)
    world.patch("a", "add", [ONE])
    dated = LayerSeen(kind="dated", members=1, import_id="imp_more", day="2026-01-02", leaves_ms=day_ms(5))
    # An append came on top of the full refresh: that leaves too, as an append of its own day would.
    base = LayerSeen(kind="base", members=1, import_id="imp_full", day="2026-01-01", leaves_ms=day_ms(4))
    assert layers(world, ONE) == {"a": [base, dated, LayerSeen(kind="added", members=1)]}
    assert layers(world, OTHER) == {"a": [base]}
    assert layers(world, MANY[0]) == {"a": [dated]}
    world.tick(4)
    assert layers(world, OTHER) == {}
    assert seen(world, OTHER).known


def test_a_base_that_a_command_left_says_so() -> None:
    world = world_of("a")
    world.patch("a", "replace", [ONE])
    base = LayerSeen(kind="base", members=1, day="2026-01-01", replaced_step=world.step)
    assert layers(world, ONE) == {"a": [base]}


def test_a_composed_audience_is_shown_without_layers_and_a_scheduled_one_before_its_run() -> None:
    world = world_of("a")
    world.compose("not-a", {"not": "a"})
    world.define("later", scheduled=True)
    world.patch("a", "add", [ONE, OTHER])
    world.patch("a", "remove", [ONE])
    world.patch("later", "add", [ONE])
    found = {one.audience_id: (one.kind, one.members, len(one.layers)) for one in seen(world, ONE).audiences}
    assert found == {"not-a": ("composed", 1, 0), "later": ("list", 0, 1)}


def test_who_was_never_named_is_unknown_and_stays_so() -> None:
    world = world_of("a")
    world.patch("a", "add", [ONE])
    for _ in range(2):
        assert not seen(world, OTHER).known
        assert not seen(world, ONE, id_type="maid").known
    assert seen(world, OTHER).identities == {ID_TYPE: 1}
    (fold,) = world.folds
    assert seen(world, ONE).step == world.step
    assert not identity_seen(fold, Place(0, 1, 7), IdentityAsked(space_id="-", id_type="", identifier=ONE)).known


def test_an_audience_is_shown_with_all_its_layers_over_all_partitions() -> None:
    world = World(partitions=2)
    world.define("a")
    world.upload("imp_full", "replace", rows("a", MANY), on_day=1)
    world.patch("a", "add", [ONE, OTHER])
    asked = AudienceAsked(space_id=SPACE, audience_id="a")
    parts = [audience_seen(fold, Place(number, 2, 0), asked).audiences[0] for number, fold in enumerate(world.folds)]
    assert sum(part.members for part in parts) == len(MANY) + 2
    by_kind = {kind: sum(one.members for part in parts for one in part.layers if one.kind == kind) for kind in KINDS}
    assert by_kind == {"base": len(MANY), "dated": 0, "added": 2}
    absent = audience_seen(world.folds[0], Place(0, 2, 0), AudienceAsked(space_id=SPACE, audience_id="b"))
    assert absent.audiences == []


KINDS = ("base", "dated", "added")
