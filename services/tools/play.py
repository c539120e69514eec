"""Plays a scenario against a running system through its public topics and compares what it expects with what is.

An upload or command is waited for by its own record (import, reply), never by time; sizes are read only after every
partition has said that it reached the scenario's clock.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack

from services.client import TopicMissing, opened
from services.runtime.log import Log
from services.runtime.objects import Objects
from services.tools.player import Player
from services.tools.playing import Check, DeliverTo, Played, PlayError
from services.tools.scenario import Scenario


async def play(
    log: Log,
    objects: Objects,
    bucket: str,
    scenario: Scenario,
    *,
    deliver_to: DeliverTo | None = None,
    on_check: Callable[[Check], None] = lambda _: None,
) -> Played:
    """Plays all days. A space that has already passed the scenario's start is left alone: `<space>-2` is used."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(opened(log, source=f"/usher/play/{scenario.space}"))
        player = Player(log, objects, bucket, scenario, client, on_check=on_check)
        try:
            await player.prepare(stack, deliver_to)
            for number, entry in enumerate(scenario.days):
                await player.day(entry, number)
            await player.delivered_at_end()
            if deliver_to is not None:
                await player.sent_at_end()
        except (PlayError, TimeoutError, TopicMissing) as error:
            player.played.trouble = str(error)
        return player.played
