"""How far a reading is: counts its bytes, and says now and then what control is to be told."""

from typing import Final

from contracts.messages.intake import ReadingProgress, ReadRequest
from services.runtime.clock import Clock

EVERY_SECONDS: Final = 5.0


class ReadingMeter:
    """Of one attempt, from its beginning. Most are over before there is anything to tell."""

    def __init__(self, request: ReadRequest, *, clock: Clock) -> None:
        self._request = request
        self._clock = clock
        self._read_bytes = 0
        self._due_seconds = clock.monotonic_seconds() + EVERY_SECONDS

    def count(self, chunk: bytes) -> None:
        """One more chunk has been taken."""
        self._read_bytes += len(chunk)

    def due(self, rows: int) -> ReadingProgress | None:
        """What there is to tell, where it is time; `rows` are those so far."""
        now = self._clock.monotonic_seconds()
        if now < self._due_seconds:
            return None
        self._due_seconds = now + EVERY_SECONDS
        request = self._request
        sizes = [version.size_bytes for version in request.objects or [request.object]]
        known = [size for size in sizes if size is not None]
        return ReadingProgress(
            space_id=request.space_id,
            import_id=request.import_id,
            attempt=request.attempt,
            read_bytes=self._read_bytes,
            total_bytes=sum(known) if len(known) == len(sizes) else None,
            rows=rows,
        )
