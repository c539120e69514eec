"""Feeds: what an item makes of the catalogue (contracts.md §3)."""

from typing import Final, Literal

from msgspec import UnsetType

from contracts import codes
from contracts.messages.entities import Column, Feed, FixedAudience
from contracts.messages.feed_commands import FeedCreate, FeedFields, FeedReference, FeedUpdate
from contracts.raw_ids import RAW_ID_TYPES, kept_id_type
from services.domain.catalogue.audiences import checked_id_type
from services.domain.catalogue.catalogue import Catalogue
from services.domain.catalogue.failed import ItemFailed, fail, quoted
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
    required,
)
from services.domain.catalogue.sources import TOPIC_FORMAT, check_topic_feed, checked_source, source_key

_ROLES: Final = frozenset({"identifier", "audience", "consent", "ignore"})


def create_feed(item: FeedCreate, catalogue: Catalogue, origin: Origin) -> Feed:
    """A new feed; raises `ItemFailed`."""
    name = required(item.name, "name").strip()
    feed_id = new_id(catalogue.feeds, (item.id, item.feed_id), origin, "feed")
    external_ids = filled(item.external_ids, {}, {})
    check_naming(catalogue.feeds, name, external_ids, feed_id)
    _check_words(item)
    source = checked_source(required(item.source, "source"))
    of_topic = source.kind == "topic"
    feed = Feed(
        space_id=origin.space_id,
        feed_id=feed_id,
        name=name,
        external_ids=external_ids,
        created_at=origin.at,
        updated_at=origin.at,
        created_by=origin.principal,
        updated_by=origin.principal,
        source=source,
        mode=_mode(given(item.mode, "append") if of_topic else required(item.mode, "mode")),
        id_type=_id_type(required(item.id_type, "id_type"), catalogue),
        lookback_days=given(item.lookback_days, None),
        format=given(item.format, TOPIC_FORMAT if of_topic else "caret"),
        columns=given(item.columns, None),
        audience_from=_audience_from(item, catalogue, "column"),
        complete_on="object" if isinstance(item.complete_on, UnsetType) else item.complete_on,
        process_at=given(item.process_at, None),
        remove_share_max=given(item.remove_share_max, None),
        enabled=given(item.enabled, True),
    )
    _check_whole(feed, catalogue)
    return feed


def update_feed(item: FeedUpdate, catalogue: Catalogue, origin: Origin) -> Feed:
    """The next form, for objects announced and events read from now on; raises `ItemFailed`."""
    before = referred(catalogue.feeds, item)
    name, external_ids = naming(item, before)
    check_naming(catalogue.feeds, name, external_ids, before.feed_id)
    _check_words(item)
    feed = changed(
        before,
        origin,
        name=name,
        external_ids=external_ids,
        source=before.source if isinstance(item.source, UnsetType) else checked_source(item.source),
        mode=before.mode if isinstance(item.mode, UnsetType) else _mode(item.mode),
        id_type=before.id_type if isinstance(item.id_type, UnsetType) else _id_type(item.id_type, catalogue),
        lookback_days=given(item.lookback_days, before.lookback_days),
        format=given(item.format, before.format),
        columns=given(item.columns, before.columns),
        audience_from=_audience_from(item, catalogue, before.audience_from),
        complete_on=given(item.complete_on, before.complete_on),
        process_at=given(item.process_at, before.process_at),
        remove_share_max=given(item.remove_share_max, before.remove_share_max),
        enabled=given(item.enabled, before.enabled),
    )
    if feed.source.kind != before.source.kind:
        fail(codes.FIELD_IMMUTABLE, "source.kind can't be changed")
    if feed.source.kind == "topic" and feed.id_type != before.id_type:  # an event that comes again is the same one
        fail(codes.FIELD_IMMUTABLE, "id_type can't be changed where the source is a topic")
    _check_whole(feed, catalogue)
    return feed


def deletable_feed(item: FeedReference, catalogue: Catalogue) -> Feed:
    """The feed that may go; its imports in flight go on. Raises `ItemFailed`(not-found, version-conflict)."""
    return referred(catalogue.feeds, item)


def _id_type(id_type: str, catalogue: Catalogue) -> str:
    """The id type of rows, raw ones among them where the space lets those in; raises `ItemFailed`."""
    if id_type not in RAW_ID_TYPES:
        return checked_id_type(id_type)
    if catalogue.space is None or not catalogue.space.policies.raw_identifiers:
        fail(codes.RAW_IDENTIFIERS_REFUSED, f"id_type {id_type}: send its hash, {kept_id_type(id_type)}")
    return id_type


def _check_words(item: FeedFields) -> None:
    if isinstance(item.complete_on, str) and item.complete_on != "object":
        fail(codes.FIELD_INVALID, f"complete_on {quoted(item.complete_on)} is neither object nor a marker")


def _mode(mode: str) -> Literal["append", "replace", "remove"]:
    match mode:
        case "append" | "replace" | "remove":
            return mode
        case _:
            raise ItemFailed(codes.FIELD_INVALID, f"mode {quoted(mode)} is none of append, replace, remove")


def _audience_from(item: FeedFields, catalogue: Catalogue, otherwise: str | FixedAudience) -> str | FixedAudience:
    wanted = item.audience_from
    if isinstance(wanted, UnsetType):
        return otherwise
    if isinstance(wanted, FixedAudience):
        return FixedAudience(
            audience=refer(catalogue.audiences, {"audience_from.audience": wanted.audience}).audience_id
        )
    if wanted not in ("column", "path"):
        fail(codes.FIELD_INVALID, f"audience_from {quoted(wanted)} is none of column, path, {{audience}}")
    return wanted


def _check_whole(feed: Feed, catalogue: Catalogue) -> None:
    """What only the fields together can break."""
    if feed.source.kind == "topic":
        check_topic_feed(feed)
    else:
        _check_objects_feed(feed)
    if isinstance(feed.audience_from, FixedAudience):
        _check_fixed(feed, catalogue, feed.audience_from.audience)
    if any(other != feed.feed_id for other in catalogue.feeds.holders(source_key(feed.source))):
        fail(codes.FEED_SOURCE_TAKEN, "another feed of the space reads this source")
    check_size(feed, catalogue.forms)


def _check_objects_feed(feed: Feed) -> None:
    if feed.mode == "append" and feed.lookback_days is None:
        fail(codes.LOOKBACK_REQUIRED, "mode append needs lookback_days of at least 1")
    if feed.mode != "replace" and feed.remove_share_max is not None:
        fail(codes.FIELD_INVALID, "remove_share_max is for mode replace")
    if feed.format not in ("caret", "tab", "csv"):
        fail(codes.FIELD_INVALID, f"format {quoted(feed.format)} is none of caret, tab, csv")
    if feed.format != "csv" and feed.columns is not None:
        fail(codes.FIELD_INVALID, "columns are for format csv")
    if feed.format == "csv":
        _check_columns(feed, feed.columns)


def _check_columns(feed: Feed, columns: list[Column] | None) -> None:
    if not columns:
        fail(codes.FIELD_REQUIRED, "format csv needs columns")
    names, roles = [column.name for column in columns], [column.role for column in columns]
    if len(set(names)) != len(names) or not all(name.strip() for name in names):
        fail(codes.FIELD_INVALID, "columns: every name once, none blank")
    if not set(roles) <= _ROLES or roles.count("identifier") != 1 or roles.count("consent") > 1:
        fail(
            codes.FIELD_INVALID, "columns: roles are identifier (exactly one), audience, consent (at most one), ignore"
        )
    if roles.count("audience") != (1 if feed.audience_from == "column" else 0):
        fail(codes.FIELD_INVALID, "columns: one of role audience where audience_from is column, else none")
    if "consent" in roles and feed.mode == "remove":
        fail(codes.FIELD_INVALID, "columns: nobody's consent is asked for where mode is remove")
    for column in columns:
        if column.id_type not in (None, feed.id_type):
            checked_id_type(column.id_type)
            if column.role == "identifier":
                fail(codes.ID_TYPE_MISMATCH, f"columns: {quoted(column.name)} is of another id type than the feed")


def _check_fixed(feed: Feed, catalogue: Catalogue, audience_id: str) -> None:
    audience = catalogue.audiences.get(audience_id)
    assert audience is not None, "an audience that a feed holds on to is not deleted"
    if audience.kind != "list":
        fail(codes.AUDIENCE_NOT_LIST, f"audience {audience_id} is {audience.kind}")
    if audience.id_type != kept_id_type(feed.id_type):
        fail(codes.ID_TYPE_MISMATCH, f"audience {audience_id} has id type {audience.id_type}")
