"""Members commands: canonical, deduplicated, each identifier on its own partition, one step an item."""

import pytest

from contracts import catalog, codes
from contracts.messages.steps import PatchStep
from contracts.partitioning import member_partition
from contracts.records import Out
from tests.unit.domain.control.bench import PARTITIONS, Bench, config, imports, replies, steps
from tests.unit.domain.control.importing import applied

HASH = "AB" * 32


@pytest.fixture
def bench() -> Bench:
    """A space with a list of any ids and a list of hashes."""
    bench = Bench().space()
    bench.made(
        "audiences.create",
        {"id": "aud_a", "name": "a", "id_type": "kuid"},
        {"id": "aud_h", "name": "h", "id_type": "email_sha256"},
    )
    return bench


def patches(outs: list[Out]) -> dict[int, PatchStep]:
    """The patch of each partition."""
    written = {}
    for out in outs:
        if out.topic == catalog.INPUT:
            (step,) = steps([out], partition=None)
            assert isinstance(step, PatchStep)
            assert out.partition is not None
            written[out.partition] = step
    return written


@pytest.mark.parametrize("operation", ["add", "remove", "replace"])
def test_every_identifier_goes_to_its_partition_and_nowhere_else(bench: Bench, operation: str) -> None:
    sent = [f"u{n}" for n in range(50)]

    written = patches(bench.handle(bench.command(f"members.{operation}", {"audience": "a", "identifiers": sent})))

    assert sorted(one for patch in written.values() for one in patch.identifiers) == sorted(sent)
    for partition, patch in written.items():
        assert (patch.operation, patch.audience_id) == (operation, "aud_a")
        assert {member_partition(one, PARTITIONS) for one in patch.identifiers} == {partition}
    assert len({patch.step for patch in written.values()}) == 1


@pytest.mark.parametrize(("operation", "everywhere"), [("add", False), ("remove", False), ("replace", True)])
def test_add_and_remove_concern_only_the_partitions_of_their_identifiers(
    bench: Bench, operation: str, *, everywhere: bool
) -> None:
    written = patches(bench.handle(bench.command(f"members.{operation}", {"audience": "a", "identifiers": ["u1"]})))

    assert set(written) == (set(range(PARTITIONS)) if everywhere else {member_partition("u1", PARTITIONS)})


def test_clear_goes_everywhere(bench: Bench) -> None:
    written = patches(bench.handle(bench.command("members.clear", {"audience": "a"})))

    assert {(partition, patch.operation, tuple(patch.identifiers)) for partition, patch in written.items()} == {
        (partition, "clear", ()) for partition in range(PARTITIONS)
    }


def test_some_invalid_identifiers_are_a_warning_without_the_identifiers(bench: Bench) -> None:
    sent = [HASH, "me@example.com", HASH.lower(), f" {HASH} ", "ab", *["no"] * 20]

    reply = bench.send("members.add", {"audience": "h", "identifiers": sent, "id_type": "email_sha256"})

    (warning,) = reply.warnings
    assert (warning.item, warning.code) == (0, codes.IDENTIFIER_INVALID.code)
    assert warning.detail == "22 invalid, at 1, 4, 5, 6, 7, 8, 9, 10, 11, 12, …"
    (record,) = bench.imports().values()
    counts = record.counts
    assert (counts.rows, counts.valid, counts.rejected, counts.duplicate) == (25, 3, 22, 2)
    assert (record.mode, record.state, record.command_id) == ("add", "staged", "c-3")
    assert reply.data[0]["import_id"] == record.import_id
    written = [one for patch in patches(bench.outs[-10:]).values() for one in patch.identifiers]
    assert written == [HASH.lower()]


def test_no_valid_identifier_is_no_step(bench: Bench) -> None:
    outs = bench.handle(bench.command("members.replace", {"audience": "h", "identifiers": ["me@example.com"]}))

    (reply,) = replies(outs)
    (problem,) = reply.errors
    assert (problem.code, problem.detail) == (codes.IDENTIFIER_INVALID.code, "1 invalid, at 0")
    assert (problem.valid, problem.invalid, problem.sample_invalid) == (0, 1, ["me@example.com"])
    assert not steps(outs, partition=None)


def test_what_would_not_fit_into_a_step_is_refused() -> None:
    bench = Bench(configured=config(patch_bytes_max=1_000)).space()
    bench.made("audiences.create", {"name": "a", "id_type": "kuid"})
    small, large = ({"audience": "a", "identifiers": [f"{n}" * 9 for n in range(count)]} for count in (9, 999))

    reply = bench.send("members.add", small, large, small)

    assert [(one.item, one.code) for one in reply.errors] == [(1, codes.COMMAND_TOO_LARGE.code)]


def test_an_item_is_applied_when_all_its_partitions_say_so(bench: Bench) -> None:
    reply = bench.send("members.replace", {"audience": "a", "identifiers": ["u1", "u2"]})
    import_id = str(reply.data[0]["import_id"])

    early = bench.result(applied(import_id, 0), applied(import_id, 2))
    last = bench.result(applied(import_id, 1))

    assert not imports(early)
    (record,) = imports(last)
    assert (record.state, record.error) == ("applied", None)
    assert (record.counts.entered, record.counts.exited) == (6, 3)
    assert not [key for key in bench.state if "/import/" in key]


def test_each_item_is_a_step_and_an_import_of_its_own(bench: Bench) -> None:
    reply = bench.send(
        "members.add", {"audience": "a", "identifiers": ["u1"]}, {"audience": "a", "identifiers": ["u1"]}
    )

    written = [one for one in steps(bench.outs, partition=None) if isinstance(one, PatchStep)]
    assert len({one.step for one in written}) == 2
    assert len({one["import_id"] for one in reply.data}) == 2


def test_an_identifier_beside_clear_is_an_unknown_field(bench: Bench) -> None:
    reply = bench.send("members.clear", {"audience": "a", "identifiers": ["u1"]})

    assert [(one.code, one.detail) for one in reply.warnings] == [(codes.UNKNOWN_FIELD.code, "ignored: 'identifiers'")]


def test_an_item_may_repeat_the_operation_of_its_command(bench: Bench) -> None:
    reply = bench.send("members.add", {"audience": "a", "operation": "Add", "identifiers": ["u1"]})

    assert (reply.counts.applied, reply.warnings) == (1, [])


def test_the_reply_says_what_was_asked_for_and_what_was_wrong(bench: Bench) -> None:
    sent = [HASH, *(f"wrong {n}" for n in range(12)), "x" * 100]

    (data,) = bench.send("members.remove", {"audience": "h", "identifiers": [*sent]}).data

    assert (data["operation"], data["request_date"], data["identifier_type"]) == (
        "remove", "2026-01-01T00:00:00.000Z", "email_sha256",
    )  # fmt: skip
    assert (data["valid"], data["invalid"]) == (1, 13)
    assert data["sample_invalid"] == [f"wrong {n}" for n in range(10)]
    (short,) = bench.send("members.add", {"audience": "h", "identifiers": [HASH, "x" * 100]}).data
    assert short["sample_invalid"] == ["x" * 64]


def test_raw_identifiers_are_hashed_at_the_door_of_a_space_that_lets_them_in() -> None:
    bench = Bench().space(policies={"raw_identifiers": True})
    bench.made("audiences.create", {"id": "aud_h", "name": "h", "id_type": "email_sha256"})

    outs = bench.handle(
        bench.command(
            "members.add",
            {"audience": "h", "id_type": "email", "identifiers": [" User@Example.com", "user@example.com", "nobody"]},
        )
    )

    (data,) = replies(outs)[0].data
    written = [one for patch in patches(outs).values() for one in patch.identifiers]
    assert written == ["b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514"]
    assert (data["valid"], data["invalid"], data["identifier_type"]) == (2, 1, "email_sha256")
    assert not [out for out in outs if b"example.com" in (out.value or b"").lower()]
