"""What must hold after chaos: the log of steps says what was meant, and the changes say what the naive model makes of it.

Besides these, every space ends with an audit of all that can be seen from outside (`space.own_space`).
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from contracts import catalog, codec
from contracts.messages.published import Change
from contracts.messages.steps import ImportApplyStep, PatchStep, Step
from contracts.records import Record
from services.client import Follower
from tests.broker.chaos_user import BLOCK, Patch, User, block_of
from tests.broker.space import Space
from tests.broker.system import PARTITIONS
from tests.simulation.replayed import Input, Replay

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
    await same_again(witness)
    membership(user, log, witness.changes)


def imports(user: User) -> None:
    """Every file came to its end, none failed, and no version of one was taken twice."""
    taken: Counter[tuple[str, str | None, int | None]] = Counter()
    for one in user.space.observed.imports.values():
        assert one.state in ENDS, one
        if one.object is not None and one.state != "duplicate":
            taken[one.object.key, one.object.etag, one.object.last_modified_ms] += 1
    assert {key for key, _, _ in taken} == user.files.keys()
    assert set(taken.values()) <= {1}, taken


def patches(user: User, log: Input) -> None:
    """The patch steps are the members commands, each once."""
    sent = Counter(user.patches.values())
    steps = Counter(_patch(parts) for parts in log.whole_steps(user.space.name) if isinstance(parts[0], PatchStep))
    assert steps == sent, (steps - sent, sent - steps)


def _patch(parts: Sequence[Step]) -> Patch:
    some = parts[0]
    assert isinstance(some, PatchStep)
    named = [one for part in parts if isinstance(part, PatchStep) for one in part.identifiers]
    return Patch(some.operation, some.audience_id, frozenset(_whole(named)))


def _whole(named: Iterable[str]) -> set[int]:
    """The blocks that these identities are, each whole."""
    blocks = Counter(map(block_of, named))
    assert set(blocks.values()) <= {BLOCK}, blocks
    return set(blocks)


async def same_again(witness: Witness) -> None:
    """A reader who was there all the time has seen what can be read now, in the same order: nothing in part."""

    def by_partition(records: Sequence[Record]) -> Mapping[int, list[tuple[int, bytes | None]]]:
        found = defaultdict(list)
        for record in records:
            found[record.partition].append((record.offset, record.value))
        return found

    assert by_partition(witness.changes) == by_partition((await witness.again()).changes)


def membership(user: User, log: Input, records: Sequence[Record]) -> None:
    """After every step, the members are those of the naive model: each block whole."""
    changes: defaultdict[int, list[Change]] = defaultdict(list)
    for record in records:
        change = codec.decode(record.value or b"", Change)
        changes[change.step].append(change)
    replay = Replay(_in_blocks(user, log))
    there: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for parts in log.whole_steps(user.space.name):
        replay.take([_in_block_names(part) for part in parts])
        for change in changes.pop(parts[0].step, []):
            moved = Counter(map(block_of, change.members))
            there[change.audience_id] = _moved(there[change.audience_id], moved, entered=change.change == "entered")
        members = {name: {_name(block) for block in blocks} for name, blocks in there.items() if blocks}
        assert members == {name: blocks for name, blocks in replay.members.items() if blocks}, parts[0]
        assert all(set(blocks.values()) <= {BLOCK} for blocks in there.values()), (parts[0], there)
    assert not changes, f"changes of no step: {sorted(changes)}"


def _moved(before: Counter[int], moved: Counter[int], *, entered: bool) -> Counter[int]:
    return before + moved if entered else before - moved


def _in_blocks(user: User, log: Input) -> Input:
    """The same readings with a block as one identity; each holds what its file does."""
    keys = {one.import_id: one.object.key for one in user.space.observed.imports.values() if one.object is not None}
    readings = {}
    applied = {
        (part.import_id, part.reading_id)
        for parts in log.whole_steps(user.space.name)
        for part in parts
        if isinstance(part, ImportApplyStep)
    }
    for import_id, reading_id in applied:
        content = user.files[keys[import_id]]
        rows = log.readings[import_id, reading_id]
        assert rows.total() == content.total() * BLOCK, (keys[import_id], rows.total())
        times = {(block_of(identity), audience, count) for (identity, audience), count in rows.items()}
        assert times == {(*named, count) for named, count in content.items()}, keys[import_id]
        readings[import_id, reading_id] = Counter({(_name(block), audience): 1 for block, audience in content})
    return Input(log.partitions, log.steps, readings)


def _in_block_names(step: Step) -> Step:
    if not isinstance(step, PatchStep):
        return step
    return msgspec.structs.replace(step, identifiers=[_name(block) for block in {*map(block_of, step.identifiers)}])


def _name(block: int) -> str:
    return f"block {block}"
