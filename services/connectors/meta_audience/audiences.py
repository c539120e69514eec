"""Custom audiences of an ad account: found by their name, page by page, and made (`/act_<account>/customaudiences`).

Forms are those of Meta's Marketing API reference, Custom Audience. Names are not unique there.
"""

from typing import Final

import msgspec

from contracts import codes
from services.connectors.base import ListsFound, Settings, Target
from services.connectors.bodies import understood
from services.connectors.meta_audience.users import Error, called, judged
from services.domain.delivery.answers import DELIVERED, NOT_UNDERSTOOD, Fate, Verdict
from services.runtime.web import WebAnswer, WebRequest

SOURCES: Final = ("USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY", "BOTH_USER_AND_PARTNER_PROVIDED")
_CUSTOMERS: Final = "CUSTOM"
_OTHER: Final = Verdict(
    Fate.BLOCKED, codes.DELIVERY_LIST_REFUSED, "the custom audience of that name is no list of customers"
)


class _Audience(msgspec.Struct):
    id: str
    name: str = ""
    subtype: str = ""


class _Cursors(msgspec.Struct):
    after: str | None = None


class _Paging(msgspec.Struct):
    cursors: _Cursors | None = None
    next: str | None = None


class _Page(msgspec.Struct):
    data: list[_Audience] | None = None
    paging: _Paging | None = None
    error: Error | None = None


class _Made(msgspec.Struct):
    id: str | None = None
    error: Error | None = None


_read_page = msgspec.json.Decoder(_Page).decode
_read_made = msgspec.json.Decoder(_Made).decode


def search(target: Target, page: str | None) -> WebRequest:
    """All audiences of the account, a hundred at a time; `page` is Meta's own cursor."""
    query = {"fields": "id,name,subtype", "limit": "100"} | ({} if page is None else {"after": page})
    return called("GET", _path(target), target, query=query)


def found(answer: WebAnswer, connection: Settings) -> ListsFound | Verdict:
    """Those of the name, of this page."""
    said = understood(_read_page, answer.body) or _Page()
    verdict = judged(answer.status, said.error)
    if verdict is not DELIVERED:
        return verdict
    if said.data is None:
        return NOT_UNDERSTOOD
    named = [one for one in said.data if one.name == connection["audience_name"]]
    if any(one.subtype != _CUSTOMERS for one in named):
        return _OTHER
    paging = said.paging
    after = paging.cursors.after if paging is not None and paging.next and paging.cursors is not None else None
    return ListsFound(tuple(one.id for one in named), after)


def creation(target: Target) -> WebRequest:
    """An audience of customers, with whose word their data was given."""
    made = {
        "name": target.connection["audience_name"],
        "subtype": _CUSTOMERS,
        "customer_file_source": target.connection["customer_file_source"],
    }
    return called("POST", _path(target), target, msgspec.json.encode(made))


def created(answer: WebAnswer) -> str | Verdict:
    """Its id."""
    said = understood(_read_made, answer.body) or _Made()
    verdict = judged(answer.status, said.error)
    return verdict if verdict is not DELIVERED else said.id or NOT_UNDERSTOOD


def _path(target: Target) -> str:
    return f"act_{target.connection['ad_account_id']}/customaudiences"
