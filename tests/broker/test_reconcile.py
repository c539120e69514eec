"""Objects that nobody announced: found by listing the prefix of their feed, imported once, and never those of before."""

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.broker.announcing import aws, message
from tests.broker.space import Space, rows
from tests.broker.system import System, eventually

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def listing(system: System) -> AsyncIterator[System]:
    """Intake lists all the time, and leaves nothing to notifications."""
    await system.stop("intake")
    await system.start("intake", {"USHER_RECONCILE_SECONDS": "0.5", "USHER_RECONCILE_GRACE_SECONDS": "0"})
    await system.ready("intake")
    yield system
    await system.stop("intake")
    await system.start("intake")
    await system.ready("intake")


async def test_a_lost_notification_is_made_up_for_once(space: Space, listing: System) -> None:
    bucket = listing.quiet_bucket
    before, lost, later = (f"{space.prefix}{name}" for name in ("before", "lost", "later"))
    await space.audiences("a")
    await listing.put(before, rows("a", ["before"]), bucket=bucket)
    await next_second()
    source = {"kind": "s3", "bucket": bucket, "prefix": space.prefix}
    await space.feed("f", source=source, mode="append", lookback_days=9)

    await listing.put(lost, rows("a", ["lost"]), bucket=bucket)
    ended = await space.ended(lost)
    await listing.put(later, rows("a", ["later"]), bucket=bucket)
    await space.ended(later)
    passes = await listing.metric("intake", "usher_reconciliations_total")
    await eventually("it lists on", lambda: passed(listing, passes + 2))
    await listing.notify(message(aws(bucket, lost)))

    assert (ended.state, ended.counts.entered) == ("applied", 1)
    assert [one.state for one in await space.all_ended(lost, 2)] == ["applied", "duplicate"]
    assert [len(space.imports(key)) for key in (before, later)] == [0, 1]
    assert space.members("a") == {"lost", "later"}
    assert await listing.metric("intake", "usher_objects_reconciled_total", outcome="announced") >= 2


async def test_a_lost_marker_and_a_lost_part_make_the_set_whole(space: Space, listing: System) -> None:
    bucket = listing.quiet_bucket
    await space.audiences("a")
    source = {"kind": "s3", "bucket": bucket, "prefix": space.prefix}
    await space.feed("f", source=source, mode="replace", complete_on={"marker": "_SUCCESS"})
    marker, parts = f"{space.prefix}d/_SUCCESS", [f"{space.prefix}d/part-{at}" for at in range(2)]
    for at, part in enumerate(parts):
        await listing.put(part, rows("a", [f"u{at}"]), bucket=bucket)
    await listing.notify(message(aws(bucket, parts[0])))
    await listing.put(marker, b"", bucket=bucket)

    ended = await space.ended(marker)

    assert (ended.state, ended.objects) == ("applied", 2)
    assert space.members("a") == {"u0", "u1"}


async def passed(system: System, count: float) -> bool:
    return await system.metric("intake", "usher_reconciliations_total") >= count


async def next_second() -> None:
    """Stores tell when an object was put to the second."""
    began = int(time.time())

    async def is_over() -> bool:
        return int(time.time()) > began

    await eventually("the next second", is_over)
