"""Activations that are paused, resumed, extended, resynced and sent anew: the markers and states of each."""

import dataclasses

import pytest

from contracts import codes
from contracts.codes import Code
from contracts.instants import instant_text
from contracts.messages.entities import Activation
from contracts.messages.steps import ActivationStep, RedriveStep
from tests.unit.domain.control.bench import WEBHOOK, Bench, codes_of, config, steps
from tests.unit.domain.control.delivering import activatable, activate, markers, status


@pytest.fixture
def bench() -> Bench:
    """A space with an audience and a destination."""
    return activatable()


GOING_ON: list[tuple[str, list[tuple[str, dict[str, object]]], list[tuple[str, bool]], str]] = [
    ("disabled and enabled", [("update", {"enabled": False}), ("update", {"enabled": True})], [("paused", False), ("resumed", True)], "running"),
    ("the same without resync", [("update", {"enabled": False}), ("update", {"enabled": True, "perform_resync": False})], [("paused", False), ("resumed", False)], "running"),
    ("ended and extended", [("update", {"end_date": "2025-12-31"}), ("update", {"end_date": None})], [("ended", False), ("started", True)], "running"),
    ("paused", [("pause", {}), ("pause", {})], [("paused", False)], "paused"),
    ("paused and resumed", [("pause", {}), ("resume", {}), ("resume", {})], [("paused", False), ("resumed", False)], "running"),
    ("paused and disabled", [("pause", {}), ("update", {"enabled": False}), ("resume", {})], [("paused", False), ("updated", False), ("updated", False)], "disabled"),
    ("paused and ended", [("pause", {}), ("update", {"end_date": "2025-12-31"})], [("paused", False), ("ended", False)], "ended"),
    ("resynced", [("resync", {})], [("updated", True)], "running"),
    ("updated with resync", [("update", {"perform_resync": True})], [("updated", True)], "running"),
    ("updated", [("update", {"category_id": "c"})], [("updated", False)], "running"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("commands", "expected", "state"), [row[1:] for row in GOING_ON], ids=[row[0] for row in GOING_ON]
)
def test_an_activation_goes_on_as_it_is_told(
    bench: Bench, commands: list[tuple[str, dict[str, object]]], expected: list[tuple[str, bool]], state: str
) -> None:
    activate(bench)

    for verb, fields in commands:
        reply = bench.send(f"activations.{verb}", {"activation": "act", **fields})
        assert not reply.errors
        bench = _again(bench)

    written = [one for one in steps(bench.outs) if isinstance(one, ActivationStep)]
    assert [(one.marker, one.resync) for one in written[1:]] == expected
    assert status(bench).state == state


def _again(bench: Bench) -> Bench:
    """The same after a restart, with what was written before."""
    twin = bench.restart()
    twin.outs, twin.numbers, twin.offsets = bench.outs, bench.numbers, bench.offsets
    return twin


def test_one_that_is_paused_before_its_start_starts_when_it_is_resumed(bench: Bench) -> None:
    activate(bench, start_date="2026-01-02T10:00:00.1234567Z")
    bench.made("activations.pause", {"activation": "act"})
    assert status(bench).state == "paused"
    bench.advance("2026-01-03")
    assert not markers(bench.outs)

    bench.made("activations.resume", {"activation": "act"})

    assert markers(bench.outs) == ["started 2026-01-03"]


def test_it_shows_from_its_start(bench: Bench) -> None:
    item = {"name": "later", "audience": "a", "destination": "d", "start_date": "2026-01-02T10:00:00.1234567Z"}

    reply = bench.send("activations.create", item)

    assert (reply.effective_at, reply.expected_live_at) == ("2026-01-02T10:00:00.123Z",) * 2


def test_its_end_moves_on_before_it_lapses_while_it_is_told_to(bench: Bench) -> None:
    activate(bench, end_date="2026-01-05T00:00:00.0000000Z", extend=True, extend_days=10)

    bench.advance("2026-01-20")

    (form,) = (one for key, one in bench.catalogue.items() if "/activation/" in key)
    assert isinstance(form, Activation)
    assert (form.end_date, form.version) == ("2026-01-25T00:00:00.000Z", 3)
    assert (form.created_by, form.updated_by) == ("operator", None)  # usher itself has moved its end
    assert markers(bench.outs) == ["started 2026-01-01", "updated 2026-01-05", "updated 2026-01-15"]

    bench.made("activations.update", {"activation": "act", "extend": False})
    bench.advance("2026-02-20")

    assert status(bench).state == "ended"
    assert markers(bench.outs)[-1] == "ended 2026-01-25"


def test_what_was_to_move_on_ends_where_somebody_ends_it(bench: Bench) -> None:
    activate(bench, extend=True)
    bench.advance("2026-01-03")

    bench.made("activations.update", {"activation": "act", "end_date": "2026-01-02"})
    bench.advance("2026-03-03")

    assert markers(bench.outs) == ["started 2026-01-01", "ended 2026-01-03"]


def test_a_recurring_one_sends_all_members_again_within_its_period(bench: Bench) -> None:
    activate(bench, start_date="2026-01-02", end_date="2026-01-08", recurring=True, recurring_days=2)
    bench.advance("2026-01-05")
    bench.made("activations.pause", {"activation": "act"})
    bench.advance("2026-01-07")
    bench.made("activations.resume", {"activation": "act"})

    bench.advance("2026-02-01")

    written = [one for one in steps(bench.outs) if isinstance(one, ActivationStep)]
    assert [(one.marker, one.resync, instant_text(one.at_ms)[8:10]) for one in written] == [
        ("started", True, "02"),
        ("updated", True, "04"),
        ("paused", False, "05"),
        ("updated", False, "06"),
        ("resumed", False, "07"),
        ("ended", False, "08"),
    ]


REFUSED: list[tuple[dict[str, object], Code]] = [
    ({"on_end": "remove", "activation_type": "audience_entered"}, codes.FIELD_INVALID),
    ({"on_end": "explode"}, codes.FIELD_INVALID),
    ({"recurring": "daily"}, codes.FIELD_INVALID),
    ({"recurring_days": 0}, codes.FIELD_INVALID),
    ({"country": "NL"}, codes.FIELD_INVALID),
    ({"extend": "P1D"}, codes.FIELD_INVALID),
    ({"start_date": "2026-02-02T00:00:00.0000001Z", "end_date": "2026-02-02"}, codes.FIELD_INVALID),
    ({"personalization": "much"}, codes.FIELD_INVALID),
    ({"personalization": {"profile": {"mapping": {"a": "b"}}}}, codes.FIELD_INVALID),
    ({"activation_type": "audience_entered", "personalization": {"sync_entity_property_changes": True}}, codes.FIELD_INVALID),
    ({"personalization": {"profile": {"properties": ["plan"]}}}, codes.PERSONALIZATION_UNAVAILABLE),
    ({"personalization": {"entities": [{}]}}, codes.PERSONALIZATION_UNAVAILABLE),
    ({"destination_mapping": {"action_id": "send"}}, codes.MAPPING_UNAVAILABLE),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "code"), REFUSED)
@pytest.mark.parametrize("verb", ["create", "update"])
def test_what_cannot_be_kept_is_refused_when_it_is_saved(
    bench: Bench, verb: str, fields: dict[str, object], code: Code
) -> None:
    activate(bench)
    which = {"name": "n", "audience": "a", "destination": "d"} if verb == "create" else {"activation": "act"}

    assert codes_of(bench.send(f"activations.{verb}", {**which, **fields})) == [code.code]


def test_what_is_redriven_goes_once_to_the_home_of_each_identity(bench: Bench) -> None:
    activate(bench)

    reply = bench.send("activations.redrive", {"activation": "act", "identifiers": ["u1", " u1", "u2", "", "u3"]})

    redrives = [one for one in steps(bench.outs, None) if isinstance(one, RedriveStep)]
    assert sorted(name for one in redrives for name in one.identifiers) == ["u1", "u2", "u3"]
    assert {(one.activation_id, one.audience_id, one.step) for one in redrives} == {
        ("act_1", "aud_a", redrives[0].step)
    }
    (data,) = reply.data
    assert (data["valid"], data["invalid"]) == (4, 1)


@pytest.mark.parametrize(
    ("identifiers", "code"),
    [
        ([], codes.FIELD_REQUIRED),
        (None, codes.FIELD_REQUIRED),
        (["", " "], codes.IDENTIFIER_INVALID),
        (["u"] * 10_001, codes.FIELD_INVALID),
    ],
)
def test_what_cannot_be_redriven_is_refused(bench: Bench, identifiers: list[str] | None, code: Code) -> None:
    activate(bench)
    given = {} if identifiers is None else {"identifiers": identifiers}

    assert codes_of(bench.send("activations.redrive", {"activation": "act", **given})) == [code.code]


def test_what_one_record_cannot_hold_is_not_redriven() -> None:
    bench = activatable(config(patch_bytes_max=1_000))
    activate(bench)

    reply = bench.send("activations.redrive", {"activation": "act", "identifiers": [f"u{n:06}" for n in range(500)]})

    assert codes_of(reply) == [codes.COMMAND_TOO_LARGE.code]


def test_only_a_running_one_is_redriven(bench: Bench) -> None:
    activate(bench)
    bench.made("activations.pause", {"activation": "act"})

    reply = bench.send("activations.redrive", {"activation": "act", "identifiers": ["u1"]})

    assert codes_of(reply) == [codes.ACTIVATION_NOT_RUNNING.code]


@pytest.mark.parametrize(
    ("fields", "days"),
    [
        ({}, 7),
        ({"recurring": False}, 7),
        ({"recurring": True, "recurring_days": 3}, 3),
        ({"recurring": True, "recurring_days": 90}, 15),
    ],
)
def test_members_that_expire_over_there_are_sent_again_before_they_do(fields: dict[str, object], days: int) -> None:
    expiring = dataclasses.replace(WEBHOOK, refresh_days=15)
    bench = activatable(config(connectors={"webhook": expiring}))
    activate(bench, **fields)
    bench.made("activations.update", {"activation": "act", "display_name": "x", **fields})
    (form,) = [one for one in bench.catalogue.values() if isinstance(one, Activation)]
    assert (form.recurring, form.recurring_days) == (True, days)
