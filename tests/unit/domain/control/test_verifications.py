"""`destinations.verify`: a question for each item, one reply when all are answered, or when nobody waits any more."""

from contracts import catalog, codec, codes
from contracts.messages.commands import VERIFICATIONS_MAX
from contracts.messages.delivery import Verification, Verified
from contracts.messages.published import AuditRecord, Reply
from contracts.records import Out
from tests.unit.domain.control.bench import SPACE, Bench, codes_of, decoded, letters, replies

MINUTE_MS = 60_000


def space(*names: str, clock: str = "manual") -> Bench:
    """A space with a destination of each name."""
    bench = Bench()
    bench.made("spaces.create", {"clock": clock})
    for name in names:
        item = {"id": f"dest_{name}", "name": name, "connector": "webhook", "settings": {"url": "https://a"}}
        bench.made("destinations.create", item)
    return bench


def questions(outs: list[Out]) -> list[Verification]:
    return [decoded(out, Verification) for out in outs if out.topic == catalog.VERIFICATIONS]


def ask(bench: Bench, *names: str, id_: str = "v") -> list[Verification]:
    """Nothing is replied yet."""
    outs = bench.handle(bench.command("destinations.verify", *({"destination": name} for name in names), id_=id_))
    assert not replies(outs)
    return questions(outs)


def answer(bench: Bench, asked: Verification, code: str | None = None, detail: str | None = None) -> list[Reply]:
    said = Verified(
        space_id=SPACE,
        verification_id=asked.verification_id,
        destination_id=asked.destination_id,
        code=code,
        detail=detail,
        latency_ms=41,
        at="2026-01-01T00:00:00.000Z",
    )
    return replies(bench.handle(bench.record(catalog.OUTCOMES, codec.encode(said), key=SPACE.encode())))


def test_the_reply_comes_with_the_last_answer_and_says_what_came_of_each_item() -> None:
    bench = space("a", "b", "c")
    a, b, c = ask(bench, "a", "b", "c")
    assert [one.destination_id for one in (a, b, c)] == ["dest_a", "dest_b", "dest_c"]
    assert {one.until_ms for one in (a, b, c)} == {bench.now_ms + MINUTE_MS}

    assert not answer(bench, c)
    assert not answer(bench, b, "delivery-authentication", "the destination answered 401")
    (reply,) = answer(bench, a)

    assert (reply.status, reply.counts.applied, reply.counts.failed) == ("accepted", 2, 1)
    assert reply.data == [
        {"item": 0, "destination_id": "dest_a", "version": 1, "verified": True, "latency_ms": 41},
        {"item": 2, "destination_id": "dest_c", "version": 1, "verified": True, "latency_ms": 41},
    ]
    (error,) = reply.errors
    assert (error.item, error.code, error.detail) == (1, "delivery-authentication", "the destination answered 401")
    assert error.trace_id == reply.trace_id


def test_what_fails_at_once_stands_beside_what_was_asked() -> None:
    bench = space("a")

    (asked,) = ask(bench, "nobody", "a")
    (reply,) = answer(bench, asked, codes.DELIVERY_UNAVAILABLE.code)

    assert [(one.item, one.code, one.detail != "") for one in reply.errors] == [
        (0, "not-found", True),
        (1, "delivery-unavailable", True),
    ]
    assert (reply.data, reply.counts.failed) == ([], 2)


def test_without_a_question_the_reply_comes_at_once() -> None:
    bench = space("a")
    assert codes_of(bench.send("destinations.verify", {"destination": "nobody"})) == ["not-found"]
    assert codes_of(bench.send("destinations.verify", {"destination": "a", "expected_version": 2})) == [
        "version-conflict"
    ]


def test_an_answer_that_is_repeated_late_or_a_strangers_changes_nothing() -> None:
    bench = space("a", "b")
    a, b = ask(bench, "a", "b")

    assert not answer(bench, a)
    assert not answer(bench, a, codes.DELIVERY_UNAVAILABLE.code)
    assert len(answer(bench, b)) == 1

    assert not answer(bench, b)
    assert not letters(bench.outs)


def test_the_same_command_is_answered_once_while_it_waits_and_the_same_again_afterwards() -> None:
    bench = space("a")
    (asked,) = ask(bench, "a")

    assert ask(bench, "a") == []
    (reply,) = answer(bench, asked)

    assert bench.send("destinations.verify", {"destination": "a"}, id_="v") == reply


def test_nobody_waits_longer_than_a_minute() -> None:
    for clock in ("manual", "system"):
        bench = space("a", "b", clock=clock)
        a, b = ask(bench, "a", "b")
        assert not answer(bench, b)
        assert bench.shard.due_ms() == bench.now_ms + MINUTE_MS
        bench.now_ms += MINUTE_MS

        (reply,) = replies(bench.handle())

        assert [(one["item"], one["verified"]) for one in reply.data] == [(1, True)]
        assert [(one.item, one.code) for one in reply.errors] == [(0, codes.DESTINATION_NOT_VERIFIED.code)]
        assert not answer(bench, a)
        assert bench.shard.due_ms() is None


def test_a_restart_forgets_neither_question_nor_deadline() -> None:
    bench = space("a", "b")
    a, b = ask(bench, "a", "b")
    answer(bench, a, codes.SECRET_REFUSED.code, "not of this space")

    bench = bench.restart()
    assert bench.shard.due_ms() == bench.now_ms + MINUTE_MS
    (reply,) = answer(bench, b)
    assert (codes_of(reply), reply.counts.applied) == (["secret-refused"], 1)

    bench = bench.restart()
    assert bench.shard.due_ms() is None
    assert bench.send("destinations.verify", {"destination": "a"}, {"destination": "b"}, id_="v") == reply


def test_it_can_be_tried_out_without_a_question() -> None:
    bench = space("a")
    outs = bench.handle(bench.command("destinations.verify", {"destination": "a"}, validate_only=True))

    (reply,) = replies(outs)
    assert reply.data == [{"item": 0, "destination_id": "dest_a", "version": 1}]
    assert questions(outs) == []
    assert bench.shard.due_ms() is None


def test_only_so_many_are_asked_at_a_time() -> None:
    bench = space("a")
    many = ["a"] * VERIFICATIONS_MAX
    asked = ask(bench, *many)
    assert len({one.verification_id for one in asked}) == VERIFICATIONS_MAX

    assert codes_of(bench.send("destinations.verify", {"destination": "a"})) == ["quota-exceeded"]
    answer(bench, asked[0])
    assert len(ask(bench, "a", id_="w")) == 1

    refused = bench.send("destinations.verify", *({"destination": name} for name in [*many, "a"]))
    assert (refused.status, codes_of(refused)) == ("rejected", ["command-too-large"])


def test_a_code_of_a_later_version_and_a_long_detail_are_passed_on_as_what_we_know() -> None:
    bench = space("a")
    (asked,) = ask(bench, "a")
    (reply,) = answer(bench, asked, "delivery-tired", "x" * 9_000)
    assert codes_of(reply) == ["delivery-unavailable"]
    assert len(reply.errors[0].detail) == 500


def test_remarks_go_with_the_item_that_failed() -> None:
    bench = space("a", "b")
    items = [{"destination": name, "colour": "red"} for name in "ab"]
    a, b = questions(bench.handle(bench.command("destinations.verify", *items)))
    answer(bench, a)
    (reply,) = answer(bench, b, codes.DELIVERY_UNAVAILABLE.code)
    assert [(one.item, one.code) for one in reply.warnings] == [(0, "unknown-field")]


def test_a_destination_that_is_asked_about_can_go_but_not_its_space() -> None:
    bench = space("a")
    (asked,) = ask(bench, "a")
    bench.send("destinations.delete", {"destination": "a"})
    assert codes_of(bench.send("spaces.delete", {})) == ["in-use"]

    answer(bench, asked, codes.DELIVERY_DESTINATION_UNKNOWN.code)
    assert not bench.send("spaces.delete", {}).errors


def test_who_asked_stands_in_the_audit() -> None:
    bench = space("a")
    ask(bench, "a")
    record = [decoded(out, AuditRecord) for out in bench.outs if out.topic == catalog.AUDIT][-1]
    assert (record.command_type, record.id, record.principal) == ("destinations.verify", "dest_a", "operator")
