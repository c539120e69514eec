"""Quotas: what a space may have, and what becomes of one command or item too many."""

import pytest

from contracts import codes
from tests.unit.domain.control.bench import Bench, codes_of, letters

LIST = {"kind": "list", "id_type": "kuid"}
FEED = {"mode": "replace", "id_type": "kuid"}


def audience(name: str) -> dict[str, object]:
    return {"name": name, **LIST}


def feed(name: str) -> dict[str, object]:
    return {"name": name, "source": {"kind": "s3", "prefix": f"{name}/"}, **FEED}


@pytest.mark.parametrize(("type_", "quota", "make"), [("audiences", "audiences", audience), ("feeds", "feeds", feed)])
def test_one_too_many_fails_until_another_has_gone(type_: str, quota: str, make: object) -> None:
    assert callable(make)
    bench = Bench().space(quotas={quota: 2})

    reply = bench.send(f"{type_}.create", *(make(name) for name in "abc"))

    assert [(one.item, one.code) for one in reply.errors] == [(2, codes.QUOTA_EXCEEDED.code)]
    bench.made(f"{type_}.delete", {"name": "a"})
    assert not bench.send(f"{type_}.create", make("c")).errors


def test_identifiers_are_counted_by_the_day_of_the_space() -> None:
    bench = Bench().space(quotas={"identifiers_a_day": 5})
    bench.made("audiences.create", audience("a"))
    three = {"audience": "a", "identifiers": ["u1", "u2", "u3"]}

    reply = bench.send("members.add", three, three, {"audience": "a", "identifiers": ["u4", "u5"]})

    assert [(one.item, one.code) for one in reply.errors] == [(1, codes.QUOTA_EXCEEDED.code)]
    numbers, bench = bench.numbers, bench.restart()
    bench.numbers = numbers
    assert codes_of(bench.send("members.add", three, id_="same-day")) == [codes.QUOTA_EXCEEDED.code]
    bench.advance("2026-01-02")
    assert not bench.send("members.add", three, id_="next-day").errors


def test_commands_of_one_second_too_many_are_rejected_and_may_come_again() -> None:
    bench = Bench().space()
    bench.now_ms += 1_000
    bench.send("spaces.update", {"quotas": {"commands_a_second": 2}})
    assert bench.send("audiences.create", audience("a")).status == "accepted"

    rejected = bench.send("audiences.create", audience("b"), id_="again")
    bench.now_ms += 1_000
    accepted = bench.send("audiences.create", audience("b"), id_="again")

    assert (rejected.status, codes_of(rejected)) == ("rejected", [codes.QUOTA_EXCEEDED.code])
    assert [code for code, _ in letters(bench.outs)] == [codes.QUOTA_EXCEEDED.code]
    assert accepted.counts.applied == 1


def test_a_quota_that_lets_nothing_in_can_be_raised_again() -> None:
    bench = Bench().space(quotas={"commands_a_second": 0})

    assert codes_of(bench.send("audiences.get", {"audience": "a"})) == [codes.QUOTA_EXCEEDED.code]
    assert not bench.send("spaces.update", {"quotas": {"commands_a_second": 5}}).errors
    bench.now_ms += 1_000
    assert bench.send("audiences.create", audience("a")).status == "accepted"


def test_quotas_are_changed_one_by_one_and_null_brings_back_the_defaults() -> None:
    bench = Bench().space()

    changed = bench.send("spaces.update", {"quotas": {"feeds": 7}}).data[0]["quotas"]
    cleared = bench.send("spaces.update", {"quotas": None}).data[0]["quotas"]

    defaults = {
        "audiences": 200_000, "feeds": 10_000, "identifiers_a_day": 1_000_000_000, "commands_a_second": 5_000,
            "layers": 1_100, "identities": 100_000_000, "readings": 64, "imports": 10_000,
    }  # fmt: skip
    assert (changed, cleared) == (defaults | {"feeds": 7}, defaults)
