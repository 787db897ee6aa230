"""Uploading, without I/O on the network: sources of bytes, what is asked of the server, and what is left to send.

The sequences are PROTOCOL 7's: one `POST …/files/upload` for a small file, parts for a big one; on fal's cloud with a
token of its CDN, and with initiate and PUT where that fails.
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec

from pondage.client import limits
from pondage.client.core import Answer, Call, Repeat, check_header, raise_for_status
from pondage.client.errors import OutputMismatch
from pondage.client.inputs import image_bytes, type_of_bytes, type_of_name
from pondage.client.target import Target
from pondage.wire import media_types

UploadRepositoryId = Literal["fal", "fal_v3", "cdn"]
ObjectExpiration = Literal["never", "immediate", "1h", "1d", "7d", "30d", "1y"] | int
StorageACLDecision = Literal["hide", "forbid", "allow"]

_HOUR = 3600
_EXPIRATIONS: dict[Any, int | None] = {
    "never": None,
    "immediate": 60,
    "1h": _HOUR,
    "1d": 24 * _HOUR,
    "7d": 7 * 24 * _HOUR,
    "30d": 30 * 24 * _HOUR,
    "1y": 365 * 24 * _HOUR,
}


@dataclass
class StorageACLRule:
    """What one user may do with a file."""

    user: str
    decision: StorageACLDecision


@dataclass
class StorageACL:
    """Who may see a file: a decision for all, and rules for some."""

    default: StorageACLDecision | None = None
    rules: list[StorageACLRule] | None = None


@dataclass
class StorageSettings:
    """How long a file is kept and who may see it (PROTOCOL 7.3).

    Args:
        expires_in: `never`, `immediate` (a minute), `1h`, `1d`, `7d`, `30d`, `1y`, or seconds.
        initial_acl: who may see it.
    """

    expires_in: ObjectExpiration | None = None
    initial_acl: StorageACL | None = None

    def payload(self) -> dict[str, Any]:
        """The value of the lifecycle headers.

        Raises:
            ValueError: `expires_in` is not one of the words and no positive number of seconds.
        """
        payload: dict[str, Any] = {}
        expires = self.expires_in
        if expires in _EXPIRATIONS and not isinstance(expires, bool):
            seconds = _EXPIRATIONS[expires]
            if seconds is not None:
                payload["expiration_duration_seconds"] = seconds
        elif isinstance(expires, int) and not isinstance(expires, bool) and expires > 0:
            payload["expiration_duration_seconds"] = expires
        elif expires is not None:
            raise ValueError(f"expires_in is one of {', '.join(map(str, _EXPIRATIONS))} or seconds, got {expires!r}")
        if self.initial_acl is not None:
            rules = [{"user": rule.user, "decision": rule.decision} for rule in self.initial_acl.rules or []]
            payload["initial_acl"] = {"default": self.initial_acl.default, "rules": rules}
        return payload


class Source:
    """Bytes to upload: in memory, or a file. Reads are independent of each other, so that parts go in parallel."""

    def __init__(self, data: bytes | Path) -> None:
        self._data = data
        self.in_memory = data if isinstance(data, bytes) else None
        self.size = len(data) if isinstance(data, bytes) else data.stat().st_size

    def read(self, offset: int, size: int) -> bytes:
        if isinstance(self._data, bytes):
            return self._data[offset : offset + size]
        with self._data.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def sha256(self) -> str:
        if isinstance(self._data, bytes):
            return hashlib.sha256(self._data).hexdigest()
        with self._data.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


class Upload(NamedTuple):
    """One file to upload."""

    source: Source
    content_type: str
    file_name: str | None
    lifecycle: StorageSettings | None


def upload_of_data(
    data: str | bytes, content_type: str | None, file_name: str | None, lifecycle: StorageSettings | None
) -> Upload:
    """The upload of bytes or text; without a type, its first bytes and its name are looked at."""
    raw = data.encode() if isinstance(data, str) else bytes(data)
    if content_type is None:
        content_type = type_of_bytes(raw)
        if content_type == "application/octet-stream" and file_name:
            content_type = type_of_name(file_name)
    return Upload(Source(raw), content_type, file_name, lifecycle)


def upload_of_file(path: os.PathLike[str] | str, lifecycle: StorageSettings | None) -> Upload:
    """The upload of a file.

    Raises:
        OSError: it is not there, or cannot be read.
    """
    where = Path(path)
    return Upload(Source(where), type_of_name(where.name), where.name, lifecycle)


def upload_of_image(image: Any, format: str, lifecycle: StorageSettings | None) -> Upload:
    """The upload of a PIL image."""
    return Upload(Source(image_bytes(image, format)), _image_type(format), None, lifecycle)


def file_headers(upload: Upload) -> dict[str, str]:
    """What is said of a file on whichever way it goes."""
    headers = {"content-type": upload.content_type}
    if upload.file_name is not None:
        headers["x-fal-file-name"] = check_header("file_name", upload.file_name)
    if upload.lifecycle is not None:
        text = msgspec.json.encode(upload.lifecycle.payload()).decode()
        headers |= {"x-fal-object-lifecycle": text, "x-fal-object-lifecycle-preference": text}
    return headers


def whole_call(base_url: str, auth: dict[str, str], upload: Upload, body: Any, digest: str | None) -> Call:
    """A small file in one call. `digest` is told to Pondage, which refuses bytes that differ."""
    headers = auth | file_headers(upload) | {"content-length": str(upload.source.size)}
    if digest is not None:
        headers["pondage-sha256"] = digest
    return Call("POST", base_url + "/files/upload", headers, body, Repeat.FREELY)


class _Access(msgspec.Struct):
    access_url: str
    upload_id: str | None = msgspec.field(default=None, name="uploadId")


def read_access_url(answer: Answer) -> str:
    """The URL of the file that was uploaded.

    Raises:
        HTTPError: it was refused.
        OutputMismatch: the answer is not understood.
    """
    return _access(answer).access_url


def _access(answer: Answer) -> _Access:
    raise_for_status(answer)
    try:
        return msgspec.json.decode(answer.body, type=_Access)
    except msgspec.DecodeError as error:
        raise OutputMismatch(f"the server's answer to the upload is not understood: {error}") from error


class UploadSession(msgspec.Struct):
    """A big upload that has begun, with what has arrived of it. `token` may be kept and read again later."""

    access_url: str
    upload_id: str
    size: int
    part_size: int
    parts: dict[int, str] = {}
    """The server's tag for each part that has arrived, by number from 1."""

    @property
    def token(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_token(cls, token: str) -> UploadSession:
        """The session that a `token` stands for.

        Raises:
            ValueError: it is none.
        """
        try:
            return msgspec.json.decode(token, type=cls)
        except msgspec.DecodeError as error:
            raise ValueError(f"this is no token of an upload that was cut off: {error}") from error

    def missing(self) -> list[int]:
        """The numbers of the parts that are still to be sent."""
        count = max(1, -(-self.size // self.part_size))
        return [number for number in range(1, count + 1) if number not in self.parts]

    def span(self, number: int) -> tuple[int, int]:
        """Offset and length of a part."""
        offset = (number - 1) * self.part_size
        return offset, min(self.part_size, self.size - offset)


def begin_parts_call(base_url: str, auth: dict[str, str], upload: Upload) -> Call:
    """Begin a big file."""
    return Call("POST", base_url + "/files/upload/multipart", auth | file_headers(upload), b"", Repeat.FREELY)


def read_session(answer: Answer, size: int) -> UploadSession:
    """The session that the server opened.

    Raises:
        HTTPError: it was refused.
        OutputMismatch: the answer is not understood.
    """
    access = _access(answer)
    if access.upload_id is None:
        raise OutputMismatch("the server's answer to the upload has no uploadId")
    # At most 10,000 parts, as object stores have it.
    part_size = max(limits.PART_SIZE, -(-size // 10_000))
    return UploadSession(access.access_url, access.upload_id, size, part_size)


def session_url(target: Target, session: UploadSession) -> str:
    """Where the parts go: the file's URL if it lies where the key may go, else its path on the configured origin."""
    if target.cloud or target.owns(session.access_url):
        return session.access_url
    path = urlsplit(session.access_url).path
    return target.cdn + path[max(0, path.find("/files/")) :]


def list_parts_call(url: str, auth: dict[str, str], session: UploadSession) -> Call:
    """Ask which parts have arrived; Pondage knows."""
    return Call("GET", f"{url}/multipart/{session.upload_id}", auth)


class _Listed(msgspec.Struct):
    n: int = msgspec.field(name="partNumber")
    etag: str


class _List(msgspec.Struct):
    parts: list[_Listed]


def read_parts(answer: Answer) -> dict[int, str]:
    """The tags of the parts that have arrived, by number.

    Raises:
        HTTPError: there is no such upload any more.
        OutputMismatch: the answer is not understood.
    """
    raise_for_status(answer)
    try:
        return {part.n: part.etag for part in msgspec.json.decode(answer.body, type=_List).parts}
    except msgspec.DecodeError as error:
        raise OutputMismatch(f"the server's list of parts is not understood: {error}") from error


def part_call(
    url: str, auth: dict[str, str], session: UploadSession, number: int, data: bytes, content_type: str
) -> Call:
    """One part, with its checksum; the same part may be sent twice."""
    headers = auth | {
        "content-type": content_type,
        "accept-encoding": "identity",
        "pondage-sha256": hashlib.sha256(data).hexdigest(),
    }
    return Call("PUT", f"{url}/multipart/{session.upload_id}/{number}", headers, data)


def read_part(answer: Answer) -> str:
    """The server's tag for a part.

    Raises:
        HTTPError: it was refused.
        OutputMismatch: there is no tag.
    """
    raise_for_status(answer)
    tag = answer.headers.get("etag")
    if not tag:
        raise OutputMismatch("the server's answer to a part has no etag")
    return tag


def complete_call(url: str, auth: dict[str, str], session: UploadSession) -> Call:
    """End a big file: from now on it is visible."""
    parts = [{"partNumber": number, "etag": tag} for number, tag in sorted(session.parts.items())]
    body = msgspec.json.encode({"parts": parts})
    headers = auth | {"content-type": "application/json"}
    return Call("POST", f"{url}/multipart/{session.upload_id}/complete", headers, body, Repeat.FREELY)


class CdnToken(msgspec.Struct):
    """A token of fal's CDN (PROTOCOL 7.2)."""

    token: str
    token_type: str
    base_url: str
    expires_at: str

    @property
    def authorization(self) -> str:
        return f"{self.token_type} {self.token}"


def cdn_token_call(target: Target, base: dict[str, str]) -> Call:
    """Ask for a token of the CDN; it makes nothing, so it may be repeated."""
    url = f"{target.rest}/storage/auth/token?storage_type=fal-cdn-v3"
    return Call("POST", url, base | {"content-type": "application/json"}, b"{}")


def initiate_call(target: Target, base: dict[str, str], upload: Upload) -> Call:
    """Ask for a URL to put a file to: the way that remains when the CDN cannot be reached."""
    body = {"content_type": upload.content_type, "file_name": upload.file_name or default_name(upload.content_type)}
    headers = base | file_headers(upload) | {"content-type": "application/json"}
    url = f"{target.rest}/storage/upload/initiate?storage_type=gcs"
    return Call("POST", url, headers, msgspec.json.encode(body))


class Initiated(msgspec.Struct):
    file_url: str
    upload_url: str


def default_name(content_type: str) -> str:
    """A file name for bytes that have none."""
    return "upload" + (media_types.ending_of(content_type) or ".bin")


def repositories(
    repository: UploadRepositoryId | None, fallback: UploadRepositoryId | list[UploadRepositoryId] | None
) -> list[str]:
    """Where to try on fal's cloud, in order.

    Raises:
        ValueError: there is no such repository.
    """
    others: list[UploadRepositoryId] = (
        ["fal"] if fallback is None else fallback if isinstance(fallback, list) else [fallback]
    )
    chain = ["fal_v3" if name == "cdn" else name for name in [repository or "fal_v3", *others]]
    for name in chain:
        if name not in ("fal_v3", "fal"):
            raise ValueError(f"there is no upload repository {name!r}; there are fal_v3 and fal")
    return list(dict.fromkeys(chain))


def encode(data: str | bytes, content_type: str) -> str:
    """A data URI, which an input can carry instead of a URL.

    Args:
        data: the bytes, or text.
        content_type: their media type.
    """
    raw = data.encode() if isinstance(data, str) else data
    return f"data:{content_type};base64,{base64.b64encode(raw).decode()}"


def encode_file(path: os.PathLike[str] | str) -> str:
    """A file as data URI; its name says its type."""
    where = Path(path)
    return encode(where.read_bytes(), type_of_name(where.name))


def encode_image(image: Any, format: str = "jpeg") -> str:
    """A PIL image as data URI, in the format (`jpeg`, `png`, …)."""
    return encode(image_bytes(image, format), _image_type(format))


def _image_type(format: str) -> str:
    name = format.lower()
    return f"image/{'jpeg' if name == 'jpg' else name}"
