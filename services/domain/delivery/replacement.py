"""A list that is replaced as a whole: which members of a queue are the new list, in parts, and what it does away with.

Pure; a lane reads the queue for it (decision 0046). A step is a place in the order of a space: on each partition what
is of an older step comes before the resync of a step, and what is of a newer one after it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from contracts.messages.delivery import Delivery
from services.domain.delivery.merge import Item, Kept, part


@dataclass(frozen=True, slots=True)
class Resync:
    """`members` members of a connection, all of them in the queue before `end_offset`; `clear` is of its first word."""

    clear: Delivery
    members: int
    end_offset: int

    def has(self, said: Delivery) -> bool:
        """Whether these are members of the new list."""
        return said.operation == "add" and _is_of(said, self.clear)


@dataclass(frozen=True, slots=True)
class Part:
    """`members` of the new list, at most as many as one request takes; `number` from 1. Only an empty list has none."""

    number: int
    members: int
    items: tuple[Item, ...]
    is_last: bool


class Survey:
    """Looks through a queue, from a `clear` on, until every partition's members of the newest resync were seen.

    Of a connection that is synced anew before that only the later resync counts. Where the words of some partitions
    stood before that `clear` there is never an end: half a list is none.
    """

    def __init__(self, clear: Delivery, partitions: int) -> None:
        self._newest = clear
        self._partitions = partitions
        self._awaited: dict[int, int] = {}
        self._members = 0
        self.heard = 0
        """So many records were of the resync."""

    def take(self, offset: int, said: Delivery) -> Resync | None:
        """The resync, when this delivery is the last of it."""
        newest = self._newest
        if said.operation == "clear" and said.step > newest.step and _same_list(said, newest):
            self._newest, self._awaited, self._members = said, {}, 0
        if not said.resync or said.operation == "remove" or not _is_of(said, self._newest):
            return None
        self.heard += 1
        if said.operation == "clear":
            self._awaited.setdefault(said.partition, said.followed_by)
            self._members += said.followed_by
        elif said.partition in self._awaited:
            self._awaited[said.partition] -= len(said.members)
        if len(self._awaited) < self._partitions or any(self._awaited.values()):
            return None
        return Resync(self._newest, self._members, offset + 1)


class Parts:
    """Cuts the members of a resync into parts of `members_max`: the same of the same queue, whoever cuts."""

    def __init__(self, resync: Resync, members_max: int) -> None:
        assert members_max > 0
        self._resync = resync
        self._members_max = members_max
        self._left = resync.members
        self._number = 0
        self._items: list[Item] = []
        self._room = members_max

    def begin(self) -> Iterator[Part]:
        """The one part of an empty list."""
        if not self._left:
            yield self._cut()

    def take(self, said: Delivery) -> Iterator[Part]:
        """The parts that are full with these members, or the last."""
        if not self._resync.has(said):
            return
        kept = Kept(index=0, delivery=said, members=said.members, merged=0)
        start = 0
        while start < len(said.members):
            members = said.members[start : start + self._room]
            self._items.append(part(kept, members))
            start += len(members)
            self._room -= len(members)
            self._left -= len(members)
            assert self._left >= 0, "its size was counted"
            if not self._room or not self._left:
                yield self._cut()

    def _cut(self) -> Part:
        self._number += 1
        made = Part(self._number, self._members_max - self._room, tuple(self._items), is_last=not self._left)
        self._items, self._room = [], self._members_max
        return made


def without_replaced(kept: Sequence[Kept], steps: Mapping[tuple[str, str], int]) -> tuple[list[Kept], list[Kept]]:
    """What is still to be sent to lists that were replaced, and what was sent with them.

    `steps`: by space and connection id, that of the latest resync that replaced it. Older words have been overtaken by
    it: they are left as merged.
    """
    left: list[Kept] = []
    sent: list[Kept] = []
    for one in kept:
        said = one.delivery
        step = steps.get((said.space_id, said.connection_id), 0)
        if said.operation == "add" and said.resync and said.step == step:
            sent.append(one)
            left.append(replace(one, members=[]))
        elif said.step < step or (said.step == step and said.resync):
            left.append(replace(one, members=[], merged=len(said.members)))
        else:
            left.append(one)
    return left, sent


def _same_list(one: Delivery, other: Delivery) -> bool:
    return (one.space_id, one.connection_id) == (other.space_id, other.connection_id)


def _is_of(said: Delivery, clear: Delivery) -> bool:
    return said.resync and said.step == clear.step and _same_list(said, clear)
