"""What the router puts into delivery queues: the record of a change for one activation, or of clearing its list."""

from typing import Final, Literal

from contracts import catalog, codec
from contracts.messages.delivery import Delivery, RouterState
from contracts.messages.entities import Activation
from contracts.messages.published import ActivationDifference, ActivationMarker, Cause, Change, Snapshot
from contracts.partitioning import default_partition
from contracts.records import Out, Record

SOURCE: Final = "/usher/activation/router"

Operation = Literal["add", "remove", "clear"]


class Queues:
    """Of one partition of the changes; every delivery queue has `queue_partitions` partitions."""

    def __init__(self, partition: int, queue_partitions: int) -> None:
        assert queue_partitions > 0
        self._partition = partition
        self._queue_partitions = queue_partitions

    def members(
        self,
        record: Record,
        change_id: str,
        state: RouterState,
        said: Change | Snapshot | ActivationDifference,
        operation: Operation,
    ) -> Out:
        """These members are to be added, or removed."""
        return self._queued(
            record,
            f"{change_id}.{state.activation.activation_id}",
            state,
            said,
            operation,
            mapping=_mapping(state.activation),
            resync=not isinstance(said, Change),
            id_type=said.id_type,
            members=said.members,
            cause=said.cause if isinstance(said, Change) else None,
        )

    def clearing(self, record: Record, state: RouterState, said: ActivationMarker) -> Out:
        """Every partition says so before its own members: whichever comes first is heeded."""
        about = f"{state.space_id}.{said.step}.{self._partition}.clear.{state.activation.activation_id}"
        return self._queued(record, about, state, said, "clear", resync=True, followed_by=said.followed_by)

    def _queued(
        self,
        record: Record,
        delivery_id: str,
        state: RouterState,
        said: Change | Snapshot | ActivationDifference | ActivationMarker,
        operation: Operation,
        *,
        resync: bool,
        mapping: dict[str, object] | None = None,
        id_type: str = "",
        members: list[str] | None = None,
        cause: Cause | None = None,
        followed_by: int = 0,
    ) -> Out:
        activation = state.activation
        delivery = Delivery(
            delivery_id=delivery_id,
            space_id=state.space_id,
            activation_id=activation.activation_id,
            activation_name=activation.name,
            activation_type=activation.activation_type,
            mapping=mapping,
            connection_id=activation.connection_id,
            destination_id=activation.destination_id,
            audience_id=activation.audience_id,
            operation=operation,
            resync=resync,
            id_type=id_type,
            members=members or [],
            at=said.at,
            step=said.step,
            cause=cause,
            partition=self._partition,
            sequence=record.offset,
            followed_by=followed_by,
        )
        return Out(
            topic=catalog.queue_topic(state.queue),
            key=None,
            value=codec.encode(delivery),
            headers=codec.event_headers(
                id=delivery_id,
                source=SOURCE,
                type="delivery",
                space_id=state.space_id,
                time=said.at,
                subject=activation.activation_id,
            ),
            partition=self._lane(state),
        )

    def _lane(self, state: RouterState) -> int:
        """The lane of this partition, or the one lane of a list that is emptied as a whole or made."""
        if state.replaces or state.makes:
            return default_partition(state.activation.connection_id.encode(), self._queue_partitions)
        return self._partition % self._queue_partitions


def _mapping(activation: Activation) -> dict[str, object] | None:
    """None where nothing is mapped; control has checked what is."""
    settings = activation.destination_mapping.get("settings", {})
    return settings if activation.destination_mapping and isinstance(settings, dict) else None
