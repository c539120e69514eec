"""Every example is judged by the schema and by the type, and they agree; also about examples with one thing changed."""

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from contracts.codes import IN_USE
from contracts.documents import FOLDER, MESSAGES, schema_of
from contracts.messages.commands import ITEM_TYPES
from contracts.messages.envelope import Command
from contracts.messages.steps import RowsHeader, StreamRowsHeader
from contracts.object_events import Unreadable, read_notification
from contracts.records import Record
from services.domain.rows.headers import write_rows_header, write_stream_header
from services.runtime.dead_letters import dead_letter, dead_letter_of_message

EXAMPLES = FOLDER / "examples"
NOT_BY_MESSAGE = {"object_notifications", "partitioning.json"}  # the stores' own bodies, and the vectors of a function

ODD_VALUES: list[Any] = [None, True, -1, 0, 0.5, 2**63, "", " ", "AAAA", "a\n", "2026-01-05", [], {}, [None], {"x": 1}]


def lacks_examples(examples: Path, messages: set[str], *, besides: set[str]) -> list[str]:
    """Messages of fewer than two accepted and three refused examples, and what belongs to no message."""
    found = [f"{path.name} is of no message" for path in examples.iterdir() if path.name not in messages | besides]
    for message in sorted(messages):
        found += [
            f"{message} has fewer than {least} examples to {side}"
            for side, least in (("accept", 2), ("reject", 3))
            if len(list((examples / message / side).glob("*.json"))) < least
        ]
        found += [
            f"{path.relative_to(examples)} is neither accepted nor refused"
            for path in (examples / message).rglob("*")
            if path.is_file() and (path.parent.name not in ("accept", "reject") or path.suffix != ".json")
        ]
    return found


@cache
def validator(message: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema_of(message))


def accepted_by_type(message: str, value: Any) -> bool:
    """A command with its items, which control judges one by one."""
    try:
        read = msgspec.json.decode(msgspec.json.encode(value), type=MESSAGES[message])
        if isinstance(read, Command):
            for item in read.data.items:
                msgspec.convert(item, ITEM_TYPES.get(read.type, dict[str, object]))
    except msgspec.ValidationError:
        return False
    return True


def verdicts(message: str, value: Any) -> tuple[bool, bool]:
    """(by the schema, by the type)."""
    return validator(message).is_valid(value), accepted_by_type(message, value)


def changed(value: Any) -> Iterator[tuple[str, Any]]:
    """`value` with one thing changed, for every thing in it: another value, a member less, a member more.

    But for the tag of an inner entity, which every writer writes, and msgspec misses only where it must choose.
    """
    for path in paths(value):
        for odd in ODD_VALUES:
            yield f"{path} = {odd!r}", replaced(value, path, odd)
        if path and isinstance(path[-1], str) and path[1:] != ("kind_of_entity",):
            yield f"without {path}", replaced(value, path, _NOTHING)
        if isinstance(at(value, path), dict):
            yield f"{path} and more", replaced(value, (*path, "unknown-member"), {"x": [1]})


def paths(value: Any) -> Iterator[tuple[str | int, ...]]:
    yield ()
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from ((key, *rest) for rest in paths(one))


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def replaced(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    if not path:
        return new
    whole = copy.deepcopy(value)
    if new is _NOTHING:
        del at(whole, path[:-1])[path[-1]]
    else:
        at(whole, path[:-1])[path[-1]] = new
    return whole


_NOTHING = object()
FILES = sorted(path for message in MESSAGES for path in (EXAMPLES / message).rglob("*.json"))


def test_every_message_has_examples_and_every_example_a_message() -> None:
    assert lacks_examples(EXAMPLES, set(MESSAGES), besides=NOT_BY_MESSAGE) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_schema_and_type_judge_an_example_as_its_folder_says(path: Path) -> None:
    expected = path.parent.name == "accept"
    assert verdicts(path.parent.parent.name, json.loads(path.read_text())) == (expected, expected)


@pytest.mark.parametrize("message", MESSAGES)
def test_schema_and_type_agree_about_examples_with_one_thing_changed(message: str) -> None:
    disagreements = [
        f"{path.name}: {what}"
        for path in (EXAMPLES / message / "accept").glob("*.json")
        for what, value in changed(json.loads(path.read_text()))
        if len(set(verdicts(message, value))) > 1
    ]
    assert disagreements == []


def test_the_corpus_of_notifications_is_within_its_schema() -> None:
    outside = [
        path.name
        for path in (EXAMPLES / "object_notifications").iterdir()
        if not validator("object_notification").is_valid(json.loads(path.read_text()))
    ]
    assert outside == []


def test_a_notification_outside_its_schema_is_refused_when_read() -> None:
    for path in (EXAMPLES / "object_notification" / "reject").iterdir():
        assert {type(result) for result in read_notification(path.read_bytes())} == {Unreadable}


def test_the_headers_that_services_write_are_within_their_schema() -> None:
    record = Record("a.v1", 0, 12, 0, b"key", b"value", (("ce_id", b"c-1"),))
    letter = dead_letter(record, IN_USE, "detail", service="control")
    other = dead_letter_of_message(b"", IN_USE, "", source="url", message_id="m", service="intake", attempts=5)
    rows = RowsHeader(space_id="acme", import_id="imp_7", reading_id="rd_1", sequence=0, id_type="kuid")
    events = StreamRowsHeader(
        space_id="acme", feed_id="fed_1", topic="t", partition=0, first_offset=0, last_offset=9, id_type="kuid", at_ms=0
    )
    for message, headers in (
        ("dead_letter", letter.headers),
        ("dead_letter", other.headers),
        ("rows", write_rows_header(rows)),
        ("stream_rows", write_stream_header(events)),
    ):
        assert verdicts(message, {name: text.decode() for name, text in headers}) == (True, True)


class TestTheLawsReject:
    def test_too_few_examples_and_orphans(self, tmp_path: Path) -> None:
        for name in ("size/accept/a.json", "size/reject/b.json", "weather/accept/c.json", "size/notes.txt"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("{}")
        assert lacks_examples(tmp_path, {"size"}, besides={"others"}) == [
            "weather is of no message",
            "size has fewer than 2 examples to accept",
            "size has fewer than 3 examples to reject",
            "size/notes.txt is neither accepted nor refused",
        ]

    def test_a_schema_that_has_drifted_from_its_type(self) -> None:
        drifted = schema_of("size")
        drifted["properties"]["size"] = {"type": "number"}
        size = json.loads((EXAMPLES / "size" / "accept" / "of-one-partition.json").read_text())
        differ = [
            what
            for what, value in changed(size)
            if jsonschema_rs.is_valid(drifted, value) != accepted_by_type("size", value)
        ]
        assert differ == ["('size',) = 0.5"]
