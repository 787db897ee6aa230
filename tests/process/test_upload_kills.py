"""`kill -9` of the gateway at random moments of many uploads: no part of a file is ever visible, and every
acknowledged file is whole.

`PONDAGE_TEST_UPLOADS` sets the number of uploads, `PONDAGE_TEST_SEED` repeats a schedule.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from pondage.testing import GatewayProcess

UPLOADS = int(os.environ.get("PONDAGE_TEST_UPLOADS", "40"))
SEED = int(os.environ.get("PONDAGE_TEST_SEED", "1"))
PER_KILL = 5
"""Acknowledged uploads between two kills, on the average."""

Start = Callable[..., GatewayProcess]


class Uploaders:
    """Threads that upload until there are enough acknowledged files, whatever happens to the gateway meanwhile."""

    def __init__(self, process: GatewayProcess) -> None:
        self.process = process
        self.acknowledged: dict[str, str] = {}
        """The path of each acknowledged file, and the SHA-256 of what was sent."""
        self.sent: set[str] = set()
        """The SHA-256 of everything that was sent, acknowledged or not."""
        self.lock = threading.Lock()
        self.alive = threading.Event()
        self.next_kill = threading.Event()
        self.goal = 0
        self.enough = threading.Event()

    def run(self, seed: int) -> None:
        dice = random.Random(seed)
        while not self.enough.is_set():
            self.alive.wait()
            data = dice.randbytes(dice.choice([0, 10, 5_000, 300_000, 3_000_000]))
            digest = hashlib.sha256(data).hexdigest()
            with self.lock:
                self.sent.add(digest)
            try:
                path = self.upload(dice.choice(["direct", "granted", "parts"]), data)
            except (httpx2.HTTPError, KeyError):
                continue  # the gateway was killed; nothing is known of this one
            with self.lock:
                self.acknowledged[path] = digest
                if len(self.acknowledged) >= self.goal:
                    self.next_kill.set()

    def upload(self, way: str, data: bytes) -> str:
        with httpx2.Client(base_url=self.process.url, timeout=30) as http:
            if way == "direct":
                url: str = _ok(http.post("/files/upload", content=_slowly(data)))["access_url"]
                return httpx2.URL(url).path
            multipart = "-multipart" if way == "parts" else ""
            urls = _ok(http.post(f"/storage/upload/initiate{multipart}", json={"file_name": "a"}))
            if way == "granted":
                _ok(http.put(urls["upload_url"], content=_slowly(data)))
            else:
                at = httpx2.URL(urls["upload_url"])
                half = len(data) // 2
                parts = [
                    _ok(http.put(at.copy_with(path=f"{at.path}/{n}"), content=piece))
                    for n, piece in ((1, data[:half]), (2, data[half:]))
                ]
                _ok(http.post(at.copy_with(path=f"{at.path}/complete"), json={"parts": parts}))
            return httpx2.URL(urls["file_url"]).path


def _ok(answer: httpx2.Response) -> dict[str, str]:
    answer.raise_for_status()
    found: dict[str, str] = answer.json()
    return found


def _slowly(data: bytes) -> object:
    """In pieces, so that a kill finds uploads in every state."""
    return (data[at : at + 100_000] for at in range(0, len(data), 100_000))


def _check(process: GatewayProcess, acknowledged: dict[str, str], sent: set[str]) -> None:
    with httpx2.Client(base_url=process.url, timeout=30) as http:
        visible: dict[str, str] = {}
        cursor = None
        while True:
            page = http.get("/api/v1/files", params={"limit": 1000, **({"cursor": cursor} if cursor else {})}).json()
            for file in page["files"]:
                body = http.get(file["url"]).content
                assert len(body) == file["file_size"]
                digest = hashlib.sha256(body).hexdigest()
                assert digest in sent, "a visible file is not whole"
                visible[httpx2.URL(file["url"]).path] = digest
            if (cursor := page["next_cursor"]) is None:
                break
    assert {path: visible.get(path) for path in acknowledged} == acknowledged, "an acknowledged file is not whole"


@pytest.mark.timeout(60 + UPLOADS)
def test_uploads_survive_kills(gateway: Start, tmp_path: Path) -> None:
    dice = random.Random(SEED)
    process = gateway("basic.py")
    process.start()
    uploaders = Uploaders(process)
    incoming = tmp_path / "data" / "files" / "incoming"
    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(uploaders.run, SEED * 100 + n) for n in range(6)]
        try:
            while len(uploaders.acknowledged) < UPLOADS:
                with uploaders.lock:
                    uploaders.goal = len(uploaders.acknowledged) + dice.randrange(1, 2 * PER_KILL)
                    uploaders.next_kill.clear()
                uploaders.alive.set()
                assert uploaders.next_kill.wait(30)
                # The moment of the kill within the uploads that are under way.
                threading.Event().wait(dice.random() * 0.05)
                uploaders.alive.clear()
                process.kill()
                cut_off = set(incoming.glob("*-*"))
                process.start()
                with uploaders.lock:
                    acknowledged, sent = dict(uploaders.acknowledged), set(uploaders.sent)
                assert not cut_off & set(incoming.iterdir())
                _check(process, acknowledged, sent)
        finally:
            uploaders.enough.set()
            uploaders.alive.set()
        for thread in running:
            thread.result(30)
    _check(process, uploaders.acknowledged, uploaders.sent)
