"""One request to `audienceMembers:ingest`, `:remove`, `:removeAll` of Google's Data Manager API: up to 10,000 members.

Forms and reasons are those of googleapis' `google/ads/datamanager/v1` and of destinations.md §2 (keys GDM, GADS).
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from contracts import codes
from services.connectors.base import Request, Settings, Target
from services.connectors.bodies import understood
from services.connectors.oauth import bearing
from services.domain.delivery.answers import DELIVERED, NOT_UNDERSTOOD, UNANSWERED, Fate, Verdict, judge
from services.domain.delivery.merge import Item
from services.runtime.web import WebAnswer, WebRequest

KINDS: Final = {
    "email_sha256": "userData",
    "maid": "mobileData",
    "idfa": "mobileData",
    "aaid": "mobileData",
    "customer_id": "userIdData",
    "user_id": "userIdData",
}
_MEMBER: Final[Mapping[str, Callable[[str], object]]] = {
    "userData": lambda member: {"userIdentifiers": [{"emailAddress": member}]},
    "mobileData": lambda member: {"mobileIds": [member]},
    "userIdData": lambda member: {"userId": member},
}
_VERBS: Final = {"add": "ingest", "remove": "remove", "clear": "removeAll"}
_SECONDS_MAX: Final = 60.0
_PLACED: Final = re.compile(r"audience_members\[([0-9]{1,5})\]")
_PLACE: Final = frozenset(
    {"ADVERTISER_NOT_ALLOWLISTED_FOR_UPLOADED_DATA", "ADVERTISER_TOS_NOT_ACCEPTED",
     "DATA_PARTNER_USER_LIST_MUTATE_NOT_ALLOWED", "DESTINATION_ACCOUNT_TYPE_MISMATCH",
     "DIFFERENT_LOGIN_ACCOUNTS_NOT_ALLOWED_FOR_DATA_PARTNER", "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED",
     "INVALID_DESTINATION", "INVALID_USER_LIST_ID", "INVALID_USER_LIST_TYPE", "NOT_ALLOWLISTED", "NOT_FOUND",
     "OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH", "TERMS_AND_CONDITIONS_NOT_SIGNED",
     "UNSUPPORTED_OPERATING_ACCOUNT_FOR_DATA_PARTNER", "USER_LIST_MUTATION_NOT_SUPPORTED",
     "USER_LIST_TYPE_NOT_SUPPORTED_FOR_ACCOUNT"}
)  # fmt: skip


class _Violation(msgspec.Struct):
    field: str = ""
    reason: str = ""


class _Detail(msgspec.Struct, rename="camel"):
    reason: str = ""
    field_violations: list[_Violation] = []


class _Error(msgspec.Struct):
    status: str = ""
    details: list[_Detail] = []


class _Answer(msgspec.Struct, rename="camel"):
    request_id: str = ""
    error: _Error | None = None


class _Lists(msgspec.Struct, rename="camel"):
    user_lists: list[object] = []


_read = msgspec.json.Decoder(_Answer).decode
_read_lists = msgspec.json.Decoder(_Lists).decode


def request(items: Sequence[Item], settings: Settings) -> Request:
    """Items of one activation, operation and id type. Whom it goes to is put before it at each attempt."""
    said = items[0].delivery
    if said.operation == "clear":
        return Request(id=f"clear_{said.delivery_id}", items=tuple(items), body=b"{}")
    kind = KINDS[said.id_type]
    form = _MEMBER[kind]
    body: dict[str, object] = {"audienceMembers": [{kind: form(one)} for item in items for one in item.members]}
    if kind == "userData":
        body["encoding"] = "HEX"
    if said.operation == "add":
        body |= _consent(settings)
    encoded = msgspec.json.encode(body)
    digest = hashlib.sha256(f"{said.activation_id} {said.operation} ".encode() + encoded).hexdigest()[:32]
    return Request(id=f"members_{digest}", items=tuple(items), body=encoded)


def attempt(sent: Request, target: Target) -> WebRequest:
    """To the audience of the connection, in the operating account of the destination."""
    settings = target.settings
    to: dict[str, object] = {
        "operatingAccount": _account(settings, "operating"),
        "productDestinationId": target.connection["audience_id"],
    }
    if settings["login_account_id"] is not None:
        to["loginAccount"] = _account(settings, "login")
    verb = _VERBS[sent.items[0].delivery.operation]
    members = sent.body[1:] if verb == "removeAll" else b"," + sent.body[1:]
    body = b'{"destinations":[' + msgspec.json.encode(to) + b"]" + members
    return called(target, "POST", f"audienceMembers:{verb}", body)


def called(target: Target, method: str, path: str, body: bytes) -> WebRequest:
    """A call of the API, for the quota of a project where one is named."""
    headers = bearing(target.token)
    if body:
        headers["content-type"] = "application/json"
    if target.settings["quota_project"] is not None:
        headers["x-goog-user-project"] = str(target.settings["quota_project"])
    url = f"{str(target.settings['url']).rstrip('/')}/v1/{path}"
    return WebRequest(method=method, url=url, headers=headers, body=body, timeout_seconds=_SECONDS_MAX)


def verification(target: Target) -> WebRequest:
    """The operating account's audiences, one at most (`UserListService.ListUserLists`)."""
    return of_account(target, "GET", "userLists?pageSize=1", b"")


def of_account(target: Target, method: str, path: str, body: bytes) -> WebRequest:
    """A call about the operating account, as the user of the login account where that is another."""
    settings = target.settings
    kind, account = settings["operating_account_type"], settings["operating_account_id"]
    asked = called(target, method, f"accountTypes/{kind}/accounts/{account}/{path}", body)
    if settings["login_account_id"] is None:
        return asked
    login = f"accountTypes/{settings['login_account_type']}/accounts/{settings['login_account_id']}"
    return replace(asked, headers={**asked.headers, "login-account": login})


def verified(answer: WebAnswer) -> Verdict:
    """Whether the account answers with a list, which may be empty."""
    verdict = judged(answer)
    return NOT_UNDERSTOOD if verdict is DELIVERED and understood(_read_lists, answer.body) is None else verdict


def judged(answer: WebAnswer) -> Verdict:
    """The verdict on an answer to what is no request about members; `DELIVERED` says nothing of what is in it."""
    return _verdict(answer.status, _Answer(request_id="none is wanted", error=_said(answer).error)) or NOT_UNDERSTOOD


def outcomes(sent: Request, answer: WebAnswer) -> Mapping[str, Verdict]:
    """A request is taken or refused as a whole. Where single members are why, the others go again without them."""
    said = _said(answer)
    verdict = UNANSWERED if _misplaced(sent, said) else _verdict(answer.status, said)
    return {} if verdict is None else dict.fromkeys((item.id for item in sent.items), verdict)


def receipt(answer: WebAnswer) -> str | None:
    """The id by which Google says later what became of the request."""
    return _said(answer).request_id or None


def refused(sent: Request, answer: WebAnswer) -> Mapping[str, Sequence[str]]:
    """The members that are why the request was refused, by item."""
    places = [(item.id, member) for item in sent.items for member in item.members]
    found: dict[str, list[str]] = {}
    for index in sorted(_misplaced(sent, _said(answer))):
        item_id, member = places[index]
        found.setdefault(item_id, []).append(member)
    return found


def _consent(settings: Settings) -> dict[str, object]:
    """What holds for all members of a request, as far as it is set, and whether the terms are accepted."""
    consent = {
        name: f"CONSENT_{str(settings[field]).upper()}"
        for name, field in (("adUserData", "ad_user_data"), ("adPersonalization", "ad_personalization"))
        if settings[field] is not None
    }
    said: dict[str, object] = {"consent": consent} if consent else {}
    if settings["terms_accepted"]:
        said["termsOfService"] = {"customerMatchTermsOfServiceStatus": "ACCEPTED"}
    return said


def _account(settings: Settings, which: str) -> dict[str, object]:
    return {"accountType": settings[f"{which}_account_type"], "accountId": settings[f"{which}_account_id"]}


def _said(answer: WebAnswer) -> _Answer:
    return understood(_read, answer.body) or _Answer()


def _reasons(said: _Answer) -> set[str]:
    details = said.error.details if said.error is not None else []
    return {one.reason for one in details} | {one.reason for detail in details for one in detail.field_violations}


def _misplaced(sent: Request, said: _Answer) -> set[int]:
    """The places of the members that an INVALID_ARGUMENT names; none where it is about more than members."""
    if said.error is None or said.error.status != "INVALID_ARGUMENT" or _reasons(said) & _PLACE:
        return set()
    violations = [one for detail in said.error.details for one in detail.field_violations]
    matches = [_PLACED.search(one.field) for one in violations]
    count = sum(len(item.members) for item in sent.items)
    places = {int(match[1]) for match in matches if match is not None}
    return places if None not in matches and all(place < count for place in places) else set()


def _verdict(status: int, said: _Answer) -> Verdict | None:
    verdict = judge(status)
    if verdict is DELIVERED:
        return DELIVERED if said.request_id and said.error is None else None
    known = sorted(_reasons(said) & _PLACE)
    if verdict.fate is Fate.REFUSED and (known or status == 404):
        detail = f"Google answered {status} {' '.join(known)}".strip()
        return Verdict(Fate.BLOCKED, codes.DELIVERY_SETTINGS_INVALID, detail)
    if status == 409:  # somebody else changes the list
        return Verdict(Fate.UNAVAILABLE, codes.DELIVERY_UNAVAILABLE, verdict.detail)
    return verdict
