"""What membership tells control on `usher.membership.results.v1`, keyed by space, tagged by `type`."""

import msgspec

from contracts.messages.published import Removal


class ResultBase(msgspec.Struct, frozen=True, kw_only=True):
    """`partition` of `partitions` is the place in the membership input that speaks."""

    space_id: str
    partition: int
    partitions: int


class Staged(ResultBase, frozen=True, kw_only=True, tag="staged", tag_field="type"):
    """The partition has the reading whole. `distinct` counts its different (identity, audience) pairs."""

    import_id: str
    reading_id: str
    rows: int
    distinct: int


class ReadingBroken(ResultBase, frozen=True, kw_only=True, tag="reading-broken", tag_field="type"):
    """The seal and the rows of a reading disagree, or a batch is unreadable: it must be read again.

    With a `code` reading again is in vain: the space's limits do not let it in.
    """

    import_id: str
    reading_id: str
    detail: str
    code: str | None = None


class Weighed(ResultBase, frozen=True, kw_only=True, tag="weighed", tag_field="type"):
    """What applying a full refresh would remove here, by audience; those where a newer one stands are left out."""

    import_id: str
    step: int
    removals: dict[str, Removal]


class Applied(ResultBase, frozen=True, kw_only=True, tag="applied", tag_field="type"):
    """An import or members item took effect here. `superseded` are the audiences where a newer full refresh stood.

    `refused` identities of a members item were not let in: the space may know no more.
    """

    import_id: str
    step: int
    entered: int
    exited: int
    superseded: list[str] = []
    refused: int | msgspec.UnsetType = msgspec.UNSET  # 0, and what was written before there were limits on commands
    expired: bool = False  # an append whose layer would already have left (engine.md §1 rule 10)


class Ticked(ResultBase, frozen=True, kw_only=True, tag="ticked", tag_field="type"):
    """The partition has reached `at_ms`."""

    step: int
    at_ms: int


class Held(ResultBase, frozen=True, kw_only=True, tag="held", tag_field="type"):
    """What an activation that waits for its audience to grow would send of this partition, as of `step`.

    `size` members are in the audience here; `entered` would be added and `exited` removed.
    """

    activation_id: str
    step: int
    size: int
    entered: int
    exited: int


class Counted(ResultBase, frozen=True, kw_only=True, tag="counted", tag_field="type"):
    """The audience that `step` asks for has so many members here."""

    step: int
    size: int


Result = Staged | ReadingBroken | Weighed | Applied | Ticked | Held | Counted
