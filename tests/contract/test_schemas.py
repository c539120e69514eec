"""Laws over the schemas: made from the types, no more and no fewer than the pages name, open where readers must be."""

import importlib
import pkgutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from contracts import messages
from contracts.catalog import TopicPage, topic_pages
from contracts.documents import FOLDER, MESSAGES, documents, schema_of
from contracts.messages.published import Size
from contracts.messages.steps import StepBase, TickStep
from tests.contract.test_topics import page

# All that may have an enum (contracts.md §1, open and closed values); the rest are open strings.
CLOSED = {"change", "mode", "op", "operation", "specversion", "status"}
TAGS = {"ce_type", "kind_of_entity", "type"}  # of one value each: they tell the members of a union apart
NOT_ON_THE_WIRE = ["RowsHeader", "StreamRowsHeader"]  # what is made of the headers, which RowsHeaders describes
CLOSED_BY_MESSAGE = {"step": {"marker"}}  # inside usher, where a reader must obey every step


def outdated(made: Mapping[Path, str], folder: Path) -> list[str]:
    """The made documents that differ from what is committed, and committed schemas that nothing makes."""
    stale = [
        f"{path} differs: run python -m contracts.documents"
        for path, text in made.items()
        if not (folder / path).is_file() or (folder / path).read_text() != text
    ]
    orphans = {path.relative_to(folder) for path in (folder / "schemas").iterdir()} - made.keys()
    return stale + [f"{path} is made from no type" for path in sorted(orphans)]


def orphans(messages: Collection[str], pages: Mapping[str, TopicPage]) -> list[str]:
    """Messages that no page names, and names on pages that are no message."""
    named = {one for page in pages.values() for one in (page.message, *page.also)}
    return [f"{one} is on no topic" for one in sorted({*messages} - named)] + [
        f"a page names {one}, which has no type" for one in sorted(named - {*messages})
    ]


def without_schema(types: Collection[type[msgspec.Struct]], schemas: Collection[dict[str, Any]]) -> list[str]:
    """Types that stand in no schema, neither themselves nor as what others are made of."""
    described = {node.get("title") for schema in schemas for _, node in nodes(schema)}
    bases = {base for one in types if one.__name__ in described for base in one.__mro__}
    return sorted(one.__name__ for one in types if one.__name__ not in described and one not in bases)


def nodes(schema: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a schema with the name of the property that it describes."""
    match schema:
        case dict():
            yield name, schema
            for key, inner in schema.items():
                if key == "properties":
                    for field, described in inner.items():
                        yield from nodes(described, field)
                elif key not in ("default", "const", "enum"):
                    yield from nodes(inner, name if key in ("anyOf", "items") else "")
        case list():
            for one in schema:
                yield from nodes(one, name)


def closed_too_much(message: str, schema: dict[str, Any]) -> list[str]:
    """Enums on open strings, and objects that refuse what they don't know."""
    found = []
    closed = CLOSED | CLOSED_BY_MESSAGE.get(message, set())
    for name, node in nodes(schema):
        values = node.get("enum", [])
        if values and name not in closed and not (name in TAGS and len(values) == 1):
            found.append(f"{message}: {name} is an open string")
        if node.get("additionalProperties") is False or "unevaluatedProperties" in node:
            found.append(f"{message}: {node.get('title', name)} refuses unknown fields")
    return found


def test_committed_documents_are_those_of_the_types() -> None:
    assert outdated(documents(), FOLDER) == []


def test_every_message_is_on_a_topic_and_every_topic_has_messages() -> None:
    assert orphans(MESSAGES, topic_pages()) == []


def test_every_message_type_is_in_a_schema() -> None:
    modules = [
        importlib.import_module(f"{messages.__name__}.{one.name}") for one in pkgutil.iter_modules(messages.__path__)
    ]
    types = {
        one
        for module in modules
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, msgspec.Struct) and one.__module__ == module.__name__
    }
    assert len(types) > 50
    assert without_schema(types, [schema_of(message) for message in MESSAGES]) == NOT_ON_THE_WIRE


@pytest.mark.parametrize("message", MESSAGES)
def test_schema_is_a_schema_and_open(message: str) -> None:
    schema = schema_of(message)
    assert jsonschema_rs.meta.is_valid(schema)
    jsonschema_rs.Draft202012Validator(schema)  # every $ref leads somewhere
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["$id"] == f"urn:usher:{message}.v1"
    assert closed_too_much(message, schema) == []


class TestTheLawsReject:
    def test_an_outdated_document_and_an_orphan_schema(self, tmp_path: Path) -> None:
        (tmp_path / "schemas").mkdir()
        (tmp_path / "schemas" / "change.v1.json").write_text("{}")
        (tmp_path / "schemas" / "weather.v1.json").write_text("{}")
        made = {Path("schemas/change.v1.json"): "{ }", Path("asyncapi.yaml"): ""}
        assert outdated(made, tmp_path) == [
            "schemas/change.v1.json differs: run python -m contracts.documents",
            "asyncapi.yaml differs: run python -m contracts.documents",
            "schemas/weather.v1.json is made from no type",
        ]

    def test_a_type_without_a_schema_but_not_a_base(self) -> None:
        assert without_schema([Size, StepBase, TickStep], [{"$defs": {"TickStep": {"title": "TickStep"}}}]) == ["Size"]

    def test_a_message_without_a_topic_and_a_topic_without_its_message(self) -> None:
        pages = {"sizes.v1": page(message="size", also=["weather"])}
        assert orphans({"size", "change"}, pages) == [
            "change is on no topic",
            "a page names weather, which has no type",
        ]

    @pytest.mark.parametrize(
        "schema",
        [
            {"properties": {"kind": {"enum": ["list", "composed"]}}},
            {"properties": {"kind": {"enum": ["list"]}}},
            {"properties": {"type": {"enum": ["a", "b"]}}},
            {"properties": {"states": {"items": {"enum": ["a"]}}}},
            {"properties": {"marker": {"anyOf": [{"enum": ["started"]}, {"type": "null"}]}}},
            {"$defs": {"Cause": {"properties": {"kind": {"enum": ["import"]}}}}},
            {"additionalProperties": False},
            {"$defs": {"Cause": {"additionalProperties": False}}},
            {"unevaluatedProperties": False},
        ],
    )
    def test_a_schema_that_closes_what_is_open(self, schema: dict[str, Any]) -> None:
        assert len(closed_too_much("change", schema)) == 1

    def test_but_not_a_tag_or_a_closed_field(self) -> None:
        schema = {"properties": {"type": {"enum": ["tick"]}, "mode": {"enum": ["append", "replace"]}}}
        assert closed_too_much("step", schema) == []
