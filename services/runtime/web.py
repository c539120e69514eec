"""The port to the web for connectors: one request, one answer, within one deadline (`adapters.http`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class WebRequest:
    """One request. `timeout_seconds` bounds the whole exchange, the answer's body included."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """One answer. Header names are lower-case; the body is cut at the adapter's cap (64 KiB)."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Web(Protocol):
    """Sends requests. Never follows a redirect; verifies TLS; connects only to the address it has checked."""

    async def send(self, request: WebRequest) -> WebAnswer:
        """Any status is an answer. No answer (refused, reset, timed out, not HTTP) raises `Unavailable`.

        Raises `Rejected`(delivery-address-refused) before a byte is sent where the scheme, port or address isn't
        allowed by the operator's setting.
        """
        ...

    async def close(self) -> None: ...
