"""Object notifications as moto really sends them, so that the local stack and the corpus can't drift apart."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from contracts.object_events import Notification, read_notification
from tests.contract.notification_corpus import AWKWARD_KEYS, TEST_EVENT, only_created


@pytest.fixture
def moto_messages(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any]]:
    """A bucket of moto's that announces to a queue, straight; and how to receive all bodies."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with mock_aws():
        s3, sqs, sns = (boto3.client(service, "us-east-1") for service in ("s3", "sqs", "sns"))
        url = sqs.create_queue(QueueName="q")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic = sns.create_topic(Name="t")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        for bucket, kind, target in (("straight", "Queue", arn), ("through-sns", "Topic", topic)):
            s3.create_bucket(Bucket=bucket)
            configuration = {f"{kind}Configurations": [{f"{kind}Arn": target, "Events": ["s3:ObjectCreated:*"]}]}
            s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)

        def receive() -> list[Notification]:
            results: list[Notification] = []
            while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
                for message in messages:
                    results += read_notification(message["Body"].encode())
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return results

        yield s3, receive


@pytest.mark.parametrize("bucket", ["straight", "through-sns"])
def test_what_moto_really_sends(moto_messages: tuple[Any, Any], bucket: str) -> None:
    s3, receive = moto_messages
    assert receive() == [TEST_EVENT, TEST_EVENT]
    keys = [key for key in AWKWARD_KEYS if key.isprintable() and not key.startswith(("/", ".")) and key != " "]
    for key in keys:
        put = s3.put_object(Bucket=bucket, Key=key, Body=b"hello world")
        result = only_created(receive())
        assert (result.bucket, result.key, result.dialect) == (bucket, key, "moto")
        assert (result.etag, result.size_bytes) == (put["ETag"].strip('"'), 11)
        head = s3.head_object(Bucket=bucket, Key=result.key, IfMatch=f'"{result.etag}"')
        assert head["ContentLength"] == 11
        assert result.event_time_ms is not None


def test_moto_announces_a_multipart_upload_twice(moto_messages: tuple[Any, Any]) -> None:
    s3, receive = moto_messages
    receive()
    where = {"Bucket": "straight", "Key": "in/big.csv"}
    upload = {**where, "UploadId": s3.create_multipart_upload(**where)["UploadId"]}
    part = s3.upload_part(**upload, PartNumber=1, Body=b"x")
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    names = [only_created([result]).event_name for result in receive()]
    assert names == ["ObjectCreated:Put", "ObjectCreated:CompleteMultipartUpload"]
