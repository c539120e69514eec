"""Destinations: what an item makes of the catalogue (contracts.md §3)."""

from collections.abc import Callable, Mapping

from contracts import codes
from contracts.messages.commands import DestinationCreate, DestinationReference, DestinationUpdate
from contracts.messages.entities import Destination
from services.domain.catalogue.catalogue import Catalogue
from services.domain.catalogue.failed import fail, quoted
from services.domain.catalogue.item import (
    Origin,
    changed,
    check_naming,
    check_size,
    check_version,
    filled,
    given,
    naming,
    new_id,
    refer,
    refuse_change,
    required,
)

Connectors = Mapping[str, Callable[[Destination], str | None]]
"""By connector: what is wrong with a destination's settings in its eyes, None where nothing is."""


def create_destination(
    item: DestinationCreate, catalogue: Catalogue, origin: Origin, connectors: Connectors, step: int
) -> Destination:
    """A new destination; raises `ItemFailed`. The space's latest `step` makes its queue unlike every earlier one."""
    name = required(item.name, "name").strip()
    destination_id = new_id(catalogue.destinations, (item.id, item.destination_id), origin, "dest")
    external_ids = filled(item.external_ids, {}, {})
    check_naming(catalogue.destinations, name, external_ids, destination_id)
    destination = Destination(
        space_id=origin.space_id,
        destination_id=destination_id,
        name=name,
        external_ids=external_ids,
        created_at=origin.at,
        updated_at=origin.at,
        connector=required(item.connector, "connector"),
        settings=filled(item.settings, {}, {}),
        secrets=filled(item.secrets, {}, {}),
        limits=filled(item.limits, {}, {}),
        enabled=given(item.enabled, True),
        queue=origin.make_id("q", destination_id, step),
    )
    _check_whole(destination, connectors)
    return destination


def update_destination(
    item: DestinationUpdate, catalogue: Catalogue, origin: Origin, connectors: Connectors
) -> Destination:
    """The next form, same queue; raises `ItemFailed`."""
    references = {"id": item.id, "destination_id": item.destination_id, "destination": item.destination}
    before = refer(catalogue.destinations, references)
    check_version(item, before)
    refuse_change(before.connector, item.connector, "connector")
    name, external_ids = naming(item, before)
    check_naming(catalogue.destinations, name, external_ids, before.destination_id)
    destination = changed(
        before,
        origin,
        name=name,
        external_ids=external_ids,
        settings=filled(item.settings, before.settings, {}),
        secrets=filled(item.secrets, before.secrets, {}),
        limits=filled(item.limits, before.limits, {}),
        enabled=given(item.enabled, before.enabled),
    )
    _check_whole(destination, connectors)
    return destination


def deletable_destination(item: DestinationReference, catalogue: Catalogue) -> Destination:
    """The destination that may go; raises `ItemFailed`(not-found, version-conflict, in-use)."""
    references = {
        "id": item.id,
        "destination_id": item.destination_id,
        "destination": item.destination,
        "name": item.name,
    }
    destination = refer(catalogue.destinations, references)
    check_version(item, destination)
    connections = catalogue.connections.holders(destination.destination_id)
    if connections:
        fail(codes.IN_USE, f"used by connection {connections[0]} and {len(connections) - 1} more")
    return destination


def _check_whole(destination: Destination, connectors: Connectors) -> None:
    check = connectors.get(destination.connector)
    if check is None:
        fail(codes.CONNECTOR_UNKNOWN, f"connector {quoted(destination.connector)}")
    wrong = check(destination)
    if wrong is not None:
        fail(codes.FIELD_INVALID, wrong[:300])
    check_size(destination)
