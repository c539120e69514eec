"""Destinations: what an item makes of the catalogue (contracts.md §3)."""

from contracts import codes
from contracts.messages.commands import DestinationCreate, DestinationReference, DestinationUpdate
from contracts.messages.entities import Account, Destination
from services.domain.catalogue.catalogue import Catalogue
from services.domain.catalogue.connectors import Connectors, Remark, check_destination
from services.domain.catalogue.entity_table import held
from services.domain.catalogue.failed import fail
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
    referred,
    refuse_immutable,
    required,
)


def create_destination(
    item: DestinationCreate, catalogue: Catalogue, origin: Origin, connectors: Connectors, step: int
) -> tuple[Destination, tuple[Remark, ...]]:
    """A new destination and remarks; raises `ItemFailed`. The latest `step` makes its queue unlike any before."""
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
        created_by=origin.principal,
        updated_by=origin.principal,
        connector=required(item.connector, "connector"),
        settings=filled(item.settings, {}, {}),
        secrets=filled(item.secrets, {}, {}),
        limits=filled(item.limits, {}, {}),
        account=filled(item.account, Account(), Account()),
        enabled=given(item.enabled, True),
        queue=origin.make_id("q", destination_id, step),
    )
    return destination, _remarks(destination, connectors, catalogue.forms)


def update_destination(
    item: DestinationUpdate, catalogue: Catalogue, origin: Origin, connectors: Connectors
) -> tuple[Destination, tuple[Remark, ...]]:
    """The next form, same queue, and remarks; raises `ItemFailed`."""
    before = referred(catalogue.destinations, item)
    refuse_immutable(item, before)
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
        account=filled(item.account, before.account, Account()),
        enabled=given(item.enabled, before.enabled),
    )
    return destination, _remarks(destination, connectors, catalogue.forms)


def deletable_destination(item: DestinationReference, catalogue: Catalogue) -> Destination:
    """The destination that may go, and its connections with it; raises `ItemFailed`(not-found, in-use, …)."""
    destination = referred(catalogue.destinations, item)
    activations = catalogue.activations.holders(held("destination", destination.destination_id))
    if activations:
        fail(codes.IN_USE, f"used by activation {activations[0]}, one of {len(activations)}")
    return destination


def _remarks(destination: Destination, connectors: Connectors, forms: Forms) -> tuple[Remark, ...]:
    remarks = check_destination(destination, connectors)
    check_size(destination, forms)
    return remarks
