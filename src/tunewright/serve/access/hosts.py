"""Hosts: at which address a service is alone with its machine, and by which names requests may call it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from tunewright.core.errors import TunewrightError

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address; that of a Unix socket is a path, or empty.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if not address or address.startswith(("/", "\0")):
        return True
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def network_of(address: str) -> str:
    """What counts as one caller without a key: an IPv4 address, or the /64 that one IPv6 customer has.

    >>> network_of("192.0.2.7"), network_of("2001:db8::7"), network_of("")
    ('192.0.2.7', '2001:db8::/64', '')
    """
    try:
        told = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(told, ipaddress.IPv6Address) and told.ipv4_mapped is None:
        return str(ipaddress.ip_network((told, 64), strict=False))
    return str(getattr(told, "ipv4_mapped", None) or told)


def checked(names: Sequence[str]) -> tuple[str, ...]:
    """Host names in lower case.

    Raises
    ------
    TunewrightError
        One has a port, a path or a space in it.
    """
    for name in names:
        bare = name.strip("[]")
        if not bare or set(bare) & set("/@ \t?#") or (":" in bare and not name.startswith("[")):
            raise TunewrightError(
                f"{name!r} is no host name", "pass it without port and path: --allow-host api.example"
            )
    return tuple(name.lower() for name in names)


def bare(host: str) -> str:
    """A Host header without its port, in lower case.

    >>> bare("Example.org:8080"), bare("[::1]:8080"), bare("localhost")
    ('example.org', '[::1]', 'localhost')
    """
    name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
    return name.lower()
