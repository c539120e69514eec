"""A control shard on a bench: commands in, everything that it writes sorted by topic, and a membership that answers."""

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from contracts import catalog, codec, codes
from contracts.catalog import TopicSpec
from contracts.codec import Headers
from contracts.codes import Code
from contracts.messages.control_state import ControlState
from contracts.messages.entities import Activation, CatalogueEntity, Connection, Destination
from contracts.messages.intake import IntakeEvent, ReadRequest
from contracts.messages.published import ACTIVATION_STATUS_IDS, ActivationStatus, Import, Reply
from contracts.messages.results import Result, Ticked
from contracts.messages.steps import Step, TickStep
from contracts.partitioning import space_partition
from contracts.records import Out, Record
from services.domain.catalogue.connectors import ConnectorRules
from services.domain.control.config import ShardConfig
from services.domain.control.effects import state_bytes
from services.domain.control.shard import ControlShard, restored
from services.runtime.dead_letters import dead_letter

START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
SPACE = "acme"
PARTITIONS = 3


def letter(record: Record, code: Code, detail: str) -> Out:
    """As `app.py` makes them."""
    return dead_letter(record, code, detail, service="control")


def webhook(destination: Destination) -> list[tuple[Code, str]]:
    """A connector that wants a url and knows nothing else."""
    missing = [] if "url" in destination.settings else [(codes.FIELD_REQUIRED, "settings.url is required")]
    return missing + [(codes.UNKNOWN_FIELD, f"settings.{name}") for name in destination.settings if name != "url"]


def listed(connection: Connection) -> list[tuple[Code, str]]:
    """It takes a number of a list, and needs none."""
    number = connection.connection_settings.get("list", 1)
    return [] if isinstance(number, int) else [(codes.FIELD_INVALID, "connection_settings.list is a number")]


def no_cookies(_: Destination, id_type: str) -> str | None:
    """It takes identities of every type but one."""
    return "no cookies" if id_type == "anonymous_id" else None


def unmapped(activation: Activation) -> list[tuple[Code, str]]:
    """It has one form."""
    return [(codes.MAPPING_UNAVAILABLE, "one form")] if activation.destination_mapping else []


def least(destination: Destination) -> int:
    """What the destination's limits say."""
    given = destination.limits.get("members_min", 0)
    assert isinstance(given, int)
    return given


def replaces(connection: Connection) -> bool:
    """Where it says so."""
    return connection.connection_settings.get("resync") == "replace"


def list_of(connection: Connection) -> str | None:
    """Made where it has a name."""
    name = connection.connection_settings.get("list_name")
    return name if isinstance(name, str) else None


WEBHOOK = ConnectorRules(
    on_destination=webhook,
    on_connection=listed,
    on_activation=unmapped,
    refuses=no_cookies,
    replaces=replaces,
    list_of=list_of,
    description={"slug": "webhook", "title": "Webhook"},
    members_min=least,
)


def config(**changes: Any) -> ShardConfig:
    """One shard that owns every space, three membership partitions."""
    given: dict[str, Any] = {
        "shard": 0,
        "control_partitions": 1,
        "membership_partitions": PARTITIONS,
        "intake_partitions": 2,
        "delivery_partitions": 2,
        "verification_partitions": 2,
        "dead_letter": letter,
        "connectors": {"webhook": WEBHOOK},
    }
    return ShardConfig(**(given | changes))


def command(
    type_: str,
    items: object,
    *,
    id_: str = "c-1",
    space: str | None = SPACE,
    source: str = "/test",
    **data: Any,
) -> bytes:
    """A structured command."""
    event = {"specversion": "1.0", "id": id_, "source": source, "type": type_, "data": {"items": items, **data}}
    return json.dumps(event if space is None else event | {"spaceid": space}).encode()


class Bench:
    """`now_ms` is the machine's clock. Every call of `handle` is one transaction."""

    def __init__(self, shard: ControlShard | None = None, *, configured: ShardConfig | None = None) -> None:
        self.config = configured or config()
        self.shard = shard or ControlShard(self.config)
        self.now_ms = START_MS
        self.numbers: Iterator[int] = itertools.count(1)
        self.offsets: Iterator[int] = itertools.count()
        self.outs: list[Out] = []
        self.topics: list[TopicSpec] = []
        self.catalogue: dict[str, CatalogueEntity] = {}
        self.state: dict[str, ControlState] = {}

    def record(self, topic: str, value: bytes | None, *, key: bytes | None = None, headers: Headers = ()) -> Record:
        """The next record of a topic."""
        return Record(topic, 0, next(self.offsets), self.now_ms, key, value, headers)

    def handle(self, *records: Record) -> list[Out]:
        """One transaction; what was written stays in `outs`, `catalogue` and `state` too."""
        new: list[Out] = []
        for out in self.shard.handle(records, self.now_ms):
            if isinstance(out, TopicSpec):
                self.topics.append(out)
                continue
            new.append(out)
            self._keep(out)
        self.outs += new
        return new

    def send(self, type_: str, *items: object, id_: str | None = None, space: str = SPACE, **data: Any) -> Reply:
        """A command and its reply, which must come at once."""
        outs = self.handle(self.command(type_, *items, id_=id_, space=space, **data))
        (reply,) = replies(outs)
        return reply

    def command(self, type_: str, *items: object, id_: str | None = None, space: str = SPACE, **data: Any) -> Record:
        """A command as a record."""
        value = command(type_, list(items), id_=id_ or f"c-{next(self.numbers)}", space=space, **data)
        return self.record(catalog.COMMANDS, value, key=space.encode())

    def made(self, type_: str, *items: object, **data: Any) -> list[str]:
        """The ids of what a command has made; nothing may fail."""
        reply = self.send(type_, *items, **data)
        assert not reply.errors, reply.errors
        return [str(one[f"{type_.partition('s.')[0]}_id"]) for one in reply.data]

    def space(self, **fields: object) -> "Bench":
        """Creates the space: its clock is manual and stands at the start, unless said otherwise."""
        self.made("spaces.create", {"clock": "manual", "time": "2026-01-01"} | fields)
        return self

    def event(self, event: IntakeEvent) -> list[Out]:
        """Something that intake says."""
        return self.handle(self.record(catalog.INTAKE_EVENTS, codec.encode(event), key=event.space_id.encode()))

    def result(self, *results: Result) -> list[Out]:
        """Something that membership says, in one batch."""
        return self.handle(
            *(self.record(catalog.RESULTS, codec.encode(one), key=one.space_id.encode()) for one in results)
        )

    def advance(self, to: str, **fields: object) -> Reply:
        """Moves the clock; every partition ticks at once."""
        outs = self.handle(self.command("clock.advance", {"to": to, **fields}))
        at_once = replies(outs)
        if at_once:
            return at_once[0]
        ticks = [one for one in steps(outs) if isinstance(one, TickStep)]
        (reply,) = replies(self.result(*ticked(ticks[-1])))
        return reply

    def restart(self) -> "Bench":
        """Another bench whose shard is restored from what this one has written."""
        twin = Bench(restored(self.config, self.catalogue.values(), self.state.values()), configured=self.config)
        twin.now_ms = self.now_ms
        twin.catalogue, twin.state = dict(self.catalogue), dict(self.state)
        return twin

    def imports(self) -> dict[str, Import]:
        """The newest form of each import."""
        return {one.import_id: one for one in imports(self.outs)}

    def statuses(self) -> dict[str, ActivationStatus]:
        """The newest status of each activation; of each ever published state and number agree."""
        found = [decoded(out, ActivationStatus) for out in self.outs if out.topic == catalog.ACTIVATIONS]
        assert all(ACTIVATION_STATUS_IDS[one.state] == one.status_id for one in found)
        return {one.activation_id: one for one in found}

    def _keep(self, out: Out) -> None:
        if out.topic == catalog.CATALOGUE:
            _compact(self.catalogue, out, CatalogueEntity)
        elif out.topic == catalog.CONTROL_STATE:
            _compact(self.state, out, ControlState)


def _compact(kept: dict[str, Any], out: Out, kind: Any) -> None:
    assert out.key is not None
    assert out.partition == 0
    if out.value is None:
        kept.pop(out.key.decode(), None)
    else:
        kept[out.key.decode()] = msgspec.json.decode(state_bytes(out.value), type=kind)


def decoded(out: Out, kind: Any) -> Any:
    """The message of a record."""
    assert out.value is not None
    return msgspec.json.decode(out.value, type=kind)


def replies(outs: Iterable[Out]) -> list[Reply]:
    """All replies among the records."""
    return [decoded(out, Reply) for out in outs if out.topic == catalog.REPLIES]


def imports(outs: Iterable[Out]) -> list[Import]:
    """All import records, in order."""
    return [decoded(out, Import) for out in outs if out.topic == catalog.IMPORTS]


def requests(outs: Iterable[Out]) -> list[ReadRequest]:
    """All readings asked for."""
    return [decoded(out, ReadRequest) for out in outs if out.topic == catalog.INTAKE_REQUESTS]


def steps(outs: Iterable[Out], partition: int | None = 0) -> list[Step]:
    """The steps written to a partition, None: to any of them."""
    return [
        decoded(out, Step)
        for out in outs
        if out.topic == catalog.INPUT and (partition is None or out.partition == partition)
    ]


def letters(outs: Iterable[Out]) -> list[tuple[str, Out]]:
    """The codes of dead letters, and the letters."""
    return [(codec.header(out.headers, "dlq-code") or "", out) for out in outs if out.topic == catalog.DEAD_LETTERS]


def codes_of(reply: Reply) -> list[str]:
    """The codes of its errors."""
    return [one.code for one in reply.errors]


def ticked(step: TickStep) -> Iterator[Ticked]:
    """What every partition says once it has folded the tick."""
    for partition in range(PARTITIONS):
        yield Ticked(
            space_id=step.space_id, partition=partition, partitions=PARTITIONS, step=step.step, at_ms=step.at_ms
        )


def home(space: str, partitions: int) -> int:
    """The shard of a space."""
    return space_partition(space, partitions)
