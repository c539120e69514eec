"""Every attribute of every class of state is kept by a checkpoint, or named here with the reason why not.

A new attribute makes this fail until its class says in `saved` and `restored` what becomes of it.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
import numpy as np
from pyroaring import BitMap

from contracts import codec
from services.domain.membership.checkpoint import shape
from services.domain.membership.imports.order import ImportOrder
from services.domain.rows import Form
from tests.unit.domain.membership.checkpoint.copies import Contents, Taken, load
from tests.unit.domain.membership.checkpoint.histories import conclude, eventful
from tests.unit.domain.membership.world import World

OURS = "services.domain.membership."

NOT_KEPT: Final[Mapping[tuple[str, str], str]] = {
    ("MembershipPartition", "place"): "whoever restores it says where it stands; the manifest is held against that",
    ("MembershipPartition", "dead_letter"): "whoever restores it says how one is made",
    ("MembershipPartition", "stage_ended"): "who measures listens anew; nothing of it is state",
    ("Space", "partition"): "as of the partition",
    ("Space", "partitions"): "as of the partition",
    ("Directory", "partition"): "as of the partition",
    ("Directory", "partitions"): "as of the partition",
    ("Activations", "waiting"): "those of the paused ones that wait",
    ("Layers", "shared"): "found again by `share`: the sets are equal",
    ("Register", "composition"): "made from the composed audiences",
    ("FixedArena", "form"): "the key under which its table is kept",
    ("FixedArena", "count"): "the length of what is kept",
    ("TextArena", "count"): "the length of what is kept",
}
ALSO_KEPT: Final = {("Paused", "audience_id"): "stands for the audience where it is still defined"}
ALONE: Final = {"MembershipSaved", "Saved"}  # parts of other words


def name_of(thing: object) -> str:
    return type(thing).__name__.lstrip("_")


def attributes(thing: object) -> dict[str, Any]:
    """All of them, by name without the underscore."""
    if isinstance(thing, tuple):
        found = thing._asdict()  # type: ignore[attr-defined]  # a NamedTuple: plain ones never come here
    elif dataclasses.is_dataclass(thing):
        found = {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}
    else:
        found = vars(thing)
    return {name.lstrip("_"): value for name, value in found.items()}


def reached(thing: Any) -> Iterator[object]:
    """Every object of a class of state that can be reached from `thing` by what is kept."""
    if isinstance(thing, str | int | None | BitMap | np.ndarray | msgspec.Struct | ImportOrder | Form):
        return
    if isinstance(thing, Mapping):
        for key, value in thing.items():
            yield from reached(key)
            yield from reached(value)
    elif type(thing).__module__.startswith(OURS):
        yield thing
        for name, value in attributes(thing).items():
            if (name_of(thing), name) not in NOT_KEPT:
                yield from reached(value)
    else:
        assert isinstance(thing, list | tuple | set | frozenset), f"nothing says how a {type(thing)} is kept"
        for one in thing:
            yield from reached(one)


def test_every_attribute_is_kept_or_has_a_reason() -> None:
    world, seen = eventful(), set()
    for partition in range(world.partitions):
        for thing in reached(world.folds[partition]):
            name = name_of(thing)
            seen.add(f"{name}Saved")
            kept = set(getattr(shape, f"{name}Saved").__struct_fields__) - {one for of, one in ALSO_KEPT if of == name}
            not_kept = {one for of, one in NOT_KEPT if of == name}
            assert kept & not_kept == set()
            assert kept | not_kept == set(attributes(thing)), f"{name}: see `saved` and `restored`"
    words = {name for name, one in vars(shape).items() if isinstance(one, type) and issubclass(one, shape.Saved)}
    assert seen == words - ALONE, "the history must leave something of every class"


def test_what_waits_for_its_audience_to_grow_still_does() -> None:
    world = World(1)
    world.define("a")
    world.activation("waiting", "a", resync=True)
    (fold,) = world.folds

    restored = load(Taken(fold).blobs(), world.fold(0))

    place = len(world.log[0])
    said = len(world.outs[0])
    world.patch("a", "add", ["u1", "u2", "u3"])
    world.activation("resumed", "a", resync=True)
    outs = [out for record in world.log[0][place:] for out in restored.handle([record], 0)]
    assert outs == world.outs[0][said:]
    assert any(codec.header(out.headers, "ce_type") == "held" for out in outs)


def test_what_is_restored_from_everything_goes_on_alike() -> None:
    world = eventful()
    done = [len(log) for log in world.log]
    partitions = [
        load(Taken(world.folds[partition]).blobs(), world.fold(partition)) for partition in range(world.partitions)
    ]
    contents = Contents()
    for restored, running in zip(partitions, world.folds, strict=True):
        assert restored.saved(contents) == running.saved(contents)
    said = [len(outs) for outs in world.outs]
    conclude(world)
    for partition, restored in enumerate(partitions):
        outs = [out for record in world.log[partition][done[partition] :] for out in restored.handle([record], 0)]
        assert outs == world.outs[partition][said[partition] :]
        assert restored.saved(contents) == world.folds[partition].saved(contents)
