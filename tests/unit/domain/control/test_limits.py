"""What a space may not go beyond: refused with its code, and all that is good beside it goes on."""

import msgspec
import pytest

from contracts import codes
from contracts.messages.steps import ImportAbortStep, ImportOpenStep, PatchStep
from tests.unit.domain.control.bench import PARTITIONS, Bench, imports, requests, steps
from tests.unit.domain.control.importing import announce, applied, broken, carry_through, fail, finish, opened, version

NAMED = {"audience": "a", "identifiers": ["u1"]}


def bench_of(**quotas: int) -> Bench:
    """A space with two audiences and a feed."""
    bench = Bench().space(quotas=quotas)
    bench.made("audiences.create", *({"id": f"aud_{name}", "name": name, "id_type": "kuid"} for name in "ab"))
    source = {"kind": "s3", "prefix": "full/"}
    feed = {"id": "feed_full", "name": "full", "mode": "replace", "id_type": "kuid", "source": source}
    bench.made("feeds.create", feed)
    return bench


def test_readings_beyond_the_limit_are_opened_and_wait_for_their_turn() -> None:
    bench = bench_of(readings=2)
    first, second = (opened(bench, version(f"full/2026-01-01/{name}")) for name in "ab")
    outs = announce(bench, version("full/2026-01-02/late")) + announce(bench, version("full/2026-01-01/early"))
    assert [type(one) for one in steps(outs)] == [ImportOpenStep] * 2, "commands from here on count as later"
    assert requests(outs) == []

    bench = bench.restart()
    (asked,) = requests(carry_through(bench, first))
    assert asked.object.key == "full/2026-01-01/early"
    assert requests(fail(bench, second)) == [], "it keeps its place until it is read again"
    (asked,) = requests(fail(bench, asked.import_id, code=codes.OBJECT_GONE.code, retryable=False))
    assert (asked.object.key, asked.attempt) == ("full/2026-01-02/late", 1)


def test_an_object_beyond_the_imports_under_way_fails_and_may_be_announced_again() -> None:
    bench = bench_of(imports=1)
    first = opened(bench, version("full/a"))
    (_, last) = imports(announce(bench, version("full/b")))
    assert (last.state, last.error and last.error.code) == ("failed", codes.IMPORTS_TOO_MANY.code)
    carry_through(bench, first)
    assert len(requests(announce(bench, version("full/b")))) == 1


def test_membership_is_told_what_the_space_may_have() -> None:
    bench = bench_of(layers=5, identities=10)
    (opening, *_) = steps(announce(bench), partition=None)
    assert isinstance(opening, ImportOpenStep)
    assert (opening.layers_max, opening.identities_max) == (5, 4), f"a share of each of {PARTITIONS}, rounded up"
    for operation, allowed in (("add", 4), ("replace", 4), ("remove", None)):
        (patch, *_) = steps(bench.handle(bench.command(f"members.{operation}", NAMED)), partition=None)
        assert isinstance(patch, PatchStep)
        assert patch.identities_max == allowed


def test_whom_membership_has_refused_is_counted_as_rejected() -> None:
    bench = bench_of()
    (said,) = bench.send("members.replace", NAMED | {"identifiers": ["u1", "u2", "u2", "u3", "\n"]}).data
    import_id = str(said["import_id"])
    bench.result(*(applied(import_id, partition, refused=int(partition < 2)) for partition in range(PARTITIONS)))
    last = bench.imports()[import_id]
    assert (last.state, last.rejected_by_code) == ("applied", {"identifier-invalid": 1, "identities-too-many": 2})
    assert (last.counts.rows, last.counts.valid, last.counts.rejected, last.counts.duplicate) == (5, 2, 3, 1)


@pytest.mark.parametrize("code", [codes.LAYERS_TOO_MANY, codes.IDENTITIES_TOO_MANY])
@pytest.mark.parametrize("finished_first", [True, False])
def test_an_import_that_membership_may_not_take_fails_at_once(code: codes.Code, *, finished_first: bool) -> None:
    bench = bench_of()
    import_id = opened(bench)
    outs = finish(bench, import_id) if finished_first else []
    outs += bench.result(msgspec.structs.replace(broken(import_id), code=code.code))
    outs += [] if finished_first else finish(bench, import_id)
    (last,) = imports(outs)
    assert (last.state, last.error and last.error.code, last.attempt) == ("failed", code.code, 1)
    assert {type(one) for one in steps(outs)} == {ImportAbortStep}
    again = announce(bench)
    # What the operator has raised is tried again; what the sender must mend is a new version.
    assert bool(requests(again)) == (code.actor == codes.OPERATOR)
