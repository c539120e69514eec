"""Control's own state (`usher.control.state.v1`, key `space/kind/id`, null = gone): all that the catalogue doesn't say.

`sequence` orders entries of a kind over restarts, so that the oldest are forgotten first. Times are milliseconds
since 1970.
"""

from typing import Literal

import msgspec

from contracts.catalog import COMMANDS
from contracts.messages.intake import ObjectVersion, ReadingFinished, ReadRequest
from contracts.messages.published import ActivationStatus, Import, Removal, Reply
from contracts.messages.steps import ImportOpenStep


class StateEntry(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", gc=False):
    """`id` is unique within the space and the type. In no cycles, as entities."""

    space_id: str
    id: str


class SpaceCounters(StateEntry, frozen=True, kw_only=True, tag="counters"):
    """The last step, the time that the last step left, and the UTC days at whose start something may expire.

    Outlives the space: a space made again continues the count. `base_days` are the days of full refreshes,
    `lookbacks_days` the lookbacks of appends: a base with appends on top leaves at base day + lookback. `run_step` was
    the latest scheduled run, for the minute `run_minute` of the day. Against the quotas count the `commands` of one
    second of the commands' own timestamps and the `identifiers` of one day of the space.
    """

    step: int = 0
    time_ms: int
    sequence: int = 0
    expiries_ms: list[int] = []
    base_days_ms: list[int] = []
    lookbacks_days: list[int] = []
    run_step: int = 0
    run_minute: int | None = None
    second: int = 0
    commands: int = 0
    day: int = 0
    identifiers: int = 0


class Tombstone(StateEntry, frozen=True, kw_only=True, tag="gone"):
    """An id that was in use: `id` is `kind.id`."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """An announced object of a folder that waits for its marker, or the marker. `code`: why it can't be read."""

    object: ObjectVersion
    event_time_ms: int
    sequencer: str | None = None
    code: str | None = None


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """An import that is not opened yet, for the `hour` of its feed, or for the objects and the marker of its `folder`.

    It is opened at `opens_ms` of the space's time or at `settles_ms` of the machine's, or has waited too long at
    `lapses_ms` of the space's. `size_bytes` is that of all parts; `overfull`: there were more than one import takes.
    """

    hour: int | None = None
    folder: str | None = None
    timeout_ms: int = 0
    marker: Part | None = None
    parts: list[Part] = []
    size_bytes: int = 0
    overfull: bool = False
    opens_ms: int | None = None
    settles_ms: int | None = None
    lapses_ms: int | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one reading. `staged` is (rows, distinct) by partition; `code` is of a limit."""

    finished: ReadingFinished | None = None
    staged: dict[int, tuple[int, int]] = {}
    broken: str | None = None
    code: str | None = None


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """A reading that all partitions hold whole: to be weighed first where its feed has a guard, then to be applied.

    `stage` is `queued` (to be weighed), `weighing`, `held` or `cleared` (to be applied).
    `weighing` are the partitions that have not yet said what it removes; `removals` is their sum, or that of the
    audiences for which it is held. A hold lapses at `lapses_ms` of the space's time.
    """

    reading_id: str
    audiences: list[str]
    stage: str
    weighing: list[int] = []
    removals: dict[str, Removal] = {}
    lapses_ms: int | None = None


class Applying(msgspec.Struct, frozen=True, kw_only=True):
    """An import or members item on its way through the partitions that have not yet reported it.

    Of `audiences` audiences, `superseded` had no effect on any partition that has reported, null before the first
    report; `expired`: the whole had none.
    """

    waiting: list[int]
    audiences: int
    entered: int = 0
    exited: int = 0
    refused: int = 0
    superseded: list[str] | None = None
    expired: bool = True


Phase = Literal["waiting", "queued", "delayed", "reading", "ready", "applying"]


class InFlight(StateEntry, frozen=True, kw_only=True, tag="import"):
    """An import that has not ended. `request` is absent for a members item.

    Exactly one of `waiting`, `queued` (open, to be read when others have been), `retry_ms` (the next attempt is asked
    for then), `deadline_ms` (of the present attempt), `ready` and `applying` is set. `opened` is its opening, of step 0
    while it waits.
    """

    record: Import
    request: ReadRequest | None = None
    object_ids: list[str] = []
    opened: ImportOpenStep | None = None
    remove_share_max: float | None = None
    waiting: Waiting | None = None
    queued: bool = False
    retry_ms: int | None = None
    deadline_ms: int | None = None
    readings: dict[str, Reading] = {}
    ready: Ready | None = None
    applying: Applying | None = None

    @property
    def phase(self) -> Phase:
        """Which of the six is set."""
        if self.applying is not None:
            return "applying"
        if self.ready is not None:
            return "ready"
        if self.waiting is not None:
            return "waiting"
        if self.queued:
            return "queued"
        return "delayed" if self.deadline_ms is None else "reading"


class SeenObject(StateEntry, frozen=True, kw_only=True, tag="object"):
    """An object version that was announced. `again` lets the next announcement be read although it was seen."""

    import_id: str
    announcements: int = 1
    again: bool = False
    at_ms: int
    sequence: int


class Remembered(StateEntry, frozen=True, kw_only=True, tag="reply"):
    """The reply to one (source, id), empty while it waits for the clock or for answers.

    `digest` is of the command's bytes. `reply` is its JSON, compressed by zlib: a reply to 10,000 items is several MiB,
    a record of this topic at most one.
    """

    digest: str
    command_topic: str = COMMANDS
    command_id: str
    command_type: str
    reply: bytes
    at_ms: int
    sequence: int


class Advancing(StateEntry, frozen=True, kw_only=True, tag="advance"):
    """A command whose reply waits until these partitions have reached `step`. `id` is of its `Remembered`."""

    step: int
    waiting: list[int]
    command_topic: str = COMMANDS
    command_id: str
    command_type: str
    reply: Reply
    at_ms: int


class Growing(msgspec.Struct, frozen=True, kw_only=True):
    """Until its audience is large enough an activation waits, since `step`; `resync`: all members follow then.

    `sizes` is by partition of the membership.
    """

    step: int
    resync: bool = False
    sizes: dict[int, int] = {}


class Verifying(StateEntry, frozen=True, kw_only=True, tag="verifying"):
    """A `destinations.verify` that waits for answers, at most until `deadline_ms`. `id` is of its `Remembered`.

    `waiting` has the item of each `verification_id`; its data stands in `reply` as if all were well.
    """

    waiting: dict[str, int]
    command_topic: str = COMMANDS
    command_id: str
    command_type: str
    reply: Reply
    at_ms: int
    deadline_ms: int


class Delivering(StateEntry, frozen=True, kw_only=True, tag="delivering"):
    """An activation's status, and up to which offset its outcomes are counted.

    `routed` is by changes partition, `delivered` by `queue/partition`; `ended` are the changes partitions that have
    taken the end of `ended_step`, its latest one; 0: it never ended. `running`: its last marker was not `ended`;
    `paused`: it runs, and changes wait until it is resumed. `growing`: it waits for its audience to grow, also while it
    is paused; `held` are, by partition, the members that it will go on with, counted as pending until they are routed.
    """

    status: ActivationStatus
    running: bool = False
    paused: bool = False
    deleted: bool = False
    routed: dict[int, int] = {}
    delivered: dict[str, int] = {}
    ended: list[int] = []
    ended_step: int = 0
    growing: Growing | None = None
    held: dict[int, int] = {}


class Lanes(StateEntry, frozen=True, kw_only=True, tag="lanes"):
    """The lanes of a destination (`id`) that are not delivering: state by `queue/partition`."""

    states: dict[str, str]


class DeliveredAudience(StateEntry, frozen=True, kw_only=True, tag="delivered"):
    """Members of the audience `id` have reached a destination, first at `at`."""

    at: str


ControlState = (
    SpaceCounters
    | Tombstone
    | InFlight
    | SeenObject
    | Remembered
    | Advancing
    | Verifying
    | Delivering
    | Lanes
    | DeliveredAudience
)
