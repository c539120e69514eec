"""What a shard writes, in order, with the headers and partitions that the topics want."""

from collections.abc import Iterable

import msgspec

from contracts import catalog, codec
from contracts.catalog import TopicSpec
from contracts.instants import instant_text
from contracts.messages.control_state import ControlState
from contracts.messages.delivery import Verification
from contracts.messages.intake import ReadRequest
from contracts.messages.published import ACTIVATION_STATUS_IDS, ActivationStatus, AuditRecord, Import
from contracts.messages.steps import Step
from contracts.partitioning import space_partition
from contracts.records import Out
from services.domain.control.compression import compressed, decompressed
from services.domain.control.config import ShardConfig

SOURCE = "/usher/control"
_COMPRESS_ABOVE_BYTES = 262_144  # a state record must stay well below 1 MiB


class Effects:
    """Collects until `drain`; nothing of it exists before the fold loop has committed it."""

    def __init__(self, config: ShardConfig) -> None:
        self._config = config
        self._outs: list[Out | TopicSpec] = []

    def drain(self) -> list[Out | TopicSpec]:
        """What was collected since the last call."""
        outs, self._outs = self._outs, []
        return outs

    def put(self, out: Out | TopicSpec) -> None:
        """Anything that has its form already: a topic, a dead letter, a forwarded command."""
        self._outs.append(out)

    def step(self, step: Step, partitions: Iterable[int] | None = None) -> None:
        """A step, to all partitions of the membership input unless it concerns only some."""
        value = codec.encode(step)
        headers = codec.event_headers(
            id=f"{step.space_id}.{step.step}",
            source=SOURCE,
            type="step",
            space_id=step.space_id,
            time=instant_text(step.at_ms),
        )
        key = step.space_id.encode()
        to = range(self._config.membership_partitions) if partitions is None else partitions
        self._outs += [Out(catalog.INPUT, key, value, headers, partition) for partition in to]

    def read_request(self, request: ReadRequest, at: str) -> None:
        """A reading is asked for. The partition is the import's, so that files of one space are read side by side."""
        partition = space_partition(request.import_id, self._config.intake_partitions)
        headers = codec.event_headers(
            id=f"{request.import_id}.{request.attempt}",
            source=SOURCE,
            type="read-request",
            space_id=request.space_id,
            time=at,
            subject=request.import_id,
        )
        self.put(Out(catalog.INTAKE_REQUESTS, request.space_id.encode(), codec.encode(request), headers, partition))

    def verification(self, verification: Verification, at: str) -> None:
        """Activation is asked to verify a destination. Each question may go to another worker."""
        partition = space_partition(verification.verification_id, self._config.verification_partitions)
        headers = codec.event_headers(
            id=verification.verification_id,
            source=SOURCE,
            type="verification",
            space_id=verification.space_id,
            time=at,
            subject=verification.destination_id,
        )
        key = verification.space_id.encode()
        self.put(Out(catalog.VERIFICATIONS, key, codec.encode(verification), headers, partition))

    def import_record(self, record: Import) -> None:
        """An import in its present form."""
        self._keyed(
            catalog.IMPORTS,
            record.space_id,
            f"{record.space_id}/{record.import_id}",
            codec.encode(record),
            kind=f"import.{record.state}",
            at=record.updated_at,
            subject=record.import_id,
        )

    def activation_status(self, status: ActivationStatus) -> None:
        """An activation's status and counters, with the number of its state."""
        numbered = msgspec.structs.replace(status, status_id=ACTIVATION_STATUS_IDS.get(status.state, 0))
        self._keyed(
            catalog.ACTIVATIONS,
            status.space_id,
            f"{status.space_id}/{status.activation_id}",
            codec.encode(numbered),
            kind="activation.status",
            at=status.updated_at,
            subject=status.activation_id,
        )

    def entity(self, space_id: str, kind: str, id_: str, form: bytes | None, at: str) -> None:
        """The present form of an entity, which is of that instant, None: it is gone."""
        self._keyed(
            catalog.CATALOGUE,
            space_id,
            f"{space_id}/{kind}/{id_}",
            form,
            kind=f"catalogue.{kind}",
            at=at,
            subject=id_,
        )

    def state(self, space_id: str, tag: str, id_: str, entry: ControlState | None, at: str) -> None:
        """An entry of the shard's own changelog, None: it is gone."""
        value = None if entry is None else codec.encode(entry)
        if value is not None and len(value) > _COMPRESS_ABOVE_BYTES:
            value = compressed(value)
        self._keyed(catalog.CONTROL_STATE, space_id, f"{space_id}/{tag}/{id_}", value, kind=tag, at=at, subject=id_)

    def reply(
        self, space_id: str, body: bytes, *, id_: str, command_topic: str, command_type: str, command_id: str, at: str
    ) -> None:
        """The answer to a command, on the topic that belongs to the one it came by."""
        headers = codec.event_headers(
            id=id_,
            source=SOURCE,
            type=f"{command_type}.reply",
            space_id=space_id,
            time=at,
            extensions=(("correlationid", command_id),),
        )
        topic = self._config.reply_topics.get(command_topic, catalog.REPLIES)
        self.put(Out(topic, space_id.encode(), body, headers, self._home(space_id)))

    def audit(self, record: AuditRecord, id_: str) -> None:
        """What an item changed, for whoever asks later; `id_` is the event's."""
        headers = codec.event_headers(
            id=id_,
            source=SOURCE,
            type=record.command_type,
            space_id=record.space_id,
            time=record.at,
            subject=record.id,
        )
        self.put(
            Out(catalog.AUDIT, record.space_id.encode(), codec.encode(record), headers, self._home(record.space_id))
        )

    def _keyed(
        self,
        topic: str,
        space_id: str,
        key: str,
        value: bytes | None,
        *,
        kind: str,
        at: str,
        subject: str,
    ) -> None:
        headers = codec.event_headers(
            id=f"{key}@{at}", source=SOURCE, type=kind, space_id=space_id, time=at, subject=subject
        )
        self._outs.append(Out(topic, key.encode(), value, headers, self._home(space_id)))

    def _home(self, space_id: str) -> int:
        return space_partition(space_id, self._config.control_partitions)


def state_bytes(value: bytes) -> bytes:
    """The JSON of a changelog record's value, whether or not it was compressed."""
    return value if value[:1] == b"{" else decompressed(value)
