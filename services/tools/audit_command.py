"""`usher audit`: reads the public topics from their beginning to what was their end, and reports."""

import msgspec

from contracts import catalog
from services.client import Follower
from services.runtime.log import Log
from services.tools.audit.audit import TOPICS, Audit
from services.tools.audit.report import LAWS, Report
from services.tools.session import session


async def audit(log: Log) -> Report:
    """The report on everything that was in the log at the call."""
    found = Audit(await log.partitions(catalog.CHANGES))
    follower = await Follower.open(log, TOPICS, found.take, from_end=False)
    try:
        await follower.catch_up()
    finally:
        await follower.close()
    return found.finish()


async def main(*, as_json: bool) -> int:
    """Exit 1 where a law is broken."""
    async with session() as (_, log):
        report = await audit(log)
    if as_json:
        shown = {law: {"checked": report.checked[law], "broken": report.broken[law]} for law in sorted(LAWS)}
        print(msgspec.json.encode({"laws": shown, "lines": report.lines}).decode())
    else:
        for line in report.lines:
            print(line)
        print(f"{sum(report.checked.values()):,} facts held against {len(LAWS)} laws: {len(report.broken)} laws broken")
    return 1 if report.broken else 0
