"""Spaces: what an item makes of a space's own entry (contracts.md §3)."""

from typing import Final, TypeVar

from msgspec import UNSET, Struct, UnsetType, structs

from contracts import codes
from contracts.ids import is_id
from contracts.instants import day_start_ms, instant_text, parse_instant
from contracts.messages.commands import SpaceCreate, SpaceFields, SpaceReference, SpaceUpdate
from contracts.messages.entities import Policies, Quotas, Space
from contracts.raw_ids import RAW_ID_TYPES
from services.domain.catalogue.catalogue import Catalogue
from services.domain.catalogue.failed import fail, quoted
from services.domain.catalogue.forms import Forms
from services.domain.catalogue.item import Origin, changed, check_size, check_version, filled, given, refuse_immutable

T = TypeVar("T", Policies, Quotas)

_CLOCK_END_MS: Final = day_start_ms("9000-01-01")


def create_space(item: SpaceCreate, origin: Origin, left_ms: int | None, forms: Forms) -> Space:
    """A new space; `left_ms` is the time of one of this id that was deleted. Raises `ItemFailed`."""
    if not is_id(origin.space_id):
        fail(codes.FIELD_INVALID, f"spaceid {quoted(origin.space_id)}: an id is 1 to 64 of a-z, 0-9, _ and -")
    _check_own(item, origin.space_id)
    clock = given(item.clock, "system")
    if clock not in ("system", "manual"):
        fail(codes.FIELD_INVALID, f"clock {quoted(clock)} is neither system nor manual")
    at_ms = _start(item, clock, max(origin.at_ms, left_ms or 0))
    if left_ms is not None and at_ms < left_ms:
        fail(codes.CLOCK_BACKWARDS, f"this space was at {instant_text(left_ms)} before it was deleted")
    space = Space(
        space_id=origin.space_id,
        name=given(item.name, origin.space_id).strip(),
        external_ids=filled(item.external_ids, {}, {}),
        created_at=instant_text(at_ms),
        updated_at=instant_text(at_ms),
        created_by=origin.principal,
        updated_by=origin.principal,
        clock=clock,
        policies=_settings(item.policies, Policies()),
        quotas=_settings(item.quotas, Quotas()),
        time=instant_text(at_ms) if clock == "manual" else None,
    )
    check_size(space, forms)
    return space


def update_space(item: SpaceUpdate, before: Space, origin: Origin, catalogue: Catalogue) -> Space:
    """The next form; raises `ItemFailed`."""
    _check_own(item, before.space_id)
    check_version(item, before)
    refuse_immutable(item, before)
    space = changed(
        before,
        origin,
        name=given(item.name, before.name).strip(),
        external_ids=filled(item.external_ids, before.external_ids, {}),
        policies=_settings(item.policies, before.policies),
        quotas=_settings(item.quotas, before.quotas),
    )
    if not space.policies.raw_identifiers:
        _refuse_raw_feeds(catalogue)
    check_size(space, catalogue.forms)
    return space


def _refuse_raw_feeds(catalogue: Catalogue) -> None:
    """Raises `ItemFailed`(in-use) where a feed brings what the space is to let in no more."""
    raw = [feed.feed_id for feed in catalogue.feeds if feed.id_type in RAW_ID_TYPES]
    if raw:
        more = f" and {len(raw) - 1} more" if len(raw) > 1 else ""
        fail(codes.IN_USE, f"raw identifiers are brought by feed {raw[0]}{more}")


def check_own_space(item: SpaceReference, space: Space) -> None:
    """Raises `ItemFailed` where the item means another space or form."""
    _check_references((item.space, item.space_id, item.id), space.space_id)
    if not isinstance(item.name, UnsetType) and item.name not in (space.name, space.space_id):
        fail(codes.NOT_FOUND, f"this is not space {quoted(item.name)}")
    check_version(item, space)


def _check_own(item: SpaceFields, space_id: str) -> None:
    _check_references((item.space, item.space_id, item.id), space_id)


def _settings(said: Struct | UnsetType | None, before: T) -> T:
    """What is said of them, one by one, in place of what they were; null is the defaults."""
    if said is None:
        return type(before)()
    if isinstance(said, UnsetType):
        return before
    return structs.replace(
        before, **{name: value for name, value in structs.asdict(said).items() if value is not UNSET}
    )


def _check_references(references: tuple[str | UnsetType, ...], space_id: str) -> None:
    for reference in references:
        if not isinstance(reference, UnsetType) and reference != space_id:
            fail(codes.SPACE_MISMATCH, f"the command is for space {space_id}, its item for {quoted(reference)}")


def _start(item: SpaceCreate, clock: str, present_ms: int) -> int:
    said = given(item.time, given(item.start, None))
    if said is None:
        return present_ms
    if clock == "system":
        fail(codes.CLOCK_NOT_MANUAL, "only a manual clock can be set")
    return clock_ms("time", said)


def clock_ms(field: str, said: str) -> int:
    """Where a clock is to stand; raises `ItemFailed`(field-invalid).

    No text can say an instant after the year 9999: what is reckoned from a clock (ends that move on, latencies of
    runs) needs years that are left.
    """
    at_ms = parse_instant(said)
    if at_ms is None:
        fail(codes.FIELD_INVALID, f"{field} {quoted(said)} is no instant")
    if not 0 <= at_ms < _CLOCK_END_MS:
        fail(codes.FIELD_INVALID, f"{field} {quoted(said)}: a clock goes from 1970 to the year 8999")
    return at_ms
