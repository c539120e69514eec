"""Which internet addresses a request may go to: only such as are reachable by everybody on the public internet.

A destination's URL is set by users of a space; our network position must not become theirs (server-side request
forgery). Pure; `http` asks for every address that it is about to connect to.
"""

import ipaddress
from typing import Final

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: carries an IPv4 address in its last 32 bits
_COMPATIBLE: Final = ipaddress.ip_network("::/96")  # RFC 4291 §2.5.5.1, deprecated, still understood by some stacks

PORTS_ALLOWED: Final = frozenset({80, 443, *range(8000, 65536)})  # no mail, no shells, no common databases


def is_public(address: str) -> bool:
    """Whether a numeric address is global, and every IPv4 address that it carries is so too."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return _is_global(ip)
    inner = _carried(ip)
    return _is_global(ip) if inner is None else _is_global(inner)


def _carried(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip in _NAT64 or ip in _COMPATIBLE:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


def _is_global(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    local = isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or local)
