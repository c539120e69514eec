"""Laws of the delivery half over random histories: a receiver's state equals the membership, and the counters add up.

Membership, control's folding of outcomes and the receiver are naive models of a few lines; the router, the merging, the
cutting and the ledger are the real ones, with batches cut at random and lanes that crash before they commit.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import catalog, codec, codes
from contracts.messages.delivery import Delivered, Delivery, Routed
from contracts.records import Out, Record
from services.domain.delivery.answers import DELIVERED, Fate, Verdict
from services.domain.delivery.ledger import Ledger
from services.domain.delivery.merge import Item, collapse, cut
from services.domain.delivery.router import RouterPartition
from tests.unit.domain.delivery.making import QUEUE, activation, change, marker, read, snapshot

REFUSED = Verdict(Fate.REFUSED, codes.DELIVERY_PERMANENT, "the destination answered 400")
MEMBERS = "abcdef"
TYPES = {"act_1": "audience_membership_changed", "act_2": "audience_entered", "act_3": "audience_membership_changed"}


@dataclass
class Membership:
    """One partition's audience, and the log of its changes."""

    partition: int
    members: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)
    log: list[Record] = field(default_factory=list)

    def do(self, word: str, names: Sequence[str]) -> None:
        offset = len(self.log) * 2  # offsets have gaps wherever transactions end
        if word in TYPES:
            if word not in self.running:
                self.running.add(word)
                self.log.append(
                    marker(offset, "started", activation(word, activation_type=TYPES[word]), partition=self.partition)
                )
                if self.members:
                    self.log.append(
                        snapshot(offset + 1, sorted(self.members), activation_id=word, partition=self.partition)
                    )
            return
        touched = set(names) - self.members if word == "entered" else set(names) & self.members
        if touched:
            self.members = self.members | touched if word == "entered" else self.members - touched
            self.log.append(change(offset, word, sorted(touched), partition=self.partition))


class Receiver:
    """Applies what arrives by sequence, for each activation and identity."""

    def __init__(self) -> None:
        self.state: dict[tuple[str, str], tuple[int, str]] = {}
        self.contents: dict[str, tuple[str, tuple[str, ...]]] = {}

    def take(self, items: Sequence[Item]) -> None:
        for item in items:
            said = (item.delivery.operation, tuple(item.members))
            assert self.contents.setdefault(item.id, said) == said, "an id with two contents"
            for member in item.members:
                key = (item.delivery.activation_id, member)
                if self.state.get(key, (-1, ""))[0] < item.delivery.sequence:
                    self.state[key] = (item.delivery.sequence, item.delivery.operation)

    def members(self, activation_id: str) -> set[str]:
        return {
            member for (of, member), (_, operation) in self.state.items() if (of, operation) == (activation_id, "add")
        }


class Control:
    """Folds outcomes by watermark."""

    def __init__(self) -> None:
        self.counted: dict[tuple[str, str, int], int] = {}
        self.counters: dict[str, Counter[str]] = {name: Counter() for name in TYPES}

    def fold(self, outcome: Routed | Delivered) -> None:
        source = (type(outcome).__name__, outcome.activation_id, outcome.partition)
        if outcome.through_offset <= self.counted.get(source, 0):
            return
        self.counted[source] = outcome.through_offset
        of = self.counters[outcome.activation_id]
        if isinstance(outcome, Routed):
            of.update(changes=outcome.changes, dropped=outcome.dropped)
        else:
            of.update(delivered=outcome.delivered, merged=outcome.merged, dead=outcome.dead_lettered)

    def pending(self, activation_id: str) -> int:
        of = self.counters[activation_id]
        return of["changes"] - of["dropped"] - of["delivered"] - of["merged"] - of["dead"]


def route(log: Sequence[Record], partition: int, cuts: Sequence[int], control: Control) -> list[Out]:
    """All batches of one changes partition through a router; its deliveries."""
    router = RouterPartition(
        partition,
        running=(),
        queue_partitions=1,
        outcome_partitions=1,
        refuse=lambda record, detail: Out(topic=catalog.DEAD_LETTERS, key=None, value=record.value),
    )
    sent: list[Out] = []
    start, sizes = 0, iter(cuts)
    while start < len(log):
        size = next(sizes, len(log))
        for out in router.handle(log[start : start + size], 0):
            assert isinstance(out, Out)
            if out.topic == catalog.queue_topic(QUEUE):
                sent.append(out)
            elif out.topic == catalog.OUTCOMES:
                control.fold(codec.decode(out.value or b"", Routed))
        start += size
    return sent


def deliver(
    records: Sequence[Record], members_max: int, receiver: Receiver, refused: Sequence[bool]
) -> list[Delivered]:
    """One batch of a lane; `refused[n]` says that request n was refused for good."""
    kept = collapse([codec.decode(record.value or b"", Delivery) for record in records])
    sent = Counter((one.delivery.activation_id, member) for one in kept for member in one.members)
    assert set(sent.values()) <= {1}, "a connector would meet an identity twice"
    ledger = Ledger(records, kept)
    for number, items in enumerate(cut(kept, members_max)):
        bad = number < len(refused) and refused[number]
        if not bad:
            receiver.take(items)
        ledger.uploaded(items)
        for item in items:
            ledger.settle(item, REFUSED if bad else DELIVERED)
    return list(ledger.outcomes(QUEUE, 0))


words = st.sampled_from(["entered", "entered", "exited", *TYPES])
acts = st.lists(st.tuples(st.integers(0, 1), words, st.text(MEMBERS, max_size=3)), max_size=40)
batches = st.lists(
    st.tuples(st.integers(1, 6), st.booleans(), st.booleans(), st.lists(st.booleans(), max_size=3)), max_size=60
)


def play(
    history: list[tuple[int, str, str]],
    cuts: list[int],
    lane: list[tuple[int, bool, bool, list[bool]]],
    *,
    members_max: int,
    refuse: bool,
) -> tuple[list[Membership], Receiver, Control]:
    """The whole way of a history. A lane batch is (size, dies before its outcomes, dies before its commit, refusals)."""
    partitions = [Membership(0), Membership(1)]
    for partition, word, names in history:
        # An identity lives on one partition only.
        partitions[partition].do(word, [f"{name}{partition}" for name in names])
    receiver, control = Receiver(), Control()
    outs = [out for each in partitions for out in route(each.log, each.partition, cuts, control)]
    queue = [read(out, offset) for offset, out in enumerate(outs)]
    committed, plan = 0, iter(lane)
    while committed < len(queue):
        size, dies_early, dies_late, refusals = next(plan, (len(queue), False, False, []))
        taken = queue[committed : committed + size]
        outcomes = deliver(taken, members_max, receiver, refusals if refuse else [])
        if dies_early:
            continue
        for outcome in outcomes:
            control.fold(outcome)
        assert all(control.pending(name) >= 0 for name in TYPES)
        committed += 0 if dies_late else len(taken)
    return partitions, receiver, control


@settings(max_examples=300)
@given(acts, st.lists(st.integers(1, 5), max_size=20), batches, st.integers(1, 4))
def test_a_receiver_that_applies_by_sequence_has_the_membership(
    history: list[tuple[int, str, str]],
    cuts: list[int],
    lane: list[tuple[int, bool, bool, list[bool]]],
    members_max: int,
) -> None:
    partitions, receiver, control = play(history, cuts, lane, members_max=members_max, refuse=False)
    for name, activation_type in TYPES.items():
        present = {member for each in partitions if name in each.running for member in each.members}
        if activation_type == "audience_membership_changed":
            assert receiver.members(name) == present
        else:
            assert receiver.members(name) >= present
        assert control.pending(name) == 0


@settings(max_examples=300)
@given(acts, st.lists(st.integers(1, 5), max_size=20), batches, st.integers(1, 4))
def test_counters_obey_conservation_whatever_is_refused_and_wherever_lanes_die(
    history: list[tuple[int, str, str]],
    cuts: list[int],
    lane: list[tuple[int, bool, bool, list[bool]]],
    members_max: int,
) -> None:
    _, _, control = play(history, cuts, lane, members_max=members_max, refuse=True)
    assert [control.pending(name) for name in TYPES] == [0, 0, 0]
