"""Pictures inside inputs: fetched and checked by the runner before the author's code runs."""

from __future__ import annotations

import base64
import io
import json
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import PIL.Image
import pytest

from pondage.testing import ServedApp, serve

APPS = Path(__file__).parents[1] / "apps"
WAYS = ["/sync", "/async", "/generator", "/generator/async", "/batch"]
LARGEST = 100_000


def png(width: int = 3, height: int = 2) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (width, height), "red").save(buffer, "PNG")
    return buffer.getvalue()


def bomb() -> bytes:
    """A picture that says of itself that it has 3.6 thousand million pixels."""
    made = bytearray(png())
    made[16:24] = (60_000).to_bytes(4) * 2
    made[29:33] = zlib.crc32(made[12:29]).to_bytes(4)
    return bytes(made)


def data_uri(data: bytes, content_type: str = "image/png") -> str:
    return f"data:{content_type};base64,{base64.b64encode(data).decode()}"


class Outside:
    """A web server of somebody else's, on this machine. `asked` has the conditions and the path of each GET."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.pages = {
            "/cat.png": png(7),
            "/bomb.png": bomb(),
            "/page.html": b"<html>",
            "/large.png": png() + bytes(LARGEST),
        }
        self.tags: dict[str, str] = {}
        outside = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                condition, tag = self.headers.get("If-None-Match"), outside.tags.get(self.path)
                outside.asked.append((self.path, condition))
                page = outside.pages.get(self.path)
                unchanged = tag is not None and condition == tag
                self.send_response(404 if page is None else 304 if unchanged else 200)
                if tag is not None:
                    self.send_header("ETag", tag)
                body = b"" if page is None or unchanged else page
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    made = Outside()
    yield made
    made.close()


@pytest.fixture(scope="module")
def served() -> Iterator[ServedApp]:
    with serve(str(APPS / "media.py"), allow_private_urls=True, fetch_max_bytes=LARGEST) as served:
        yield served


@pytest.fixture
def http(served: ServedApp) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=served.url, timeout=30) as client:
        yield client


def run(http: httpx2.Client, way: str, **input: Any) -> httpx2.Response:
    return http.post(f"/acme/media{way}", json=input)


def stored(http: httpx2.Client, data: bytes, **headers: str) -> str:
    answer = http.post("/files/upload", content=data, headers={"content-type": "image/png", **headers})
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["access_url"]
    return url


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("source", ["data", "own", "outside"])
def test_a_picture_reaches_the_author(http: httpx2.Client, outside: Outside, way: str, source: str) -> None:
    url = {"data": data_uri(png(7)), "own": stored(http, png(7)), "outside": f"{outside.url}/cat.png"}[source]
    for image in (url, {"url": url}):
        answer = run(http, way, image=image)
        assert answer.status_code == 200, answer.text
        assert answer.json() in (7, [7])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("image", "type"),
    [
        ("{outside}/nothing-here", "file_download_error"),
        ("http://169.254.169.254/latest/meta-data", "file_download_error"),
        ("http://user@127.0.0.1/x", "file_download_error"),
        ("{own}/files/0123456789abcdef/none.png", "file_download_error"),
        ("data:image/png;base64", "file_download_error"),
        ("{outside}/page.html", "image_load_error"),
        (data_uri(b"no picture"), "image_load_error"),
        (data_uri(b"\x89PNG\r\n\x1a\n" + bytes(100)), "image_load_error"),
        ("{outside}/large.png", "file_too_large"),
        (data_uri(png() + bytes(LARGEST)), "file_too_large"),
        ("{outside}/bomb.png", "image_too_large"),
        (data_uri(bomb()), "image_too_large"),
    ],
)
def test_what_is_wrong_names_the_field_and_never_reaches_the_author(
    http: httpx2.Client, served: ServedApp, outside: Outside, way: str, image: str, type: str
) -> None:
    before = run(http, "/calls").json()
    answer = run(http, way, image=image.format(outside=outside.url, own=served.url))
    assert answer.status_code == 422, answer.text
    (entry,) = answer.json()["detail"]
    assert (entry["loc"], entry["type"]) == (["body", "image"], type), entry
    assert run(http, "/calls").json() == before


def test_an_own_file_that_is_too_large_is_refused(http: httpx2.Client) -> None:
    answer = run(http, "/sync", image=stored(http, png() + bytes(LARGEST)))
    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "file_too_large")


def test_the_place_of_one_among_many_is_named(http: httpx2.Client, outside: Outside) -> None:
    good = f"{outside.url}/cat.png"
    assert run(http, "/sync", image=good, masks=[good, data_uri(png(5)), data_uri(png(6))]).json() == [7, 7, 5, 6]
    answer = run(http, "/sync", image=good, masks=[good, data_uri(b"?"), good])
    assert answer.json()["detail"][0]["loc"] == ["body", "masks", 1]


def test_an_author_s_limit_and_a_film_that_is_none(http: httpx2.Client) -> None:
    answer = run(http, "/small", image=data_uri(png(11, 10)))
    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "image_too_large")
    answer = run(http, "/film", video=data_uri(b"no film", "video/mp4"))
    assert (answer.status_code, answer.json()["detail"][0]["type"]) == (422, "unsupported_video_format")


def test_an_input_is_sent_again_only_when_it_has_changed(http: httpx2.Client, outside: Outside) -> None:
    path = "/kept.png"
    outside.pages[path], outside.tags[path] = png(4), '"one"'
    widths = [run(http, "/sync", image=outside.url + path).json() for _ in range(2)]
    outside.pages[path], outside.tags[path] = png(5), '"two"'
    widths += [run(http, "/sync", image=outside.url + path).json() for _ in range(2)]
    assert widths == [[4], [4], [5], [5]]
    assert [tag for asked, tag in outside.asked if asked == path] == [None, '"one"', '"one"', '"two"']


def test_what_a_sender_does_not_vouch_for_is_fetched_each_time(http: httpx2.Client, outside: Outside) -> None:
    path = "/plain.png"
    for width in (4, 5):
        outside.pages[path] = png(width)
        assert run(http, "/sync", image=outside.url + path).json() == [width]


def test_the_files_of_a_request_live_as_long_and_are_seen_by_whom_its_header_says(http: httpx2.Client) -> None:
    wanted = {"expiration_duration_seconds": 3600, "initial_acl": {"default": "hide"}}
    answer = http.post("/acme/media/made", json={}, headers={"x-fal-object-lifecycle-preference": json.dumps(wanted)})
    assert answer.status_code == 200, answer.text
    file_id = answer.json()["url"].split("/")[4]
    (listed,) = [one for one in http.get("/api/v1/files").json()["files"] if one["id"] == file_id]
    assert listed["private"] and listed["expires_at"] is not None
    public = http.post("/acme/media/made", json={}).json()["url"]
    assert http.get(public).content == b"made by an app"


def test_a_lifecycle_that_cannot_be_is_refused_with_the_request(http: httpx2.Client) -> None:
    answer = http.post("/acme/media/made", json={}, headers={"x-fal-object-lifecycle-preference": "{"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["header", "x-fal-object-lifecycle-preference"]
