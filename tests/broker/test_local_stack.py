"""What `deploy.local` promises: real transactions and notifications, loopback only, and an end to all it started."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import ProducerFenced, UnknownTopicOrPartitionError

from deploy.local import processes
from deploy.local.session import Broker, session_stack
from deploy.local.stack import down, liveness, status, up
from deploy.local.state import Layout, StackError, StackState, settings_of

pytestmark = pytest.mark.broker

PROJECT = Path(__file__).parents[2]
ALL_RUN = {"kafka": "running", "s3": "running"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, stack: StackState) -> Iterator[Path]:
    """The root of a stack that these tests may end and start; `stack` first, so that its absence skips."""
    root = tmp_path_factory.mktemp("own")
    with session_stack(root):
        yield root


def client(service: str, state: StackState) -> Any:
    """A boto3 client for the stack."""
    return boto3.client(
        service,
        endpoint_url=state.s3_endpoint_url if service == "s3" else state.sqs_endpoint_url,
        region_name=state.s3_region,
        aws_access_key_id=state.aws_access_key_id,
        aws_secret_access_key=state.aws_secret_access_key,
    )


async def create_topic(state: StackState, topic: str) -> None:
    """One partition, one copy."""
    admin = AIOKafkaAdminClient(bootstrap_servers=state.kafka_bootstrap_servers)
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(topic, 1, 1)])
        assert [code for _, code, *_ in answer.topic_errors] == [0]
    finally:
        await admin.close()


async def produce(state: StackState, topic: str, values: list[bytes], *, commit: bool = True) -> None:
    """One transaction, committed or aborted."""
    producer = AIOKafkaProducer(bootstrap_servers=state.kafka_bootstrap_servers, transactional_id=f"{topic}-{commit}")
    await producer.start()
    try:
        await producer.begin_transaction()
        for value in values:
            await producer.send_and_wait(topic, value)
        await (producer.commit_transaction() if commit else producer.abort_transaction())
    finally:
        await producer.stop()


async def committed(state: StackState, topic: str, isolation_level: str = "read_committed") -> list[bytes]:
    """Every committed value of the topic's one partition, or every value of it."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=state.kafka_bootstrap_servers,
        auto_offset_reset="earliest",
        isolation_level=isolation_level,
        group_id=None,
    )
    await consumer.start()
    try:
        (partition,) = consumer.assignment()
        end = (await consumer.end_offsets([partition]))[partition]
        values: list[bytes] = []
        deadline = time.monotonic() + 20.0
        while await consumer.position(partition) < end and time.monotonic() < deadline:
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                values.extend(record.value for record in batch)
        return values
    finally:
        await consumer.stop()


def test_a_reader_of_committed_records_sees_the_committed_and_not_the_aborted(stack: StackState) -> None:
    async def scenario() -> list[bytes]:
        await create_topic(stack, "committed-and-aborted")
        await produce(stack, "committed-and-aborted", [b"a", b"b"])
        await produce(stack, "committed-and-aborted", [b"never"], commit=False)
        await produce(stack, "committed-and-aborted", [b"c"])
        return await committed(stack, "committed-and-aborted")

    assert asyncio.run(scenario()) == [b"a", b"b", b"c"]


def test_a_second_producer_with_the_same_transactional_id_fences_the_first(stack: StackState) -> None:
    async def scenario() -> None:
        await create_topic(stack, "fenced")
        first, second = (
            AIOKafkaProducer(bootstrap_servers=stack.kafka_bootstrap_servers, transactional_id="fenced")
            for _ in range(2)
        )
        await first.start()
        await first.begin_transaction()
        await first.send_and_wait("fenced", b"first")
        await second.start()
        with pytest.raises(ProducerFenced):
            await first.commit_transaction()
        await second.stop()
        await first.stop()

    asyncio.run(scenario())


def test_a_topic_is_never_created_by_using_it(stack: StackState) -> None:
    async def scenario() -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=stack.kafka_bootstrap_servers, request_timeout_ms=1_000, retry_backoff_ms=50
        )
        await producer.start()
        try:
            await producer.send_and_wait("nobody-created-this", b"x")
        finally:
            await producer.stop()

    with pytest.raises(UnknownTopicOrPartitionError):
        asyncio.run(scenario())


def test_an_uploaded_object_is_announced_on_the_queue(stack: StackState) -> None:
    s3, sqs = client("s3", stack), client("sqs", stack)
    s3.put_object(Bucket=stack.s3_bucket, Key="drop/a b+c.csv", Body=b"x")
    queue_url = stack.object_notifications.removeprefix("sqs:")
    keys: list[str] = []
    deadline = time.monotonic() + 20.0
    while not keys and time.monotonic() < deadline:
        for message in sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=1).get("Messages", []):
            body = json.loads(message["Body"])  # moto's first message is a test event, without Records
            keys += [record["s3"]["object"]["key"] for record in body.get("Records", [])]
    assert keys == ["drop%2Fa+b%2Bc.csv"]


def test_the_state_bucket_exists_and_announces_nothing(stack: StackState) -> None:
    bucket = stack.state_url.removeprefix("s3://").partition("/")[0]
    assert "QueueConfigurations" not in client("s3", stack).get_bucket_notification_configuration(Bucket=bucket)


def test_everything_listens_on_loopback_only(stack: StackState, stack_root: Path) -> None:
    if not stack.processes:
        pytest.skip("the given stack is not ours to judge")
    for process in running(stack_root).processes:  # other tests kill the broker: it has another pid by now
        listening = [
            connection.laddr.ip.removeprefix("::ffff:")
            for connection in psutil.Process(process.pid).net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening, process.name
        assert set(listening) == {"127.0.0.1"}, process.name


def test_a_killed_broker_comes_back_with_its_data_at_the_same_address(own: Path) -> None:
    state = running(own)
    asyncio.run(create_topic(state, "killed"))
    asyncio.run(produce(state, "killed", [b"before"]))
    broker = Broker(own)
    broker.kill()
    assert liveness(running(own)) == {"kafka": "dead", "s3": "running"}
    broker.restart()
    assert liveness(running(own)) == ALL_RUN
    # Not of committed records: Kafka 4.3.1 may forget the commit's marker of a topic that is seconds old when it is
    # killed. Its transaction log says prepared, and after the restart complete, and no marker was written.
    assert asyncio.run(committed(state, "killed", "read_uncommitted")) == [b"before"]


def test_a_second_up_starts_nothing(own: Path) -> None:
    lines: list[str] = []
    assert up(own, say=lines.append, environ={}) == status(own)
    assert lines == ["the local stack is up already"]


def test_up_replaces_only_what_died(own: Path) -> None:
    before = running(own)
    Broker(own).kill()
    after = up(own, say=quiet, environ={})
    assert after.process("s3") == before.process("s3")
    assert after.process("kafka") != before.process("kafka")
    assert liveness(after) == ALL_RUN


def test_data_stay_from_down_to_up_and_go_with_fresh(own: Path) -> None:
    state = running(own)
    whole, in_parts = b"small", os.urandom(12 << 20)
    s3 = client("s3", state)
    s3.put_object(Bucket="usher-state", Key="membership/0/ä &%", Body=whole)
    upload = boto3.s3.transfer.TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    part = own / "part"
    part.write_bytes(in_parts)
    s3.upload_file(str(part), "usher", "in/parts", Config=upload)
    etag = s3.head_object(Bucket="usher", Key="in/parts")["ETag"]
    asyncio.run(create_topic(state, "kept"))
    asyncio.run(produce(state, "kept", [b"kept"]))

    assert down(own, quiet)
    assert status(own) is None
    state = up(own, say=quiet, environ={})

    s3 = client("s3", state)
    assert s3.get_object(Bucket="usher-state", Key="membership/0/ä &%")["Body"].read() == whole
    kept = s3.get_object(Bucket="usher", Key="in/parts")
    assert (kept["ETag"], kept["Body"].read()) == (etag, in_parts)
    assert asyncio.run(committed(state, "kept")) == [b"kept"]
    queue_url = state.object_notifications.removeprefix("sqs:")
    messages = client("sqs", state).receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(message["Body"]).get("Event") for message in messages] == ["s3:TestEvent"]

    state = up(own, fresh=True, say=quiet, environ={})
    assert client("s3", state).list_objects_v2(Bucket="usher")["KeyCount"] == 0
    assert "kept" not in asyncio.run(topics(state))


def test_down_ends_both_processes_and_two_ups_at_once_share_one_stack(own: Path) -> None:
    state = running(own)
    assert down(own, quiet)
    assert liveness(state) == {"kafka": "dead", "s3": "dead"}
    assert not down(own, quiet), "there is nothing left to end"
    found: list[StackState] = []
    threads = [threading.Thread(target=lambda: found.append(up(own, say=quiet, environ={}))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1] == running(own)


def test_the_stack_outlives_the_command_that_started_it(tmp_path: Path, stack: StackState) -> None:
    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "deploy.local", *words, "--root", str(tmp_path)],
            cwd=PROJECT,
            env={name: value for name, value in os.environ.items() if not name.startswith("USHER_")},
            capture_output=True,
            text=True,
            check=False,
        )

    assert call("status").returncode == 1
    try:
        first = call("up")
        assert first.returncode == 0, first.stderr
        assert "up in" in first.stderr
        again = call("status")
        assert (again.returncode, again.stdout) == (0, first.stdout)
    finally:
        state = status(tmp_path)
        ended = call("down")
    assert ended.returncode == 0
    assert state is not None
    assert not any(processes.alive(process) for process in state.processes)


def test_given_addresses_are_used_and_nothing_is_started(tmp_path: Path, stack: StackState, stack_root: Path) -> None:
    state = up(tmp_path, say=quiet, environ=settings_of(stack))
    assert state.processes == ()
    assert liveness(state) == {"kafka": "given", "s3": "given"}
    assert state.kafka_bootstrap_servers == stack.kafka_bootstrap_servers
    assert (state.aws_access_key_id, state.aws_secret_access_key) == ("", ""), "secrets stay where they are"
    assert down(tmp_path, quiet)
    assert set(liveness(status(stack_root) or stack).values()) <= {"given", "running"}


def test_a_broker_that_cannot_start_says_why_and_takes_the_rest_down(tmp_path: Path, stack: StackState) -> None:
    data = Layout(tmp_path).kafka / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=1\ncluster.id=another\nnode.id=7\n")
    with pytest.raises(StackError, match=r"(?s)kafka died before it was ready.*node id 7"):
        up(tmp_path, say=quiet, environ={})
    assert status(tmp_path) is None


async def topics(state: StackState) -> set[str]:
    """The topics that exist."""
    admin = AIOKafkaAdminClient(bootstrap_servers=state.kafka_bootstrap_servers)
    await admin.start()
    try:
        return set(await admin.list_topics())
    finally:
        await admin.close()


def running(root: Path) -> StackState:
    """The state of a stack that must be there."""
    state = status(root)
    assert state is not None
    return state


def quiet(_: str) -> None:
    """Progress is not what these tests look at."""
