"""Client addresses: every notation of one client yields one address, and text that is no address is not trusted."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from falcon.asgi import Request

UNKNOWN: Final = "?"  # the address of a client without one, as on a Unix socket
_IPV6_PREFIX: Final = 64  # bits; providers assign at least a /64 to each customer
# An IPv6 address in brackets or an IPv4 address (which may be mapped to IPv6), followed by a port or not.
_WITH_PORT: Final = re.compile(
    r"(?:\[(?P<six>[^\]]*:[^\]]*)\]|(?P<four>(?:::ffff:)?[0-9.]+))(?::(?P<port>[0-9]{0,5}))?", re.ASCII | re.IGNORECASE
)
_MAX_PORT: Final = 65_535


def client_address(req: Request, proxies: int) -> str:
    """Return the address of a request's client in its canonical form, for example `2001:db8::1`; `UNKNOWN` when it has none."""
    forwarded = req.get_header("X-Forwarded-For") if proxies else None
    client = req.scope.get("client")
    return address_of(forwarded or "", client[0] if client else None, proxies)


def address_of(forwarded: str, peer: str | None, proxies: int) -> str:
    """Return the address of a client from the header X-Forwarded-For and the address of its connection.

    With `proxies` trusted proxies, the outermost of them appended the address to X-Forwarded-For. Earlier elements come from
    the client and are ignored. If that element is not an address, the address of the connection is returned.
    """
    if proxies and forwarded:
        # Falcon joins several header lines by commas. RFC 9110, section 5.6.1: empty elements of a list are ignored.
        elements = [element for element in map(str.strip, forwarded.split(",")) if element]
        if len(elements) >= proxies and (address := canonical(elements[-proxies])):
            return address
    return (canonical(peer) if peer else None) or UNKNOWN


@lru_cache(maxsize=10_000)
def canonical(text: str) -> str | None:
    """Return the canonical form of an address, without port, brackets and zone; None when the text is no address.

    An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) is the IPv4 address.
    """
    with_port = _WITH_PORT.fullmatch(text)
    if with_port:
        text = with_port["six"] or with_port["four"]
        if int(with_port["port"] or 0) > _MAX_PORT:
            return None
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


@lru_cache(maxsize=10_000)
def network(address: str) -> str:
    """Return the network by which a client is counted: its IPv4 address, or the /64 of its IPv6 address."""
    if ":" not in address:
        return address
    return f"{IPv6Address(int(IPv6Address(address)) >> _IPV6_PREFIX << _IPV6_PREFIX)}/{_IPV6_PREFIX}"
