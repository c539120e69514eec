"""What a lane holds of a whole list while it sends it: a few requests' worth, however long the list is."""

import dataclasses
import tracemalloc
from collections.abc import Mapping, Sequence

import msgspec
import pytest

from contracts import codec
from contracts.messages.delivery import Delivered
from contracts.messages.entities import Connection
from contracts.records import Out, Record, TopicPartition
from services.activation.lane import Lane
from services.activation.reports import Reports
from services.runtime.web import WebAnswer, WebRequest
from tests.unit.activation.lane_bench import PLACE, START_MS, Bench
from tests.unit.activation.test_lane_clearing import Control
from tests.unit.connectors.conformance import answered, hashed
from tests.unit.domain.delivery.making import clearing, delivery, destination, queued

RECORD_MEMBERS = 1_000
HANDED_RECORDS = 5  # at once, to the lane
REQUEST_MEMBERS = 2_000
SHORT, LONG = 10_000, 80_000
REQUEST_BYTES_MAX = 200 * REQUEST_MEMBERS  # as text, and as the messages that it came in
BUCKET: Mapping[str, object] = {"bucket": "audiences", "endpoint_url": "https://store.example.com"}


class ListQueue:
    """A queue with a resync of `members` members, each record of which is made when it is read and then forgotten."""

    def __init__(self, members: int) -> None:
        self._members = members
        self._offset = 0
        self.end = 2 + members // RECORD_MEMBERS

    def record(self, offset: int) -> Record:
        if offset < 2:
            said = clearing(1, 9, partition=offset, followed_by=0 if offset else self._members)
        else:
            first = (offset - 2) * RECORD_MEMBERS
            names = [hashed(n) for n in range(first, first + RECORD_MEMBERS)]
            said = delivery(offset, "add", names, resync=True)
            said = msgspec.structs.replace(said, id_type="email_sha256", step=9)
        return queued(offset, said, timestamp_ms=START_MS)

    async def read(self, *, timeout_seconds: float, records_max: int = 10_000) -> list[Record]:
        assert timeout_seconds
        start = self._offset
        self._offset = min(self.end, start + min(records_max, HANDED_RECORDS))
        return [self.record(offset) for offset in range(start, self._offset)]

    def seek(self, partition: TopicPartition, offset: int) -> None:
        assert partition == PLACE
        self._offset = offset

    async def position(self, partition: TopicPartition) -> int:
        assert partition == PLACE
        return self._offset

    async def close(self) -> None: ...


class CountingControl(Control):
    """Control that forgets what it was told, but for how many members are said to be delivered."""

    delivered = 0

    async def send(self, outs: Sequence[Out]) -> None:
        await super().send(outs)
        for out in self.outs:
            if codec.header(out.headers, "ce_type") == "delivered":
                self.delivered += codec.decode(out.value or b"", Delivered).delivered
        self.outs.clear()


def taking(request: WebRequest) -> WebAnswer:
    if request.method == "PUT":
        return WebAnswer(200, {}, b"")
    said = msgspec.json.decode(request.body)
    return answered({"num_received": len(said["payload"]["data"]), "num_invalid_entries": 0})


class ForgetfulWeb:
    """The far side, which takes everything."""

    def __init__(self) -> None:
        self.requests = 0

    async def send(self, request: WebRequest) -> WebAnswer:
        self.requests += 1
        return taking(request)

    async def close(self) -> None: ...


async def replaced_bytes(connector: str, members: int) -> int:
    """So much a lane had at once of a list of so many members, at most, beyond what it had before."""
    queue, web = ListQueue(members), ForgetfulWeb()
    secrets = {"files": ("access_key_id", "secret_access_key"), "meta-audience": ("access_token",)}[connector]
    to = destination(
        connector=connector,
        secrets=dict.fromkeys(secrets, "env:USHER_SECRET_X"),
        limits={"items_per_request": REQUEST_MEMBERS, "requests_per_second": 100_000},
    )
    settings = dict(BUCKET) if connector == "files" else {}
    bench = Bench(to=msgspec.structs.replace(to, settings=settings), environment={"USHER_SECRET_X": "x"})
    named = {} if connector == "files" else {"audience_id": "238"}
    bench.catalogue.connection = Connection(
        space_id="acme", name="con_1", created_at="", updated_at="", connection_id="con_1", audience_id="aud_1",
        destination_id="des_1", connection_settings={**named, "resync": "replace"},
    )  # fmt: skip
    control = CountingControl(bench.catalogue)

    async def reader(_: Sequence[TopicPartition]) -> ListQueue:
        return queue

    reports = Reports(control, clock=bench.clock, random=bench.ports.random)
    lane = Lane(PLACE, dataclasses.replace(bench.ports, reports=reports, queue_reader=reader, web=web))
    tracemalloc.start()
    try:
        for start in range(0, queue.end, HANDED_RECORDS):
            await lane.deliver([queue.record(n) for n in range(start, min(queue.end, start + HANDED_RECORDS))])
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert control.delivered == members
    assert web.requests >= members // REQUEST_MEMBERS
    return peak_bytes


@pytest.mark.parametrize("connector", ["files", "meta-audience"])
async def test_a_long_list_takes_no_more_memory_than_a_short_one(connector: str) -> None:
    await replaced_bytes(connector, SHORT)  # what is loaded once
    short = await replaced_bytes(connector, SHORT)
    long = await replaced_bytes(connector, LONG)
    assert long < short + REQUEST_BYTES_MAX, f"{short} bytes for {SHORT} members, {long} for {LONG}"
