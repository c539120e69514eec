"""Laws over random histories: restored anywhere it behaves the same, replayed it makes the same, steps only grow."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import catalog, codec
from contracts.messages.delivery import Delivered, LaneState, Routed, Verification, Verified
from contracts.messages.intake import ObjectAnnounced
from contracts.messages.published import ActivationStatus, Removal
from contracts.messages.results import Applied, Staged, Ticked, Weighed
from contracts.messages.steps import ActivationStep, ImportApplyStep, ImportWeighStep, PatchStep, Step, TickStep
from contracts.records import Out, Record
from tests.unit.domain.control.bench import PARTITIONS, SPACE, Bench, config, decoded, requests, steps
from tests.unit.domain.control.importing import fail, finish, version

NAMES = ("a", "b", "c")
Draw = Callable[[random.Random], tuple[str, dict[str, object]]]

COMMANDS: tuple[Draw, ...] = (
    lambda r: ("audiences.create", {"name": r.choice(NAMES), "id_type": "kuid"}),
    lambda r: ("audiences.create", {"name": r.choice(NAMES), "expression": {"not": {"audience": r.choice(NAMES)}}}),
    lambda r: ("audiences.update", {"audience": r.choice(NAMES), "name": r.choice((*NAMES, "d"))}),
    lambda r: ("audiences.update", {"audience": r.choice(NAMES), "expression": {"audience": r.choice(NAMES)}}),
    lambda r: ("audiences.update", {"audience": r.choice(NAMES), "evaluation": r.choice((None, {"mode": "scheduled", "at": r.choice((["00:00", "12:00"], ["12:00"]))}))}),
    lambda r: ("audiences.run", {"audience": r.choice(NAMES)}),
    lambda r: ("audiences.delete", {"audience": r.choice(NAMES)}),
    lambda r: ("audiences.snapshot", {"audience": r.choice(NAMES)}),
    lambda r: ("feeds.create", {"id": f"f{r.randrange(3)}", "name": r.choice(NAMES), "mode": "replace", "id_type": "kuid", "source": {"kind": "s3", "prefix": f"p{r.randrange(3)}/"}, "remove_share_max": r.choice((None, 0.1, 0.1, 0.1))}),
    lambda r: ("feeds.create", {"id": f"f{r.randrange(3)}", "name": r.choice(NAMES), "mode": "append", "lookback_days": r.randrange(1, 9), "id_type": "kuid", "source": {"kind": "s3", "prefix": f"p{r.randrange(3)}/"}}),
    lambda r: ("feeds.update", {"feed": r.choice(NAMES), "process_at": r.choice(("07:00", "19:00"))}),
    lambda r: ("feeds.update", {"feed": r.choice(NAMES), "process_at": None, "complete_on": r.choice(("object", {"marker": "_OK", "timeout_seconds": r.choice((60, 86_400))}))}),
    lambda r: ("feeds.delete", {"feed": r.choice(NAMES)}),
    lambda r: ("members.add", {"audience": r.choice(NAMES), "identifiers": [f"u{r.randrange(9)}", "\x00"]}),
    lambda r: ("members.replace", {"audience": r.choice(NAMES), "identifiers": ["u1"]}),
    lambda r: ("clock.advance", {"to": f"2026-0{r.randrange(1, 4)}-1{r.randrange(10)}"}),
    lambda r: ("destinations.create", {"name": r.choice(NAMES), "connector": "webhook", "settings": {"url": "u"}}),
    lambda r: ("destinations.delete", {"name": r.choice(NAMES)}),
    lambda r: ("destinations.verify", {"name": r.choice(NAMES)}),
    lambda r: ("connections.delete", {"id": r.choice(NAMES)}),
    lambda r: ("activations.create", {"name": r.choice(NAMES), "audience": r.choice(NAMES), "destination": r.choice(NAMES), "start_date": r.choice((None, "2026-02-01"))}),
    lambda r: ("activations.update", {"activation": r.choice(NAMES), "enabled": r.random() < 0.5}),
    lambda r: ("activations.delete", {"activation": r.choice(NAMES)}),
    lambda r: ("spaces.update", {"name": r.choice(NAMES)}),
    lambda r: ("spaces.delete", {}),
    lambda r: ("spaces.create", {"clock": r.choice(("manual", "system"))}),
)  # fmt: skip


class Mute(Bench):
    """Makes records and tells no shard of them."""

    def __init__(self, offsets: Iterator[int]) -> None:
        super().__init__()
        self.offsets = offsets
        self.said: list[Record] = []

    def handle(self, *records: Record) -> list[Out]:
        self.said += records
        return []


@dataclass
class World:
    """What the rest of usher would say next, drawn from what control has written."""

    random: random.Random
    bench: Bench
    pending: list[Record] = field(default_factory=list)
    log: list[tuple[int, list[Record]]] = field(default_factory=list)
    outs: list[list[Out]] = field(default_factory=list)

    def turn(self) -> None:
        """One transaction: some commands, some answers, some time."""
        self.bench.now_ms += self.random.choice((0, 1, 1_000, 400_000, 90_000_000))
        self.take([self._said() for _ in range(self.random.randrange(4))])

    def take(self, records: list[Record]) -> None:
        """One transaction with these records."""
        self.log.append((self.bench.now_ms, records))
        outs = self.bench.handle(*records)
        self.outs.append(outs)
        self._answer(outs)

    def _decision(self) -> Record:
        """On what is held, or on something else."""
        imports = [*self.bench.imports().values()]
        held = [one.import_id for one in imports if one.state == "held"] or [one.import_id for one in imports[:1]]
        verb = self.random.choice(("approve", "reject"))
        return self.bench.command(f"imports.{verb}", {"import": self.random.choice([*held, "imp"])})

    def _said(self) -> Record:
        if self.pending and self.random.random() < 0.6:
            at = self.random.randrange(len(self.pending))
            return self.pending[at] if self.random.random() < 0.1 else self.pending.pop(at)
        if self.random.random() < 0.3:
            return self._announced()
        if self.random.random() < 0.1:
            return self._decision()
        drawn = [self.random.choice(COMMANDS)(self.random) for _ in range(self.random.randrange(1, 3))]
        type_ = drawn[0][0]
        items = [item for kind, item in drawn if kind == type_]
        return self.bench.command(
            type_, *items, id_=f"c{self.random.randrange(60)}", validate_only=self.random.random() < 0.1
        )

    def _announced(self) -> Record:
        name = self.random.choice(("a", "b", "_OK"))
        key = f"p{self.random.randrange(3)}/2026-01-0{self.random.randrange(1, 4)}/{name}"
        event = ObjectAnnounced(
            space_id=SPACE,
            feed_id=f"f{self.random.randrange(3)}",
            object=version(key, etag=self.random.choice("ef")),
            event_time_ms=self.bench.now_ms - self.random.randrange(3),
            code=self.random.choice((*[None] * 14, "object-gone", "object-overwritten")),
        )
        return self.bench.record(catalog.INTAKE_EVENTS, codec.encode(event), key=SPACE.encode())

    def _answer(self, outs: list[Out]) -> None:
        scratch = Mute(self.bench.offsets)
        for asked in requests(outs):
            if self.random.random() < 0.3:
                fail(scratch, asked.import_id, attempt=asked.attempt)
            else:
                named = tuple(key.rsplit("/")[-1] for key in sorted(self.bench.catalogue) if "/audience/" in key)
                finish(
                    scratch,
                    asked.import_id,
                    reading=f"r{asked.attempt}",
                    attempt=asked.attempt,
                    audiences=named[: self.random.randrange(3)],
                )
                scratch.result(*(_staged(asked.import_id, n, f"r{asked.attempt}") for n in range(PARTITIONS)))
        for out in outs:
            if out.topic == catalog.INPUT:
                assert out.partition is not None
                self._answer_step(scratch, decoded(out, Step), out.partition)
            elif out.topic == catalog.VERIFICATIONS:
                self._answer_question(scratch, decoded(out, Verification))
        self.pending += scratch.said

    def _answer_step(self, scratch: Bench, step: Step, partition: int) -> None:
        where = {"space_id": SPACE, "partition": partition, "partitions": PARTITIONS}
        match step:
            case TickStep():
                scratch.result(Ticked(**where, step=step.step, at_ms=step.at_ms))  # type: ignore[arg-type]  # a test's table
            case ImportWeighStep():
                removals = {name: Removal(removes=self.random.randrange(9), size=9) for name in step.audiences}
                scratch.result(Weighed(**where, import_id=step.import_id, step=step.step, removals=removals))  # type: ignore[arg-type]  # a test's table
            case ImportApplyStep() | PatchStep():
                scratch.result(Applied(**where, import_id=step.import_id, step=step.step, entered=1, exited=0))  # type: ignore[arg-type]  # a test's table
            case ActivationStep():
                self._answer_marker(scratch, step, partition)

    def _answer_question(self, scratch: Bench, asked: Verification) -> None:
        about = {"verification_id": asked.verification_id, "destination_id": asked.destination_id}
        code = self.random.choice((None, "delivery-authentication"))
        said = Verified(space_id=SPACE, **about, code=code, latency_ms=7, at="2026-01-01T00:00:00.000Z")
        scratch.handle(scratch.record(catalog.OUTCOMES, codec.encode(said), key=SPACE.encode()))

    def _answer_marker(self, scratch: Bench, step: ActivationStep, partition: int) -> None:
        about = {"space_id": SPACE, "activation_id": step.activation.activation_id, "partition": partition}
        through = step.step * 10
        ended_step = step.step if step.marker == "ended" else 0
        for outcome in (
            Routed(**about, through_offset=through, changes=2, dropped=1, ended_step=ended_step),  # type: ignore[arg-type]  # a test's table
            Delivered(**about, queue=step.queue, through_offset=through, delivered=1, merged=0, dead_lettered=0, uploads=1, at="2026-01-01T00:00:00.000Z"),  # type: ignore[arg-type]  # a test's table
            LaneState(space_id=SPACE, destination_id=step.activation.destination_id, queue=step.queue, partition=partition, state=self.random.choice(("delivering", "parked")), at="2026-01-01T00:00:00.000Z"),
        ):  # fmt: skip
            scratch.handle(scratch.record(catalog.OUTCOMES, codec.encode(outcome), key=SPACE.encode()))


def _staged(import_id: str, partition: int, reading: str) -> Staged:
    return Staged(
        space_id=SPACE,
        partition=partition,
        partitions=PARTITIONS,
        import_id=import_id,
        reading_id=reading,
        rows=3,
        distinct=2,
    )


def lived(seed: int, turns: int = 60) -> World:
    """A random history."""
    bench = Bench(configured=config(objects_max=5, replies_max=8))
    world = World(random.Random(seed), bench)
    clock = world.random.choice(("manual", "system"))
    begin = [bench.command("spaces.create", {"clock": clock}, id_="begin")]
    begin.append(
        bench.command("audiences.create", *({"name": name, "id_type": "kuid"} for name in "ab"), id_="begin-a")
    )
    begin += [
        bench.command(*COMMANDS[n](world.random), id_=f"begin-{n}-{times}") for n in (8, 9, 16) for times in (1, 2)
    ]
    world.take(begin)
    for _ in range(turns):
        world.turn()
    return world


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_restored_anywhere_it_behaves_as_the_one_that_kept_running(seed: int) -> None:
    world = lived(seed)
    twin = Bench(configured=world.bench.config)
    for number, (now_ms, records) in enumerate(world.log):
        twin = twin.restart()
        twin.now_ms = now_ms
        assert twin.handle(*records) == world.outs[number], f"transaction {number}"
        assert twin.shard.due_ms() == twin.restart().shard.due_ms()
    assert (twin.catalogue, twin.state) == (world.bench.catalogue, world.bench.state)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_replaying_the_log_into_an_empty_shard_makes_the_same(seed: int) -> None:
    world = lived(seed)
    twin = Bench(configured=world.bench.config)

    for now_ms, records in world.log:
        twin.now_ms = now_ms
        for record in records:  # cut into other batches
            twin.handle(record)
        twin.handle()

    assert twin.catalogue.keys() == world.bench.catalogue.keys()
    assert twin.catalogue == world.bench.catalogue
    assert steps(twin.outs, None) == steps(world.bench.outs, None)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_steps_grow_by_one_and_are_the_same_on_all_partitions(seed: int) -> None:
    world = lived(seed)
    by_step: dict[int, dict[int, Step]] = defaultdict(dict)
    last = [0] * PARTITIONS
    last_ms = 0
    for out in world.bench.outs:
        if out.topic != catalog.INPUT:
            continue
        step = decoded(out, Step)
        assert out.partition is not None
        assert step.step > last[out.partition]
        assert step.at_ms >= last_ms
        last[out.partition], last_ms = step.step, step.at_ms
        by_step[step.step][out.partition] = step
    assert sorted(by_step) == list(range(1, len(by_step) + 1))
    for written in by_step.values():
        first, *others = written.values()
        if isinstance(first, PatchStep) and first.operation in ("add", "remove"):
            continue
        assert set(written) == set(range(PARTITIONS))
        assert isinstance(first, PatchStep) or all(other == first for other in others)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_counts_add_up_and_what_is_kept_stays_bounded(seed: int) -> None:
    world = lived(seed)
    for record in world.bench.imports().values():
        counts = record.counts
        assert counts.rows == counts.valid + counts.rejected
        assert counts.duplicate <= counts.valid
    kinds = [key.split("/")[1] for key in world.bench.state]
    assert kinds.count("object") <= 5
    assert kinds.count("reply") <= 8


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_activation_counters_obey_conservation(seed: int) -> None:
    """In every status that is published: each change is done in exactly one way, or pending."""
    told = [decoded(out, ActivationStatus) for out in lived(seed).bench.outs if out.topic == catalog.ACTIVATIONS]
    for counted in (status.counters for status in told):
        done = counted.dropped + counted.merged + counted.delivered + counted.dead_lettered
        assert counted.changes == done + counted.pending


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_command_is_answered_once(seed: int) -> None:
    world = lived(seed)
    asked = sum(1 for _, records in world.log for record in records if record.topic == catalog.COMMANDS)
    waiting = [key for key in world.bench.state if "/advance/" in key or "/verifying/" in key]
    answered = [out for out in world.bench.outs if out.topic == catalog.REPLIES]

    # A repeated command that still waits is answered together with the first.
    assert len(answered) <= asked
    assert waiting or len(answered) > asked // 2


def test_the_histories_are_worth_it() -> None:
    worlds = [lived(seed) for seed in range(25)]
    written = {type(step).__name__ for world in worlds for step in steps(world.bench.outs)}
    states = {record.state for world in worlds for record in world.bench.imports().values()}
    kinds = {key.split("/")[1] for world in worlds for outs in world.outs for key in (str(out.key) for out in outs if out.topic == catalog.CONTROL_STATE)}  # fmt: skip

    assert written >= {"DefinitionStep", "PatchStep", "ImportOpenStep", "ImportWeighStep", "ImportApplyStep", "ImportAbortStep", "TickStep", "RunStep", "ActivationStep", "SnapshotStep"}  # fmt: skip
    assert states >= {"applied", "duplicate", "staged", "reading", "failed", "held", "aborted", "waiting"}
    assert kinds >= {"counters", "gone", "import", "object", "reply", "advance", "verifying", "delivering", "lanes"}
