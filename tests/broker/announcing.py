"""Object notifications as stores write them, for tests that announce objects themselves."""

import json
from typing import Any
from urllib.parse import quote, quote_plus

AT = "2026-11-23T05:06:07.089Z"


def aws(bucket: str, key: str, etag: str | None = None, **facts: Any) -> dict[str, Any]:
    """A record of Amazon's; `facts` are further members of it."""
    thing = {"key": quote_plus(key, safe="/")} | ({} if etag is None else {"eTag": etag})
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventTime": AT,
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": thing},
        **facts,
    }


def message(*records: dict[str, Any]) -> str:
    """The usual envelope."""
    return json.dumps({"Records": records})


def minio(bucket: str, key: str, etag: str | None = None) -> str:
    """As MinIO's Kafka target writes it."""
    record = aws(bucket, key, etag, eventName="s3:ObjectCreated:Put", eventSource="minio:s3")
    record["s3"]["object"]["key"] = quote_plus(key)
    return json.dumps({"EventName": "s3:ObjectCreated:Put", "Key": f"{bucket}/{key}", "Records": [record]})


def bare_array(bucket: str, key: str) -> str:
    """As versitygw wrote it up to 2025: raw keys, and no envelope."""
    record = aws(bucket, key, eventName="s3:ObjectCreated:Put", userIdentity={"PrincipalId": "someone"})
    record["s3"]["object"]["key"] = key
    return json.dumps([record])


def event_bridge(bucket: str, key: str, etag: str) -> str:
    """One object, no Records, its key as it is."""
    detail = {"bucket": {"name": bucket}, "object": {"key": key, "etag": etag}, "reason": "PutObject"}
    return json.dumps({"detail-type": "Object Created", "source": "aws.s3", "time": AT, "detail": detail})


def by_sns(inner: str) -> str:
    """The message as text within an envelope of SNS."""
    return json.dumps({"Type": "Notification", "MessageId": "m-1", "TopicArn": "arn:aws:sns:x:1:t", "Message": inner})


def ceph(bucket: str, key: str) -> str:
    """As RADOS gateways write it."""
    record = aws(bucket, key, eventSource="ceph:s3", eventVersion="2.2", opaqueData="", eventId="1.2.3")
    record["s3"]["object"]["key"] = quote(key)
    return message(record)
