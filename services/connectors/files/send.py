"""How one object is put: an S3 PUT, signed by AWS Signature Version 4, and what its answer means.

The signature is by hand, as the lanes own the HTTP client and the clock; a test compares it with botocore's.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlsplit

from contracts import codes
from services.connectors.base import Request, Target
from services.domain.delivery.answers import Fate, Verdict, judge
from services.runtime.secret import SecretUnavailable
from services.runtime.web import WebAnswer, WebRequest

_ERROR_CODE: Final = re.compile(rb"<Code>([A-Za-z]{1,64})</Code>")
_SECONDS_MAX: Final = 60.0
_CREDENTIALS: Final = frozenset(
    {"AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
)
_PLACE: Final = frozenset(
    {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "InvalidBucketName", "NoSuchBucket",
     "PermanentRedirect", "TemporaryRedirect"}
)  # fmt: skip


def put(request: Request, target: Target) -> WebRequest:
    """The PUT. A path names the bucket where there is an endpoint, else the host does, as Amazon has it."""
    settings = target.settings
    bucket, region, endpoint = str(settings["bucket"]), str(settings["region"]), settings["endpoint_url"]
    key = quote(f"{settings['prefix']}{request.id}", safe="/~")
    if endpoint is None:
        host, path, scheme = f"{bucket}.s3.{region}.amazonaws.com", f"/{key}", "https"
    else:
        place = urlsplit(str(endpoint))
        host, path, scheme = place.netloc, f"{place.path.rstrip('/')}/{bucket}/{key}", place.scheme
    digest = hashlib.sha256(request.body).hexdigest()
    moment = datetime.fromtimestamp(target.now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": moment}
    headers["authorization"] = _authorization(target, headers, path, region)
    del headers["host"]  # the client says it
    return WebRequest(
        method="PUT", url=f"{scheme}://{host}{path}", headers=headers, body=request.body, timeout_seconds=_SECONDS_MAX
    )


def outcomes(request: Request, answer: WebAnswer) -> Mapping[str, Verdict]:
    """An object is there or it is not: one verdict for all items."""
    verdict = judged(answer)
    return dict.fromkeys((item.id for item in request.items), verdict)


def judged(answer: WebAnswer) -> Verdict:
    """The verdict on a PUT, by the status and S3's error code."""
    found = _ERROR_CODE.search(answer.body) if answer.status >= 300 else None
    code = found[1].decode() if found else ""
    verdict = judge(answer.status)
    detail = f"the store answered {answer.status} {code}".strip()
    if code in _CREDENTIALS:
        verdict = Verdict(Fate.UNAUTHORIZED, codes.DELIVERY_AUTHENTICATION, detail)
    elif code in _PLACE or 300 <= answer.status <= 399 or answer.status == 404:
        # The place is wrong, not the object: it waits until the settings are right.
        verdict = Verdict(Fate.BLOCKED, codes.DELIVERY_SETTINGS_INVALID, detail)
    elif code in {"RequestTimeout", "RequestTimeTooSkewed"}:
        verdict = Verdict(Fate.UNAVAILABLE, codes.DELIVERY_UNAVAILABLE, detail)
    return verdict


def _authorization(target: Target, headers: Mapping[str, str], path: str, region: str) -> str:
    moment = headers["x-amz-date"]
    signed = ";".join(sorted(headers))
    said = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = f"PUT\n{path}\n\n{said}\n{signed}\n{headers['x-amz-content-sha256']}"
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{_secret(target, 'secret_access_key')}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    credential = f"{_secret(target, 'access_key_id')}/{scope}"
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={signature}"


def _secret(target: Target, name: str) -> str:
    text = target.secrets[name].reveal()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise SecretUnavailable(f"the secret {name!r} is no AWS key")
    return text
