"""A resync in a queue: found when it is whole, whatever stands between, and cut into the same parts by everybody."""

from collections.abc import Sequence
from random import Random

import pytest
from msgspec.structs import replace

from contracts.messages.delivery import Delivery
from services.domain.delivery.merge import collapse
from services.domain.delivery.replacement import Part, Parts, Resync, Survey, without_replaced
from tests.unit.domain.delivery.making import clearing, delivery

PARTITIONS = 4


def added(sequence: int, step: int, members: Sequence[str], partition: int) -> Delivery:
    return replace(delivery(sequence, "add", members, partition=partition, resync=True), step=step)


def stream(partition: int, step: int, members: Sequence[str]) -> list[Delivery]:
    """One partition's word on a resync, with changes and somebody else's members before, between and after."""
    size = 3
    chunks = [members[start : start + size] for start in range(0, len(members), size)]
    other = replace(added(0, step, [f"other{partition}"], partition), connection_id="con_2")
    said = [replace(delivery(0, "add", [f"before{partition}"], partition=partition), step=step - 1)]
    said += [clearing(0, step, partition=partition, followed_by=len(members)), other]
    said += [replace(delivery(0, "remove", ["gone"], partition=partition, resync=True), step=step)]
    said += [added(0, step, chunk, partition) for chunk in chunks]
    return [*said, replace(delivery(0, "remove", [f"m{partition}.0"], partition=partition), step=step)]


def woven(streams: Sequence[Sequence[Delivery]], random: Random) -> list[Delivery]:
    """All streams in one queue, each in its order."""
    left = [list(one) for one in streams]
    queue: list[Delivery] = []
    while any(left):
        queue.append(random.choice([one for one in left if one]).pop(0))
    return [replace(one, sequence=n) for n, one in enumerate(queue)]


def first_clear(queue: Sequence[Delivery]) -> int:
    return next(n for n, one in enumerate(queue) if one.operation == "clear")


def surveyed(queue: Sequence[Delivery], start: int) -> Resync | None:
    survey = Survey(queue[start], PARTITIONS)
    return next((found for n in range(start, len(queue)) if (found := survey.take(n, queue[n]))), None)


def cut(queue: Sequence[Delivery], start: int, resync: Resync, members_max: int) -> list[Part]:
    made = Parts(resync, members_max)
    return [*made.begin(), *(one for said in queue[start : resync.end_offset] for one in made.take(said))]


def named(parts: Sequence[Part]) -> list[str]:
    return [member for one in parts for item in one.items for member in item.members]


@pytest.mark.parametrize("seed", range(30))
def test_it_is_found_when_the_last_member_of_the_last_partition_is_there(seed: int) -> None:
    random = Random(seed)
    sizes = [random.choice([0, 0, 1, 3, 7, 20]) for _ in range(PARTITIONS)]
    members = [[f"m{n}.{k}" for k in range(size)] for n, size in enumerate(sizes)]
    queue = woven([stream(n, 5, one) for n, one in enumerate(members)], random)
    start = first_clear(queue)
    resync = surveyed(queue, start)
    assert resync is not None
    assert resync.members == sum(sizes)
    assert surveyed(queue[: resync.end_offset - 1], start) is None
    parts = cut(queue, start, resync, 5)
    assert sorted(named(parts)) == sorted(member for one in members for member in one)
    assert [one.number for one in parts] == list(range(1, len(parts) + 1))
    assert [one.is_last for one in parts] == [*[False] * (len(parts) - 1), True]
    assert all(one.members == len(named([one])) == 5 for one in parts[:-1])
    assert parts == cut(queue, start, resync, 5)


@pytest.mark.parametrize("seed", range(10))
def test_a_newer_resync_takes_the_place_of_one_that_was_not_whole_before_it(seed: int) -> None:
    random = Random(seed)
    streams = [[*stream(n, 5, [f"old{n}"]), *stream(n, 9, [f"m{n}.{k}" for k in range(4)])] for n in range(PARTITIONS)]
    last = streams.pop()
    queue = [*woven(streams, random), *last]
    resync = surveyed(queue, first_clear(queue))
    assert resync is not None
    assert (resync.clear.step, resync.members) == (9, 4 * PARTITIONS)
    assert set(named(cut(queue, first_clear(queue), resync, 100))) == {
        f"m{n}.{k}" for n in range(PARTITIONS) for k in range(4)
    }


def test_half_a_list_is_none() -> None:
    """Whoever begins behind the word of one partition never has the whole."""
    queue = woven([stream(n, 5, [f"m{n}.0", f"m{n}.1"]) for n in range(PARTITIONS)], Random(1))
    first = first_clear(queue)
    second = next(n for n in range(first + 1, len(queue)) if queue[n].operation == "clear")
    assert surveyed(queue, second) is None


@pytest.mark.parametrize("seed", range(20))
def test_what_follows_a_replacement_brings_the_list_to_the_audience(seed: int) -> None:
    """The naive model applies every partition's words in order; the list is replaced by the first `clear`."""
    random = Random(seed)
    streams: list[list[Delivery]] = []
    truth: set[str] = set()
    for partition in range(PARTITIONS):
        present: set[str] = set()
        said: list[Delivery] = []
        for step in range(1, 12):
            if step == 6:
                said.append(clearing(0, step, partition=partition, followed_by=len(present)))
                said += [added(0, step, sorted(present), partition)] if present else []
            member = f"m{partition}.{random.randrange(4)}"
            operation = "remove" if member in present else "add"
            present ^= {member}
            said.append(replace(delivery(0, operation, [member], partition=partition), step=step))
        streams.append(said)
        truth |= present
    queue = woven(streams, random)
    start = first_clear(queue)
    resync = surveyed(queue, start)
    assert resync is not None
    there = {*named(cut(queue, start, resync, 3))}
    while start < len(queue):  # in batches as they come
        batch = queue[start : start + random.randint(1, 9)]
        start += len(batch)
        left, sent = without_replaced(collapse(batch), {("acme", "con_1"): 6})
        for one in left:
            change = set(one.members)
            there = there | change if one.delivery.operation == "add" else there - change
        replaced = {one.index: len(one.members) for one in sent}
        assert all(
            len(one.members) + one.merged + replaced.get(one.index, 0) == len(one.delivery.members) for one in left
        )
    assert there == truth
