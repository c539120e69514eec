"""The life of an audience: draft → published ⇄ inactive → deleted (reference/experience-platform.md, Lifecycle).

A draft is for composing and filling, destinations don't see it; an inactive one takes no rows. Leaving `published`
needs that nothing uses it, and what is published is made of published parts only.
"""

from typing import Final

from msgspec import UnsetType

from contracts import codes
from contracts.messages.entities import Audience
from services.domain.catalogue.catalogue import Catalogue
from services.domain.catalogue.expressions import leaves
from services.domain.catalogue.failed import fail, quoted
from services.domain.catalogue.item import refuse_used

_MOVES: Final = {"draft": {"published"}, "published": {"inactive"}, "inactive": {"published"}}


def first_state(wanted: str | UnsetType) -> str:
    """The state of a new audience; raises `ItemFailed`(field-invalid, lifecycle-refused)."""
    if isinstance(wanted, UnsetType):
        return "published"
    _check_known(wanted)
    if wanted == "inactive":
        fail(codes.LIFECYCLE_REFUSED, "a new audience is draft or published")
    return wanted


def next_state(wanted: str | UnsetType, before: Audience, catalogue: Catalogue) -> str:
    """The state after an update; raises `ItemFailed`(field-invalid, lifecycle-refused, in-use)."""
    present = before.lifecycle_state
    if isinstance(wanted, UnsetType) or wanted == present:
        return present
    _check_known(wanted)
    if wanted not in _MOVES[present]:
        fail(codes.LIFECYCLE_REFUSED, f"from {present} there is no way to {wanted}")
    if present == "published":
        refuse_used("audience", before.audience_id, catalogue)
    return wanted


def check_published(audience: Audience) -> None:
    """Raises `ItemFailed`(lifecycle-refused) where destinations must not see the audience."""
    if audience.lifecycle_state != "published":
        fail(codes.LIFECYCLE_REFUSED, f"audience {audience.audience_id} is {audience.lifecycle_state}")


def check_parts(audience: Audience, catalogue: Catalogue) -> None:
    """Raises `ItemFailed`(lifecycle-refused) where a published composition has a part that is not."""
    if audience.lifecycle_state != "published" or audience.expression is None:
        return
    for part in map(catalogue.audiences.get, leaves(audience.expression)):
        assert part is not None, "resolved leaves exist"
        check_published(part)


def _check_known(state: str) -> None:
    if state not in _MOVES:
        fail(codes.FIELD_INVALID, f"lifecycle_state {quoted(state)} is none of draft, published, inactive")
