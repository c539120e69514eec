"""Each defect of an item a row: its code, its good neighbour unaffected, nothing of it in the catalogue."""

import pytest

from contracts import codes
from contracts.codes import Code
from tests.unit.domain.control.bench import PARTITIONS, Bench, codes_of, steps

LIST = {"kind": "list", "id_type": "kuid"}
FEED = {"mode": "replace", "id_type": "kuid"}
EVENTS = {"id_type": "kuid"}
FOR_OBJECTS: list[dict[str, object]] = [
    {"mode": "remove"},
    {"lookback_days": 10},
    {"format": "caret"},
    {"columns": []},
    {"audience_from": "path"},
    {"process_at": "07:00"},
    {"complete_on": {"marker": "_SUCCESS"}},
    {"remove_share_max": 0.5},
]


def source(prefix: str = "new/", **fields: object) -> dict[str, object]:
    """An S3 source."""
    return {"source": {"kind": "s3", "prefix": prefix, **fields}}


def nested(depth: int) -> object:
    """An expression of that many levels."""
    node: object = {"audience": "a"}
    for _ in range(depth - 1):
        node = {"not": node}
    return node


COLUMNS = [{"name": "id", "role": "identifier"}, {"name": "seg", "role": "audience"}]


@pytest.fixture
def world() -> Bench:
    """A space with one of everything."""
    bench = Bench().space()
    bench.made(
        "audiences.create",
        {"id": "aud_a", "name": "a", "external_ids": {"crm": "A"}, **LIST},
        {"id": "aud_b", "name": "b", **LIST},
        {"id": "aud_e", "name": "e", "kind": "list", "id_type": "email_sha256"},
        {"id": "aud_o", "name": "owned", "owner_id": "retailer", **LIST},
        {"id": "aud_c", "name": "c", "expression": {"or": [{"audience": "a"}, {"audience": "b"}]}},
        {"id": "aud_top", "name": "top", "expression": {"not": {"audience": "c"}}},
        {"id": "aud_free", "name": "free", **LIST},
        {"id": "aud_fixed", "name": "fixed", **LIST},
        {"id": "aud_gone", "name": "gone", **LIST},
        {"id": "aud_draft", "name": "draft", "lifecycle_state": "draft", **LIST},
        {"id": "aud_off", "name": "off", **LIST},
    )
    bench.made("audiences.update", {"audience": "off", "lifecycle_state": "inactive"})
    bench.made("audiences.delete", {"id": "aud_gone"})
    bench.made("feeds.create", {"id": "feed_f", "name": "f", **FEED, **source("f/")})
    bench.made(
        "feeds.create",
        {"id": "feed_x", "name": "x", "audience_from": {"audience": "fixed"}, **FEED, **source("x/")},
    )
    topic = {"kind": "topic", "topic": "shop.events"}
    bench.made("feeds.create", {"id": "feed_t", "name": "t", **EVENTS, "source": topic})
    bench.made(
        "destinations.create",
        {"id": "dest_d", "name": "d", "connector": "webhook", "settings": {"url": "https://a.example/"}},
        {"id": "dest_e", "name": "e", "connector": "webhook", "settings": {"url": "https://b.example/"}},
    )
    bench.made("connections.create", {"id": "con_1", "name": "con", "audience": "a", "destination": "d"})
    bench.made("campaigns.create", {"id": "camp_s", "name": "spring"})
    bench.made("activations.create", {"id": "act_1", "name": "act", "connection": "con_1", "campaign_id": "spring"})
    bench.made("activations.create", {"name": "paused", "connection": "con_1"})
    bench.made("activations.pause", {"activation": "paused"})
    return bench


AUDIENCES: list[tuple[str, object, Code]] = [
    ("audiences.create", "text", codes.FIELD_INVALID),
    ("audiences.create", LIST, codes.FIELD_REQUIRED),
    ("audiences.create", {"name": " ", **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "x" * 257, **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "a\tb", **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": None, **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": 5, **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "a", **LIST}, codes.NAME_MUST_BE_UNIQUE),
    ("audiences.create", {"name": " a ", **LIST}, codes.NAME_MUST_BE_UNIQUE),
    ("audiences.create", {"name": "n", "external_ids": {"crm": "A"}, **LIST}, codes.EXTERNAL_ID_TAKEN),
    ("audiences.create", {"name": "n", "id": "aud_a", **LIST}, codes.ID_TAKEN),
    ("audiences.create", {"name": "n", "id": "aud_gone", **LIST}, codes.ID_TAKEN),
    ("audiences.create", {"name": "n", "audience_id": "Aud A", **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "n", "id": "one", "audience_id": "two", **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "n", "kind": "list"}, codes.FIELD_REQUIRED),
    ("audiences.create", {"name": "n", "kind": "list", "id_type": "shoe"}, codes.ID_TYPE_UNKNOWN),
    ("audiences.create", {"name": "n", "kind": "list", "id_type": "email"}, codes.NOT_SUPPORTED_YET),
    ("audiences.create", {"name": "n", "kind": "rule"}, codes.NOT_SUPPORTED_YET),
    ("audiences.create", {"name": "n", "kind": "heap"}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "n", "member_type": "profile", **LIST}, codes.NOT_SUPPORTED_YET),
    ("audiences.create", {"name": "n", "member_type": "goat", **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "n", "description": "x" * 501, **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "n", "labels": ["x"] * 101, **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "n", "enabled": "yes", **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "n", "expression": {"audience": "a"}, **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "n", "kind": "composed"}, codes.FIELD_REQUIRED),
    ("audiences.create", {"name": "n", "evaluation": {"mode": "scheduled"}, **LIST}, codes.FIELD_REQUIRED),
    ("audiences.create", {"name": "n", "evaluation": {"mode": "scheduled", "at": []}, **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "n", "evaluation": {"mode": "scheduled", "at": ["24:00"]}, **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "n", "evaluation": {"mode": "scheduled", "at": ["noon"]}, **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "n", "evaluation": {"mode": "continuous", "at": ["00:00"]}, **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "n", "evaluation": {"mode": "sometimes"}, **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "n", "expression": None}, codes.FIELD_REQUIRED),
    ("audiences.create", {"name": "n", "expression": {}}, codes.EXPRESSION_INVALID),
    ("audiences.create", {"name": "n", "expression": {"audience": "a", "not": {"audience": "b"}}}, codes.EXPRESSION_INVALID),
    ("audiences.create", {"name": "n", "expression": {"xor": [{"audience": "a"}]}}, codes.EXPRESSION_INVALID),
    ("audiences.create", {"name": "n", "expression": {"and": {"audience": "a"}}}, codes.EXPRESSION_INVALID),
    ("audiences.create", {"name": "n", "expression": {"audience": 7}}, codes.EXPRESSION_INVALID),
    ("audiences.create", {"name": "n", "expression": {"and": []}}, codes.EXPRESSION_EMPTY),
    ("audiences.create", {"name": "n", "expression": {"not": {"or": []}}}, codes.EXPRESSION_EMPTY),
    ("audiences.create", {"name": "n", "expression": nested(17)}, codes.EXPRESSION_TOO_DEEP),
    ("audiences.create", {"name": "n", "expression": {"or": [{"audience": "a"}] * 201}}, codes.EXPRESSION_TOO_MANY_LEAVES),
    ("audiences.create", {"name": "n", "expression": {"audience": "nobody"}}, codes.NOT_FOUND),
    ("audiences.create", {"name": "n", "expression": {"audience": "n"}}, codes.NOT_FOUND),
    ("audiences.create", {"name": "n", "expression": {"and": [{"audience": "a"}, {"audience": "e"}]}}, codes.EXPRESSION_MIXED_ID_TYPES),
    ("audiences.create", {"name": "n", "id_type": "maid", "expression": {"audience": "a"}}, codes.EXPRESSION_MIXED_ID_TYPES),
    ("audiences.create", {"name": "n", "expression": {"and": [{"audience": "a"}, {"audience": "owned"}]}}, codes.EXPRESSION_MIXED_OWNERS),
    ("audiences.create", {"name": "n", "owner_id": "other", "expression": {"audience": "owned"}}, codes.EXPRESSION_MIXED_OWNERS),
    ("audiences.create", {"name": "n", "operator": "OR"}, codes.FIELD_REQUIRED),
    ("audiences.create", {"name": "n", "rules": {"segment": ["a"]}}, codes.FIELD_REQUIRED),
    ("audiences.create", {"name": "n", "operator": "OR", "rules": {}}, codes.FIELD_REQUIRED),
    ("audiences.create", {"name": "n", "operator": "NOT", "rules": {"segment": ["a"]}}, codes.EXPRESSION_INVALID),
    ("audiences.create", {"name": "n", "operator": "AND", "rules": {"segment": []}}, codes.EXPRESSION_EMPTY),
    ("audiences.create", {"name": "n", "operator": "AND", "rules": {"segment": [4711]}}, codes.NOT_FOUND),
    ("audiences.create", {"name": "n", "operator": "AND", "rules": {"segment": ["a"]}, "expression": {"audience": "a"}}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "n", "operator": "OR", "rules": {"segment": ["a"]}, "kind": "list", "id_type": "kuid"}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "n", "lifecycle_state": "archived", **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "n", "lifecycle_state": "inactive", **LIST}, codes.LIFECYCLE_REFUSED),
    ("audiences.create", {"name": "n", "expression": {"not": {"audience": "draft"}}}, codes.LIFECYCLE_REFUSED),
    ("audiences.update", {"audience": "draft", "lifecycle_state": "inactive"}, codes.LIFECYCLE_REFUSED),
    ("audiences.update", {"audience": "draft", "lifecycle_state": "archived"}, codes.FIELD_INVALID),
    ("audiences.update", {"audience": "free", "lifecycle_state": "draft"}, codes.LIFECYCLE_REFUSED),
    ("audiences.update", {"audience": "off", "lifecycle_state": "draft"}, codes.LIFECYCLE_REFUSED),
    ("audiences.update", {"audience": "a", "lifecycle_state": "inactive"}, codes.IN_USE),
    ("audiences.update", {"audience": "c", "expression": {"audience": "draft"}}, codes.LIFECYCLE_REFUSED),
    ("audiences.update", {"audience": "a", "external_ids": {"segment_uuid": "other"}}, codes.FIELD_IMMUTABLE),
    ("members.add", {"audience": "off", "identifiers": ["u1"]}, codes.LIFECYCLE_REFUSED),
    ("connections.create", {"audience": "draft", "destination": "d"}, codes.LIFECYCLE_REFUSED),
    ("activations.create", {"name": "n", "audience": "off", "destination": "d"}, codes.LIFECYCLE_REFUSED),
    ("audiences.update", {"name": "n"}, codes.FIELD_REQUIRED),
    ("audiences.update", {"audience_id": "aud_a", "audience": "b", "description": "x"}, codes.REFERENCES_DIFFER),
    ("audiences.delete", {"audience_id": "aud_free", "name": "b"}, codes.REFERENCES_DIFFER),
    ("audiences.delete", {"audience_id": "aud_free", "name": "nobody"}, codes.NOT_FOUND),
    ("audiences.delete", {"segment_uuid": "free"}, codes.NOT_FOUND),
    ("audiences.create", {"name": "n", "operator": "OR", "rules": {"segment": ["a"]}, "segments": ["a"]}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "n", "segments": ["a"]}, codes.FIELD_REQUIRED),
    ("audiences.create", {"name": "\u200b\ufeff \u2060", **LIST}, codes.FIELD_INVALID),
    ("audiences.create", {"name": "n", "category": " ", **LIST}, codes.FIELD_INVALID),
    ("members.add", {"audience": "a", "audience_id": "aud_b", "identifiers": ["u1"]}, codes.REFERENCES_DIFFER),
    ("members.add", {"audience": "a", "operation": "remove", "identifiers": ["u1"]}, codes.FIELD_INVALID),
    ("members.clear", {"audience": "a", "operation": None}, codes.FIELD_INVALID),
    ("audiences.update", {"audience": "nobody", "name": "n"}, codes.NOT_FOUND),
    ("audiences.update", {"audience": "aud_gone", "name": "n"}, codes.NOT_FOUND),
    ("audiences.update", {"audience": "a", "name": "b"}, codes.NAME_MUST_BE_UNIQUE),
    ("audiences.update", {"audience": "b", "external_ids": {"crm": "A"}}, codes.EXTERNAL_ID_TAKEN),
    ("audiences.update", {"audience": "a", "kind": "composed"}, codes.FIELD_IMMUTABLE),
    ("audiences.update", {"audience": "a", "id_type": "maid"}, codes.FIELD_IMMUTABLE),
    ("audiences.update", {"audience": "a", "owner_id": "other"}, codes.FIELD_IMMUTABLE),
    ("audiences.update", {"audience": "a", "member_type": "profile"}, codes.FIELD_IMMUTABLE),
    ("audiences.update", {"audience": "a", "expression": {"audience": "b"}}, codes.FIELD_INVALID),
    ("audiences.update", {"audience": "c", "expression": None}, codes.FIELD_INVALID),
    ("audiences.update", {"audience": "c", "expression": {"audience": "c"}}, codes.EXPRESSION_CYCLE),
    ("audiences.update", {"audience": "c", "expression": {"not": {"audience": "top"}}}, codes.EXPRESSION_CYCLE),
    ("audiences.update", {"audience": "c", "expression": {"audience": "e"}}, codes.EXPRESSION_MIXED_ID_TYPES),
    ("audiences.update", {"audience": "a", "expected_version": 2, "name": "n"}, codes.VERSION_CONFLICT),
    ("audiences.update", {"audience": "c", "evaluation": {"mode": "scheduled", "at": ["00:00"], "timezone": "Europe/Paris"}}, codes.FIELD_INVALID),
    ("audiences.delete", {"audience": "a"}, codes.IN_USE),
    ("audiences.delete", {"id": "aud_c"}, codes.IN_USE),
    ("audiences.delete", {"name": "fixed"}, codes.IN_USE),
    ("audiences.delete", {"name": "nobody"}, codes.NOT_FOUND),
    ("audiences.delete", {"name": "free", "expected_version": 2}, codes.VERSION_CONFLICT),
    ("audiences.snapshot", {"audience": "nobody"}, codes.NOT_FOUND),
    ("members.add", {"audience": "nobody", "identifiers": ["u1"]}, codes.NOT_FOUND),
    ("members.add", {"identifiers": ["u1"]}, codes.FIELD_REQUIRED),
    ("members.add", {"audience": "a"}, codes.FIELD_REQUIRED),
    ("members.add", {"audience": "a", "identifiers": []}, codes.FIELD_REQUIRED),
    ("members.add", {"audience": "a", "identifiers": [1]}, codes.FIELD_INVALID),
    ("members.add", {"audience": "c", "identifiers": ["u1"]}, codes.AUDIENCE_NOT_LIST),
    ("members.add", {"audience": "a", "id_type": "maid", "identifiers": ["u1"]}, codes.ID_TYPE_MISMATCH),
    ("members.add", {"audience": "a", "id_type": "shoe", "identifiers": ["u1"]}, codes.ID_TYPE_UNKNOWN),
    ("members.add", {"audience": "e", "id_type": "email", "identifiers": ["a@b.example"]}, codes.RAW_IDENTIFIERS_REFUSED),
    ("members.add", {"audience": "e", "id_type": "phone", "identifiers": ["+31614123456"]}, codes.ID_TYPE_MISMATCH),
    ("members.remove", {"audience": "e", "identifiers": ["a@b.example", "00"]}, codes.IDENTIFIER_INVALID),
    ("members.clear", {"audience": "c"}, codes.AUDIENCE_NOT_LIST),
    ("clock.advance", {}, codes.FIELD_REQUIRED),
    ("clock.advance", {"to": "tomorrow is"}, codes.FIELD_INVALID),
    ("clock.advance", {"to": "9000-01-01"}, codes.FIELD_INVALID),
    ("clock.advance", {"to": "2025-12-31"}, codes.CLOCK_BACKWARDS),
    ("spaces.update", {"space": "other", "name": "n"}, codes.SPACE_MISMATCH),
    ("spaces.update", {"clock": "system"}, codes.FIELD_IMMUTABLE),
    ("spaces.update", {"quotas": {"feeds": -1}}, codes.FIELD_INVALID),
    ("spaces.update", {"policies": {"raw_identifiers": 1}}, codes.FIELD_INVALID),
    ("spaces.update", {"expected_version": 7}, codes.VERSION_CONFLICT),
    ("spaces.delete", {}, codes.IN_USE),
    ("spaces.delete", {"name": "other"}, codes.NOT_FOUND),
]  # fmt: skip

FEEDS: list[tuple[str, object, Code]] = [
    ("feeds.create", {**FEED, **source()}, codes.FIELD_REQUIRED),
    ("feeds.create", {"name": "n", **FEED}, codes.FIELD_REQUIRED),
    ("feeds.create", {"name": "n", "id_type": "kuid", **source()}, codes.FIELD_REQUIRED),
    ("feeds.create", {"name": "n", "mode": "replace", **source()}, codes.FIELD_REQUIRED),
    ("feeds.create", {"name": "f", **FEED, **source("f/")}, codes.NAME_MUST_BE_UNIQUE),
    ("feeds.create", {"name": "n", **FEED, **source("f/")}, codes.FEED_SOURCE_TAKEN),
    ("feeds.create", {"name": "n", **FEED, "mode": "append", **source()}, codes.LOOKBACK_REQUIRED),
    ("feeds.create", {"name": "n", **FEED, "mode": "append", "lookback_days": 0, **source()}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, "mode": "shuffle", **source()}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, "id_type": "shoe", **source()}, codes.ID_TYPE_UNKNOWN),
    ("feeds.create", {"name": "n", **FEED, "source": {"kind": "topic", "topic": "t"}}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **EVENTS, "source": {"kind": "topic"}}, codes.FIELD_REQUIRED),
    ("feeds.create", {"name": "n", **EVENTS, "source": {"kind": "topic", "topic": "a topic"}}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **EVENTS, "source": {"kind": "topic", "topic": ".."}}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **EVENTS, "source": {"kind": "topic", "topic": "t" * 250}}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **EVENTS, "source": {"kind": "topic", "topic": "usher.replies"}}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **EVENTS, "source": {"kind": "topic", "topic": "__consumer_offsets"}}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **EVENTS, "source": {"kind": "topic", "topic": "t", "prefix": "p/"}}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **EVENTS, "source": {"kind": "topic", "topic": "t", "bucket": "b"}}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source(topic="t")}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **EVENTS, "source": {"kind": "topic", "topic": "shop.events"}}, codes.FEED_SOURCE_TAKEN),
    *(("feeds.create", {"name": "n", **EVENTS, "source": {"kind": "topic", "topic": "t"}, **one}, codes.FIELD_INVALID) for one in FOR_OBJECTS),
    ("feeds.create", {"name": "n", **EVENTS, "source": {"kind": "topic", "topic": "t"}, "audience_from": {"audience": "e"}}, codes.ID_TYPE_MISMATCH),
    ("feeds.update", {"feed": "t", "source": {"kind": "s3", "prefix": "t/"}}, codes.FIELD_IMMUTABLE),
    ("feeds.update", {"feed": "f", "source": {"kind": "topic", "topic": "t"}}, codes.FIELD_IMMUTABLE),
    ("feeds.update", {"feed": "t", "id_type": "maid"}, codes.FIELD_IMMUTABLE),
    ("feeds.update", {"feed": "t", "source": {"kind": "topic", "topic": "usher.x"}}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, "source": {"kind": "ftp"}}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, "source": {"kind": "s3"}}, codes.FIELD_REQUIRED),
    ("feeds.create", {"name": "n", **FEED, "source": {"prefix": "p/"}}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source("/slash/")}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source(bucket=" ")}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source(), "format": "xml"}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source(), "format": "csv"}, codes.FIELD_REQUIRED),
    ("feeds.create", {"name": "n", **FEED, **source(), "columns": COLUMNS}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source(), "format": "csv", "columns": COLUMNS[:1]}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source(), "format": "csv", "columns": COLUMNS[1:]}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source(), "format": "csv", "columns": [COLUMNS[0], {"name": "id", "role": "audience"}]}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source(), "format": "csv", "columns": [*COLUMNS, {"name": "z", "role": "sum"}]}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source(), "format": "csv", "columns": [{**COLUMNS[0], "id_type": "shoe"}, COLUMNS[1]]}, codes.ID_TYPE_UNKNOWN),
    ("feeds.create", {"name": "n", **FEED, **source(), "format": "csv", "columns": COLUMNS, "audience_from": "path"}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source(), "format": "csv", "columns": [{**COLUMNS[0], "id_type": "maid"}, COLUMNS[1]]}, codes.ID_TYPE_MISMATCH),
    ("feeds.create", {"name": "n", **FEED, **source(), "format": "csv", "columns": [*COLUMNS, *({"name": n, "role": "consent"} for n in "xy")]}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source(), "mode": "remove", "format": "csv", "columns": [*COLUMNS, {"name": "x", "role": "consent"}]}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, "id_type": "email", **source()}, codes.RAW_IDENTIFIERS_REFUSED),
    ("feeds.update", {"feed": "f", "id_type": "phone"}, codes.RAW_IDENTIFIERS_REFUSED),
    ("feeds.create", {"name": "n", **FEED, **source(), "audience_from": "moon"}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source(), "audience_from": {"audience": "nobody"}}, codes.NOT_FOUND),
    ("feeds.create", {"name": "n", **FEED, **source(), "audience_from": {"audience": "c"}}, codes.AUDIENCE_NOT_LIST),
    ("feeds.create", {"name": "n", **FEED, **source(), "audience_from": {"audience": "e"}}, codes.ID_TYPE_MISMATCH),
    ("feeds.create", {"name": "n", **FEED, **source(), "complete_on": "marker"}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source(), "complete_on": {"marker": "a/b"}}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source(), "complete_on": {"marker": "_SUCCESS", "timeout_seconds": 0}}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source(), "process_at": "07:30"}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source(), "process_at": "24:00"}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source(), "remove_share_max": 1.5}, codes.FIELD_INVALID),
    ("feeds.create", {"name": "n", **FEED, **source(), "mode": "append", "lookback_days": 1, "remove_share_max": 0.5}, codes.FIELD_INVALID),
    ("feeds.update", {"feed": "nobody"}, codes.NOT_FOUND),
    ("feeds.update", {"feed": "f", "mode": "append"}, codes.LOOKBACK_REQUIRED),
    ("feeds.update", {"feed": "f", **source("x/")}, codes.FEED_SOURCE_TAKEN),
    ("feeds.update", {"feed": "f", "expected_version": 2}, codes.VERSION_CONFLICT),
    ("feeds.update", {"feed": "f", "name": "x"}, codes.NAME_MUST_BE_UNIQUE),
    ("feeds.delete", {"feed": "nobody"}, codes.NOT_FOUND),
]  # fmt: skip

DELIVERIES: list[tuple[str, object, Code]] = [
    ("destinations.create", {"name": "n"}, codes.FIELD_REQUIRED),
    ("destinations.create", {"name": "n", "connector": "pigeon"}, codes.CONNECTOR_UNKNOWN),
    ("destinations.create", {"name": "n", "connector": "webhook"}, codes.FIELD_REQUIRED),
    ("destinations.create", {"name": "d", "connector": "webhook", "settings": {"url": "u"}}, codes.NAME_MUST_BE_UNIQUE),
    ("destinations.create", {"name": "n", "connector": "webhook", "settings": {"url": "u"}, "secrets": {"a": 1}}, codes.FIELD_INVALID),
    ("destinations.create", {"name": "n", "connector": "webhook", "settings": {"url": "u" * 300_000}}, codes.ENTITY_TOO_LARGE),
    ("destinations.update", {"destination": "d", "connector": "pigeon"}, codes.FIELD_IMMUTABLE),
    ("destinations.update", {"destination": "d", "settings": None}, codes.FIELD_REQUIRED),
    ("destinations.delete", {"destination": "d"}, codes.IN_USE),
    ("connections.create", {"audience": "b"}, codes.FIELD_REQUIRED),
    ("connections.create", {"audience": "b", "destination": "nowhere"}, codes.NOT_FOUND),
    ("connections.create", {"audience": "a", "destination": "d"}, codes.CONNECTION_EXISTS),
    ("connections.create", {"audience": "b", "destination": "d", "name": "con"}, codes.NAME_MUST_BE_UNIQUE),
    ("connections.create", {"audience": "b", "destination": "d", "external_audience_id": "x"}, codes.FIELD_IMMUTABLE),
    ("connections.update", {"connection": "con", "audience": "b"}, codes.FIELD_IMMUTABLE),
    ("connections.update", {"connection": "con", "destination": "e"}, codes.FIELD_IMMUTABLE),
    ("connections.create", {"audience": "b", "destination": "d", "destination_id": "dest_e"}, codes.REFERENCES_DIFFER),
    ("connections.update", {"connection": "nobody"}, codes.NOT_FOUND),
    ("connections.delete", {"connection": "con"}, codes.IN_USE),
    ("activations.create", {"name": "n"}, codes.FIELD_REQUIRED),
    ("activations.create", {"name": "n", "connection": "nobody"}, codes.NOT_FOUND),
    ("activations.create", {"name": "act", "connection": "con"}, codes.NAME_MUST_BE_UNIQUE),
    ("activations.create", {"name": "n", "connection": "con", "audience": "b"}, codes.FIELD_IMMUTABLE),
    ("activations.create", {"name": "n", "connection": "con", "activation_type": "sometimes"}, codes.FIELD_INVALID),
    ("activations.create", {"name": "n", "connection": "con", "start_date": "2026-02-30"}, codes.FIELD_INVALID),
    ("activations.create", {"name": "n", "connection": "con", "start_date": "2026-02-02", "end_date": "2026-02-01"}, codes.FIELD_INVALID),
    ("activations.update", {"activation": "act", "destination": "e"}, codes.FIELD_IMMUTABLE),
    ("activations.update", {"activation": "nobody"}, codes.NOT_FOUND),
    ("activations.update", {"activation": "act", "expected_version": 9}, codes.VERSION_CONFLICT),
    ("activations.delete", {"activation": "nobody"}, codes.NOT_FOUND),
    ("activations.pause", {"activation": "nobody"}, codes.NOT_FOUND),
    ("activations.resume", {"activation": "act", "expected_version": 9}, codes.VERSION_CONFLICT),
    ("activations.resync", {"activation": "paused"}, codes.ACTIVATION_NOT_RUNNING),
    ("campaigns.create", {}, codes.FIELD_REQUIRED),
    ("campaigns.create", {"name": "spring"}, codes.NAME_MUST_BE_UNIQUE),
    ("campaigns.create", {"name": "n", "description": "x" * 501}, codes.FIELD_INVALID),
    ("campaigns.update", {"campaign": "nobody"}, codes.NOT_FOUND),
    ("campaigns.update", {"campaign": "spring", "expected_version": 2}, codes.VERSION_CONFLICT),
    ("campaigns.delete", {"campaign": "spring"}, codes.IN_USE),
    ("imports.approve", {"import": "imp"}, codes.IMPORT_NOT_HELD),
    ("imports.approve", {"name": "imp"}, codes.FIELD_REQUIRED),
    ("imports.reject", {"import_id": "imp"}, codes.IMPORT_NOT_HELD),
    ("imports.reject", {"import_id": "imp", "import": "other"}, codes.REFERENCES_DIFFER),
    ("audiences.run", {"audience": "c"}, codes.AUDIENCE_NOT_SCHEDULED),
    ("audiences.run", {"audience": "nobody"}, codes.NOT_FOUND),
    ("identities.erase", {"identifiers": ["u1"]}, codes.NOT_SUPPORTED_YET),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "item", "code"), [*AUDIENCES, *FEEDS, *DELIVERIES])
def test_a_bad_item_fails_with_its_code_and_changes_nothing(world: Bench, type_: str, item: object, code: Code) -> None:
    before, state_before, outs_before = dict(world.catalogue), dict(world.state), len(world.outs)

    reply = world.send(type_, item)

    assert codes_of(reply) == [code.code], reply
    assert (reply.status, reply.counts.items, reply.counts.applied, reply.counts.failed) == ("accepted", 1, 0, 1)
    (error,) = reply.errors
    assert (error.item, error.instance, error.type, error.title) == (0, "@data/0", code.type, code.title)
    assert error.trace_id == reply.trace_id
    assert error.detail
    assert world.catalogue == before
    changed = {key for key in world.state.keys() | state_before.keys() if world.state.get(key) != state_before.get(key)}
    assert {key.split("/")[1] for key in changed} == {"counters", "reply"}
    assert not steps(world.outs[outs_before:], partition=None)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_one_bad_item_leaves_its_good_neighbours_alone(world: Bench, position: int) -> None:
    items: list[object] = [{"name": "n1", **LIST}, {"name": "n2", **LIST}]
    items.insert(position, {"name": "", **LIST})

    reply = world.send("audiences.create", *items)

    assert codes_of(reply) == [codes.FIELD_INVALID.code]
    assert reply.errors[0].item == position
    assert [one["item"] for one in reply.data] == [n for n in range(3) if n != position]
    assert {one["name"] for one in reply.data} == {"n1", "n2"}
    assert (reply.counts.items, reply.counts.applied, reply.counts.failed) == (3, 2, 1)


def test_later_items_see_earlier_ones(world: Bench) -> None:
    reply = world.send(
        "audiences.create",
        {"name": "n1", **LIST},
        {"name": "n1", **LIST},
        {"name": "n2", "expression": {"audience": "n1"}},
    )

    assert codes_of(reply) == [codes.NAME_MUST_BE_UNIQUE.code]
    assert reply.data[1]["expression"] == {"audience": reply.data[0]["audience_id"]}


def test_a_freed_name_is_free_at_once(world: Bench) -> None:
    reply = world.send("audiences.update", {"audience": "a", "name": "z"}, {"audience": "b", "name": "a"})

    assert not reply.errors
    assert world.send("audiences.update", {"audience": "a", "description": "was b"}).data[0]["audience_id"] == "aud_b"


def test_a_delete_refused_goes_through_once_nothing_uses_it(world: Bench) -> None:
    for type_, item in (
        ("activations.delete", {"name": "act"}),
        ("activations.delete", {"name": "paused"}),
        ("connections.delete", {"connection": "con"}),
        ("destinations.delete", {"name": "d"}),
        ("audiences.delete", {"audience": "top"}),
        ("audiences.delete", {"audience": "c"}),
        ("audiences.delete", {"audience": "a"}),
        ("feeds.delete", {"feed": "x"}),
        ("audiences.delete", {"audience": "fixed"}),
    ):
        reply = world.send(type_, item)
        assert not reply.errors, (type_, reply.errors)
        assert reply.data[0]["deleted"] is True
    assert not [key for key in world.catalogue if key.endswith(("/aud_a", "/act_1", "/con_1", "/dest_d"))]


def test_a_definition_goes_to_all_partitions_by_one_step(world: Bench) -> None:
    before = len(world.outs)

    world.made("audiences.create", {"name": "n", **LIST})

    written = steps(world.outs[before:], partition=None)
    assert len(written) == PARTITIONS
    assert len({one.step for one in written}) == 1
