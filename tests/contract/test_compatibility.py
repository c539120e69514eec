"""No schema breaks whoever stands by the last released one (contracts/README.md, the reading rule).

What usher publishes may only become narrower, what it reads only wider, by jsoncompat's judgement. `contracts/released`
holds the schemas of the last release; `python -m contracts.documents release` makes them those of today.
"""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import jsoncompat
import pytest

from contracts.catalog import topic_pages
from contracts.documents import FOLDER

Schema = dict[str, Any]

RELEASED = {path.name.removesuffix(".v1.json"): json.loads(path.read_text())
            for path in sorted((FOLDER / "released").glob("*.v1.json"))}  # fmt: skip
USERS_SEND = {"command", "stream_event", "object_notification"}
USERS_READ = {
    message
    for page in topic_pages().values()
    if page.public and "users" in page.readers
    for message in (page.message, *page.also)
} - USERS_SEND


def present(message: str) -> Schema:
    schema: Schema = json.loads((FOLDER / "schemas" / f"{message}.v1.json").read_text())
    return schema


def parts(message: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    """A schema by itself; of commands the envelope, and the items of each type: jsoncompat judges no conditions."""
    definitions = {"$defs": schema.get("$defs", {})}
    yield message, {name: value for name, value in schema.items() if name not in ("$id", "allOf")}
    for form in schema.get("allOf", ()):
        items = form["then"]["properties"]["data"]["properties"]["items"]["items"]
        yield form["if"]["properties"]["type"]["const"], items | definitions


def closed(schema: Any) -> Any:
    """As if no unknown field were ever sent: else every new field would be a new meaning of one that was ignored."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(value) for name, value in schema.items()}
    if "properties" in found:
        found.setdefault("additionalProperties", False)
    return found


def broken(message: str, old: Schema, new: Schema) -> list[str]:
    """The parts of the message that could not take the place of the old ones."""
    now = dict(parts(message, new))
    found: list[str] = []
    for name, before in parts(message, old):
        if name not in now:
            found.append(f"{name} is gone")
        elif message in USERS_READ:
            if not jsoncompat.check_compat(json.dumps(before), json.dumps(now[name]), "serializer"):
                found.append(f"{name} would surprise its readers")
        elif not jsoncompat.check_compat(json.dumps(closed(before)), json.dumps(now[name]), "deserializer"):
            found.append(f"{name} would refuse what was sent before")
    return found


def test_all_that_users_touch_was_released() -> None:
    assert set(RELEASED) == USERS_SEND | USERS_READ


@pytest.mark.parametrize("message", RELEASED)
def test_nobody_who_stands_by_the_released_schema_is_broken(message: str) -> None:
    assert broken(message, RELEASED[message], present(message)) == []


def _new_field(schema: Schema, definition: str | None) -> Schema:
    target = schema["$defs"][definition] if definition else schema
    target["properties"]["tomorrow"] = {"type": "string"}
    return target


def _optional(schema: Schema, definition: str | None) -> None:
    _new_field(schema, definition)


def _required(schema: Schema, definition: str | None) -> None:
    _new_field(schema, definition).setdefault("required", []).append("tomorrow")


def _gone(schema: Schema, definition: str | None) -> None:
    target = schema["$defs"][definition] if definition else schema
    target["required"].remove("step")


def _retyped(schema: Schema, definition: str | None) -> None:
    target = schema["$defs"][definition] if definition else schema
    target["properties"]["members" if "members" in target["properties"] else "description"] = {"type": "integer"}


@pytest.mark.parametrize(
    ("message", "definition", "spoil", "breaks"),
    [
        ("change", None, _optional, False),
        ("change", None, _required, False),
        ("change", None, _gone, True),
        ("change", None, _retyped, True),
        ("command", "AudienceCreate", _optional, False),
        ("command", "AudienceCreate", _required, True),
        ("command", "AudienceCreate", _retyped, True),
    ],
)
def test_the_gate_tells_a_broken_promise_from_a_kept_one(
    message: str, definition: str | None, spoil: Callable[[Schema, str | None], None], *, breaks: bool
) -> None:
    new = copy.deepcopy(present(message))
    spoil(new, definition)
    assert bool(broken(message, present(message), new)) is breaks
