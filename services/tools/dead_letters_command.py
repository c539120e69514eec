"""`usher dead-letters`: what could not be processed, and what could not be delivered sent again as it stands now."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from contracts import catalog, codec
from contracts.instants import instant_text, parse_instant
from contracts.messages.delivery import Delivery
from contracts.records import Record
from services.client import Client, Follower
from services.runtime.log import Log
from services.tools.failed import CallFailed
from services.tools.sender import Sender
from services.tools.session import session

_IDENTIFIERS_MAX: Final = 10_000
_QUEUE: Final = re.compile(catalog.QUEUE_PATTERN)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead letters: None is any. `since` and `until` are instants as of when they were written, `until` not in.

    Of a destination, an activation or a space are only letters that can be read as deliveries.
    """

    space: str | None = None
    destination: str | None = None
    activation: str | None = None
    reason: str | None = None
    since: str | None = None
    until: str | None = None


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter as `list` shows it: no identifiers. What is null isn't known of it."""

    at: str
    partition: int
    offset: int
    topic: str | None
    code: str | None
    detail: str | None
    space_id: str | None = None
    destination_id: str | None = None
    activation_id: str | None = None
    members: int | None = None


async def list_all(wanted: Wanted, *, as_json: bool) -> int:
    """Prints those that are wanted, oldest first within a partition."""
    async with session() as (_, log):
        letters = [letter for letter, _ in await found(log, wanted)]
    if as_json:
        for letter in letters:
            print(msgspec.json.encode(letter).decode())
        return 0
    table = Table("at", "space", "destination", "activation", "members", "code", "detail")
    for one in letters:
        place = (one.space_id or "", one.destination_id or one.topic or "", one.activation_id or "")
        table.add_row(one.at, *place, str(one.members or ""), one.code, one.detail)
    Console().print(table)
    return 0


async def redrive(wanted: Wanted, sender: Sender, *, timeout_seconds: float, as_json: bool) -> int:
    """Sends the members of those that are wanted again as they stand; exit 1 where an activation can't."""
    if wanted == Wanted():
        raise CallFailed("say which: --destination, --activation, --space, --reason, --since or --until")
    async with sender.session() as (log, client):
        by_activation = members_of(delivery for _, delivery in await found(log, wanted) if delivery is not None)
        outcomes = [
            await _redriven(client, space_id, activation_id, members, timeout_seconds)
            for (space_id, activation_id), members in by_activation.items()
        ]
    for one in outcomes:
        print(msgspec.json.encode(one).decode() if as_json else " ".join(str(word) for word in one.values()))
    return 1 if any(one["errors"] for one in outcomes) else 0


async def found(log: Log, wanted: Wanted) -> list[tuple[Letter, Delivery | None]]:
    """The letters that are wanted, with the deliveries that they keep. Raises `CallFailed` where times are none."""
    is_wanted = _filter(wanted)
    letters: list[tuple[Letter, Delivery | None]] = []

    def keep(record: Record) -> None:
        read = _read(record)
        if is_wanted(record, read[0]):
            letters.append(read)

    follower = await Follower.open(log, [catalog.DEAD_LETTERS], keep, from_end=False)
    try:
        await follower.catch_up()
    finally:
        await follower.close()
    return letters


def members_of(deliveries: Iterable[Delivery]) -> dict[tuple[str, str], list[str]]:
    """The different members by space and activation, as they first come."""
    named: dict[tuple[str, str], dict[str, None]] = {}
    for one in deliveries:
        named.setdefault((one.space_id, one.activation_id), {}).update(dict.fromkeys(one.members))
    return {activation: list(members) for activation, members in named.items()}


def _read(record: Record) -> tuple[Letter, Delivery | None]:
    letter = Letter(
        at=instant_text(record.timestamp_ms),
        partition=record.partition,
        offset=record.offset,
        topic=codec.header(record.headers, "dlq-topic"),
        code=codec.header(record.headers, "dlq-code"),
        detail=codec.header(record.headers, "dlq-detail"),
    )
    if not _QUEUE.fullmatch(letter.topic or ""):
        return letter, None
    try:
        delivery = codec.decode(record.value or b"", Delivery)
    except codec.Unreadable:
        return letter, None
    whose = msgspec.structs.replace(
        letter,
        space_id=delivery.space_id,
        destination_id=delivery.destination_id,
        activation_id=delivery.activation_id,
        members=len(delivery.members),
    )
    return whose, delivery


def _filter(wanted: Wanted) -> Callable[[Record, Letter], bool]:
    since_ms, until_ms = _instant(wanted.since), _instant(wanted.until)
    named = {
        "space_id": wanted.space,
        "destination_id": wanted.destination,
        "activation_id": wanted.activation,
        "code": wanted.reason,
    }

    def is_wanted(record: Record, letter: Letter) -> bool:
        if since_ms is not None and record.timestamp_ms < since_ms:
            return False
        if until_ms is not None and record.timestamp_ms >= until_ms:
            return False
        return all(text is None or getattr(letter, name) == text for name, text in named.items())

    return is_wanted


def _instant(text: str | None) -> int | None:
    at_ms = None if text is None else parse_instant(text)
    if text is not None and at_ms is None:
        raise CallFailed(f"{text!r} is no instant: write 2026-01-02 or 2026-01-02T10:00:00Z")
    return at_ms


async def _redriven(
    client: Client, space_id: str, activation_id: str, members: Sequence[str], timeout_seconds: float
) -> dict[str, object]:
    """One command for each ten thousand, one after the other; at the first that fails the rest isn't sent."""
    sent = 0
    errors: list[str] = []
    for start in range(0, len(members), _IDENTIFIERS_MAX):
        part = members[start : start + _IDENTIFIERS_MAX]
        item = {"activation_id": activation_id, "identifiers": part}
        reply = await client.call(space_id, "activations.redrive", [item], timeout_seconds=timeout_seconds)
        errors = [f"{one.code}: {one.detail}" for one in reply.errors]
        if errors:
            break
        sent += len(part)
    return {"space_id": space_id, "activation_id": activation_id, "sent": sent, "of": len(members), "errors": errors}
