"""`usher demo`: stack, services, receiver and the bundled scenarios in one go; stops everything that it started."""

import asyncio
import signal
import time
from collections.abc import Sequence
from typing import Final

from services.tools.audit_command import audit
from services.tools.local_stack import PROJECT, say
from services.tools.local_system import LocalSystem, local_system
from services.tools.play import play
from services.tools.play_command import load, progress, show
from services.tools.playing import Played

SCENARIOS: Final = PROJECT / "tests" / "scenarios"


async def main() -> int:
    """Exit 0 where every expectation held, the receiver got every change and the audit is clean, else 1."""
    started = time.monotonic()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    work = asyncio.create_task(_demo())
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not work.done():
        say("stopping …")
        work.cancel()
    try:
        right = await work
    except asyncio.CancelledError:
        return 130
    print(f"{'all as expected' if right else 'NOT as expected'}, in {time.monotonic() - started:.0f} s")
    return 0 if right else 1


async def _demo() -> bool:
    async with local_system(PROJECT / ".usher" / "demo") as system:
        return await system.unless_a_child_dies(asyncio.ensure_future(_play_all(system)))


async def _play_all(system: LocalSystem) -> bool:
    played: list[Played] = []
    for file in sorted(SCENARIOS.glob("*.yaml")):
        scenario = await asyncio.to_thread(load, file)
        say(f"playing {scenario.name}")
        played.append(
            await play(
                system.log, system.objects, system.bucket, scenario,
                deliver_to=system.deliver_to, on_check=progress(scenario),
            )
        )  # fmt: skip
        show(played[-1], as_json=False)
    received = await _received(system, played)
    report = await audit(system.log)
    for line in report.lines:
        print(line)
    print(f"audit      {sum(report.checked.values()):,} facts, {len(report.broken)} laws broken")
    return all(one.ok for one in played) and received and not report.broken


async def _received(system: LocalSystem, played: Sequence[Played]) -> bool:
    """Holds what the receiver got against what was published: every change once, and the same members at the end."""
    state = await system.received()
    sent = [sent for one in played for sent in one.sent]
    delivered, merged = sum(one.delivered for one in sent), sum(one.merged for one in sent)
    print(f"published  {sum(one.published for one in sent):,} changes to {len(sent)} activations")
    print(f"delivered  {delivered:,}; {merged:,} more were overtaken by a later change of the same identity")
    print(f"receiver   {state['entered']:,} entered, {state['exited']:,} exited, in {state['requests']:,} requests")
    sizes = {one.activation_id: one.size for one in sent if one.published}
    wrong = [name for name, size in sizes.items() if state["activations"].get(name, 0) != size]
    for name in wrong:
        print(f"receiver: {name} has {state['activations'].get(name, 0)} members, the audience {sizes[name]}")
    whole = all(one.published == one.delivered + one.merged for one in sent)
    return whole and not wrong and not state["conflicts"] and state["entered"] + state["exited"] == delivered
