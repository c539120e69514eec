"""Which addresses are public: a table of the ways in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.adapters.addresses import PORTS_ALLOWED, is_public


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"],
)
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # this host
        "10.1.2.3",
        "100.64.0.1",  # shared by a provider's customers
        "127.0.0.1",
        "127.8.8.8",
        "169.254.169.254",  # where clouds hand out credentials
        "172.16.0.1",
        "192.0.0.1",
        "192.0.2.1",  # documentation
        "192.168.1.1",
        "198.18.0.1",  # benchmarks
        "224.0.0.1",  # multicast
        "240.0.0.1",  # reserved
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",  # IPv4-compatible
        "::ffff:127.0.0.1",  # IPv4-mapped
        "::ffff:a9fe:a9fe",
        "64:ff9b::10.0.0.1",  # NAT64
        "64:ff9b:1::7f00:1",  # NAT64 of a local network
        "2001:0:7f00:1::1",  # Teredo
        "2001:db8::1",  # documentation
        "2002:7f00:1::",  # 6to4 of 127.0.0.1
        "2002:a00:1::1",
        "fc00::1",
        "fd00:ec2::254",  # a cloud's credentials again
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",  # site-local, deprecated
        "ff02::1",
    ],
)
def test_not_public(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_no_way_of_carrying_an_ipv4_address_changes_the_verdict(ip: object) -> None:
    verdict = is_public(str(ip))
    octets = [int(octet) for octet in str(ip).split(".")]
    six = f"2002:{octets[0]:02x}{octets[1]:02x}:{octets[2]:02x}{octets[3]:02x}::1"
    assert {is_public(form) for form in (f"::ffff:{ip}", f"64:ff9b::{ip}", six)} == {verdict}


def test_ports_of_mail_shells_and_databases_are_none_of_ours() -> None:
    assert {80, 443, 8000, 8443, 65535} <= PORTS_ALLOWED
    assert not {0, 22, 25, 587, 3306, 5432, 6379} & PORTS_ALLOWED
