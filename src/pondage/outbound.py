"""The only code that opens a URL which a user gave.

Names are resolved once per connection; every address is judged, and the judged address is the one that is connected
to, so that neither a name that changes its address nor an odd spelling of one leads inside. Redirects are followed
here, each judged anew. No proxies and no `.netrc` from the environment, no cookies, bounds on size and time.

Longer than modules are here: whoever checks that no way leads inside reads one file from top to bottom.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from pondage.errors import PondageError
from pondage.wire.urls import request_target

if TYPE_CHECKING:
    import aiohttp
    import yarl

MAX_REDIRECTS = 20
"""As many as browsers follow."""
MAX_URL = 2 * 1024 * 1024
"""Characters of a URL, as many as browsers take."""
MAX_HEADERS = 256 * 1024
"""Bytes of one header of an answer, and of all of them, as many as browsers take."""
CONNECT_TIMEOUT = 10.0
"""Seconds to connect to an address."""
STALL_TIMEOUT = 30.0
"""Seconds without a byte after which a sender is given up."""
BATCH = 1024 * 1024
"""Bytes that are gathered before they are written to disk."""

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_AGENT = "pondage"


class OutboundError(PondageError, ValueError):
    """A URL that could not be used. `str(error)` names it and says why.

    Attributes:
        url: the URL, without what it may carry of a secret.
        error_type: fal's name for an input that fails in this way.
    """

    code = "outbound.failed"
    retryable = True
    error_type = "file_download_error"

    def __init__(self, url: str, why: str) -> None:
        self.url = shown(url)
        super().__init__(f"{self.url}: {why}")


class AddressRefused(OutboundError):
    """The URL is none that may be followed, or leads to an address that is not allowed. A repeat changes nothing."""

    code, retryable = "outbound.refused", False


class Unreachable(OutboundError):
    """No answer: the name is unknown, the connection fails or breaks, or it takes too long."""

    code = "outbound.unreachable"


class BadAnswer(OutboundError):
    """An answer that is of no use: its status is no success, or it redirects too often."""

    code, retryable = "outbound.bad_answer", False


class AnswerTooLarge(OutboundError):
    """More bytes than are taken."""

    code, retryable, error_type = "outbound.too_large", False, "file_too_large"


class Policy(NamedTuple):
    """What may be reached besides public addresses."""

    allow_private: bool = False
    """Private networks, and what is translated to them."""
    allow_loopback: bool = False
    """This machine."""


class Reach(StrEnum):
    """Where an address leads."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    NEVER = "never"


class Fetched(NamedTuple):
    """What was fetched. `content_type` as the sender declares it, empty if it does not."""

    content_type: str
    size: int
    final_url: str
    validators: Mapping[str, str] = {}
    """`ETag` and `Last-Modified`, by which the sender can be asked whether it has changed; none where it forbids to
    keep it (`Cache-Control: no-store`)."""
    unchanged: bool = False
    """Nothing was sent and nothing written: what the caller holds is good."""


class Answer(NamedTuple):
    """An answer to `post`: header names in lower case, and the first bytes of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Address(NamedTuple):
    """One address of a name."""

    family: int
    host: str


Resolve = Callable[[str], Awaitable[list[Address]]]
"""Looks a name up. Raises OSError if there is no such name."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*texts: str) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# IANA's registries of special addresses (RFC 6890 and its updates), and what clouds answer with secrets on.
_PRIVATE = _networks(
    "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15", "fc00::/7",
)  # fmt: skip
_LOOPBACK = _networks("127.0.0.0/8", "::1/128")
_NEVER = _networks(
    "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::/32",
    "fd20:ce::254/128", "2001::/23", "2001:db8::/32", "3fff::/20",
)  # fmt: skip
_GLOBAL_V6 = ipaddress.ip_network("2000::/3")
_MAPPED = ipaddress.ip_network("::ffff:0:0/96")
_TRANSLATED = _networks("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96")
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")


def reach(text: str) -> Reach:
    """Where a literal address leads; what is no address leads nowhere that is allowed."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return Reach.NEVER
    if any(address in network for network in _LOOPBACK):
        return Reach.LOOPBACK
    if any(address in network for network in _NEVER):
        return Reach.NEVER
    if any(address in network for network in _PRIVATE):
        return Reach.PRIVATE
    if isinstance(address, ipaddress.IPv4Address):
        return Reach.PUBLIC
    if address in _MAPPED:
        return _within(address, 0)
    if address in _SIX_TO_FOUR:
        return _within(address, 80)
    if any(address in network for network in _TRANSLATED):
        return _within(address, 0)
    return Reach.PUBLIC if address in _GLOBAL_V6 else Reach.NEVER


def _within(address: ipaddress.IPv6Address, shift: int) -> Reach:
    """An IPv4 address in other clothes is never public: who needs one writes it plainly."""
    inner = reach(str(ipaddress.IPv4Address((int(address) >> shift) & 0xFFFF_FFFF)))
    return Reach.PRIVATE if inner is Reach.PUBLIC else inner


def allowed(text: str, policy: Policy) -> bool:
    """Whether an address may be connected to."""
    where = reach(text)
    return (
        where is Reach.PUBLIC
        or (where is Reach.PRIVATE and policy.allow_private)
        or (where is Reach.LOOPBACK and policy.allow_loopback)
    )


def check_url(url: str) -> str:
    """The URL, if its spelling leaves no doubt about where it leads.

    Raises:
        AddressRefused: no http(s) URL with a host; a user name; backslashes, spaces or control characters.
    """
    if len(url) > MAX_URL:
        raise AddressRefused(url, f"the URL has {len(url)} characters; at most {MAX_URL} are taken")
    if any(ord(c) <= 32 or 0x7F <= ord(c) <= 0xA0 or c == "\\" or 0xD800 <= ord(c) <= 0xDFFF for c in url):
        raise AddressRefused(url, "the URL holds spaces, backslashes or control characters")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise AddressRefused(url, f"not a URL: {error}") from None
    if parts.scheme not in {"http", "https"}:
        raise AddressRefused(url, f"the scheme is {parts.scheme or 'missing'}; http and https are taken")
    if not host:
        raise AddressRefused(url, "the URL names no host")
    if "@" in parts.netloc:
        raise AddressRefused(url, "the URL carries a user name or password")
    return url


def as_given(url: str) -> yarl.URL:
    """The URL for the HTTP library, whose own reading of it would decode escapes, drop dots and so break signatures.
    Path and query go out as they stand, but for characters beyond ASCII, which go as their escapes.

    Raises:
        ValueError: the host is none.
    """
    import yarl

    at = yarl.URL(url)  # it reads the host, whose name may have to be encoded
    # All of it as the path, so that nothing of the query is read either, and a bare ? stays.
    return yarl.URL.build(scheme=at.scheme, authority=at.raw_authority, path=request_target(url), encoded=True)


def shown(url: str) -> str:
    """The URL as it may appear in messages and logs: short, without query and user name."""
    bare = url.partition("?")[0].partition("#")[0]
    scheme, separator, rest = bare.partition("://")
    authority, slash, path = rest.partition("/")
    text = f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"
    return "".join(c if c.isprintable() else "?" for c in text[:200])


async def _look_up(host: str) -> list[Address]:
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [Address(family, str(sockaddr[0])) for family, _, _, _, sockaddr in found]


class _Forbidden(OSError):
    """An address that the policy does not allow. Its text names it, and is not for whoever gave the URL."""


class _Resolver:
    """aiohttp's resolver: one look, and all addresses of a name must be allowed."""

    def __init__(self, policy: Policy, resolve: Resolve) -> None:
        self._policy = policy
        self._resolve = resolve

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
        found = await self._resolve(host)
        for address in found:
            if not allowed(address.host, self._policy):
                raise _Forbidden(f"{host} leads to {address.host}")
        if not found:
            raise OSError(f"{host} has no address")
        return [
            {
                "hostname": host,
                "host": address.host,
                "port": port,
                "family": address.family,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            }
            for address in found
        ]

    async def close(self) -> None:
        return None


class Outbound:
    """The guarded client. Made and closed on one running loop.

    Args:
        policy: what may be reached besides public addresses.
        resolve: how names are looked up; the system's way by default.
        connections: most connections at once.
    """

    def __init__(self, policy: Policy, *, resolve: Resolve | None = None, connections: int = 256) -> None:
        self._policy = policy
        self._resolve = resolve or _look_up
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def fetch_to(
        self,
        path: Path,
        url: str,
        *,
        max_bytes: int | None = None,
        timeout: float = 60.0,
        held: Mapping[str, str] | None = None,
    ) -> Fetched:
        """Fetch `url` into the file `path`. After an error there is no file.

        Args:
            max_bytes: most bytes that are taken; None for any number.
            timeout: seconds for all of it, redirects included.
            held: the validators of what the caller holds already.

        Raises:
            AddressRefused, Unreachable, BadAnswer, AnswerTooLarge.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._fetch(path, url, max_bytes, _conditions(held or {}))
        except BaseException as error:
            await asyncio.shield(asyncio.to_thread(path.unlink, missing_ok=True))
            if isinstance(error, TimeoutError):
                raise Unreachable(url, f"it was not here after {timeout:g} s") from error
            raise

    async def _fetch(self, path: Path, url: str, max_bytes: int | None, conditions: dict[str, str]) -> Fetched:
        at = url
        for _ in range(MAX_REDIRECTS + 1):
            async with self._exchange("GET", at, headers=conditions) as answer:
                if answer.status in _REDIRECTS and (target := answer.headers.get("Location")):
                    at = _redirected(at, target)
                    continue
                if answer.status == 304 and conditions:
                    return Fetched("", 0, at, unchanged=True)
                if not 200 <= answer.status < 300:
                    raise BadAnswer(at, f"it answered {answer.status}")
                size = await _save(answer, path, at, max_bytes)
                return Fetched(answer.headers.get("Content-Type", ""), size, at, _validators(answer.headers))
        raise BadAnswer(url, f"it redirects more than {MAX_REDIRECTS} times")

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, max_answer: int
    ) -> Answer:
        """POST `body`. A redirect is returned as it came; of the answer's body `max_answer` bytes are read.

        Raises:
            AddressRefused, Unreachable.
        """
        try:
            async with asyncio.timeout(timeout), self._exchange("POST", url, data=body, headers=headers) as answer:
                start = bytearray()
                async for chunk in answer.content.iter_any():
                    start += chunk
                    if len(start) > max_answer:
                        answer.close()
                        break
                names = {name.lower(): value for name, value in answer.headers.items()}
                return Answer(answer.status, names, bytes(start[:max_answer]))
        except TimeoutError as error:
            raise Unreachable(url, f"no answer within {timeout:g} s") from error

    def _exchange(self, method: str, url: str, **options: Any) -> _Exchange:
        return _Exchange(self._open(), self._policy, method, url, options)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp  # slow to import, and only needed here

            connector = aiohttp.TCPConnector(
                resolver=_Resolver(self._policy, self._resolve),  # type: ignore[arg-type]
                socket_factory=self._socket,
                use_dns_cache=False,
                limit=self._connections,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=STALL_TIMEOUT),
                headers={"User-Agent": _AGENT, "Accept-Encoding": "identity"},
                max_line_size=MAX_HEADERS,
                max_field_size=MAX_HEADERS,
                max_headers=MAX_HEADERS // 64,
            )
        return self._session

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        """The last gate: whatever was parsed and resolved before, this is the address that is connected to."""
        family, kind, protocol, _, address = info
        if not allowed(str(address[0]), self._policy):
            raise _Forbidden(f"it leads to {address[0]}")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made


class _Exchange:
    """One request and its answer, with aiohttp's errors made ours."""

    def __init__(
        self, session: aiohttp.ClientSession, policy: Policy, method: str, url: str, options: dict[str, Any]
    ) -> None:
        check_url(url)
        self._policy = policy
        self._url = url
        self._session = session
        self._method = method
        self._options = options

    async def __aenter__(self) -> aiohttp.ClientResponse:
        try:
            target = as_given(self._url)
            self._going = self._session.request(self._method, target, allow_redirects=False, **self._options)
            return await self._going.__aenter__()
        except Exception as error:
            raise self._ours(error) from error

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        await self._going.__aexit__(kind, error, trace)
        if isinstance(error, Exception):
            ours = self._ours(error)
            if ours is not error:
                raise ours from error

    def _ours(self, error: Exception) -> Exception:
        import aiohttp

        if isinstance(error, aiohttp.InvalidURL | ValueError) and not isinstance(error, OutboundError | UnicodeError):
            return AddressRefused(self._url, "this is no URL that can be followed")
        seen: BaseException | None = error
        while seen is not None:
            if isinstance(seen, _Forbidden):
                return AddressRefused(self._url, f"it leads to an address that is {self._why()}")
            seen = seen.__cause__ or seen.__context__
        if isinstance(error, aiohttp.ServerTimeoutError):
            return Unreachable(self._url, "it does not answer")
        if isinstance(error, aiohttp.ClientError | UnicodeError) or (
            isinstance(error, OSError) and not isinstance(error, TimeoutError)
        ):
            return Unreachable(self._url, _broken(error))
        return error

    def _why(self) -> str:
        if self._policy.allow_private:
            return "never allowed"
        return "not public (the operator may allow private ones)"


def _broken(error: Exception) -> str:
    """What broke a connection, without the addresses that a name led to: who asks has named the name alone."""
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "there is no such host"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        reason = getattr(error, "certificate_error", None) or error.os_error
        return f"no TLS connection: {reason}"[:300]
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and cause.errno:
        return f"it cannot be connected to: {os.strerror(cause.errno)}"
    if isinstance(cause, aiohttp.ClientConnectorError):
        return "it cannot be connected to"
    return f"{str(error) or type(error).__name__}"[:300]


def _validators(headers: Mapping[str, str]) -> dict[str, str]:
    if "no-store" in headers.get("Cache-Control", "").lower():
        return {}
    return {name: headers[name] for name in ("ETag", "Last-Modified") if headers.get(name)}


def _conditions(validators: Mapping[str, str]) -> dict[str, str]:
    """The headers that ask for something only if it has changed (RFC 9110, 13.1)."""
    names = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
    return {names[name]: value for name, value in validators.items()}


def _redirected(url: str, target: str) -> str:
    try:
        return check_url(urljoin(url, target))
    except ValueError as error:
        raise AddressRefused(url, f"it redirects to what is no URL that can be followed: {error}") from error


class _Unpacked:
    """What a sender has packed without being asked to, piece by piece and never more than `BATCH` bytes at once."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._unpack = zlib.decompressobj(_GZIP_OR_ZLIB)

    def __call__(self, data: bytes) -> Iterator[bytes]:
        try:
            more = True
            while more:
                if self._unpack.eof:
                    if not data.startswith(b"\x1f\x8b"):
                        return  # nothing more, or what is behind the end, which browsers pass over as well
                    self._unpack = zlib.decompressobj(_GZIP_OR_ZLIB)
                piece = self._unpack.decompress(data, BATCH)
                yield piece
                data = self._unpack.unconsumed_tail or self._unpack.unused_data
                more = bool(data) or len(piece) == BATCH
        except zlib.error as error:
            raise BadAnswer(self._url, "it was sent as gzip, and is none") from error

    def end(self) -> None:
        """Nothing more comes."""
        if not self._unpack.eof:
            raise BadAnswer(self._url, "it was sent as gzip, and broke off")


def _as_it_is(data: bytes) -> tuple[bytes]:
    return (data,)


def _unpacking(answer: aiohttp.ClientResponse, url: str) -> Callable[[bytes], Iterable[bytes]]:
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        return _as_it_is
    if encoding in {"gzip", "x-gzip", "deflate"}:
        return _Unpacked(url)
    raise BadAnswer(url, f"it was sent as {encoding}, though it was asked for as it is")


async def _save(answer: aiohttp.ClientResponse, path: Path, url: str, max_bytes: int | None) -> int:
    plain = _unpacking(answer, url)
    announced = answer.content_length
    if max_bytes is not None and announced is not None and announced > max_bytes:
        raise AnswerTooLarge(url, f"it has {announced} bytes; at most {max_bytes} are taken")
    loop = asyncio.get_running_loop()
    fd = await loop.run_in_executor(None, os.open, path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    size = 0
    try:
        batch = bytearray()
        async for part in answer.content.iter_any():
            for chunk in plain(part):
                size += len(chunk)
                if max_bytes is not None and size > max_bytes:
                    raise AnswerTooLarge(url, f"more than {max_bytes} bytes came; at most so many are taken")
                batch += chunk
                if len(batch) >= BATCH:
                    await loop.run_in_executor(None, _write, fd, bytes(batch))
                    batch.clear()
        if isinstance(plain, _Unpacked):
            plain.end()
        await loop.run_in_executor(None, _write, fd, bytes(batch))
    finally:
        os.close(fd)
    return size


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def fetch_to(
    path: Path,
    url: str,
    *,
    allow_private: bool = False,
    max_bytes: int | None = None,
    timeout: float = 60.0,
    held: Mapping[str, str] | None = None,
) -> Fetched:
    """`Outbound.fetch_to` for a thread: blocks. `allow_private` covers loopback too.

    Raises:
        AddressRefused, Unreachable, BadAnswer, AnswerTooLarge.
    """

    async def fetch() -> Fetched:
        outbound = Outbound(Policy(allow_private, allow_private))
        try:
            return await outbound.fetch_to(path, url, max_bytes=max_bytes, timeout=timeout, held=held)
        finally:
            await outbound.close()

    # A thread of its own: the caller's may run a loop, in which another cannot be run.
    with ThreadPoolExecutor(1, thread_name_prefix="pondage-fetch") as pool:
        return pool.submit(lambda: asyncio.run(fetch())).result()
