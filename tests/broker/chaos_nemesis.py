"""`kill -9`, SIGSTOP and SIGCONT at random: what befalls the services, one blow a round, some of them at once."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from typing import Final

from tests.broker.system import System

SESSION_SECONDS: Final = 10.0  # without a heartbeat for so long, a member is thrown out of its group


class Nemesis:
    """Strikes the services named; whoever is down or frozen is let be until it is back."""

    def __init__(
        self, random: Random, system: System, services: Mapping[str, Mapping[str, str]], told: list[str]
    ) -> None:
        self._told = told  # what befell whom, for whoever reads a failure
        self._random = random
        self._system = system
        self._services = services  # with the settings of their own
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._failed: list[BaseException] = []

    async def rage(self, rounds: int) -> None:
        """Returns after so many blows, when all are back."""
        try:
            for number in range(rounds):
                name = await self._victim()
                task = self._under_way[name] = asyncio.create_task(self._strike(name, number))
                task.add_done_callback(partial(self._over, name))
                await pass_by(self._random.uniform(0.2, 2.0))
                self._check_alive()
        finally:
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)  # nobody stays down or frozen
        await self._system.ready(*self._services)
        self._check_alive()

    async def _victim(self) -> str:
        while not (free := [name for name in self._services if name not in self._under_way]):
            await asyncio.wait(self._under_way.values(), return_when=asyncio.FIRST_COMPLETED)
        return self._random.choice(free)

    def _over(self, name: str, blow: "asyncio.Task[None]") -> None:
        del self._under_way[name]
        if not blow.cancelled() and (error := blow.exception()) is not None:
            self._failed.append(error)

    def _check_alive(self) -> None:
        """A kill is a blow; whoever ends by itself, or does not come back, has a defect."""
        ended = self._system.ended()
        assert not ended, "\n".join(ended)
        for error in self._failed:
            raise error

    async def _strike(self, name: str, number: int) -> None:
        blows: Sequence[tuple[int, str, float]] = (
            (10, "kill", self._random.choice((0.0, 0.0, 1.0))),
            (1, "kill", SESSION_SECONDS + 2.0),
            (4, "freeze", self._random.uniform(0.1, 3.0)),
            (2, "freeze", SESSION_SECONDS * self._random.uniform(1.1, 1.6)),
        )
        _, blow, seconds = self._random.choices(blows, [weight for weight, *_ in blows])[0]
        self._tell(f"{number}: {blow} {name} for {seconds:.1f} s")
        if blow == "kill":
            self._check_alive()  # its end would be taken for ours
            await self._system.kill(name)
            await pass_by(seconds)
            await self._system.start(name, self._services[name])
        else:
            self._system.freeze(name)
            await pass_by(seconds)
            self._system.thaw(name)
        await self._system.ready(name)
        self._tell(f"{number}: {name} is back")

    def _tell(self, what: str) -> None:
        self._told.append(f"{asyncio.get_running_loop().time():10.2f} {what}")


async def pass_by(seconds: float) -> None:
    """The time that a blow lasts, or that there is until the next: nothing is waited for."""
    await asyncio.wait((asyncio.get_running_loop().create_future(),), timeout=seconds)
