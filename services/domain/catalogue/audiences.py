"""Audiences: what an item makes of the catalogue (contracts.md §3)."""

from typing import Final

from msgspec import UNSET, UnsetType

from contracts import codes
from contracts.ids import ID_TYPES
from contracts.messages.commands import AudienceCreate, AudienceFields, AudienceReference, AudienceUpdate
from contracts.messages.entities import Audience, Evaluation, Expression
from services.domain.catalogue.catalogue import Catalogue
from services.domain.catalogue.expressions import leaves, refuse_cycle, resolve
from services.domain.catalogue.failed import ItemFailed, fail, quoted
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

RAW_ID_TYPES: Final = frozenset({"email", "phone"})  # become hashes at the door, once spaces have policies
_MEMBER_TYPES_LATER: Final = frozenset({"profile", "account", "entity"})


def create_audience(item: AudienceCreate, catalogue: Catalogue, origin: Origin, step: int) -> Audience:
    """A new audience that `step` makes known; raises `ItemFailed`."""
    name = required(item.name, "name").strip()
    audience_id = new_id(catalogue.audiences, (item.id, item.audience_id), origin, "aud")
    external_ids = filled(item.external_ids, {}, {})
    check_naming(catalogue.audiences, name, external_ids, audience_id)
    evaluation = _evaluation(item, Evaluation())
    kind = _kind(item)
    expression = None if kind == "list" else resolve(required(item.expression, "expression"), catalogue.audiences.find)
    if expression is None:
        id_type, owner_id = checked_id_type(required(item.id_type, "id_type")), given(item.owner_id, None)
    else:
        id_type, owner_id = _of_parts(expression, catalogue, item.id_type, item.owner_id)
    audience = Audience(
        space_id=origin.space_id,
        audience_id=audience_id,
        name=name,
        external_ids=external_ids,
        created_at=origin.at,
        updated_at=origin.at,
        kind=kind,
        id_type=id_type,
        member_type=_member_type(item),
        description=given(item.description, None),
        category=given(item.category, None),
        sub_category=given(item.sub_category, None),
        type=given(item.type, None),
        labels=filled(item.labels, [], []),
        owner_id=owner_id,
        folder_id=given(item.folder_id, None),
        enabled=given(item.enabled, True),
        expression=expression,
        evaluation=evaluation,
        created_step=step,
        step=step,
    )
    check_size(audience)
    return audience


def update_audience(item: AudienceUpdate, catalogue: Catalogue, origin: Origin, step: int) -> Audience:
    """The next form; its `step` is `step` where expression or evaluation changed. Raises `ItemFailed`."""
    before = refer(catalogue.audiences, {"id": item.id, "audience_id": item.audience_id, "audience": item.audience})
    check_version(item, before)
    refuse_change(before.kind, item.kind, "kind")
    refuse_change(before.id_type, item.id_type, "id_type")
    refuse_change(before.member_type, item.member_type, "member_type")
    refuse_change(before.owner_id, item.owner_id, "owner_id")
    evaluation = _evaluation(item, before.evaluation)
    name, external_ids = naming(item, before)
    check_naming(catalogue.audiences, name, external_ids, before.audience_id)
    expression = before.expression
    if not isinstance(item.expression, UnsetType):
        expression = _next_expression(item.expression, before, catalogue)
    audience = changed(
        before,
        origin,
        name=name,
        external_ids=external_ids,
        description=given(item.description, before.description),
        category=given(item.category, before.category),
        sub_category=given(item.sub_category, before.sub_category),
        type=given(item.type, before.type),
        labels=filled(item.labels, before.labels, []),
        folder_id=given(item.folder_id, before.folder_id),
        enabled=given(item.enabled, before.enabled),
        expression=expression,
        evaluation=evaluation,
        step=before.step if (expression, evaluation) == (before.expression, before.evaluation) else step,
    )
    check_size(audience)
    return audience


def deletable_audience(item: AudienceReference, catalogue: Catalogue) -> Audience:
    """The audience that may go; raises `ItemFailed`(not-found, version-conflict, in-use)."""
    audience = referred_audience(item, catalogue)
    users = catalogue.users_of_audience(audience.audience_id)
    if users:
        fail(codes.IN_USE, f"used by {users[0]}" + (f" and {len(users) - 1} more" if len(users) > 1 else ""))
    return audience


def referred_audience(item: AudienceReference, catalogue: Catalogue) -> Audience:
    """The audience that the item names; raises `ItemFailed`(not-found, version-conflict)."""
    references = {"id": item.id, "audience_id": item.audience_id, "audience": item.audience, "name": item.name}
    audience = refer(catalogue.audiences, references)
    check_version(item, audience)
    return audience


def checked_id_type(id_type: str) -> str:
    """The id type; raises `ItemFailed`(id-type-unknown, not-supported-yet)."""
    if id_type in RAW_ID_TYPES:
        fail(codes.NOT_SUPPORTED_YET, f"id_type {id_type}: send its hash")
    if id_type not in ID_TYPES:
        fail(codes.ID_TYPE_UNKNOWN, f"id_type {quoted(id_type)}")
    return id_type


def _kind(item: AudienceFields) -> str:
    kind = given(item.kind, "list" if item.expression is UNSET else "composed")
    if kind == "rule":
        fail(codes.NOT_SUPPORTED_YET, "kind rule")
    if kind not in ("list", "composed"):
        fail(codes.FIELD_INVALID, f"kind {quoted(kind)} is neither list nor composed")
    if kind == "list" and item.expression is not UNSET:
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


def _next_expression(sent: object, before: Audience, catalogue: Catalogue) -> Expression:
    if before.kind != "composed":
        fail(codes.FIELD_INVALID, "a list audience has no expression")
    if sent is None:
        fail(codes.FIELD_INVALID, "a composed audience needs its expression")
    expression = resolve(sent, catalogue.audiences.find)
    refuse_cycle(before.audience_id, expression, catalogue.audiences.get)
    _of_parts(expression, catalogue, before.id_type, before.owner_id)
    return expression


def _of_parts(
    expression: Expression,
    catalogue: Catalogue,
    id_type: str | UnsetType,
    owner_id: str | UnsetType | None,
) -> tuple[str, str | None]:
    """Id type and owner of a composition, which are those of its parts; raises `ItemFailed`."""
    parts = [part for part in map(catalogue.audiences.get, leaves(expression)) if part is not None]
    assert parts, "resolved leaves exist"
    first = parts[0]
    wanted = given(id_type, first.id_type)
    if any((part.id_type, part.member_type) != (wanted, first.member_type) for part in parts):
        fail(codes.EXPRESSION_MIXED_ID_TYPES, f"not every part is of id type {quoted(wanted)} and one member type")
    owner = given(owner_id, first.owner_id)
    if any(part.owner_id != owner for part in parts):
        fail(codes.EXPRESSION_MIXED_OWNERS, "a part has another owner_id")
    return wanted, owner
