"""One part of a session on `/{audience}/usersreplace` of Meta's Marketing API: the last makes it the audience.

Forms and rules are those of destinations.md §2 (Meta sessions, key META). What breaks a session is begun again.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from contracts import codes
from services.connectors.base import Request, Target, Whole
from services.connectors.meta_audience.users import SCHEMAS, called, members_in, payload, read, received
from services.domain.delivery.answers import Fate, Verdict
from services.domain.delivery.replacement import Part
from services.runtime.web import WebAnswer, WebRequest

MINUTES_MAX: Final = 90
NOBODY: Final = hashlib.sha256(b"nobody@usher.invalid").hexdigest()
"""Meta refuses to replace an audience by nobody: this row stands for that, the hash of an address that can't exist."""
_BROKEN: Final = 2650
_NOBODYS_SCHEMA: Final = "EMAIL_SHA256"


def request(whole: Whole, part: Part) -> Request:
    """The part with its place in the session, whose id is a number that is the list's and the try's own."""
    schema = SCHEMAS[part.items[0].delivery.id_type] if part.items else _NOBODYS_SCHEMA
    session = {
        "session_id": int.from_bytes(hashlib.sha256(whole.id.encode()).digest()[:8]) >> 1,
        "batch_seq": part.number,
        "last_batch_flag": part.is_last,
        "estimated_num_total": max(whole.members, 1),
    }
    body = msgspec.json.encode({"session": session, "payload": payload(schema, members_in(part.items) or [NOBODY])})
    return Request(f"session_{session['session_id']}_{part.number}", (whole.item,), body, part)


def attempt(sent: Request, target: Target) -> WebRequest:
    """To the audience of the connection."""
    return called("POST", f"{target.connection['audience_id']}/usersreplace", target, sent.body)


def outcomes(sent: Request, part: Part, answer: WebAnswer) -> Mapping[str, Verdict]:
    """As on any rows, but what Meta calls a failed update of the audience is the end of the session alone."""
    (item,) = sent.items
    said = read(answer)
    if said.error is not None and said.error.code == _BROKEN:
        detail = f"Meta answered {answer.status}, error {_BROKEN}/{said.error.error_subcode or 0}"
        return {item.id: Verdict(Fate.UNAVAILABLE, codes.DELIVERY_REPLACEMENT_BROKEN, detail)}
    verdict = received(answer.status, said, max(part.members, 1))
    return {} if verdict is None else {item.id: verdict}
