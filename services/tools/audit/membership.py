"""The laws of changes, sizes and compositions, folded over the changes of all partitions."""

from collections import defaultdict
from collections.abc import Mapping

from contracts import codec
from contracts.messages.entities import Audience, Expression
from contracts.messages.published import ActivationDifference, Change, Size, Snapshot
from contracts.partitioning import member_partition
from contracts.records import Record
from services.tools.audit.report import Report

MEMBERS_MAX = 1000
_ADDRESSED: dict[str, type[Snapshot] | type[ActivationDifference]] = {
    "audience.snapshot": Snapshot,
    "audience.difference": ActivationDifference,
}
Place = tuple[str, str]  # space, audience


class Membership:
    """Folds changes; one set of members for each audience and partition."""

    def __init__(self, partitions: int, report: Report) -> None:
        self._partitions = partitions
        self._report = report
        self._present: defaultdict[Place, dict[int, set[str]]] = defaultdict(dict)
        self._ever: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._ids: set[str] = set()
        self._steps: dict[tuple[str, int], int] = {}
        self._sizes: dict[tuple[str, str, int], Size] = {}
        self.by_cause: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])

    def change(self, record: Record) -> Change | Snapshot | ActivationDifference | None:
        """Takes one record of the changes topic; markers and unknown types give None."""
        kind = codec.header(record.headers, "ce_type") or ""
        at = f"{record.topic}/{record.partition}@{record.offset}"
        if kind not in {"audience.entered", "audience.exited", *_ADDRESSED} or record.value is None:
            return None
        change_id = codec.header(record.headers, "ce_id") or ""
        self._report.hold(
            "change-id", f"{change_id!r} again at {at}", held=bool(change_id) and change_id not in self._ids
        )
        self._ids.add(change_id)
        if kind in _ADDRESSED:
            return codec.decode(record.value, _ADDRESSED[kind])
        change = codec.decode(record.value, Change)
        self._form(record, kind, change, at)
        self._order(record, change, at)
        self._fold(record, change, at)
        return change

    def _form(self, record: Record, kind: str, change: Change, at: str) -> None:
        agree = (
            kind == f"audience.{change.change}"
            and codec.header(record.headers, "ce_spaceid") == change.space_id
            and codec.header(record.headers, "ce_subject") == change.audience_id
            and 1 <= len(change.members) <= MEMBERS_MAX
        )
        self._report.hold(
            "change-form", f"{at}: {len(change.members)} members, headers and value agree: {agree}", held=agree
        )

    def _order(self, record: Record, change: Change, at: str) -> None:
        key = (change.space_id, record.partition)
        self._report.hold("step-order", f"{at}: step {change.step} after {self._steps.get(key)}",
                          held=change.step >= self._steps.get(key, 0))  # fmt: skip
        self._steps[key] = max(change.step, self._steps.get(key, 0))

    def _fold(self, record: Record, change: Change, at: str) -> None:
        present = self._present[change.space_id, change.audience_id].setdefault(record.partition, set())
        members = set(change.members)
        entered = change.change == "entered"
        wrong = len(change.members) - len(members) + len(members & present if entered else members - present)
        if wrong:
            self._report.broke("alternation", f"{at}: {wrong} members {change.change} {change.audience_id} twice over")
        else:
            self._report.ok("alternation", len(members))
        if entered:
            self._homes(record, members, at)
            present |= members
            self._ever[change.space_id, change.id_type] |= members
        else:
            present -= members
        if change.cause.kind in {"import", "members"}:
            self.by_cause[change.space_id, change.cause.id][0 if entered else 1] += len(change.members)

    def _homes(self, record: Record, members: set[str], at: str) -> None:
        astray = sum(member_partition(member, self._partitions) != record.partition for member in members)
        if astray:
            self._report.broke("home-partition", f"{at}: {astray} members belong elsewhere")
        else:
            self._report.ok("home-partition", len(members))

    def size(self, record: Record) -> None:
        """Takes one record of the sizes topic; the last one of a key counts."""
        space, audience, partition = (record.key or b"//-1").decode().split("/")
        if record.value is None:
            self._sizes.pop((space, audience, int(partition)), None)
        else:
            self._sizes[space, audience, int(partition)] = codec.decode(record.value, Size)

    def finish(self, audiences: Mapping[Place, Audience]) -> None:
        """What can be judged only at the end: sizes and compositions."""
        said = {(space, audience, partition) for space, audience, partition in self._sizes}
        held = {(*place, partition) for place, parts in self._present.items() for partition in parts}
        for space, audience, partition in sorted(said | held):
            folded = len(self._present[space, audience].get(partition, ()))
            size = self._sizes.get((space, audience, partition))
            right = (size.size if size else 0) == folded and (size is None or size.partitions == self._partitions)
            self._report.hold(
                "size", f"{space}/{audience}/{partition} says {size and size.size}, folds to {folded}", held=right
            )
        for place, form in sorted(audiences.items(), key=lambda item: item[0]):
            if form.expression is not None and form.evaluation.mode == "continuous":
                astray = len(self._evaluate(form, form.expression) ^ self._members(place))
                self._report.hold("composition", f"{'/'.join(place)}: {astray} members differ", held=not astray)

    def _members(self, place: Place) -> set[str]:
        return set().union(*self._present[place].values()) if place in self._present else set()

    def _evaluate(self, audience: Audience, node: Expression) -> set[str]:
        if node.audience is not None:
            return self._members((audience.space_id, node.audience))
        if node.and_ is not None:
            return set.intersection(*(self._evaluate(audience, part) for part in node.and_))
        if node.or_ is not None:
            return set().union(*(self._evaluate(audience, part) for part in node.or_))
        assert node.not_ is not None
        return self._ever[audience.space_id, audience.id_type] - self._evaluate(audience, node.not_)
