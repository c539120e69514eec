"""How much the lanes of a worker may take out of a backlog at once, beyond the one fetch that each may hold.

Where a fetch is kept small because lanes are many, a lane that has much to do asks here for more. Called by the lanes.
"""

from dataclasses import dataclass
from typing import Final

POLL_SECONDS: Final = 0.1  # for so long the next fetch of a backlog is waited for
_SHARE: Final = 4  # a lane never takes more than this part of what is left: there is some for the next


@dataclass
class Backlog:
    """`bytes_left` of record values for all lanes of a worker together, `lane_bytes_max` for one at a time.

    `full_bytes`: a poll that brought so many was cut by the size of a fetch, and there is more.
    """

    bytes_left: int = 0
    lane_bytes_max: int = 0
    full_bytes: int = 0

    def take(self) -> int:
        """Bytes that the caller may hold from here on, until it gives them back."""
        taken = min(self.lane_bytes_max, self.bytes_left // _SHARE)
        self.bytes_left -= taken
        return taken

    def give_back(self, taken: int) -> None:
        """What was taken is held no longer."""
        self.bytes_left += taken
