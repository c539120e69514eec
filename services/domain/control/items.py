"""Which item does what: the one list of command types that take effect."""

from contracts.messages import commands as said
from contracts.messages.commands import Item
from services.domain.catalogue.item import Origin
from services.domain.control import delivery_items as deliveries
from services.domain.control import entity_items as entities
from services.domain.control.answer import ItemAnswer
from services.domain.control.guard import import_approved, import_rejected
from services.domain.control.member_items import members_changed
from services.domain.control.runs import audience_run
from services.domain.control.turn import Turn


def take_effect(turn: Turn, command_type: str, item: Item, origin: Origin) -> ItemAnswer:
    """Judges the item and lets it take effect as a whole; raises `ItemFailed` before anything has changed."""
    match command_type, item:
        case _, said.MembersItem() | said.MembersClear():
            return _members_effect(turn, command_type, item, origin)
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
        case "feeds.create", said.FeedCreate():
            return entities.feed_created(turn, item, origin)
        case "feeds.update", said.FeedUpdate():
            return entities.feed_updated(turn, item, origin)
        case "feeds.delete", said.FeedReference():
            return entities.feed_deleted(turn, item)
        case "imports.approve", said.ImportReference():
            return import_approved(turn, item)
        case "imports.reject", said.ImportReference():
            return import_rejected(turn, item)
        case "destinations.create", said.DestinationCreate():
            return deliveries.destination_created(turn, item, origin)
        case "destinations.update", said.DestinationUpdate():
            return deliveries.destination_updated(turn, item, origin)
        case "destinations.delete", said.DestinationReference():
            return deliveries.destination_deleted(turn, item)
        case "destinations.supported", said.ConnectorReference():
            return deliveries.destinations_supported(turn, item)
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
        case "activations.delete", said.ActivationReference():
            return deliveries.activation_deleted(turn, item)
        case "spaces.create", said.SpaceCreate():
            return entities.space_created(turn, item, origin)
        case "spaces.update", said.SpaceUpdate():
            return entities.space_updated(turn, item, origin)
        case "spaces.delete", said.SpaceDelete():
            return entities.space_deleted(turn, item)
        case "clock.advance", said.ClockAdvance():
            return entities.clock_advanced(turn, item, origin)
        case _:
            raise AssertionError(f"{command_type} has an item type but no effect")


def _members_effect(
    turn: Turn, command_type: str, item: said.MembersItem | said.MembersClear, origin: Origin
) -> ItemAnswer:
    match command_type, item:
        case "members.add", said.MembersItem():
            return members_changed(turn, "add", item, origin)
        case "members.remove", said.MembersItem():
            return members_changed(turn, "remove", item, origin)
        case "members.replace", said.MembersItem():
            return members_changed(turn, "replace", item, origin)
        case "members.clear", said.MembersClear():
            return members_changed(turn, "clear", item, origin)
        case _:
            raise AssertionError(f"{command_type} has an item type but no effect")
