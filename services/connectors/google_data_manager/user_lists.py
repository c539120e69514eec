"""User lists of the operating account: found by their display name, and made (`UserListService`).

Forms are those of googleapis' `google/ads/datamanager/v1/user_list{,_service}.proto`.
"""

from typing import Final
from urllib.parse import urlencode

import msgspec

from contracts import codes
from services.connectors.base import ListsFound, Settings, Target
from services.connectors.bodies import understood
from services.connectors.google_data_manager.audience_members import KINDS, judged, of_account
from services.domain.delivery.answers import DELIVERED, NOT_UNDERSTOOD, Fate, Verdict
from services.runtime.failures import Rejected
from services.runtime.web import WebAnswer, WebRequest

_OF_AN_APP: Final = "MOBILE_ID"
_KEY_TYPES: Final = {"userData": "CONTACT_ID", "mobileData": _OF_AN_APP, "userIdData": "USER_ID"}
_OTHER: Final = Verdict(
    Fate.BLOCKED,
    codes.DELIVERY_LIST_REFUSED,
    "the user list of that name can't be written, or takes no such identifiers",
)


class _Ingested(msgspec.Struct, rename="camel"):
    upload_key_types: list[str] = []


class _List(msgspec.Struct, rename="camel"):
    id: str | int = ""
    display_name: str = ""
    read_only: bool = False
    ingested_user_list_info: _Ingested | None = None


class _Page(msgspec.Struct, rename="camel"):
    user_lists: list[_List] = []
    next_page_token: str = ""


_read_page = msgspec.json.Decoder(_Page).decode
_read_list = msgspec.json.Decoder(_List).decode


def search(target: Target, page: str | None) -> WebRequest:
    """Those of the name; it has neither quotes nor backslashes."""
    query = {"filter": f'display_name = "{target.connection["audience_name"]}"', "pageSize": "1000"}
    query |= {} if page is None else {"pageToken": page}
    return of_account(target, "GET", f"userLists?{urlencode(query)}", b"")


def found(answer: WebAnswer, connection: Settings, id_type: str) -> ListsFound | Verdict:
    """Those of exactly the name: the filter may be kinder."""
    verdict = judged(answer)
    if verdict is not DELIVERED:
        return verdict
    said = understood(_read_page, answer.body)
    if said is None:
        return NOT_UNDERSTOOD
    named = [one for one in said.user_lists if one.display_name == connection["audience_name"]]
    if not all(_takes(one, id_type) for one in named):
        return _OTHER
    return ListsFound(tuple(str(one.id) for one in named), said.next_page_token or None)


def creation(target: Target, id_type: str) -> WebRequest:
    """A list for identifiers of the type. Raises `Rejected` for mobile ids: such a list belongs to one app."""
    kind = _KEY_TYPES[KINDS[id_type]]
    if kind == _OF_AN_APP:
        raise Rejected(
            codes.DELIVERY_LIST_REFUSED, "Google makes a list of mobile ids for one app: name one that exists"
        )
    made = {"displayName": target.connection["audience_name"], "ingestedUserListInfo": {"uploadKeyTypes": [kind]}}
    return of_account(target, "POST", "userLists", msgspec.json.encode(made))


def created(answer: WebAnswer) -> str | Verdict:
    """Its id."""
    verdict = judged(answer)
    if verdict is not DELIVERED:
        return verdict
    said = understood(_read_list, answer.body)
    return NOT_UNDERSTOOD if said is None or said.id == "" else str(said.id)


def _takes(one: _List, id_type: str) -> bool:
    info = one.ingested_user_list_info
    return info is not None and not one.read_only and _KEY_TYPES[KINDS[id_type]] in info.upload_key_types
