"""What stores say of a new object: the same event in the dialects that usher understands."""

import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, quote_plus

from contracts.instants import instant_text
from contracts.messages.intake import ObjectVersion


def _record(version: ObjectVersion, at_ms: int, source: str, key: str, **more: Any) -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventSource": source,
        "eventTime": instant_text(at_ms),
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "X"},
        "s3": {
            "bucket": {"name": version.bucket},
            "object": {"key": key, "size": version.size_bytes, "eTag": version.etag, **more},
        },
    }


def _aws(version: ObjectVersion, at_ms: int) -> Any:
    key, sequencer = quote_plus(version.key, safe="/"), f"{at_ms:016X}"
    return {"Records": [_record(version, at_ms, "aws:s3", key, sequencer=sequencer)]}


def _sns(version: ObjectVersion, at_ms: int) -> Any:
    return {"Type": "Notification", "Message": json.dumps(_aws(version, at_ms))}


def _minio(version: ObjectVersion, at_ms: int) -> Any:
    record = _record(version, at_ms, "minio:s3", quote(version.key, safe=""), sequencer=f"{at_ms:016X}")
    return {"EventName": "s3:ObjectCreated:Put", "Key": f"{version.bucket}/{version.key}", "Records": [record]}


def _ceph(version: ObjectVersion, at_ms: int) -> Any:
    return {"Records": [_record(version, at_ms, "ceph:s3", version.key, versionId="", sequencer="F7E6D75DC742D108")]}


def _versitygw(version: ObjectVersion, at_ms: int) -> Any:
    record = _record(version, at_ms, "aws:s3", version.key, versionId=None, sequencer="1A")
    return [{**record, "userIdentity": {"PrincipalId": "user"}}]


def _eventbridge(version: ObjectVersion, at_ms: int) -> Any:
    said = {"key": version.key, "size": version.size_bytes, "etag": version.etag, "sequencer": f"{at_ms:016x}"}
    detail = {"version": "0", "bucket": {"name": version.bucket}, "object": said}
    return {"detail-type": "Object Created", "source": "aws.s3", "time": instant_text(at_ms), "detail": detail}


DIALECTS: Final[tuple[Callable[[ObjectVersion, int], Any], ...]] = (_aws, _sns, _minio, _ceph, _versitygw, _eventbridge)
NO_NEWS: Final[tuple[dict[str, object], ...]] = (
    {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "drops"},
    {"Records": []},
    {"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectRemoved:Delete"}]},
)
"""What is to be ignored."""


def notification(dialect: Callable[[ObjectVersion, int], Any], version: ObjectVersion, at_ms: int) -> bytes:
    """The body that announces this version, written at `at_ms`."""
    return json.dumps(dialect(version, at_ms)).encode()
