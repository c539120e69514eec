"""Which item does what: the one list of command types that take effect."""

from typing import Final

from contracts.messages import campaign_commands as campaign_said
from contracts.messages import commands as said
from contracts.messages import feed_commands as feed_said
from contracts.messages import queries
from contracts.messages.fields import Item, Versioned
from services.domain.catalogue.item import Origin, refuse_version
from services.domain.control import delivery_items as deliveries
from services.domain.control import entity_items as entities
from services.domain.control import read_items as reads
from services.domain.control.answer import ItemAnswer
from services.domain.control.guard import import_approved, import_rejected
from services.domain.control.member_items import Operation, members_changed
from services.domain.control.principal_items import principal_changed
from services.domain.control.runs import audience_run
from services.domain.control.statistics import statistics_asked
from services.domain.control.turn import Turn
from services.domain.control.verifications import destination_verified

_OPERATIONS: Final[dict[str, Operation]] = {
    "members.add": "add",
    "members.remove": "remove",
    "members.replace": "replace",
    "members.clear": "clear",
}


def only_reads(command_type: str) -> bool:
    """Whether commands of the type change nothing: they are answered anew each time."""
    return command_type.endswith((".get", ".search", ".supported"))


def leaves_no_trace(command_type: str) -> bool:
    """Whether there is nothing to audit: nothing stands otherwise after it."""
    return only_reads(command_type) or command_type.endswith(".statistics")


def kind_of(command_type: str) -> str:
    """`audience` of `audiences.get`."""
    return command_type.partition(".")[0].removesuffix("s")


def take_effect(turn: Turn, command_type: str, item: Item, origin: Origin) -> ItemAnswer:
    """Judges the item and lets it take effect as a whole; raises `ItemFailed` before anything has changed."""
    if command_type.endswith(".create") and isinstance(item, Versioned):
        refuse_version(item)
    if isinstance(item, said.MembersClear):
        return members_changed(turn, _OPERATIONS[command_type], item, origin)
    if only_reads(command_type):
        return _look(turn, command_type, item)
    if command_type.startswith(("destinations.", "connections.", "activations.")):
        return _deliver(turn, command_type, item, origin)
    if command_type.startswith("principals."):
        return principal_changed(turn, item, origin)
    match command_type, item:
        case "audiences.create", said.AudienceCreate():
            return entities.audience_created(turn, item, origin)
        case "audiences.update", said.AudienceUpdate():
            return entities.audience_updated(turn, item, origin)
        case "audiences.delete", said.AudienceReference():
            return entities.audience_deleted(turn, item)
        case "audiences.run", said.AudienceReference():
            return audience_run(turn, item)
        case "audiences.snapshot", said.AudienceReference():
            return entities.audience_snapshot(turn, item, origin)
        case "audiences.statistics", said.AudienceReference():
            return statistics_asked(turn, item)
        case "campaigns.create", campaign_said.CampaignCreate():
            return entities.campaign_created(turn, item, origin)
        case "campaigns.update", campaign_said.CampaignUpdate():
            return entities.campaign_updated(turn, item, origin)
        case "campaigns.delete", campaign_said.CampaignReference():
            return entities.campaign_deleted(turn, item)
        case "feeds.create", feed_said.FeedCreate():
            return entities.feed_created(turn, item, origin)
        case "feeds.update", feed_said.FeedUpdate():
            return entities.feed_updated(turn, item, origin)
        case "feeds.delete", feed_said.FeedReference():
            return entities.feed_deleted(turn, item)
        case "imports.approve", feed_said.ImportReference():
            return import_approved(turn, item)
        case "imports.reject", feed_said.ImportReference():
            return import_rejected(turn, item)
        case "spaces.create", said.SpaceCreate():
            return entities.space_created(turn, item, origin)
        case "spaces.update", said.SpaceUpdate():
            return entities.space_updated(turn, item, origin)
        case "spaces.delete", said.SpaceReference():
            return entities.space_deleted(turn, item)
        case "clock.advance", said.ClockAdvance():
            return entities.clock_advanced(turn, item, origin)
        case _:
            raise AssertionError(f"{command_type} has an item type but no effect")


def _deliver(turn: Turn, command_type: str, item: Item, origin: Origin) -> ItemAnswer:
    match command_type, item:
        case "destinations.create", said.DestinationCreate():
            return deliveries.destination_created(turn, item, origin)
        case "destinations.update", said.DestinationUpdate():
            return deliveries.destination_updated(turn, item, origin)
        case "destinations.delete", said.DestinationReference():
            return deliveries.destination_deleted(turn, item)
        case "destinations.verify", said.DestinationReference():
            return destination_verified(turn, item, origin)
        case "connections.create", said.ConnectionCreate():
            return deliveries.connection_created(turn, item, origin)
        case "connections.update", said.ConnectionUpdate():
            return deliveries.connection_updated(turn, item, origin)
        case "connections.delete", said.ConnectionReference():
            return deliveries.connection_deleted(turn, item)
        case "activations.create", said.ActivationCreate():
            return deliveries.activation_created(turn, item, origin)
        case "activations.update", said.ActivationUpdate():
            return deliveries.activation_updated(turn, item, origin)
        case "activations.pause", said.ActivationReference():
            return deliveries.activation_paused(turn, item, origin)
        case "activations.resume", said.ActivationReference():
            return deliveries.activation_resumed(turn, item, origin)
        case "activations.resync", said.ActivationReference():
            return deliveries.activation_resynced(turn, item)
        case "activations.redrive", said.ActivationRedrive():
            return deliveries.activation_redriven(turn, item)
        case "activations.delete", said.ActivationReference():
            return deliveries.activation_deleted(turn, item)
        case _:
            raise AssertionError(f"{command_type} has an item type but no effect")


def _look(turn: Turn, command_type: str, item: Item) -> ItemAnswer:
    match command_type, item:
        case "spaces.get", said.SpaceReference():
            return reads.space_got(turn, item)
        case "spaces.search", queries.SpaceQuery():
            return reads.spaces_found(turn, item)
        case "destinations.supported", said.ConnectorReference():
            return deliveries.destinations_supported(turn, item)
        case "imports.get", feed_said.ImportReference():
            return reads.import_got(turn, item)
        case "imports.search", queries.ImportQuery():
            return reads.imports_found(turn, item)
        case _, queries.Query():
            return reads.entities_found(turn, kind_of(command_type), item)
        case _, Versioned() if command_type.endswith(".get"):
            return reads.entity_got(turn, kind_of(command_type), item)
        case _:
            raise AssertionError(f"{command_type} has an item type but no effect")
