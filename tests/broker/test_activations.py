"""Activations as periods, through real topics: what stands in them, when they send, and what they count."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from contracts import codes
from services.tools.receiver import Receiver
from tests.broker.space import Space, own_space
from tests.broker.system import SECRET_REFERENCE, System

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]

ACCOUNT = {
    "platform_id": "7",
    "platform_name": "social",
    "platform_display_name": "Social",
    "agency_id": "12",
    "agency_name": "The Agency",
    "account_type_id": "2",
    "account_type_name": "advertiser",
    "advertiser_id": "99",
    "client_id": "act_1",
    "default_category_id": "cat-9",
}


@pytest_asyncio.fixture(loop_scope="session")
async def manual(system: System, space_name: str) -> AsyncIterator[Space]:
    """A space whose clock stands at the beginning of 2026."""
    async with own_space(system, space_name, clock="manual", time="2026-01-01") as made:
        yield made


async def _state(space: Space, activation: str, state: str) -> None:
    def is_there() -> bool:
        status = space.observed.activations.get(space.observed.id_of("activation", activation))
        return status is not None and status.state == state

    await space.until(f"{activation} is {state}", is_there)


async def test_the_properties_of_a_segment_and_of_an_account(space: Space) -> None:
    await space.audiences("a")
    await space.destination("d", "http://127.0.0.1:9/hook", account=ACCOUNT)
    described = {"reference_id": "r-1", "country": "528", "recurring": True, "recurring_days": 3, "extend": True}
    await space.send("activations.create", {"name": "x", "audience": "a", "destination": "d"} | described)
    await space.send("activations.create", {"name": "plain", "audience": "a", "destination": "d", "category_id": "c"})

    (account,) = await space.send("destinations.get", {"destination": "d"})
    (segment,) = await space.send("activations.get", {"activation": "x"})
    (plain,) = await space.send("activations.get", {"activation": "plain"})

    assert account["account"] == ACCOUNT
    assert {name: segment[name] for name in described} == described
    assert (segment["category_id"], plain["category_id"]) == ("cat-9", "c")
    assert [plain[name] for name in ("reference_id", "country", "recurring", "extend")] == [None, None, False, False]


async def test_an_audience_too_small_for_its_destination_waits_until_it_has_grown(
    space: Space, receiver: tuple[Receiver, str]
) -> None:
    got, url = receiver
    await space.audiences("a")
    await space.destination("d", url, secrets={"signing": SECRET_REFERENCE}, limits={"members_min": 5})
    await space.send("members.add", {"audience": "a", "identifiers": ["u1", "u2"]})
    await space.send("activations.create", {"name": "x", "audience": "a", "destination": "d"})
    await space.send("members.add", {"audience": "a", "identifiers": ["u3", "u4"]})
    await _state(space, "x", "waiting-for-minimum")
    activation = space.observed.id_of("activation", "x")
    await space.until("four are pending", lambda: space.observed.activations[activation].counters.pending == 4)
    for service in ("control", "membership", "activation"):
        await space.system.kill(service)
        await space.system.start(service)

    await space.send("members.remove", {"audience": "a", "identifiers": ["u1"]})
    await space.send("members.add", {"audience": "a", "identifiers": ["u5", "u6"]})

    await space.until("all of them are delivered", lambda: space.delivered("x", changes=5))
    assert set(got.received.members(activation)) == {f"u{n}" for n in range(2, 7)}
    await _state(space, "x", "running")
    await space.send("members.remove", {"audience": "a", "identifiers": ["u2"]})
    await space.until("who exits is taken out", lambda: space.delivered("x", changes=6))
    assert set(got.received.members(activation)) == {f"u{n}" for n in range(3, 7)}


async def test_a_period_begins_ends_moves_on_and_is_used_again(manual: Space, receiver: tuple[Receiver, str]) -> None:
    got, url = receiver
    await manual.audiences("a")
    await manual.send("members.add", {"audience": "a", "identifiers": ["u1", "u2"]})
    await manual.destination("d", url, secrets={"signing": SECRET_REFERENCE})
    period = {"start_date": "2026-01-02T00:00:00.0000000Z", "end_date": "2026-01-05T00:00:00.0000000Z"}
    await manual.send("activations.create", {"name": "x", "audience": "a", "destination": "d"} | period)
    await _state(manual, "x", "scheduled")

    await manual.send("clock.advance", {"to": "2026-01-02"})
    await _state(manual, "x", "running")
    await manual.until("both are delivered", lambda: manual.delivered("x", changes=2))
    activation = manual.observed.id_of("activation", "x")
    assert set(got.received.members(activation)) == {"u1", "u2"}
    totals = manual.observed.activations[activation].totals
    assert (totals.ready_count, totals.processing_count, totals.pending_count) == (2, 0, 0)
    assert (totals.failed_count, totals.no_data_count, totals.segment_upload_count) == (0, 0, 2)
    assert totals.upload_count >= 1
    assert totals.log_count >= 1

    before_start = await manual.ask("activations.update", {"activation": "x", "end_date": "2026-01-01"})
    assert [one["code"] for one in before_start["errors"]] == [codes.FIELD_INVALID.code]
    await manual.send("clock.advance", {"to": "2026-01-05"})
    await _state(manual, "x", "ended")
    await manual.send("members.add", {"audience": "a", "identifiers": ["u3"]})
    await manual.send("activations.update", {"activation": "x", "end_date": "2026-01-08", "extend": True})
    await _state(manual, "x", "running")
    await manual.until("the third too", lambda: set(got.received.members(activation)) == {"u1", "u2", "u3"})

    await manual.send("clock.advance", {"to": "2026-01-08"})
    (extended,) = await manual.send("activations.get", {"activation": "x"})
    assert extended["end_date"] == "2026-02-07T00:00:00.000Z"
