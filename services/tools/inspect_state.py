"""What `usher inspect` asks of others: membership's state (a process of its own), the catalogue, changes and imports.

Changes and imports are read as any reader of the public topics would; nothing is joined, nothing is written.
"""

import asyncio
import sys
from collections.abc import Sequence
from functools import partial

import msgspec

from contracts import codec
from contracts.catalog import CATALOGUE, CHANGES, IMPORTS
from contracts.messages.entities import Audience, CatalogueEntity, Space
from contracts.messages.published import Change, Import
from contracts.records import Record, TopicPartition
from services.client import Follower, TopicMissing
from services.client.follower import Sink
from services.domain.membership.inspection import Answer, Question
from services.runtime.catalogue_index import CatalogueIndex
from services.runtime.log import Log
from services.tools.failed import CallFailed
from services.tools.inspected import Event, History

_MEMBERSHIP = "services.membership.inspect"
_CHANGES = frozenset({"audience.entered", "audience.exited"})


async def asked(question: Question) -> Answer:
    """The answer of membership's own code; raises `CallFailed` with what to do."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", _MEMBERSHIP, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        body, _ = await process.communicate(msgspec.json.encode(question))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise CallFailed(f"the state could not be looked at: {_MEMBERSHIP} ended with {process.returncode}, see above")
    answer = msgspec.json.decode(body, type=Answer)
    if answer.failed is not None:
        raise CallFailed(answer.failed)
    return answer


class Catalogue:
    """The present entities of one space."""

    def __init__(self, index: CatalogueIndex, space_id: str) -> None:
        self._index = index
        self._space_id = space_id

    @classmethod
    async def read(cls, log: Log, space_id: str) -> "Catalogue":
        """Raises `CallFailed` where there is no such space."""
        index = CatalogueIndex()
        await _all_of(log, await _places(log, CATALOGUE), partial(_put, index))
        if index.get(Space, space_id, space_id) is None:
            known = ", ".join(sorted(space.space_id for space in index.all(Space))) or "none yet"
            raise CallFailed(f"there is no space {space_id!r}; there are: {known}")
        return cls(index, space_id)

    def audience(self, reference: str) -> Audience:
        """By id, external id or name; raises `CallFailed`."""
        found = self._index.resolve(Audience, self._space_id, reference)
        if found is None:
            raise CallFailed(f"space {self._space_id} has no audience {reference!r}, neither as id nor as name")
        return found

    def name_of(self, audience_id: str) -> str:
        """The id itself where it is deleted."""
        found = self._index.get(Audience, self._space_id, audience_id)
        return audience_id if found is None else found.name

    def id_types(self) -> list[str]:
        """Of its audiences."""
        return sorted({audience.id_type for audience in self._index.all(Audience, self._space_id)})


async def history(log: Log, partition: int, space_id: str, id_type: str, identifier: str) -> History:
    """Reads all changes of the identity's home that are kept."""
    place = TopicPartition(CHANGES, partition)
    begin = (await log.begin_offsets([place]))[place]
    named = msgspec.json.encode(identifier)
    events: list[Event] = []
    kept_from: str | None = None

    def take(record: Record) -> None:
        nonlocal kept_from
        if begin and kept_from is None:
            kept_from = codec.header(record.headers, "ce_time")
        if named not in (record.value or b"") or codec.header(record.headers, "ce_spaceid") != space_id:
            return
        if codec.header(record.headers, "ce_type") in _CHANGES:
            change = codec.decode(record.value or b"", Change)
            if change.id_type == id_type and identifier in change.members:
                events.append(_event(change))

    await _all_of(log, [place], take)
    return History(events=events, kept_from=kept_from)


async def imports(log: Log, space_id: str, wanted: set[str]) -> dict[str, Import]:
    """Those of these ids that the topic still has."""
    found: dict[str, Import] = {}
    keys = {f"{space_id}/{import_id}".encode(): import_id for import_id in wanted}

    def take(record: Record) -> None:
        import_id = keys.get(record.key or b"")
        if import_id is not None and record.value is not None:
            found[import_id] = codec.decode(record.value, Import)

    if wanted:
        await _all_of(log, await _places(log, IMPORTS), take)
    return found


def _event(change: Change) -> Event:
    return Event(
        at=change.at, step=change.step, audience_id=change.audience_id, change=change.change, cause=change.cause
    )


async def _places(log: Log, topic: str) -> list[TopicPartition]:
    count = await log.partitions(topic)
    if not count:
        raise TopicMissing(f"there is no topic {topic}: run `usher topics` first")
    return [TopicPartition(topic, number) for number in range(count)]


async def _all_of(log: Log, places: Sequence[TopicPartition], sink: Sink) -> None:
    follower = Follower(log, await log.reader(places), places, sink)
    try:
        await follower.catch_up()
    finally:
        await follower.close()


def _put(index: CatalogueIndex, record: Record) -> None:
    key = (record.key or b"").decode()
    if record.value is None:
        index.remove(key)
    else:
        index.put(key, codec.decode(record.value, CatalogueEntity))  # type: ignore[arg-type]  # decoded by its tags
