"""What S3 can do to us: bodies that break, stores that refuse. The rest is in tests/conformance/test_objects.py."""

import asyncio
import base64
import hashlib
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from botocore.exceptions import ClientError

from contracts import codes
from contracts.codes import Code
from contracts.messages.intake import ObjectVersion
from services.adapters.aws import READ_SECONDS, open_client
from services.adapters.s3 import CHUNK_SECONDS, RESUMES_MAX, S3Objects, failure
from services.runtime.failures import Rejected, Unavailable
from services.tools.receiver import served
from tests.unit.runtime.machine import HandClock

BODY = bytes(range(256)) * 1000
ETAG = "d41d8"
VERSION = ObjectVersion(bucket="bucket", key="key", etag=ETAG, size_bytes=len(BODY))


class BreakingStore:
    """One object; each answer breaks after the next number of bytes in `breaks`, the last ones are whole.

    Where it `stalls` it does not break but fall silent; where it `drips`, a byte comes now and then. `refusals`
    (status, code) come first, one a question for the rest. `checksum` is what it says of the whole.
    """

    def __init__(self, breaks: list[int], *, answers_ranges: bool = True) -> None:
        self.breaks = breaks
        self.stalls = False
        self.drips = False
        self.checksum: bytes | None = None
        self.refusals: list[tuple[int, str]] = []
        self.ended = asyncio.Event()
        self.answers_ranges = answers_ranges
        self.asked: list[tuple[str | None, str | None]] = []
        self.etag = ETAG

    async def get(self, request: web.Request) -> web.StreamResponse:
        wanted = request.headers.get("Range")
        self.asked.append((wanted, request.headers.get("If-Match")))
        if request.headers.get("If-Match") != f'"{self.etag}"':
            return refusal(412, "PreconditionFailed")
        if wanted and self.refusals:
            return refusal(*self.refusals.pop(0))
        first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.answers_ranges else 0
        response = web.StreamResponse(status=206 if first else 200, headers={"ETag": f'"{self.etag}"'})
        response.content_length = len(BODY) - first
        if first:
            response.headers["Content-Range"] = f"bytes {first}-{len(BODY) - 1}/{len(BODY)}"
        if self.checksum is not None and request.headers.get("x-amz-checksum-mode") == "ENABLED":
            response.headers["x-amz-checksum-crc32"] = base64.b64encode(self.checksum).decode()
        await response.prepare(request)
        if self.breaks:
            size = self.breaks.pop(0)
            await response.write(BODY[first : first + size])
            assert request.transport is not None
            if self.stalls:
                await self.ended.wait()
            for byte in BODY[first + size :] if self.drips else b"":
                await response.write(bytes([byte]))
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.ended.wait(), 0.02)
            request.transport.close()
        else:
            await response.write(BODY[first:])
        return response


def refusal(status: int, code: str) -> web.Response:
    return web.Response(status=status, text=f"<Error><Code>{code}</Code></Error>", content_type="text/xml")


@pytest.fixture
def store() -> BreakingStore:
    return BreakingStore([])


async def serving(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    monkeypatch: pytest.MonkeyPatch,
    *,
    read_seconds: float = READ_SECONDS,
    chunk_seconds: float = CHUNK_SECONDS,
    credentials_expire: bool = False,
    signs_bodies: bool = True,
) -> AsyncIterator[S3Objects]:
    """With credentials of the environment, or with those that the handler gives at `/credentials`."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        if credentials_expire:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, "test")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with served(app) as url:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/credentials")
        async with open_client(
            "s3", endpoint_url=url, region="us-east-1", read_seconds=read_seconds, signs_bodies=signs_bodies
        ) as client:
            yield S3Objects(client, clock=HandClock(), random=lambda: 0.0, chunk_seconds=chunk_seconds)


@pytest.fixture
async def objects(store: BreakingStore, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[S3Objects]:
    async for made in serving(store.get, monkeypatch):
        yield made


async def content(objects: S3Objects, version: ObjectVersion = VERSION) -> bytes:
    return b"".join([chunk async for chunk in objects.read(version, chunk_bytes=10_000)])


async def test_a_broken_body_is_resumed_where_it_broke_under_the_same_condition(
    store: BreakingStore, objects: S3Objects
) -> None:
    store.breaks += [25_000, 1, 100_000]
    assert await content(objects) == BODY
    assert store.asked == [
        (None, f'"{ETAG}"'),
        ("bytes=25000-", f'"{ETAG}"'),
        ("bytes=25001-", f'"{ETAG}"'),
        ("bytes=125001-", f'"{ETAG}"'),
    ]


async def test_a_body_that_stalls_is_resumed_where_it_fell_silent(
    store: BreakingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.breaks += [25_000, 100_000]
    store.stalls = True
    async for objects in serving(store.get, monkeypatch, read_seconds=0.1):
        assert await content(objects) == BODY
        store.ended.set()
    assert [wanted for wanted, _ in store.asked] == [None, "bytes=25000-", "bytes=125000-"]


async def test_a_body_that_drips_is_asked_for_anew_and_what_came_is_kept(
    store: BreakingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No two bytes are far apart: only the time of a chunk tells."""
    store.breaks += [25_000]
    store.drips = True
    async for objects in serving(store.get, monkeypatch, chunk_seconds=0.3):
        assert await content(objects) == BODY
    (_, (rest, _)) = store.asked
    assert 25_000 < int((rest or "").removeprefix("bytes=").removesuffix("-")) < 26_000


async def test_a_body_that_is_not_what_was_put_is_never_taken_for_whole(
    store: BreakingStore, objects: S3Objects
) -> None:
    """Where the store says a checksum; a part has none."""
    store.checksum = zlib.crc32(BODY).to_bytes(4, "big")
    assert await content(objects) == BODY
    store.checksum = zlib.crc32(BODY[1:]).to_bytes(4, "big")
    with pytest.raises(Unavailable, match="not what was put"):
        await content(objects)


@pytest.mark.parametrize(
    "refusals", [[(503, "SlowDown")] * 4, [(500, "InternalError")] * 4, [(400, "ExpiredToken")] * 2]
)
async def test_a_store_that_refuses_the_rest_for_a_while_is_asked_again(
    store: BreakingStore, objects: S3Objects, refusals: list[tuple[int, str]]
) -> None:
    """More often than the client asks by itself, and without a second journey for what has come."""
    store.breaks.append(25_000)
    store.refusals += refusals
    assert await content(objects) == BODY
    assert {wanted for wanted, _ in store.asked[1:]} == {"bytes=25000-"}
    assert len(store.asked) == len(refusals) + 2


async def test_credentials_that_expire_in_the_midst_of_an_object_are_fetched_anew(
    store: BreakingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those given last are always about to expire, and the store takes none but the newest."""
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    issued: list[str] = []
    taken: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/credentials":
            issued.append(f"KEY{len(issued)}")
            return web.json_response(
                {"AccessKeyId": issued[-1], "SecretAccessKey": "s", "Token": "t", "Expiration": soon}
            )
        taken.append(request.headers["Authorization"].partition("Credential=")[2].partition("/")[0])
        return await store.get(request) if taken[-1] == issued[-1] else refusal(400, "ExpiredToken")

    store.breaks.append(25_000)
    async for objects in serving(answer, monkeypatch, credentials_expire=True):
        assert await content(objects) == BODY
    assert len(set(taken)) == 2


async def test_an_object_overwritten_between_two_parts_is_never_mixed(store: BreakingStore, objects: S3Objects) -> None:
    async def read_while_it_is_overwritten() -> None:
        async for _ in objects.read(VERSION, chunk_bytes=10_000):
            store.etag = "other"

    store.breaks.append(25_000)
    with pytest.raises(Rejected) as caught:
        await read_while_it_is_overwritten()
    assert caught.value.code is codes.OBJECT_OVERWRITTEN


async def test_a_body_that_never_gets_further_is_given_up_for_now(store: BreakingStore, objects: S3Objects) -> None:
    store.breaks += [1000] + [0] * 100
    with pytest.raises(Unavailable):
        await content(objects)
    assert len(store.asked) == RESUMES_MAX + 1


async def test_a_store_that_ignores_ranges_cannot_double_bytes(store: BreakingStore, objects: S3Objects) -> None:
    store.answers_ranges = False
    store.breaks.append(25_000)
    with pytest.raises(Unavailable):
        await content(objects)


async def test_another_size_than_announced_is_not_taken(objects: S3Objects) -> None:
    version = ObjectVersion(bucket="bucket", key="key", etag=ETAG, size_bytes=len(BODY) + 1)
    with pytest.raises(Unavailable):
        await content(objects, version)


def answered(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {"retry-after": "3"}}},
        "GetObject",
    )


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("404", 404, codes.OBJECT_GONE),
        ("NoSuchKey", 404, codes.OBJECT_GONE),
        ("NoSuchVersion", 404, codes.OBJECT_GONE),
        ("NoSuchBucket", 404, codes.OBJECT_GONE),
        ("405", 405, codes.OBJECT_GONE),
        ("InvalidArgument", 400, codes.OBJECT_GONE),
        ("PreconditionFailed", 412, codes.OBJECT_OVERWRITTEN),
        ("412", 412, codes.OBJECT_OVERWRITTEN),
        ("AccessDenied", 403, codes.OBJECT_ACCESS_DENIED),
        ("InvalidObjectState", 403, codes.OBJECT_ACCESS_DENIED),
        ("KMS.DisabledException", 400, codes.OBJECT_ACCESS_DENIED),
        # Our own credentials: the operator's, and no object may be lost for them.
        ("InvalidAccessKeyId", 403, None),
        ("SignatureDoesNotMatch", 403, None),
        ("ExpiredToken", 400, None),
        ("RequestTimeTooSkewed", 403, None),
        ("SlowDown", 503, None),
        ("InternalError", 500, None),
        ("PermanentRedirect", 301, None),
        ("SomethingNew", 400, None),
        ("", 418, None),
    ],
)
def test_what_a_refusal_means(code: str, status: int, expected: Code | None) -> None:
    meant = failure(answered(code, status), "bucket")
    if expected is None:
        assert isinstance(meant, Unavailable)
        assert meant.retry_after_seconds == 3.0
    else:
        assert isinstance(meant, Rejected)
        assert meant.code is expected


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "AccessDenied", codes.OBJECT_ACCESS_DENIED),
        (403, "InvalidAccessKeyId", None),
        (400, "ExpiredToken", None),
        (400, "InvalidArgument", codes.OBJECT_GONE),
        (400, "KeyTooLongError", codes.OBJECT_GONE),
        (404, "NoSuchKey", codes.OBJECT_GONE),
    ],
)
async def test_a_head_that_may_not_say_why_is_asked_again_as_a_get(
    monkeypatch: pytest.MonkeyPatch, status: int, code: str, expected: Code | None
) -> None:
    """A HEAD has no body: wrong credentials must not look like an object that we may not read."""

    async def refuse(request: web.Request) -> web.Response:
        return refusal(status, code)

    async for objects in serving(refuse, monkeypatch):
        with pytest.raises((Rejected, Unavailable)) as caught:
            await objects.stat("bucket", "key")
        assert (caught.value.code if isinstance(caught.value, Rejected) else None) is expected


async def test_a_name_that_no_bucket_can_have_is_gone(objects: S3Objects) -> None:
    with pytest.raises(Rejected) as caught:
        await objects.stat("no bucket/at all", "key")
    assert caught.value.code is codes.OBJECT_GONE


@pytest.mark.parametrize("signs_bodies", [True, False])
async def test_a_body_is_in_the_signature_unless_it_has_checksums_of_its_own(
    monkeypatch: pytest.MonkeyPatch, signs_bodies: bool
) -> None:
    said: list[str] = []

    async def take(request: web.Request) -> web.Response:
        said.append(request.headers["x-amz-content-sha256"])
        assert await request.read() == b"body"
        return web.Response(headers={"ETag": '"e"'})

    async for objects in serving(take, monkeypatch, signs_bodies=signs_bodies):
        await objects.write("bucket", "key", b"body", content_type="text/plain")
    assert said == [hashlib.sha256(b"body").hexdigest() if signs_bodies else "UNSIGNED-PAYLOAD"]
