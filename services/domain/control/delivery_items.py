"""Items about destinations, connections and activations: catalogue, queues and markers."""

from functools import partial

from msgspec import UNSET

from contracts import codes
from contracts.catalog import DELIVERIES, queue_topic, topic_spec
from contracts.ids import canonical
from contracts.messages.commands import (
    ActivationCreate,
    ActivationRedrive,
    ActivationReference,
    ActivationUpdate,
    ConnectionCreate,
    ConnectionReference,
    ConnectionUpdate,
    ConnectorReference,
    DestinationCreate,
    DestinationReference,
    DestinationUpdate,
)
from contracts.messages.entities import Activation
from contracts.messages.steps import RedriveStep
from services.domain.catalogue.activations import (
    create_activation,
    paused_activation,
    referred_activation,
    update_activation,
)
from services.domain.catalogue.connections import create_connection, deletable_connection, update_connection
from services.domain.catalogue.connectors import (
    check_activation,
    check_connection,
    kept_alive,
    relisted,
)
from services.domain.catalogue.destinations import (
    create_destination,
    deletable_destination,
    update_destination,
)
from services.domain.catalogue.entity_table import held
from services.domain.catalogue.failed import fail, quoted
from services.domain.catalogue.item import Origin, required
from services.domain.control.activations import adjust, destination_changed, take_away
from services.domain.control.answer import ItemAnswer, deleted_data
from services.domain.control.member_items import canonicals, invalid_text, refuse_invalid, refuse_large
from services.domain.control.quotas import count_identifiers
from services.domain.control.schedule import period_ms, stand_at
from services.domain.control.turn import Turn


def destination_created(turn: Turn, item: DestinationCreate, origin: Origin) -> ItemAnswer:
    """The queue is asked for before the destination is published: whoever sees it may write to its queue."""
    state, config = turn.state, turn.config
    destination, remarks = create_destination(item, state.catalogue, origin, config.connectors, state.counters.step)
    queue = queue_topic(destination.queue)
    turn.effects.put(topic_spec(queue, config.delivery_partitions, page=DELIVERIES))
    state.catalogue.destinations.put(destination)
    return ItemAnswer(warnings=remarks, entity=destination)


def destination_updated(turn: Turn, item: DestinationUpdate, origin: Origin) -> ItemAnswer:
    """Lanes see it in the catalogue; what waits for an audience to grow may wait no longer."""
    destination, remarks = update_destination(item, turn.state.catalogue, origin, turn.config.connectors)
    turn.state.catalogue.destinations.put(destination)
    destination_changed(turn, destination.destination_id)
    return ItemAnswer(warnings=remarks, entity=destination)


def destinations_supported(turn: Turn, item: ConnectorReference) -> ItemAnswer:
    """The connector that the item names, or all of them, described."""
    known = turn.config.connectors
    name = item.connector
    if isinstance(name, str) and name not in known:
        fail(codes.CONNECTOR_UNKNOWN, f"connector {quoted(name)}")
    chosen = [name] if isinstance(name, str) else sorted(known)
    return ItemAnswer({"connectors": [known[slug].description for slug in chosen]})


def destination_deleted(turn: Turn, item: DestinationReference) -> ItemAnswer:
    """Its connections, which send nothing, go with it; what is still in its queue becomes dead letters."""
    destination = deletable_destination(item, turn.state.catalogue)
    for connection_id in turn.state.catalogue.connections.holders(held("destination", destination.destination_id)):
        _remove_connection(turn, connection_id)
    turn.state.catalogue.destinations.remove(destination.destination_id)
    turn.state.bury("destination", destination.destination_id)
    turn.state.lanes.drop(destination.destination_id)
    return ItemAnswer(deleted_data(destination))


def connection_created(turn: Turn, item: ConnectionCreate, origin: Origin) -> ItemAnswer:
    """Nothing is sent before an activation says so."""
    connection = create_connection(item, turn.state.catalogue, origin)
    remarks = check_connection(connection, turn.state.catalogue, turn.config.connectors)
    turn.state.catalogue.connections.put(connection)
    return ItemAnswer(warnings=remarks, entity=connection)


def connection_updated(turn: Turn, item: ConnectionUpdate, origin: Origin) -> ItemAnswer:
    """Lanes see it in the catalogue."""
    connection = update_connection(item, turn.state.catalogue, origin)
    before = turn.state.catalogue.connections.get(connection.connection_id)
    assert before is not None, "what is updated is there"
    connection = relisted(before, connection, turn.state.catalogue, turn.config.connectors)
    remarks = check_connection(connection, turn.state.catalogue, turn.config.connectors)
    turn.state.catalogue.connections.put(connection)
    return ItemAnswer(warnings=remarks, entity=connection)


def connection_deleted(turn: Turn, item: ConnectionReference) -> ItemAnswer:
    """Only one without activations can go."""
    connection = deletable_connection(item, turn.state.catalogue)
    _remove_connection(turn, connection.connection_id)
    return ItemAnswer(deleted_data(connection))


def activation_created(turn: Turn, item: ActivationCreate, origin: Origin) -> ItemAnswer:
    """Starts at once, or at its date."""
    activation, connection = create_activation(item, turn.state.catalogue, origin)
    check_connection(connection, turn.state.catalogue, turn.config.connectors)
    check_activation(activation, turn.state.catalogue, turn.config.connectors)
    activation = kept_alive(activation, turn.state.catalogue, turn.config.connectors)
    if turn.state.catalogue.connections.get(connection.connection_id) is None:
        turn.state.catalogue.connections.put(connection)
    return _kept(turn, activation)


def activation_updated(turn: Turn, item: ActivationUpdate, origin: Origin) -> ItemAnswer:
    """A running one is told in the log, at its place among the changes; `perform_resync` asks for all members."""
    activation = update_activation(item, turn.state.catalogue, origin)
    check_activation(activation, turn.state.catalogue, turn.config.connectors)
    activation = kept_alive(activation, turn.state.catalogue, turn.config.connectors)
    return _kept(turn, activation, resync=None if item.perform_resync is UNSET else activation.perform_resync)


def activation_paused(turn: Turn, item: ActivationReference, origin: Origin) -> ItemAnswer:
    """What was on its way still arrives; what changes from here on waits. One that is paused stays as it is."""
    return _kept(turn, paused_activation(item, turn.state.catalogue, origin, paused=True))


def activation_resumed(turn: Turn, item: ActivationReference, origin: Origin) -> ItemAnswer:
    """The difference is sent, and then what changes. One that is not paused stays as it is."""
    return _kept(turn, paused_activation(item, turn.state.catalogue, origin, paused=False), resync=False)


def activation_resynced(turn: Turn, item: ActivationReference) -> ItemAnswer:
    """All members are sent again, as of this place among the changes; raises `ItemFailed`(activation-not-running)."""
    activation = referred_activation(item, turn.state.catalogue)
    if stand_at(activation, turn.at_ms) != "running":
        fail(codes.ACTIVATION_NOT_RUNNING, f"activation {activation.activation_id}")
    adjust(turn, activation, turn.at_ms, changed=True, resync=True)
    return ItemAnswer({"step": turn.state.counters.step}, entity=activation)


def activation_redriven(turn: Turn, item: ActivationRedrive) -> ItemAnswer:
    """Some members are sent again as they stand at this place among the changes; raises `ItemFailed`."""
    activation = referred_activation(item, turn.state.catalogue)
    kept = turn.state.deliveries.get(activation.activation_id)
    if stand_at(activation, turn.at_ms) != "running" or (kept is not None and kept.growing is not None):
        fail(codes.ACTIVATION_NOT_RUNNING, f"activation {activation.activation_id}")
    audience = turn.state.catalogue.audiences.get(activation.audience_id)
    assert audience is not None, "an audience with an activation is not deleted"
    sent = required(item.identifiers, "identifiers")
    if not sent:
        fail(codes.FIELD_REQUIRED, "identifiers is empty")
    found = canonicals(partial(canonical, audience.id_type), sent, turn.config.membership_partitions)
    refuse_invalid(found)
    refuse_large(found, turn.config.patch_bytes_max)
    count_identifiers(turn, len(sent))
    step = turn.next_step()
    for partition, identifiers in sorted(found.by_partition.items()):
        redrive = RedriveStep(
            space_id=turn.space_id,
            step=step,
            at_ms=turn.at_ms,
            activation_id=activation.activation_id,
            audience_id=activation.audience_id,
            identifiers=identifiers,
        )
        turn.effects.step(redrive, (partition,))
    warnings = ((codes.IDENTIFIER_INVALID, invalid_text(found.invalid)),) if found.invalid else ()
    said: dict[str, object] = {"valid": len(sent) - len(found.invalid), "invalid": len(found.invalid), "step": step}
    return ItemAnswer(said, warnings, entity=activation)


def activation_deleted(turn: Turn, item: ActivationReference) -> ItemAnswer:
    """A running one ends in the log; its connection stays."""
    activation = referred_activation(item, turn.state.catalogue)
    take_away(turn, activation)
    turn.state.catalogue.activations.remove(activation.activation_id)
    turn.state.bury("activation", activation.activation_id)
    turn.state.activation_changed(activation, None)
    return ItemAnswer(deleted_data(activation))


def _remove_connection(turn: Turn, connection_id: str) -> None:
    turn.state.catalogue.connections.remove(connection_id)
    turn.state.bury("connection", connection_id)


def _kept(turn: Turn, activation: Activation, *, resync: bool | None = None) -> ItemAnswer:
    """Puts the form in its place, and says when it shows: at once, or from its start."""
    before = turn.state.catalogue.activations.get(activation.activation_id)
    if activation != before:
        turn.state.move_time(turn.at_ms)  # only what is due later than now is still to come for it
        turn.state.catalogue.activations.put(activation)
        turn.state.activation_changed(before, activation)
        adjust(turn, activation, turn.at_ms, changed=before is not None, resync=resync)
    start_ms = max(turn.at_ms, period_ms(activation)[0] or 0)
    return ItemAnswer(entity=activation, effect_ms=(start_ms, start_ms))
