"""A list that a resync replaces: emptied once, at its place, by one writer, whatever dies in between."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest

from contracts import codec
from contracts.messages.delivery import Delivery, ListCleared
from contracts.messages.entities import Connection
from contracts.records import Out
from services.activation.lane import Lane
from services.activation.reports import Reports
from services.runtime.failures import Unavailable
from services.runtime.web import WebAnswer, WebRequest
from tests.unit.activation.lane_bench import PLACE, Bench, FixedCatalogue
from tests.unit.connectors.conformance import answered
from tests.unit.domain.delivery.making import clearing, delivery, destination

CLEARED = WebAnswer(204, {}, b"")


@dataclass
class Control:
    """In place of the producer: takes what lanes say of a list into the connection, as control does, if it is `up`."""

    catalogue: FixedCatalogue
    up: bool = True
    outs: list[Out] = field(default_factory=list)
    said: list[ListCleared] = field(default_factory=list)

    async def send(self, outs: Sequence[Out]) -> None:
        self.outs += outs
        for out in outs:
            if codec.header(out.headers, "ce_type") == "list-cleared":
                self.said.append(codec.decode(out.value or b"", ListCleared))
                if self.up:
                    self.take(self.said[-1].step)

    def take(self, step: int) -> None:
        assert self.catalogue.connection is not None
        self.catalogue.connection = msgspec.structs.replace(self.catalogue.connection, cleared_step=step)

    async def close(self) -> None: ...


@dataclass
class Listed:
    """A contact list with somebody in it whom nobody has sent; the lane beside it, and lanes that come after it."""

    bench: Bench
    control: Control
    members: set[str] = field(default_factory=lambda: {"stale"})
    clearings: int = 0
    lost: int = 0  # the first so many clearings take effect, and their answers are lost
    refused: bool = False

    def take(self, request: WebRequest) -> WebAnswer:
        if request.url.endswith("/oauth2/token"):
            return answered({"access_token": "t", "expires_in": 900})
        if request.url.endswith("/contact-list/clear"):
            assert (request.method, request.body) == ("POST", b"")
            return self._clear()
        said = msgspec.json.decode(request.body)["data"]["attributes"]
        change = set(said["identifiers"])
        self.members = self.members | change if said["operation"] == "add" else self.members - change
        return answered({"data": {"operation": said["operation"]}})

    def _clear(self) -> WebAnswer:
        if self.refused:
            return WebAnswer(400, {}, b"{}")
        self.clearings += 1
        self.members = set()
        if self.clearings <= self.lost:
            raise Unavailable("reset")
        return CLEARED

    def successor(self) -> Lane:
        """The lane of another worker, which knows what the catalogue says."""
        return Lane(PLACE, self.bench.ports)


@pytest.fixture
def listed() -> Listed:
    secrets = {"client_id": "env:USHER_SECRET_X", "client_secret": "env:USHER_SECRET_X"}
    to = msgspec.structs.replace(destination(connector="retail-media", secrets=secrets), settings={})
    bench = Bench(to=to, environment={"USHER_SECRET_X": "x"})
    bench.catalogue.connection = Connection(
        space_id="acme", name="con_1", created_at="", updated_at="", connection_id="con_1", audience_id="aud_1",
        destination_id="des_1", connection_settings={"segment_id": "4711", "resync": "replace"},
    )  # fmt: skip
    control = Control(bench.catalogue)
    bench.ports = dataclasses.replace(
        bench.ports, reports=Reports(control, clock=bench.clock, random=bench.ports.random)
    )
    bench.lane = Lane(PLACE, bench.ports)
    made = Listed(bench, control)
    bench.web.otherwise = made.take
    return made


def said(sequence: int, operation: str, members: list[str], partition: int = 0) -> Delivery:
    return msgspec.structs.replace(delivery(sequence, operation, members, partition=partition), id_type="gum")


async def test_it_is_emptied_at_its_place_and_once_for_all_partitions(listed: Listed) -> None:
    await listed.bench.deliver(
        said(1, "add", ["old", "gone"]),
        clearing(2, 9),
        said(3, "add", ["a", "b"]),
        said(7, "add", ["late"], partition=1),  # still of before the resync, on its partition
        clearing(8, 9, partition=1),
        said(9, "add", ["c"], partition=1),
        said(4, "remove", ["b"]),
    )
    assert listed.members == {"a", "late", "c"}
    assert (listed.clearings, [one.step for one in listed.control.said]) == (1, [9])
    assert [(one.delivered, one.dead_lettered) for one in listed.bench.outcomes()] == []  # all in the control's log
    assert len([out for out in listed.control.outs if codec.header(out.headers, "ce_type") == "delivered"]) == 7


async def test_the_next_owner_does_not_empty_it_again_and_one_that_knows_of_nothing_loses_nobody(
    listed: Listed,
) -> None:
    """The first dies when it has emptied the list and nobody has heard of it; the second when all have."""
    batch = listed.bench.records(clearing(2, 9), said(3, "add", ["a"]), clearing(8, 9, partition=1))
    listed.control.up = False

    def die() -> None:
        raise ProcessLookupError("killed")

    listed.bench.clock.events.append((0.1, die))
    with pytest.raises(ProcessLookupError):
        await listed.bench.lane.deliver(batch)
    assert (listed.members, listed.clearings) == (set(), 1)
    listed.control.up = True
    await listed.successor().deliver(batch)
    assert (listed.members, listed.clearings) == ({"a"}, 2)
    listed.members.add("of another partition, sent since")
    await listed.successor().deliver(batch)
    assert listed.members == {"a", "of another partition, sent since"}


async def test_nothing_is_added_before_control_has_it_and_its_word_is_waited_for(listed: Listed) -> None:
    listed.control.up = False
    listed.bench.clock.events.append((600.0, lambda: listed.control.take(9)))
    await listed.bench.deliver(clearing(2, 9), said(3, "add", ["a"]))
    adding = [at for at, request in listed.bench.web.sent if request.url.endswith("add-remove")]
    assert adding == [pytest.approx(600.0, abs=1.0)]


async def test_a_lost_answer_is_tried_again_and_an_older_resync_changes_nothing(listed: Listed) -> None:
    listed.lost = 2
    await listed.bench.deliver(clearing(2, 9), said(3, "add", ["a"]))
    await listed.bench.deliver(clearing(5, 8, partition=1), said(6, "add", ["b"], partition=1), first_offset=2)
    assert (listed.members, listed.clearings) == ({"a", "b"}, 3)


async def test_where_it_is_refused_for_good_members_are_added_and_dead_letters_say_so(listed: Listed) -> None:
    listed.refused = True
    await listed.bench.deliver(clearing(2, 9), said(3, "add", ["a"]))
    assert listed.members == {"stale", "a"}
    letters = [codec.header(out.headers, "dlq-code") for out in listed.control.outs]
    assert [code for code in letters if code] == ["delivery-permanent"]
    assert listed.control.said == []


async def test_a_connection_that_is_gone_has_nothing_to_empty(listed: Listed) -> None:
    listed.bench.catalogue.connection = None
    await listed.bench.deliver(clearing(2, 9))
    assert listed.clearings == 0
