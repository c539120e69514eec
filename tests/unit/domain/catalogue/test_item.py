"""The form of an item: unknown fields are named, absent and null differ, versions count."""

import re

import msgspec
import pytest

from contracts import codes
from contracts.messages.commands import ITEM_TYPES, NOT_SUPPORTED_YET, AudienceUpdate
from contracts.messages.feed_commands import FeedCreate
from contracts.messages.fields import Item
from contracts.messages.patterns import IN_WORDS
from services.domain.catalogue.failed import ItemFailed
from services.domain.catalogue.item_form import decode_item, ignored_fields
from tests.unit.domain.control.bench import Bench

UNKNOWN = [
    (FeedCreate, {"name": "f", "source": {"kind": "s3", "prefix": "p/"}}, None),
    (FeedCreate, {"nme": "f"}, "ignored: 'nme'"),
    (FeedCreate, {"source": {"kind": "s3", "prefixx": "p/"}}, "ignored: 'source.prefixx'"),
    (FeedCreate, {"version": 3, "nme": "f"}, "ignored: 'version'; ignored: 'nme'"),
    (FeedCreate, {"columns": [{"name": "a", "role": "ignore"}, {"name": "b", "role": "ignore", "type": 1}]}, "ignored: 'columns[1].type'"),
    (FeedCreate, {"audience_from": {"audience": "a", "b": 1}}, "ignored: 'audience_from.b'"),
    (AudienceUpdate, {"expression": {"anything": {"goes": 1}}}, None),
    (AudienceUpdate, {"x" * 90: 1}, f"ignored: '{'x' * 64}…'"),
    (AudienceUpdate, {f"f{n:02}": 1 for n in range(12)}, "ignored: " + ", ".join(f"'f{n:02}'" for n in range(10)) + " and 2 more"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "raw", "warning"), UNKNOWN)
def test_unknown_fields_are_named(kind: type[Item], raw: dict[str, object], warning: str | None) -> None:
    ignored = list(ignored_fields(raw, decode_item(raw, kind)))

    assert ("; ".join(detail for _, detail in ignored) or None) == warning
    assert {code for code, _ in ignored} <= {codes.FIELD_READ_ONLY, codes.UNKNOWN_FIELD}


@pytest.mark.parametrize(
    ("type_", "item", "detail"),
    [
        ("audiences.create", {"name": " "},
         "Expected `str` with a visible character and without control characters - at `$.name`"),
        ("audiences.create", {"evaluation": {"at": ["noon"]}},
         "Expected `str` that is a time of the day, 00:00 to 23:59 - at `$.evaluation.at[0]`"),
        ("feeds.create", {"process_at": "7"},
         "Expected `str` that is an hour of the day, 00:00 to 23:00 - at `$.process_at`"),
        ("audiences.search", {"sort": "size"},
         "Expected `str` that is one of id, name, created_at, updated_at, with or without a - before it - at `$.sort`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_words(type_: str, item: dict[str, object], detail: str) -> None:
    with pytest.raises(ItemFailed) as failed:
        decode_item(item, ITEM_TYPES[type_])

    assert (failed.value.code, failed.value.detail) == (codes.FIELD_INVALID, detail)


def test_every_pattern_has_its_words() -> None:
    text = repr(msgspec.json.schema_components(list(ITEM_TYPES.values()), schema_hook=lambda _: {"type": "object"}))

    assert set(re.findall(r"'pattern': ('[^']*')", text)) <= set(map(repr, IN_WORDS))


def test_an_item_with_an_unknown_field_takes_effect() -> None:
    bench = Bench().space()

    reply = bench.send("audiences.create", {"name": "a", "id_type": "kuid", "colour": "red"}, extra=1)

    assert reply.counts.applied == 1
    assert [(one.item, one.code, one.detail) for one in reply.warnings] == [
        (None, "unknown-field", "ignored: extra"),
        (0, "unknown-field", "ignored: 'colour'"),
    ]


NULLABLE = {
    "description": "d", "category": "c", "sub_category": "s", "type": "t", "folder_id": "f",
    "labels": ["l"], "external_ids": {"crm": "1"},
}  # fmt: skip


@pytest.mark.parametrize("field", NULLABLE)
def test_absent_is_unchanged_and_null_clears(field: str) -> None:
    bench = Bench().space()
    (id_,) = bench.made("audiences.create", {"name": "a", "id_type": "kuid", **NULLABLE})
    empty = type(NULLABLE[field])() if not isinstance(NULLABLE[field], str) else None

    unchanged = bench.send("audiences.update", {"audience": "a", "expected_version": 1}).data[0]
    cleared = bench.send("audiences.update", {"audience_id": id_, "expected_version": 2, field: None}).data[0]

    made: dict[str, str] = dict(unchanged["external_ids"])  # type: ignore[call-overload]  # JSON
    assert made.pop("crm") == "1"
    kept = {"external_ids": {"crm": "1", **made}}
    assert {name: unchanged[name] for name in NULLABLE} == NULLABLE | kept
    assert {name: cleared[name] for name in NULLABLE} == NULLABLE | kept | {
        field: made if field == "external_ids" else empty
    }
    assert (unchanged["version"], cleared["version"]) == (2, 3)


@pytest.mark.parametrize("field", ["id", "audience_id", "audience"])
@pytest.mark.parametrize("reference", ["aud_1", "CRM-7", "a"])
def test_an_update_finds_its_audience_by_id_external_id_or_name(field: str, reference: str) -> None:
    bench = Bench().space()
    bench.made("audiences.create", {"id": "aud_1", "name": "a", "id_type": "kuid", "external_ids": {"crm": "CRM-7"}})

    reply = bench.send("audiences.update", {field: reference, "name": "b"})

    assert reply.data[0]["audience_id"] == "aud_1"
    assert reply.data[0]["name"] == "b"


def test_a_type_is_built_or_announced_not_both() -> None:
    assert not ITEM_TYPES.keys() & NOT_SUPPORTED_YET
