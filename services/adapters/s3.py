"""Objects in S3 and its relatives: implements `OwnedObjects`.

The version that was announced is the only one that is read: by its version id where there is one, and always with
If-Match of its eTag. A body that breaks, stalls or drips is resumed by range under the same conditions.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Any, Final

from botocore.exceptions import ClientError, FlexibleChecksumError, ParamValidationError

from contracts import codes
from contracts.codes import Code
from contracts.messages.intake import ObjectVersion
from services.adapters.aws import NO_ANSWER, error_code, unavailable
from services.runtime.backoff import SYSTEM_RANDOM, Backoff, Random
from services.runtime.clock import Clock
from services.runtime.failures import Rejected, Unavailable

RESUMES_MAX: Final = 5  # in a row without one byte between them; then the reading is tried again as a whole, later
CHUNK_SECONDS: Final = 60.0  # for a chunk, or each MiB of a larger one; a slower connection is given up for another

# What an answer means for this object, for ever. All else passes: 5xx, throttling, and errors in our own credentials
# (InvalidAccessKeyId, SignatureDoesNotMatch, ExpiredToken), which concern every object and must lose none.
_REJECTED: Final[dict[str, Code]] = {
    "404": codes.OBJECT_GONE,
    "NoSuchKey": codes.OBJECT_GONE,
    "NoSuchVersion": codes.OBJECT_GONE,
    "NoSuchBucket": codes.OBJECT_GONE,
    "405": codes.OBJECT_GONE,  # the version is a delete marker
    "MethodNotAllowed": codes.OBJECT_GONE,
    "InvalidArgument": codes.OBJECT_GONE,  # no such form of a version id
    "InvalidBucketName": codes.OBJECT_GONE,
    "KeyTooLongError": codes.OBJECT_GONE,
    "412": codes.OBJECT_OVERWRITTEN,
    "PreconditionFailed": codes.OBJECT_OVERWRITTEN,
    "AccessDenied": codes.OBJECT_ACCESS_DENIED,
    "AllAccessDisabled": codes.OBJECT_ACCESS_DENIED,
    "InvalidObjectState": codes.OBJECT_ACCESS_DENIED,  # archived
    "KMS.AccessDeniedException": codes.OBJECT_ACCESS_DENIED,
    "KMS.DisabledException": codes.OBJECT_ACCESS_DENIED,
    "KMS.KMSInvalidStateException": codes.OBJECT_ACCESS_DENIED,
    "KMS.NotFoundException": codes.OBJECT_ACCESS_DENIED,
}
_MUTE: Final = frozenset({"400", "403"})  # a HEAD says no more; the same question as a GET has a body


class S3Objects:
    """Holds a client that `connect` opens and closes."""

    def __init__(
        self, client: Any, *, clock: Clock, random: Random = SYSTEM_RANDOM, chunk_seconds: float = CHUNK_SECONDS
    ) -> None:
        self._client = client
        self._clock = clock
        self._random = random
        self._chunk_seconds = chunk_seconds

    async def stat(
        self, bucket: str, key: str, *, version_id: str | None = None, etag: str | None = None
    ) -> ObjectVersion:
        asked = _where(bucket, key, version_id)
        try:
            found = await self._client.head_object(**asked)
        except ClientError as error:
            if error_code(error) in _MUTE:
                await self._explain(asked)
            raise failure(error, bucket) from error
        except ParamValidationError as error:
            raise Rejected(codes.OBJECT_GONE, "no bucket or object can have such a name") from error
        except NO_ANSWER as error:
            raise unavailable(error, f"stat in {bucket}") from error
        present = _bare(found["ETag"])
        if etag is not None and _bare(etag) != present:
            raise Rejected(codes.OBJECT_OVERWRITTEN, f"in {bucket}: the present content is another")
        return ObjectVersion(
            bucket=bucket,
            key=key,
            version_id=_real(found.get("VersionId")) or _real(version_id),
            etag=present,
            size_bytes=int(found["ContentLength"]),
            last_modified_ms=int(found["LastModified"].timestamp() * 1000),
        )

    async def read(self, version: ObjectVersion, *, chunk_bytes: int) -> AsyncIterator[bytes]:
        backoff = Backoff(base_seconds=0.2, cap_seconds=5.0, random=self._random)
        position = 0
        while True:
            try:
                async with aclosing(self._chunks(version, position, chunk_bytes)) as chunks:
                    async for chunk in chunks:
                        position += len(chunk)
                        backoff.reset()
                        yield chunk
            except FlexibleChecksumError as error:
                raise Unavailable(f"read in {version.bucket}: what came is not what was put") from error
            except (*NO_ANSWER, Unavailable) as error:
                if position == version.size_bytes:
                    return  # it broke behind the last byte
                if backoff.failures == RESUMES_MAX:
                    raise _given_up(error, f"read in {version.bucket}, broken at {position}") from error
                wish = error.retry_after_seconds if isinstance(error, Unavailable) else None
                await self._clock.sleep(backoff.next_seconds(wish))
            else:
                if version.size_bytes is not None and position != version.size_bytes:
                    raise Unavailable(f"read in {version.bucket}: {position} of {version.size_bytes} bytes came")
                return

    async def write(self, bucket: str, key: str, body: bytes, *, content_type: str) -> None:
        try:
            await self._client.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)
        except ClientError as error:
            if error_code(error) in {"AccessDenied", "AllAccessDisabled"}:
                raise failure(error, bucket) from error
            raise unavailable(error, f"write to {bucket}") from error
        except NO_ANSWER as error:
            raise unavailable(error, f"write to {bucket}") from error

    async def list_prefix(self, bucket: str, prefix: str) -> AsyncIterator[ObjectVersion]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        try:
            async for page in pages:
                for found in page.get("Contents", ()):
                    yield ObjectVersion(
                        bucket=bucket,
                        key=found["Key"],
                        etag=_bare(found["ETag"]),
                        size_bytes=int(found["Size"]),
                        last_modified_ms=int(found["LastModified"].timestamp() * 1000),
                    )
        except ClientError as error:
            raise failure(error, bucket) from error
        except NO_ANSWER as error:
            raise unavailable(error, f"list in {bucket}") from error

    async def remove(self, bucket: str, key: str) -> None:
        try:
            await self._client.delete_object(Bucket=bucket, Key=key)
        except ClientError as error:
            raise failure(error, bucket) from error
        except NO_ANSWER as error:
            raise unavailable(error, f"remove in {bucket}") from error

    async def close(self) -> None:
        """The client is closed by whoever opened it."""

    async def _chunks(self, version: ObjectVersion, position: int, chunk_bytes: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `position` on, in full chunks; raises one of `NO_ANSWER` where the body breaks."""
        asked = _where(version.bucket, version.key, version.version_id)
        if version.etag is not None:
            asked["IfMatch"] = f'"{version.etag}"'
        if position:
            asked["Range"] = f"bytes={position}-"
        else:
            asked["ChecksumMode"] = "ENABLED"  # the client verifies it; there is none of a part
        try:
            answer = await self._client.get_object(**asked)
        except ClientError as error:
            raise failure(error, version.bucket) from error
        async with answer["Body"] as body:
            if position and not str(answer.get("ContentRange", "")).startswith(f"bytes {position}-"):
                raise Unavailable(f"the store of {version.bucket} does not answer ranges: nothing can be resumed")
            patience_seconds = self._chunk_seconds * max(1.0, chunk_bytes / (1 << 20))
            size_bytes = chunk_bytes
            while size_bytes == chunk_bytes:
                gathered: list[bytes] = []  # joined once: a buffer that grows is copied again and again
                try:
                    async with asyncio.timeout(patience_seconds):
                        size_bytes = await _gather(body, chunk_bytes, gathered)
                except NO_ANSWER:
                    if gathered:  # what has come needs no second journey
                        yield b"".join(gathered)
                    raise
                if gathered:
                    yield b"".join(gathered)

    async def _explain(self, asked: dict[str, str]) -> None:
        """Raises what a GET of one byte says about it; returns where it says nothing."""
        with suppress(*NO_ANSWER):
            try:
                answer = await self._client.get_object(**asked, Range="bytes=0-0")
            except ClientError as error:
                raise failure(error, asked["Bucket"]) from error
            answer["Body"].close()


async def _gather(body: Any, chunk_bytes: int, gathered: list[bytes]) -> int:
    """Up to so many bytes of the body, fewer only where it ends; returns how many."""
    size_bytes = 0
    while size_bytes < chunk_bytes and (piece := await body.read(chunk_bytes - size_bytes)):
        gathered.append(piece)
        size_bytes += len(piece)
    return size_bytes


def _given_up(error: BaseException, what: str) -> Unavailable:
    return error if isinstance(error, Unavailable) else unavailable(error, what)


def failure(error: ClientError, bucket: str) -> Rejected | Unavailable:
    """What the store's refusal means. The key is not named: it may hold what nobody should read in a log."""
    code = _REJECTED.get(error_code(error))
    if code is None:
        return unavailable(error, f"object store, {bucket}")
    return Rejected(code, f"in {bucket}: {error_code(error)}")


def _where(bucket: str, key: str, version_id: str | None) -> dict[str, str]:
    version = _real(version_id)
    return {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})


def _real(version_id: str | None) -> str | None:
    """`null` is the name of the one version of an object that has no versions: the next overwrites it in place."""
    return None if version_id == "null" else version_id


def _bare(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')
