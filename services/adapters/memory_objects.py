"""Objects in memory: implements `OwnedObjects`, for tests.

A bucket keeps every version that was written (as a versioned bucket does, where `versioned`), so that tests can
overwrite and delete. Faults are given from outside; nothing happens by itself.
"""

import hashlib
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import msgspec

from contracts import codes
from contracts.messages.intake import ObjectVersion
from services.runtime.clock import Clock, SystemClock
from services.runtime.failures import Rejected

Fault = Callable[[str], None]
"""Called with the name of each call (`stat`, `read`, `write`, …); may raise `Unavailable` or `Rejected`."""


def _no_fault(call: str) -> None:
    """Everything succeeds."""


@dataclass(frozen=True, slots=True)
class _Stored:
    version: ObjectVersion
    body: bytes


class MemoryObjects:
    """Objects by bucket and key. Unversioned unless told otherwise, which is the harder case."""

    def __init__(self, *, clock: Clock | None = None, versioned: bool = False) -> None:
        self.fault: Fault = _no_fault
        self._clock = clock or SystemClock()
        self._versioned = versioned
        self._present: dict[tuple[str, str], _Stored] = {}
        self._versions: dict[tuple[str, str, str], _Stored] = {}
        self._numbers = itertools.count(1)

    def put(self, bucket: str, key: str, body: bytes) -> ObjectVersion:
        """Writes an object as somebody else would; returns its version."""
        version = ObjectVersion(
            bucket=bucket,
            key=key,
            version_id=f"v{next(self._numbers)}" if self._versioned else None,
            etag=hashlib.md5(body, usedforsecurity=False).hexdigest(),
            size_bytes=len(body),
            last_modified_ms=self._clock.now_ms() // 1000 * 1000,  # S3 tells whole seconds
        )
        stored = _Stored(version, body)
        self._present[bucket, key] = stored
        if version.version_id is not None:
            self._versions[bucket, key, version.version_id] = stored
        return version

    def delete(self, bucket: str, key: str) -> None:
        """Old versions stay, as behind a delete marker."""
        self._present.pop((bucket, key), None)

    def keys(self, bucket: str) -> list[str]:
        """All present ones, sorted."""
        return sorted(key for held, key in self._present if held == bucket)

    def body(self, bucket: str, key: str) -> bytes:
        """The present content."""
        return self._present[bucket, key].body

    async def stat(
        self, bucket: str, key: str, *, version_id: str | None = None, etag: str | None = None
    ) -> ObjectVersion:
        self.fault("stat")
        return self._find(bucket, key, version_id, etag).version

    async def read(self, version: ObjectVersion, *, chunk_bytes: int) -> AsyncIterator[bytes]:
        self.fault("read")
        body = self._find(version.bucket, version.key, version.version_id, version.etag).body
        for first in range(0, len(body), chunk_bytes):
            yield body[first : first + chunk_bytes]

    async def write(self, bucket: str, key: str, body: bytes, *, content_type: str) -> None:
        assert content_type, "an object has a type"
        self.fault("write")
        self.put(bucket, key, body)

    async def list_prefix(self, bucket: str, prefix: str) -> AsyncIterator[ObjectVersion]:
        self.fault("list")
        listed = [self._present[bucket, key].version for key in self.keys(bucket) if key.startswith(prefix)]
        for version in listed:
            yield msgspec.structs.replace(version, version_id=None)

    async def remove(self, bucket: str, key: str) -> None:
        self.fault("remove")
        self.delete(bucket, key)

    async def close(self) -> None:
        """Nothing is held."""

    def _find(self, bucket: str, key: str, version_id: str | None, etag: str | None) -> _Stored:
        stored = (
            self._present.get((bucket, key)) if version_id is None else self._versions.get((bucket, key, version_id))
        )
        if stored is None:
            raise Rejected(codes.OBJECT_GONE, f"in {bucket}")
        if etag is not None and stored.version.etag != etag:
            raise Rejected(codes.OBJECT_OVERWRITTEN, f"in {bucket}")
        return stored
