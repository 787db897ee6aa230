"""Names that change their addresses, addresses in odd spellings, redirects between them: nothing of it leads inside.

Every connection that the guarded client would make is noted where the event loop makes it, and judged by other code
than the client's own. Those to public addresses go to a server of this module, so that redirects can follow; no others
are made. A test runs some hundred cases, `scripts/fuzz_doors.py` ten thousand.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pondage.outbound import Address, Outbound, OutboundError, Policy

PUBLIC = ("93.184.216.34", "8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2001:4860:4860::8888")
INNER = (
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.5.5", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "169.254.0.1", "100.64.0.1", "192.0.0.192", "198.18.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "::1", "::",
    "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::", "::127.0.0.1", "100::1",
    "2001:db8::1",
)  # fmt: skip
LITERALS = (
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "0", "localhost", "LOCALHOST.", "a.localhost",
    "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "169.254.169.254",
    "[fd00:ec2::254]", "10.0.0.1", "192.168.1.1", "0x7f.1", "%31%32%37.0.0.1", "user@127.0.0.1",
    "\u2460\u2461\u2466.0.0.1",
    "metadata.google.internal", "127.0.0.1:80", "[::]", "[fe80::1%25lo]", "0.0.0.0", "224.0.0.1",
)  # fmt: skip
POLICIES = (Policy(), Policy(), Policy(), Policy(allow_loopback=True))


class Tried(NamedTuple):
    """One case: what was asked for, and to which addresses connections were made."""

    url: str
    policy: Policy
    to: list[str]


class Report(NamedTuple):
    cases: int
    connections: Counter[str]
    """By what kind of address they went to."""
    inner: list[Tried]
    """Cases in which one went where it must not."""


def kind_of(text: str) -> str:
    """`public`, `loopback` or `inner`, by the standard library and what an address has another one wrapped in."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = [address.ipv4_mapped, address.sixtofour, address.teredo[0] if address.teredo else None]
        if address in ipaddress.ip_network("64:ff9b::/96") or int(address) >> 32 == 0:
            wrapped.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        for one in wrapped:
            if one is not None and address != ipaddress.IPv6Address("::1"):
                return kind_of(str(one))
    if address.is_loopback:
        return "loopback"
    if address in ipaddress.ip_network("192.0.0.0/24"):  # a cloud has its metadata there, whatever the registry says
        return "inner"
    return "public" if address.is_global and not address.is_multicast else "inner"


class Net:
    """A name service that lies, and servers behind public addresses that send on to somewhere else."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.to: list[str] = []
        self.port = 0

    def place(self) -> str:
        """A host for a URL: mostly a name, for which every look-up has another answer."""
        if self.dice.random() < 0.25:
            return self.dice.choice(LITERALS)
        return f"{self.dice.randrange(10**6)}.rebind.example"

    def url(self) -> str:
        port = self.dice.choice(("", ":80", ":8000", ":6379", ":443"))
        return f"{self.dice.choice(('http', 'http', 'https'))}://{self.place()}{port}/{self.dice.randrange(100)}"

    async def resolve(self, host: str) -> list[Address]:
        """Another answer each time: public, inner, both, in any order; none."""
        shape = self.dice.random()
        if shape < 0.5:
            texts = [self.dice.choice(PUBLIC)]
        elif shape < 0.75:
            texts = [self.dice.choice(INNER)]
        elif shape < 0.97:
            texts = [self.dice.choice((*PUBLIC, *INNER)) for _ in range(self.dice.randrange(2, 5))]
        else:
            texts = []
        return [Address(socket.AF_INET6 if ":" in text else socket.AF_INET, text) for text in texts]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A body, or a redirect that may lead anywhere."""
        try:
            if (await reader.read(65_536))[:1] in {b"", b"\x16"}:
                return  # nobody, or TLS, which nobody speaks here
            if self.dice.random() < 0.6:
                status = self.dice.choice(("301 Moved", "302 Found", "303 Other", "307 Again", "308 Again"))
                target = self.dice.choice((self.url(), f"//{self.place()}/x", "/again", f"http:\\\\{self.place()}/"))
                head = f"HTTP/1.1 {status}\r\nLocation: {target}\r\nContent-Length: 0\r\n"
            else:
                head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
            keep = self.dice.choice(("keep-alive", "close"))
            writer.write(f"{head}Connection: {keep}\r\n\r\n".encode("latin-1", "replace"))
            await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note where the loop connects to; only what is public goes on, to our own server."""
        loop: Any = asyncio.get_running_loop()
        real = loop.sock_connect

        async def connect(sock: socket.socket, address: tuple[Any, ...]) -> None:
            self.to.append(str(address[0]))
            if kind_of(str(address[0])) != "public" or sock.family != socket.AF_INET:
                raise ConnectionRefusedError("not in this test")
            await real(sock, ("127.0.0.1", self.port))

        loop.sock_connect = connect
        try:
            yield
        finally:
            del loop.sock_connect


async def run_cases(cases: int, seed: int) -> Report:
    """Fetches and posts to that many URLs, with all that happens on the way drawn from `seed`."""
    net = Net(random.Random(seed))
    server = await asyncio.start_server(net.serve, "127.0.0.1", 0)
    net.port = server.sockets[0].getsockname()[1]
    connections: Counter[str] = Counter()
    wrong: list[Tried] = []
    with tempfile.TemporaryDirectory() as folder, net.watched():
        for number in range(cases):
            policy, url = net.dice.choice(POLICIES), net.url()
            net.to = []
            client = Outbound(policy, resolve=net.resolve)
            try:
                for _ in range(net.dice.randrange(1, 3)):  # the second time a connection or an answer may be kept
                    if net.dice.random() < 0.5:
                        await client.fetch_to(Path(folder, str(number)), url, max_bytes=10, timeout=5)
                    else:
                        await client.post(url, b"{}", {}, timeout=5, max_answer=10)
            except OutboundError:
                pass
            finally:
                await client.close()
            kinds = [kind_of(to) for to in net.to]
            connections.update(kinds)
            if not set(kinds) <= ({"public", "loopback"} if policy.allow_loopback else {"public"}):
                wrong.append(Tried(url, policy, net.to))
    server.close()
    await server.wait_closed()
    return Report(cases, connections, wrong)
