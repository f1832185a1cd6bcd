"""Which addresses are the public Internet's."""

import ipaddress
import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsfast.protocol.addresses import is_public, real_address


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2606:4700:4700::1111",
        "2a00:1450::1",
        "3fff:1000::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ],
)
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::8.8.8.8",  # IPv4-compatible, deprecated
        "::ffff:0.0.0.0",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::ffff:169.254.169.254",
        "::ffff:0:8.8.8.8",  # IPv4-translated (RFC 2765)
        "64:ff9b::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::8.8.8.8",  # of a local network (RFC 8215)
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fe80::1%1",
        "::1%lo",
        "::ffff:127.0.0.1%lo",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "text", ["", "localhost", "8.8.8", "8.8.8.8.", "08.8.8.8", "0x8.8.8.8", "134744072", "[::1]"]
)
def test_what_is_no_address(text: str) -> None:
    assert real_address(text) is None
    assert not is_public(text)


@given(st.ip_addresses())
@example(ipaddress.ip_address("2002::1"))
def test_nothing_is_public_that_python_knows_better(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if is_public(str(address)):
        real = real_address(str(address))
        assert real is not None
        assert real.is_global
        assert not real.is_multicast


@given(st.ip_addresses(v=4))
def test_ipv6_does_not_hide_an_ipv4_address(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    hexadecimal = f"{number >> 16:x}:{number & 0xFFFF:x}"
    for text in f"::ffff:{address}", f"::ffff:{hexadecimal}", f"64:ff9b::{address}":
        assert real_address(text) == address
        assert is_public(text) == is_public(str(address))
    assert not is_public(f"2002:{hexadecimal}::1")


@given(st.ip_addresses())
def test_as_the_resolver_writes_it(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """It has spellings of its own, such as ::10.0.0.1."""
    text = str(address)
    ((_, _, _, _, found),) = socket.getaddrinfo(
        text, 80, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
    )
    assert is_public(str(found[0])) == is_public(text)
