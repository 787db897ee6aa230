"""Which addresses and spellings are allowed. Pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pondage.outbound import MAX_URL, AddressRefused, Policy, Reach, allowed, check_url, reach, shown


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("8.8.8.8", Reach.PUBLIC),
        ("2606:4700::1111", Reach.PUBLIC),
        ("10.1.2.3", Reach.PRIVATE),
        ("172.31.255.255", Reach.PRIVATE),
        ("172.32.0.0", Reach.PUBLIC),
        ("192.168.0.1", Reach.PRIVATE),
        ("100.64.0.1", Reach.PRIVATE),
        ("fd12::1", Reach.PRIVATE),
        ("127.0.0.1", Reach.LOOPBACK),
        ("127.255.255.255", Reach.LOOPBACK),
        ("::1", Reach.LOOPBACK),
        ("::ffff:127.0.0.1", Reach.LOOPBACK),
        ("64:ff9b::7f00:1", Reach.LOOPBACK),
        ("2002:7f00:1::", Reach.LOOPBACK),
        ("::127.0.0.1", Reach.LOOPBACK),
        ("::ffff:10.0.0.1", Reach.PRIVATE),
        ("::ffff:8.8.8.8", Reach.PRIVATE),
        ("64:ff9b::808:808", Reach.PRIVATE),
        ("2002:808:808::", Reach.PRIVATE),
        ("64:ff9b::a9fe:a9fe", Reach.NEVER),
        ("2002:a9fe:a9fe::", Reach.NEVER),
        ("::ffff:169.254.169.254", Reach.NEVER),
        ("169.254.169.254", Reach.NEVER),
        ("100.100.100.200", Reach.NEVER),
        ("168.63.129.16", Reach.NEVER),
        ("fd00:ec2::254", Reach.NEVER),
        ("fe80::1", Reach.NEVER),
        ("fe80::1%eth0", Reach.NEVER),
        ("0.0.0.0", Reach.NEVER),
        ("::", Reach.NEVER),
        ("224.0.0.1", Reach.NEVER),
        ("ff02::1", Reach.NEVER),
        ("255.255.255.255", Reach.NEVER),
        ("2001:0:1::1", Reach.NEVER),
        ("2001:db8::1", Reach.NEVER),
        ("fec0::1", Reach.NEVER),
        ("4000::1", Reach.NEVER),
        ("not an address", Reach.NEVER),
        ("", Reach.NEVER),
    ],
)
def test_where_an_address_leads(address: str, where: Reach) -> None:
    assert reach(address) is where
    assert allowed(address, Policy()) is (where is Reach.PUBLIC)
    assert allowed(address, Policy(True, True)) is (where is not Reach.NEVER)


@given(st.ip_addresses())
def test_what_python_calls_inside_is_never_public(address: object) -> None:
    import ipaddress

    assert isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address)
    if reach(str(address)) is Reach.PUBLIC:
        assert address.is_global
        assert not (address.is_multicast or address.is_reserved or address.is_link_local or address.is_loopback)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/x", "file:///etc/passwd", "gopher://a.example/", "//a.example/x", "a.example/x", "", "http://",
        "http:///x", "http://user@a.example/", "http://a.example:80@127.0.0.1/", "http://a.example\\@127.0.0.1/",
        "http://a.example /", "http://a.example/\r\nHost: b", "http://a.example/\x00", "http://[::1/", "http://a:b/",
        "http://a.example:99999/", "http://a.example/" + "x" * MAX_URL, "http://a.example/\ud800",
    ],
)  # fmt: skip
def test_urls_of_doubtful_spelling_are_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(url)


def test_messages_carry_no_secrets() -> None:
    assert shown("https://me:pw@a.example/x?token=1#y") == "https://a.example/x"
    assert len(shown("https://a.example/" + "x" * 5000)) == 200
