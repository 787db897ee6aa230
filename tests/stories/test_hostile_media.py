"""What callers name or send is never trusted: not with another's file, nor with the memory of a runner."""

from __future__ import annotations

import base64
import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import httpx2
import PIL.Image
import psutil
import pytest

from pondage.testing import ServedApp, serve

APP = """
import os
import pondage
from pondage.toolkit import CompressedFile, download_file

class Hostile(pondage.App, name="acme/hostile"):
    @pondage.endpoint("/fetch")
    def fetch(self, url: str) -> dict[str, str]:
        path = download_file(url, {cache!r})
        return {{"text": path.read_text(), "name": path.name}}

    @pondage.endpoint("/unpack")
    def unpack(self, file: CompressedFile) -> int:
        return len(list(file))

    @pondage.endpoint("/size")
    def size(self, image: pondage.Image) -> list[int]:
        return list(image.to_pil().size)

    @pondage.endpoint("/pid")
    def pid(self) -> int:
        return os.getpid()
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "hostile.py").write_text(APP.format(cache=str(folder / "cache")))
    with serve(str(folder / "hostile.py")) as served:
        yield served


@pytest.fixture(scope="module")
def people(served: ServedApp) -> tuple[dict[str, str], dict[str, str]]:
    """The headers of two callers."""
    made = []
    for name in "ab":
        key = served.call(served.server.keys.create(name, scopes=("submit", "read", "files")))
        made.append({"authorization": "Key " + ":".join(key)})
    return made[0], made[1]


@pytest.fixture
def http(served: ServedApp) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=served.url, timeout=60) as client:
        yield client


def stored(http: httpx2.Client, who: dict[str, str], content: bytes, *, private: bool = False) -> str:
    rules = '{"initial_acl": {"default": "forbid"}}'
    more = {"x-fal-object-lifecycle-preference": rules} if private else {}
    headers = {**who, "x-fal-file-name": "image.png", "content-type": "text/plain", **more}
    answer = http.post("/files/upload", content=content, headers=headers)
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["access_url"]
    return url


def large_picture() -> bytes:
    """A PNG of a few bytes that says of itself that it has 13,000 times 13,000 pixels in colours, 676 MB in memory."""
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (1, 1)).save(buffer, "PNG")
    made = bytearray(buffer.getvalue())
    made[16:24] = (13_000).to_bytes(4) * 2
    made[29:33] = zlib.crc32(made[12:29]).to_bytes(4)
    return bytes(made)


def test_no_caller_gets_another_s_download(http: httpx2.Client, people: Any) -> None:
    mine, theirs = people
    private = stored(http, mine, b"A's private picture", private=True)

    def fetch(who: dict[str, str], url: str) -> httpx2.Response:
        return http.post("/acme/hostile/fetch", json={"url": url}, headers=who)

    assert fetch(mine, private).json() == {"text": "A's private picture", "name": "image.png"}
    public = stored(http, theirs, b"B's own")
    assert fetch(theirs, public).json()["text"] == "B's own"
    for refused in (private, "http://127.0.0.1:1/whatever/image.png", "http://10.0.0.1/image.png"):
        answer = fetch(theirs, refused)
        assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "file_download_error")
        assert "A's" not in answer.text
    assert fetch(mine, private).json()["text"] == "A's private picture"
    assert fetch(mine, public).json()["text"] == "B's own"


def test_a_small_file_takes_no_memory_of_a_runner(http: httpx2.Client, people: Any) -> None:
    mine, _ = people
    runner = psutil.Process(http.post("/acme/hostile/pid", json={}, headers=mine).json())
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_BZIP2) as written, written.open("zeros", "w") as member:
        for _ in range(300):
            member.write(bytes(1024 * 1024))
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    before = runner.memory_info().rss
    for path, name, data, type in (
        ("/unpack", "file", archive.getvalue(), "file_too_large"),
        ("/size", "image", large_picture(), "image_too_large"),
        ("/size", "image", program, "image_load_error"),
    ):
        uri = "data:;base64," + base64.b64encode(data).decode()
        answer = http.post(f"/acme/hostile{path}", json={name: uri}, headers=mine)
        assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, type)
        assert "pondage-" not in answer.text, "no place of ours is named"
    assert http.post("/acme/hostile/pid", json={}, headers=mine).json() == runner.pid
    assert runner.memory_info().rss - before < 100e6
    assert not runner.children(), "what unpacked has ended"
