"""Files by their URL: read, delete, sign, list."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import quote

import msgspec

from pondage.clock import iso
from pondage.errors import Forbidden, InvalidInput, NotFound
from pondage.files.interface import FileInfo
from pondage.files.ranges import Span, http_date, matches, parse_ranges, same_version, unmodified_since
from pondage.gateway import answers
from pondage.gateway.call import Call, Response
from pondage.gateway.file_body import FileAnswer, FileBody, Headers
from pondage.gateway.requests import may_see

SIGN_SECONDS = 3600.0
"""How long a signed URL of a private file is good, unless its maker says."""
SIGN_MOST = 7 * 86_400.0
_YEAR = 31_536_000
_PAGE = 50
_PAGE_MOST = 1000

# Nothing in a file may act in the gateway's name, whatever its type says: no scripts, no forms, an origin of its own.
_SANDBOX = "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self' data:; style-src 'unsafe-inline'"
_SHOWN = ("image/", "video/", "audio/")
_SHOWN_TYPES = frozenset({"text/plain", "application/json", "application/pdf"})
_ACTIVE = frozenset({"image/svg+xml"})


async def download(call: Call) -> Response:
    """`GET` and `HEAD` of a file's URL, whole or in ranges; `HEAD` answers a range as `GET` does, without the bytes.

    Raises:
        NotFound: no such file, or its time is over. Forbidden, Unauthorized: private, and no leave to read it.
        RangeNotSatisfiable, DamagedFile.
    """
    info = await _file(call)
    await _may_read(call, info)
    etag = f'"{info.digest[:32] or info.id}"'
    headers = _headers(call, info, etag)
    if _not_modified(call, info, etag):
        return FileAnswer(304, headers, call)
    spans: list[Span] | None = None
    wanted = call.headers.get("range")
    condition = call.headers.get("if-range")
    if wanted and (condition is None or same_version(condition, etag, info.created_at)):
        spans = parse_ranges(wanted, info.size)
    if spans is None:
        return await _begun(200, headers, call, info, [(b"", Span(0, info.size))], b"")
    if len(spans) == 1:
        (span,) = spans
        headers.append(("content-range", f"bytes {span.start}-{span.end - 1}/{info.size}"))
        return await _begun(206, headers, call, info, [(b"", span)], b"")
    boundary = secrets.token_hex(16)
    parts = []
    for n, span in enumerate(spans):
        head = (
            f"{'' if n == 0 else chr(13) + chr(10)}--{boundary}\r\ncontent-type: {info.content_type}\r\n"
            f"content-range: bytes {span.start}-{span.end - 1}/{info.size}\r\n\r\n"
        )
        parts.append((head.encode(), span))
    headers = [(name, value) for name, value in headers if name != "content-type"]
    headers.append(("content-type", f"multipart/byteranges; boundary={boundary}"))
    return await _begun(206, headers, call, info, parts, f"\r\n--{boundary}--\r\n".encode())


async def delete(call: Call) -> Response:
    """`DELETE` of a file's URL, by its owner or an admin."""
    info = await _file(call)
    await _must_own(call, info)
    await call.rooms.uploads.remove(info)
    return answers.json({"deleted": info.id})


class Sign(msgspec.Struct):
    expires_in: float = SIGN_SECONDS


async def sign(call: Call) -> Response:
    """`POST {file URL}/sign`: a URL that reads a private file for a while, without a key."""
    wanted = await call.json(Sign, hint="{'expires_in': seconds}")
    if not 1 <= wanted.expires_in <= SIGN_MOST:
        raise InvalidInput.field(["body", "expires_in"], f"must be from 1 to {SIGN_MOST:g} seconds")
    info = await _file(call)
    await _must_own(call, info)
    token, until = call.rooms.uploads.sign("file", info.id, wanted.expires_in)
    return answers.json({"url": f"{call.origins.cdn}{info.path}?token={token}", "expires_at": iso(until)})


async def listed(call: Call) -> Response:
    """`GET /api/v1/files`: the caller's files, newest first; an admin sees all, or those of its apps.

    Raises:
        Forbidden: it came with a token.
    """
    caller = call.caller
    if caller.by_token:
        raise Forbidden("a token lists nothing; ask with the key")
    given = call.query.get("limit", str(_PAGE))
    if not (given.isascii() and given.isdigit() and len(given) < 6 and 1 <= int(given) <= _PAGE_MOST):
        raise InvalidInput.field(["query", "limit"], f"must be a number from 1 to {_PAGE_MOST}")
    limit = int(given)
    owner = None if caller.may("admin") else caller.key_id
    found = await call.rooms.uploads.page(before=_cursor(call), owner=owner, limit=limit)
    last = found[-1] if len(found) == limit else None
    return answers.json(
        {
            "files": [described(call, info) for info in found if await _is_own(call, info)],
            "next_cursor": f"{last.created_at!r}_{last.id}" if last else None,
            "has_more": last is not None,
        }
    )


def described(call: Call, info: FileInfo) -> dict[str, Any]:
    """A file as answers show it."""
    return {
        "id": info.id,
        "url": call.origins.cdn + info.path,
        "file_name": info.file_name,
        "content_type": info.content_type,
        "file_size": info.size,
        "sha256": info.sha256 or None,
        "created_at": iso(info.created_at),
        "expires_at": iso(info.expires_at) if info.expires_at is not None else None,
        "private": info.private,
    }


def _cursor(call: Call) -> tuple[float, str] | None:
    given = call.query.get("cursor")
    if not given:
        return None
    at, _, file_id = given.partition("_")
    try:
        return float(at), file_id
    except ValueError:
        raise InvalidInput.field(["query", "cursor"], "is not a next_cursor of this list") from None


async def _file(call: Call) -> FileInfo:
    info = await call.rooms.files.info(f"/files/{call.params['file_id']}/")
    if info is None or (info.expires_at is not None and info.expires_at <= call.rooms.clock.wall()):
        raise NotFound("there is no such file; it may have expired or been deleted")
    return info


async def _may_read(call: Call, info: FileInfo) -> None:
    if not info.private:
        return
    caller = call.caller
    if (token := call.query.get("token")) is not None:
        call.rooms.uploads.verify("file", info.id, token)
    elif caller.by_token:
        if not await _named_by_its_requests(call, info):
            raise Forbidden("this file is private, and no request of this token names it: read it by a signed URL")
    elif not (caller.may("files or read") and await _is_own(call, info)):
        raise Forbidden(
            "this file is private: read it by a signed URL, with the key that stored it and the scope 'files' or "
            "'read', or with 'admin'"
        )


async def _is_own(call: Call, info: FileInfo) -> bool:
    """Whether the caller's key stored the file, or is an admin's: of every app, or of the app that made it."""
    caller = call.caller
    if caller.key_id and caller.key_id == info.owner:
        return True
    if not caller.may("admin"):
        return False
    if caller.apps is None:
        return True
    view = await call.rooms.queue.get(info.request_id) if info.request_id else None
    return view is not None and caller.may_call(view.app)


async def _named_by_its_requests(call: Call, info: FileInfo) -> bool:
    """Whether a request that a token may see made the file, or one that came with such a token has it as an input."""
    caller = call.caller
    if not caller.may("read") or info.owner != caller.key_id:
        return False
    if info.request_id:
        view = await call.rooms.queue.get(info.request_id)
        return view is not None and may_see(caller, view)
    naming = await call.rooms.queue.naming(info.id, caller.key_id)
    return any(caller.may_call(view.app) and view.subject == (caller.subject or "") for view in naming)


async def _must_own(call: Call, info: FileInfo) -> None:
    if call.caller.by_token:
        raise Forbidden("a token stores files and does nothing else with them; use the key")
    if not await _is_own(call, info):
        raise Forbidden("this file was stored with another key; 'admin' is needed for it")


def _headers(call: Call, info: FileInfo, etag: str) -> list[tuple[str, str]]:
    bare = info.content_type.partition(";")[0].strip().lower()
    shown = bare not in _ACTIVE and (bare.startswith(_SHOWN) or bare in _SHOWN_TYPES) and "download" not in call.query
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in info.file_name)
    disposition = f'{"inline" if shown else "attachment"}; filename="{plain}"'
    if plain != info.file_name:
        disposition += f"; filename*=UTF-8''{quote(info.file_name, safe='')}"
    age = _YEAR if info.expires_at is None else min(max(int(info.expires_at - call.rooms.clock.wall()), 0), _YEAR)
    return [
        ("content-type", info.content_type),
        ("content-disposition", disposition),
        ("etag", etag),
        ("last-modified", http_date(info.created_at)),
        ("accept-ranges", "bytes"),
        (
            "cache-control",
            "private, no-store" if info.private else f"public, max-age={age}, immutable",
        ),
        ("content-security-policy", _SANDBOX),
        ("cross-origin-resource-policy", "cross-origin"),
    ]


def _not_modified(call: Call, info: FileInfo, etag: str) -> bool:
    if (tags := call.headers.get("if-none-match")) is not None:
        return matches(tags, etag)
    since = call.headers.get("if-modified-since")
    return since is not None and unmodified_since(since, info.created_at)


async def _begun(
    status: int, headers: Headers, call: Call, info: FileInfo, parts: list[tuple[bytes, Span]], tail: bytes
) -> Response:
    """A response whose first bytes were read and checked."""
    body = FileBody(call, info, parts, tail)
    headers = [*headers, ("content-length", str(body.length))]
    return await FileAnswer(status, headers, call, None if call.method == "HEAD" else body).begin()
