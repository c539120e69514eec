"""One space on one partition: takes its steps and rows in the order of the log and says what they do.

It decides which audiences a step concerns; what happens to one of them is decided in `audiences` and
`imports.application`. Raises `BrokenLog` where the log contradicts itself.
"""

from typing import Self

import numpy as np
from msgspec import UNSET
from pyroaring import BitMap

from contracts.instants import DAY_MS
from contracts.messages.published import Cause, Removal
from contracts.messages.results import Applied, Counted, Held, ReadingBroken, Result, Staged, Ticked, Weighed
from contracts.messages.steps import (
    ActivationStep,
    CountStep,
    DefinitionStep,
    ImportAbortStep,
    ImportApplyStep,
    ImportOpenStep,
    ImportWeighStep,
    PatchStep,
    RedriveStep,
    RowsHeader,
    RunStep,
    Seal,
    SnapshotStep,
    Step,
    StreamRowsHeader,
    TickStep,
)
from services.domain.membership.activations import Activations
from services.domain.membership.audiences.members import UNCHANGED, Audience, Difference, ListAudience
from services.domain.membership.audiences.register import Register
from services.domain.membership.broken_log import BrokenLog
from services.domain.membership.checkpoint.packing import Packing, Unpacking
from services.domain.membership.checkpoint.shape import SpaceSaved
from services.domain.membership.effects import Addressed, Effects, Snapshot
from services.domain.membership.identities.directory import Directory
from services.domain.membership.imports.application import apply_import, is_expired, is_superseded, removed_by
from services.domain.membership.imports.desk import Desk
from services.domain.membership.imports.staging import Wrong
from services.domain.membership.streams import Streams, patches
from services.domain.rows import EventBatch


class Space:
    """The state of one tenant on partition `partition` of `partitions`."""

    def __init__(self, space_id: str, partition: int, partitions: int) -> None:
        self._space_id = space_id
        self._partition = partition
        self._partitions = partitions
        self.step = 0  # the latest one taken
        self.at_ms = 0  # the space's time: where its latest step stood
        self.directory = Directory(partition, partitions)
        self._register = Register()
        self._desk = Desk()
        self._activations = Activations()
        self._streams = Streams()

    def saved(self, packing: Packing) -> SpaceSaved:
        return SpaceSaved(
            space_id=self._space_id,
            step=self.step,
            at_ms=self.at_ms,
            directory=self.directory.saved(packing),
            register=self._register.saved(packing),
            desk=self._desk.saved(packing),
            activations=self._activations.saved(packing, self._register.find),
            streams=self._streams.saved(),
        )

    @classmethod
    def restored(cls, saved: SpaceSaved, unpacking: Unpacking, partition: int, partitions: int) -> Self:
        space = cls(saved.space_id, partition, partitions)
        space.step, space.at_ms = saved.step, saved.at_ms
        space.directory = Directory.restored(saved.directory, unpacking, partition, partitions)
        space._register = Register.restored(saved.register, unpacking)
        space._desk = Desk.restored(saved.desk, unpacking)
        space._activations = Activations.restored(saved.activations, unpacking, space._register.find)
        space._streams = Streams.restored(saved.streams)
        return space

    def audiences(self) -> list[Audience]:
        """Those that are defined, by id; for looking only."""
        return self._register.all()

    def take(self, step: Step) -> Effects:
        """Does one step."""
        if step.step <= self.step:
            raise BrokenLog(f"step {step.step} of space {self._space_id} comes after step {self.step}")
        self.step, self.at_ms = step.step, step.at_ms
        return self._with_held(self._done(step))

    def _done(self, step: Step) -> Effects:
        match step:
            case DefinitionStep():
                if step.deleted:
                    self._desk.forget(step.audience_id)
                return self._register.define(step)
            case PatchStep():
                return self._patch(step)
            case ImportOpenStep():
                self._desk.open(step)
                return Effects()
            case ImportWeighStep():
                return self._weigh(step)
            case ImportApplyStep():
                return self._apply(step)
            case ImportAbortStep():
                self._desk.close(step.import_id)
                return Effects()
            case TickStep():
                return self._tick(step)
            case RunStep():
                return self._register.run(step.audiences, Cause("run", f"step-{step.step}"))
            case ActivationStep():
                return self._activations.relay(step, self._register.find(step.activation.audience_id))
            case RedriveStep():
                return self._redrive(step)
            case CountStep():
                return Effects(results=[self._counted(step)])
            case SnapshotStep():
                audience = self._register.find(step.audience_id)
                if audience is None:
                    return Effects()
                return Effects(snapshots=[Snapshot(step.snapshot_id, None, audience, audience.members)])

    def fresh(self, header: StreamRowsHeader, batch: EventBatch) -> EventBatch | None:
        """The events of a topic feed that were not taken yet; from here on they are."""
        return self._streams.fresh(header, batch)

    def events(self, header: StreamRowsHeader, batch: EventBatch) -> Effects:
        """Takes events as the patches that they are: later than every import that is open, earlier than the next."""
        taken = self._admitted(header, batch)
        effects = self._taken(header, taken) if len(taken) else Effects()
        effects.refused = len(batch) - len(taken)
        return effects

    def _admitted(self, header: StreamRowsHeader, batch: EventBatch) -> EventBatch:
        """All but those that would add somebody new where no more may be known."""
        if not self.directory.is_full(header.id_type, header.identities_max):
            return batch
        known = self.directory.known(header.id_type, batch.rows.identities)
        return batch.take(np.flatnonzero(known | ~batch.adds))

    def _taken(self, header: StreamRowsHeader, batch: EventBatch) -> Effects:
        ordinals = self.directory.intern(header.id_type, batch.rows.identities)
        differences: dict[str, Difference] = {}
        for audience_id, removed, added in patches(batch, ordinals):
            audience = self._register.find_list(audience_id)
            if audience is None or audience.id_type != header.id_type:
                continue  # deleted since
            for members, adds in ((removed, False), (added, True)):
                if members:
                    self._lay(audience, members, adds=adds, step=self.step + 1)
            difference = audience.settle_layers(removed | added)
            if difference:
                differences[audience_id] = difference
        return self._with_held(self._register.follow(differences, Cause("stream", header.feed_id)))

    def rows(self, header: RowsHeader, value: bytes) -> Result | None:
        """Stages a batch of rows."""
        wrong = self._desk.stage(header, value, self.directory)
        return None if wrong is None else self._broken(header.import_id, header.reading_id, wrong)

    def seal(self, seal: Seal) -> Result | None:
        """Ends a reading on this partition."""
        sealed = self._desk.seal(seal, self._register.layers)
        if sealed is None:
            return None
        if isinstance(sealed, Wrong):
            return self._broken(seal.import_id, seal.reading_id, sealed)
        return Staged(
            space_id=self._space_id,
            partition=self._partition,
            partitions=self._partitions,
            import_id=seal.import_id,
            reading_id=seal.reading_id,
            rows=sealed.rows,
            distinct=sealed.distinct(),
        )

    def _with_held(self, effects: Effects) -> Effects:
        """What it changes for activations that wait goes to control, which knows how large they have to be."""
        for activation_id, size, entered, exited in self._activations.held(effects):
            held = Held(
                space_id=self._space_id,
                partition=self._partition,
                partitions=self._partitions,
                activation_id=activation_id,
                step=self.step,
                size=size,
                entered=entered,
                exited=exited,
            )
            effects.results.append(held)
        return effects

    def _redrive(self, step: RedriveStep) -> Effects:
        audience = self._register.find(step.audience_id)
        if audience is None:
            return Effects()  # deleted since
        named = self.directory.bitmap(audience.id_type, step.identifiers)
        exited = Addressed(step.activation_id, audience, "exited", named - audience.members)
        entered = Addressed(step.activation_id, audience, "entered", named & audience.members)
        return Effects(after_marker=[exited, entered])

    def _patch(self, step: PatchStep) -> Effects:
        audience = self._register.find_list(step.audience_id)
        difference, refused = UNCHANGED, 0
        if audience is not None:
            named, refused = self._named(audience.id_type, step)
            difference = self._patch_list(audience, step, named)
        effects = self._register.follow({step.audience_id: difference} if difference else {}, _members(step))
        effects.results.append(self._applied(step, difference, refused=refused))
        return effects

    def _named(self, id_type: str, step: PatchStep) -> tuple[BitMap, int]:
        """Whom it names, but for the number of those who are new where no more may be known."""
        if not self.directory.is_full(id_type, step.identities_max):
            return self.directory.bitmap(id_type, step.identifiers), 0
        known = self.directory.known_bitmap(id_type, step.identifiers)
        return known, len(step.identifiers) - len(known)

    def _patch_list(self, audience: ListAudience, step: PatchStep, named: BitMap) -> Difference:
        if step.operation in ("replace", "clear"):
            day_ms = step.at_ms // DAY_MS * DAY_MS
            audience.layers.replace(named, order=self._desk.newest_opened, day_ms=day_ms, step=step.step)
            return audience.settle_layers()
        self._lay(audience, named, adds=step.operation == "add", step=step.step)
        return audience.settle_layers(named)

    def _lay(self, audience: ListAudience, members: BitMap, *, adds: bool, step: int) -> None:
        """Adds or removes, also on top of the imports that were opened before `step`."""
        self._desk.lay(step, audience.audience_id, adds=adds, members=members)
        if adds:
            audience.layers.add(members)
        else:
            audience.layers.remove(members, added_since=BitMap())

    def _weigh(self, step: ImportWeighStep) -> Effects:
        opened, reading = self._desk.choose(step)
        removals = {}
        for audience in map(self._register.find_list, step.audiences):
            if audience is not None and not is_superseded(audience, opened):
                since = self._desk.since(opened, audience.audience_id)
                removes = removed_by(audience, opened, reading, since, at_ms=step.at_ms)
                removals[audience.audience_id] = Removal(removes=removes, size=len(audience.members))
        weighed = Weighed(
            space_id=self._space_id,
            partition=self._partition,
            partitions=self._partitions,
            import_id=step.import_id,
            step=step.step,
            removals=removals,
        )
        return Effects(results=[weighed])

    def _apply(self, step: ImportApplyStep) -> Effects:
        opened, reading = self._desk.take(step)
        expired = is_expired(opened.step, step.at_ms)
        found = (self._register.find_list(audience_id) for audience_id in sorted(set(step.audiences)))
        audiences = [audience for audience in found if audience is not None]  # what is deleted meanwhile is no more
        superseded = [audience.audience_id for audience in audiences if is_superseded(audience, opened)]
        differences: dict[str, Difference] = {}
        for audience in audiences:
            if expired or audience.audience_id in superseded:
                continue
            since = self._desk.since(opened, audience.audience_id)
            differences[audience.audience_id] = apply_import(audience, opened, reading, since, at_ms=step.at_ms)
            if opened.step.mode == "remove":
                named = reading.members(audience.id_type, audience.audience_id)
                self._desk.lay(opened.step.step, audience.audience_id, adds=False, members=named)
        self._desk.close(step.import_id)
        effects = self._register.follow(differences, Cause("import", step.import_id))
        effects.results.append(self._applied(step, *differences.values(), superseded=superseded, expired=expired))
        return effects

    def _counted(self, step: CountStep) -> Counted:
        audience = self._register.find(step.audience_id)
        return Counted(
            space_id=self._space_id,
            partition=self._partition,
            partitions=self._partitions,
            step=step.step,
            size=0 if audience is None else len(audience.members),
        )

    def _tick(self, step: TickStep) -> Effects:
        differences = {}
        for audience in self._register.lists():
            gone = audience.layers.expire(step.at_ms)
            if gone:
                differences[audience.audience_id] = audience.settle_layers(gone)
                audience.share()
        effects = self._register.follow(differences, Cause("expiry", f"step-{step.step}"))
        ticked = Ticked(
            space_id=self._space_id,
            partition=self._partition,
            partitions=self._partitions,
            step=step.step,
            at_ms=step.at_ms,
        )
        effects.results.append(ticked)
        return effects

    def _applied(
        self,
        step: PatchStep | ImportApplyStep,
        *differences: Difference,
        superseded: list[str] | None = None,
        refused: int = 0,
        expired: bool = False,
    ) -> Applied:
        return Applied(
            space_id=self._space_id,
            partition=self._partition,
            partitions=self._partitions,
            import_id=step.import_id,
            step=step.step,
            entered=sum(len(difference.entered) for difference in differences),
            exited=sum(len(difference.exited) for difference in differences),
            superseded=superseded or [],
            refused=refused or UNSET,
            expired=expired,
        )

    def _broken(self, import_id: str, reading_id: str, wrong: Wrong) -> ReadingBroken:
        return ReadingBroken(
            space_id=self._space_id,
            partition=self._partition,
            partitions=self._partitions,
            import_id=import_id,
            reading_id=reading_id,
            detail=wrong.detail,
            code=wrong.code,
        )


def _members(step: PatchStep) -> Cause:
    return Cause("members", step.import_id)
