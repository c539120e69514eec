"""The corpus of object notifications, what each sample says, and how tests change one member of a sample."""

import json
import unicodedata
from pathlib import Path
from typing import Any, Literal

import msgspec

from contracts import codes
from contracts.object_events import Ignored, Notification, ObjectCreated, Unreadable, read_notification

CORPUS = Path(__file__).parents[2] / "contracts" / "examples" / "object_notifications"
AT_MS = 1_795_410_367_089  # 2026-11-23T05:06:07.089Z
NOT_JSON = codes.NOTIFICATION_NOT_JSON.code
UNKNOWN_DIALECT = codes.NOTIFICATION_UNKNOWN_DIALECT.code
RECORD_INVALID = codes.NOTIFICATION_RECORD_INVALID.code


def created(dialect: str, key: str, **facts: Any) -> ObjectCreated:
    """What AWS says of its sample object, except for `facts`."""
    base = ObjectCreated(
        bucket="audience-drops",
        key=key,
        key_alternative=None,
        version_id=None,
        etag="5eb63bbbe01eeed093cb22bb8f5acdc3",
        size_bytes=11,
        event_time_ms=AT_MS,
        sequencer=None,
        dialect=dialect,
        event_name="ObjectCreated:Put",
    )
    return msgspec.structs.replace(base, **facts)


def aws(key: str, dialect: str = "aws", **facts: Any) -> ObjectCreated:
    sample: dict[str, Any] = {
        "version_id": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
        "etag": "d41d8cd98f00b204e9800998ecf8427e",
        "size_bytes": 1024,
        "sequencer": "0055AED6DCD90281E5",
    }
    return created(dialect, key, **(sample | facts))


AWS_PUT = aws("in/2026-11-23/part one+bonus.csv.gz", key_alternative="in/2026-11-23/part+one%2Bbonus.csv.gz")
EVENTBRIDGE_PUT = created(
    "eventbridge",
    "in/2026-11-23/part one+bonus%2B.csv",
    version_id="IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
    etag="b1946ac92492d2347c6235b4d2611184",
    size_bytes=5,
    event_time_ms=1_795_410_367_000,
    sequencer="617f08299329d189",
    event_name="Object Created",
)
MINIO_PUT = created("minio", "in/2026-11-23/part one+bonus.csv")
VERSITYGW_PUT = created("versitygw", "in/2026-11-23/part one+bonus%2B.csv", event_time_ms=1_795_410_367_000)
CEPH = {"etag": "37b51d194a7513e45b56f6524f2d51f2", "size_bytes": 1024}
TEST_EVENT = Ignored("test-event", "TestEvent")


def not_created(event_name: str) -> Ignored:
    return Ignored("event-not-created", event_name)


# A code stands for any `Unreadable` that carries it.
EXPECTED: dict[str, list[Notification | str]] = {
    "alien-source": [UNKNOWN_DIALECT],
    "aws-empty-records": [Ignored("empty-records", "")],
    "aws-good-among-bad": [
        aws("in/a.csv", sequencer="0A"),
        RECORD_INVALID,
        aws("in/b.csv", sequencer="0B", event_name="ObjectCreated:CompleteMultipartUpload"),
        not_created("ObjectRemoved:Delete"),
        RECORD_INVALID,
        RECORD_INVALID,
        aws("in/d.csv", sequencer="0C", event_name="ObjectCreated:NameOfNextYear"),
        not_created("ReducedRedundancyLostObject"),
    ],
    "aws-imitator-raw-key": [aws("in/50% off+today.csv", version_id=None, etag=None, sequencer=None)],
    "aws-next-major-version": [UNKNOWN_DIALECT],
    "aws-put": [AWS_PUT],
    "aws-removed": [not_created("ObjectRemoved:DeleteMarkerCreated")],
    "aws-test-event": [TEST_EVENT],
    "aws-unversioned": [aws("in/plain.csv", version_id=None, etag="9b2cf535f27731c974343645a3985328-2")],
    "ceph-put": [
        created(
            "ceph",
            "in/2026-11-23/part one+bonus.csv",
            key_alternative="in/2026-11-23/part one bonus.csv",
            **CEPH,
        )
    ],
    "ceph-put-older": [created("ceph", "in/plain.csv", version_id="Ix7jLC4mJDLmVsHyJLyvkRTLkqW6wUJ", **CEPH)],
    "eventbridge-deleted": [not_created("Object Deleted")],
    "eventbridge-multipart-unversioned": [
        msgspec.structs.replace(EVENTBRIDGE_PUT, version_id=None, etag="4af981f98d22a0b9979da24b259e5e42-12")
    ],
    "eventbridge-other-source": [UNKNOWN_DIALECT],
    "eventbridge-put": [EVENTBRIDGE_PUT],
    "minio-empty-object": [
        msgspec.structs.replace(MINIO_PUT, size_bytes=None, version_id="f2b1c9d2-6ad3-4a7e-9a35-1d6a5f6f2b11")
    ],
    "minio-put": [MINIO_PUT],
    "minio-removed": [not_created("ObjectRemoved:Delete")],
    "minio-tags-put": [not_created("ObjectCreated:PutTagging")],
    "moto-eventbridge": [
        created(
            "moto",
            "in/2026-11-23/part one+bonus%2B.csv",
            size_bytes=5,
            event_time_ms=None,
            event_name="Object Created",
        )
    ],
    "moto-put": [
        created(
            "moto",
            "in/2026-11-23/part one+bonus%.csv",
            key_alternative="in%2F2026-11-23%2Fpart+one%2Bbonus%25.csv",
        )
    ],
    "moto-test-event": [TEST_EVENT],
    "s3-compatible-put": [aws("in/part one.csv", "s3-compatible", key_alternative="in/part+one.csv", sequencer=None)],
    "seaweedfs-create": [UNKNOWN_DIALECT],
    "sns-eventbridge": [EVENTBRIDGE_PUT],
    "sns-in-sns": [AWS_PUT],
    "sns-put": [AWS_PUT],
    "sns-subscription-confirmation": [UNKNOWN_DIALECT],
    "sns-test-event": [TEST_EVENT],
    "storagegrid-put": [aws("in/part one.csv", "storagegrid", key_alternative="in/part+one.csv")],
    "versitygw-array": [VERSITYGW_PUT],
    "versitygw-records": [msgspec.structs.replace(VERSITYGW_PUT, version_id="01KB3Z7W6Y8Q4R2T1V0X9C5N3M")],
    "versitygw-removed": [not_created("ObjectRemoved:DeleteObjects")],
    "versitygw-test-event": [TEST_EVENT],
}


def sample(name: str) -> Any:
    return json.loads((CORPUS / f"{name}.json").read_bytes())


def read(message: object, key_encoding: Literal["auto", "url", "raw"] = "auto") -> list[Notification]:
    return read_notification(json.dumps(message).encode(), key_encoding=key_encoding)


def outcome(results: list[Notification]) -> list[Notification | str]:
    return [r.code if isinstance(r, Unreadable) else r for r in results]


def with_key(name: str, key: str) -> Any:
    """The sample `name` with another key in the place where its dialect keeps it."""
    message = sample(name)
    if isinstance(message, dict) and "detail" in message:
        holder = message["detail"]
    else:
        records = message if isinstance(message, list) else message["Records"]
        holder = records[0]["s3"]
    holder["object"]["key"] = key
    return message


def only_created(results: list[Notification]) -> ObjectCreated:
    [result] = results
    assert isinstance(result, ObjectCreated), result
    return result


def with_member(path: str, value: object) -> Any:
    message = sample("aws-put")
    *parents, last = path.split(".")
    at = message["Records"][0]
    for parent in parents:
        at = at[parent]
    at[last] = value
    return message


NFC, NFD = (unicodedata.normalize(form, "in/zoë/été.csv") for form in ("NFC", "NFD"))
AWKWARD_KEYS = [
    "in/a+b.csv", "in/a b.csv", "in/a%2Bb.csv", "in/a%2Fb.csv", "in/100%.csv", "in/%252B.csv", "in/%GG.csv", NFC, NFD,
    "../../etc/passwd", "in/../out.csv", "/leading.csv", "//", " ", "in/", "in/_SUCCESS", "in/new\nline.csv", "in/\ttab",
    "in/nul\x00.csv", "in/\N{PILE OF POO}.csv", "in/a\\b.csv", 'in/"quoted".csv', "k" * 1024, "é" * 512,
]  # fmt: skip
