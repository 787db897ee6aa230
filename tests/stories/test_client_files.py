"""A caller's files: up, inside an input, in parts, and down again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import pondage.client as fal_client
from pondage.client import StorageSettings, SyncClient, limits
from pondage.testing import ServedApp


@pytest.fixture
def client(echo: ServedApp) -> Iterator[SyncClient]:
    with SyncClient(base_url=echo.url) as client:
        yield client


def test_upload_and_download(client: SyncClient, http: httpx2.Client, tmp_path: Path) -> None:
    path = tmp_path / "ä b.txt"
    path.write_bytes(b"some text")
    for url in (
        client.upload(b"some text", "text/plain", "a.txt"),
        client.upload_file(path),
        client.storage.upload(b"some text", lifecycle=StorageSettings(expires_in="1h")),
    ):
        answer = http.get(url)
        assert answer.content == b"some text"
    assert http.get(client.upload_file(path)).headers["content-type"].startswith("text/plain")


def test_a_file_inside_an_input(client: SyncClient, http: httpx2.Client, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"\0\1\2")
    with pytest.raises(fal_client.InvalidInput) as wrong:  # the app wants a number, and says what it got
        client.run("acme/echo", {"x": path})
    assert wrong.value.fields[0].path == "x"


def test_parts_and_resume(
    client: SyncClient, http: httpx2.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MULTIPART_THRESHOLD", 1024)
    monkeypatch.setattr(limits, "PART_SIZE", 5 * 1024 * 1024)
    path = tmp_path / "big.bin"
    data = hashlib.shake_256(b"seed").digest(12 * 1024 * 1024)
    path.write_bytes(data)
    tokens: list[str] = []

    def stop(sent: int, total: int) -> None:
        if sent:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.storage.upload_file(path, on_progress=stop, on_session=lambda session: tokens.append(session.token))
    told: list[tuple[int, int]] = []
    url = client.storage.upload_file(path, resume=tokens[0], on_progress=lambda *now: told.append(now))
    assert told[0][0] > 0 and told[-1] == (len(data), len(data))
    answer = http.get(url)
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(data).digest()


def test_a_picture(client: SyncClient, http: httpx2.Client) -> None:
    image: Any = pytest.importorskip("PIL.Image").new("RGB", (4, 4), "red")
    answer = http.get(client.upload_image(image, "png"))
    assert answer.headers["content-type"] == "image/png" and answer.content.startswith(b"\x89PNG")
