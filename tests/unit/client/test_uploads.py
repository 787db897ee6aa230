"""Files: small, big, interrupted, inside an input; and what fal's cloud is asked."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import pondage.client as fal_client
from pondage.client import AsyncClient, StorageACL, StorageACLRule, StorageSettings, SyncClient, limits, uploads
from pondage.client.core import Answer
from pondage.client.target import point

pytestmark = pytest.mark.anyio


class Shelf:
    """The upload routes of a server."""

    def __init__(self, server: Any) -> None:
        self.files: dict[str, bytes] = {}
        self.parts: dict[int, bytes] = {}
        self.failing: set[int] = set()
        self.url = server.url
        server.handlers |= {
            "POST /files/upload": self.whole,
            "POST /files/upload/multipart": self.begin,
            "PUT /files/f/big.bin/multipart/*": self.part,
            "GET /files/f/big.bin/multipart/u1": self.listed,
            "POST /files/f/big.bin/multipart/u1/complete": self.complete,
        }

    async def whole(self, request: Request, body: bytes) -> Response:
        assert hashlib.sha256(body).hexdigest() == request.headers["pondage-sha256"]
        name = f"/files/f/{len(self.files)}"
        self.files[name] = body
        return JSONResponse({"access_url": self.url + name})

    async def begin(self, request: Request, body: bytes) -> Response:
        return JSONResponse({"access_url": "http://balancer.test/files/f/big.bin", "uploadId": "u1"})

    async def part(self, request: Request, body: bytes) -> Response:
        number = int(request.url.path.rsplit("/", 1)[1])
        if number in self.failing:
            return JSONResponse({"detail": "disk"}, 500)
        assert hashlib.sha256(body).hexdigest() == request.headers["pondage-sha256"]
        self.parts[number] = body
        return JSONResponse({}, headers={"etag": f'"{number}"'})

    async def listed(self, request: Request, body: bytes) -> Response:
        return JSONResponse({"parts": [{"partNumber": n, "etag": f'"{n}"'} for n in self.parts]})

    async def complete(self, request: Request, body: bytes) -> Response:
        parts = json.loads(body)["parts"]
        assert [part["partNumber"] for part in parts] == sorted(self.parts)
        self.files["big"] = b"".join(self.parts[part["partNumber"]] for part in parts)
        return JSONResponse({})


@pytest.fixture
def shelf(server: Any) -> Shelf:
    return Shelf(server)


PNG = b"\x89PNG\r\n\x1a\n" + bytes(10)


def test_a_small_file(server: Any, client: SyncClient, shelf: Shelf) -> None:
    told: list[tuple[int, int]] = []
    acl = StorageACL("forbid", [StorageACLRule("me", "allow")])
    lifecycle = StorageSettings(expires_in="1d", initial_acl=acl)
    url = client.storage.upload(PNG, file_name="ä.png", lifecycle=lifecycle, on_progress=lambda *n: told.append(n))
    assert url == f"{server.url}/files/f/0" and shelf.files["/files/f/0"] == PNG
    sent = server.seen[0]
    assert sent.headers["content-type"] == "image/png" and sent.headers["x-fal-file-name"] == "ä.png".encode().decode(
        "latin-1"
    )
    assert sent.headers["authorization"] == "Key id:secret" and sent.headers["content-length"] == "18"
    preference = json.loads(sent.headers["x-fal-object-lifecycle-preference"])
    assert preference["expiration_duration_seconds"] == 86400
    assert preference["initial_acl"] == {"default": "forbid", "rules": [{"user": "me", "decision": "allow"}]}
    assert told == [(18, 18)]


async def test_the_three_ways(aclient: AsyncClient, shelf: Shelf, tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "a.txt").write_bytes(b"text")
    await aclient.upload("ö", "text/plain")
    await aclient.upload_file(tmp_path / "a.txt")
    await aclient.upload_image(Image.new("RGBA", (2, 2)))
    assert shelf.files["/files/f/0"] == "ö".encode() and shelf.files["/files/f/1"] == b"text"
    assert Image.open(io.BytesIO(shelf.files["/files/f/2"])).format == "JPEG"


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MULTIPART_THRESHOLD", 100)
    monkeypatch.setattr(limits, "PART_SIZE", 64)


async def test_a_big_file_goes_in_parts(aclient: AsyncClient, shelf: Shelf, small_limits: None) -> None:
    data = bytes(range(250))
    told: list[int] = []
    url = await aclient.upload(data, "application/x", on_progress=lambda sent, total: told.append(sent))
    assert url == "http://balancer.test/files/f/big.bin"
    assert shelf.files["big"] == data and [len(shelf.parts[n]) for n in (1, 2, 3, 4)] == [64, 64, 64, 58]
    assert sorted(told) == told and told[-1] == 250


def test_an_interrupted_upload_is_taken_up(
    server: Any, client: SyncClient, shelf: Shelf, small_limits: None, tmp_path: Path
) -> None:
    path = tmp_path / "big.bin"
    path.write_bytes(bytes(range(250)))
    shelf.failing = {3}
    begun: list[str] = []
    with pytest.raises(fal_client.UploadInterrupted, match="parts to go") as caught:
        client.storage.upload_file(path, on_session=lambda session: begun.append(session.token))
    assert isinstance(caught.value.__cause__, fal_client.ServerError)
    shelf.failing = set()
    arrived = len(shelf.parts)
    assert arrived >= len(caught.value.session.parts)
    server.seen.clear()
    [token] = begun
    client.storage.upload_file(path, resume=token)
    assert shelf.files["big"] == path.read_bytes()
    assert sum(seen.method == "PUT" for seen in server.seen) == 4 - arrived
    path.write_bytes(b"short")
    with pytest.raises(ValueError, match="250 bytes, this is of 5"):
        client.storage.upload_file(path, resume=token)


def test_files_inside_an_input(server: Any, client: SyncClient, shelf: Shelf, tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "a.txt").write_bytes(b"text")
    given = {"a": [tmp_path / "a.txt", {"b": PNG}], "image": Image.new("RGB", (2, 2)), "path": str(tmp_path), "n": 1}
    sent = client.run("acme/echo", given)["echo"]
    urls = [sent["a"][0], sent["a"][1]["b"], sent["image"]]
    contents = [shelf.files[url.removeprefix(server.url)] for url in urls]
    assert contents[:2] == [b"text", PNG] and contents[2].startswith(b"\x89PNG")
    assert sent["path"] == str(tmp_path) and sent["n"] == 1
    assert given["a"][0] == tmp_path / "a.txt"  # type: ignore[index]


def test_a_file_that_is_not_there(client: SyncClient, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        client.run("acme/echo", {"file": tmp_path / "none.png"})


def test_a_name_with_control_characters(client: SyncClient) -> None:
    with pytest.raises(ValueError, match="control characters"):
        client.upload(b"x", "text/plain", "a\nb")


def test_a_refused_upload(server: Any, client: SyncClient) -> None:
    async def full(request: Request, body: bytes) -> Response:
        return JSONResponse({"detail": "the disk is full", "error_type": "disk_full"}, 507)

    server.handlers["POST /files/upload"] = full
    with pytest.raises(fal_client.ServerError, match="disk is full"):
        client.upload(b"x", "text/plain")


@pytest.mark.parametrize("expires", [True, 0, -5, "2d", 1.5])
def test_bad_expiry(expires: Any) -> None:
    with pytest.raises(ValueError, match="expires_in"):
        StorageSettings(expires_in=expires).payload()


@pytest.mark.parametrize(("expires", "seconds"), [("never", None), ("immediate", 60), ("1y", 31_536_000), (7, 7)])
def test_expiry(expires: Any, seconds: int | None) -> None:
    assert StorageSettings(expires_in=expires).payload().get("expiration_duration_seconds") == seconds


def test_unknown_repository(client: SyncClient) -> None:
    with pytest.raises(ValueError, match="repository"):
        client.upload(b"", "text/plain", repository="s3")  # type: ignore[arg-type]


class Scripted:
    """In the place of the network: answers by URL."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.calls: list[Any] = []

    async def send(self, call: Any, **_: Any) -> Answer:
        self.calls.append(call)
        return self.answers[call.url.partition("?")[0]]


def scripted_cloud(client: AsyncClient, answers: dict[str, Answer], monkeypatch: pytest.MonkeyPatch) -> Scripted:
    script = Scripted(answers)
    monkeypatch.setattr(client.exchange, "send", script.send)
    return script


TOKEN = {
    "token": "t",
    "token_type": "Bearer",
    "base_url": "https://v3.fal.media",
    "expires_at": "2999-01-01T00:00:00+00:00",
}


def ok(body: Any) -> Answer:
    return Answer(200, {}, json.dumps(body).encode())


async def test_fal_cdn(monkeypatch: pytest.MonkeyPatch) -> None:
    client = AsyncClient(base_url="fal", key="id:secret")
    upload = ok({"access_url": "https://v3.fal.media/files/x"})
    answers = {
        "https://rest.fal.ai/storage/auth/token": ok(TOKEN),
        "https://v3.fal.media/files/upload": upload,
    }
    script = scripted_cloud(client, answers, monkeypatch)
    for _ in range(2):
        assert await client.upload(b"x", "text/plain") == "https://v3.fal.media/files/x"
    assert [call.url for call in script.calls[1:]] == ["https://v3.fal.media/files/upload"] * 2
    assert script.calls[0].headers["authorization"] == "Key id:secret"
    assert script.calls[1].headers["authorization"] == "Bearer t"


async def test_fal_fallback_puts_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    client = AsyncClient(base_url="fal", key="id:secret")
    answers = {
        "https://rest.fal.ai/storage/auth/token": Answer(500, {}, b"{}"),
        "https://rest.fal.ai/storage/upload/initiate": ok(
            {"file_url": "https://f/x", "upload_url": "https://up/x?sig"}
        ),
        "https://up/x": ok({}),
    }
    script = scripted_cloud(client, answers, monkeypatch)
    assert await client.upload(b"x", "text/plain", "a.txt") == "https://f/x"
    assert script.calls[-1].method == "PUT" and "authorization" not in script.calls[-1].headers
    assert json.loads(script.calls[1].body) == {"content_type": "text/plain", "file_name": "a.txt"}


def test_many_parts_stay_below_ten_thousand() -> None:
    answer = ok({"access_url": "u", "uploadId": "i"})
    session = uploads.read_session(answer, 1 << 40)
    assert len(session.missing()) <= 10_000


def test_the_key_stays_on_the_configured_origin() -> None:
    target = point("http://here.test:81/base", "k", {})
    session = uploads.UploadSession("http://elsewhere.test/files/a/b", "u", 1, 1)
    assert uploads.session_url(target, session) == "http://here.test:81/base/files/a/b"


@pytest.mark.parametrize("token", ["", "nonsense", "{}", "[1]"])
def test_what_is_no_token_is_said(token: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    with SyncClient(base_url="http://127.0.0.1:1") as client, pytest.raises(ValueError, match="no token of an upload"):
        client.storage.upload_file(tmp_path / "a", resume=token)
