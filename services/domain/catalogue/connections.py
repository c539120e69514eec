"""Connections: what an item makes of the catalogue (contracts.md §3)."""

from msgspec import UNSET, structs

from contracts import codes
from contracts.messages.commands import (
    ActivationFields,
    ConnectionCreate,
    ConnectionFields,
    ConnectionReference,
    ConnectionUpdate,
)
from contracts.messages.entities import Audience, Connection, Destination
from services.domain.catalogue.catalogue import Catalogue
from services.domain.catalogue.entity_table import held
from services.domain.catalogue.failed import fail, quoted
from services.domain.catalogue.forms import Forms
from services.domain.catalogue.item import (
    Origin,
    changed,
    check_naming,
    check_size,
    filled,
    given,
    naming,
    new_id,
    refer,
    referred,
    refuse_change,
    refuse_used,
)
from services.domain.catalogue.lifecycle import check_published


def create_connection(item: ConnectionCreate, catalogue: Catalogue, origin: Origin) -> Connection:
    """A new connection, the only one of its audience and destination; raises `ItemFailed`."""
    connection_id = new_id(catalogue.connections, (item.id, item.connection_id), origin, "con")
    name = given(item.name, connection_id).strip()
    external_ids = filled(item.external_ids, {}, {})
    check_naming(catalogue.connections, name, external_ids, connection_id)
    _check_written(item)
    audience = refer(catalogue.audiences, {"audience": item.audience, "audience_id": item.audience_id})
    destination = refer(
        catalogue.destinations, {"destination": item.destination, "destination_id": item.destination_id}
    )
    present = connection_of(catalogue, audience, destination)
    if present is not None:
        fail(codes.CONNECTION_EXISTS, f"connection {present.connection_id}")
    check_published(audience)
    connection = plain_connection(connection_id, audience, destination, origin)
    connection = structs.replace(
        connection,
        name=name,
        external_ids=external_ids,
        connection_settings=filled(item.connection_settings, {}, {}),
        id_sync=filled(item.id_sync, [], []),
    )
    _check_whole(connection, audience, catalogue.forms)
    return connection


def update_connection(item: ConnectionUpdate, catalogue: Catalogue, origin: Origin) -> Connection:
    """The next form; raises `ItemFailed`."""
    before = referred(catalogue.connections, item)
    _check_written(item)
    check_ends(item, catalogue, before)
    name, external_ids = naming(item, before)
    check_naming(catalogue.connections, name, external_ids, before.connection_id)
    connection = changed(
        before,
        origin,
        name=name,
        external_ids=external_ids,
        connection_settings=filled(item.connection_settings, before.connection_settings, {}),
        id_sync=filled(item.id_sync, before.id_sync, []),
    )
    audience = catalogue.audiences.get(before.audience_id)
    assert audience is not None, "an audience with a connection is not deleted"
    _check_whole(connection, audience, catalogue.forms)
    return connection


def deletable_connection(item: ConnectionReference, catalogue: Catalogue) -> Connection:
    """The connection that may go; raises `ItemFailed`(not-found, version-conflict, in-use)."""
    connection = referred(catalogue.connections, item)
    refuse_used("connection", connection.connection_id, catalogue)
    return connection


def connection_of(catalogue: Catalogue, audience: Audience, destination: Destination) -> Connection | None:
    """The connection of an audience at a destination."""
    for connection_id in catalogue.connections.holders(held("audience", audience.audience_id)):
        connection = catalogue.connections.get(connection_id)
        if connection is not None and connection.destination_id == destination.destination_id:
            return connection
    return None


def plain_connection(connection_id: str, audience: Audience, destination: Destination, origin: Origin) -> Connection:
    """A connection of which nothing is said but its ends."""
    return Connection(
        space_id=origin.space_id,
        connection_id=connection_id,
        name=connection_id,
        created_at=origin.at,
        updated_at=origin.at,
        created_by=origin.principal,
        updated_by=origin.principal,
        audience_id=audience.audience_id,
        destination_id=destination.destination_id,
    )


def check_ends(item: ConnectionFields | ActivationFields, catalogue: Catalogue, before: Connection) -> None:
    """Raises `ItemFailed`(field-immutable, not-found) where the item means other ends than the connection has."""
    if item.audience is not UNSET or item.audience_id is not UNSET:
        meant = refer(catalogue.audiences, {"audience": item.audience, "audience_id": item.audience_id})
        refuse_change(before.audience_id, meant.audience_id, "audience")
    if item.destination is not UNSET or item.destination_id is not UNSET:
        references = {"destination": item.destination, "destination_id": item.destination_id}
        there = refer(catalogue.destinations, references)
        refuse_change(before.destination_id, there.destination_id, "destination")


def _check_written(item: ConnectionFields) -> None:
    if item.external_audience_id is not UNSET:
        fail(codes.FIELD_IMMUTABLE, "external_audience_id is read-only")


def _check_whole(connection: Connection, audience: Audience, forms: Forms) -> None:
    """Of the one identifier that a member is, first, last and all are the same; what can't be had is refused."""
    for number, one in enumerate(connection.id_sync):
        if one.strategy not in ("first", "last", "all"):
            fail(codes.FIELD_INVALID, f"id_sync[{number}].strategy {quoted(one.strategy)} is none of first, last, all")
        if one.id_type != audience.id_type:
            fail(codes.ID_SYNC_UNAVAILABLE, f"id_sync[{number}]: members are of id type {audience.id_type}")
        if one.map_to is not None:
            fail(codes.ID_SYNC_UNAVAILABLE, f"id_sync[{number}].map_to: the name is the connector's own")
    check_size(connection, forms)
