"""A test's own space in the shared system: what a user sends there, and what the public topics say about it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec

from contracts import catalog, codec
from contracts.messages.published import Change, Import, Reply
from contracts.records import Record
from services.client import Client, Follower
from services.tools.audit.audit import TOPICS as AUDITED
from services.tools.audit.audit import Audit
from services.tools.observed import TERMINAL, TOPICS, Observed
from tests.broker.system import DEADLINE_SECONDS, PARTITIONS, System

T = TypeVar("T")


class Space:
    """Created empty, with the name and the key prefix of its test. Everything read began after that."""

    def __init__(self, system: System, name: str, client: Client) -> None:
        self.system = system
        self.name = name
        self.prefix = f"{name}/"
        self.client = client
        self.observed = Observed(name, keep_members=True)
        self.changes: list[tuple[str, Change]] = []  # (id, change)
        self.letters: list[Record] = []  # of everybody: a notification that can't be read names no space
        self.replies: list[Record] = []  # of everybody: to a command that can't be read only its bytes lead back
        self._audited: list[Record] = []  # all that the audit needs to judge this space
        self.states: defaultdict[str, list[str]] = defaultdict(list)  # of imports, as they followed one another
        self._follower: Follower

    def sink(self, record: Record) -> None:
        """Takes one record of the public topics."""
        self.observed.sink(record)
        ours = codec.header(record.headers, "ce_spaceid") == self.name
        if ours or (record.key or b"").split(b"/")[0] == self.name.encode() or record.topic == catalog.DEAD_LETTERS:
            self._audited.append(record)
        if record.topic == catalog.DEAD_LETTERS:
            self.letters.append(record)
        elif record.topic == catalog.REPLIES:
            self.replies.append(record)
        elif record.topic == catalog.IMPORTS and ours and record.value is not None:
            found = codec.decode(record.value, Import)
            self.states[found.import_id].append(found.state)
        elif codec.header(record.headers, "ce_type") in {"audience.entered", "audience.exited"} and ours:
            self.changes.append(
                (codec.header(record.headers, "ce_id") or "", codec.decode(record.value or b"", Change))
            )

    async def follow(self) -> None:
        topics = {*TOPICS, *AUDITED}
        self._follower = await Follower.open(self.system.log, sorted(topics), self.sink, from_end=True)

    async def close(self) -> None:
        await self._follower.close()

    async def catch_up(self) -> None:
        """Reads on to where the topics end now."""
        await self._follower.catch_up()

    async def glance(self) -> None:
        """Reads what has come, and waits for nothing."""
        await self._follower.pump(0)

    async def until(self, what: str, found: Callable[[], T | None]) -> T:
        """What `found` returns once that is something, reading on meanwhile; fails after the deadline."""
        deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        while not (result := found()):
            assert asyncio.get_running_loop().time() < deadline, f"not in time: {what}"
            await self._follower.pump()
        return result

    async def broken_promises(self) -> list[str]:
        """The audit of this space, as soon as it is clean; what it says at the deadline where it never is."""
        deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS / 3
        await self.catch_up()
        while lines := self._audit():
            if asyncio.get_running_loop().time() > deadline:
                break
            await self._follower.pump()  # counters follow what they count
        return lines

    def _audit(self) -> list[str]:
        audit = Audit(PARTITIONS["membership"])
        for record in self._audited:
            audit.take(record)
        return audit.finish().lines

    async def ask(self, type_: str, *items: dict[str, Any], **data: object) -> dict[str, Any]:
        """Sends a command and returns its reply, whatever it says."""
        reply = await self.client.call_data(self.name, type_, {"items": list(items), **data})
        return builtins(reply)

    async def send(self, type_: str, *items: dict[str, Any]) -> list[dict[str, Any]]:
        """Sends a command that must take effect in every item; returns the reply's data."""
        reply = await self.ask(type_, *items)
        assert reply["status"] == "accepted", reply
        assert not reply["errors"], reply["errors"]
        data: list[dict[str, Any]] = reply["data"]
        return data

    async def audiences(self, *names: str, id_type: str = "kuid") -> None:
        await self.send("audiences.create", *({"name": one, "kind": "list", "id_type": id_type} for one in names))

    async def feed(self, name: str, **fields: object) -> None:
        """A feed below the space's prefix, `replace` in caret form where nothing else is said."""
        source = {"kind": "s3", "prefix": f"{self.prefix}{name}/"}
        base = {"name": name, "source": source, "mode": "replace", "id_type": "kuid", "format": "caret"}
        await self.send("feeds.create", base | fields)

    async def destination(self, name: str, url: str, **fields: object) -> None:
        await self.send(
            "destinations.create", {"name": name, "connector": "webhook", "settings": {"url": url}, **fields}
        )

    async def put(self, path: str, body: bytes, **arguments: str) -> str:
        """Uploads below the space's prefix; returns the key."""
        await self.system.put(self.prefix + path, body, **arguments)
        return self.prefix + path

    async def put_and_import(self, path: str, body: bytes) -> Import:
        """Uploads what no import was made of before, and returns what became of it."""
        return await self.ended(await self.put(path, body))

    async def ended(self, key: str) -> Import:
        """The only import of the object at `key`, once it has ended."""
        (found,) = await self.all_ended(key, 1)
        return found

    async def all_ended(self, key: str, count: int) -> list[Import]:
        """The imports of the object at `key`, in the order of their announcement, once `count` have ended."""

        def found() -> list[Import] | None:
            ours = self.imports(key)
            return ours if sum(one.state in TERMINAL for one in ours) >= count else None

        ended = await self.until(f"{count} imports of {key}", found)
        assert len(ended) == count, ended
        return ended

    async def import_ended(self, import_id: str) -> Import:
        def found() -> Import | None:
            one = self.observed.imports.get(import_id)
            return one if one is not None and one.state in TERMINAL else None

        return await self.until(f"import {import_id}", found)

    def imports(self, key: str) -> list[Import]:
        found = [one for one in self.observed.imports.values() if one.object is not None and one.object.key == key]
        return sorted(found, key=lambda one: list(self.states).index(one.import_id))

    def members(self, audience: str) -> set[str]:
        """As the changes add up."""
        return self.observed.members[self.observed.id_of("audience", audience)]

    def delivered(self, activation: str, *, changes: int) -> bool:
        """Whether so many changes of the activation are all accounted for."""
        status = self.observed.activations.get(self.observed.id_of("activation", activation))
        return status is not None and status.counters.changes == changes and status.counters.pending == 0

    def letter_codes(self, needle: str = "") -> list[str]:
        """The codes of dead letters whose original holds the text."""
        found = [one for one in self.letters if needle.encode() in (one.value or b"") + (one.key or b"")]
        return [codec.header(one.headers, "dlq-code") or "" for one in found]


@asynccontextmanager
async def own_space(
    system: System, name: str, *, clock: str = "system", time: str | None = None
) -> AsyncIterator[Space]:
    """A new space of that name; at the end every promise to it is audited. All spaces together are, at the very end."""
    client = await Client.open(system.log, source="/tests")
    space = Space(system, name, client)
    try:
        await space.follow()
        item = {"name": name, "clock": clock} | ({} if time is None else {"time": time})
        await space.send("spaces.create", item)
        yield space
        assert await space.broken_promises() == []
    finally:
        await space.close()
        await client.close()


def builtins(reply: Reply) -> dict[str, Any]:
    """A reply as it stands on the wire."""
    plain: dict[str, Any] = msgspec.to_builtins(reply)
    return plain


def rows(audience: str, identities: Sequence[str] | range) -> bytes:
    """A file of the caret form; numbers mean what they do in scenario files."""
    texts = [one if isinstance(one, str) else f"u{one:06d}" for one in identities]
    return "".join(f"{text}^{audience}\n" for text in texts).encode()


def named(numbers: range) -> set[str]:
    return {f"u{number:06d}" for number in numbers}
