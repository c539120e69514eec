"""Checkpoints as objects: `<prefix>/<partition>/<offset, 20 digits>/<blob>`; one without its manifest is none.

Knows keys and bodies; what is in them is `services.domain.membership.checkpoint`'s, when they are written and used is
`checkpointing`'s and `restore`'s.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from contracts import codes
from contracts.messages.intake import ObjectVersion
from services.domain.membership.checkpoint.manifest import Blob, Manifest, decode_manifest, encode_manifest
from services.domain.membership.checkpoint.packing import Damaged
from services.runtime.failures import Rejected
from services.runtime.objects import OwnedObjects

MANIFEST: Final = "manifest.json"
AT_ONCE: Final = 4  # requests under way: one stream of an object store gives a fraction of what it has

_NAME: Final = re.compile(r"([0-9]{20})/([a-z0-9.-]+)")


@dataclass(frozen=True, slots=True)
class Stored:
    """The objects of one checkpoint by name, as they are listed."""

    partition: int
    offset: int
    objects: dict[str, ObjectVersion] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        return MANIFEST in self.objects


class CheckpointStore:
    """Every method may raise `Unavailable`, and `Rejected` where the bucket refuses us."""

    def __init__(self, objects: OwnedObjects, bucket: str, prefix: str) -> None:
        self._objects = objects
        self._bucket = bucket
        self._prefix = prefix

    def place(self, partition: int) -> str:
        """Where an operator finds them."""
        return f"s3://{self._bucket}/{self._folder(partition)}"

    async def stored(self, partition: int) -> list[Stored]:
        """All of a partition, newest first, those without manifest among them."""
        folder = self._folder(partition)
        found: dict[int, Stored] = {}
        async for version in self._objects.list_prefix(self._bucket, folder):
            named = _NAME.fullmatch(version.key.removeprefix(folder))
            if named is not None:
                offset = int(named[1])
                found.setdefault(offset, Stored(partition, offset)).objects[named[2]] = version
        return [found[offset] for offset in sorted(found, reverse=True)]

    async def manifest(self, stored: Stored) -> Manifest:
        """Raises `Damaged`, or `NewerFormat`."""
        return decode_manifest(await self._body(stored, MANIFEST))

    async def bodies(self, stored: Stored, blobs: Sequence[Blob]) -> AsyncIterator[tuple[Blob, bytes]]:
        """The blobs in order, the next few fetched meanwhile. Raises `Damaged` where one lacks or has another size."""
        waiting = deque(blobs)
        coming: deque[tuple[Blob, asyncio.Task[bytes]]] = deque()
        try:
            while waiting or coming:
                while waiting and len(coming) < AT_ONCE:
                    blob = waiting.popleft()
                    coming.append((blob, asyncio.create_task(self._body(stored, blob.name, blob.size_bytes))))
                blob, body = coming[0]
                yield blob, await body
                coming.popleft()
        finally:
            for _, body in coming:
                body.cancel()
            await asyncio.gather(*(body for _, body in coming), return_exceptions=True)

    async def write(self, partition: int, offset: int, bodies: Sequence[tuple[Blob, bytes]]) -> None:
        """Puts these blobs, all at once; where one can't be put, no other is under way any more."""
        keys = [self._key(partition, offset, blob.name) for blob, _ in bodies]
        writing = [
            asyncio.ensure_future(self._objects.write(self._bucket, key, body, content_type=_type_of(key)))
            for key, (_, body) in zip(keys, bodies, strict=True)
        ]
        try:
            await asyncio.gather(*writing)
        finally:
            for one in writing:
                one.cancel()
            await asyncio.gather(*writing, return_exceptions=True)

    async def complete(self, manifest: Manifest) -> None:
        """Puts the manifest: from now on the checkpoint counts."""
        key = self._key(manifest.partition, manifest.offset, MANIFEST)
        await self._objects.write(self._bucket, key, encode_manifest(manifest), content_type=_type_of(MANIFEST))

    async def remove(self, stored: Stored) -> None:
        """The manifest first: what is half removed is no checkpoint."""
        for name in sorted(stored.objects, key=lambda name: name != MANIFEST):
            await self._objects.remove(self._bucket, self._key(stored.partition, stored.offset, name))

    async def _body(self, stored: Stored, name: str, size_bytes: int | None = None) -> bytes:
        version = stored.objects.get(name)
        if version is None:
            raise Damaged(f"{name} is missing")
        if size_bytes not in (None, version.size_bytes):
            raise Damaged(f"{name} has {version.size_bytes} bytes instead of {size_bytes}")
        try:
            chunks = [chunk async for chunk in self._objects.read(version, chunk_bytes=max(version.size_bytes or 0, 1))]
        except Rejected as error:
            if error.code is codes.OBJECT_ACCESS_DENIED:
                raise
            raise Damaged(f"{name}: {error.code.code}") from None  # removed or written to since it was listed
        return b"".join(chunks)

    def _folder(self, partition: int) -> str:
        return f"{self._prefix}/{partition}/"

    def _key(self, partition: int, offset: int, name: str) -> str:
        return f"{self._folder(partition)}{offset:020d}/{name}"


def _type_of(name: str) -> str:
    return "application/json" if name.endswith(".json") else "application/octet-stream"
