"""Audiences: the three ids of the Audience Studio API, lifecycle, deletion, and compositions said with an operator."""

import re

import pytest

from contracts import catalog, codec, codes
from contracts.messages.delivery import Delivered
from tests.unit.domain.control.bench import SPACE, Bench, codes_of

LIST = {"kind": "list", "id_type": "kuid"}


@pytest.fixture
def bench() -> Bench:
    return Bench().space()


def ids_of(bench: Bench, *items: object) -> list[dict[str, str]]:
    reply = bench.send("audiences.create", *items)
    assert not reply.errors, reply.errors
    return [one["external_ids"] for one in reply.data]  # type: ignore[misc]  # JSON


class TestThreeIds:
    def test_their_forms(self, bench: Bench) -> None:
        (ids,) = ids_of(bench, {"name": "a", **LIST})

        assert 1 <= int(ids["id"]) < 1 << 53
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]{7}", ids["segment_uuid"])
        assert re.fullmatch(r"[a-z][a-z0-9]{8}", ids["segment_uuid_long"])

    def test_are_a_function_of_space_command_and_item(self, bench: Bench) -> None:
        items = [{"name": "a", **LIST}, {"name": "b", **LIST}]
        reply = bench.send("audiences.create", *items, id_="same")
        again = Bench().space().send("audiences.create", *items, id_="same")

        assert [one["external_ids"] for one in reply.data] == [one["external_ids"] for one in again.data]
        assert len({value for one in reply.data for value in one["external_ids"].values()}) == 6  # type: ignore[attr-defined]  # JSON

    @pytest.mark.parametrize("name", ["id", "segment_uuid", "segment_uuid_long"])
    def test_stand_wherever_a_reference_does(self, bench: Bench, name: str) -> None:
        (ids,) = ids_of(bench, {"name": "a", **LIST})

        assert not bench.send("members.add", {"audience": ids[name], "identifiers": ["u1"]}).errors
        assert not bench.send("audiences.create", {"name": "b", "expression": {"not": {"audience": ids[name]}}}).errors
        assert codes_of(bench.send("audiences.delete", {"audience": ids[name]})) == [codes.IN_USE.code]

    @pytest.mark.parametrize("name", ["segment_uuid", "segment_uuid_long"])
    def test_delete_by_their_own_name_as_that_api_does(self, bench: Bench, name: str) -> None:
        (ids,) = ids_of(bench, {"name": "a", **LIST})

        reply = bench.send("audiences.delete", {name: ids[name]})

        assert (reply.errors, reply.warnings, reply.data[0]["deleted"]) == ([], [], True)

    def test_those_that_are_brought_are_kept_and_the_others_made(self, bench: Bench) -> None:
        (ids,) = ids_of(bench, {"name": "a", "external_ids": {"segment_uuid_long": "n21l7tjtr", "crm": "7"}, **LIST})

        assert (ids["segment_uuid_long"], ids["crm"]) == ("n21l7tjtr", "7")
        assert set(ids) == {"id", "segment_uuid", "segment_uuid_long", "crm"}

    def test_outlive_updates_of_the_others(self, bench: Bench) -> None:
        (ids,) = ids_of(bench, {"name": "a", "external_ids": {"crm": "7"}, **LIST})

        updated = bench.send("audiences.update", {"audience": "a", "external_ids": {"erp": "8"}}).data[0]

        assert updated["external_ids"] == {name: ids[name] for name in ids if name != "crm"} | {"erp": "8"}

    def test_one_that_means_something_already_is_made_anew(self, bench: Bench) -> None:
        (first,) = ids_of(Bench().space(), {"name": "a", **LIST})  # what the next command would make
        bench.made("audiences.create", {"name": first["segment_uuid"], **LIST}, id_="other")
        bench.numbers = iter(range(2, 100))

        (ids,) = ids_of(bench, {"name": "a", **LIST})

        assert ids["segment_uuid"] != first["segment_uuid"]


@pytest.mark.parametrize("nested", [True, False], ids=["rules.segment", "segments"])
@pytest.mark.parametrize(
    ("operator", "parts", "expression"),
    [("OR", ["a", "b"], "or"), ("and", ["a", "b"], "and"), ("AND", ["b"], "and")],
)
def test_operator_and_rules_say_a_composition(
    bench: Bench, operator: str, parts: list[str], expression: str, *, nested: bool
) -> None:
    made = dict(zip("ab", ids_of(bench, {"name": "a", **LIST}, {"name": "b", **LIST}), strict=True))
    by_number = [int(made[part]["id"]) for part in parts]

    rules: dict[str, object] = {"rules": {"segment": by_number}} if nested else {"segments": by_number}
    reply = bench.send("audiences.create", {"name": "c", "operator": operator, **rules})

    audience_ids = [bench.send("audiences.update", {"audience": part}).data[0]["audience_id"] for part in parts]
    assert reply.data[0]["kind"] == "composed"
    assert reply.data[0]["expression"] == {expression: [{"audience": one} for one in audience_ids]}
    assert reply.warnings == []


class TestLifecycle:
    def test_the_allowed_moves(self, bench: Bench) -> None:
        bench.made("audiences.create", {"name": "a", "lifecycle_state": "draft", **LIST})
        for state in ("published", "inactive", "published", "inactive"):
            reply = bench.send("audiences.update", {"audience": "a", "lifecycle_state": state})
            assert reply.data[0]["lifecycle_state"] == state
        assert bench.send("audiences.delete", {"audience": "a"}).data[0]["deleted"] is True

    def test_a_composition_is_published_after_its_parts(self, bench: Bench) -> None:
        draft = {"lifecycle_state": "draft"}
        publish = {"lifecycle_state": "published"}
        bench.made("audiences.create", {"name": "a", **LIST, **draft})
        bench.made("audiences.create", {"name": "c", "expression": {"audience": "a"}, **draft})

        refused = bench.send("audiences.update", {"audience": "c", **publish})
        accepted = bench.send("audiences.update", {"audience": "a", **publish}, {"audience": "c", **publish})

        assert codes_of(refused) == [codes.LIFECYCLE_REFUSED.code]
        assert accepted.counts.applied == 2


@pytest.mark.parametrize(("allowed", "refused_with"), [(True, []), (False, [codes.AUDIENCE_DELIVERED.code])])
def test_whether_a_delivered_audience_can_go_is_a_policy(allowed: bool, refused_with: list[str]) -> None:
    bench = Bench().space(policies={"delete_delivered": allowed})
    bench.made("audiences.create", {"name": "a", **LIST}, {"name": "never", **LIST})
    bench.made("destinations.create", {"name": "d", "connector": "webhook", "settings": {"url": "u"}})
    (activation_id,) = bench.made("activations.create", {"name": "act", "audience": "a", "destination": "d"})
    delivered = Delivered(
        space_id=SPACE, activation_id=activation_id, queue="q", partition=0, through_offset=1, delivered=1, merged=0,
        dead_lettered=0, uploads=1, at="2026-01-01T00:00:00.000Z",
    )  # fmt: skip
    bench.handle(bench.record(catalog.OUTCOMES, codec.encode(delivered), key=SPACE.encode()))
    bench.made("activations.delete", {"name": "act"})
    connection = next(one for key, one in bench.catalogue.items() if "/connection/" in key)
    bench.made("connections.delete", {"connection": connection.name})
    bench = bench.restart()

    assert codes_of(bench.send("audiences.delete", {"audience": "a"}, id_="del-a")) == refused_with
    assert not bench.send("audiences.delete", {"audience": "never"}, id_="del-never").errors


def test_policies_are_changed_one_by_one_and_null_brings_back_the_defaults(bench: Bench) -> None:
    defaults = {"raw_identifiers": False, "delete_delivered": True}

    changed = bench.send("spaces.update", {"policies": {"delete_delivered": False}}).data[0]
    both = bench.send("spaces.update", {"policies": {"raw_identifiers": True}}).data[0]
    cleared = bench.send("spaces.update", {"policies": None}).data[0]

    assert changed["policies"] == defaults | {"delete_delivered": False}
    assert both["policies"] == {"raw_identifiers": True, "delete_delivered": False}
    assert cleared["policies"] == defaults


def test_empty_texts_that_only_sort_audiences_are_none(bench: Bench) -> None:
    """As that API echoes them, so that what was read can be sent."""
    empty = {"type": "", "category": "", "sub_category": "", "description": ""}

    made = bench.send("audiences.create", {"name": "a", **empty, **LIST}).data[0]
    bench.send("audiences.update", {"audience": "a", "category": "c"}, id_="c-2")
    left = bench.send("audiences.update", {"audience": "a", "category": ""}, id_="c-3").data[0]

    assert [made.get(name) for name in empty] == [None, None, None, ""]
    assert left.get("category") is None


def test_what_only_usher_sets_is_ignored_with_a_remark(bench: Bench) -> None:
    reply = bench.send("audiences.create", {"name": "a", "version": 9, "created_at": "2020-01-01", **LIST})

    assert reply.data[0]["version"] == 1
    assert [(one.code, one.detail) for one in reply.warnings] == [
        (codes.FIELD_READ_ONLY.code, "ignored: 'version', 'created_at'")
    ]
