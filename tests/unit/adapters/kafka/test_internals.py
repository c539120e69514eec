"""The private parts of aiokafka that `internals.py` uses exist in the installed version; what they do is held elsewhere."""

import asyncio
import gc
import inspect
import re
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher, FetchError, FetchResult
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import (
    IllegalGenerationError,
    KafkaError,
    NoError,
    ProducerClosed,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.producer.message_accumulator import MessageAccumulator, MessageBatch
from aiokafka.producer.sender import Sender
from aiokafka.producer.transaction_manager import TransactionManager, TransactionState
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest

from services.adapters.kafka import internals

PARTITION = TopicPartition("topic", 0)


def test_the_version_is_the_one_that_was_read() -> None:
    assert version("aiokafka").split(".")[:2] == ["0", "14"]


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (AIOKafkaConsumer, "_client"),
        (AIOKafkaConsumer, "_coordinator"),
        (AIOKafkaConsumer, "_fetcher"),
        (AIOKafkaConsumer, "_subscription"),
        (AIOKafkaProducer, "_closed"),
        (AIOKafkaProducer, "_message_accumulator"),
        (AIOKafkaProducer, "_sender"),
        (AIOKafkaProducer, "_txn_manager"),
        (AIOKafkaClient, "_conns"),
        (AIOKafkaClient, "_get_conn"),
        (TransactionManager, "_transaction_waiter"),
        (MessageAccumulator, "_batches"),
        (MessageAccumulator, "_pending_batches"),
        (MessageBatch, "_drain_waiter"),
        (MessageBatch, "future"),
        (Sender, "_do_txn_offset_commit"),
        (Sender, "_fail_all"),
        (Sender, "_find_coordinator"),
        (Sender, "sender_task"),
        (Fetcher, "_create_fetch_waiter"),
        (Fetcher, "_fetch_max_wait_ms"),
        (Fetcher, "_notify"),
        (Fetcher, "_proc_fetch_request"),
        (Fetcher, "_wait_consume_future"),
        (FetchError, "_created"),
        (FetchError, "check_raise"),
        (FetchResult, "_created"),
        (FetchResult, "getall"),
        (FetchResult, "has_more"),
        (Fetcher, "_fetch_task"),
        (Fetcher, "_records"),
        (GroupCoordinator, "_coordination_task"),
        (GroupCoordinator, "_send_req"),
        (GroupCoordinator, "check_errors"),
        (GroupCoordinator, "commit_offsets"),
        (GroupCoordinator, "generation"),
        (GroupCoordinator, "member_id"),
        (GroupCoordinator, "need_rejoin"),
    ],
)
def test_what_we_reach_into_is_there(owner: type, name: str) -> None:
    source = inspect.getsource(owner)
    assert f"self.{name}" in source or f"def {name}(" in source


async def test_a_consumer_has_what_we_use() -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers="127.0.0.1:1")
    assert internals.fetchable(consumer, [PARTITION]) == []  # no subscription: as while a rebalance goes on
    consumer.assign([PARTITION])
    assert internals.fetchable(consumer, [PARTITION, TopicPartition("other", 0)]) == [PARTITION]
    internals.learn(consumer, names := {f"topic-{number}" for number in range(1_000)})
    assert names <= consumer._client._topics, "one request for metadata names them all"
    await consumer.stop()


async def test_a_pause_follows_what_was_fetched_when_whoever_waits_for_it_was_told() -> None:
    brought = iter([True, False, True])

    async def fetch(assignment: Any, node: Any, request: Any) -> bool:
        return next(brought)

    fetcher = SimpleNamespace(
        _proc_fetch_request=fetch,
        _fetch_waiters=[asyncio.Future[None]()],
        _notify=lambda waiter: waiter.set_result(None),
    )
    pauses = internals.Pauses(SimpleNamespace(_fetcher=fetcher))
    pauses.seconds = 3600.0
    fetching = asyncio.ensure_future(fetcher._proc_fetch_request(None, 0, None))
    await asyncio.wait(fetcher._fetch_waiters)
    assert not fetching.done()
    fetching.cancel()
    assert await fetching, "as a fetch that is cancelled: whoever stops the fetcher awaits it"
    assert not await fetcher._proc_fetch_request(None, 0, None), "nothing came: nothing to wait for"
    pauses.seconds = 0.0
    assert await fetcher._proc_fetch_request(None, 0, None)


async def test_no_connection_is_made_to_a_broker_that_is_judged_to_be_out_of_bounds() -> None:
    made: list[int] = []
    brokers = {0: SimpleNamespace(host="inside.example"), 1: SimpleNamespace(host="outside.example")}

    async def connect(node: int, **how: Any) -> SimpleNamespace:
        made.append(node)
        return conns.setdefault((node, how["group"]), SimpleNamespace(connected=lambda: True))

    async def is_outside(host: str) -> bool:
        asked.append(host)
        return host == "outside.example"

    asked: list[str] = []
    conns: dict[tuple[int, object], SimpleNamespace] = {}
    client = SimpleNamespace(_conns=conns, _get_conn=connect, cluster=SimpleNamespace(broker_metadata=brokers.get))
    internals.guard(SimpleNamespace(client=client), is_outside)
    assert [await client._get_conn(node) is not None for node in (0, 1, 1)] == [False, True, True]
    assert made == [1, 1]
    assert asked == ["inside.example", "outside.example"], "what is open was judged when it was opened"


HEARTBEAT = HeartbeatRequest("group", 1, "member")
COMMIT = OffsetCommitRequest("group", 1, "member", -1, [])
TAKEN, REBALANCING, OUTDATED, UNKNOWN = (
    error.errno for error in (NoError, RebalanceInProgressError, IllegalGenerationError, UnknownMemberIdError)
)


@pytest.mark.parametrize(
    ("answers", "frozen_seconds", "expected"),
    [
        ([], 0, False),  # it never was a member
        ([TAKEN], 0, False),
        ([TAKEN, UNKNOWN], 0, True),
        ([REBALANCING, UNKNOWN], 0, True),
        ([TAKEN, UNKNOWN], 12, False),  # its session has passed
        ([TAKEN, OUTDATED], 0, False),  # a rebalance went on without it
        ([TAKEN, OUTDATED, TAKEN, UNKNOWN], 0, True),
    ],
)
@pytest.mark.parametrize("request_", [HEARTBEAT, COMMIT])
async def test_whoever_has_our_instance_id_is_told_from_a_session_that_passed(
    request_: Any, answers: list[int], frozen_seconds: float, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen is it while the answer to its last good request waits to be read."""
    now_seconds = 100.0
    coordinator = SimpleNamespace(member_id="member")
    coming = iter(answers)

    async def send(request: object) -> object:
        nonlocal now_seconds
        code = next(coming)
        now_seconds += frozen_seconds if code in (TAKEN, REBALANCING) else 0.1
        coordinator.member_id = "" if code in (OUTDATED, UNKNOWN) else "member"
        commits = SimpleNamespace(topics=[("topic", [(0, code)])])
        return commits if request is COMMIT else SimpleNamespace(error_code=code)

    coordinator._send_req = send
    monkeypatch.setattr("services.adapters.kafka.internals.time.monotonic", lambda: now_seconds)
    standing = internals.Standing(SimpleNamespace(_coordinator=coordinator))
    for _ in answers:
        await coordinator._send_req(request_)

    assert standing.thrown_out_within(5.0) is expected


async def test_a_producer_is_abandoned_with_what_it_holds() -> None:
    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1", enable_idempotence=True)
    batch = producer.create_batch()
    batch.append(timestamp=0, key=b"k", value=b"v")
    held = producer._message_accumulator._append_batch(batch, PARTITION)
    await internals.abandon(producer)
    assert isinstance(held.future.exception(), ProducerClosed)


async def test_a_transaction_whose_sender_failed_before_its_end_tells_nobody() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1", transactional_id="t")
    producer._txn_manager.state = TransactionState.READY
    producer._txn_manager.begin_transaction()

    async def stumble() -> None:
        raise KafkaError("Unexpected error during batch delivery")

    producer._sender._sender_task = sending = asyncio.ensure_future(stumble())
    sending.add_done_callback(producer._sender._fail_all)
    await asyncio.wait((sending,))
    await asyncio.sleep(0)  # its callbacks have run
    await internals.abandon(producer)
    del producer, sending
    gc.collect()
    assert told == []


async def test_a_sender_that_stumbles_over_what_was_abandoned_tells_nobody() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1", transactional_id="t")
    producer._txn_manager.state = TransactionState.READY
    producer._txn_manager.begin_transaction()  # whoever waited for its end was cancelled
    for _ in range(2):  # and so was whoever waited for these, or for room behind them
        batch = producer.create_batch()
        batch.append(timestamp=0, key=b"k", value=b"v")
        producer._message_accumulator._append_batch(batch, PARTITION)

    async def stumble() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise KafkaError("Unexpected error during batch delivery") from None

    producer._sender._sender_task = sending = asyncio.ensure_future(stumble())
    sending.add_done_callback(producer._sender._fail_all)
    await asyncio.sleep(0)  # it is under way
    await internals.abandon(producer)
    del producer, sending, batch
    gc.collect()
    assert told == []


@pytest.mark.parametrize("ours", [False, True])
async def test_a_pattern_that_matches_anew_while_the_coordinator_is_away_ends_no_member(
    monkeypatch: pytest.MonkeyPatch, *, ours: bool
) -> None:
    client, subscription = AIOKafkaClient(bootstrap_servers="none:1"), SubscriptionState()
    subscription.subscribe_pattern(re.compile("topic.*"))
    coordinator = GroupCoordinator(client, subscription, group_id="group", enable_auto_commit=False)
    subscription.subscribe_from_pattern({"topic"})
    subscription.assign_from_subscribed({PARTITION})
    if ours:
        internals.outlive_a_change_of_topics(SimpleNamespace(_coordinator=coordinator))
    joined = asyncio.Event()

    async def looked_for() -> None:
        subscription.subscribe_from_pattern({"topic", "topic-2"})

    async def update() -> None:
        monkeypatch.setattr(coordinator, "ensure_coordinator_known", found)

    async def found() -> None:
        joined.set()
        await coordinator._closing

    monkeypatch.setattr(coordinator, "ensure_coordinator_known", looked_for)
    monkeypatch.setattr(client, "force_metadata_update", update)
    reached = asyncio.ensure_future(joined.wait())
    await asyncio.wait((reached, coordinator._coordination_task), return_when=asyncio.FIRST_COMPLETED)
    assert joined.is_set() == ours
    reached.cancel()
    coordinator._coordination_task.cancel()
    await asyncio.wait((coordinator._coordination_task,))
