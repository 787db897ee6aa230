"""The guarded client against servers on loopback, and a canary that nobody may reach."""

from __future__ import annotations

import asyncio
import gzip
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from pondage import outbound
from pondage.outbound import (
    Address,
    AddressRefused,
    AnswerTooLarge,
    BadAnswer,
    Outbound,
    OutboundError,
    Policy,
    Unreachable,
)

pytestmark = pytest.mark.anyio

OPEN = Policy(allow_private=True, allow_loopback=True)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Canary:
    """A listener that must never hear anything."""

    def __init__(self) -> None:
        self.port = 0
        self.heard = 0


Reply = Callable[[bytes], Awaitable[bytes] | bytes]


@asynccontextmanager
async def server(reply: Reply, host: str = "127.0.0.1", *, limit: int = 64 * 1024) -> AsyncIterator[int]:
    """Answers each connection once; `reply` gets the head and returns all bytes of the answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            answer = reply(head)
            writer.write(answer if isinstance(answer, bytes) else await answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    running = await asyncio.start_server(serve, host, 0, limit=limit)
    async with running:
        yield running.sockets[0].getsockname()[1]


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if not any(name.lower() == "content_length" for name in headers):
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "connection: close", "", ""]).encode() + body


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    made = Canary()

    def hear(head: bytes) -> bytes:
        return answer(b"secret")

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.heard += 1
        writer.close()

    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(await asyncio.start_server(accept, "127.0.0.1", 0))
        made.port = running.sockets[0].getsockname()[1]
        if socket.has_ipv6:
            try:
                await stack.enter_async_context(await asyncio.start_server(accept, "::1", made.port))
            except OSError:
                pass  # this machine has no IPv6
        yield made
        assert made.heard == 0


async def fetch(
    folder: Path,
    url: str,
    policy: Policy = OPEN,
    *,
    max_bytes: int | None = None,
    timeout: float = 10,
    **options: object,
) -> bytes:
    client = Outbound(policy, **options)  # type: ignore[arg-type]
    try:
        path = folder / "fetched"
        try:
            await client.fetch_to(path, url, max_bytes=max_bytes, timeout=timeout)
        except OutboundError:
            assert not path.exists()
            raise
        return path.read_bytes()
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("/a%3Ab.bin?type=image%2Fpng&sig=x%7Ey%2Bz%3D", None),
        ("/a/../b/./c//d/?", None),
        ("//two?a?b&&=", None),
        ("/plus+minus-;,!*'()@:$~?q=+&x=%2b%2B%zz", None),
        ('/[brackets]|{}?a[]=1&b="<>^`', None),
        ("/%e4%C3%A4?%41", None),
        ("?bare=1", "/?bare=1"),
        ("", "/"),
        ("/a#fragment", "/a"),
        ("/ä?ö=€", "/%C3%A4?%C3%B6=%E2%82%AC"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("redirected", [False, True])
async def test_an_address_is_asked_for_as_it_was_given(
    tmp_path: Path, given: str, asked: str | None, method: str, redirected: bool
) -> None:
    """Escapes, dots and signs are part of what a signature was made over."""
    heads: list[str] = []

    def reply(head: bytes) -> bytes:
        heads.append(head.split(b"\r\n")[0].decode())
        if redirected and len(heads) == 1:
            return answer(b"", "302 Found", location=f"http://127.0.0.1:{port}{given.encode().decode('latin-1')}")
        return answer(b"x")

    async with server(reply) as port:
        if method == "POST":
            client = Outbound(OPEN)
            await client.post(f"http://127.0.0.1:{port}{given}", b"", {}, timeout=10, max_answer=10)
            await client.close()
        elif not redirected or (given.startswith("/") and given.isascii() and "?" not in given[-1:]):
            await fetch(tmp_path, f"http://127.0.0.1:{port}{'/first' if redirected else given}")
        else:
            return
    assert heads[-1 if method == "GET" else 0] == f"{method} {given if asked is None else asked} HTTP/1.1"


async def test_nobody_is_told_what_inner_names_lead_to(tmp_path: Path) -> None:
    async def resolve(host: str) -> list[Address]:
        return [Address(socket.AF_INET, "10.9.8.7" if host == "inner.example" else "127.0.0.1")]

    with pytest.raises(AddressRefused) as refused:
        await fetch(tmp_path, "http://inner.example/", Policy(), resolve=resolve)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(Unreachable) as unreachable:
        await fetch(tmp_path, f"http://here.example:{port}/", OPEN, resolve=resolve)
    assert "10.9" not in str(refused.value) and "127.0" not in str(unreachable.value)
    assert "not public" in str(refused.value) and "Connection refused" in str(unreachable.value)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "LOCALHOST", "localhost.", "127.1", "2130706433", "0x7f000001", "0x7f.0.0.1",
        "017700000001", "0177.0.0.1", "127.0.0.01", "0", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[::]", "[::1%25lo]", "%31%32%37.0.0.1",
        "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460", "\uff11\uff12\uff17\uff0e\uff10\uff0e\uff10\uff0e\uff11",
        "127\u30020\u30020\u30021", "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3", "x@127.0.0.1",
        "x:y@127.0.0.1", "example.com@127.0.0.1",
    ],
)  # fmt: skip
async def test_no_spelling_of_this_machine_reaches_it(tmp_path: Path, canary: Canary, host: str) -> None:
    with pytest.raises(OutboundError):
        await fetch(tmp_path, f"http://{host}:{canary.port}/", Policy())
    client = Outbound(Policy())
    with pytest.raises(OutboundError):
        await client.post(f"http://{host}:{canary.port}/", b"", {}, timeout=10, max_answer=10)
    await client.close()


async def test_the_user_name_does_not_hide_the_host(tmp_path: Path, canary: Canary) -> None:
    for url in (f"http://example.com:80\\@127.0.0.1:{canary.port}/", f"http://example.com#@127.0.0.1:{canary.port}/"):
        with pytest.raises(OutboundError):
            await fetch(tmp_path, url, Policy(), resolve=lambda host: _nothing())


async def _nothing() -> list[Address]:
    return []


async def test_a_name_that_changes_its_address_does_not_lead_inside(tmp_path: Path, canary: Canary) -> None:
    asked = 0

    async def rebinding(host: str) -> list[Address]:
        nonlocal asked
        asked += 1
        return [Address(socket.AF_INET, "127.0.0.1")]

    with pytest.raises(AddressRefused, match="an address that is not public"):
        await fetch(tmp_path, f"http://a.example:{canary.port}/", Policy(), resolve=rebinding)
    assert asked == 1


async def test_one_bad_address_among_good_ones_is_enough(tmp_path: Path, canary: Canary) -> None:
    async def mixed(host: str) -> list[Address]:
        return [Address(socket.AF_INET, "203.0.113.7"), Address(socket.AF_INET, "127.0.0.1")]

    with pytest.raises(AddressRefused):
        await fetch(tmp_path, f"http://a.example:{canary.port}/", Policy(), resolve=mixed)


async def test_the_address_is_judged_again_where_it_is_connected_to(tmp_path: Path, canary: Canary) -> None:
    """A resolver that lies to the first gate still meets the second."""
    client = Outbound(Policy(allow_private=True))
    made = client._open()
    with pytest.raises(OSError, match=r"leads to 127\.0\.0\.1"):
        client._socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", canary.port)))
    assert made.trust_env is False
    await client.close()


async def test_every_redirect_is_judged(tmp_path: Path, canary: Canary) -> None:
    """The first server is allowed by its name; what it leads to is not."""

    def redirect(head: bytes) -> bytes:
        path = head.split()[1].decode()
        n = int(path[1:] or 0)
        target = f"http://b.example:{canary.port}/" if n == 2 else f"/{n + 1}"
        return answer(b"", "302 Found", location=target)

    async def resolve(host: str) -> list[Address]:
        return [Address(socket.AF_INET, "127.0.0.1" if host == "a.example" else "169.254.169.254")]

    async with server(redirect) as port:
        with pytest.raises(AddressRefused, match="an address that is never allowed"):
            await fetch(tmp_path, f"http://a.example:{port}/", OPEN, resolve=resolve)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://x@127.0.0.1/", "gopher://a/", "http://[::"])
async def test_a_redirect_to_no_url_is_refused(tmp_path: Path, target: str) -> None:
    async with server(lambda head: answer(b"", "301 Moved", location=target)) as port:
        with pytest.raises(OutboundError):
            await fetch(tmp_path, f"http://127.0.0.1:{port}/")


async def test_redirects_end_somewhere(tmp_path: Path) -> None:
    async with server(lambda head: answer(b"", "307 Again", location="/again")) as port:
        with pytest.raises(BadAnswer, match="more than 20"):
            await fetch(tmp_path, f"http://127.0.0.1:{port}/")


async def test_what_is_fetched_is_whole(tmp_path: Path) -> None:
    body = bytes(range(256)) * 20_000
    heads: list[bytes] = []

    def reply(head: bytes) -> bytes:
        heads.append(head.lower())
        if b"GET /from" in head:
            return answer(b"", "303 See", location="/to", set_cookie="a=b")
        return answer(body, content_type="image/png")

    async with server(reply) as port:
        client = Outbound(OPEN)
        got = await client.fetch_to(tmp_path / "x", f"http://localhost:{port}/from")
        await client.close()
    assert got[:3] == ("image/png", len(body), f"http://localhost:{port}/to")
    assert (tmp_path / "x").read_bytes() == body
    assert len(heads) == 2
    assert b"cookie" not in heads[1]
    assert b"accept-encoding: identity" in heads[1]


async def test_the_environment_s_proxy_is_not_used(
    tmp_path: Path, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    async with server(lambda head: answer(b"direct")) as port:
        assert await fetch(tmp_path, f"http://127.0.0.1:{port}/") == b"direct"


async def test_size_is_bounded_as_announced_and_as_it_comes(tmp_path: Path) -> None:
    async with server(lambda head: answer(b"x" * 100)) as port:
        assert len(await fetch(tmp_path, f"http://127.0.0.1:{port}/", max_bytes=100)) == 100
        with pytest.raises(AnswerTooLarge, match="100 bytes"):
            await fetch(tmp_path, f"http://127.0.0.1:{port}/", max_bytes=99)
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"64\r\n" + b"x" * 100 + b"\r\n" + b"0\r\n\r\n"
    async with server(lambda head: chunked) as port:
        with pytest.raises(AnswerTooLarge, match="more than 99"):
            await fetch(tmp_path, f"http://127.0.0.1:{port}/", max_bytes=99)


async def test_time_is_bounded(tmp_path: Path) -> None:
    never = asyncio.Event()

    async def silent(head: bytes) -> bytes:
        await never.wait()
        return b""

    async with server(silent) as port:
        with pytest.raises(Unreachable, match="was not here after"):
            await fetch(tmp_path, f"http://127.0.0.1:{port}/", timeout=0.2)
        client = Outbound(OPEN)
        with pytest.raises(Unreachable, match="no answer within"):
            await client.post(f"http://127.0.0.1:{port}/", b"", {}, timeout=0.2, max_answer=10)
        await client.close()
        never.set()


@pytest.mark.parametrize(
    ("reply", "error", "why"),
    [
        (answer(b"no", "404 Not Found"), BadAnswer, "answered 404"),
        (answer(b"no", "500 Broken"), BadAnswer, "answered 500"),
        (answer(b"", "302 Found"), BadAnswer, "answered 302"),
        (answer(b"half", content_length="100"), Unreachable, ""),
        (b"not http\r\n\r\n", Unreachable, ""),
        (b"", Unreachable, ""),
        (answer(b"bomb", content_encoding="gzip"), BadAnswer, "sent as gzip"),
    ],
)
async def test_answers_of_no_use(tmp_path: Path, reply: bytes, error: type[OutboundError], why: str) -> None:
    async with server(lambda head: reply) as port:
        with pytest.raises(error, match=why or None):
            await fetch(tmp_path, f"http://127.0.0.1:{port}/")


async def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable):
            await fetch(tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}/")


async def test_post_returns_what_came_and_follows_nothing(canary: Canary) -> None:
    heads: list[bytes] = []

    def reply(head: bytes) -> bytes:
        heads.append(head)
        return answer(b"y" * 1000, "307 Again", location=f"http://127.0.0.1:{canary.port}/", X_Name="v")

    async with server(reply) as port:
        client = Outbound(Policy(allow_loopback=True))
        got = await client.post(f"http://127.0.0.1:{port}/", b"body", {"X-Mine": "1"}, timeout=10, max_answer=10)
        await client.close()
    assert (got.status, got.body, got.headers["x-name"]) == (307, b"y" * 10, "v")
    assert b"X-Mine: 1" in heads[0]


async def test_from_a_thread(tmp_path: Path) -> None:
    async with server(lambda head: answer(b"here", content_type="text/plain")) as port:
        got = await asyncio.to_thread(
            outbound.fetch_to, tmp_path / "x", f"http://127.0.0.1:{port}/", allow_private=True, max_bytes=10
        )
    assert (got.content_type, (tmp_path / "x").read_bytes()) == ("text/plain", b"here")


async def test_what_is_held_is_asked_for_with_its_validators(tmp_path: Path) -> None:
    heads: list[bytes] = []

    def reply(head: bytes) -> bytes:
        heads.append(head)
        if b"If-None-Match" in head:
            return answer(b"", "304 Not Modified")
        no_store = {"cache_control": "private, no-store"} if b"GET /secret" in head else {}
        return answer(b"body", etag='"a"', last_modified="Mon, 01 Jan 2024 00:00:00 GMT", **no_store)

    async with server(reply) as port:
        client = Outbound(OPEN)
        first = await client.fetch_to(tmp_path / "x", f"http://127.0.0.1:{port}/")
        again = await client.fetch_to(tmp_path / "y", f"http://127.0.0.1:{port}/", held=first.validators)
        secret = await client.fetch_to(tmp_path / "z", f"http://127.0.0.1:{port}/secret")
        await client.close()
    assert first.validators["ETag"] == '"a"' and not first.unchanged
    assert again.unchanged and not (tmp_path / "y").exists()
    assert b"If-Modified-Since: Mon, 01 Jan 2024" in heads[1]
    assert secret.validators == {}


async def test_a_304_that_nobody_asked_for_is_of_no_use(tmp_path: Path) -> None:
    async with server(lambda head: answer(b"", "304 Not Modified")) as port:
        with pytest.raises(BadAnswer, match="304"):
            await fetch(tmp_path, f"http://127.0.0.1:{port}/")


def packed(data: bytes, encoding: str = "gzip") -> bytes:
    return answer(
        gzip.compress(data, mtime=0) if encoding == "gzip" else zlib.compress(data), content_encoding=encoding
    )


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_what_was_packed_unasked_is_unpacked(tmp_path: Path, encoding: str) -> None:
    data = bytes(range(256)) * 20_000
    async with server(lambda head: packed(data, encoding)) as port:
        client = Outbound(OPEN)
        try:
            fetched = await client.fetch_to(
                tmp_path / "f", f"http://127.0.0.1:{port}/", max_bytes=len(data), timeout=10
            )
        finally:
            await client.close()
    assert fetched.size == len(data) and (tmp_path / "f").read_bytes() == data


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (gzip.compress(b"\0" * 50_000_000, mtime=0), AnswerTooLarge),
        (gzip.compress(b"x" * 5000, mtime=0)[:-9], BadAnswer),
        (b"no gzip", BadAnswer),
    ],
)
async def test_packing_hides_neither_size_nor_an_early_end(
    tmp_path: Path, body: bytes, error: type[OutboundError]
) -> None:
    async with server(lambda head: answer(body, content_encoding="gzip")) as port:
        client = Outbound(OPEN)
        try:
            with pytest.raises(error):
                await client.fetch_to(tmp_path / "f", f"http://127.0.0.1:{port}/", max_bytes=1_000_000, timeout=10)
        finally:
            await client.close()
    assert not (tmp_path / "f").exists()


async def test_as_much_as_browsers_take(tmp_path: Path) -> None:
    """Twenty redirects, a signed URL of a hundred thousand characters, long headers."""
    heads = 0

    def reply(head: bytes) -> bytes:
        nonlocal heads
        heads += 1
        if heads <= outbound.MAX_REDIRECTS:
            return answer(b"", "302 Found", location=f"/{heads}")
        return answer(b"here", x_long="x" * 100_000)

    async with server(reply, limit=2**20) as port:
        client = Outbound(OPEN)
        try:
            fetched = await client.fetch_to(
                tmp_path / "f", f"http://127.0.0.1:{port}/?sig=" + "s" * 100_000, max_bytes=10, timeout=20
            )
        finally:
            await client.close()
    assert fetched.size == 4 and heads == outbound.MAX_REDIRECTS + 1
