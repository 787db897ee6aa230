"""Every way in which fal's clients upload a file (PROTOCOL 7): grants and signed PUTs, parts, tokens, forms."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import msgspec

from pondage.clock import iso
from pondage.errors import BadRequest, InvalidInput, NotFound
from pondage.files.interface import Expected, FileInfo, Lifecycle, Part, Upload
from pondage.files.names import LIFECYCLE_HEADERS, read_lifecycle, refuse_control
from pondage.gateway import answers
from pondage.gateway.call import Call, Response
from pondage.gateway.files import described
from pondage.gateway.forms import boundary_of, read_form

_SMALL_BODY = 64 * 1024
_PARTS_BODY = 2 * 1024 * 1024
_MOST_PARTS = 10_000
_HEX = re.compile(r"[0-9a-fA-F]{64}\Z")


class Initiate(msgspec.Struct):
    content_type: str | None = None
    file_name: str | None = None


class ListedPart(msgspec.Struct):
    etag: str
    partNumber: int | None = None
    part_number: int | None = None


class Complete(msgspec.Struct):
    parts: list[ListedPart] = []


# ---- by grant


async def initiate(call: Call) -> Response:
    """`POST /storage/upload/initiate`: a URL to PUT to, and the URL under which the file will be."""
    return await _initiate(call, multipart=False)


async def initiate_multipart(call: Call) -> Response:
    """`POST /storage/upload/initiate-multipart`: the same, for parts."""
    return await _initiate(call, multipart=True)


async def _initiate(call: Call, *, multipart: bool) -> Response:
    wanted = await call.json(Initiate, _SMALL_BODY, hint="{'content_type': …, 'file_name': …}")
    grant = await call.rooms.uploads.grant(
        file_name=wanted.file_name or "",
        content_type=wanted.content_type or "",
        lifecycle=_lifecycle(call),
        owner=call.caller.key_id,
        multipart=multipart,
    )
    ours = f"{call.origins.cdn}/files/uploads/{grant.upload_id}?token={grant.token}"
    return answers.json({"file_url": call.origins.cdn + grant.file_path, "upload_url": grant.direct_url or ours})


async def put_upload(call: Call) -> Response:
    """`PUT` of an upload URL. It carries its own secret; no client sends an Authorization here."""
    info = await call.rooms.uploads.put_whole(await _by_token(call), call.stream(), _expected(call))
    return _stored(call, info)


async def put_part(call: Call) -> Response:
    """`PUT` of one part. The answer has the ETag in its body and in its header: each client reads one of them."""
    return await _put_part(call, await _by_token(call))


async def list_parts(call: Call) -> Response:
    """`GET` of a multipart upload: the parts that are here, so that a sender can go on after a cut."""
    return await _list_parts(call, await _by_token(call))


async def complete(call: Call) -> Response:
    """`POST …/complete`: put the parts together."""
    return await _complete(call, await _by_token(call))


async def abort(call: Call) -> Response:
    """`DELETE` of an upload: it and its parts are forgotten."""
    return await _abort(call, await _by_token(call))


# ---- by CDN token


async def token(call: Call) -> Response:
    """`POST /storage/auth/token`: a token with the scope `files` and no other."""
    await call.body(_SMALL_BODY)
    access = call.rooms.access
    settings, now = call.rooms.settings, call.rooms.clock.wall()
    seconds = settings.token_max_age
    made = access.token(call.caller, [], seconds, now, scopes=frozenset({"files"}))
    answer = {
        "token": made,
        "token_type": "Bearer",
        "base_url": call.origins.cdn,
        "expires_at": iso(now + seconds),
    }
    return answers.json(answer)


async def upload(call: Call) -> Response:
    """`POST /files/upload`: the bytes as they are, or a form with one or more files."""
    content_type = call.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() == "multipart/form-data":
        return await _upload_form(call, content_type)
    info = await call.rooms.files.put(
        call.stream(),
        file_name=_header(call, "x-fal-file-name"),
        content_type=content_type,
        lifecycle=_lifecycle(call),
        owner=call.caller.key_id,
        expected=_expected(call),
    )
    return _stored(call, info)


async def _upload_form(call: Call, content_type: str) -> Response:
    lifecycle = _lifecycle(call)
    stored: list[FileInfo] = []
    try:
        async for part in read_form(call.stream(), boundary_of(content_type)):
            refuse_control(part.name, "name")
            if part.file_name is not None:
                info = await call.rooms.files.put(
                    part.body,
                    file_name=part.file_name,
                    content_type=part.content_type,
                    lifecycle=lifecycle,
                    owner=call.caller.key_id,
                )
                stored.append(info)
    except BaseException:
        for info in stored:  # all of a form, or nothing
            await call.rooms.uploads.remove(info)
        raise
    if not stored:
        raise BadRequest("the form holds no file: a part with a filename")
    more = {"files": [described(call, info) for info in stored]}
    return answers.json({"access_url": call.origins.cdn + stored[0].path, **more})


async def begin_multipart(call: Call) -> Response:
    """`POST /files/upload/multipart`: parts are then sent below the `access_url`."""
    await call.body(_SMALL_BODY)
    grant = await call.rooms.uploads.grant(
        file_name=_header(call, "x-fal-file-name"),
        content_type=call.headers.get("content-type", ""),
        lifecycle=_lifecycle(call),
        owner=call.caller.key_id,
        multipart=True,
    )
    return answers.json({"access_url": call.origins.cdn + grant.file_path, "uploadId": grant.upload_id})


async def put_file_part(call: Call) -> Response:
    """`PUT {access_url}/multipart/{uploadId}/{n}`."""
    return await _put_part(call, await _by_key(call))


async def list_file_parts(call: Call) -> Response:
    """`GET {access_url}/multipart/{uploadId}`."""
    return await _list_parts(call, await _by_key(call))


async def complete_file(call: Call) -> Response:
    """`POST {access_url}/multipart/{uploadId}/complete`."""
    return await _complete(call, await _by_key(call))


async def abort_file(call: Call) -> Response:
    """`DELETE {access_url}/multipart/{uploadId}`."""
    return await _abort(call, await _by_key(call))


# ---- what both ways share


async def _by_token(call: Call) -> Upload:
    return await call.rooms.uploads.check(call.params["upload_id"], call.query.get("token", ""))


async def _by_key(call: Call) -> Upload:
    found = await call.rooms.uploads.check(call.params["upload_id"], None)
    caller = call.caller
    mine = found.owner == caller.key_id or (caller.may("admin") and caller.apps is None)
    if found.file_id != call.params["file_id"] or not mine:
        raise NotFound("there is no such upload of this file")
    return found


async def _put_part(call: Call, found: Upload) -> Response:
    text = call.params["n"]
    if not (text.isascii() and text.isdigit() and len(text) < 8):
        raise BadRequest(f"{text[:20]!r} is not the number of a part")
    part = await call.rooms.uploads.put_part(found, int(text), call.stream(), _expected(call))
    return answers.json({"partNumber": part.n, "etag": part.etag}, headers={"etag": f'"{part.etag}"'})


async def _list_parts(call: Call, found: Upload) -> Response:
    parts = [{"partNumber": p.n, "etag": p.etag, "size": p.size} for p in await call.rooms.uploads.parts(found)]
    answer: dict[str, Any] = {"uploadId": found.id, "parts": parts, "completed": found.done_at is not None}
    return answers.json(answer)


async def _complete(call: Call, found: Upload) -> Response:
    listed = (await call.json(Complete, _PARTS_BODY, hint="{'parts': [{'partNumber', 'etag'}, …]}")).parts
    if len(listed) > _MOST_PARTS:
        raise InvalidInput.field(
            ["body", "parts"], f"has {len(listed)} parts; a file is put together from {_MOST_PARTS}"
        )
    for part in listed:
        refuse_control(part.etag, "etag")
    parts = [Part(p.partNumber if p.partNumber is not None else p.part_number or 0, p.etag) for p in listed]
    expected = Expected(sha256=_sha256(call))
    return _stored(call, await call.rooms.uploads.complete(found, parts, expected))


async def _abort(call: Call, found: Upload) -> Response:
    await call.rooms.uploads.abort(found)
    return answers.json({"aborted": found.id})


def _stored(call: Call, info: FileInfo) -> Response:
    url = call.origins.cdn + info.path
    return answers.json(
        {"access_url": url, "file_url": url, **described(call, info)}, headers={"etag": f'"{info.digest[:32]}"'}
    )


def _lifecycle(call: Call) -> Lifecycle:
    for name in LIFECYCLE_HEADERS:
        if (header := call.headers.get(name)) is not None:
            return read_lifecycle(header, loc=name)
    return Lifecycle()


def _header(call: Call, name: str) -> str:
    """A header that may hold UTF-8, as clients send file names."""
    text = call.headers.get(name, "")
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return text


def _expected(call: Call) -> Expected:
    """What the headers say of the body's bytes."""
    announced = call.headers.get("content-length", "")
    size = int(announced) if announced.isascii() and announced.isdigit() and len(announced) < 20 else None
    md5 = ""
    if (given := call.headers.get("content-md5")) is not None:
        try:
            md5 = base64.b64decode(given, validate=True).hex()
        except (binascii.Error, ValueError):
            md5 = ""
        if len(md5) != 32:
            raise InvalidInput.field(["header", "Content-MD5"], "is not the Base64 of 16 bytes")
    return Expected(size, _sha256(call), md5)


def _sha256(call: Call) -> str:
    given = call.headers.get("pondage-sha256")
    if given is None:
        return ""
    refuse_control(given, "Pondage-Sha256")
    if not _HEX.match(given):
        raise InvalidInput.field(["header", "Pondage-Sha256"], "is not 64 hexadecimal digits")
    return given


_UPLOAD = "/files/uploads/{upload_id}"
_FILE = "/files/{file_id}/{name}/multipart/{upload_id}"
