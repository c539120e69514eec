"""What users write to the topics that feeds read: one event a record, on a topic of any name.

Whatever else stands in an event is not read. Sent by anybody; read by intake alone.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class StreamEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One identity entered or left one audience, as its sender says. It is named by topic, partition and offset.

    `audience` (an id, an external id or a name) may be absent where the feed names the audience. Events of an identity
    are applied in the order of their partition; `ts` (an instant, or seconds or milliseconds since 1970) changes
    nothing.
    """

    id: Annotated[str, Meta(description="in any accepted spelling of the feed's id type")]
    audience: str | None = None
    op: Literal["add", "remove"]
    ts: str | float | None = None
