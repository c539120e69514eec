"""One request to `/data/advertiser` of The Trade Desk's Data API: a line for each member, with its own time to live.

Forms and codes are those of the published OpenAPI and of destinations.md §2 (keys TTD, RUD).
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from contracts import codes
from services.connectors.base import Request, Settings, Target
from services.connectors.bodies import understood
from services.connectors.oauth import bearer
from services.domain.delivery.answers import DELIVERED, NOT_UNDERSTOOD, REFUSED_MEMBER, Fate, Verdict, judge
from services.domain.delivery.merge import Item
from services.runtime.web import WebAnswer, WebRequest

ID_NAMES: Final = {"maid": "DAID", "idfa": "DAID", "aaid": "DAID", "identity_link": "RampID"}
_SECONDS_MAX: Final = 30.0
_PLACE: Final = frozenset(
    {"AdvertiserMisconfigured", "DataProviderMisconfigured", "TargetingDataLimitReached", "EndpointNotConfigured"}
)
_NUMBER: Final = re.compile(r"item #?([0-9]{1,6})\b")


class _Line(msgspec.Struct, rename="pascal"):
    item_number: str | None = None
    message: str | None = None


class _Answer(msgspec.Struct, rename="pascal"):
    failed_lines: list[_Line] | None = None
    error_code: str | None = None


_read = msgspec.json.Decoder(_Answer).decode


def request(items: Sequence[Item], settings: Settings) -> Request:
    """A segment has the name of its activation."""
    lines = [
        {ID_NAMES[item.delivery.id_type]: member, "Data": [data]}
        for item in items
        for data in [_data(item, settings)]
        for member in item.members
    ]
    body = msgspec.json.encode({"AdvertiserId": settings["advertiser_id"], "Items": lines})
    return Request(id=f"lines_{hashlib.sha256(body).hexdigest()[:32]}", items=tuple(items), body=body)


def attempt(sent: Request, target: Target) -> WebRequest:
    """The token goes in a header."""
    return _post(sent.body, target)


def verification(target: Target) -> WebRequest:
    """No lines for the advertiser: the Data API has nothing that could be looked at."""
    return _post(msgspec.json.encode({"AdvertiserId": target.settings["advertiser_id"], "Items": []}), target)


def verified(answer: WebAnswer) -> Verdict:
    """That lines are missing is said to whom has been let in: tokens and advertisers are refused with 401 and 403."""
    said = _said(answer)
    if answer.status == 400 and said is not None and said.error_code == "MissingData":
        return DELIVERED
    return _verdict(answer) or NOT_UNDERSTOOD


def outcomes(sent: Request, answer: WebAnswer) -> Mapping[str, Verdict]:
    """A 200 may hide failed lines. Where it can't be said which they are, it says nothing."""
    verdict = _verdict(answer)
    if verdict is not DELIVERED:
        return {} if verdict is None else dict.fromkeys((item.id for item in sent.items), verdict)
    lost = failed(sent, answer)
    if lost is None:
        return {}
    return {
        item.id: REFUSED_MEMBER if len(lost.get(item.id, ())) == len(item.members) else DELIVERED for item in sent.items
    }


def failed(sent: Request, answer: WebAnswer) -> Mapping[str, Sequence[str]] | None:
    """The members of the failed lines by item; None where a line can't be told."""
    said = _said(answer)
    numbers = [_number(line) for line in (said.failed_lines or [])] if said is not None else []
    places = [(item.id, member) for item in sent.items for member in item.members]
    lost: dict[str, list[str]] = {}
    for number in sorted({number or 0 for number in numbers}):
        if not 1 <= number <= len(places):
            return None
        item_id, member = places[number - 1]
        lost.setdefault(item_id, []).append(member)
    return lost


def _post(body: bytes, target: Target) -> WebRequest:
    headers = {"content-type": "application/json", "ttd-auth": bearer(target.secrets["token"]).reveal()}
    url = f"{str(target.settings['url']).rstrip('/')}/data/advertiser"
    return WebRequest(method="POST", url=url, headers=headers, body=body, timeout_seconds=_SECONDS_MAX)


def _data(item: Item, settings: Settings) -> dict[str, object]:
    name = item.delivery.activation_name or item.delivery.activation_id
    return {"Name": name, "TtlInMinutes": settings["ttl_minutes"] if item.delivery.operation == "add" else 0}


def _said(answer: WebAnswer) -> _Answer | None:
    return understood(_read, answer.body)


def _verdict(answer: WebAnswer) -> Verdict | None:
    verdict, said = judge(answer.status), _said(answer)
    if verdict is DELIVERED:
        understood = said is not None and (said.error_code is None or said.failed_lines)
        return DELIVERED if understood else None
    if 400 <= answer.status <= 499 and said is not None and said.error_code in _PLACE:
        detail = f"The Trade Desk answered {answer.status}, {said.error_code}"
        return Verdict(Fate.BLOCKED, codes.DELIVERY_SETTINGS_INVALID, detail)
    return verdict


def _number(line: _Line) -> int | None:
    """From 1, as messages count."""
    if line.item_number is not None:
        return int(line.item_number) if re.fullmatch(r"[0-9]{1,6}", line.item_number, re.ASCII) else None
    found = _NUMBER.search(line.message or "")
    return None if found is None else int(found[1])
