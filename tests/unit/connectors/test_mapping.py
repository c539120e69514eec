"""Mappings: each directive as a table of facts, and each mistake with its path."""

import pytest

from contracts import codes
from services.connectors.mapping import compiled
from services.connectors.mapping_check import mapping_mistakes, unmappable
from services.connectors.registry import CONNECTORS
from tests.unit.connectors.mapping_facts import EVENT, FACTS, MISTAKES, encoded, sent_whole
from tests.unit.domain.delivery.making import activation, delivery

KAFKA = CONNECTORS["kafka"].declaration


def said(mapping: object) -> list[tuple[str, str]]:
    from_command = sent_whole(activation(), {"action_id": "send", "settings": {"payload": mapping}})
    return [(one.field, one.code.code) for one in mapping_mistakes(KAFKA, from_command)]


@pytest.mark.parametrize(("mapping", "value"), FACTS)
def test_what_a_mapping_makes(mapping: object, value: object) -> None:
    found = compiled(encoded({"it": mapping}))
    assert found.wrong == ()
    assert found.resolve(EVENT) == value


@pytest.mark.parametrize(("mapping", "path"), MISTAKES)
def test_each_mistake_has_its_path(mapping: object, path: str) -> None:
    assert (f"destination_mapping.settings.payload{path}", "mapping-invalid") in said(mapping)


def test_all_mistakes_are_told_at_once() -> None:
    found = said({"a": {"@path": 7}, "b": [{"@case": {"operator": "title", "value": ""}}]})
    assert [path.removeprefix("destination_mapping.settings.payload") for path, _ in found] == [
        ".a.@path",
        ".b[0].@case.operator",
    ]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"settings": {}}, ".action_id"),
        ({"action_id": "sync"}, ".action_id"),
        ({"action_id": "send", "settings": []}, ".settings"),
        ({"action_id": "send", "settings": {"url": "x"}}, ".settings.url"),
        ({"action_id": "send", "trigger": 1}, ".trigger"),
    ],
)
def test_what_is_no_mapping_is_refused(given: dict[str, object], path: str) -> None:
    (found,) = mapping_mistakes(KAFKA, sent_whole(activation(), given))
    assert (found.field, found.code) == (f"destination_mapping{path}", codes.MAPPING_INVALID)


def test_a_connector_without_fields_takes_none() -> None:
    given = sent_whole(activation(), {"action_id": "send"})
    for slug, connector in CONNECTORS.items():
        found = [one.code for one in mapping_mistakes(connector.declaration, given)]
        assert found == ([] if connector.declaration.mapping else [codes.MAPPING_UNAVAILABLE]), slug
        assert mapping_mistakes(connector.declaration, activation()) == []


def test_a_delivery_that_cannot_be_mapped_is_told_from_one_that_can() -> None:
    plain = delivery(1, "add", ["a"])
    good, bad = (sent_whole(plain, {"payload": one}, "mapping") for one in ({"@path": "$."}, {"@path": 7}))
    assert [unmappable(KAFKA, one) is None for one in (plain, good, bad)] == [True, True, False]
    assert unmappable(CONNECTORS["postgres"].declaration, good) is not None
