"""One partition against a naive model: what is visible after any history of transactions, compaction and deletion."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.records import Out, TopicPartition
from services.adapters.memory.partition import PartitionLog, Transaction
from services.runtime.failures import OffsetLost

Action = tuple[str, int]
ACTIONS = st.lists(
    st.tuples(st.sampled_from(["plain", "write", "commit", "abort"]), st.integers(0, 2)), min_size=1, max_size=40
)


@dataclass
class Model:
    """Each offset's writer (None: no transaction; "marker") and each writer's fate."""

    writers: list[int | str | None] = field(default_factory=list)
    fates: dict[int, str] = field(default_factory=dict)

    def visible(self) -> list[int]:
        stable = self.last_stable()
        return [
            offset
            for offset, writer in enumerate(self.writers[:stable])
            if writer is None or (isinstance(writer, int) and self.fates[writer] == "committed")
        ]

    def last_stable(self) -> int:
        hidden = [
            offset
            for offset, writer in enumerate(self.writers)
            if isinstance(writer, int) and self.fates[writer] == "open"
        ]
        return min(hidden, default=len(self.writers))


def out(key: int) -> Out:
    return Out("topic", bytes([key]), b"value")


def played(actions: list[Action]) -> tuple[PartitionLog, Model]:
    """The same history on both. Slots 0 to 2 are producers, each with at most one open transaction."""
    log, model = PartitionLog(TopicPartition("topic", 0)), Model()
    open_ones: dict[int, tuple[int, Transaction]] = {}
    for action, slot in actions:
        if action == "plain":
            log.append(out(slot), 0, None)
            model.writers.append(None)
        elif action == "write":
            number, transaction = open_ones.setdefault(slot, (len(model.fates), Transaction()))
            model.fates[number] = "open"
            log.append(out(slot), 0, transaction)
            model.writers.append(number)
        elif slot in open_ones:
            number, transaction = open_ones.pop(slot)
            transaction.settle(commit=action == "commit")
            model.fates[number] = "committed" if action == "commit" else "aborted"
            model.writers.append("marker")
    return log, model


@given(ACTIONS)
def test_a_committed_reader_sees_what_the_model_says(actions: list[Action]) -> None:
    log, model = played(actions)
    assert (log.end, log.last_stable) == (len(model.writers), model.last_stable())
    records, position = log.read(0, 1000, committed_only=True)
    assert [record.offset for record in records] == model.visible()
    assert position == model.last_stable()


@given(ACTIONS, st.integers(1, 5))
def test_reading_in_bits_is_reading_whole(actions: list[Action], records_max: int) -> None:
    log, _ = played(actions)
    for committed_only in (True, False):
        whole, end = log.read(0, 1000, committed_only=committed_only)
        found, position = log.read(0, records_max, committed_only=committed_only)
        while position < end:
            assert len(found) > 0
            more, next_position = log.read(position, records_max, committed_only=committed_only)
            assert next_position > position
            found, position = found + more, next_position
        assert found == whole


@given(ACTIONS)
def test_compaction_keeps_the_last_of_each_key_and_all_offsets(actions: list[Action]) -> None:
    log, _ = played(actions)
    before, end = log.read(0, 1000, committed_only=True)
    log.compact()
    after, end_after = log.read(0, 1000, committed_only=True)
    assert after == sorted({record.key: record for record in before}.values(), key=lambda record: record.offset)
    assert (log.begin, end_after) == (0, end)


@given(ACTIONS, st.integers(0, 50))
def test_deletion_loses_what_is_before_and_nothing_else(actions: list[Action], before: int) -> None:
    log, _ = played(actions)
    whole, _ = log.read(0, 1000, committed_only=False)
    log.delete_before(before)
    assert log.begin == min(before, log.end)
    assert log.read(log.begin, 1000, committed_only=False)[0] == [one for one in whole if one.offset >= before]
    if log.begin > 0:
        with pytest.raises(OffsetLost):
            log.read(log.begin - 1, 1, committed_only=False)
