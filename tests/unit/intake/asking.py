"""Requests for readings, and what answers them: shared by the tests of `read`."""

from itertools import count

from msgspec import structs

from contracts import catalog, codec
from contracts.messages.entities import Column
from contracts.messages.intake import ReadRequest
from contracts.records import Record, TopicPartition
from services.intake.read import Readings
from services.runtime.clock import Clock, SystemClock
from services.runtime.log import Producer
from tests.unit.intake.outside import PARTITIONS, World

KEY = "in/2026-01-01/file"
REQUESTS = TopicPartition(catalog.INTAKE_REQUESTS, 0)
REJECTS_KEY = "in/rejects/imp_1.jsonl"
WIDE = b"u" * 200 + b"^a\n"  # many bytes in few rows


def readings(
    outside: World,
    *,
    producer: Producer | None = None,
    object_bytes_max: int = 1 << 30,
    plain_object_bytes_max: int = 1 << 30,
    clock: Clock | None = None,
) -> Readings:
    numbers = count(1)
    return Readings(
        outside.catalogue,
        outside.objects,
        producer or outside.producer,
        clock=clock or SystemClock(),
        new_id=lambda: f"reading-{next(numbers)}",
        membership_partitions=PARTITIONS,
        control_partitions=PARTITIONS,
        object_bytes_max=object_bytes_max,
        plain_object_bytes_max=plain_object_bytes_max,
    )


def asked(outside: World, body: bytes, *, attempt: int = 1, format: str = "caret", key: str = KEY) -> Record:
    request = ReadRequest(
        space_id="acme",
        import_id="imp_1",
        attempt=attempt,
        object=outside.objects.put(key, body),
        feed_id="f",
        prefix="in/",
        mode="replace",
        id_type="kuid",
        format=format,
        columns=None,
        audience_from="column",
        open_step=5,
    )
    return Record(catalog.INTAKE_REQUESTS, 0, 17, 0, b"acme", codec.encode(request), ())


def asked_for_set(outside: World, *bodies: bytes, format: str = "caret", columns: list[Column] | None = None) -> Record:
    versions = [outside.objects.put(f"in/2026-01-01/part-{number}", body) for number, body in enumerate(bodies)]
    request = codec.decode(asked(outside, b"").value or b"", ReadRequest)
    request = structs.replace(request, object=versions[0], objects=versions, format=format, columns=columns)
    return Record(catalog.INTAKE_REQUESTS, 0, 17, 0, b"acme", codec.encode(request), ())
