"""Downloads for authors: nobody gets another's file, whatever its address ends in."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pondage.app.context import RequestContext, _current
from pondage.app.media import MediaError
from pondage.toolkit import download
from pondage.toolkit.download import DownloadError, clone_repository, download_file, download_model_weights


class Sender:
    """A web server: `pages` by path with query; `asked` in order."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.asked: list[str] = []
        sender = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                sender.asked.append(self.path)
                page = sender.pages.get(self.path)
                self.send_response(404 if page is None else 200)
                self.send_header("Content-Length", str(len(page or b"")))
                self.end_headers()
                self.wfile.write(page or b"")

            def log_message(self, format: str, *arguments: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def sender() -> Iterator[Sender]:
    made = Sender()
    yield made
    made.close()


class Guarded:
    """The guarded fetcher of one caller: what this caller may read."""

    max_image_pixels = max_image_bytes = 1 << 30

    def __init__(self, folder: Path, pages: dict[str, bytes]) -> None:
        self.folder = folder
        self.pages = pages

    def put(self, data: bytes | Path, *, content_type: str, file_name: str) -> tuple[str, int]:
        raise NotImplementedError

    def fetch(self, url: str, *, max_bytes: int | None = None) -> tuple[Path, str]:
        if url not in self.pages:
            raise ValueError(f"{url}: it is not for this caller")
        path = self.folder / f"fetched{len(list(self.folder.iterdir()))}"
        path.write_bytes(self.pages[url])
        path.chmod(0o444)
        return path, "application/octet-stream"


class Requests:
    """Runs code within requests of several callers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def download(self, pages: dict[str, bytes], url: str, **options: Any) -> Path:
        """`download_file` into the one folder of all callers, within a request of one."""
        files = Guarded(self.folder / "fetches", pages)
        context = RequestContext(
            request_id="r", attempt=1, endpoint="a/b", headers={}, deadline=None, sink=None, files=files  # type: ignore[arg-type]
        )  # fmt: skip
        token = _current.set(context)
        try:
            return download_file(url, self.folder / "cache", **options)
        finally:
            _current.reset(token)


@pytest.fixture
def requests(tmp_path: Path) -> Requests:
    (tmp_path / "fetches").mkdir()
    return Requests(tmp_path)


PRIVATE = "https://here.example/files/1/image.png"


def test_one_caller_never_gets_another_s_file(requests: Requests) -> None:
    mine = requests.download({PRIVATE: b"A's private picture"}, PRIVATE)
    assert mine.read_bytes() == b"A's private picture" and mine.name == "image.png"
    theirs = "https://elsewhere.example/image.png"
    path = requests.download({theirs: b"B's own"}, theirs)
    assert path.read_bytes() == b"B's own" and path != mine
    assert mine.read_bytes() == b"A's private picture"
    for refused in (PRIVATE, "http://127.0.0.1:1/image.png"):
        with pytest.raises(MediaError, match="not for this caller"):
            requests.download({theirs: b"B's own"}, refused)
    for query in ("?v=1", "?v=2"):
        assert requests.download({theirs + query: query.encode()}, theirs + query).read_bytes() == query.encode()


def test_what_has_changed_is_not_the_old_one(requests: Requests) -> None:
    first = requests.download({PRIVATE: b"one"}, PRIVATE)
    assert requests.download({PRIVATE: b"one"}, PRIVATE).stat().st_ino == first.stat().st_ino
    assert requests.download({PRIVATE: b"two"}, PRIVATE).read_bytes() == b"two"
    first.write_bytes(b"mended by the app")
    assert requests.download({PRIVATE: b"two"}, PRIVATE, force=True).read_bytes() == b"two"


def test_a_caller_s_file_is_never_the_author_s(requests: Requests, sender: Sender) -> None:
    """Neither by the name at the end of its address nor by the whole address."""
    sender.pages["/model.bin"] = b"the author's weights"
    url = sender.url + "/model.bin"
    poison = "https://elsewhere.example/model.bin"
    requests.download({poison: b"poison"}, poison)
    requests.download({url: b"poison"}, url, file_name="model.bin")
    path = download_file(url, requests.folder / "cache")
    assert path.read_bytes() == b"the author's weights" and path == requests.folder / "cache" / "model.bin"
    with pytest.raises(MediaError):
        requests.download({}, url)


def test_at_the_start_an_address_is_fetched_once_and_taken_for_no_other(sender: Sender, tmp_path: Path) -> None:
    sender.pages |= {"/a/model.bin": b"a", "/b/model.bin": b"b", "/a/model.bin?v=2": b"2", "/x%2Fy%C3%A4.bin": b"odd"}
    first = download_file(f"{sender.url}/a/model.bin", tmp_path)
    for path, content in (("/a/model.bin", b"a"), ("/b/model.bin", b"b"), ("/a/model.bin?v=2", b"2")):
        assert download_file(sender.url + path, tmp_path).read_bytes() == content
        assert download_file(sender.url + path, tmp_path).name == "model.bin"
    assert first == tmp_path / "model.bin"
    assert sorted(sender.asked) == ["/a/model.bin", "/a/model.bin?v=2", "/b/model.bin"]
    assert download_file(f"{sender.url}/x%2Fyä.bin", tmp_path).read_bytes() == b"odd"
    sender.pages["/a/model.bin"] = b"new"
    assert download_file(f"{sender.url}/a/model.bin", tmp_path, force=True).read_bytes() == b"new"
    (tmp_path / "own.bin").write_bytes(b"the author put it there")
    assert download_file(f"{sender.url}/own.bin", tmp_path).read_bytes() == b"the author put it there"
    with pytest.raises(DownloadError) as caught:
        download_file(f"{sender.url}/none?signature=secret", tmp_path)
    assert "404" in str(caught.value) and "secret" not in str(caught.value)
    assert not list(tmp_path.rglob("*.part"))


def test_addresses_beyond_ascii() -> None:
    assert download._in_ascii("http://bücher.example/ä%2F?ö=a+b") == "http://xn--bcher-kva.example/%C3%A4%2F?%C3%B6=a+b"
    assert download._in_ascii("http://a.example/%2f/../b?c=%zz&d= e") == "http://a.example/%2f/../b?c=%zz&d=%20e"


def test_a_name_of_the_caller_s_is_one_that_a_file_can_have(requests: Requests) -> None:
    for segment, name in (("%2e%2e%2Fup", "up"), ("a%00b", "ab"), ("..", "file"), ("", "file"), ("ä" * 300, "ä" * 100)):
        url = f"https://elsewhere.example/{segment}"
        path = requests.download({url: b"x"}, url)
        assert path.read_bytes() == b"x" and path.name == name
        assert path.is_relative_to(requests.folder / "cache")


def test_weights_have_a_folder_of_their_address(
    sender: Sender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "FAL_MODEL_WEIGHTS_DIR", tmp_path)
    sender.pages |= {"/a/w.bin": b"a", "/b/w.bin": b"b"}
    paths = [download_model_weights(f"{sender.url}/{name}/w.bin") for name in "ab"]
    assert [path.read_bytes() for path in paths] == [b"a", b"b"]


def test_repositories_of_one_name_are_kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FAL_REPOSITORY_DIR", tmp_path / "kept")
    sources = [tmp_path / owner / "model" for owner in ("good", "evil")]
    for source in sources:
        source.mkdir(parents=True)
        (source / "owner.txt").write_text(source.parent.name)
        git = ["git", "-C", str(source), "-c", "user.name=a", "-c", "user.email=a@example.com"]
        for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
            subprocess.run([*git, *arguments], check=True)
    for _ in range(2):
        for source in sources:
            assert (clone_repository(str(source)) / "owner.txt").read_text() == source.parent.name
    context = RequestContext(
        request_id="r", attempt=1, endpoint="a/b", headers={}, deadline=None, sink=None, files=None  # type: ignore[arg-type]
    )  # fmt: skip
    token = _current.set(context)
    try:
        assert clone_repository(str(sources[0])).is_dir(), "what the author cloned is there"
        for more in ({"force": True}, {"repo_name": "model", "commit_hash": "0" * 40}):
            with pytest.raises(DownloadError, match="setup"):
                clone_repository(str(sources[0]), **more)  # type: ignore[arg-type]
        with pytest.raises(DownloadError, match="setup"):
            clone_repository("https://inner.example/secret")
    finally:
        _current.reset(token)
