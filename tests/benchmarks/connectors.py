"""What connectors cost: items to the bytes that go out, without a destination; kafka into batches ready for the broker.

Figures are members a CPU second of this process, of batches of 100,000 members in deliveries of 1,000.
"""

import time
from collections.abc import Callable, Collection
from typing import Final

import msgspec
import numpy as np
from aiokafka.producer.message_accumulator import BatchBuilder

from services.adapters.kafka.events import batches
from services.connectors.base import Request, Target
from services.connectors.declaration import filled
from services.connectors.files.definition import Files
from services.connectors.kafka.definition import Kafka
from services.connectors.webhook.definition import Webhook
from services.domain.delivery.merge import Item, collapse, cut
from services.runtime.secret import Secret
from services.tools.local_system import LocalSystem
from tests.benchmarks.measure import Measured, measured
from tests.unit.domain.delivery.making import delivery

MEMBERS: Final = 100_000
RUNS: Final = 5
_KAFKA_PARTITIONS: Final = 12
_KEYS: Final = {"access_key_id": Secret("AKIAEXAMPLE"), "secret_access_key": Secret("secret")}


async def connectors(_: LocalSystem, cases: Collection[str]) -> list[Measured]:
    """`RUNS` batches of each case after one that isn't counted."""
    said = [
        msgspec.structs.replace(
            delivery(n, "add", [f"u{n * 1000 + k:012}" for k in range(1000)]), activation_name="bench"
        )
        for n in range(MEMBERS // 1000)
    ]
    (items,) = cut(collapse(said), MEMBERS)
    found = []
    for case in cases:
        seconds = [_seconds(_WAYS[case], items) for _ in range(RUNS + 1)][1:]
        rates = [MEMBERS / one for one in seconds]
        found.append(measured("connectors", case, "sent", "members/s", rates, seconds))
    return found


def _seconds(send: Callable[[list[Item]], None], items: list[Item]) -> float:
    began = time.process_time()
    send(items)
    return time.process_time() - began


def _files(format_: str) -> Callable[[list[Item]], None]:
    files, settings = Files(), filled(Files.declaration.settings, {"bucket": "bench", "format": format_})
    target = Target(settings, _KEYS, 0)

    def send(items: list[Item]) -> None:
        for request in files.requests(items, settings):
            files.attempt(request, target)

    return send


def _webhook(items: list[Item]) -> None:
    webhook, settings = Webhook(), filled(Webhook.declaration.settings, {"url": "https://example.com/hook"})
    requests: list[Request] = webhook.requests(items, settings)
    for request in requests:
        webhook.attempt(request, Target(settings, {}, 0))


def _batch() -> BatchBuilder:
    """As the producer makes them: 512 KiB, not compressed."""
    return BatchBuilder(512 << 10, 0)


def _kafka(items: list[Item]) -> None:
    kafka = Kafka()
    settings = filled(Kafka.declaration.settings, {"bootstrap_servers": "kafka:9092", "topic": "bench"})
    for request in kafka.requests(items, settings):
        effect = kafka.effect(request, Target(settings, {}, 0))
        places = effect.hashes % _KAFKA_PARTITIONS
        for place in range(_KAFKA_PARTITIONS):
            for batch in batches(_batch, effect, 0, np.flatnonzero(places == place).tolist()):
                batch.close()


_WAYS: Final[dict[str, Callable[[list[Item]], None]]] = {
    "files-csv": _files("csv"),
    "files-jsonl": _files("jsonl"),
    "files-parquet": _files("parquet"),
    "kafka": _kafka,
    "webhook": _webhook,
}
CASES: Final = tuple(_WAYS)
