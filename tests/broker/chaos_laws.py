"""What must hold after chaos: the log of steps says what was meant, and the changes say what the naive model makes of it.

Besides these, every space ends with an audit of all that can be seen from outside (`space.own_space`).
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import combinations
from typing import Final

import msgspec
import pytest

from contracts import catalog, codec, codes
from contracts.messages.published import Change, Import
from contracts.messages.steps import ImportApplyStep, PatchStep, Step
from contracts.records import Record
from services.client import Follower
from tests.broker.chaos_blocks import Content, block_of, rows, size, whole
from tests.broker.chaos_sources import MARKER
from tests.broker.chaos_user import Patch, User
from tests.broker.space import Space
from tests.broker.system import PARTITIONS
from tests.simulation.replayed import Input, Replay, Rows

# How an import may end where nothing is wrong with its object, and somebody decides about what is held.
ENDS: Final = {"applied", "duplicate", "superseded", "aborted"}
CHANGE_TYPES: Final = {"audience.entered", "audience.exited"}


class Witness:
    """Reads the steps and the changes of a space as they are committed, from before its first."""

    def __init__(self, space: Space) -> None:
        self.input: list[Record] = []
        self.changes: list[Record] = []
        self._space = space

    @classmethod
    @asynccontextmanager
    async def of(cls, space: Space) -> AsyncIterator["Witness"]:
        """Reads within the block, and to the end of all when it is left in order."""
        witness = cls(space)
        topics = [catalog.INPUT, catalog.CHANGES]
        follower = await Follower.open(space.system.log, topics, witness._sink, from_end=True)
        reading = asyncio.create_task(_read(follower))
        try:
            yield witness
        finally:
            reading.cancel()
            await asyncio.wait((reading,))
        await follower.catch_up()
        await follower.close()

    @property
    def log(self) -> Input:
        """The steps and readings; raises `AssertionError` where the log itself is wrong."""
        return Input.of(self.input, PARTITIONS["membership"])

    async def again(self) -> "Witness":
        """What somebody sees who reads the changes only now."""
        other = Witness(self._space)
        follower = await Follower.open(self._space.system.log, [catalog.CHANGES], other._sink, from_end=False)
        await follower.catch_up()
        await follower.close()
        return other

    def _sink(self, record: Record) -> None:
        if codec.header(record.headers, "ce_spaceid") != self._space.name and record.key != self._space.name.encode():
            return
        if record.topic == catalog.INPUT:
            self.input.append(record)
        elif codec.header(record.headers, "ce_type") in CHANGE_TYPES:
            self.changes.append(record)


async def _read(follower: Follower) -> None:
    while True:
        await follower.pump()


async def check(user: User, witness: Witness) -> None:
    """Raises `AssertionError`."""
    log = witness.log
    imports(user)
    patches(user, log)
    events(user, log)
    readings(user, log)
    await same_again(witness)
    expected = [*_after_every_step(user, log)]
    membership(expected, witness.changes)
    for spoilt in (witness.changes[:-1], [*witness.changes, witness.changes[0]]):
        with pytest.raises(AssertionError):
            membership(expected, spoilt)


def imports(user: User) -> None:
    """Every file came to its end, none failed but a part that came after its set, and no version was taken twice."""
    taken: Counter[tuple[str, str | None, int | None]] = Counter()
    for one in user.space.observed.imports.values():
        lapsed = one.state == "failed" and one.error is not None and one.error.code == codes.IMPORT_MARKER_TIMEOUT.code
        assert one.state in ENDS or lapsed, one
        if one.object is not None and one.state not in {"duplicate", "failed"}:
            taken[one.object.key, one.object.etag, one.object.last_modified_ms] += 1
    markers = {folder + MARKER for folder in user.sets.parts}
    assert user.files.keys() <= {key for key, _, _ in taken} <= user.files.keys() | markers
    assert set(taken.values()) <= {1}, taken
    assert user.sets.all_heard_of()


def patches(user: User, log: Input) -> None:
    """The patch steps are the members commands, each once."""
    sent = Counter(user.patches.values())
    steps = Counter(_patch(parts) for parts in log.whole_steps(user.space.name) if isinstance(parts[0], PatchStep))
    assert steps == sent, (steps - sent, sent - steps)


def _patch(parts: Sequence[Step]) -> Patch:
    some = parts[0]
    assert isinstance(some, PatchStep)
    named = [one for part in parts if isinstance(part, PatchStep) for one in part.identifiers]
    return Patch(some.operation, some.audience_id, frozenset(whole(named)))


def events(user: User, log: Input) -> None:
    """Of each partition of the topic all events were taken, each once, in their order."""
    taken = sorted(event for records in log.events.values() for some in records for event in some)
    there: defaultdict[int, list[tuple[str, ...]]] = defaultdict(list)
    for (topic, partition, offset), *said in taken:
        assert (topic, offset) == (user.events.topic, len(there[partition]))
        there[partition].append(tuple(said))
    assert there == user.events.sent


def readings(user: User, log: Input) -> None:
    """What was applied of each file is what it says; of a marked set, so many whole files of it as its import tells."""
    applied = {
        (part.import_id, part.reading_id)
        for parts in log.whole_steps(user.space.name)
        for part in parts
        if isinstance(part, ImportApplyStep)
    }
    for import_id, reading_id in applied:
        one = user.space.observed.imports[import_id]
        read = log.readings[import_id, reading_id]
        assert any(rows(content) == read for content in _contents(user, one)), (one, read.total())


def _contents(user: User, one: Import) -> Iterator[Content]:
    """What an import may have read."""
    assert one.object is not None
    folder = one.object.key.removesuffix(MARKER)
    if folder not in user.sets.parts:
        yield user.files[one.object.key]
        return
    for some in combinations(user.sets.parts[folder], one.objects or 0):
        yield sum(some, Counter())


async def same_again(witness: Witness) -> None:
    """A reader who was there all the time has seen what can be read now, in the same order: nothing in part."""

    def by_partition(records: Sequence[Record]) -> Mapping[int, list[tuple[int, bytes | None]]]:
        found = defaultdict(list)
        for record in records:
            found[record.partition].append((record.offset, record.value))
        return found

    assert by_partition(witness.changes) == by_partition((await witness.again()).changes)


Members = Mapping[str, set[int]]
"""The blocks of each audience that has any."""


def _after_every_step(user: User, log: Input) -> Iterator[tuple[Step, Members]]:
    """The members of the naive model, to which a block is one identity."""
    replay = Replay(_in_blocks(log))
    for parts in log.whole_steps(user.space.name):
        replay.take([_in_block_names(part) for part in parts])
        yield parts[0], {name: set(map(int, blocks)) for name, blocks in replay.members.items() if blocks}


def membership(expected: Sequence[tuple[Step, Members]], records: Sequence[Record]) -> None:
    """After every step, the members are those expected: each block whole."""
    changes: defaultdict[int, list[Change]] = defaultdict(list)
    for record in records:
        change = codec.decode(record.value or b"", Change)
        changes[change.step].append(change)
    there: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for step, members in expected:
        for change in changes.pop(step.step, []):
            moved = Counter(map(block_of, change.members))
            there[change.audience_id] = _moved(there[change.audience_id], moved, entered=change.change == "entered")
        whole = {name: Counter({block: size(block) for block in blocks}) for name, blocks in members.items()}
        assert {name: blocks for name, blocks in there.items() if blocks} == whole, step
    assert not changes, f"changes of no step: {sorted(changes)}"


def _moved(before: Counter[int], moved: Counter[int], *, entered: bool) -> Counter[int]:
    return before + moved if entered else before - moved


def _in_blocks(log: Input) -> Input:
    """The same readings and events with a block as one identity."""
    readings = {key: _rows_in_blocks(read) for key, read in log.readings.items()}
    events = {
        place: [[event._replace(identity=_name(event.identity)) for event in some] for some in records]
        for place, records in log.events.items()
    }
    return Input(log.partitions, log.steps, readings, events)


def _rows_in_blocks(read: Rows) -> Rows:
    return Counter({(_name(identity), audience): 1 for identity, audience in read})


def _in_block_names(step: Step) -> Step:
    if not isinstance(step, PatchStep):
        return step
    return msgspec.structs.replace(step, identifiers=[*{*map(_name, step.identifiers)}])


def _name(identity: str) -> str:
    return str(block_of(identity))
