"""One audit: every record of the public topics in, a report out."""

from collections import defaultdict
from typing import Final

from contracts import catalog, codec, codes
from contracts.messages.entities import Audience
from contracts.messages.published import (
    ActivationDifference,
    ActivationMarker,
    ActivationStatus,
    Change,
    Import,
    Snapshot,
)
from contracts.records import Record
from services.tools.audit.membership import Membership, Place
from services.tools.audit.report import Report

TOPICS: Final = (
    catalog.CATALOGUE,
    catalog.COMMANDS,
    catalog.REPLIES,
    catalog.CHANGES,
    catalog.SIZES,
    catalog.IMPORTS,
    catalog.ACTIVATIONS,
    catalog.DEAD_LETTERS,
)
IMPORT_STATES: Final = frozenset(
    {"announced", "waiting", "reading", "staged", "held", "applied", "duplicate", "superseded", "aborted", "failed"}
)
_DLQ_HEADERS: Final = ("dlq-code", "dlq-detail", "dlq-topic", "dlq-partition", "dlq-offset", "dlq-service")


class Audit:
    """Take every record of `TOPICS` from the beginning, those of one partition in order, then `finish`."""

    def __init__(self, partitions: int) -> None:
        self.report = Report()
        self._membership = Membership(partitions, self.report)
        self._audiences: dict[Place, Audience] = {}
        self._names: dict[tuple[str, str, str], str] = {}
        self._entities: dict[str, tuple[str, str, str]] = {}
        self._imports: dict[tuple[str, str], Import] = {}
        self._activations: dict[tuple[str, str], ActivationStatus] = {}
        self._running: defaultdict[int, dict[tuple[str, str], str]] = defaultdict(dict)
        self._counted: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._commands: dict[tuple[str, str], str] = {}
        self._replies: defaultdict[tuple[str, str], set[bytes]] = defaultdict(set)

    def take(self, record: Record) -> None:
        """One record of one of `TOPICS`."""
        match record.topic:
            case catalog.CHANGES:
                self._change(record)
            case catalog.SIZES:
                self._membership.size(record)
            case catalog.CATALOGUE:
                self._entity(record)
            case catalog.IMPORTS if record.value is not None:
                one = codec.decode(record.value, Import)
                self._imports[one.space_id, one.import_id] = one
            case catalog.ACTIVATIONS if record.value is not None:
                status = codec.decode(record.value, ActivationStatus)
                self._activations[status.space_id, status.activation_id] = status
            case catalog.COMMANDS:
                self._command(record)
            case catalog.REPLIES:
                self._reply(record)
            case catalog.DEAD_LETTERS:
                self._dead_letter(record)
            case _:
                pass

    def finish(self) -> Report:
        """Judges what can be judged only at the end."""
        self._membership.finish(self._audiences)
        for one in self._imports.values():
            self._import(one)
        for place, status in self._activations.items():
            self._activation(place, status)
        for command, at in self._commands.items():
            replies = self._replies.get(command, set())
            self.report.hold(
                "reply", f"{at}: {len(replies)} different replies to {command[1]!r}", held=len(replies) == 1
            )
        return self.report

    def _change(self, record: Record) -> None:
        running = self._running[record.partition]
        kind = codec.header(record.headers, "ce_type") or ""
        if kind.startswith("activation.") and record.value is not None:
            marker = codec.decode(record.value, ActivationMarker)
            key = (marker.space_id, marker.activation.activation_id)
            if marker.marker in ("started", "resumed", "paused"):
                running[key] = marker.activation.audience_id
            elif marker.marker in ("waiting", "ended"):
                running.pop(key, None)
            return
        change = self._membership.change(record)
        if isinstance(change, Snapshot | ActivationDifference) and change.activation_id is not None:
            self._counted[change.space_id, change.activation_id] += len(change.members)
        elif isinstance(change, Change):
            for (space, activation), audience in running.items():
                if (space, audience) == (change.space_id, change.audience_id):
                    self._counted[space, activation] += len(change.members)

    def _entity(self, record: Record) -> None:
        key = (record.key or b"").decode()
        if (old := self._entities.pop(key, None)) is not None:
            self._names.pop(old, None)
        space, kind, entity_id = key.split("/", 2)
        if record.value is None:
            self._audiences.pop((space, entity_id), None)
            return
        form = codec.decode(record.value, dict[str, object])
        named = (space, kind, str(form["name"]))
        self.report.hold(
            "name-unique", f"{key}: {named[2]!r} is {self._names.get(named)}", held=named not in self._names
        )
        self._names[named] = entity_id
        self._entities[key] = named
        if kind == "audience":
            self._audiences[space, entity_id] = codec.decode(record.value, Audience)

    def _import(self, one: Import) -> None:
        at, counts = f"{one.space_id}/{one.import_id}", one.counts
        self.report.hold("import-state", f"{at}: {one.state!r}", held=one.state in IMPORT_STATES)
        if one.error is not None:
            self._code(one.error.code, at)
        for code in one.rejected_by_code:
            self._code(code, at)
        adds = counts.rows == counts.valid + counts.rejected and 0 <= counts.duplicate <= counts.valid
        self.report.hold("import-adds-up", f"{at}: {counts}", held=adds)
        entered, exited = self._membership.by_cause.get((one.space_id, one.import_id), [0, 0])
        if one.state == "applied":
            self.report.hold("import-changes", f"{at}: changes say {entered} entered, {exited} exited; {counts}",
                             held=(counts.entered, counts.exited) == (entered, exited))  # fmt: skip

    def _activation(self, place: tuple[str, str], status: ActivationStatus) -> None:
        c, at = status.counters, "/".join(place)
        parts = (c.dropped, c.merged, c.delivered, c.dead_lettered, c.pending)
        self.report.hold("activation-adds-up", f"{at}: {c}", held=c.changes == sum(parts) and min(parts) >= 0)
        logged = self._counted[place]
        held_back = status.state == "waiting-for-minimum" and logged <= c.changes  # counted, and not yet in the log
        self.report.hold("activation-counts-changes", f"{at}: counted {c.changes}, the log has {logged}",
                         held=c.changes == logged or held_back)  # fmt: skip

    def _command(self, record: Record) -> None:
        if codec.header(record.headers, "usher-forwarded") is not None:
            return
        try:
            event = codec.read_event(record.headers, record.value)
        except codec.Unreadable:
            return  # a dead letter answers for it
        if event.space_id is not None and (record.key is None or record.key == event.space_id.encode()):
            self._commands.setdefault((event.space_id, event.id), f"{record.topic}/{record.partition}@{record.offset}")

    def _reply(self, record: Record) -> None:
        correlation = codec.header(record.headers, "ce_correlationid") or ""
        space = codec.header(record.headers, "ce_spaceid") or ""
        reply = codec.decode(record.value or b"null", dict[str, object])
        for problem in _problems(reply):
            self._code(str(problem.get("code")), f"reply to {correlation}")
        reused = any(problem.get("code") == codes.IDEMPOTENCY_KEY_REUSED.code for problem in _problems(reply))
        if not reused:
            self._replies[space, correlation].add(_content(reply, record.value or b""))

    def _dead_letter(self, record: Record) -> None:
        at = f"{record.topic}/{record.partition}@{record.offset}"
        missing = [name for name in _DLQ_HEADERS if codec.header(record.headers, name) is None]
        self.report.hold("dead-letter-form", f"{at} lacks {', '.join(missing)}", held=not missing)
        self._code(codec.header(record.headers, "dlq-code") or "", at)

    def _code(self, code: str, at: str) -> None:
        self.report.hold("code-declared", f"{at}: {code!r}", held=code in codes.ALL)


def _content(reply: dict[str, object], value: bytes) -> bytes:
    """What a repeat must say again. Nothing is remembered of a rejected command: it is refused anew, later."""
    if reply.get("status") != "rejected":
        return value
    return " ".join(str(problem.get("code")) for problem in _problems(reply)).encode()


def _problems(reply: dict[str, object]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for name in ("errors", "warnings"):
        problems = reply.get(name)
        found.extend(problem for problem in problems if isinstance(problem, dict)) if isinstance(
            problems, list
        ) else None
    return found
