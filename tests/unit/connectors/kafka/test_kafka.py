"""The kafka connector: one event for each identity, where Kafka's own partitioner would put it."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.partitioning import default_partition
from services.connectors.base import Target
from services.connectors.declaration import filled, mistakes
from services.connectors.kafka.definition import DECLARATION, Kafka
from services.connectors.kafka.hashes import hashes
from services.domain.delivery.merge import collapse, cut
from services.runtime.outlets import EventsWrite
from services.runtime.secret import Secret, SecretUnavailable
from tests.unit.domain.delivery.making import delivery

SETTINGS = filled(DECLARATION.settings, {"bootstrap_servers": "kafka:9092", "topic": "audiences"})


def effect(activation_type: str = "audience_membership_changed", **secrets: str) -> EventsWrite:
    said = [
        msgspec.structs.replace(one, activation_type=activation_type)
        for one in (delivery(7, "add", ["u1", 'q"ü\\']), delivery(8, "remove", ["u3"]))
    ]
    (items,) = cut(collapse(said), 100)
    (request,) = Kafka().requests(items, SETTINGS)
    return Kafka().effect(request, Target(SETTINGS, {name: Secret(value) for name, value in secrets.items()}, 0))


def test_each_identity_has_its_event() -> None:
    made = effect()
    events = [json.loads(value) for value in made.values]
    assert [key.decode() for key in made.keys] == [one["userId"] for one in events] == ["u1", 'q"ü\\', "u3"]
    assert [one["context"]["usher"]["sequence"] for one in events] == [7, 7, 8]
    assert [one["traits"] for one in events] == [{"aud_1": True}, {"aud_1": True}, {"aud_1": False}]


@pytest.mark.parametrize("activation_type", ["audience_entered", "audience_exited"])
def test_an_activation_of_one_way_names_the_way(activation_type: str) -> None:
    events = [json.loads(value)["event"] for value in effect(activation_type).values]
    assert events == ["Audience Entered", "Audience Entered", "Audience Exited"]


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=30), st.integers(1, 64))
def test_keys_go_where_kafkas_partitioner_puts_them(keys: list[bytes], partitions: int) -> None:
    assert (hashes(keys) % partitions).tolist() == [default_partition(key, partitions) for key in keys]


def test_a_user_and_a_password_go_together() -> None:
    with pytest.raises(SecretUnavailable):
        effect(username="usher")
    assert effect(username="usher", password="x").cluster.password == Secret("x")
    assert effect().cluster.password is None


@pytest.mark.parametrize("servers", ["", "kafka", "kafka:9092,", "kafka:9092 other:9092", "http://kafka:9092", "a:b"])
def test_brokers_are_named_with_their_ports(servers: str) -> None:
    wrong = mistakes(DECLARATION, settings={"bootstrap_servers": servers, "topic": "t"}, secrets={}, limits={})
    assert [one.field for one in wrong] == ["settings.bootstrap_servers"]
