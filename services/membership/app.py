"""Puts membership together: the only file of it that names concrete classes."""

import asyncio

from services.adapters.connect import open_http, open_kafka
from services.membership.service import MembershipService
from services.runtime.clock import SystemClock
from services.runtime.fold import run_folds
from services.runtime.health import Health
from services.runtime.settings import Settings


async def main(settings: Settings, health: Health, stopping: asyncio.Event) -> None:
    """Folds the partitions of the membership input that the group gives us, until `stopping`."""
    async with open_kafka(settings, client_id="membership") as log, open_http(settings, health):
        await run_folds(
            log,
            MembershipService(log),
            clock=SystemClock(),
            health=health,
            stopping=stopping,
            instance_id=settings.instance_id,
        )
