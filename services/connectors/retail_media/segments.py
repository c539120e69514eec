"""Contact-list segments of an account: found by their name, page by page, and made.

Forms and codes are those of retail-media.md §1 and §2. A segment's name is the only one in its account.
"""

from typing import Final
from urllib.parse import urlencode

import msgspec

from contracts import codes
from services.connectors.base import ListsFound, Settings, Target
from services.connectors.bodies import understood
from services.connectors.retail_media.contact_list import IDENTIFIER_TYPES, PASSING, Problem, called, placed
from services.domain.delivery.answers import DELIVERED, NOT_UNDERSTOOD, Fate, Verdict
from services.runtime.failures import Rejected
from services.runtime.web import WebAnswer, WebRequest

_LIMIT: Final = 500
_MADE: Final = frozenset({"Email", "UserIdentifier", "IdentityLink", "CustomerId"})
_TAKEN: Final = codes.NAME_MUST_BE_UNIQUE.code  # ours are named after Criteo's
_OTHER: Final = Verdict(
    Fate.BLOCKED,
    codes.DELIVERY_LIST_REFUSED,
    "the segment of that name is no contact list of the retailer and the identifier type that can be written",
)


class _ContactList(msgspec.Struct, rename="camel"):
    identifier_type: str = ""
    is_read_only: bool | None = None


class _Attributes(msgspec.Struct, rename="camel"):
    name: str | None = None
    retailer_id: str | None = None
    contact_list: _ContactList | None = None


class _Segment(msgspec.Struct):
    id: str
    attributes: _Attributes | None = None


class _Meta(msgspec.Struct, rename="camel"):
    total_items: int
    offset: int


class _Answer(msgspec.Struct):
    data: list[_Segment] | None = None
    meta: _Meta | None = None
    errors: list[Problem] | None = None
    warnings: list[Problem] | None = None


_read = msgspec.json.Decoder(_Answer).decode


def search(target: Target, page: str | None) -> WebRequest:
    """All segments of the account, 500 at a time: no filter knows names. `page` is where the next begin."""
    body = {"data": {"type": "RmAudienceSegmentSearch", "attributes": {}}}
    query = urlencode({"offset": page or 0, "limit": _LIMIT})
    return called("POST", f"{_path(target)}/search?{query}", target, msgspec.json.encode(body))


def found(answer: WebAnswer, connection: Settings, id_type: str) -> ListsFound | Verdict:
    """Those of the name, of this page."""
    verdict = placed(answer.status)
    if verdict is not DELIVERED:
        return verdict
    said = understood(_read, answer.body)
    if said is None or said.data is None or said.meta is None or said.errors:
        return NOT_UNDERSTOOD
    named = [one for one in said.data if _named(one) == connection["segment_name"]]
    if not all(_is_ours(one, connection, id_type) for one in named):
        return _OTHER
    through = said.meta.offset + len(said.data)
    following = str(through) if said.data and through < said.meta.total_items else None
    return ListsFound(tuple(one.id for one in named), following)


def creation(target: Target, id_type: str) -> WebRequest:
    """A segment with an empty contact list of the id type. Raises `Rejected` where Criteo has none of that type."""
    kind = IDENTIFIER_TYPES[id_type]
    if kind not in _MADE:
        raise Rejected(
            codes.DELIVERY_LIST_REFUSED, f"Criteo makes no contact list of type {kind}: name one that exists"
        )
    attributes = {
        "name": target.connection["segment_name"],
        "retailerId": target.connection["retailer_id"],
        "contactList": {"identifierType": kind},
    }
    body = {"data": [{"type": "RmAudienceSegmentCreate", "attributes": attributes}]}
    return called("POST", f"{_path(target)}/create", target, msgspec.json.encode(body))


def created(answer: WebAnswer) -> str | Verdict:
    """Its id. 200 says only that the call was understood: a segment that can't be made is among the problems."""
    verdict = placed(answer.status)
    if verdict is not DELIVERED:
        return verdict
    said = understood(_read, answer.body)
    if said is None:
        return NOT_UNDERSTOOD
    if said.data is not None and len(said.data) == 1:
        return said.data[0].id
    problems = [*(said.errors or []), *(said.warnings or [])]
    if any(one.code == _TAKEN for one in problems):
        return Verdict(
            Fate.UNAVAILABLE, codes.DELIVERY_UNAVAILABLE, "a segment of that name is there, and not shown yet"
        )
    if any(one.type in PASSING for one in problems) or not problems:
        return NOT_UNDERSTOOD
    return Verdict(Fate.REFUSED, codes.DELIVERY_LIST_REFUSED, f"Criteo refuses it with {len(problems)} problems")


def _named(segment: _Segment) -> str | None:
    return None if segment.attributes is None else segment.attributes.name


def _is_ours(segment: _Segment, connection: Settings, id_type: str) -> bool:
    said = segment.attributes
    if said is None or said.contact_list is None or said.contact_list.is_read_only:
        return False
    kind = said.contact_list.identifier_type
    return (said.retailer_id, kind) == (connection["retailer_id"], IDENTIFIER_TYPES[id_type])


def _path(target: Target) -> str:
    return f"accounts/{target.connection['account_id']}/audience-segments"
