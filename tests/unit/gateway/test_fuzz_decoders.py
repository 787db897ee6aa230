"""What callers write into paths, headers, forms and cursors: it is read, or it is a `RequestError`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pondage.errors import BadRequest, InvalidInput, RangeNotSatisfiable, RequestError, Unauthorized
from pondage.files.names import read_lifecycle
from pondage.files.ranges import matches, parse_ranges, same_version, unmodified_since
from pondage.files.signing import Signer
from pondage.gateway.address import locate, proxied
from pondage.gateway.forms import boundary_of, read_form
from pondage.gateway.submitting import check_input
from pondage.queue.interface import Filter
from pondage.queue.sqlite.views import where
from pondage.settings import Settings

from .test_access import access, key

BOUNDED = settings(max_examples=300, deadline=None, derandomize=True, database=None)
LATIN = st.text(st.characters(max_codepoint=255), max_size=40)
HOSTS = LATIN | st.sampled_from(
    ["localhost:1", "[::1]", "[::1", "queue.fal.run", "a:b:c", "acme.test:x", "\uff0f.test"]
)


@BOUNDED
@given(HOSTS, HOSTS, LATIN, st.sampled_from(["", "acme.test"]), st.booleans(), st.text(max_size=20))
def test_any_host_is_ours_or_refused(
    host: str, forwarded: str, proto: str, domain: str, open_server: bool, path: str
) -> None:
    headers = {"host": host, "x-forwarded-host": forwarded, "x-forwarded-proto": proto}
    scope: Any = {"scheme": "http", "path": "/" + path, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000)}
    with contextlib.suppress(RequestError):
        found = locate(scope, headers, Settings(domain=domain), open_server=open_server)
        assert found.path.startswith("/")


@BOUNDED
@given(LATIN | HOSTS.map("https://{}/acme/echo?x=1".format) | st.sampled_from(["http://[", "//", "http://fal.run#a"]))
def test_any_target_of_the_proxy_is_ours_or_refused(target: str) -> None:
    with contextlib.suppress(BadRequest):
        _, path, _ = proxied(target, "localhost", Settings(domain="acme.test"))
        assert path.startswith("/")


SPECS = st.lists(st.builds("{}-{}".format, st.integers(0) | st.just(""), st.integers(0) | st.just("")), max_size=5)


@BOUNDED
@given(LATIN | SPECS.map(lambda specs: "bytes=" + ",".join(specs)), st.integers(0, 2**40))
def test_ranges_lie_within_the_file(header: str, size: int) -> None:
    with contextlib.suppress(RangeNotSatisfiable):
        for span in parse_ranges(header, size) or []:
            assert 0 <= span.start < span.end <= size


@BOUNDED
@given(LATIN | st.sampled_from(["Thu, 01 Jan 9999 00:00:00 +9999", "Thu, 01 Jan 0000 00:00:00 GMT", "1 1 1 1 1 1"]))
def test_conditions_hold_or_do_not(header: str) -> None:
    assert matches(header, '"a"') in {True, False}
    assert unmodified_since(header, 0.0) in {True, False}
    assert same_version(header, '"a"', 0.0) in {True, False}


@BOUNDED
@given(LATIN | st.builds('{{"expiration_duration_seconds": {}}}'.format, st.floats()))
def test_a_lifecycle_is_read_or_invalid(header: str) -> None:
    with contextlib.suppress(InvalidInput):
        lifecycle = read_lifecycle(header)
        assert lifecycle.expires_in is None or 0 < lifecycle.expires_in < float("inf")


@pytest.mark.parametrize("header", ['{"a":' + "[" * 20_000, "[" * 20_000])
def test_a_lifecycle_that_nests_is_invalid(header: str) -> None:
    with pytest.raises(InvalidInput):
        read_lifecycle(header)


@BOUNDED
@given(st.binary(max_size=80))
def test_an_input_is_json_or_invalid(body: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        check_input(body).decode()


@BOUNDED
@given(st.text(max_size=60) | st.builds("{}.{}".format, st.integers(), st.text(max_size=44)))
def test_no_token_is_made_up(token: str) -> None:
    with pytest.raises(Unauthorized):
        Signer(b"s" * 32).check("file", "id", token, 0.0)


@BOUNDED
@given(LATIN | LATIN.map("Key {}".format) | LATIN.map("Bearer {}".format), st.none() | st.text(max_size=60))
def test_no_caller_is_made_up(authorization: str, token: str | None) -> None:
    with pytest.raises(Unauthorized):
        access(key()).identify(authorization, token)


@BOUNDED
@given(st.text(max_size=30) | st.integers().map(str))
def test_a_cursor_fits_a_database_or_is_refused(cursor: str) -> None:
    with contextlib.suppress(BadRequest):
        _, values = where(Filter(cursor=cursor))
        assert 0 <= values[0] < 2**63


# ---- forms


HEADS = st.lists(
    st.sampled_from(
        [
            b'Content-Disposition: form-data; name="a"; filename="f.bin"', b"Content-Type: text/plain",
            b"Content-Disposition: form-data; name*=utf-8''%FF; filename*=x", b"Content-Disposition", b": x", b"\xff",
            b'content-disposition: form-data; name*0="a"; name*1*=b; filename*=UTF-8\'\'%E2%82', b" folded: x",
            b"Content-Type: \xc3\xa9\x00", b"content-disposition: a\rb", b"Content-Disposition: x\x0by: z",
        ]
    ),
    max_size=4,
).map(b"\r\n".join)  # fmt: skip
PARTS = st.lists(
    st.builds(lambda head, body: b"--b\r\n" + head + b"\r\n\r\n" + body + b"\r\n", HEADS, st.binary(max_size=20)),
    max_size=4,
)
FORMS = st.binary(max_size=100) | st.builds(
    lambda parts, end: b"".join(parts) + end, PARTS, st.sampled_from([b"--b--", b"", b"--b"])
)


@BOUNDED
@given(FORMS, st.integers(1, 50))
def test_a_form_is_read_or_bad(form: bytes, step: int) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(form), step):
            yield form[at : at + step]

    async def read() -> int:
        length = 0
        async for part in read_form(pieces(), b"b"):
            async for block in part.body:
                length += len(block)
        return length

    with contextlib.suppress(BadRequest):
        assert asyncio.run(read()) <= len(form)


@BOUNDED
@given(LATIN | LATIN.map("multipart/form-data; boundary={}".format) | LATIN.map("a/b; boundary*={}".format))
def test_a_boundary_is_named_or_bad(content_type: str) -> None:
    with contextlib.suppress(BadRequest):
        assert boundary_of(content_type)
