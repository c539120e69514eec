"""The files connector against an S3 API that answers over HTTP, through the web that lanes use."""

import gzip
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from contracts import codes
from services.adapters.http import HttpWeb
from services.connectors.base import Target
from services.connectors.declaration import filled
from services.connectors.files.definition import DECLARATION, Files
from services.domain.delivery.answers import DELIVERED, Fate
from services.domain.delivery.merge import collapse, cut
from services.runtime.secret import Secret
from services.runtime.web import WebAnswer
from tests.unit.domain.delivery.making import delivery

KEYS = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "secret"}


@pytest.fixture(scope="module")
def endpoint_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of its own at the server: `theirs` is a client of its owner."""

    theirs: Any
    name: str
    endpoint_url: str

    def target(self, now_ms: int, name: str | None = None) -> Target:
        """The destination, or one like it that names another bucket."""
        said = {"bucket": name or self.name, "prefix": "in/", "endpoint_url": self.endpoint_url}
        secrets = {name.removeprefix("aws_"): Secret(value) for name, value in KEYS.items()}
        return Target(filled(DECLARATION.settings, said), secrets, now_ms)


@pytest.fixture
def bucket(endpoint_url: str) -> Bucket:
    theirs = boto3.client("s3", endpoint_url=endpoint_url, region_name="us-east-1", **KEYS)
    name = f"files-{uuid.uuid4().hex[:12]}"
    theirs.create_bucket(Bucket=name)
    return Bucket(theirs, name, endpoint_url)


async def test_a_retry_leaves_one_object_with_the_same_bytes(bucket: Bucket) -> None:
    """Fault 64: a put is whole or it is not there, and the retry of one whose answer was lost changes nothing."""
    (items,) = cut(collapse([delivery(7, "add", ["u1", "ü2"]), delivery(8, "remove", ["u3"])]), 100)
    (request,) = Files().requests(items, bucket.target(0).settings)
    web = HttpWeb(allow_private=True)
    try:
        for now_ms in (1_767_312_000_000, 1_767_312_900_000):
            answer = await web.send(Files().attempt(request, bucket.target(now_ms)))
            assert {one.fate for one in Files().outcomes(request, answer).values()} == {Fate.DELIVERED}
        answer = await web.send(Files().attempt(request, bucket.target(0, f"{bucket.name}-not")))
        assert {one.fate for one in Files().outcomes(request, answer).values()} == {Fate.BLOCKED}
    finally:
        await web.close()
    (found,) = bucket.theirs.list_objects_v2(Bucket=bucket.name)["Contents"]
    assert found["Key"] == f"in/{request.id}"
    rows = gzip.decompress(bucket.theirs.get_object(Bucket=bucket.name, Key=found["Key"])["Body"].read()).decode()
    assert rows.splitlines()[1:] == [
        "entered,kuid,u1,2026-01-02T00:00:00.000Z,7",
        "entered,kuid,ü2,2026-01-02T00:00:00.000Z,7",
        "exited,kuid,u3,2026-01-02T00:00:00.000Z,8",
    ]


async def test_it_is_verified_by_an_object_that_is_no_data(bucket: Bucket) -> None:
    web = HttpWeb(allow_private=True)
    try:
        for now_ms in (1_767_312_000_000, 1_767_312_900_000):
            answer = await web.send(Files().verification(bucket.target(now_ms)))
            assert Files().verified(answer) is DELIVERED
        answer = await web.send(Files().verification(bucket.target(0, f"{bucket.name}-not")))
        assert Files().verified(answer).code is codes.DELIVERY_SETTINGS_INVALID
    finally:
        await web.close()
    (found,) = bucket.theirs.list_objects_v2(Bucket=bucket.name)["Contents"]
    assert found["Key"] == "in/_usher-verify.txt"


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
def test_refused_keys_are_the_owners_to_mend(code: str) -> None:
    body = f"<Error><Code>{code}</Code><Message>for AKIAEXAMPLE</Message></Error>".encode()
    verdict = Files().verified(WebAnswer(403, {}, body))
    assert (verdict.code, verdict.detail) == (codes.DELIVERY_AUTHENTICATION, f"the store answered 403 {code}")
