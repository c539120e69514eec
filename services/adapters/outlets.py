"""The outlets by their clients: implements `Outlets`. What is opened is kept while it is in use."""

import asyncio
import socket
from typing import Final, Protocol

from contracts import codes
from services.adapters.addresses import is_public
from services.adapters.kafka.events import EventWriter
from services.adapters.kafka.rights import look as look_at_topic
from services.adapters.kafka.settings import KafkaSettings
from services.adapters.postgres import Tables
from services.adapters.postgres import look as look_at_schema
from services.runtime.clock import Clock
from services.runtime.failures import Rejected, Unavailable
from services.runtime.outlets import Check, Cluster, Database, Effect, EventsWrite, SchemaCheck, TableWrite, TopicCheck

IDLE_SECONDS: Final = 300.0


class _Open(Protocol):
    async def close(self) -> None: ...


class OpenOutlets:
    """`allow_private`: addresses that aren't public may be gone to."""

    def __init__(self, *, clock: Clock, allow_private: bool) -> None:
        self._clock = clock
        self._allow_private = allow_private
        self._open: dict[object, tuple[_Open, float]] = {}

    async def carry_out(self, effect: Effect, *, timeout_seconds: float) -> None:
        await self._close_idle()
        try:
            async with asyncio.timeout(timeout_seconds):
                match effect:
                    case EventsWrite():
                        await (await self._events(effect, timeout_seconds)).write(effect)
                    case TableWrite():
                        await (await self._tables(effect.database)).write(effect)
        except TimeoutError as error:
            raise Unavailable(f"no answer in {timeout_seconds:g} seconds") from error

    async def check(self, check: Check, *, timeout_seconds: float) -> None:
        try:
            async with asyncio.timeout(timeout_seconds):
                match check:
                    case TopicCheck():
                        await look_at_topic(_settings(check.cluster, timeout_seconds), check.topic, self._checked)
                    case SchemaCheck():
                        await look_at_schema(check, await self._checked(check.database.host))
        except TimeoutError as error:
            raise Unavailable(f"no answer in {timeout_seconds:g} seconds") from error

    async def close(self) -> None:
        for held, _ in self._open.values():
            await held.close()
        self._open.clear()

    async def _events(self, effect: EventsWrite, timeout_seconds: float) -> EventWriter:
        """A writer for each topic: what befalls one must not end what another has under way."""
        to = effect.cluster
        key = to, effect.topic
        held = self._held(key)
        if not isinstance(held, EventWriter):
            for server in to.bootstrap_servers.split(","):
                await self._checked(server.rpartition(":")[0].strip("[]"))
            held = EventWriter(_settings(to, timeout_seconds), self._clock, self._checked)
        self._keep(key, held)
        return held

    async def _tables(self, to: Database) -> Tables:
        held = self._held(to)
        if not isinstance(held, Tables):
            held = Tables(to, await self._checked(to.host))
        self._keep(to, held)
        return held

    def _held(self, key: object) -> _Open | None:
        return self._open[key][0] if key in self._open else None

    def _keep(self, key: object, held: _Open) -> None:
        self._open[key] = held, self._clock.monotonic_seconds()

    async def _close_idle(self) -> None:
        before = self._clock.monotonic_seconds() - IDLE_SECONDS
        for key in [key for key, (_, used) in self._open.items() if used < before]:
            await self._open.pop(key)[0].close()

    async def _checked(self, host: str) -> str:
        """An address of the host, all of whose addresses may be gone to."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Unavailable(f"{host}: {type(error).__name__}") from error
        addresses = [str(place[0]) for *_, place in found]
        if not self._allow_private and not all(map(is_public, addresses)):
            raise Rejected(codes.DELIVERY_ADDRESS_REFUSED, f"{host} is no public address")
        return addresses[0]


def _settings(to: Cluster, timeout_seconds: float) -> KafkaSettings:
    sasl = "SASL_" if to.password is not None else ""
    return KafkaSettings(
        bootstrap_servers=to.bootstrap_servers,
        prefix="",
        security_protocol=f"{sasl}{'SSL' if to.tls else 'PLAINTEXT'}",
        sasl_mechanism=to.sasl_mechanism,
        sasl_username=to.username.reveal() if to.username is not None else None,
        sasl_password=to.password.reveal() if to.password is not None else None,
        request_timeout_seconds=timeout_seconds * 0.8,
    )
