"""What stands around data: a whole command as a user sends it, and the headers of dead letters and of rows.

The published form, from which the schemas are made. Who reads is more patient: control takes both modes of CloudEvents
and fails a wrong item alone; `services.domain.rows.headers` and `services.runtime.dead_letters` write the headers.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from contracts.messages.commands import ITEMS_MAX

_Attribute = Annotated[str, Meta(min_length=1, max_length=256)]
_NotEmpty = Annotated[str, Meta(min_length=1)]
_Number = Annotated[str, Meta(pattern=r"^[0-9]+$(?!\n)")]


class CommandData(msgspec.Struct, frozen=True, kw_only=True):
    """The data of every command. What an item may hold depends on the command's type."""

    items: Annotated[list[dict[str, object]], Meta(min_length=1, max_length=ITEMS_MAX)]
    validate_only: bool = False


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command in structured mode. In binary mode the value is `data`, and the rest stands in `ce_*` headers.

    Without `spaceid` the record's key names the space. An item of another form than its type asks for fails alone.
    """

    specversion: Literal["1.0"]
    id: _Attribute
    source: _Attribute
    type: _Attribute
    spaceid: str | None = None
    subject: str | None = None
    time: str | None = None
    traceparent: str | None = None
    data: CommandData


class DeadLetterHeaders(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """What usher adds to the headers of the original, all of it text; key and value are the original's bytes.

    `dlq-value-bytes` is the length of the original's value where that was too long for this topic and had to be cut.
    What did not come from Kafka has its queue's URL in `dlq-topic`, "-1" in `dlq-partition`, and its message id in
    `dlq-offset`.
    """

    dlq_code: _NotEmpty
    dlq_detail: str
    dlq_topic: _NotEmpty
    dlq_partition: Annotated[str, Meta(pattern=r"^(-1|[0-9]+)$(?!\n)")]
    dlq_offset: _NotEmpty
    dlq_service: _NotEmpty
    dlq_attempts: _Number
    dlq_value_bytes: _Number | None = None


class RowsHeaders(msgspec.Struct, frozen=True, kw_only=True):
    """The headers of a batch of rows; its value is an Arrow IPC stream of the columns `identity` and `audience`."""

    ce_type: Literal["rows"]
    ce_spaceid: _NotEmpty
    import_id: _NotEmpty = field(name="usher-import")
    reading_id: _NotEmpty = field(name="usher-reading")
    sequence: _Number = field(name="usher-sequence")
    id_type: _NotEmpty = field(name="usher-id-type")


class StreamRowsHeaders(msgspec.Struct, frozen=True, kw_only=True):
    """The headers of events of one partition of a feed's topic.

    The value is an Arrow IPC stream of the columns `identity`, `audience`, `adds` and `offset`. `ce_time` is absent in
    a space whose clock is manual.
    """

    ce_type: Literal["stream-rows"]
    ce_spaceid: _NotEmpty
    feed_id: _NotEmpty = field(name="usher-feed")
    topic: _NotEmpty = field(name="usher-topic")
    partition: _Number = field(name="usher-partition")
    first_offset: _Number = field(name="usher-first-offset")
    last_offset: _Number = field(name="usher-last-offset")
    id_type: _NotEmpty = field(name="usher-id-type")
    ce_time: str | None = None
