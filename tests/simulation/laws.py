"""What must hold once usher has come to rest, whatever befell it: the promises of architecture.md §4, seen from outside."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final

from contracts import catalog, codec, codes
from contracts.messages.entities import Activation
from contracts.messages.published import (
    ActivationDifference,
    ActivationMarker,
    ActivationStatus,
    Change,
    Import,
    Snapshot,
)
from contracts.records import Record
from services.tools.audit.audit import TOPICS, Audit
from services.tools.observed import TERMINAL
from tests.simulation.files import Upload
from tests.simulation.replayed import Input, Replay, Rows
from tests.simulation.simulation import SETTINGS, Finished

# What may end an import that nothing is wrong with: its object was gone, or the store was, for all attempts.
EXCUSED: Final = {
    codes.DAY_INVALID.code,
    codes.IMPORT_MARKER_TIMEOUT.code,
    codes.OBJECT_OVERWRITTEN.code,
    codes.OBJECT_UNREADABLE.code,
    codes.READING_LATE.code,
}
_PARTITIONS: Final = SETTINGS.topic_partitions_membership
_WANTED: Final = {
    "audience_entered": {"entered"},
    "audience_exited": {"exited"},
    "audience_membership_changed": {"entered", "exited"},
}


def check(finished: Finished) -> None:
    """Raises `AssertionError` with everything that is wrong."""
    laws = _Laws(finished)
    laws.audit()
    laws.membership()
    laws.commands()
    laws.imports()
    laws.events()
    laws.sets()
    laws.destination()
    laws.dead_letters()
    assert not laws.broken, "\n".join(laws.broken)


class _Laws:
    def __init__(self, finished: Finished) -> None:
        self.broken: list[str] = []
        self._finished = finished
        self._topics = finished.topics
        self._input = Input.of(self._topics[catalog.INPUT], _PARTITIONS)
        self._imports = {one.import_id: one for one in self._newest(catalog.IMPORTS, Import)}
        self._replies = [
            (codec.header(record.headers, "ce_correlationid") or "", codec.decode(record.value or b"", dict[str, Any]))
            for record in self._topics[catalog.REPLIES]
        ]
        self._replays: dict[str, Replay] = {}

    def hold(self, held: bool, otherwise: str) -> None:
        if not held:
            self.broken.append(otherwise)

    def _newest(self, topic: str, kind: Any) -> Iterator[Any]:
        newest = {record.key: record.value for record in self._topics[topic]}
        return (codec.decode(value, kind) for value in newest.values() if value is not None)

    def audit(self) -> None:
        """What any consumer could check."""
        audit = Audit(_PARTITIONS)
        for topic in TOPICS:
            for record in self._topics[topic]:
                audit.take(record)
        self.broken += audit.finish().lines

    def membership(self) -> None:
        """After every step, what the changes add up to is what the naive model makes of the input."""
        changes: defaultdict[tuple[str, int], list[Change]] = defaultdict(list)
        for record in self._topics[catalog.CHANGES]:
            if codec.header(record.headers, "ce_type") in ("audience.entered", "audience.exited"):
                change = codec.decode(record.value or b"", Change)
                changes[change.space_id, change.step].append(change)
        for space in list(self._input.steps):
            replay = self._replays[space] = Replay(self._input)
            actual: defaultdict[str, set[str]] = defaultdict(set)
            for parts in self._input.whole_steps(space):
                replay.take(parts)
                for change in changes.pop((space, parts[0].step), []):
                    if change.change == "entered":
                        actual[change.audience_id].update(change.members)
                    else:
                        actual[change.audience_id].difference_update(change.members)
                expected = {name: members for name, members in replay.members.items() if members}
                if {name: members for name, members in actual.items() if members} != expected:
                    self.broken.append(f"{space}: after {parts[0]} {dict(actual)}, but it is {expected}")
                    break
        self.hold(not changes, f"changes of no step: {sorted(changes)}")

    def commands(self) -> None:
        """Every members item that was accepted became one step and one import, which was applied."""
        replied = Counter(
            item["import_id"] for _, reply in self._unique_replies() for item in _items(reply) if "operation" in item
        )
        patched = sum((replay.patched for replay in self._replays.values()), Counter[str]())
        told = Counter(one.import_id for one in self._imports.values() if one.command_id is not None)
        self.hold(
            replied == patched == told, f"{replied - patched} {patched - replied} {told - patched} {patched - told}"
        )

    def _unique_replies(self) -> Iterator[tuple[str, dict[str, Any]]]:
        seen: set[str] = set()
        for correlation, reply in self._replies:
            if correlation not in seen and reply["status"] == "accepted":
                seen.add(correlation)
                yield correlation, reply

    def imports(self) -> None:
        """Each version that was put came to an end, and what was applied is what the file says."""
        ids = self._ids()
        by_version: defaultdict[tuple[str, str | None], list[Import]] = defaultdict(list)
        for one in self._imports.values():
            self.hold(one.state in TERMINAL, f"{one.import_id} is {one.state}")
            excused = one.error is None or one.error.code in EXCUSED or one.state != "failed"
            self.hold(excused, f"{one.import_id} failed: {one.error}")
            if one.object is not None:
                by_version[one.object.key, one.object.etag].append(one)
        last = {upload.version.key: upload for upload in self._finished.user.uploads}
        for upload in self._finished.user.uploads:
            if upload.file.key.startswith(upload.file.feed.prefix):
                self._upload(
                    upload,
                    by_version[upload.version.key, upload.version.etag],
                    ids,
                    is_last=last[upload.version.key] is upload,
                )

    def _ids(self) -> dict[tuple[str, str], str]:
        """Of audiences, by space and name."""
        return {
            (item["space_id"], item["name"]): item["audience_id"]
            for _, reply in self._unique_replies()
            for item in _items(reply)
            if "created_step" in item
        }

    def _upload(self, upload: Upload, imports: list[Import], ids: dict[tuple[str, str], str], *, is_last: bool) -> None:
        mine = [
            one
            for one in imports
            if one.object is not None and one.object.last_modified_ms == upload.version.last_modified_ms
        ]
        told = is_last or upload.version not in self._finished.user.unannounced
        self.hold(not told or bool(mine if is_last else imports), f"nothing was ever heard of {upload.version}")
        opened = [one for one in mine if one.import_id in self._applied()]
        self.hold(len(opened) <= 1, f"{upload.version} was applied by {[one.import_id for one in opened]}")
        for one in opened:
            self._content(upload, one, ids)

    def _applied(self) -> dict[str, Any]:
        return {key: value for replay in self._replays.values() for key, value in replay.applied.items()}

    def _content(self, upload: Upload, one: Import, ids: dict[Any, str]) -> None:
        _, step = self._applied()[one.import_id]
        rows: Rows = self._input.readings.get((one.import_id, step.reading_id), Counter())
        read = {audience for _, audience in rows}
        wanted: Rows = Counter()
        unknown = 0
        for identity, name in upload.file.rows:
            audience = ids.get((upload.file.feed.space, name), "")
            if audience in read:
                wanted[identity, audience] += 1
            else:
                unknown += 1
        counts = one.counts
        self.hold(rows == wanted, f"{one.import_id}: {rows - wanted} too much, {wanted - rows} missing")
        expected = (len(upload.file.rows) + upload.file.bad, upload.file.bad + unknown, rows.total() - len(rows))
        self.hold(
            (counts.rows, counts.rejected, counts.duplicate) == expected, f"{one.import_id}: {counts}, not {expected}"
        )

    def events(self) -> None:
        """Each event of a topic was taken once, as it says, or is a dead letter."""
        events = [event for records in self._input.events.values() for some in records for event in some]
        taken = {event.source: event for event in events}
        self.hold(len(taken) == len(events), "an event was taken twice")
        letters = {
            (codec.header(one.headers, "dlq-topic"), codec.header(one.headers, "dlq-offset"))
            for one in self._topics[catalog.DEAD_LETTERS]
        }
        for source in self._finished.user.sources.values():
            for record in self._topics[source.topic]:
                event = taken.pop((record.topic, record.partition, record.offset), None)
                if event is None:
                    self.hold((record.topic, str(record.offset)) in letters, f"lost: {record}")
                else:
                    said = codec.decode(record.value or b"", dict[str, str])
                    self.hold((event.identity, event.operation) == (said["id"], said["op"]), f"{event}, but {said}")
        self.hold(not taken, f"events of nowhere: {taken}")

    def sets(self) -> None:
        """What was applied of a marked folder are whole files of it, so many as its import says."""
        for one in self._imports.values():
            folder = "" if one.object is None else one.object.key.rpartition("/")[0] + "/"
            source = self._finished.user.sources.get(one.space_id)
            if source is None or folder not in source.sets or one.import_id not in self._applied():
                continue
            _, step = self._applied()[one.import_id]
            rows: Rows = self._input.readings.get((one.import_id, step.reading_id), Counter())
            read = {audience for _, audience in rows}
            ids = self._ids()
            parts = [
                Counter({(who, ids[one.space_id, name]): n for (who, name), n in part.items()
                         if ids.get((one.space_id, name)) in read})
                for part in source.whole(folder)
            ]  # fmt: skip
            some = combinations(parts, one.objects or 0)
            self.hold(any(sum(chosen, Counter()) == rows for chosen in some), f"{one.import_id}: {rows} of {parts}")

    def destination(self) -> None:
        """The receiver has what it was to be told; where that is all there is, it has the audience."""
        told = _Told()
        for record in self._topics[catalog.CHANGES]:
            told.take(record)
        received = self._finished.receiver.received
        self.hold(received.counters["conflicts"] == 0, f"one id, two contents: {received.counters}")
        for (space, activation_id), members in told.present.items():
            found = set(received.members(activation_id))
            self.hold(
                found == members, f"receiver of {activation_id}: {found - members} too much, lacks {members - found}"
            )
            activation = told.faithful(space, activation_id)
            if activation is not None:
                audience = self._replays[space].members.get(activation.audience_id, set())
                self.hold(
                    found == audience,
                    f"receiver of {activation_id}: {found ^ audience} differ from {activation.audience_id}",
                )
        for status in self._newest(catalog.ACTIVATIONS, ActivationStatus):
            self.hold(status.counters.pending == 0, f"{status.activation_id}: {status.counters} at rest")

    def dead_letters(self) -> None:
        """What was wrong is kept, and nothing else; control keeps each record once."""
        letters = self._topics[catalog.DEAD_LETTERS]
        found = {codec.header(letter.headers, "dlq-code") or "" for letter in letters}
        user = self._finished.user
        due = user.dead_letters_due.union(*(source.wrong for source in user.sources.values()))
        due |= found & {codes.ROW_AUDIENCE_UNKNOWN.code}  # an event may name an audience that is deleted by then
        self.hold(found == due, f"dead letters of {found - due} too much, of {due - found} missing")
        places = Counter(
            tuple(codec.header(letter.headers, f"dlq-{what}") for what in ("topic", "partition", "offset"))
            for letter in letters
            if codec.header(letter.headers, "dlq-service") == "control"
        )
        self.hold(not places or max(places.values()) == 1, f"kept more than once: {places.most_common(3)}")


class _Told:
    """What each activation's destination was to be told, from the changes and markers of one partition after the other."""

    def __init__(self) -> None:
        self.present: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._running: dict[tuple[int, str, str], Activation] = {}
        self._paused: set[tuple[int, str, str]] = set()
        self._wavering: set[tuple[str, str]] = set()

    def take(self, record: Record) -> None:
        kind = codec.header(record.headers, "ce_type") or ""
        if kind.startswith("activation."):
            self._mark(record.partition, codec.decode(record.value or b"", ActivationMarker))
        elif kind == "audience.snapshot":
            said = codec.decode(record.value or b"", Snapshot)
            if said.activation_id is not None:
                self._tell(record.partition, said.space_id, said.activation_id, "entered", said.members)
        elif kind == "audience.difference":
            difference = codec.decode(record.value or b"", ActivationDifference)
            self._tell(
                record.partition, difference.space_id, difference.activation_id, difference.change, difference.members
            )
        else:
            change = codec.decode(record.value or b"", Change)
            for partition, space, activation_id in self._running.keys() - self._paused:
                activation = self._running[partition, space, activation_id]
                if (partition, space, activation.audience_id) == (
                    record.partition,
                    change.space_id,
                    change.audience_id,
                ):
                    self._tell(partition, space, activation_id, change.change, change.members)

    def faithful(self, space: str, activation_id: str) -> Activation | None:
        """The activation where it goes on, whatever befell it, and has always wanted everything."""
        key = 0, space, activation_id
        return None if key in self._paused or (space, activation_id) in self._wavering else self._running.get(key)

    def _mark(self, partition: int, said: ActivationMarker) -> None:
        activation_id = said.activation.activation_id
        key = partition, said.space_id, activation_id
        self.present[said.space_id, activation_id] |= set()
        if said.activation.activation_type != "audience_membership_changed" or not said.activation.perform_resync:
            self._wavering.add((said.space_id, activation_id))
        assert (key in self._running) == (said.marker not in ("started", "forgotten")), said
        if said.marker == "paused":
            self._paused.add(key)
        elif said.marker != "updated":
            self._paused.discard(key)
        if said.marker == "ended":
            del self._running[key]
        elif said.marker != "forgotten":
            self._running[key] = said.activation

    def _tell(self, partition: int, space: str, activation_id: str, change: str, members: list[str]) -> None:
        if change in _WANTED[self._running[partition, space, activation_id].activation_type]:
            present = self.present[space, activation_id]
            (present.update if change == "entered" else present.difference_update)(members)


def _items(reply: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for item in reply.get("data", []) if isinstance(item, dict)]
