"""The router: one partition of membership changes becomes records of delivery queues (architecture.md §7).

What it needs to know comes to it in the log that it routes: the activation markers at their place among the changes.
It writes deliveries, what it counted (`Routed`), and its own state, all within the transaction of the fold loop.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from contracts import catalog, codec, codes
from contracts.catalog import TopicSpec
from contracts.instants import instant_text
from contracts.messages.delivery import Routed, RouterState
from contracts.messages.published import ActivationDifference, ActivationMarker, Change, Snapshot
from contracts.partitioning import space_partition
from contracts.records import Out, Record
from services.domain.delivery.queues import SOURCE, Operation, Queues

Refuse = Callable[[Record, str], Out]
"""Makes the dead letter of a record that can't be read, with a detail that holds no identifiers."""

WANTED: Final[dict[str, frozenset[Operation]]] = {
    "audience_entered": frozenset({"add"}),
    "audience_exited": frozenset({"remove"}),
    "audience_membership_changed": frozenset({"add", "remove"}),
}
"""What a destination is told, by activation type."""
_OPERATION: Final[dict[str, Operation]] = {"entered": "add", "exited": "remove"}


def router_state_key(partition: int, space_id: str, activation_id: str) -> bytes:
    """The key of a `RouterState` record."""
    return f"{partition}/{space_id}/{activation_id}".encode()


@dataclass(slots=True)
class _Tally:
    """What one handled batch held for one activation, in members."""

    changes: int = 0
    dropped: int = 0
    ended_step: int = 0


class RouterPartition:
    """The running activations of one partition of the changes: a `Fold` by structure.

    `running` is what the state topic holds for this partition; `queue_partitions` is how many partitions every
    delivery queue has, `outcome_partitions` how many the outcomes have.
    """

    def __init__(
        self,
        partition: int,
        *,
        running: Iterable[RouterState],
        queue_partitions: int,
        outcome_partitions: int,
        refuse: Refuse,
    ) -> None:
        assert outcome_partitions > 0
        self._partition = partition
        self._queues = Queues(partition, queue_partitions)
        self._outcome_partitions = outcome_partitions
        self._refuse = refuse
        self._running: dict[tuple[str, str], RouterState] = {}
        self._by_audience: dict[tuple[str, str], dict[str, RouterState]] = {}
        for state in running:
            self._keep(state)

    def handle(self, records: Sequence[Record], now_ms: int) -> Iterator[Out | TopicSpec]:
        """Deliveries and state in the order of the records, then one `Routed` for each activation concerned."""
        tallies: dict[tuple[str, str], _Tally] = {}
        for record in records:
            assert record.partition == self._partition
            try:
                yield from self._fold(record, tallies)
            except codec.Unreadable as error:
                yield self._refuse(record, error.detail)
        if tallies:
            yield from self._outcomes(tallies, records[-1].offset + 1, now_ms)

    def due_ms(self) -> int | None:
        """Never: everything that happens to an activation is in the log."""
        return None

    def _fold(self, record: Record, tallies: dict[tuple[str, str], _Tally]) -> Iterator[Out]:
        kind, _, name = (codec.header(record.headers, "ce_type") or "").partition(".")
        if kind == "audience" and name in _OPERATION:
            yield from self._route_change(record, tallies)
        elif kind == "audience" and name == "snapshot":
            yield from self._route_addressed(record, codec.decode(record.value or b"", Snapshot), tallies)
        elif kind == "audience" and name == "difference":
            yield from self._route_addressed(record, codec.decode(record.value or b"", ActivationDifference), tallies)
        elif kind == "activation":
            yield from self._mark(record, codec.decode(record.value or b"", ActivationMarker), tallies)

    def _route_change(self, record: Record, tallies: dict[tuple[str, str], _Tally]) -> Iterator[Out]:
        space_id = codec.header(record.headers, "ce_spaceid") or ""
        audience_id = codec.header(record.headers, "ce_subject") or ""
        activations = self._by_audience.get((space_id, audience_id))
        if not activations:
            return  # most changes of most spaces: nothing of the value was read
        change = codec.decode(record.value or b"", Change)
        operation = _OPERATION[change.change]
        for state in activations.values():
            if state.waiting:
                continue  # the difference that it goes on with will have this change
            # An activation type that this version doesn't know must never become a removal.
            wanted = not state.paused and operation in WANTED.get(state.activation.activation_type, frozenset())
            yield from self._route(record, state, change, operation, wanted=wanted, tallies=tallies)

    def _route_addressed(
        self, record: Record, said: Snapshot | ActivationDifference, tallies: dict[tuple[str, str], _Tally]
    ) -> Iterator[Out]:
        """What one activation alone is sent to bring its destination up to date, paused or not."""
        state = self._running.get((said.space_id, said.activation_id or ""))
        if state is None:
            return  # asked by a command, or by an activation that has ended since
        operation: Operation = "add" if isinstance(said, Snapshot) else _OPERATION[said.change]
        wanted = operation in WANTED.get(state.activation.activation_type, frozenset())
        yield from self._route(record, state, said, operation, wanted=wanted, tallies=tallies)

    def _route(
        self,
        record: Record,
        state: RouterState,
        said: Change | Snapshot | ActivationDifference,
        operation: Operation,
        *,
        wanted: bool,
        tallies: dict[tuple[str, str], _Tally],
    ) -> Iterator[Out]:
        activation = state.activation
        change_id = codec.header(record.headers, "ce_id")
        if change_id is None:
            raise codec.Unreadable(codes.NOT_A_CLOUDEVENT, "the record has no ce_id")
        tally = tallies.setdefault((state.space_id, activation.activation_id), _Tally())
        tally.changes += len(said.members)
        if not wanted:
            tally.dropped += len(said.members)
            return
        yield self._queues.members(record, change_id, state, said, operation)

    def _mark(self, record: Record, said: ActivationMarker, tallies: dict[tuple[str, str], _Tally]) -> Iterator[Out]:
        """Takes a marker; one that this version doesn't know changes nothing."""
        key = (said.space_id, said.activation.activation_id)
        before = self._running.get(key)
        stays = before if said.marker == "updated" else None
        waiting = said.marker == "waiting" or (stays is not None and stays.waiting)
        paused = waiting or said.marker == "paused" or (stays is not None and stays.paused)
        if said.marker in ("started", "resumed", "waiting") or (
            said.marker in ("updated", "paused") and before is not None
        ):
            state = RouterState(
                space_id=said.space_id,
                activation=said.activation,
                queue=said.queue,
                paused=paused,
                waiting=waiting,
                replaces=said.replaces if before is None else before.replaces,
                makes=said.makes if before is None else before.makes,
                step=said.step,
            )
            if before is not None and before.waiting and not waiting:
                tallies.setdefault(key, _Tally())  # control learns that it waits here no more
            self._forget(key)
            self._keep(state)
            yield self._state_record(key, state, said.at)
            adds = "add" in WANTED.get(said.activation.activation_type, frozenset())
            if said.clears and state.replaces and adds and not paused:
                yield self._queues.clearing(record, state, said)
        elif said.marker == "ended" and before is not None:
            self._forget(key)
            tallies.setdefault(key, _Tally()).ended_step = said.step
            yield self._state_record(key, None, said.at)

    def _keep(self, state: RouterState) -> None:
        activation = state.activation
        self._running[state.space_id, activation.activation_id] = state
        in_audience = self._by_audience.setdefault((state.space_id, activation.audience_id), {})
        in_audience[activation.activation_id] = state

    def _forget(self, key: tuple[str, str]) -> None:
        state = self._running.pop(key, None)
        if state is not None:
            audience = (state.space_id, state.activation.audience_id)
            del self._by_audience[audience][state.activation.activation_id]
            if not self._by_audience[audience]:
                del self._by_audience[audience]

    def _state_record(self, key: tuple[str, str], state: RouterState | None, at: str) -> Out:
        space_id, activation_id = key
        return Out(
            topic=catalog.ROUTER_STATE,
            key=router_state_key(self._partition, space_id, activation_id),
            value=codec.encode(state) if state else None,
            headers=self._headers("router_state", f"{activation_id}.{self._partition}", space_id, at),
            partition=self._partition,
        )

    def _outcomes(self, tallies: dict[tuple[str, str], _Tally], through_offset: int, now_ms: int) -> Iterator[Out]:
        at = instant_text(now_ms)
        for (space_id, activation_id), tally in tallies.items():
            routed = Routed(
                space_id=space_id,
                activation_id=activation_id,
                partition=self._partition,
                through_offset=through_offset,
                changes=tally.changes,
                dropped=tally.dropped,
                ended_step=tally.ended_step,
            )
            yield Out(
                topic=catalog.OUTCOMES,
                key=space_id.encode(),
                value=codec.encode(routed),
                headers=self._headers("routed", f"{self._partition}.{through_offset}.{activation_id}", space_id, at),
                partition=space_partition(space_id, self._outcome_partitions),
            )

    def _headers(self, kind: str, id: str, space_id: str, at: str) -> codec.Headers:
        return codec.event_headers(id=id, source=SOURCE, type=kind, space_id=space_id, time=at)
