"""The files connector against an S3 API that answers over HTTP, through the web that lanes use."""

import gzip
import uuid
from collections.abc import Iterator

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


@pytest.fixture(scope="module")
def endpoint_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


async def test_a_retry_leaves_one_object_with_the_same_bytes(endpoint_url: str) -> None:
    """Fault 64: a put is whole or it is not there, and the retry of one whose answer was lost changes nothing."""
    keys = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "secret"}
    theirs = boto3.client("s3", endpoint_url=endpoint_url, region_name="us-east-1", **keys)
    bucket = f"files-{uuid.uuid4().hex[:12]}"
    theirs.create_bucket(Bucket=bucket)
    settings = filled(DECLARATION.settings, {"bucket": bucket, "prefix": "in/", "endpoint_url": endpoint_url})
    secrets = {name.removeprefix("aws_"): Secret(value) for name, value in keys.items()}
    (items,) = cut(collapse([delivery(7, "add", ["u1", "ü2"]), delivery(8, "remove", ["u3"])]), 100)
    (request,) = Files().requests(items, settings)
    web = HttpWeb(allow_private=True)
    try:
        for now_ms in (1_767_312_000_000, 1_767_312_900_000):
            answer = await web.send(Files().attempt(request, Target(settings, secrets, now_ms)))
            assert {one.fate for one in Files().outcomes(request, answer).values()} == {Fate.DELIVERED}
        missing = {**settings, "bucket": f"{bucket}-not"}
        answer = await web.send(Files().attempt(request, Target(missing, secrets, 0)))
        assert {one.fate for one in Files().outcomes(request, answer).values()} == {Fate.BLOCKED}
    finally:
        await web.close()
    (found,) = theirs.list_objects_v2(Bucket=bucket)["Contents"]
    assert found["Key"] == f"in/{request.id}"
    rows = gzip.decompress(theirs.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()).decode()
    assert rows.splitlines()[1:] == [
        "entered,kuid,u1,2026-01-02T00:00:00.000Z,7",
        "entered,kuid,ü2,2026-01-02T00:00:00.000Z,7",
        "exited,kuid,u3,2026-01-02T00:00:00.000Z,8",
    ]


async def test_it_is_verified_by_an_object_that_is_no_data(endpoint_url: str) -> None:
    keys = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "secret"}
    theirs = boto3.client("s3", endpoint_url=endpoint_url, region_name="us-east-1", **keys)
    bucket = f"files-{uuid.uuid4().hex[:12]}"
    theirs.create_bucket(Bucket=bucket)
    settings = filled(DECLARATION.settings, {"bucket": bucket, "prefix": "in/", "endpoint_url": endpoint_url})
    secrets = {name.removeprefix("aws_"): Secret(value) for name, value in keys.items()}
    web = HttpWeb(allow_private=True)
    try:
        for now_ms in (1_767_312_000_000, 1_767_312_900_000):
            answer = await web.send(Files().verification(Target(settings, secrets, now_ms)))
            assert Files().verified(answer) is DELIVERED
        answer = await web.send(Files().verification(Target({**settings, "bucket": f"{bucket}-not"}, secrets, 0)))
        assert Files().verified(answer).code is codes.DELIVERY_SETTINGS_INVALID
    finally:
        await web.close()
    (found,) = theirs.list_objects_v2(Bucket=bucket)["Contents"]
    assert found["Key"] == "in/_usher-verify.txt"


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
def test_refused_keys_are_the_owners_to_mend(code: str) -> None:
    body = f"<Error><Code>{code}</Code><Message>for AKIAEXAMPLE</Message></Error>".encode()
    verdict = Files().verified(WebAnswer(403, {}, body))
    assert (verdict.code, verdict.detail) == (codes.DELIVERY_AUTHENTICATION, f"the store answered 403 {code}")
