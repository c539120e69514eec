"""Items about spaces, audiences and feeds: the catalogue changes, and membership is told."""

import msgspec

from contracts import codes
from contracts.ids import made_id
from contracts.instants import instant_text, parse_instant
from contracts.messages.campaign_commands import CampaignCreate, CampaignReference, CampaignUpdate
from contracts.messages.commands import (
    AudienceCreate,
    AudienceReference,
    AudienceUpdate,
    ClockAdvance,
    SpaceCreate,
    SpaceReference,
    SpaceUpdate,
)
from contracts.messages.entities import Audience, Feed, Space
from contracts.messages.feed_commands import FeedCreate, FeedReference, FeedUpdate
from contracts.messages.steps import DefinitionStep, SnapshotStep
from services.domain.catalogue.audiences import (
    create_audience,
    deletable_audience,
    referred_audience,
    update_audience,
)
from services.domain.catalogue.campaigns import create_campaign, deletable_campaign, update_campaign
from services.domain.catalogue.failed import fail, quoted
from services.domain.catalogue.feeds import create_feed, deletable_feed, update_feed
from services.domain.catalogue.item import Origin, check_version, required
from services.domain.catalogue.spaces import check_own_space, clock_ms, create_space, update_space
from services.domain.control.answer import ItemAnswer, deleted_data
from services.domain.control.clock import advance
from services.domain.control.quotas import check_audiences, check_feeds
from services.domain.control.schedule import takes_effect_ms
from services.domain.control.turn import Turn


def space_created(turn: Turn, item: SpaceCreate, origin: Origin) -> ItemAnswer:
    """A space made again goes on with its step numbers and never before its former time."""
    state = turn.state
    if state.catalogue.space is not None:
        fail(codes.SPACE_EXISTS, f"space {state.space_id} exists")
    left_ms = state.counters.time_ms if state.counters.step else None
    space = create_space(item, origin, left_ms, state.catalogue.forms)
    start_ms = parse_instant(space.created_at)
    assert start_ms is not None
    state.set_time(start_ms)
    state.catalogue.spaces.put(space.space_id, space)
    return ItemAnswer(entity=space)


def space_updated(turn: Turn, item: SpaceUpdate, origin: Origin) -> ItemAnswer:
    """Only what is said about the space changes."""
    space = update_space(item, _space(turn), origin, turn.state.catalogue)
    turn.state.catalogue.spaces.put(space.space_id, space)
    return ItemAnswer(entity=space)


def space_deleted(turn: Turn, item: SpaceReference) -> ItemAnswer:
    """Refused while anything stands in the space or is on its way through it."""
    state, space = turn.state, _space(turn)
    check_own_space(item, space)
    if not state.catalogue.is_empty():
        fail(codes.IN_USE, "something stands in the space")
    if len(state.imports) or len(state.advances) or len(state.verifying):
        fail(codes.IN_USE, "imports, clock advances or verifications are under way in the space")
    state.move_time(turn.at_ms)
    state.catalogue.spaces.drop(space.space_id)
    return ItemAnswer(deleted_data(space))


def clock_advanced(turn: Turn, item: ClockAdvance, origin: Origin) -> ItemAnswer:
    """The reply waits until every partition has reached that time."""
    space = _space(turn)
    check_version(item, space)
    step = advance(turn, clock_ms("to", required(item.to, "to")), origin)
    return ItemAnswer(entity=_space(turn), waits_for_step=step)


def audience_created(turn: Turn, item: AudienceCreate, origin: Origin) -> ItemAnswer:
    """Membership learns of it by a step."""
    check_audiences(turn)
    audience = create_audience(item, turn.state.catalogue, origin, turn.state.counters.step + 1)
    _define(turn, audience, turn.next_step())
    _keep(turn, audience)
    return ItemAnswer(entity=audience, effect_ms=takes_effect_ms(audience, turn.at_ms))


def audience_updated(turn: Turn, item: AudienceUpdate, origin: Origin) -> ItemAnswer:
    """A step only where composition or evaluation changed: names are nothing to membership."""
    next_step = turn.state.counters.step + 1
    audience = update_audience(item, turn.state.catalogue, origin, next_step)
    if audience.step != next_step:
        turn.state.catalogue.audiences.put(audience)
        return ItemAnswer(entity=audience)
    _define(turn, audience, turn.next_step())
    _keep(turn, audience)
    return ItemAnswer(entity=audience, effect_ms=takes_effect_ms(audience, turn.at_ms))


def audience_deleted(turn: Turn, item: AudienceReference) -> ItemAnswer:
    """Every member exits by the step."""
    audience = deletable_audience(item, turn.state.catalogue, turn.state.delivered)
    _define(turn, audience, turn.next_step(), deleted=True)
    turn.state.catalogue.audiences.remove(audience.audience_id)
    turn.state.audience_changed(audience, None)
    turn.state.delivered.drop(audience.audience_id)
    turn.state.bury("audience", audience.audience_id)
    return ItemAnswer(deleted_data(audience))


def audience_snapshot(turn: Turn, item: AudienceReference, origin: Origin) -> ItemAnswer:
    """Every partition publishes its present members at the step's place in the log."""
    audience = referred_audience(item, turn.state.catalogue)
    step = turn.next_step()
    snapshot_id = made_id("snap", origin.space_id, origin.source, origin.command_id, origin.item, step)
    turn.effects.step(
        SnapshotStep(
            space_id=turn.space_id,
            step=step,
            at_ms=turn.at_ms,
            snapshot_id=snapshot_id,
            audience_id=audience.audience_id,
        )
    )
    return ItemAnswer({"audience_id": audience.audience_id, "version": audience.version, "snapshot_id": snapshot_id})


def feed_created(turn: Turn, item: FeedCreate, origin: Origin) -> ItemAnswer:
    """Objects announced from now on may be its own; of a topic it reads all that is there."""
    check_feeds(turn)
    feed = _watched(turn, create_feed(item, turn.state.catalogue, origin), None)
    _check_topic(turn, feed)
    turn.state.catalogue.feeds.put(feed)
    return ItemAnswer(entity=feed)


def feed_updated(turn: Turn, item: FeedUpdate, origin: Origin) -> ItemAnswer:
    """Imports in flight go on in the form that the feed had."""
    feed = update_feed(item, turn.state.catalogue, origin)
    feed = _watched(turn, feed, turn.state.catalogue.feeds.get(feed.feed_id))
    _check_topic(turn, feed)
    turn.state.catalogue.feeds.put(feed)
    return ItemAnswer(entity=feed)


def feed_deleted(turn: Turn, item: FeedReference) -> ItemAnswer:
    """What it has brought stays."""
    feed = deletable_feed(item, turn.state.catalogue)
    turn.state.catalogue.feeds.remove(feed.feed_id)
    turn.state.bury("feed", feed.feed_id)
    return ItemAnswer(deleted_data(feed))


def campaign_created(turn: Turn, item: CampaignCreate, origin: Origin) -> ItemAnswer:
    """Activations may name it from now on."""
    campaign = create_campaign(item, turn.state.catalogue, origin)
    turn.state.catalogue.campaigns.put(campaign)
    return ItemAnswer(entity=campaign)


def campaign_updated(turn: Turn, item: CampaignUpdate, origin: Origin) -> ItemAnswer:
    """Its activations stay as they are."""
    campaign = update_campaign(item, turn.state.catalogue, origin)
    turn.state.catalogue.campaigns.put(campaign)
    return ItemAnswer(entity=campaign)


def campaign_deleted(turn: Turn, item: CampaignReference) -> ItemAnswer:
    """Only one that no activation names can go."""
    campaign = deletable_campaign(item, turn.state.catalogue)
    turn.state.catalogue.campaigns.remove(campaign.campaign_id)
    turn.state.bury("campaign", campaign.campaign_id)
    return ItemAnswer(deleted_data(campaign))


def _watched(turn: Turn, feed: Feed, before: Feed | None) -> Feed:
    """The feed with the time since which it looks for objects: since it was made, enabled, or given its prefix."""
    if before is not None and before.source == feed.source and (before.enabled or not feed.enabled):
        return feed
    since = instant_text(turn.now_ms) if feed.source.kind == "s3" else None
    return msgspec.structs.replace(feed, watched_since=since)


def _check_topic(turn: Turn, feed: Feed) -> None:
    """Nothing of usher's own, or of Kafka's, is anybody's event: all of it would end in dead letters."""
    topic = feed.source.topic or ""
    if topic.startswith(f"{turn.config.topic_prefix}."):
        fail(codes.FIELD_INVALID, f"source.topic {quoted(topic)} is one of usher's own")
    if topic.startswith("__"):
        fail(codes.FIELD_INVALID, f"source.topic {quoted(topic)} is one of Kafka's own")


def _space(turn: Turn) -> Space:
    space = turn.state.catalogue.space
    if space is None:  # an earlier item of the command has deleted it
        fail(codes.SPACE_UNKNOWN, f"there is no space {turn.space_id}")
    return space


def _keep(turn: Turn, audience: Audience) -> None:
    turn.state.audience_changed(turn.state.catalogue.audiences.get(audience.audience_id), audience)
    turn.state.catalogue.audiences.put(audience)


def _define(turn: Turn, audience: Audience, step: int, *, deleted: bool = False) -> None:
    assert deleted or audience.step == step, "an audience says the step that made its form known"
    turn.effects.step(
        DefinitionStep(
            space_id=turn.space_id,
            step=step,
            at_ms=turn.at_ms,
            audience_id=audience.audience_id,
            kind=audience.kind,
            id_type=audience.id_type,
            member_type=audience.member_type,
            expression=audience.expression,
            scheduled=audience.evaluation.mode == "scheduled",
            deleted=deleted,
        )
    )
