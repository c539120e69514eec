"""The files connector: what the objects hold, read by other code than ours; their names; the signature; the verdicts."""

import base64
import csv
import gzip
import hashlib
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import cramjam
import pyarrow.parquet as pq
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from services.connectors.base import Request, Target
from services.connectors.declaration import filled, mistakes
from services.connectors.files.definition import DECLARATION, Files
from services.domain.delivery.answers import Fate
from services.domain.delivery.merge import collapse, cut
from services.runtime.secret import Secret, SecretUnavailable
from services.runtime.web import WebAnswer
from tests.unit.connectors.conformance import hashed
from tests.unit.domain.delivery.making import delivery

NOW_MS = 1_767_312_000_000
SECRETS = {"access_key_id": Secret("AKIAEXAMPLE"), "secret_access_key": Secret("wJalr/XUtn+FEMI")}
ODD = ["plain", 'quote"d', "com,ma", "ü²", "🦊", "back\\slash"]
WANTED = [
    *({"change": "entered", "identifier": one, "sequence": 7} for one in ODD),
    {"change": "exited", "identifier": "gone", "sequence": 8},
]


def settings(**more: object) -> dict[str, object]:
    return filled(DECLARATION.settings, {"bucket": "audiences", **more})


def made(
    members: Sequence[str] = ODD, *, id_type: str = "kuid", name: str = "spring sale", **more: object
) -> list[Request]:
    said = [delivery(7, "add", members), delivery(8, "remove", ["gone"] if id_type == "kuid" else [members[-1]])]
    said = [type(one)(**{**one_fields(one), "id_type": id_type, "activation_name": name}) for one in said]
    (items,) = cut(collapse(said), 1_000)
    return Files().requests(items, settings(**more))


def one_fields(one: Any) -> dict[str, Any]:
    return {field: getattr(one, field) for field in one.__struct_fields__}


def rows(found: Sequence[dict[str, Any]]) -> list[dict[str, object]]:
    assert all((row["id_type"], row["at"]) == ("kuid", "2026-01-02T00:00:00.000Z") for row in found)
    return [
        {"change": row["change"], "identifier": row["identifier"], "sequence": int(row["sequence"])} for row in found
    ]


@pytest.mark.parametrize(
    ("compression", "unpack"),
    [("gzip", gzip.decompress), ("zstd", lambda body: bytes(cramjam.zstd.decompress(body))), ("none", bytes)],
)
def test_csv_and_jsonl_are_read_back_by_others(compression: str, unpack: Any) -> None:
    (request,) = made(format="csv", compression=compression)
    assert rows(list(csv.DictReader(io.StringIO(unpack(request.body).decode(), newline="")))) == WANTED
    (request,) = made(format="jsonl", compression=compression)
    assert rows([json.loads(line) for line in unpack(request.body).decode().split("\n")[:-1]]) == WANTED
    (request,) = made(["u1", "u2"], format="jsonl", compression=compression)
    assert [json.loads(line)["identifier"] for line in unpack(request.body).splitlines()] == ["u1", "u2", "gone"]


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_parquet_is_read_back_by_others(compression: str) -> None:
    (request,) = made(format="parquet", compression=compression)
    assert rows(pq.read_table(io.BytesIO(request.body)).to_pylist()) == WANTED


def test_liveramp_has_the_audience_first_quoted_values_and_apples_ids_in_capitals() -> None:
    entered, exited = made(["ab-1", 'q"'], id_type="idfa", format="liveramp", compression="none")
    assert entered.body.decode() == 'audience_key,idfa\n"aud_1","AB-1"\n'
    assert list(csv.reader(io.StringIO(exited.body.decode()))) == [["audience_key", "idfa"], ["aud_1", 'Q"']]
    assert ("/entered/" in entered.id, "/exited/" in exited.id) == (True, True)


def test_a_crm_line_is_the_base64_of_the_hash() -> None:
    entered, _ = made([hashed(1), hashed(2)], id_type="email_sha256", format="trade-desk-crm", compression="none")
    assert entered.body == base64.b64encode(hashlib.sha256(b"user1@example.com").digest()) + b"\n"
    assert Files().refuses("kuid", settings(format="trade-desk-crm")) is not None
    assert Files().refuses("kuid", settings()) is None


def test_a_name_is_of_the_content_and_in_the_order_of_the_changes() -> None:
    """Faults 61 and 64: a retry writes the same bytes under the same name."""
    (one,), (two,) = made(), made()
    assert (one.id, one.body) == (two.id, two.body)
    folder, date, name = one.id.split("/")
    assert (folder, date) == ("spring sale", "2026-01-02")
    digest = hashlib.sha256(one.body).hexdigest()[:16]
    assert name == f"00000-00000000000000000007-{digest}.csv.gz"
    (other,) = made(["somebody else"])
    assert other.id != one.id


@pytest.mark.parametrize(
    ("name", "folder"),
    [("a/b", "a%2Fb"), ("..", "act_1"), ("", "act_1"), ("é", "%C3%A9"), ("x" * 401, "act_1"), ("a\r\nb", "a%0D%0Ab")],
)
def test_no_name_of_an_activation_leaves_its_folder(name: str, folder: str) -> None:
    (request,) = made(name=name)
    assert request.id.split("/")[0] == folder


@pytest.mark.parametrize("name", ["plain", "a b", "ü/²", "100%", "~tilde'()*!"])
@pytest.mark.parametrize("endpoint", [None, "https://store.example.com", "http://127.0.0.1:9000/base"])
def test_the_signature_is_botocores(endpoint: str | None, name: str) -> None:
    (request,) = made(name=name)
    sent = Files().attempt(request, Target(settings(prefix="in/", endpoint_url=endpoint), SECRETS, NOW_MS))
    theirs = AWSRequest("PUT", sent.url, headers={}, data=request.body)
    theirs.context = {"client_config": Config(s3={"payload_signing_enabled": True})}  # as without TLS
    moment = datetime.fromtimestamp(NOW_MS / 1000, UTC)
    with patch("botocore.auth.get_current_datetime", return_value=moment.replace(tzinfo=None)):
        S3SigV4Auth(Credentials("AKIAEXAMPLE", "wJalr/XUtn+FEMI"), "s3", "us-east-1").add_auth(theirs)
    assert sent.headers["authorization"] == theirs.headers["Authorization"]
    assert sent.headers["x-amz-date"] == theirs.headers["X-Amz-Date"]


@pytest.mark.parametrize("value", ["", "two words", "line\nbreak", "ü"])
def test_what_is_no_key_is_never_sent_and_never_repeated(value: str) -> None:
    (request,) = made()
    with pytest.raises(SecretUnavailable) as caught:
        Files().attempt(request, Target(settings(), {**SECRETS, "secret_access_key": Secret(value)}, NOW_MS))
    assert not value or value not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "code", "fate"),
    [
        (200, "", Fate.DELIVERED),
        (301, "PermanentRedirect", Fate.BLOCKED),
        (307, "TemporaryRedirect", Fate.BLOCKED),
        (400, "AuthorizationHeaderMalformed", Fate.BLOCKED),
        (400, "ExpiredToken", Fate.UNAUTHORIZED),
        (400, "RequestTimeout", Fate.UNAVAILABLE),
        (400, "EntityTooLarge", Fate.REFUSED),
        (403, "AccessDenied", Fate.UNAUTHORIZED),
        (403, "SignatureDoesNotMatch", Fate.UNAUTHORIZED),
        (403, "RequestTimeTooSkewed", Fate.UNAVAILABLE),
        (404, "NoSuchBucket", Fate.BLOCKED),
        (503, "SlowDown", Fate.UNAVAILABLE),
    ],
)
def test_what_the_stores_answer_means(status: int, code: str, fate: Fate) -> None:
    (request,) = made()
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>…</Message></Error>".encode() if code else b""
    found = Files().outcomes(request, WebAnswer(status=status, headers={}, body=body))
    assert {item.id: found[item.id].fate for item in request.items} == {item.id: fate for item in request.items}


@pytest.mark.parametrize("prefix", ["../x", "a b/", "é/", "x?y", "a#b", "a%2e"])
def test_a_prefix_is_plain(prefix: str) -> None:
    wrong = mistakes(
        DECLARATION,
        settings={"bucket": "audiences", "prefix": prefix},
        secrets={"access_key_id": "env:USHER_SECRET_A", "secret_access_key": "env:USHER_SECRET_B"},
        limits={},
    )
    assert [one.field for one in wrong] == ["settings.prefix"]
