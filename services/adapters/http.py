"""The web by aiohttp: implements `Web`. One request, one answer, within one deadline and one size.

The name of a destination is resolved once for each connection, every address is checked, and the connection goes to
what was checked: a name that changes its mind in between (DNS rebinding) gains nothing. No redirect is followed, no
proxy of the environment is used, no cookie is kept, nothing is decompressed.
"""

import asyncio
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from contracts import codes
from services.adapters.addresses import PORTS_ALLOWED, is_public
from services.runtime.failures import Rejected, Unavailable
from services.runtime.web import WebAnswer, WebRequest

ANSWER_BYTES_MAX: Final = 64 << 10
_IDLE_SECONDS: Final = 30.0
_RESOLVER_THREADS: Final = 16  # of its own: a name server that hangs must not take the threads that fold


class HttpWeb:
    """Holds a session; use `close` or `connect_destinations.open_web`."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._resolver = _CheckingResolver(allow_private=allow_private)
        self._session = aiohttp.ClientSession(
            # No limit over all destinations: some that hang must not hold up the others. Lanes send one at a time.
            connector=aiohttp.TCPConnector(
                resolver=self._resolver, use_dns_cache=False, limit=0, keepalive_timeout=_IDLE_SECONDS
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            headers={"Accept-Encoding": "identity"},
        )

    async def send(self, request: WebRequest) -> WebAnswer:
        url = self._checked(request.url)
        try:
            async with self._session.request(
                request.method,
                url,
                headers=dict(request.headers),
                data=request.body or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=request.timeout_seconds),
            ) as response:
                body = await _beginning(response)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{url.host}: {_why(error)}") from error
        headers: dict[str, str] = {}
        for name, value in response.headers.items():
            low = name.lower()
            headers[low] = f"{headers[low]}, {value}" if low in headers else value
        return WebAnswer(status=response.status, headers=headers, body=body)

    async def close(self) -> None:
        await self._session.close()
        await self._resolver.close()

    def _checked(self, text: str) -> URL:
        """The URL, if its scheme, its port and a numeric host are allowed; a name is checked when it is resolved."""
        try:
            url = URL(text)
            host, port = url.host, url.port
        except ValueError:
            raise Rejected(codes.DELIVERY_ADDRESS_REFUSED, "not a URL") from None
        if url.scheme not in {"http", "https"} or not host or port is None:
            raise Rejected(codes.DELIVERY_ADDRESS_REFUSED, "the scheme is neither http nor https, or no host is named")
        if self._allow_private:
            return url
        if port not in PORTS_ALLOWED:
            raise Rejected(codes.DELIVERY_ADDRESS_REFUSED, f"port {port} is none of 80, 443, 8000 to 65535")
        with suppress(ValueError):
            ipaddress.ip_address(host.partition("%")[0])
            _refuse_private(host, [host])
        return url


class _CheckingResolver(AbstractResolver):
    """Resolves in threads of its own; raises `Rejected` where any address of a name isn't public."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, thread_name_prefix="resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        try:
            found = await asyncio.get_running_loop().run_in_executor(
                self._threads, lambda: socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
            )
        except UnicodeError:
            raise Rejected(codes.DELIVERY_ADDRESS_REFUSED, "no host can have such a name") from None
        addresses = [(family, str(place[0]), int(place[1])) for family, _, _, _, place in found]
        if not self._allow_private:
            _refuse_private(host, [address for _, address, _ in addresses])
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=own_port,
                family=own_family,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for own_family, address, own_port in addresses
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _refuse_private(host: str, addresses: list[str]) -> None:
    """One private address among public ones is refused too: no honest destination has both."""
    if not all(is_public(address) for address in addresses):
        raise Rejected(codes.DELIVERY_ADDRESS_REFUSED, f"{host} is no public address")


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """At most `ANSWER_BYTES_MAX` of the body; what is longer is not read, and its connection is not used again."""
    body = bytearray()
    while piece := await response.content.read(ANSWER_BYTES_MAX - len(body)):
        body += piece
        if len(body) == ANSWER_BYTES_MAX:
            response.close()
            break
    return bytes(body)


def _why(error: BaseException) -> str:
    """In words without the URL, whose path and query may be a secret."""
    if isinstance(error, TimeoutError):
        return "no whole answer in time"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return f"TLS: {type(error).__name__}"
    reason = error.strerror if isinstance(error, OSError) else None
    return f"{type(error).__name__}{f': {reason}' if reason else ''}"
