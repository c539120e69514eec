"""The events of single identities: vectors of their shape, and that making many at once makes the same."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.messages.delivery import Delivery
from services.connectors.events import event, payload, payloads
from services.connectors.mapping import compiled
from services.domain.delivery.merge import Item
from tests.unit.connectors.mapping_facts import encoded
from tests.unit.domain.delivery.making import delivery

ENTERED: dict[str, Any] = {
    "type": "track",
    "event": "Audience Entered",
    "userId": "u1",
    "messageId": "acme.7.0.41.act_1.u1",
    "timestamp": "2026-01-02T00:00:00.000Z",
    "properties": {"audience_key": "aud_1", "aud_1": True},
    "context": {
        "personas": {
            "computation_class": "audience",
            "computation_id": "aud_1",
            "computation_key": "aud_1",
            "namespace": "acme",
            "space_id": "acme",
            "event_emitter_id": "act_1",
        },
        "externalIds": [{"id": "u1", "type": "kuid", "collection": "users", "encoding": "none"}],
        "usher": {"entered": True, "sequence": 41, "delivery_id": "acme.7.0.41.act_1", "resync": False},
    },
    "integrations": {"All": False, "des_1": True},
}


def said(activation_type: str, operation: str = "add", **more: Any) -> Delivery:
    return msgspec.structs.replace(delivery(41, operation, ["u1"]), activation_type=activation_type, **more)


def made(one: Delivery) -> list[Any]:
    return [json.loads(text) for text in payloads(Item(0, one.delivery_id, one, one.members))]


def test_an_entry_is_the_track_event_of_engage() -> None:
    assert made(said("audience_entered")) == [ENTERED]


def test_an_exit_says_false() -> None:
    (found,) = made(said("audience_exited", "remove"))
    assert found["event"] == "Audience Exited"
    assert found["properties"] == {"audience_key": "aud_1", "aud_1": False}
    assert found["context"]["usher"]["entered"] is False


@pytest.mark.parametrize(("operation", "entered"), [("add", True), ("remove", False)])
def test_a_membership_that_changed_is_an_identify_event(operation: str, entered: bool) -> None:
    (found,) = made(said("audience_membership_changed", operation))
    assert (found["type"], found["event"]) == ("identify", "Audience Membership Changed")
    assert found["traits"] == {"aud_1": entered}
    assert "properties" not in found


def test_an_address_stands_where_engage_has_it() -> None:
    (track,) = made(said("audience_entered", id_type="email", members=["a@b.c"]))
    (identify,) = made(said("audience_membership_changed", id_type="email", members=["a@b.c"]))
    assert track["context"]["traits"] == {"email": "a@b.c"}
    assert identify["traits"] == {"aud_1": True, "email": "a@b.c"}


def test_a_mapping_makes_what_it_says() -> None:
    mapping = {
        "payload": {
            "user": {"@case": {"operator": "upper", "value": {"@path": "$.userId"}}},
            "in": {"@if": {"exists": {"@path": "$.properties"}, "then": {"@path": "$.properties.aud_1"}}},
            "list": "vip",
        }
    }
    assert made(said("audience_entered", mapping=mapping)) == [{"user": "U1", "in": True, "list": "vip"}]
    assert made(said("audience_entered", mapping={})) == [ENTERED]


MAPPINGS = [
    {"@path": "$."},
    {"@path": "$.userId"},
    {"@template": "<{{userId}}|{{context.externalIds[0].id}}|{{messageId}}>"},
    {"@literal": 'no "identity"'},
    {"@arrayPath": ["$.context.externalIds", {"of": {"@path": "id"}}]},
    {"@flatten": {"value": {"@path": "$."}, "separator": "."}},
    {"@json": {"mode": "encode", "value": {"@path": "$."}}},
    {"@replace": {"value": {"@path": "$.userId"}, "pattern": "e", "replacement": '"'}},
    {"@json": {"mode": "decode", "value": {"@path": "$.userId"}}},
]


@given(st.lists(st.text(min_size=1).filter(lambda text: text.isprintable()), min_size=1), st.sampled_from(MAPPINGS))
def test_many_at_once_are_each_as_if_alone(members: list[str], mapping: object) -> None:
    one = said("audience_entered", members=members, mapping={"payload": mapping})
    naively = [payload(compiled(encoded(mapping)), one, member) for member in members]
    assert payloads(Item(0, "x", one, members)) == naively


def test_what_a_mapping_takes_from_is_the_event_that_is_sent_whole() -> None:
    assert event(said("audience_entered"), "u1") == ENTERED
