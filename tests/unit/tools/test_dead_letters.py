"""Which dead letters are listed, and whose members are sent again."""

import pytest
from msgspec.structs import replace

from contracts import catalog, codes
from contracts.codes import Code
from contracts.messages.delivery import Delivery
from contracts.records import Out
from services.adapters.memory import MemoryBroker
from services.runtime.dead_letters import dead_letter
from services.runtime.log import Log
from services.tools.dead_letters_command import Wanted, found, members_of
from services.tools.failed import CallFailed
from tests.unit.domain.delivery.making import delivery, queued
from tests.unit.runtime.machine import FastClock

ONE, TWO = delivery(1, "add", ["a", "b"]), delivery(2, "remove", ["b", "c"], activation_id="act_2")


def letter(said: Delivery, code: Code = codes.DELIVERY_PERMANENT, *, value: bytes | None = None) -> Out:
    record = queued(said.sequence, said)
    return dead_letter(replace(record, value=value or record.value), code, "no", service="activation")


@pytest.fixture
async def log() -> Log:
    """Two deliveries that were refused, a cut one, and a command."""
    log = MemoryBroker(clock=FastClock()).connect("tools")
    await log.ensure_topic(catalog.topic_spec(catalog.DEAD_LETTERS, 1))
    elsewhere = replace(queued(9, ONE), topic=catalog.COMMANDS)
    await (await log.producer()).send(
        [
            letter(ONE),
            letter(TWO, codes.DELIVERY_REDIRECTED),
            letter(ONE, value=b'{"cut'),
            dead_letter(elsewhere, codes.COMMAND_INVALID, "no", service="control"),
        ]
    )
    return log


@pytest.mark.parametrize(
    ("wanted", "offsets"),
    [
        (Wanted(), [0, 1, 2, 3]),
        (Wanted(space="acme"), [0, 1]),
        (Wanted(destination="des_1", reason="delivery-redirected"), [1]),
        (Wanted(activation="act_1"), [0]),
        (Wanted(destination="des_2"), []),
        (Wanted(reason="command-invalid"), [3]),
        (Wanted(until="1970-01-01"), []),
        (Wanted(since="9999-01-01"), []),
        (Wanted(since="1970-01-01", until="9999-01-01"), [0, 1, 2, 3]),
    ],
)
async def test_letters_are_found_by_what_is_asked(log: Log, wanted: Wanted, offsets: list[int]) -> None:
    assert [one.offset for one, _ in await found(log, wanted)] == offsets


async def test_only_what_is_a_delivery_has_members(log: Log) -> None:
    assert [one.members for one, _ in await found(log, Wanted())] == [2, 2, None, None]


async def test_a_time_that_is_none_is_told(log: Log) -> None:
    with pytest.raises(CallFailed, match="no instant"):
        await found(log, Wanted(since="yesterday"))


def test_each_member_is_sent_once_to_each_activation() -> None:
    again = replace(ONE, members=["b", "d"])
    assert members_of([ONE, TWO, again]) == {("acme", "act_1"): ["a", "b", "d"], ("acme", "act_2"): ["b", "c"]}
