"""What both object stores, memory and S3, must do: only the version asked for is told of and read."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import boto3
import pytest

from contracts import codes
from contracts.codes import Code
from contracts.messages.intake import ObjectVersion
from deploy.local.state import StackState
from services.adapters.aws import open_client
from services.adapters.memory_objects import MemoryObjects
from services.adapters.s3 import S3Objects
from services.runtime.clock import SystemClock
from services.runtime.failures import Rejected
from services.runtime.objects import OwnedObjects


class Store:
    """A bucket, plain or versioned, as another than us sees it."""

    def __init__(
        self, objects: OwnedObjects, put: Callable[[str, bytes], None], delete: Callable[[str], None], bucket: str
    ) -> None:
        self.objects = objects
        self.put = put
        self.delete = delete
        self.bucket = bucket

    async def stat(self, key: str, *, version_id: str | None = None, etag: str | None = None) -> ObjectVersion:
        return await self.objects.stat(self.bucket, key, version_id=version_id, etag=etag)


@pytest.fixture(params=["plain", "versioned"])
def versioned(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "versioned")


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.broker)])
async def store(
    request: pytest.FixtureRequest, versioned: bool, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Store]:
    if request.param == "memory":
        memory = MemoryObjects(versioned=versioned)
        yield Store(
            memory,
            lambda key, body: (memory.put("bucket", key, body), None)[1],
            lambda key: memory.delete("bucket", key),
            "bucket",
        )
        return
    stack: StackState = request.getfixturevalue("stack")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", stack.aws_access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", stack.aws_secret_access_key)
    theirs = boto3.client("s3", endpoint_url=stack.s3_endpoint_url, region_name=stack.s3_region)
    bucket = f"objects-{uuid.uuid4().hex[:12]}"
    theirs.create_bucket(Bucket=bucket)
    if versioned:
        theirs.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    async with open_client("s3", endpoint_url=stack.s3_endpoint_url, region=stack.s3_region) as client:
        yield Store(
            S3Objects(client, clock=SystemClock()),
            lambda key, body: (theirs.put_object(Bucket=bucket, Key=key, Body=body), None)[1],
            lambda key: (theirs.delete_object(Bucket=bucket, Key=key), None)[1],
            bucket,
        )
    theirs.close()


async def content(store: Store, version: ObjectVersion, chunk_bytes: int = 1000) -> list[bytes]:
    return [chunk async for chunk in store.objects.read(version, chunk_bytes=chunk_bytes)]


async def refusal(work: Awaitable[object]) -> Code:
    with pytest.raises(Rejected) as caught:
        await work
    return caught.value.code


@pytest.mark.parametrize("key", ["a/b.csv", "with space+plus%2B.csv", "ünïcode/日本.csv"])
async def test_stat_tells_everything_about_the_present_version(store: Store, versioned: bool, key: str) -> None:
    store.put(key, b"12345")
    found = await store.stat(key)
    assert (found.bucket, found.key, found.size_bytes) == (store.bucket, key, 5)
    assert found.etag == "827ccb0eea8a706c4c34a16891f84e7b", "without quotes"
    assert found.last_modified_ms is not None
    assert abs(found.last_modified_ms - SystemClock().now_ms()) < 60_000
    assert (found.version_id is not None) == versioned
    assert await store.stat(key, version_id=found.version_id, etag=found.etag) == found


async def test_a_body_comes_in_chunks_of_the_size_asked_for(store: Store) -> None:
    body = bytes(range(256)) * 40
    store.put("key", body)
    chunks = await content(store, await store.stat("key"))
    assert b"".join(chunks) == body
    assert [len(chunk) for chunk in chunks] == [1000] * 10 + [240]


async def test_an_empty_object_has_no_chunk(store: Store) -> None:
    store.put("key", b"")
    version = await store.stat("key")
    assert version.size_bytes == 0
    assert await content(store, version) == []


async def test_what_never_was_is_gone(store: Store) -> None:
    assert await refusal(store.stat("nothing")) is codes.OBJECT_GONE
    assert await refusal(store.stat("nothing", etag="0" * 32)) is codes.OBJECT_GONE


async def test_a_deleted_object_is_gone_but_its_version_can_be_read(store: Store, versioned: bool) -> None:
    store.put("key", b"before")
    version = await store.stat("key")
    store.delete("key")
    assert await refusal(store.stat("key")) is codes.OBJECT_GONE
    if versioned:
        assert await content(store, version) == [b"before"]
    else:
        assert await refusal(content(store, version)) is codes.OBJECT_GONE


async def test_an_overwritten_object_is_not_mistaken_for_its_successor(store: Store, versioned: bool) -> None:
    store.put("key", b"before")
    version = await store.stat("key")
    store.put("key", b"after")
    assert await refusal(store.stat("key", etag=version.etag)) is codes.OBJECT_OVERWRITTEN
    if versioned:
        assert await content(store, version) == [b"before"]
    else:
        assert await refusal(content(store, version)) is codes.OBJECT_OVERWRITTEN


async def test_what_we_write_is_there(store: Store) -> None:
    await store.objects.write(store.bucket, "rejects/key.jsonl", b"{}\n", content_type="application/jsonl")
    assert await content(store, await store.stat("rejects/key.jsonl")) == [b"{}\n"]


async def listed(store: Store, prefix: str) -> list[ObjectVersion]:
    return [version async for version in store.objects.list_prefix(store.bucket, prefix)]


async def test_a_prefix_lists_its_present_objects_by_key(store: Store) -> None:
    for key in ("state/7/b", "state/10/ü +.json", "state/7/a", "other"):
        store.put(key, key.encode())
    store.put("state/7/gone", b"")
    store.delete("state/7/gone")
    found = await listed(store, "state/7")
    assert [version.key for version in found] == ["state/7/a", "state/7/b"]
    assert [version.key for version in await listed(store, "state/")] == [
        "state/10/ü +.json",
        "state/7/a",
        "state/7/b",
    ]
    assert await listed(store, "nothing") == []
    (first, _) = found
    assert (first.size_bytes, first.version_id) == (len("state/7/a"), None)
    assert first.etag == (await store.stat("state/7/a")).etag
    assert await content(store, first) == [b"state/7/a"]


async def test_what_is_removed_is_gone_and_may_have_been_gone_before(store: Store) -> None:
    store.put("key", b"body")
    for _ in range(2):
        await store.objects.remove(store.bucket, "key")
        assert await refusal(store.stat("key")) is codes.OBJECT_GONE
        assert await listed(store, "") == []
