"""The same command again gets the same reply and changes nothing (contracts.md §3)."""

import msgspec
import pytest

from contracts import catalog, codes
from contracts.messages.steps import TickStep
from tests.unit.domain.control.bench import (
    Bench,
    codes_of,
    config,
    decoded,
    letters,
    replies,
    steps,
    ticked,
)

AUDIENCE = {"name": "a", "id_type": "kuid"}
DAY_MS = 86_400_000


def test_the_same_bytes_get_the_same_reply_and_change_nothing() -> None:
    bench = Bench().space()
    first = [
        out
        for out in bench.handle(bench.command("audiences.create", AUDIENCE, id_="c"))
        if out.topic == catalog.REPLIES
    ]
    before, steps_before = dict(bench.catalogue), len(steps(bench.outs))
    bench.now_ms += DAY_MS - 1

    again = bench.handle(bench.command("audiences.create", AUDIENCE, id_="c"))

    assert [(out.key, out.value, out.headers) for out in again if out.topic == catalog.REPLIES] == [
        (out.key, out.value, out.headers) for out in first
    ]
    assert bench.catalogue == before
    assert len(steps(bench.outs)) == steps_before


def test_twice_in_one_batch_is_once() -> None:
    bench = Bench().space()
    twice = [bench.command("audiences.create", AUDIENCE, id_="c") for _ in range(2)]

    outs = bench.handle(*twice)

    first, second = replies(outs)
    assert first == second
    assert len(steps(outs)) == 1


def test_other_bytes_under_the_same_key_are_rejected_and_kept() -> None:
    bench = Bench().space()
    bench.send("audiences.create", AUDIENCE, id_="c")
    before = dict(bench.catalogue)

    outs = bench.handle(bench.command("audiences.create", {**AUDIENCE, "name": "b"}, id_="c"))

    assert [code for code, _ in letters(outs)] == [codes.IDEMPOTENCY_KEY_REUSED.code]
    assert codes_of(replies(outs)[0]) == [codes.IDEMPOTENCY_KEY_REUSED.code]
    assert bench.catalogue == before


def test_another_source_or_space_is_another_key() -> None:
    bench = Bench().space()
    bench.send("spaces.create", {}, id_="s", space="other")

    made = [
        bench.send("audiences.create", AUDIENCE, id_="c", source="/one"),
        bench.send("audiences.create", {**AUDIENCE, "name": "b"}, id_="c", source="/two"),
        bench.send("audiences.create", AUDIENCE, id_="c", source="/one", space="other"),
    ]

    assert [reply.counts.applied for reply in made] == [1, 1, 1]
    assert len({reply.data[0]["audience_id"] for reply in made}) == 3


def test_after_a_day_the_key_is_free_and_makes_another_id() -> None:
    bench = Bench().space()
    (first,) = bench.made("audiences.create", AUDIENCE, id_="c")
    bench.made("audiences.delete", {"id": first})
    bench.now_ms += DAY_MS + 1

    (second,) = bench.made("audiences.create", AUDIENCE, id_="c")

    assert second != first


def test_no_more_than_a_set_number_is_remembered_the_oldest_go_first() -> None:
    bench = Bench(configured=config(replies_max=3)).space()
    for number in range(5):
        bench.send("spaces.update", {"name": f"n{number}"}, id_=f"u{number}")

    kept = [key for key in bench.state if "/reply/" in key]
    forgotten = bench.send("spaces.update", {"name": "n0"}, id_="u0")

    assert len(kept) == 3
    assert forgotten.data[0]["version"] == 7


def test_a_refused_command_may_come_again_once_it_can_be_understood() -> None:
    bench = Bench()
    update = ("spaces.update", {"name": "n"})

    assert bench.send(*update, id_="c").status == "rejected"
    bench.send("spaces.create", {})

    assert bench.send(*update, id_="c").status == "accepted"


def test_a_clock_advance_that_waits_is_answered_once() -> None:
    bench = Bench().space()
    advance = ("clock.advance", {"to": "2026-01-02"})
    outs = bench.handle(bench.command(*advance, id_="c"))
    assert not replies(outs)
    assert not replies(bench.handle(bench.command(*advance, id_="c")))
    (tick,) = [one for one in steps(outs) if isinstance(one, TickStep)]

    done = bench.result(*ticked(tick))

    (reply,) = replies(done)
    assert reply.effective_at == "2026-01-02T00:00:00.000Z"
    assert replies(bench.handle(bench.command(*advance, id_="c"))) == [reply]


def test_validate_only_items_see_each_other() -> None:
    bench = Bench().space()

    reply = bench.send(
        "audiences.create", AUDIENCE, {"name": "b", "expression": {"audience": "a"}}, AUDIENCE, validate_only=True
    )

    assert codes_of(reply) == [codes.NAME_MUST_BE_UNIQUE.code]
    assert reply.counts.applied == 2


@pytest.mark.parametrize("limit", [{"reply_bytes_max": 10_000}, {"reply_packed_bytes_max": 3_000}])
def test_a_reply_too_large_keeps_ids_and_codes(limit: dict[str, int]) -> None:
    bench = Bench(configured=config(**limit)).space()
    items = [{"name": f"a{n}", "id_type": "kuid", "description": f"{n}" * 100} for n in range(100)]

    (out,) = (
        one
        for one in bench.handle(bench.command("audiences.create", *items, items[0], id_="c"))
        if one.topic == catalog.REPLIES
    )

    (reply,) = replies([out])
    assert set(reply.data[0]) == {"item", "audience_id", "version", "space_id"}
    assert [(one.item, one.code, one.detail) for one in reply.errors] == [(100, codes.NAME_MUST_BE_UNIQUE.code, "")]
    again = bench.handle(bench.command("audiences.create", *items, items[0], id_="c"))
    assert [one.value for one in again if one.topic == catalog.REPLIES] == [out.value]
    assert decoded(out, dict)["counts"] == {"items": 101, "applied": 100, "failed": 1}


@pytest.mark.parametrize(("command_type", "items"), [("audiences.explode", [{}]), ("audiences.create", [])])
def test_a_refused_command_gets_the_same_refusal_again(command_type: str, items: list[dict[str, object]]) -> None:
    bench = Bench().space()
    records = [bench.command(command_type, *items, id_="c") for _ in range(2)]
    first, second = replies(bench.handle(*records))
    assert first.status == "rejected"
    assert first == second


def test_a_refusal_stands_in_the_trace_of_its_command() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    record = Bench().command("audiences.explode", {})
    record = msgspec.structs.replace(record, headers=(("traceparent", f"00-{trace}-b7ad6b7169203331-01".encode()),))
    (reply,) = replies(Bench().space().handle(record))
    assert (reply.trace_id, reply.errors[0].trace_id) == (trace, trace)
