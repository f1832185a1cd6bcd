"""Which IP addresses are the public Internet's.

The networks are those of IANA's registries of special-purpose addresses (RFC 6890). What
`ipaddress.is_global` makes of the same registries depends on the release of Python, and it calls
multicast global.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

__all__ = ["is_public", "real_address"]

_NOT_PUBLIC = (
    IPv4Network("0.0.0.0/8"),  # this host: connecting to 0.0.0.0 reaches it
    IPv4Network("10.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),  # shared by customers of a provider (RFC 6598)
    IPv4Network("127.0.0.0/8"),
    IPv4Network("169.254.0.0/16"),  # link-local, with the metadata of cloud machines
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.0.2.0/24"),  # documentation, as two others below
    IPv4Network("192.88.99.0/24"),  # relays for 6to4, deprecated (RFC 7526)
    IPv4Network("192.168.0.0/16"),
    IPv4Network("198.18.0.0/15"),  # benchmarks (RFC 2544)
    IPv4Network("198.51.100.0/24"),
    IPv4Network("203.0.113.0/24"),
    IPv4Network("224.0.0.0/3"),  # multicast, reserved, broadcast
    IPv6Network("2001::/23"),  # Teredo, which has IPv4 addresses inside, and other protocols
    IPv6Network("2001:db8::/32"),  # documentation, as is 3fff::/20
    IPv6Network("2002::/16"),  # 6to4, which has IPv4 addresses inside, deprecated (RFC 7526)
    IPv6Network("3fff::/20"),
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that IANA has assigned of IPv6; loopback, link-local, unique local, multicast are outside."""

_NAT64 = IPv6Network("64:ff9b::/96")
"""IPv4 addresses as networks that speak IPv6 only see them (RFC 6052)."""


def real_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address that packets reach in the end: the IPv4 one of an IPv4-mapped or a NAT64 address.

    None for what is no address.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address
    return address


def is_public(text: str) -> bool:
    """Whether an address is a unicast one of the public Internet. False for what is no address."""
    address = real_address(text)
    if address is None or (isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST):
        return False
    return not any(address in network for network in _NOT_PUBLIC)
