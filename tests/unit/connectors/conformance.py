"""What the suite must be told of a connector to try it: good settings, an id type, and what the other side makes of it.

Adding a connector adds one `Case` here; a test finds connectors without.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import pytest

from services.connectors.base import Request, Target
from services.connectors.declaration import filled
from services.connectors.registry import CONNECTORS
from services.domain.delivery.merge import members_of
from services.runtime.secret import Secret
from services.runtime.web import WebAnswer

NOW_MS: Final = 1_767_312_000_000
CANARY: Final = "c4n4ry"
"""Part of every secret: nothing but an attempt's headers, URL and body may hold it."""


@dataclass(frozen=True)
class Listing:
    """Of a connector that finds and makes lists: settings that name one, its id, and the good answers."""

    connection: Mapping[str, object]
    list_id: str
    found: WebAnswer
    none: WebAnswer
    made: WebAnswer


@dataclass(frozen=True)
class Case:
    """`members` makes a canonical member of `id_type` from a number; `accepted` is the answer to a good request.

    `let_in` is that to a verification, `cleared` that to a request that empties the list.
    """

    slug: str
    settings: Mapping[str, object]
    secrets: Mapping[str, str] = field(default_factory=dict)
    connection: Mapping[str, object] = field(default_factory=dict)
    id_type: str = "customer_id"
    member: Callable[[int], str] = "u{:06}".format
    accepted: Callable[[Request], WebAnswer] = lambda _: WebAnswer(status=200, headers={}, body=b"{}")
    let_in: WebAnswer = field(default_factory=lambda: WebAnswer(status=200, headers={}, body=b"{}"))
    listing: Listing | None = None
    cleared: WebAnswer = field(default_factory=lambda: WebAnswer(status=204, headers={}, body=b""))
    name: str = ""

    @property
    def filled(self) -> dict[str, object]:
        return filled(CONNECTORS[self.slug].declaration.settings, self.settings)

    @property
    def target(self) -> Target:
        secrets = {name: Secret(value) for name, value in self.secrets.items()}
        fields = CONNECTORS[self.slug].declaration.connection_settings
        return Target(self.filled, secrets, NOW_MS, filled(fields, self.connection), Secret(f"{CANARY}-token"))


def hashed(number: int | str) -> str:
    """The canonical form of an e-mail address."""
    return sha256(f"user{number}@example.com".encode()).hexdigest()


def answered(said: object) -> WebAnswer:
    """200 with this as JSON."""
    return WebAnswer(status=200, headers={}, body=json.dumps(said).encode())


_SEGMENT: Final = {
    "id": "4711",
    "attributes": {"name": "spring", "retailerId": "2", "contactList": {"identifierType": "Email"}},
}
_META: Final = {"totalItems": 1, "offset": 0, "limit": 500}
_USER_LIST: Final = {"id": "238", "displayName": "spring", "ingestedUserListInfo": {"uploadKeyTypes": ["CONTACT_ID"]}}
_KEYS: Final = {"access_key_id": f"AKIA{CANARY}", "secret_access_key": f"{CANARY}/secret"}
_BUCKET: Final = {"bucket": "audiences", "endpoint_url": "https://store.example.com"}

CASES: Final = (
    Case(
        "webhook",
        {"url": "https://example.com/hook"},
        {"signing": f"whsec_{base64.b64encode(f'{CANARY} of twenty-four bytes'.encode()).decode()}"},
    ),
    Case("webhook", {"url": "https://example.com/hook", "body": "event"}, name="webhook-event"),
    Case("files", _BUCKET, _KEYS),
    Case("files", {**_BUCKET, "format": "jsonl", "compression": "zstd"}, _KEYS, name="files-jsonl"),
    Case("files", {**_BUCKET, "format": "parquet"}, _KEYS, name="files-parquet"),
    Case("files", {**_BUCKET, "format": "liveramp"}, _KEYS, name="files-liveramp"),
    Case(
        "files",
        {**_BUCKET, "format": "trade-desk-crm"},
        _KEYS,
        id_type="email_sha256",
        member=hashed,
        name="files-trade-desk-crm",
    ),
    Case(
        "kafka",
        {"bootstrap_servers": "kafka-1.example.com:9092", "topic": "audiences"},
        {"username": "usher", "password": CANARY},
    ),
    Case(
        "google-data-manager",
        {"operating_account_id": "1234567890", "ad_user_data": "granted", "terms_accepted": True},
        {"client_id": "app", "client_secret": CANARY, "refresh_token": f"{CANARY}-refresh"},
        connection={"audience_id": "238"},
        id_type="email_sha256",
        member=hashed,
        accepted=lambda request: answered({"requestId": "req-1"}),
        cleared=answered({"requestId": "req-2"}),
        listing=Listing(
            {"audience_name": "spring"},
            "238",
            found=answered({"userLists": [_USER_LIST]}),
            none=answered({}),
            made=answered(_USER_LIST),
        ),
    ),
    Case(
        "google-data-manager",
        {"operating_account_id": "1234567890"},
        {"client_id": "app", "client_secret": CANARY, "refresh_token": f"{CANARY}-refresh"},
        connection={"audience_id": "238"},
        accepted=lambda request: answered({"requestId": "req-1"}),
        cleared=answered({"requestId": "req-2"}),
        name="google-data-manager-ids",
    ),
    Case(
        "meta-audience",
        {},
        {"access_token": CANARY, "app_secret": f"{CANARY}-app"},
        connection={"audience_id": "238"},
        id_type="email_sha256",
        member=hashed,
        accepted=lambda request: answered({"num_received": members_of(request.items), "num_invalid_entries": 0}),
        let_in=answered({"data": [{"permission": "ads_management", "status": "granted"}]}),
        listing=Listing(
            {"audience_name": "spring", "ad_account_id": "1"},
            "238",
            found=answered({"data": [{"id": "238", "name": "spring", "subtype": "CUSTOM"}]}),
            none=answered({"data": []}),
            made=answered({"id": "238"}),
        ),
    ),
    Case(
        "retail-media",
        {},
        {"client_id": "app", "client_secret": CANARY},
        connection={"segment_id": "4711"},
        id_type="email_sha256",
        member=hashed,
        accepted=lambda request: answered({"data": {"operation": request.items[0].delivery.operation}}),
        let_in=answered({"data": [{"id": "1"}]}),
        listing=Listing(
            {"segment_name": "spring", "account_id": "1", "retailer_id": "2"},
            "4711",
            found=answered({"data": [_SEGMENT], "meta": _META}),
            none=answered({"data": [], "meta": {**_META, "totalItems": 0}}),
            made=answered({"data": [_SEGMENT]}),
        ),
    ),
    Case(
        "trade-desk",
        {"url": "https://use-data.adsrvr.org", "advertiser_id": "adv1"},
        {"token": CANARY},
        id_type="maid",
        member="00000000-0000-4000-8000-{:012x}".format,
    ),
    Case(
        "postgres",
        {"host": "db.example.com", "database": "marketing"},
        {"username": "usher", "password": CANARY},
    ),
)

HOSTILE: Final = (
    b"",
    b"{",
    b"null",
    b"[]",
    b"[[]]",
    b'"ok"',
    b"\xff\xfe" * 100,
    b"[" * 100_000,
    b'{"errors":null,"data":null}',
    b'{"data":{"attributes":[]}}',
    b'{"errors":[1,2],"FailedLines":"x","num_received":{},"requestId":7}',
    b'{"FailedLines":[{"ItemNumber":-1},{"ItemNumber":1e99},{"ItemNumber":"1"},7]}',
    b'{"num_received":1e400}',
    json.dumps({"a" * 1000: "b" * 60_000}).encode(),
)
"""Bodies that no destination should send."""

NO_SUCCESS: Final = (100, 199, 300, 302, 400, 401, 403, 404, 408, 410, 413, 422, 425, 429, 500, 501, 503, 599, 999)
"""Statuses."""


def named(cases: Sequence[Case]) -> pytest.MarkDecorator:
    """Tries a test on each of the cases."""
    return pytest.mark.parametrize("case", cases, ids=[case.name or case.slug for case in cases])
