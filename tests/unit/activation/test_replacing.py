"""A list that is replaced as a whole: whole or not at all, whatever breaks off, comes late, or is synced anew."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import pytest

from contracts import codec
from contracts.messages.delivery import Delivered, Delivery
from contracts.messages.entities import Connection
from services.activation.lane import Lane
from services.activation.reports import Reports
from services.runtime.web import WebAnswer, WebRequest
from tests.unit.activation.lane_bench import PLACE, Bench
from tests.unit.activation.session_server import SessionServer
from tests.unit.activation.test_lane_clearing import Control
from tests.unit.connectors.conformance import hashed
from tests.unit.domain.delivery.making import clearing, delivery, destination


@dataclass
class Replaced:
    """An audience at Meta, the lane that replaces it, and control."""

    bench: Bench
    control: Control
    there: SessionServer

    async def deliver(self, *deliveries: Delivery, after: Iterable[Delivery] = ()) -> None:
        """`after` comes behind them in the queue."""
        self.bench.queue += self.bench.records(*after, first_offset=len(deliveries))
        await self.bench.deliver(*deliveries)

    def successor(self) -> Lane:
        return Lane(PLACE, self.bench.ports)

    def outcomes(self) -> list[Delivered]:
        return [
            codec.decode(out.value or b"", Delivered)
            for out in self.control.outs
            if codec.header(out.headers, "ce_type") == "delivered"
        ]

    def letters(self) -> list[str]:
        return [code for out in self.control.outs if (code := codec.header(out.headers, "dlq-code")) is not None]


@pytest.fixture
def replaced() -> Replaced:
    to = destination(
        connector="meta-audience", secrets={"access_token": "env:USHER_SECRET_X"}, limits={"items_per_request": 2}
    )
    bench = Bench(to=msgspec.structs.replace(to, settings={}), environment={"USHER_SECRET_X": "x"})
    bench.catalogue.connection = Connection(
        space_id="acme", name="con_1", created_at="", updated_at="", connection_id="con_1", audience_id="aud_1",
        destination_id="des_1", connection_settings={"audience_id": "238", "resync": "replace"},
    )  # fmt: skip
    control = Control(bench.catalogue)
    reports = Reports(control, clock=bench.clock, random=bench.ports.random)
    bench.ports = dataclasses.replace(bench.ports, reports=reports)
    bench.lane = Lane(PLACE, bench.ports)
    there = SessionServer()

    def take(request: WebRequest) -> WebAnswer:
        there.seconds = bench.clock.seconds
        return there.take(request)

    bench.web.otherwise = take
    return Replaced(bench, control, there)


def said(
    sequence: int, operation: str, names: Iterable[int], *, partition: int = 0, step: int = 10, resync: bool = False
) -> Delivery:
    made = delivery(sequence, operation, [hashed(n) for n in names], partition=partition, resync=resync)
    return msgspec.structs.replace(made, id_type="email_sha256", step=step)


def clear(sequence: int, followed_by: int, *, partition: int = 0, step: int = 9) -> Delivery:
    return clearing(sequence, step, partition=partition, followed_by=followed_by)


def resync(step: int = 9, first: Iterable[int] = (0, 1, 2), second: Iterable[int] = (10, 11)) -> list[Delivery]:
    """Of two partitions, one within the other, with changes before, between and after."""
    first, second = list(first), list(second)
    return [
        clear(1, len(first), step=step),
        said(1, "add", [99], partition=1, step=step - 1),  # of before the resync, on its partition
        said(2, "add", first, step=step, resync=True),
        said(3, "remove", first[:1], step=step + 1),
        clear(4, len(second), partition=1, step=step),
        *([said(5, "add", second, partition=1, step=step, resync=True)] if second else []),
        said(6, "add", [20], partition=1, step=step),
    ]


def members(*numbers: int) -> set[str]:
    return {hashed(n) for n in numbers}


async def test_all_members_go_in_one_session_and_what_changes_meanwhile_follows(replaced: Replaced) -> None:
    await replaced.deliver(*resync())
    assert replaced.there.members == members(1, 2, 10, 11, 20)
    assert [one[1:] for one in replaced.there.replaced] == [(3, 5)]
    assert [one.step for one in replaced.control.said] == [9]
    counted = [(one.delivered, one.merged, one.dead_lettered) for one in replaced.outcomes()]
    assert counted == [(0, 0, 0), (0, 1, 0), (2, 1, 0), (1, 0, 0), (0, 0, 0), (2, 0, 0), (1, 0, 0)]
    assert replaced.outcomes()[0].uploads == 3
    assert replaced.there.refused == replaced.letters() == []


async def test_members_that_the_queue_does_not_hold_yet_are_waited_for(replaced: Replaced) -> None:
    first, rest = resync()[:3], resync()[3:]

    def arrive() -> None:
        assert replaced.there.requests == 0
        replaced.bench.queue += replaced.bench.records(*rest, first_offset=3)

    replaced.bench.clock.events.append((1000.0, arrive))
    await replaced.deliver(*first)
    assert replaced.there.members == members(0, 1, 2, 10, 11)
    await replaced.bench.lane.deliver(replaced.bench.records(*rest, first_offset=3))
    assert replaced.there.members == members(1, 2, 10, 11, 20)
    assert len(replaced.there.replaced) == 1


async def test_where_a_partitions_word_never_comes_nothing_is_replaced_and_members_are_added(
    replaced: Replaced,
) -> None:
    await replaced.deliver(*resync()[:3])
    assert replaced.there.replaced == []
    assert replaced.there.members == {"stale"} | members(0, 1, 2, 99)
    assert replaced.letters() == ["delivery-replacement-broken"]
    assert 3600 <= replaced.bench.clock.seconds < 3700


async def test_an_audience_without_members_replaces_the_list_by_nobody(replaced: Replaced) -> None:
    await replaced.deliver(clear(1, 0), clear(2, 0, partition=1), said(3, "add", [7]))
    assert replaced.there.members == members(7)
    assert [one[1:] for one in replaced.there.replaced] == [(1, 1)]


@pytest.mark.parametrize("lost", [1, 2, 3])
async def test_a_lost_answer_is_tried_again_or_the_session_is_begun_again(replaced: Replaced, lost: int) -> None:
    """The repeat of a last part finds its session ended: another replaces the list once more."""
    replaced.there.lost = {lost}
    await replaced.deliver(*resync())
    assert replaced.there.members == members(1, 2, 10, 11, 20)
    assert len(replaced.there.replaced) == (2 if lost == 3 else 1)
    assert replaced.letters() == []


async def test_a_session_that_breaks_off_is_begun_again_under_another_id(replaced: Replaced) -> None:
    replaced.there.broken = {2, 5}
    await replaced.deliver(*resync())
    assert replaced.there.members == members(1, 2, 10, 11, 20)
    assert len(replaced.there.replaced) == 1
    assert len(replaced.there.ended) == 3


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_whoever_comes_after_a_kill_goes_on_with_the_same_session(replaced: Replaced, at: int) -> None:
    batch = replaced.bench.records(*resync())
    replaced.bench.queue += batch

    def die(request: WebRequest) -> WebAnswer:
        replaced.there.take(request)
        raise ProcessLookupError("killed")

    replaced.bench.web.script = [*[replaced.there.take] * (at - 1), die]
    with pytest.raises(ProcessLookupError):
        await replaced.bench.lane.deliver(batch)
    assert replaced.there.members == ({"stale"} if at < 3 else members(0, 1, 2, 10, 11))
    await replaced.successor().deliver(batch)
    assert replaced.there.members == members(1, 2, 10, 11, 20)
    assert len(replaced.there.ended) == (1 if at < 3 else 2)


async def test_one_that_comes_when_all_is_said_sends_only_what_follows(replaced: Replaced) -> None:
    batch = replaced.bench.records(*resync())
    await replaced.deliver(*resync())
    replaced.there.members.add("of another lane's time")
    await replaced.successor().deliver(batch[1:])
    assert replaced.there.members == {"of another lane's time"} | members(1, 2, 10, 11, 20)
    assert len(replaced.there.replaced) == 1


async def test_a_newer_resync_that_is_begun_takes_the_place_of_the_older(replaced: Replaced) -> None:
    older = [clear(1, 1), said(2, "add", [0], resync=True, step=9), clear(3, 2, step=12)]
    rest = [
        said(4, "add", [1, 2], resync=True, step=12),
        clear(5, 1, partition=1),
        said(6, "add", [10], partition=1, resync=True, step=9),
        said(7, "add", [11], partition=1, step=10),
        clear(8, 2, partition=1, step=12),
        said(9, "add", [10, 11], partition=1, resync=True, step=12),
        said(10, "remove", [11], partition=1, step=13),
    ]
    await replaced.deliver(*older, *rest)
    assert replaced.there.members == members(1, 2, 10)
    assert (len(replaced.there.replaced), [one.step for one in replaced.control.said]) == (1, [12])


async def test_a_session_that_is_not_done_in_time_is_begun_again(replaced: Replaced) -> None:
    """The destination is away in the midst of it: what was begun has ended over there meanwhile."""

    def away(_: WebRequest) -> WebAnswer:
        replaced.bench.clock.seconds += 91 * 60
        return WebAnswer(503, {}, b"")

    replaced.bench.web.script = [replaced.there.take, away]
    await replaced.deliver(*resync())
    assert replaced.there.members == members(1, 2, 10, 11, 20)
    assert len(replaced.there.replaced) == 1


async def test_one_that_is_never_done_in_time_is_given_up(replaced: Replaced) -> None:
    def slow(request: WebRequest) -> WebAnswer:
        if request.url.endswith("usersreplace"):
            replaced.bench.clock.seconds += 50 * 60
        replaced.there.seconds = replaced.bench.clock.seconds
        return replaced.there.take(request)

    replaced.bench.web.otherwise = slow
    await replaced.deliver(*resync())
    assert replaced.there.replaced == []
    assert replaced.there.members == {"stale"} | members(1, 2, 10, 11, 20, 99)
    assert replaced.letters()[0] == "delivery-replacement-broken"


async def test_where_it_is_refused_for_good_members_are_added_and_dead_letters_say_so(replaced: Replaced) -> None:
    replaced.there.invalid = True
    await replaced.deliver(*resync())
    assert replaced.there.members == {"stale"} | members(1, 2, 10, 11, 20, 99)
    assert replaced.letters() == ["delivery-permanent", "delivery-replacement-broken"]


async def test_another_list_that_is_named_in_the_midst_gets_all_of_it(replaced: Replaced) -> None:
    """Half of a list is never added to half of another."""
    first = SessionServer()

    def take(request: WebRequest) -> WebAnswer:
        answer = first.take(request)
        rename()
        return answer

    def rename() -> None:
        connection = replaced.bench.catalogue.connection
        assert connection is not None
        settings = connection.connection_settings | {"customer_file_source": "PARTNER_PROVIDED_ONLY"}
        replaced.bench.catalogue.connection = msgspec.structs.replace(connection, connection_settings=settings)

    replaced.bench.web.script = [take]
    await replaced.deliver(*resync())
    assert first.members == {"stale"}
    assert replaced.there.members == members(1, 2, 10, 11, 20)
