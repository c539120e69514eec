"""A lane on the bench: a clock that jumps, a web that plays a script, a producer that remembers; no real time passes."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import TypeVar

import msgspec

from contracts import catalog, codec
from contracts.messages.delivery import Delivered, Delivery, LaneState, Receipt
from contracts.messages.entities import Audience, CatalogueEntity, Connection, Destination
from contracts.messages.entities import entity_id as entity_id_of
from contracts.records import Out, Record, TopicPartition
from services.activation.lane import Lane
from services.activation.lane_health import RetryPolicy
from services.activation.lane_ports import LanePorts
from services.activation.rates import Rates
from services.activation.reports import Reports
from services.activation.secret_store import SecretStore
from services.activation.tokens import Tokens
from services.connectors.webhook.requests import WebhookDelivery, WebhookMessage
from services.runtime.failures import Unavailable
from services.runtime.outlets import Check, Effect
from services.runtime.secret_references import SECRETS_FOLDER, SecretReferences
from services.runtime.web import WebAnswer, WebRequest
from tests.unit.domain.delivery.making import QUEUE, destination, queued

E = TypeVar("E", bound=CatalogueEntity)
PLACE = TopicPartition(catalog.queue_topic(QUEUE), 0)
START_MS = 1_700_000_000_000

Answer = WebAnswer | BaseException | Callable[[WebRequest], WebAnswer]


def answer(status: int, body: bytes = b"", **headers: str) -> WebAnswer:
    return WebAnswer(status=status, headers={name.replace("_", "-"): text for name, text in headers.items()}, body=body)


class JumpingClock:
    """Sleeping is instant: time is what has been slept. `events` happen when their second has come."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []
        self.events: list[tuple[float, Callable[[], None]]] = []

    def now_ms(self) -> int:
        return START_MS + round(self.seconds * 1000)

    def monotonic_seconds(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.move(seconds)

    async def move(self, seconds: float) -> None:
        self.seconds += seconds
        for at, act in [event for event in self.events if event[0] <= self.seconds]:
            self.events.remove((at, act))
            act()
        await asyncio.sleep(0)


@dataclass
class ScriptedWeb:
    """Answers in the order of the script, then 200 for ever. `sent` has the time of each request."""

    clock: JumpingClock
    script: list[Answer] = field(default_factory=list)
    sent: list[tuple[float, WebRequest]] = field(default_factory=list)
    otherwise: Answer = field(default_factory=lambda: answer(200))

    async def send(self, request: WebRequest) -> WebAnswer:
        self.sent.append((self.clock.seconds, request))
        now = self.script.pop(0) if self.script else self.otherwise
        if isinstance(now, BaseException):
            raise now
        return now if isinstance(now, WebAnswer) else now(request)

    async def close(self) -> None: ...


@dataclass
class ScriptedOutlets:
    """Raises in the order of the script, then carries out for ever. `done` has what was carried out."""

    script: list[BaseException] = field(default_factory=list)
    done: list[Effect] = field(default_factory=list)
    checked: list[Check] = field(default_factory=list)

    async def carry_out(self, effect: Effect, *, timeout_seconds: float) -> None:
        if self.script:
            raise self.script.pop(0)
        self.done.append(effect)

    async def check(self, check: Check, *, timeout_seconds: float) -> None:
        if self.script:
            raise self.script.pop(0)
        self.checked.append(check)

    async def close(self) -> None: ...


@dataclass
class KeepingProducer:
    """Remembers what was written; fails the next `failing` times."""

    failing: int = 0
    outs: list[Out] = field(default_factory=list)

    async def send(self, outs: Sequence[Out]) -> None:
        if self.failing:
            self.failing -= 1
            raise Unavailable("no broker")
        self.outs += outs

    async def close(self) -> None: ...


@dataclass
class FixedCatalogue:
    """What the view holds; `arriving` is there once somebody waits for the view to catch up."""

    present: Destination | None
    connection: Connection | None = None
    arriving: Destination | None = None
    audience: Audience | None = None
    asked: int = 0

    def get(self, kind: type[E], space_id: str, entity_id: str) -> E | None:
        for found in (self.present, self.connection, self.audience):
            if isinstance(found, kind) and (found.space_id, entity_id_of(found)) == (space_id, entity_id):
                return found
        return None

    async def caught_up(self) -> None:
        self.asked += 1
        self.present = self.arriving or self.present


class Receiver:
    """Applies what arrives by sequence; remembers what each delivery id said."""

    def __init__(self) -> None:
        self.state: dict[tuple[str, str], tuple[int, str]] = {}
        self.contents: dict[str, WebhookDelivery] = {}

    def take(self, request: WebRequest) -> WebAnswer:
        for entry in msgspec.json.decode(request.body, type=WebhookMessage).deliveries:
            assert self.contents.setdefault(entry.delivery_id, entry) == entry
            for member in entry.members:
                key = (entry.activation_id, member)
                if self.state.get(key, (-1, ""))[0] < entry.sequence:
                    self.state[key] = (entry.sequence, entry.change)
        return answer(200)

    def members(self, activation_id: str = "act_1") -> set[str]:
        return {
            member for (of, member), (_, change) in self.state.items() if (of, change) == (activation_id, "entered")
        }


class QueueReader:
    """Reads the bench's queue in small bites; where it has nothing to read it waits."""

    def __init__(self, bench: "Bench") -> None:
        self._bench = bench
        self._offset = 0

    async def read(self, *, timeout_seconds: float, records_max: int = 10_000) -> list[Record]:
        found = [one for one in self._bench.queue if one.offset >= self._offset][: min(records_max, 3)]
        if found:
            self._offset = found[-1].offset + 1
        else:
            await self._bench.clock.move(timeout_seconds)
        return found

    def seek(self, partition: TopicPartition, offset: int) -> None:
        assert partition == PLACE
        self._offset = offset

    async def position(self, partition: TopicPartition) -> int:
        assert partition == PLACE
        return self._offset

    async def close(self) -> None: ...


class Bench:
    """One lane and everything around it."""

    def __init__(
        self,
        script: Iterable[Answer] = (),
        *,
        to: Destination | None = None,
        policy: RetryPolicy | None = None,
        environment: Mapping[str, str] | None = None,
        queue_partitions: int = 1,
        change_partitions: int = 2,
        record_age_seconds_max: float = 13 * 86_400.0,
        secrets_folder: Path | None = None,
    ) -> None:
        references = SecretReferences(
            folder=SECRETS_FOLDER if secrets_folder is None else PurePosixPath(secrets_folder)
        )
        self.clock = JumpingClock()
        self.web = ScriptedWeb(self.clock, list(script))
        self.outlets = ScriptedOutlets()
        self.producer = KeepingProducer()
        self.catalogue = FixedCatalogue(destination() if to is None else to)
        secrets = SecretStore(environment or {}, references, clock=self.clock)
        self.ports = LanePorts(
            web=self.web,
            outlets=self.outlets,
            reports=Reports(self.producer, clock=self.clock, random=lambda: 0.5),
            catalogue=self.catalogue,
            secrets=secrets,
            tokens=Tokens(self.web, clock=self.clock),
            rates=Rates(queue_partitions, secrets.credential),
            clock=self.clock,
            queue_reader=self._read,
            change_partitions=change_partitions,
            outcome_partitions=2,
            record_age_seconds_max=record_age_seconds_max,
            policy=policy or RetryPolicy(),
            random=lambda: 0.5,
        )
        self.lane = Lane(PLACE, self.ports)
        self.queue: list[Record] = []
        """What a reader finds there; what is delivered is put there first."""

    async def _read(self, _: Sequence[TopicPartition]) -> "QueueReader":
        return QueueReader(self)

    async def deliver(self, *deliveries: Delivery, first_offset: int = 0) -> None:
        records = self.records(*deliveries, first_offset=first_offset)
        self.queue += records
        await self.lane.deliver(records)

    def records(self, *deliveries: Delivery, first_offset: int = 0) -> list[Record]:
        now = self.clock.now_ms()
        return [queued(first_offset + n, one, timestamp_ms=now) for n, one in enumerate(deliveries)]

    def outcomes(self) -> list[Delivered]:
        return [one for one in self._outcomes() if isinstance(one, Delivered)]

    def receipts(self) -> list[Receipt]:
        return [codec.decode(out.value or b"", Receipt) for out in self.producer.outs if out.topic == catalog.RECEIPTS]

    def states(self) -> list[tuple[str, str | None]]:
        """As they followed one another."""
        return [state for state, _ in groupby((one.state, one.code) for one in self.lane_states())]

    def lane_states(self) -> list[LaneState]:
        return [one for one in self._outcomes() if isinstance(one, LaneState)]

    def counts(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for one in self.outcomes():
            found.update(delivered=one.delivered, merged=one.merged, dead=one.dead_lettered, uploads=one.uploads)
        return found

    def letters(self) -> list[Out]:
        return [out for out in self.producer.outs if out.topic == catalog.DEAD_LETTERS]

    def letter_codes(self) -> list[str | None]:
        return [codec.header(out.headers, "dlq-code") for out in self.letters()]

    def _outcomes(self) -> list[Delivered | LaneState]:
        return [
            msgspec.json.decode(out.value or b"", type=Delivered | LaneState)
            for out in self.producer.outs
            if out.topic == catalog.OUTCOMES
        ]
