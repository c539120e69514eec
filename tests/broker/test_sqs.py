"""The queue adapter against moto's SQS, with the notifications that its S3 sends."""

import json
from collections.abc import AsyncIterator
from typing import Any

import boto3
import pytest

from deploy.local.state import StackState
from services.adapters.aws import open_client
from services.adapters.sqs import SqsQueue
from services.runtime.failures import Unavailable

pytestmark = pytest.mark.broker


@pytest.fixture
def theirs(stack: StackState, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", stack.aws_access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", stack.aws_secret_access_key)
    return boto3.client("sqs", endpoint_url=stack.sqs_endpoint_url, region_name=stack.s3_region)


@pytest.fixture
async def client(theirs: Any, stack: StackState) -> AsyncIterator[Any]:
    async with open_client("sqs", endpoint_url=stack.sqs_endpoint_url, region=stack.s3_region) as opened:
        yield opened


async def test_messages_come_until_they_are_done(theirs: Any, client: Any) -> None:
    url = theirs.create_queue(QueueName="until-done", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
    queue = SqsQueue(client, url)
    assert await queue.receive(messages_max=10, wait_seconds=0) == []
    for number in range(25):
        theirs.send_message(QueueUrl=url, MessageBody=json.dumps({"number": number, "text": "ü日"}))
    seen: set[bytes] = set()
    counts: list[int] = []
    while len(seen) < 25 or max(counts) == 1:  # invisible for a second, then they come again
        for message in await queue.receive(messages_max=100, wait_seconds=1):
            seen.add(message.body)
            counts.append(message.receive_count)
    assert json.loads(max(seen))["text"] == "ü日"
    theirs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "60"})
    receipts: dict[bytes, str] = {}
    while len(receipts) < 25:  # those of a second are none any more when a machine is slow
        for message in await queue.receive(messages_max=100, wait_seconds=1):
            receipts[message.body] = message.receipt
    await queue.done(list(receipts.values()))
    assert await queue.receive(messages_max=10, wait_seconds=0) == []


async def test_a_queue_that_is_not_there_is_unavailable(stack: StackState, client: Any) -> None:
    queue = SqsQueue(client, f"{stack.sqs_endpoint_url}/123456789012/nowhere")
    with pytest.raises(Unavailable):
        await queue.receive(messages_max=1, wait_seconds=0)
    with pytest.raises(Unavailable):
        await queue.done(["receipt"])
