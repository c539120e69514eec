"""From a batch of deliveries to what is worth sending: the latest state of each identity, cut to a destination's size.

Called by the lanes before a connector sees anything, so that no connector meets one identity twice in a batch and
has to choose. Nothing is ever merged across activations: each is somebody's list, with counters of its own.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from contracts.messages.delivery import Delivery


@dataclass(frozen=True, slots=True)
class Item:
    """One operation on some members of one activation: the unit that a connector sends and answers for.

    `index` is the delivery's place in its batch. `id` is the same on every attempt, and no id ever stands for two
    contents: it is the delivery's own where all of its members are here, else with a digest of those that are.
    """

    index: int
    id: str
    delivery: Delivery
    members: list[str]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of one delivery once later ones of its batch have had their say; `merged` members had one."""

    index: int
    delivery: Delivery
    members: list[str]
    merged: int


def stretches(deliveries: Sequence[Delivery]) -> Iterator[slice]:
    """The places between which nothing may be merged or reordered: each clearing alone, and what is between them."""
    start = 0
    for index, delivery in enumerate(deliveries):
        if delivery.operation == "clear":
            if start < index:
                yield slice(start, index)
            yield slice(index, index + 1)
            start = index + 1
    if start < len(deliveries):
        yield slice(start, len(deliveries))


def collapse(deliveries: Sequence[Delivery]) -> list[Kept]:
    """One `Kept` for each delivery, in order: a member stays only in the latest delivery that names it.

    Latest by `sequence`, so that a late older record can't win; by place where the same delivery stands twice.
    """
    latest: dict[str, dict[str, int]] = {}
    for index in sorted(range(len(deliveries)), key=lambda index: deliveries[index].sequence):
        delivery = deliveries[index]
        latest.setdefault(delivery.activation_id, {}).update(dict.fromkeys(delivery.members, index))
    named = dict.fromkeys(latest, 0)
    for delivery in deliveries:
        named[delivery.activation_id] += len(delivery.members)
    return [
        _kept(index, delivery, latest[delivery.activation_id], named[delivery.activation_id])
        for index, delivery in enumerate(deliveries)
    ]


def _kept(index: int, delivery: Delivery, latest: dict[str, int], named: int) -> Kept:
    members = delivery.members
    if len(latest) < named:  # else every member was named once, and no list needs to be walked
        members = [member for member in members if latest[member] == index]
    return Kept(index=index, delivery=delivery, members=members, merged=len(delivery.members) - len(members))


def cut(kept: Sequence[Kept], members_max: int) -> Iterator[list[Item]]:
    """Batches of items of at most `members_max` members together, filled in order.

    A function of its arguments: the same records cut anew make the same items, ids and batches.
    """
    assert members_max > 0
    batch: list[Item] = []
    room = members_max
    for one in kept:
        if one.delivery.operation == "clear":
            assert len(kept) == 1, "a clearing is never sent with anything else"
            yield [part(one, [])]
            return
        start = 0
        while start < len(one.members):
            members = one.members[start : start + room]
            batch.append(part(one, members))
            start += len(members)
            room -= len(members)
            if room == 0:
                yield batch
                batch, room = [], members_max
    if batch:
        yield batch


def halved(items: Sequence[Item]) -> list[list[Item]]:
    """The same members as two batches, or one where there is only one member."""
    if len(items) > 1:
        middle = len(items) // 2
        return [list(items[:middle]), list(items[middle:])]
    (item,) = items
    middle = (len(item.members) + 1) // 2
    halves = [half for half in (item.members[:middle], item.members[middle:]) if half]
    return [[part(item, members)] for members in halves]


def parted(item: Item, members: Collection[str]) -> tuple[Item, Item]:
    """The item of these members alone, and the item of the others."""
    named = set(members)
    ours, others = [[one for one in item.members if (one in named) is wanted] for wanted in (True, False)]
    return part(item, ours), part(item, others)


def members_of(items: Sequence[Item]) -> int:
    """How many members the items name together."""
    return sum(len(item.members) for item in items)


def part(of: Kept | Item, members: list[str]) -> Item:
    """The item of some of the members, with an id of its own where they aren't all of the delivery."""
    delivery = of.delivery
    whole = len(members) == len(delivery.members)
    item_id = delivery.delivery_id if whole else f"{delivery.delivery_id}.{_digest(members)}"
    return Item(index=of.index, id=item_id, delivery=delivery, members=members)


def _digest(members: Sequence[str]) -> str:
    # Lengths come first, so that no two lists of members read the same.
    lengths = ",".join(str(len(member)) for member in members)
    return hashlib.sha256("".join(chain((lengths, ";"), members)).encode()).hexdigest()[:16]
