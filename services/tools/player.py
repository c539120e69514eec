"""One scenario being played: clock, commands, uploads, then what is expected, entry by entry (see `play`)."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import TypeVar

import msgspec

from contracts import codes
from contracts.instants import instant_text, parse_instant
from contracts.messages.published import Import
from services.client import Client, Follower
from services.runtime.log import Log
from services.runtime.objects import Objects
from services.tools.observed import TERMINAL, TOPICS, Observed
from services.tools.playing import Check, DeliverTo, Played, PlayError, Sent
from services.tools.scenario import (
    CommandEntry,
    Day,
    Scenario,
    Upload,
    feed_item,
    identities,
    moment,
    upload_body,
    upload_key,
)

STEP_TIMEOUT_SECONDS = 60.0  # a million rows take seconds; a minute without an answer is a fault worth a name
T = TypeVar("T")


class Player:
    def __init__(
        self,
        log: Log,
        objects: Objects,
        bucket: str,
        scenario: Scenario,
        client: Client,
        *,
        on_check: Callable[[Check], None],
    ) -> None:
        self._log, self._objects, self._bucket, self._client = log, objects, bucket, client
        self._scenario, self._on_check = scenario, on_check
        self.played = Played(scenario, scenario.space)
        self._observed = Observed(scenario.space, keep_members=False)
        self._follower: Follower
        self._counted: dict[str, tuple[int, int]] = {}

    async def prepare(self, stack: AsyncExitStack, deliver_to: DeliverTo | None) -> None:
        """Space, audiences, feeds, destinations, activations: what is there already is taken as it is."""
        start_ms = parse_instant(self._scenario.start.isoformat()) or 0
        await self._settle_on_space(stack, start_ms)
        if not self._observed.exists:
            await self._call(
                "spaces.create", [{"name": self.played.space, "clock": "manual", "time": instant_text(start_ms)}]
            )
        await self._create("audiences", self._scenario.audiences)
        await self._create("feeds", [feed_item(feed) for feed in self._scenario.feeds])
        await self._create("destinations", self._scenario.destinations)
        activations = [_without(item, "expect_delivered") for item in self._scenario.activations]
        await self._create("activations", activations)
        if deliver_to is not None:
            await self._deliver_all(deliver_to)

    async def _settle_on_space(self, stack: AsyncExitStack, start_ms: int) -> None:
        keep = any(entry.expect_members for entry in self._scenario.days)
        for number in range(1, 100):
            space = self._scenario.space if number == 1 else f"{self._scenario.space}-{number}"
            observed = Observed(space, keep_members=keep)
            follower = await Follower.open(self._log, TOPICS, observed.sink, from_end=False)
            await follower.catch_up()
            if not observed.exists or (observed.time_ms is not None and observed.time_ms <= start_ms):
                stack.push_async_callback(follower.close)
                self._observed, self._follower, self.played.space = observed, follower, space
                return
            await follower.close()
        raise PlayError(f"every space up to {self._scenario.space}-99 has passed the scenario's start")

    async def _create(self, kind: str, items: list[dict[str, object]]) -> None:
        if not items:
            return
        reply = await self._client.call(self.played.space, f"{kind}.create", items)
        for error in reply.errors:
            if error.code != codes.NAME_MUST_BE_UNIQUE.code:
                raise PlayError(f"{kind}.create: {error.code}: {error.detail}")

    async def _deliver_all(self, deliver_to: DeliverTo) -> None:
        await self._follower.catch_up()
        await self._create(
            "destinations",
            [{"name": "play-receiver", "connector": "webhook", "settings": {"url": deliver_to.url},
              "secrets": {"signing": deliver_to.secret}}],
        )  # fmt: skip
        await self._create(
            "activations",
            [{"name": f"to-receiver-{name}", "audience": name, "destination": "play-receiver"}
             for name in self._observed.names("audience")],
        )  # fmt: skip

    async def day(self, entry: Day, number: int) -> None:
        """One entry: clock, commands, uploads, then what is expected."""
        await self._advance(parse_instant(moment(self._scenario, entry)) or 0)
        for command in entry.commands:
            await self._command(entry, command)
        for position, upload in enumerate(entry.uploads):
            await self._upload(entry, upload, number * 1000 + position)
        if any(command.type.startswith("audiences.") for command in entry.commands):
            # a definition has no import to wait for: the next millisecond is the barrier behind it
            await self._advance((self._observed.time_ms or 0) + 1)
        await self._follower.catch_up()
        await self._expect(entry)

    async def _advance(self, to_ms: int) -> None:
        await self._follower.catch_up()
        if self._observed.time_ms is not None and to_ms <= self._observed.time_ms:
            return
        await self._call("clock.advance", [{"to": instant_text(to_ms)}])

    async def _call(self, type_: str, items: list[dict[str, object]]) -> None:
        reply = await self._client.call(self.played.space, type_, items)
        if reply.errors:
            raise PlayError(f"{type_} failed: {msgspec.json.encode(reply.errors).decode()}")

    async def _command(self, entry: Day, command: CommandEntry) -> None:
        data = (
            command.data
            if isinstance(command.data, dict) and "items" in command.data
            else {"items": _listed(command.data)}
        )
        reply = await self._client.call_data(self.played.space, command.type, data)
        actual: dict[str, object] = {"status": reply.status, **msgspec.structs.asdict(reply.counts)}
        actual["code"] = next((error.code for error in reply.errors), None)
        expected = command.expect_reply
        if expected is None and actual["status"] == "rejected":
            raise PlayError(f"day {entry.day}: {command.type} was rejected: {actual['code']}")
        for name, value in (expected if expected is not None else {"failed": 0}).items():
            self._check(Check(entry.day, f"{command.type} {name}", value, actual.get(name)))
        for item in reply.data:
            if isinstance(import_id := item.get("import_id"), str):
                await self._until(f"import {import_id}", partial(self._ended_import, import_id))

    def _ended_import(self, import_id: str) -> Import | None:
        return _ended(self._observed.imports.get(import_id))

    async def _upload(self, entry: Day, upload: Upload, number: int) -> None:
        key = upload_key(self._scenario, entry, upload, number)
        known = frozenset(self._observed.imports)
        body = upload_body(self._scenario, upload)
        await self._objects.write(self._bucket, key, body, content_type="application/octet-stream")

        def found() -> Import | None:
            return _ended(self._observed.import_of(key, known=known))

        ended = await self._until(f"the import of {key}", found)
        actual: dict[str, object] = {
            "state": ended.state,
            "error": ended.error.code if ended.error else None,
            **msgspec.to_builtins(ended.counts),
        }
        for name, value in (upload.expect_import or {"state": "applied"}).items():
            self._check(Check(entry.day, f"import {key.rsplit('/', 1)[-1]} {name}", value, actual.get(name)))

    async def _until(self, what: str, found: Callable[[], T | None]) -> T:
        try:
            async with asyncio.timeout(STEP_TIMEOUT_SECONDS):
                while (result := found()) is None:
                    await self._follower.pump()
        except TimeoutError:
            raise PlayError(f"{what} did not end within {STEP_TIMEOUT_SECONDS:.0f} s") from None
        return result

    async def _expect(self, entry: Day) -> None:
        seen = self._observed
        for audience, size in entry.expect.items():
            self._check(Check(entry.day, f"size of {audience}", size, seen.size(audience)))
        for audience, wanted in entry.expect_changes.items():
            entered, exited = self._changes_since(audience)
            actual = {"entered": entered, "exited": exited}
            for name, count in wanted.items():
                self._check(Check(entry.day, f"{name} {audience}", count, actual[name]))
        for audience, spec in entry.expect_members.items():
            wanted_members, members = set(identities(spec)), seen.members[seen.id_of("audience", audience)]
            self._check(Check(entry.day, f"members of {audience}", len(wanted_members), len(members)))
            self._check(Check(entry.day, f"other members in {audience}", 0, len(wanted_members ^ members)))
        for activation, count in entry.expect_delivered.items():
            await self._expect_delivered(entry.day, activation, count)
        self._counted = {one: (seen.entered[one], seen.exited[one]) for one in {*seen.entered, *seen.exited}}

    def _changes_since(self, audience: str) -> tuple[int, int]:
        audience_id = self._observed.id_of("audience", audience)
        entered, exited = self._counted.get(audience_id, (0, 0))
        return self._observed.entered[audience_id] - entered, self._observed.exited[audience_id] - exited

    async def delivered_at_end(self) -> None:
        """`expect_delivered` on the scenario's activations, once nothing is pending."""
        for item in self._scenario.activations:
            if isinstance(count := item.get("expect_delivered"), int):
                await self._expect_delivered(self._scenario.days[-1].day, str(item.get("name")), count)

    async def sent_at_end(self) -> None:
        """With a `deliver_to`: waits until every change of every audience has been delivered."""
        for status in list(self._observed.activations.values()):
            published = self._observed.entered[status.audience_id] + self._observed.exited[status.audience_id]
            await self._until(f"delivery of {status.audience_id}", partial(self._sent, status.activation_id, published))

    def _sent(self, activation_id: str, published: int) -> bool | None:
        status = self._observed.activations[activation_id]
        counters = status.counters
        if counters.changes < published or counters.pending:
            return None
        size = self._observed.size(status.audience_id)
        self.played.sent.append(Sent(activation_id, size, published, counters.delivered, counters.merged))
        return True

    async def _expect_delivered(self, day: int, activation: str, count: int) -> None:
        activation_id = self._observed.id_of("activation", activation)

        def delivered() -> int:
            status = self._observed.activations.get(activation_id)
            return status.counters.delivered if status is not None else 0

        with suppress(PlayError):  # the check below says what was delivered instead
            await self._until(activation, lambda: True if delivered() >= count else None)
        self._check(Check(day, f"delivered by {activation}", count, delivered()))

    def _check(self, check: Check) -> None:
        self.played.checks.append(check)
        self._on_check(check)


def _ended(one: Import | None) -> Import | None:
    return one if one is not None and one.state in TERMINAL else None


def _without(item: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in item.items() if key != name}


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
