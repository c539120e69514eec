"""What we need of aiokafka 0.14 that it does not publish: each use with its reason, all here, in `memberships.py`
and in `fetched.py`.

`tests/unit/adapters/kafka/test_internals.py` fails when an upgrade renames one; what they do is held by the
conformance suite.
"""
# ruff: noqa: SLF001 - reaching into aiokafka is what this module is for

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, OffsetAndMetadata, TopicPartition
from aiokafka.client import ConnectionGroup
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import (
    IllegalGenerationError,
    NoError,
    ProducerClosed,
    RebalanceInProgressError,
    for_code,
)
from aiokafka.producer import sender
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest

from services.runtime.failures import Fatal

_CLOSE_SECONDS = 10.0


# How long to wait where a transaction comes before the markers of the one before it are written, which takes some
# milliseconds. aiokafka waits 20, in every transaction of a shard that is never idle.
sender.BACKOFF_OVERRIDE = 0.004


def fetchable(consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> list[TopicPartition]:
    """Those of the partitions that a `getmany` may be asked for now without waiting for a rebalance to end.

    While one goes on, `getmany` blocks whatever its timeout, and would then return what nobody has sought.
    """
    subscription = consumer._subscription
    if subscription.reassignment_in_progress:
        return []
    return [partition for partition in partitions if subscription.is_assigned(partition)]


def behind(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    """How far the position is from the last high watermark; None before a fetch. Unlike `position` it never waits."""
    if not fetchable(consumer, [partition]):
        return None
    state = consumer._subscription.subscription.assignment.state_value(partition)
    if state.highwater is None or not state.has_valid_position:
        return None
    return max(int(state.highwater) - int(state.position), 0)


def arrival(consumer: AIOKafkaConsumer) -> asyncio.Future[None]:
    """Done when the fetcher has brought records or an error for any partition.

    A thousand tasks that each wait in a `getmany` of their own are all woken by every fetch; see `arrivals.py`.
    """
    waiter: asyncio.Future[None] = consumer._fetcher._create_fetch_waiter()
    return waiter


def arrived(consumer: AIOKafkaConsumer) -> list[TopicPartition]:
    """The partitions for which there are records or an error."""
    return list(consumer._fetcher._records)


def learn(consumer: AIOKafkaConsumer, topics: Iterable[str]) -> None:
    """Has the leaders of all topics looked up together; whoever asks for offsets is told of one after the other."""
    for topic in topics:
        consumer._client.add_topic(topic)


def taken(
    consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition], records_max: int
) -> dict[TopicPartition, list[Any]]:
    """What has arrived for these `fetchable` partitions, the longest there first, as `getmany` with no wait gives it.

    That one looks at every partition for which something has arrived: with a thousand lanes, a million looks a change.
    """
    fetcher = consumer._fetcher
    found: dict[TopicPartition, list[Any]] = {}
    arrived = sorted(fetcher._records.keys() & partitions, key=lambda one: fetcher._records[one]._created)
    with consumer._subscription.fetch_context():
        for partition in arrived:
            result = fetcher._records[partition]
            failed = not isinstance(result, FetchResult)
            if records_max == 0 or (failed and found):
                break
            records = [] if failed else result.getall(records_max)
            if failed or not result.has_more():
                del fetcher._records[partition]  # so that more of it is fetched
                fetcher._notify(fetcher._wait_consume_future)
            if failed:
                result.check_raise()
            if records:
                found[partition] = records
                records_max -= len(records)
    return found


class Pauses:
    """Has a consumer wait between a fetch that brought something and the next: at once, that may bring next to nothing.

    `seconds` is how long; what was brought can be taken meanwhile.
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self.seconds = 0.0
        self._fetcher = consumer._fetcher
        self._fetch = self._fetcher._proc_fetch_request
        self._fetcher._proc_fetch_request = self._fetch_and_pause

    async def _fetch_and_pause(self, assignment: Any, node: Any, request: Any) -> bool:
        has_news: bool = await self._fetch(assignment, node, request)
        if has_news and self.seconds:
            for waiter in self._fetcher._fetch_waiters:
                self._fetcher._notify(waiter)
            with suppress(asyncio.CancelledError):  # as in the fetch itself: whoever stops the fetcher awaits it
                await asyncio.sleep(self.seconds)
        return has_news


def set_fetch_wait(consumer: AIOKafkaConsumer, milliseconds: int) -> None:
    """How long the broker may keep an idle fetch; aiokafka fixes it before it knows how many partitions there are."""
    consumer._fetcher._fetch_max_wait_ms = milliseconds


def check_alive(consumer: AIOKafkaConsumer) -> None:
    """Raises what the background tasks have met: aiokafka does so only in a `getmany`.

    Without the second half, a fetcher or coordinator that ended by a mistake would look like a quiet topic.
    """
    if consumer._fetcher._fetch_task.done() or getattr(consumer._coordinator, "_coordination_task", _NEVER).done():
        raise Fatal("a background task of the Kafka consumer has ended: restart this process, and see the log for why")
    consumer._coordinator.check_errors()


async def commit(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
    """Commits as a member of the group, also in `on_partitions_revoked`.

    There the public `commit` refuses when a pattern has matched a new topic: it has no assignment by then. And a
    member that was thrown out would commit as an outsider, which the broker accepts for a group without members.
    """
    coordinator = consumer._coordinator
    if coordinator.generation < 0:
        raise IllegalGenerationError(coordinator.group_id)
    await coordinator.commit_offsets(
        None, {partition: OffsetAndMetadata(offset, "") for partition, offset in offsets.items()}
    )


def outlive_a_change_of_topics(consumer: AIOKafkaConsumer) -> None:
    """Lets a member join again whose pattern has matched other topics while its coordinator was being looked for.

    aiokafka takes the assignment of before for a valid one there, and its task ends: a worker ended after a broker had
    been away, whose first answers did not name a topic that was seconds old.
    """
    coordinator = consumer._coordinator
    needs = coordinator.need_rejoin
    coordinator.need_rejoin = lambda subscription: not subscription.active or needs(subscription)


class Standing:
    """What the group's coordinator has lately answered to this member."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._coordinator = consumer._coordinator
        self._send = self._coordinator._send_req
        self._known_seconds = -math.inf
        self._outdated = False
        self._coordinator._send_req = self._sent

    def thrown_out_within(self, seconds: float) -> bool:
        """Whether the coordinator knows this member no more, although it did when asked so short a time ago.

        Then no session has timed out: another member has come with the same instance id. aiokafka would join again,
        and throw that one out, and so on for ever. It forgets who it was also where a rebalance has only gone on
        without us: that is no such case.
        """
        forgotten = self._coordinator.member_id == JoinGroupRequest.UNKNOWN_MEMBER_ID
        return forgotten and not self._outdated and time.monotonic() - self._known_seconds < seconds

    async def _sent(self, request: Any) -> Any:
        sent_seconds = time.monotonic()  # not when the answer is read: a process may have been frozen meanwhile
        answer = await self._send(request)
        if isinstance(request, (HeartbeatRequest, SyncGroupRequest, OffsetCommitRequest)):
            errors = {for_code(code) for code in _codes(answer)}
            self._outdated = IllegalGenerationError in errors
            if errors <= {NoError, RebalanceInProgressError}:
                self._known_seconds = sent_seconds
        return answer


def _codes(answer: Any) -> list[int]:
    if hasattr(answer, "error_code"):
        return [answer.error_code]
    return [code for _, partitions in answer.topics for _, code in partitions]


def guard(producer: AIOKafkaProducer, may_connect: Callable[[str], Awaitable[bool]]) -> None:
    """Has the host of each broker judged before every connection to it: brokers say themselves where the others are.

    One that may not be connected to is one that can't be reached.
    """
    client = producer.client
    connect = client._get_conn

    async def judged(node: Any, *, group: Any = ConnectionGroup.DEFAULT, **how: Any) -> Any:
        known, broker = client._conns.get((node, group)), client.cluster.broker_metadata(node)
        is_open = known is not None and known.connected()
        if is_open or broker is None or await may_connect(broker.host):
            return await connect(node, group=group, **how)
        return None

    client._get_conn = judged


def closing(connection: AIOKafkaConnection) -> asyncio.Future[None] | None:
    """Done when a closed one has lost its transport; none for one that is open, or never had a transport."""
    was_closed = connection._protocol is not None and connection._reader is None
    return connection._closed_fut if was_closed else None


async def abandon(producer: AIOKafkaProducer) -> None:
    """Stops a producer without sending what it still holds: `stop` would, for as long as the broker is away."""
    producer._closed = True
    accumulator = producer._message_accumulator
    held = [*accumulator._pending_batches, *chain.from_iterable(accumulator._batches.values())]
    accumulator.fail_all(ProducerClosed())
    for batch in held:  # whoever awaited it may have given up
        hear(batch.future)
        hear(batch._drain_waiter)
    transactions = producer._txn_manager
    if transactions is not None and transactions._transaction_waiter is not None:
        hear(transactions._transaction_waiter)  # a sender that failed before us has failed it: nobody got to its end
    # The sender waits for its requests under way, which a broker that is away may keep for long. What they raise by
    # now (a batch that was failed here can't be queued again) tells nobody anything, and nobody waits to be told.
    sender = producer._sender
    if sender.sender_task is not None:
        sender.sender_task.remove_done_callback(sender._fail_all)
    await _attempt(sender.close())
    await producer.client.close()


async def stop(consumer: AIOKafkaConsumer) -> None:
    """Stops a consumer also while the broker is away: then `stop` can end half-way, as if it had been cancelled."""
    coordination = getattr(consumer._coordinator, "_coordination_task", None)
    if coordination is not None:
        hear(coordination)  # the member has it too
    await _attempt(consumer.stop())
    await consumer._client.close()


async def _attempt(call: Coroutine[Any, Any, None]) -> None:
    """Gives it some seconds and ignores what it raises: there is nobody left who could act on it."""
    task = asyncio.ensure_future(call)
    await asyncio.wait((task,), timeout=_CLOSE_SECONDS)
    task.cancel()
    hear(task)


def hear(future: asyncio.Future[Any]) -> None:
    """What it raised, if it did, is known: else asyncio reports it when the future is gone."""
    if future.done() and not future.cancelled():
        future.exception()


class _Never:
    def done(self) -> bool:
        """A group-less consumer has no coordination task."""
        return False


_NEVER = _Never()
