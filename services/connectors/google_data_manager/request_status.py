"""What became of a request that Google took: `requestStatus:retrieve`, asked from half an hour after it.

Google counts records that failed by reason and names none of them.
"""

from typing import Final
from urllib.parse import urlencode

import msgspec

from services.connectors.base import Report, Target
from services.connectors.bodies import understood
from services.connectors.google_data_manager.audience_members import called
from services.runtime.web import WebAnswer, WebRequest

_REASONS_MAX: Final = 5


class _Count(msgspec.Struct, frozen=True, rename="camel"):
    record_count: int = 0
    reason: str = ""


class _Errors(msgspec.Struct, frozen=True, rename="camel"):
    error_counts: list[_Count] = []


class _Ingested(msgspec.Struct, frozen=True, rename="camel"):
    upload_match_rate_range: str = ""


class _Ingestion(msgspec.Struct, frozen=True, rename="camel"):
    user_data_ingestion_status: _Ingested = _Ingested()


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    request_status: str = ""
    error_info: _Errors = _Errors()
    audience_members_ingestion_status: _Ingestion = _Ingestion()


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    request_status_per_destination: list[_Status] = []


_read = msgspec.json.Decoder(_Answer, strict=False).decode  # protobuf writes 64-bit numbers as texts


def inquiry(receipt: str, target: Target) -> WebRequest:
    """The question about one request."""
    return called(target, "GET", f"requestStatus:retrieve?{urlencode({'requestId': receipt})}", b"")


def report(answer: WebAnswer) -> Report | None:
    """What the answer says about its one destination; None where Google is not done, or says what we don't know."""
    said = understood(_read, answer.body)
    if said is None or len(said.request_status_per_destination) != 1:
        return None
    (status,) = said.request_status_per_destination
    matched = _matched(status.audience_members_ingestion_status.user_data_ingestion_status.upload_match_rate_range)
    counts = status.error_info.error_counts
    match status.request_status:
        case "SUCCESS":
            return Report(failed=0, matched=matched)
        case "PARTIAL_SUCCESS":
            return Report(failed=sum(max(one.record_count, 0) for one in counts), detail=_why(counts), matched=matched)
        case "FAILED" | "FAILURE":  # the proto's word and the guide's
            return Report(failed=None, detail=_why(counts))
        case _:
            return None


def _why(counts: list[_Count]) -> str:
    known = [one for one in counts if one.reason.isascii() and one.reason.replace("_", "").isalnum()]
    said = [f"{one.reason[:80].removeprefix('PROCESSING_ERROR_REASON_')} {one.record_count}" for one in known]
    return f"Google reports {', '.join(said[:_REASONS_MAX]) or 'no reason'}"


def _matched(text: str) -> str | None:
    """`20-30` of `MATCH_RATE_RANGE_20_TO_30`, in per cent."""
    share = text.removeprefix("MATCH_RATE_RANGE_")
    if share == "LESS_THAN_20":
        return "0-20"
    low, _, high = share.partition("_TO_")
    return f"{low}-{high}" if low.isdecimal() and high.isdecimal() and len(share) <= 9 else None
