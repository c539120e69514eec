"""What one space may make usher keep. Every limit has a code; what lies beyond it is refused, all else goes on.

What commands make is counted by `quotas`, which a space may have set otherwise; these are the same for all.

| limit | beyond it | code |
|---|---|---|
| `layers_max` | the append that would be one more layer of an audience fails, whole | `layers-too-many` |
| `identities_max` | an import that names new ones fails, whole | `identities-too-many` |
| `readings_max` | an opened import waits until another has been read | none |
| `imports_max` | an announced object fails, and may come again; a part of a set never does | `imports-too-many` |
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of each space. Layers are counted as a reading is staged: appends that are staged together may pass by so many.

    Identities are counted by id type and partition, each of which may hold its share; commands and topic feeds, which
    name few at a time, are not held to it.
    """

    layers_max: int = 1_100  # three years of daily appends; hourly ones of 45 days
    identities_max: int = 100_000_000  # 4.5 GB of UUIDs over all workers
    readings_max: int = 64
    imports_max: int = 10_000  # control keeps some KiB of each

    def identities_on_partition(self, partitions: int) -> int:
        """The share of one of so many partitions."""
        return -(-self.identities_max // partitions)
