"""One partition of the membership input, folded: the door of membership. A `Fold` by structure.

Its output is a function of its log alone: not of the clock, not of how records are cut into batches. An unreadable
batch of rows fails its reading; an unreadable step raises `BrokenLog`, because skipping it would make partitions
disagree, and so do unreadable events of a topic feed, which nobody would send again.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from contracts import codec, codes
from contracts.codes import Code
from contracts.messages.results import Result
from contracts.messages.steps import RowsHeader, Seal, Step
from contracts.records import Out, Record
from services.domain.membership.broken_log import BrokenLog
from services.domain.membership.checkpoint.packing import Packing, Unpacking
from services.domain.membership.checkpoint.shape import MembershipPartitionSaved
from services.domain.membership.effects import Effects
from services.domain.membership.records import Place, StepWriter
from services.domain.membership.space import Space
from services.domain.rows import decode_events, read_rows_header, read_stream_header

StageName = Literal["stage", "apply", "encode"]
DeadLetter = Callable[[Record, Code, str], Out]
"""Makes the dead letter of a record, with a code and a detail that holds no identifiers."""


class MembershipPartition:
    """Who is in which audience, for the identities whose home this partition is. Starts empty, at offset 0.

    `stage_ended` is told where a stage ends: rows of a reading interned and staged, a step or events applied, records
    of what they changed encoded. It changes nothing, and its owner may put another in its place.
    """

    def __init__(self, partition: int, *, partitions: int, results_partitions: int, dead_letter: DeadLetter) -> None:
        self.stage_ended: Callable[[StageName], None] = _nobody_listens
        self._place = Place(partition, partitions, results_partitions)
        self._dead_letter = dead_letter
        self._spaces: dict[str, Space] = {}

    def saved(self, packing: Packing) -> MembershipPartitionSaved:
        """All of it, between two folds; where it stands in the log and among partitions is not its own to say."""
        spaces = {space_id: space.saved(packing) for space_id, space in sorted(self._spaces.items())}
        return MembershipPartitionSaved(spaces)

    def restore(self, saved: MembershipPartitionSaved, unpacking: Unpacking) -> None:
        """Makes a fresh partition what the saved one was."""
        assert not self._spaces
        for space_id, space in saved.spaces.items():
            self._spaces[space_id] = Space.restored(space, unpacking, self._place.partition, self._place.partitions)

    def space(self, space_id: str) -> Space | None:
        """What is kept of a space; None where nothing of it has come."""
        return self._spaces.get(space_id)

    def known(self) -> int:
        """How many identities it knows, over all spaces and id types."""
        return sum(sum(space.directory.counts().values()) for space in self._spaces.values())

    def identities_bytes(self) -> int:
        """What these take in memory: values and the slots that find them."""
        return sum(space.directory.size_bytes() for space in self._spaces.values())

    def handle(self, records: Sequence[Record], now_ms: int) -> Iterator[Out]:  # noqa: ARG002 - time comes from steps
        """Changes as they come, then the sizes and results of all records. Draining it is what changes the state."""
        closing: list[Out] = []
        for record in records:
            assert record.partition == self._place.partition
            try:
                yield from self._fold(record, closing)
            except BrokenLog as error:
                raise BrokenLog(f"{record.topic}/{record.partition} at offset {record.offset}: {error}") from None
        yield from closing

    def due_ms(self) -> int | None:
        """Never: what is due comes as a tick in the log."""
        return None

    def _fold(self, record: Record, closing: list[Out]) -> Iterator[Out]:
        match codec.header(record.headers, "ce_type"):
            case "step":
                yield from self._step(record, closing)
            case "rows":
                self._rows(record, closing)
            case "seal":
                self._seal(record, closing)
            case "stream-rows":
                yield from self._events(record, closing)
            case other:
                raise BrokenLog(f"a record of the unknown type {other!r}")

    def _step(self, record: Record, closing: list[Out]) -> Iterator[Out]:
        try:
            step: Step = codec.decode(record.value or b"", Step)  # type: ignore[arg-type]  # a union is decoded by its tags
        except codec.Unreadable as error:
            raise BrokenLog(f"a step that can't be read: {error.detail}") from None
        space = self._spaces.get(step.space_id)
        if space is None:
            space = Space(step.space_id, self._place.partition, self._place.partitions)
            self._spaces[step.space_id] = space
        effects = space.take(step)
        self.stage_ended("apply")
        yield from self._written(self._writer(space, step.space_id), effects, closing)

    def _events(self, record: Record, closing: list[Out]) -> Iterator[Out]:
        """Applied where they stand. What they change bears the id of the first event that was not taken before."""
        try:
            header = read_stream_header(record.headers)
            batch = decode_events(record.value or b"", header)
        except ValueError as error:
            raise BrokenLog(f"events of a topic feed that can't be read: {error}") from None
        space = self._spaces.get(header.space_id)
        fresh = None if space is None else space.fresh(header, batch)
        if space is None or fresh is None:
            return
        effects = space.events(header, fresh)
        self.stage_ended("apply")
        at_ms = max(space.at_ms, header.at_ms or 0)
        source = f"{header.feed_id}.{header.topic}.{header.partition}.{fresh.offsets[0]}"
        writer = StepWriter(self._place, header.space_id, space.step, at_ms, space.directory.spelled, source=source)
        yield from self._written(writer, effects, closing)
        if effects.refused:
            refused = f"{effects.refused} of {len(fresh)} events of feed {header.feed_id} add new {header.id_type}"
            whence = f"{header.topic}/{header.partition}, offsets {fresh.offsets[0]} to {fresh.offsets[-1]}"
            closing.append(self._dead_letter(record, codes.IDENTITIES_TOO_MANY, f"{refused}: {whence}"))

    def _written(self, writer: StepWriter, effects: Effects, closing: list[Out]) -> Iterator[Out]:
        for out in writer.stream(effects):
            self.stage_ended("encode")
            yield out
        closing.extend(writer.closing(effects))
        self.stage_ended("encode")

    def _rows(self, record: Record, closing: list[Out]) -> None:
        try:
            header = read_rows_header(record.headers)
        except ValueError as error:
            raise BrokenLog(f"rows of no reading: {error}") from None
        space = self._spaces.get(header.space_id)
        result = None if space is None else space.rows(header, record.value or b"")
        if space is not None and result is not None:
            closing.append(self._of_reading(space, header, result))
        self.stage_ended("stage")

    def _seal(self, record: Record, closing: list[Out]) -> None:
        try:
            seal = codec.decode(record.value or b"", Seal)
        except codec.Unreadable as error:
            raise BrokenLog(f"a seal that can't be read: {error.detail}") from None
        space = self._spaces.get(seal.space_id)
        result = None if space is None else space.seal(seal)
        if space is not None and result is not None:
            closing.append(self._of_reading(space, seal, result))
        self.stage_ended("stage")

    def _of_reading(self, space: Space, about: RowsHeader | Seal, result: Result) -> Out:
        event_id = f"{about.space_id}.{about.import_id}.{about.reading_id}.{self._place.partition}"
        return self._writer(space, about.space_id).result(result, event_id)

    def _writer(self, space: Space, space_id: str) -> StepWriter:
        return StepWriter(self._place, space_id, space.step, space.at_ms, space.directory.spelled)


def _nobody_listens(stage: StageName) -> None: ...
