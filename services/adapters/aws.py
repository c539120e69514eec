"""Clients of Amazon's protocols (aiobotocore) and what their failures mean, for the S3 and the SQS adapter."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from services.runtime.failures import Unavailable

# Everything that a call may raise where nobody has answered well. The aiohttp ones escape from bodies.
NO_ANSWER: Final = (BotoCoreError, HTTPClientError, aiohttp.ClientError, asyncio.TimeoutError, ConnectionError)

_CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 60.0  # between two bytes, and more than the longest poll of a queue (20 s)
_TRIES: Final = 3  # within one call; above it our loops back off for as long as it takes


def open_client(
    service: str,
    *,
    endpoint_url: str | None,
    region: str,
    read_seconds: float = READ_SECONDS,
    signs_bodies: bool = True,
) -> AbstractAsyncContextManager[Any]:
    """A client for its whole life; credentials come by the usual AWS chain, which fetches those that expire anew.

    Another endpoint than Amazon's is spoken to by path (its buckets have no host names), and checksums are sent where
    an operation requires them and nowhere else: several S3 servers refuse the newer ones.

    A body is part of its request's signature, by its SHA-256, unless `signs_bodies` is false: that is for who writes
    what bears checksums of its own and checks them, and takes 0.9 ns a byte less.
    """
    s3 = {"addressing_style": "path" if endpoint_url else "auto"}
    config = AioConfig(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=read_seconds,
        max_pool_connections=50,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
        s3=s3 if signs_bodies else {**s3, "payload_signing_enabled": False},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        tcp_keepalive=True,
    )
    opened: AbstractAsyncContextManager[Any] = get_session().create_client(
        service, endpoint_url=endpoint_url, region_name=region, config=config
    )
    return opened


def error_code(error: ClientError) -> str:
    """`NoSuchKey` and the like; a bare status (`404`) where the answer had no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def unavailable(error: BaseException, what: str) -> Unavailable:
    """`error` as a failure that passes by itself or by the operator's hand; never the credentials, never a body."""
    if not isinstance(error, ClientError):
        return Unavailable(f"{what}: {type(error).__name__}")
    metadata = error.response.get("ResponseMetadata", {})
    wish = str(metadata.get("HTTPHeaders", {}).get("retry-after", ""))
    return Unavailable(
        f"{what}: {error_code(error)} (status {metadata.get('HTTPStatusCode')})",
        retry_after_seconds=float(wish) if wish.isdigit() else None,
    )
