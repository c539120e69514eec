"""Connections and accounts: what they keep, what they refuse, and what goes with a destination."""

import pytest

from contracts import codes
from contracts.codes import Code
from contracts.messages.delivery import ListCleared, ListMade
from contracts.messages.entities import Activation, Connection
from contracts.messages.steps import ActivationStep
from tests.unit.domain.control.bench import SPACE, Bench, codes_of, steps
from tests.unit.domain.control.delivering import activatable, activate, say


@pytest.fixture
def bench() -> Bench:
    """A space with an audience and a destination."""
    return activatable()


def test_a_destination_goes_with_its_connections_once_nothing_is_sent_there(bench: Bench) -> None:
    activate(bench)
    assert codes_of(bench.send("destinations.delete", {"name": "d"})) == [codes.IN_USE.code]
    bench.made("activations.delete", {"name": "act"})

    bench.made("destinations.delete", {"name": "d"})

    assert not [key for key in bench.catalogue if "/connection/" in key or "/destination/" in key]
    bench.made("audiences.delete", {"name": "a"})


def test_an_account_is_kept_and_gives_its_activations_their_category(bench: Bench) -> None:
    account = {"platform_id": "7", "agency_name": "Mill", "default_category_id": "c-9"}
    (form,) = bench.send("destinations.update", {"destination": "d", "account": account}).data
    assert form["account"] == account

    activate(bench)
    made = bench.made(
        "activations.create", {"name": "other", "audience": "a", "destination": "d", "category_id": "c-1"}
    )

    forms = {one.activation_id: one for one in bench.catalogue.values() if isinstance(one, Activation)}
    assert [forms[id_].category_id for id_ in ("act_1", *made)] == ["c-9", "c-1"]
    assert bench.send("destinations.update", {"destination": "d", "account": None}).data[0]["account"] == {}


def test_a_connection_is_told_from_its_neighbours(bench: Bench) -> None:
    bench.made("audiences.create", {"id": "aud_b", "name": "b", "id_type": "kuid"})
    bench.made("connections.create", {"audience": "a", "destination": "d"}, {"audience": "b", "destination": "d"})

    reply = bench.send("connections.create", {"audience": "b", "destination": "d"})

    assert codes_of(reply) == [codes.CONNECTION_EXISTS.code]


def of(strategy: str, id_type: str = "kuid", **more: str) -> dict[str, str]:
    """One identifier that is to be sent."""
    return {"id_type": id_type, "strategy": strategy, **more}


@pytest.mark.parametrize(
    ("id_sync", "code"),
    [
        ([{}], codes.FIELD_INVALID),
        ([of("all")] * 6, codes.FIELD_INVALID),
        ([of("newest")], codes.FIELD_INVALID),
        ([of("all"), of("all", "email_sha256")], codes.ID_SYNC_UNAVAILABLE),
        ([of("last", map_to="Email_Address__c")], codes.ID_SYNC_UNAVAILABLE),
    ],
)
def test_identifiers_that_members_do_not_have_are_refused(bench: Bench, id_sync: list[object], code: Code) -> None:
    bench.made("connections.create", {"id": "con_1", "audience": "a", "destination": "d", "id_sync": [of("all")]})

    reply = bench.send("connections.update", {"connection": "con_1", "id_sync": id_sync})

    assert codes_of(reply) == [code.code]
    (form,) = bench.send("connections.update", {"connection": "con_1", "name": "other"}).data
    assert form["id_sync"] == [of("all")]


def test_a_resync_that_replaces_is_told_with_its_marker_and_stays_so_under_activations(bench: Bench) -> None:
    (connection,) = bench.made(
        "connections.create", {"audience": "a", "destination": "d", "connection_settings": {"resync": "replace"}}
    )
    activate(bench)
    (started,) = [one for one in steps(bench.outs) if isinstance(one, ActivationStep)]
    assert (started.marker, started.resync, started.replaces) == ("started", True, True)
    changed = {"connection": connection, "connection_settings": {"resync": "add"}}
    assert codes_of(bench.send("connections.update", changed)) == [codes.IN_USE.code]
    bench.made(
        "connections.update", {"connection": connection, "connection_settings": {"resync": "replace", "list": 2}}
    )
    bench.made("activations.delete", {"name": "act"})
    bench.made("connections.update", changed)


def test_a_list_that_was_emptied_is_known_by_its_connection_and_older_news_change_nothing(bench: Bench) -> None:
    activate(bench)
    (connection,) = [one for one in bench.catalogue.values() if isinstance(one, Connection)]
    assert connection.cleared_step == 0

    def heard(step: int, of: str = connection.connection_id) -> int:
        say(bench, ListCleared(space_id=SPACE, connection_id=of, step=step, at="2026-01-01T10:00:00.000Z"))
        (after,) = [one for one in bench.catalogue.values() if isinstance(one, Connection)]
        assert after.version == connection.version
        return after.cleared_step

    assert [heard(7), heard(6), heard(9, "con_gone"), heard(8)] == [7, 7, 7, 8]


def test_a_list_that_was_made_is_known_by_the_connection_that_asked_for_it(bench: Bench) -> None:
    """What is said of a form that the connection no longer has is of another list, maybe."""
    ends = {"audience": "a", "destination": "d"}
    (connection,) = bench.made("connections.create", {**ends, "connection_settings": {"list_name": "spring"}})

    def heard(version: int, list_id: str, of: str = connection) -> str | None:
        at = "2026-01-01T10:00:00.000Z"
        said = ListMade(space_id=SPACE, connection_id=of, version=version, external_audience_id=list_id, at=at)
        say(bench, said)
        (after,) = [one for one in bench.catalogue.values() if isinstance(one, Connection)]
        assert after.version < 4
        return after.external_audience_id

    assert [heard(1, "17"), heard(2, "18"), heard(1, "19", "con_gone")] == ["17", "17", "17"]
    (form,) = bench.send("connections.update", {"connection": connection, "name": "renamed"}).data
    assert form["external_audience_id"] == "17"
    renamed = {"connection": connection, "connection_settings": {"list_name": "summer"}}
    (form,) = bench.send("connections.update", renamed).data
    assert form["external_audience_id"] is None
    assert [heard(2, "17"), heard(3, "20")] == [None, "20"]


def test_a_list_that_is_made_is_told_with_each_marker_and_stays_so_under_activations(bench: Bench) -> None:
    ends = {"audience": "a", "destination": "d"}
    (connection,) = bench.made("connections.create", {**ends, "connection_settings": {"list_name": "spring"}})
    activate(bench)
    (started,) = [one for one in steps(bench.outs) if isinstance(one, ActivationStep)]
    assert (started.marker, started.makes, started.replaces) == ("started", True, False)
    named = {"connection": connection, "connection_settings": {"list": 7}}
    assert codes_of(bench.send("connections.update", named)) == [codes.IN_USE.code]
    bench.made("connections.update", {"connection": connection, "connection_settings": {"list_name": "b", "list": 7}})
    bench.made("activations.delete", {"name": "act"})
    bench.made("connections.update", named)
