"""What makes an audience a composition: its expression, however it is said, and what follows from its parts."""

from msgspec import UNSET, UnsetType

from contracts import codes
from contracts.messages.commands import AudienceFields
from contracts.messages.entities import Audience, Expression
from services.domain.catalogue.catalogue import Catalogue
from services.domain.catalogue.expressions import leaves, refuse_cycle, resolve
from services.domain.catalogue.failed import fail, quoted
from services.domain.catalogue.item import given, required


def said_expression(item: AudienceFields) -> object | UnsetType:
    """The expression as sent; `operator` with `rules.segment` or `segments` is one node. Raises `ItemFailed`."""
    if item.rules is UNSET and item.segments is UNSET and item.operator is UNSET:
        return item.expression
    if item.expression is not UNSET:
        fail(codes.FIELD_INVALID, "expression, or operator and rules, not both")
    operator = required(item.operator, "operator")
    if item.segments is not UNSET and item.rules is not UNSET:
        fail(codes.FIELD_INVALID, "rules.segment or segments, not both")
    nested = item.segments if item.rules is UNSET else item.rules.segment
    parts = required(nested, "rules.segment")
    if operator.upper() not in ("OR", "AND"):
        fail(codes.EXPRESSION_INVALID, f"operator {quoted(operator)} is neither OR nor AND")
    return {operator.lower(): [{"audience": str(part)} for part in parts]}


def next_expression(sent: object, before: Audience, catalogue: Catalogue) -> Expression:
    """What a composition is after an update; raises `ItemFailed`."""
    if before.kind != "composed":
        fail(codes.FIELD_INVALID, "a list audience has no expression")
    if sent is None:
        fail(codes.FIELD_INVALID, "a composed audience needs its expression")
    expression = resolve(sent, catalogue.audiences.find)
    refuse_cycle(before.audience_id, expression, catalogue.audiences.get)
    of_parts(expression, catalogue, before.id_type, before.owner_id)
    return expression


def of_parts(
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
