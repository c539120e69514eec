"""Users of usher for a while: commands and uploads of every kind, some wrong, some twice, none of them waited for."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Final

from contracts import catalog, codec
from contracts.instants import DAY_MS, day_of, instant_text
from contracts.messages.intake import ObjectVersion
from contracts.messages.published import Import
from contracts.partitioning import space_partition
from contracts.records import Out
from services.runtime.clock import Clock
from services.runtime.failures import Unavailable
from services.runtime.log import Log
from tests.simulation import activations
from tests.simulation.files import Feed, File, Upload, file, universe
from tests.simulation.notifications import DIALECTS, NO_NEWS, notification
from tests.simulation.receiver import URL
from tests.simulation.sources import REMOVE_SHARE_MAX, Sources
from tests.simulation.space import Space
from tests.simulation.store import Queue, Store

BUCKET: Final = "drops"
SOURCE: Final = "/simulation/user"
MANUAL_START_MS: Final = 1_767_571_200_000  # 2026-01-05
ID_TYPES: Final = ("kuid", "maid", "email_sha256")


@dataclass(frozen=True)
class Command:
    """One that was sent; `readable` says whether usher can answer it by its id."""

    space: str
    id: str
    type: str
    value: bytes
    readable: bool = True


class User:
    """All users. `commands` and `uploads` are what the laws hold the outcome against."""

    def __init__(self, random: Random, clock: Clock, log: Log, store: Store, queue: Queue) -> None:
        self.commands: list[Command] = []
        self.uploads: list[Upload] = []
        self.dead_letters_due: set[str] = set()  # codes
        self.imports: dict[str, Import] = {}  # as far as anybody has looked
        self.sources: dict[str, Sources] = {}
        self.spaces: list[Space] = []
        self._random = random
        self._clock = clock
        self._log = log
        self._store = store
        self._queue = queue
        self.unannounced: list[ObjectVersion] = []
        self._astray = 0.0  # the share of commands that another client's partitioner sends
        for number in range(random.randint(1, 3)):
            id_type = random.choice(ID_TYPES)
            manual = number > 0 or random.random() < 0.5
            at_ms = MANUAL_START_MS if manual else clock.now_ms()
            self.spaces.append(Space(f"space{number}", manual, id_type, universe(id_type, 14), at_ms))
            self.sources[f"space{number}"] = self._sources(self.spaces[-1])

    # What they do.

    async def set_up(self) -> None:
        """Spaces with lists, feeds and a destination."""
        for space in self.spaces:
            clock = {"clock": "manual", "time": instant_text(space.time_ms)} if space.manual else {"clock": "system"}
            await self.send(space, "spaces.create", [clock])
            for _ in range(self._random.randint(2, 4)):
                await self._define_list(space)
            await self._compose(space)
            for mode in ("append", "replace", self._random.choice(("append", "remove"))):
                await self._create_feed(space, mode)
            limits = {"items_per_request": self._random.choice((2, 5, 1_000))}
            item = {"name": "receiver", "connector": "webhook", "settings": {"url": URL}, "limits": limits}
            await self.send(space, "destinations.create", [item])
            await self._activate(space)
            await self.sources[space.name].set_up()

    async def live(self, until_seconds: float) -> None:
        """Does one thing after the other until that instant of the clock."""
        doings: Sequence[tuple[int, Callable[[Space], Awaitable[None]]]] = (
            (30, self._upload),
            (20, self._stream),
            (6, self._mark),
            (5, self._decide),
            (6, self._upload_again),
            (6, self._overwrite),
            (25, self._members),
            (12, self._advance),
            (4, self._define_list),
            (4, self._compose),
            (4, self._recompose),
            (5, self._run),
            (3, self._reschedule),
            (3, self._delete),
            (5, self._activate),
            (5, self._change_activation),
            (3, self._flicker),
            (3, self._snapshot),
            (2, self._tune_destination),
            (3, self._verify_destination),
            (6, self._repeat),
            (3, self._send_nonsense),
            (3, self._notify_nonsense),
        )
        weights = [weight for weight, _ in doings]
        self._astray = 0.05
        while self._clock.monotonic_seconds() < until_seconds:
            await self._clock.sleep(self._random.expovariate(2.5))
            _, do = self._random.choices(doings, weights)[0]
            await do(self._random.choice(self.spaces))

    def unheard(self) -> list[str]:
        """The keys of what nobody announced, and no import is made of: a listing shows the newest version alone."""
        objects = [one.object for one in self.imports.values() if one.object is not None]
        heard = {(one.key, one.etag, one.last_modified_ms) for one in objects}
        newest = {one.version.key: one.version for one in self.uploads}
        unheard = [one for one in self.unannounced if (one.key, one.etag, one.last_modified_ms) not in heard]
        return [one.key for one in unheard if one is newest[one.key]]

    async def unblock(self) -> None:
        """Decides about what is held, and lets the time pass that sets wait for."""
        for space in self.spaces:
            waiting = [one for one in self.imports.values() if one.space_id == space.name and one.state == "waiting"]
            if space.manual and waiting:
                await self._advance(space)
            await self._decide(space)

    def _sources(self, space: Space) -> Sources:
        return Sources(
            random=self._random,
            space=space.name,
            id_type=space.id_type,
            identities=space.identities,
            log=self._log,
            send=partial(self.send, space),
            put=self._put_part,
        )

    async def _stream(self, space: Space) -> None:
        await self.sources[space.name].stream(space.lists)

    async def _mark(self, space: Space) -> None:
        await self.sources[space.name].mark(space.lists, space.time_ms)

    async def _decide(self, space: Space) -> None:
        held = [one.import_id for one in self.imports.values() if one.space_id == space.name and one.state == "held"]
        await self.sources[space.name].decide(held)

    # Commands.

    async def send(self, space: Space, type_: str, items: Sequence[Mapping[str, object]]) -> None:
        id_ = f"c{len(self.commands)}"
        event = {
            "specversion": "1.0", "id": id_, "source": SOURCE, "type": type_, "spaceid": space.name,
            "data": {"items": items},
        }  # fmt: skip
        command = Command(space.name, id_, type_, json.dumps(event).encode())
        self.commands.append(command)
        await self._write(command)

    async def _write(self, command: Command) -> None:
        key, partition = command.space.encode(), None
        if self._random.random() < self._astray:
            count = await self._log.partitions(catalog.COMMANDS)
            partition = (space_partition(command.space, count) + 1) % count
        headers = (("content-type", codec.STRUCTURED_TYPE.encode()),)
        await self._put(Out(catalog.COMMANDS, key, command.value, headers, partition))

    async def _put(self, out: Out) -> None:
        producer = await self._log.producer()
        while True:
            try:
                await producer.send([out])
            except Unavailable:  # then it may be there twice
                await self._clock.sleep(0.5)
            else:
                return

    async def _repeat(self, space: Space) -> None:
        await self._write(self._random.choice([one for one in self.commands if one.readable]))

    async def _send_nonsense(self, space: Space) -> None:
        """Of the kinds that are refused as a whole."""
        id_ = f"c{len(self.commands)}"
        event: dict[str, Any] = {
            "specversion": "1.0", "id": id_, "source": SOURCE, "type": "members.add", "spaceid": space.name,
            "data": {"items": [{"audience": "x"}]},
        }  # fmt: skip
        match self._random.choice(("json", "type", "items", "space")):
            case "json":
                self.commands.append(Command(space.name, id_, "?", b"{nonsense", readable=False))
                self.dead_letters_due.add("command-not-json")
            case "type":
                self._append(space.name, {**event, "type": "members.multiply"}, "command-type-unknown")
            case "items":
                self._append(space.name, {**event, "data": {"items": []}}, "command-invalid")
            case _:
                self._append("nowhere", {**event, "spaceid": "nowhere"}, "space-unknown")
        await self._write(self.commands[-1])

    def _append(self, space: str, event: dict[str, Any], code: str) -> None:
        self.commands.append(Command(space, event["id"], event["type"], json.dumps(event).encode()))
        self.dead_letters_due.add(code)

    async def _define_list(self, space: Space) -> None:
        name = space.new("list")
        item = {"name": name, "kind": "list", "id_type": space.id_type, **self._evaluation()}
        await self.send(space, "audiences.create", [item])
        space.lists.append(name)

    def _evaluation(self) -> dict[str, object]:
        """Most audiences change at once, some by runs."""
        if self._random.random() < 0.75:
            return {}
        return {"evaluation": {"mode": "scheduled", "at": self._random.choice((["00:00"], ["06:00", "12:00"]))}}

    async def _run(self, space: Space) -> None:
        """Refused where the audience changes at once."""
        await self.send(space, "audiences.run", [{"audience": self._random.choice([*space.lists, *space.composed])}])

    async def _reschedule(self, space: Space) -> None:
        evaluation = self._evaluation() or {"evaluation": {"mode": "continuous"}}
        item = {"audience": self._random.choice([*space.lists, *space.composed]), **evaluation}
        await self.send(space, "audiences.update", [item])

    def _expression(self, space: Space, parts: list[str], depth: int = 0) -> dict[str, object]:
        kind = self._random.choice(("audience", "and", "or", "not") if depth < 2 else ("audience",))
        match kind:
            case "audience":
                return {"audience": self._random.choice(parts)}
            case "not":
                return {"not": self._expression(space, parts, depth + 1)}
        return {kind: [self._expression(space, parts, depth + 1) for _ in range(self._random.randint(1, 3))]}

    async def _compose(self, space: Space) -> None:
        name = space.new("composed")
        expression = self._expression(space, [*space.lists, *space.composed])
        item = {"name": name, "expression": expression, **self._evaluation()}
        await self.send(space, "audiences.create", [item])
        space.composed.append(name)

    async def _recompose(self, space: Space) -> None:
        """Of parts that may come to be parts of each other: that is refused."""
        if space.composed:
            expression = self._expression(space, [*space.lists, *space.composed])
            item = {"audience": self._random.choice(space.composed), "expression": expression}
            await self.send(space, "audiences.update", [item])

    async def _delete(self, space: Space) -> None:
        """Refused where something uses it; the user goes on naming it either way."""
        await self.send(space, "audiences.delete", [{"name": self._random.choice([*space.lists, *space.composed])}])

    async def _members(self, space: Space) -> None:
        items = []
        for _ in range(self._random.choice((1, 1, 3))):
            count = self._random.choice((1, 2, 6))
            named = [self._random.choice(space.identities) for _ in range(count)]
            items.append({"audience": self._random.choice(space.lists), "identifiers": named})
        operation = self._random.choice(("add", "add", "add", "remove", "remove", "replace", "clear"))
        if operation == "clear":
            items = [{"audience": item["audience"]} for item in items]
        await self.send(space, f"members.{operation}", items)

    async def _advance(self, space: Space) -> None:
        if space.manual:
            space.time_ms += self._random.choice((3_600_000, DAY_MS, DAY_MS, 2 * DAY_MS))
        await self.send(space, "clock.advance", [{"to": instant_text(space.time_ms)}])

    async def _snapshot(self, space: Space) -> None:
        await self.send(space, "audiences.snapshot", [{"name": self._random.choice([*space.lists, *space.composed])}])

    # Activations.

    async def _activate(self, space: Space) -> None:
        name = space.new("activation")
        item = activations.new(self._random, name, [*space.lists, *space.composed], space.time_ms)
        await self.send(space, "activations.create", [item])
        space.activations.append(name)

    async def _change_activation(self, space: Space) -> None:
        name = self._random.choice(space.activations)
        type_, item = activations.changed(self._random, name, space.time_ms)
        await self.send(space, type_, [item])

    async def _flicker(self, space: Space) -> None:
        """Off and on again and gone, before anything of it is routed."""
        name = self._random.choice(space.activations)
        for enabled in (False, True, False)[: self._random.randint(1, 3)]:
            await self.send(space, "activations.update", [{"activation": name, "enabled": enabled}])
        if self._random.random() < 0.5:
            await self.send(space, "activations.delete", [{"name": name}])

    async def _tune_destination(self, space: Space) -> None:
        limits = {"items_per_request": self._random.choice((1, 3, 1_000))}
        await self.send(space, "destinations.update", [{"destination": "receiver", "limits": limits}])

    async def _verify_destination(self, space: Space) -> None:
        """One that may be verified while it is tuned, beside one that is not there."""
        items = [{"destination": "receiver"}, {"destination": self._random.choice(("receiver", "nobody"))}]
        await self.send(space, "destinations.verify", items)

    # Files.

    async def _create_feed(self, space: Space, mode: Any) -> None:
        feed = Feed(
            space=space.name,
            name=f"feed{len(space.feeds)}",
            mode=mode,
            lookback_days=self._random.randint(1, 4) if mode == "append" else None,
            format=self._random.choice(("caret", "tab", "csv")),
            audience_from=self._random.choice(("column", "column", "path", space.lists[0])),
            id_type=space.id_type,
            remove_share_max=REMOVE_SHARE_MAX if mode == "replace" and self._random.random() < 0.5 else None,
        )
        await self.send(space, "feeds.create", [feed.item()])
        space.feeds.append(feed)

    async def _upload(self, space: Space) -> None:
        feed = self._random.choice(space.feeds)
        folder = f"{self._random.choice(space.lists)}/" if feed.audience_from == "path" else ""
        if self._random.random() < 0.7:
            at_ms = space.time_ms + self._random.randint(-3, 1) * DAY_MS
            folder += "2026-02-30/" if self._random.random() < 0.05 else f"{day_of(at_ms)}/"
        prefix = "elsewhere/" if self._random.random() < 0.04 else feed.prefix
        name = self._random.choice(("rows", "rows +%41", "rows"))
        key = f"{prefix}{folder}{name}-{len(self.uploads)}"
        one = file(self._random, feed, key, space.identities, space.lists)
        if prefix == feed.prefix:
            space.written.append(one)
        else:
            self.dead_letters_due.add("no-feed-for-object")
        await self._put_file(one)

    async def _upload_again(self, space: Space) -> None:
        """The same bytes: a new version of the object, unless it is within the second that S3 tells."""
        if space.written:
            await self._put_file(self._random.choice(space.written))

    async def _overwrite(self, space: Space) -> None:
        if space.written:
            before = self._random.choice(space.written)
            one = file(self._random, before.feed, before.key, space.identities, space.lists)
            space.written.append(one)
            await self._put_file(one)

    async def _put_file(self, one: File) -> None:
        upload = Upload(
            file=one, version=self._store.outside.put(BUCKET, one.key, one.body), at_ms=self._clock.now_ms()
        )
        self.uploads.append(upload)
        if one.key.startswith(one.feed.prefix) and self._random.random() < 0.1:
            self.unannounced.append(upload.version)  # for the reconciler to find
        else:
            await self._announce(upload)

    async def _put_part(self, one: File) -> None:
        version = self._store.outside.put(BUCKET, one.key, one.body)
        await self._announce(Upload(file=one, version=version, at_ms=self._clock.now_ms()))

    async def _announce(self, upload: Upload) -> None:
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            body = notification(self._random.choice(DIALECTS), upload.version, upload.at_ms)
            await self._notify(body)

    async def _notify(self, body: bytes) -> None:
        if self._random.random() < 0.5:
            self._queue.put(body)
        else:
            partition = self._random.randrange(await self._log.partitions(catalog.OBJECTS))
            await self._put(Out(catalog.OBJECTS, None, body, (), partition))

    async def _notify_nonsense(self, space: Space) -> None:
        if self._random.random() < 0.5:
            await self._notify(json.dumps(self._random.choice(NO_NEWS)).encode())
        else:
            self.dead_letters_due.add("notification-not-json")
            await self._notify(b"?")
