"""The fold of one control shard: every record that can change a space, in one order (architecture.md §3).

`ControlShard` is a `Fold` by structure. Which record means what stands here; what it does stands in the modules that
it calls.
"""

from collections.abc import Iterable, Iterator, Sequence

from contracts import catalog, codec, codes
from contracts.catalog import TopicSpec
from contracts.codec import Unreadable
from contracts.ids import made_id
from contracts.instants import instant_text
from contracts.messages.control_state import ControlState
from contracts.messages.delivery import Delivered, LaneState, ListCleared, ListMade, Outcome, Reported, Routed, Verified
from contracts.messages.entities import CatalogueEntity
from contracts.messages.intake import IntakeEvent, ObjectAnnounced, ReadingFailed, ReadingFinished, ReadingProgress
from contracts.messages.published import ActivationStatus
from contracts.messages.results import Applied, Counted, Held, ReadingBroken, Result, Staged, Ticked, Weighed
from contracts.partitioning import space_partition
from contracts.records import Out, Record
from services.domain.control import activations, announcements, guard, imports, outcomes, readings, sets, verifications
from services.domain.control.access import check_allowed, sender_of
from services.domain.control.answer import rejected
from services.domain.control.approval import approve, remembered
from services.domain.control.clock import settle
from services.domain.control.command import Refused, addressee, read_command, read_envelope
from services.domain.control.config import ShardConfig
from services.domain.control.deferred import counted, reached
from services.domain.control.effects import Effects
from services.domain.control.space_state import SpaceState
from services.domain.control.turn import Turn

TOPICS = (catalog.INTAKE_EVENTS, catalog.RESULTS, catalog.OUTCOMES)  # besides the topics of commands
_FORWARDED = "usher-forwarded"


class ControlShard:
    """The spaces of one shard. `spaces` are those that were restored."""

    def __init__(self, config: ShardConfig, spaces: Iterable[SpaceState] = ()) -> None:
        self._config = config
        self._spaces = {space.space_id: space for space in spaces}
        self._due: dict[str, int] = {}
        self._touched: dict[str, None] = {}
        for space_id in self._spaces:
            self._note_due(space_id)

    def handle(self, records: Sequence[Record], now_ms: int) -> Iterator[Out | TopicSpec]:
        """See `Fold`. Changed catalogue entries, statuses and state are written once, after everything else.

        All is decided before the first record is yielded: the transaction, which hides later records of everybody on
        its partitions, is open only while it is written.
        """
        effects = Effects(self._config)
        self._touched = {}
        for record in records:
            self._fold(record, effects, now_ms)
        for space_id in sorted(one for one, due_ms in self._due.items() if due_ms <= now_ms):
            self._do_due(self._turn(self._spaces[space_id], effects, now_ms))
        for space_id in self._touched:
            if space_id in self._spaces:
                imports.ask_queued(Turn(self._spaces[space_id], effects, self._config, now_ms))
                self._write_changes(self._spaces[space_id], effects, now_ms)
                self._note_due(space_id)
        yield from effects.drain()

    def due_ms(self) -> int | None:
        """See `Fold`."""
        return min(self._due.values(), default=None)

    def waiting(self) -> Iterator[ActivationStatus]:
        """The status of each activation for which members wait, in no order."""
        for space in self._spaces.values():
            for delivering in space.deliveries.unordered():
                if delivering.status.lag_records:
                    yield delivering.status

    def _fold(self, record: Record, effects: Effects, now_ms: int) -> None:
        try:
            match record.topic:
                case catalog.INTAKE_EVENTS:
                    self._event(record, effects, now_ms)
                case catalog.RESULTS:
                    self._result(record, effects, now_ms)
                case catalog.OUTCOMES:
                    self._outcome(record, effects, now_ms)
                case _:
                    assert record.topic in self._config.command_senders, record.topic
                    self._command(record, effects, now_ms)
        except Unreadable as error:
            effects.put(self._config.dead_letter(record, codes.RECORD_UNREADABLE, error.detail))

    def _command(self, record: Record, effects: Effects, now_ms: int) -> None:
        try:
            event = read_envelope(record)
            space_id = event.space_id or ""
            if self._forward(record, space_id, effects):
                return
            command = read_command(record, event)
            state = self._spaces.get(space_id) or SpaceState.fresh(space_id, now_ms)
            turn = self._turn(state, effects, now_ms)
            self._do_due(turn)
            sender = sender_of(record, self._config.command_senders, state.catalogue.principals, remembered(turn))
            check_allowed(sender, command.type)
            approve(turn, command, sender)
            if state.catalogue.space is not None:  # nothing is remembered of a space that never was
                self._spaces[space_id] = state
        except Refused as error:
            self._refuse(record, error, effects, now_ms)

    def _forward(self, record: Record, space_id: str, effects: Effects) -> bool:
        """Whether the command is for another shard and was written on; a sender may choose partitions otherwise."""
        home = space_partition(space_id, self._config.control_partitions)
        if home == self._config.shard:
            return False
        if codec.header(record.headers, _FORWARDED) is not None:
            raise Refused(codes.SPACE_MISMATCH, "forwarded to a shard that is not the space's: partition counts differ")
        headers = (*record.headers, (_FORWARDED, b"1"))
        effects.put(Out(record.topic, record.key, record.value, headers, home))
        return True

    def _refuse(self, record: Record, error: Refused, effects: Effects, now_ms: int) -> None:
        effects.put(self._config.dead_letter(record, error.code, error.detail))
        to = addressee(record)
        if to.space_id is None:
            return
        place = (record.topic, record.partition, record.offset)
        at = instant_text(now_ms)
        reply = rejected(error.code, error.detail, at, to.trace_id)
        effects.reply(
            to.space_id,
            codec.encode(reply),
            id_=made_id("rep", *place),
            command_topic=record.topic,
            command_type=to.command_type,
            command_id=to.command_id,
            at=at,
        )

    def _event(self, record: Record, effects: Effects, now_ms: int) -> None:
        event: IntakeEvent = codec.decode(record.value or b"", IntakeEvent)  # type: ignore[arg-type]  # a union
        turn = self._turn_of(record, event.space_id, effects, now_ms)
        if turn is None:
            return
        match event:
            case ObjectAnnounced():
                feed = turn.state.catalogue.feeds.get(event.feed_id)
                if feed is None or not feed.enabled:
                    detail = f"feed {event.feed_id[:64]} is {'disabled' if feed else 'gone'}"
                    effects.put(self._config.dead_letter(record, codes.NO_FEED_FOR_OBJECT, detail))
                else:
                    announcements.announced(turn, event, feed)
            case ReadingFinished():
                readings.finished(turn, event)
            case ReadingFailed():
                readings.failed(turn, event)
            case ReadingProgress():
                readings.progressed(turn, event)

    def _result(self, record: Record, effects: Effects, now_ms: int) -> None:
        result: Result = codec.decode(record.value or b"", Result)  # type: ignore[arg-type]  # a union
        turn = self._turn_of(record, result.space_id, effects, now_ms)
        if turn is None:
            return
        match result:
            case Staged():
                readings.staged(turn, result)
            case ReadingBroken():
                readings.broken(turn, result)
            case Weighed():
                guard.weighed(turn, result)
            case Applied():
                readings.applied(turn, result)
            case Held():
                activations.held(turn, result)
            case Ticked():
                reached(turn, result.partition, result.step)
            case Counted():
                counted(turn, result)

    def _outcome(self, record: Record, effects: Effects, now_ms: int) -> None:
        outcome: Outcome = codec.decode(record.value or b"", Outcome)  # type: ignore[arg-type]  # a union
        turn = self._turn_of(record, outcome.space_id, effects, now_ms)
        if turn is None:
            return
        match outcome:
            case Routed():
                outcomes.routed(turn, outcome)
            case Delivered():
                outcomes.delivered(turn, outcome)
            case LaneState():
                outcomes.lane_changed(turn, outcome)
            case Verified():
                verifications.answered(turn, outcome)
            case Reported():
                outcomes.reported(turn, outcome)
            case ListCleared():
                outcomes.list_cleared(turn, outcome)
            case ListMade():
                outcomes.list_made(turn, outcome)

    def _turn(self, state: SpaceState, effects: Effects, now_ms: int) -> Turn:
        self._touched[state.space_id] = None
        return Turn(state, effects, self._config, now_ms)

    def _turn_of(self, record: Record, space_id: str, effects: Effects, now_ms: int) -> Turn | None:
        """A turn on a space that is known; what another service says about any other goes to dead letters."""
        state = self._spaces.get(space_id)
        if state is None:
            effects.put(self._config.dead_letter(record, codes.SPACE_UNKNOWN, "not a space of this shard"))
            return None
        turn = self._turn(state, effects, now_ms)
        self._do_due(turn)
        return turn

    def _do_due(self, turn: Turn) -> None:
        """Time first: whatever comes now comes after what was due before it. Nothing gets due within a batch."""
        if self._due.get(turn.space_id, turn.now_ms + 1) > turn.now_ms:
            return
        if turn.state.catalogue.space is not None and not turn.state.is_manual:
            settle(turn, turn.now_ms)
        imports.overdue(turn)
        sets.settle(turn)
        verifications.overdue(turn)

    def _write_changes(self, state: SpaceState, effects: Effects, now_ms: int) -> None:
        at = instant_text(state.time_ms(now_ms))
        forms = state.catalogue.forms
        for kind, id_, entity in state.catalogue.drain():
            if entity is None:
                effects.entity(state.space_id, kind, id_, None, at)
            else:
                effects.entity(state.space_id, kind, id_, forms.of(entity), entity.updated_at)
        forms.forget()
        for status in outcomes.changed_statuses(state):
            effects.activation_status(status)
        for tag, id_, entry in state.drain():
            effects.state(state.space_id, tag, id_, entry, at)

    def _note_due(self, space_id: str) -> None:
        due_ms = self._spaces[space_id].due_ms()
        if due_ms is None:
            self._due.pop(space_id, None)
        else:
            self._due[space_id] = due_ms


def restored(config: ShardConfig, entities: Iterable[CatalogueEntity], entries: Iterable[ControlState]) -> ControlShard:
    """The shard whose catalogue and state records these are (the newest of each key, nulls left out)."""
    spaces: dict[str, SpaceState] = {}
    for entry in sorted(entries, key=lambda one: getattr(one, "sequence", 0)):
        if entry.space_id not in spaces:
            spaces[entry.space_id] = SpaceState.fresh(entry.space_id, 0)
        spaces[entry.space_id].load(entry)
    for entity in entities:
        spaces[entity.space_id].load_entity(entity)
    return ControlShard(config, spaces.values())
