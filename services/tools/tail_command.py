"""`usher tail`: follows a public topic in readable form."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from contracts import catalog, codec
from contracts.records import Record
from services.client import Follower
from services.tools.session import session

TOPICS: Final = {
    "changes": catalog.CHANGES,
    "replies": catalog.REPLIES,
    "imports": catalog.IMPORTS,
    "sizes": catalog.SIZES,
    "activations": catalog.ACTIVATIONS,
    "dead-letters": catalog.DEAD_LETTERS,
    "audit": catalog.AUDIT,
}
Fields = dict[str, object]


async def main(what: str, *, from_beginning: bool, seconds: float | None, as_json: bool) -> int:
    """Runs until Ctrl-C, or for `seconds`."""
    show = as_line if not as_json else json_line
    async with session() as (_, log):
        follower = await Follower.open(
            log, [TOPICS[what]], lambda record: print(show(what, record), flush=True), from_end=not from_beginning
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    await follower.pump()
        await follower.close()
    return 0


def json_line(_: str, record: Record) -> str:
    """The record as one JSON object: place, key, headers and value."""
    shown = {
        "partition": record.partition,
        "offset": record.offset,
        "key": _text(record.key),
        "headers": {name: _text(value) for name, value in record.headers},
        "value": _value(record) if record.value is not None else None,
    }
    return msgspec.json.encode(shown).decode()


def as_line(what: str, record: Record) -> str:
    """One line for a person."""
    key = _text(record.key) or ""
    value = _value(record)
    if not isinstance(value, dict):
        return f"{key} {value}"
    return _LINES[what](key, value, record)


def _change(_: str, value: Fields, record: Record) -> str:
    kind = (codec.header(record.headers, "ce_type") or "").removeprefix("audience.")
    members = value.get("members")
    if not isinstance(members, list):
        return f"{value.get('at')} {kind}"
    shown = ", ".join(map(str, members[:3])) + (f" … {len(members)}" if len(members) > 3 else "")
    return (
        f"{value.get('at')} {value.get('space_id')}/{value.get('audience_id')} step {value.get('step')} {kind} {shown}"
    )


def _reply(_: str, value: Fields, record: Record) -> str:
    kind = codec.header(record.headers, "ce_type")
    problems = value.get("errors")
    found = problems if isinstance(problems, list) else []
    codes = ", ".join(sorted({str(problem.get("code")) for problem in found if isinstance(problem, dict)}))
    return (
        f"{codec.header(record.headers, 'ce_correlationid')} {kind} {value.get('status')} {value.get('counts')} {codes}"
    )


def _import(key: str, value: Fields, _: Record) -> str:
    thing = value.get("object")
    name = thing.get("key") if isinstance(thing, dict) else value.get("command_id")
    return (
        f"{value.get('updated_at')} {key} {value.get('state')} {name} {value.get('counts')} {value.get('error') or ''}"
    )


def _size(key: str, value: Fields, _: Record) -> str:
    return f"{value.get('at')} {key} {value.get('size')}"


def _activation(key: str, value: Fields, _: Record) -> str:
    lag = f"lag {value.get('lag_records')} members, {value.get('lag_seconds')} s"
    said = (value.get("counters"), lag, value.get("last_error") or "")
    return f"{value.get('updated_at')} {key} {value.get('state')} {' '.join(map(str, said))}"


def _audit(_: str, value: Fields, __: Record) -> str:
    before, after = value.get("before"), value.get("after")
    what = "deleted" if after is None else "changed" if before is not None else "done"
    return (
        f"{value.get('at')} {value.get('space_id')} {value.get('principal')} {value.get('command_type')} "
        f"{value.get('kind')} {value.get('id') or ''} {what}"
    )


def _dead_letter(key: str, _: Fields, record: Record) -> str:
    named = {
        name: codec.header(record.headers, f"dlq-{name}") for name in ("code", "topic", "partition", "offset", "detail")
    }
    return f"{key} {named['code']} from {named['topic']}/{named['partition']}@{named['offset']}: {named['detail']}"


_LINES: Final[dict[str, Callable[[str, Fields, Record], str]]] = {
    "changes": _change,
    "replies": _reply,
    "imports": _import,
    "sizes": _size,
    "activations": _activation,
    "dead-letters": _dead_letter,
    "audit": _audit,
}


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode(errors="replace")


def _value(record: Record) -> object:
    try:
        return codec.decode(record.value or b"null", dict[str, object])
    except codec.Unreadable:
        return {}
