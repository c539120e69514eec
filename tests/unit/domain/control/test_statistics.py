"""How many identifiers a list holds, as all partitions say at one place in the log."""

import pytest
from msgspec.structs import replace

from contracts import catalog, codes
from contracts.messages.results import Counted
from contracts.messages.steps import CountStep, TickStep
from tests.unit.domain.control.bench import PARTITIONS, SPACE, Bench, codes_of, replies, steps, ticked
from tests.unit.domain.control.delivering import activatable, activate, delivered, reported, say


@pytest.fixture
def bench() -> Bench:
    """Two lists and a composition."""
    bench = Bench().space()
    bench.made("audiences.create", {"id": "aud_a", "name": "a", "id_type": "kuid"}, {"name": "b", "id_type": "kuid"})
    bench.made("audiences.create", {"name": "c", "expression": {"not": {"audience": "a"}}})
    return bench


def says(step: int, partition: int, size: int) -> Counted:
    return Counted(space_id=SPACE, partition=partition, partitions=PARTITIONS, step=step, size=size)


def test_the_reply_adds_up_what_every_partition_says(bench: Bench) -> None:
    outs = bench.handle(bench.command("audiences.statistics", {"audience": "a"}, {"audience": "b"}, id_="c"))
    asked = [one for one in steps(outs) if isinstance(one, CountStep)]
    first, second = (one.step for one in asked)
    assert not replies(outs)
    assert {out.partition for out in outs if out.topic == catalog.INPUT} == set(range(PARTITIONS))
    bench = bench.restart()
    for partition in range(PARTITIONS):
        assert not replies(bench.result(says(first, partition, partition)))
    for partition in range(1, PARTITIONS):
        assert not replies(bench.result(says(second, partition, 0)))
    assert not replies(
        bench.handle(bench.command("audiences.statistics", {"audience": "a"}, {"audience": "b"}, id_="c"))
    )

    (reply,) = replies(bench.result(says(second, 0, 0)))

    assert [(one["identifiers"], one["matches"], one["match_rate"]) for one in reply.data] == [
        (sum(range(PARTITIONS)), None, None),
        (0, None, None),
    ]
    again = bench.command("audiences.statistics", {"audience": "a"}, {"audience": "b"}, id_="c")
    assert replies(bench.handle(again)) == [reply]
    assert not [key for key in bench.state if "/advance/" in key]


def test_what_destinations_say_of_matches_is_told_of_each_and_alone_where_one_does() -> None:
    bench = activatable()
    activate(bench)
    bench.made("destinations.create", {"id": "dest_e", "name": "e", "connector": "webhook", "settings": {"url": "b"}})
    bench.made("activations.create", {"id": "act_2", "name": "other", "audience": "a", "destination": "e"})

    def told() -> tuple[object, list[tuple[str, str]]]:
        (asked,) = steps(bench.handle(bench.command("audiences.statistics", {"audience": "a"})))
        (reply,) = replies(bench.result(*(says(asked.step, partition, 9) for partition in range(PARTITIONS))))
        (data,) = reply.data
        listed = data["match_rates"]
        assert isinstance(listed, list)
        rates = [(one["destination_id"], one["match_rate"]) for one in listed]
        return (data["identifiers"], data["matches"], data["match_rate"]), rates

    assert told() == ((9 * PARTITIONS, None, None), [])
    say(bench, delivered(4, count=10), reported(1, members=10, matched="31-40"))
    assert told() == ((9 * PARTITIONS, None, "31-40"), [("dest_d", "31-40")])
    say(bench, replace(reported(2, members=10, matched="61-70"), activation_id="act_2"))
    assert told() == ((9 * PARTITIONS, None, None), [("dest_d", "31-40"), ("dest_e", "61-70")])


def test_nothing_is_counted_of_a_composition_and_nothing_is_audited(bench: Bench) -> None:
    before = len([out for out in bench.outs if out.topic == catalog.AUDIT])
    (reply,) = replies(bench.handle(bench.command("audiences.statistics", {"audience": "c"}, {"audience": "nobody"})))
    bench.handle(bench.command("audiences.statistics", {"audience": "a"}))
    assert codes_of(reply) == [codes.AUDIENCE_NOT_LIST.code, codes.NOT_FOUND.code]
    assert len([out for out in bench.outs if out.topic == catalog.AUDIT]) == before


def test_a_hundred_at_once_and_no_more(bench: Bench) -> None:
    reply = bench.send("audiences.statistics", *[{"audience": "a"}] * 101)
    assert (reply.status, codes_of(reply)) == ("rejected", [codes.COMMAND_TOO_LARGE.code])
    assert not replies(bench.handle(bench.command("audiences.statistics", *[{"audience": "a"}] * 100)))


def test_beside_what_waits_for_the_clock(bench: Bench) -> None:
    waits = steps(bench.handle(bench.command("clock.advance", {"to": "2026-02-01"})))[-1]
    (asked,) = steps(bench.handle(bench.command("audiences.statistics", {"audience": "a"})))
    assert isinstance(waits, TickStep)

    told = bench.result(*(says(asked.step, partition, 1) for partition in range(PARTITIONS)))
    ticked_everywhere = bench.result(*ticked(waits))

    assert [reply.data[0].get("identifiers") for reply in replies(told)] == [PARTITIONS]
    assert [reply.data[0].get("time") for reply in replies(ticked_everywhere)] == ["2026-02-01T00:00:00.000Z"]
