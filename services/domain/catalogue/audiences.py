"""Audiences: what an item makes of the catalogue (contracts.md §3)."""

from collections.abc import Container
from typing import Final

from msgspec import UNSET

from contracts import codes
from contracts.ids import ID_TYPES
from contracts.messages.commands import AudienceCreate, AudienceFields, AudienceReference, AudienceUpdate
from contracts.messages.entities import Audience, Evaluation
from contracts.raw_ids import RAW_ID_TYPES
from services.domain.catalogue.catalogue import Catalogue
from services.domain.catalogue.composition import next_expression, of_parts, said_expression
from services.domain.catalogue.expressions import resolve
from services.domain.catalogue.failed import ItemFailed, fail, quoted
from services.domain.catalogue.item import (
    Origin,
    changed,
    check_naming,
    check_size,
    filled,
    given,
    new_id,
    referred,
    refuse_immutable,
    refuse_used,
    required,
)
from services.domain.catalogue.lifecycle import check_parts, first_state, next_state
from services.domain.catalogue.studio_ids import kept_ids, with_made_ids

_MEMBER_TYPES_LATER: Final = frozenset({"profile", "account", "entity"})


def create_audience(item: AudienceCreate, catalogue: Catalogue, origin: Origin, step: int) -> Audience:
    """A new audience that `step` makes known; raises `ItemFailed`."""
    name = required(item.name, "name").strip()
    audience_id = new_id(catalogue.audiences, (item.id, item.audience_id), origin, "aud")
    external_ids = filled(item.external_ids, {}, {})
    check_naming(catalogue.audiences, name, external_ids, audience_id)
    evaluation = _evaluation(item, Evaluation())
    sent = said_expression(item)
    kind = _kind(item, sent)
    expression = None if kind == "list" else resolve(required(sent, "expression"), catalogue.audiences.find)
    if expression is None:
        id_type, owner_id = checked_id_type(required(item.id_type, "id_type")), given(item.owner_id, None)
    else:
        id_type, owner_id = of_parts(expression, catalogue, item.id_type, item.owner_id)
    audience = Audience(
        space_id=origin.space_id,
        audience_id=audience_id,
        name=name,
        external_ids=with_made_ids(external_ids, catalogue.audiences, origin),
        created_at=origin.at,
        updated_at=origin.at,
        created_by=origin.principal,
        updated_by=origin.principal,
        kind=kind,
        id_type=id_type,
        member_type=_member_type(item),
        lifecycle_state=first_state(item.lifecycle_state),
        description=given(item.description, None),
        category=given(item.category, None) or None,
        sub_category=given(item.sub_category, None) or None,
        type=given(item.type, None) or None,
        labels=filled(item.labels, [], []),
        owner_id=owner_id,
        folder_id=given(item.folder_id, None),
        enabled=given(item.enabled, True),
        expression=expression,
        evaluation=evaluation,
        created_step=step,
        step=step,
    )
    _check_seen(audience, catalogue)
    check_parts(audience, catalogue)
    check_size(audience, catalogue.forms)
    return audience


def update_audience(item: AudienceUpdate, catalogue: Catalogue, origin: Origin, step: int) -> Audience:
    """The next form; its `step` is `step` where expression or evaluation changed. Raises `ItemFailed`."""
    before = referred(catalogue.audiences, item)
    refuse_immutable(item, before)
    evaluation = _evaluation(item, before.evaluation)
    name, external_ids = given(item.name, before.name).strip(), kept_ids(item, before)
    check_naming(catalogue.audiences, name, external_ids, before.audience_id)
    sent = said_expression(item)
    expression = before.expression if sent is UNSET else next_expression(sent, before, catalogue)
    audience = changed(
        before,
        origin,
        name=name,
        external_ids=external_ids,
        lifecycle_state=next_state(item.lifecycle_state, before, catalogue),
        description=given(item.description, before.description),
        category=given(item.category, before.category) or None,
        sub_category=given(item.sub_category, before.sub_category) or None,
        type=given(item.type, before.type) or None,
        labels=filled(item.labels, before.labels, []),
        folder_id=given(item.folder_id, before.folder_id),
        enabled=given(item.enabled, before.enabled),
        expression=expression,
        evaluation=evaluation,
        step=before.step if (expression, evaluation) == (before.expression, before.evaluation) else step,
    )
    _check_seen(audience, catalogue)
    check_parts(audience, catalogue)
    check_size(audience, catalogue.forms)
    return audience


def deletable_audience(item: AudienceReference, catalogue: Catalogue, delivered: Container[str]) -> Audience:
    """The audience that may go; raises `ItemFailed`(not-found, version-conflict, in-use, audience-delivered)."""
    audience = referred_audience(item, catalogue)
    refuse_used("audience", audience.audience_id, catalogue)
    space = catalogue.space
    if space is not None and not space.policies.delete_delivered and audience.audience_id in delivered:
        fail(codes.AUDIENCE_DELIVERED, f"members of audience {audience.audience_id} have reached a destination")
    return audience


def referred_audience(item: AudienceReference, catalogue: Catalogue) -> Audience:
    """The audience that the item names; raises `ItemFailed`(not-found, version-conflict)."""
    return referred(catalogue.audiences, item)


def checked_id_type(id_type: str) -> str:
    """The id type; raises `ItemFailed`(id-type-unknown, not-supported-yet)."""
    if id_type in RAW_ID_TYPES:
        fail(codes.NOT_SUPPORTED_YET, f"id_type {id_type}: send its hash")
    if id_type not in ID_TYPES:
        fail(codes.ID_TYPE_UNKNOWN, f"id_type {quoted(id_type)}")
    return id_type


def _check_seen(audience: Audience, catalogue: Catalogue) -> None:
    """Raises `ItemFailed`(authorization-denied) where whoever asks for it would not see it."""
    sees = catalogue.audiences.sees
    if sees is not None and not sees(audience):
        fail(codes.AUTHORIZATION_DENIED, "owner_id and folder_id have to be among those of the sender")


def _kind(item: AudienceFields, sent: object) -> str:
    kind = given(item.kind, "list" if sent is UNSET else "composed")
    if kind == "rule":
        fail(codes.NOT_SUPPORTED_YET, "kind rule")
    if kind not in ("list", "composed"):
        fail(codes.FIELD_INVALID, f"kind {quoted(kind)} is neither list nor composed")
    if kind == "list" and sent is not UNSET:
        fail(codes.FIELD_INVALID, "a list audience has no expression")
    return kind


def _member_type(item: AudienceFields) -> str:
    member_type = given(item.member_type, "identity")
    if member_type in _MEMBER_TYPES_LATER:
        fail(codes.NOT_SUPPORTED_YET, f"member_type {member_type}")
    if member_type != "identity":
        fail(codes.FIELD_INVALID, f"member_type {quoted(member_type)}")
    return member_type


def _evaluation(item: AudienceFields, otherwise: Evaluation) -> Evaluation:
    """How it is evaluated, its times in order and each once; null is continuous."""
    evaluation = filled(item.evaluation, otherwise, Evaluation())
    match evaluation:
        case Evaluation(mode="continuous", at=None, timezone="UTC"):
            return evaluation
        case Evaluation(mode="scheduled", at=[*times], timezone="UTC"):
            return Evaluation(mode="scheduled", at=sorted(set(times)))
        case Evaluation(mode="scheduled", at=None):
            raise ItemFailed(codes.FIELD_REQUIRED, "evaluation.at is required: the times of the runs")
        case Evaluation(mode="scheduled"):
            raise ItemFailed(codes.FIELD_INVALID, f"evaluation.timezone {quoted(evaluation.timezone)} is not UTC")
        case Evaluation(mode="continuous"):
            raise ItemFailed(codes.FIELD_INVALID, "evaluation: continuous takes nothing else")
        case _:
            raise ItemFailed(codes.FIELD_INVALID, f"evaluation.mode {quoted(evaluation.mode)}")
