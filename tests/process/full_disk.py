"""`python full_disk.py DISK`: a gateway whose disk fills up, and its start there. See test_data_folder.py."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import httpx2

from pondage.testing import GatewayProcess

APP = Path(__file__).parents[1] / "apps" / "basic.py"


def fill(disk: Path) -> Path:
    path = disk / "fill"
    with path.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return path


def result(url: str, request_id: str) -> object:
    return httpx2.get(f"{url}/queue/acme/echo/requests/{request_id}", headers={"prefer": "wait=20"}).json()


def start_full(disk: Path, gateway: GatewayProcess, request_id: str) -> None:
    """A start on a full disk: results can be read, new requests are refused clearly, and it recovers by itself."""
    gateway.start(ready=False)
    assert result(gateway.url, request_id) == {"y": 2}
    ready = httpx2.get(gateway.url + "/readyz")
    assert ready.status_code == 503 and "disk" in ready.json()["waiting"], ready.text
    (disk / "fill").unlink(missing_ok=True)
    end = time.monotonic() + 30
    while httpx2.get(gateway.url + "/readyz").status_code != 200:
        assert time.monotonic() < end, httpx2.get(gateway.url + "/readyz").text
        time.sleep(0.05)
    assert httpx2.post(gateway.url + "/acme/echo", json={"x": 2}).json() == {"y": 3}


def main(disk: Path) -> None:
    with GatewayProcess(str(APP), data=disk / "data", least_free_bytes=1024**2 * 2) as gateway:
        url = gateway.url
        request_id = httpx2.post(url + "/queue/acme/echo", json={"x": 1}).json()["request_id"]
        assert result(url, request_id) == {"y": 2}
        fill(disk)
        for path in ("/queue/acme/echo", "/acme/echo"):
            refused = httpx2.post(url + path, json={"x": 1, "pad": "x" * 100_000}, timeout=20)
            assert refused.status_code == 507, refused.text
            assert str(disk) not in refused.text, "no path reaches a caller"
        gateway.kill_everything()
        fill(disk)
        start_full(disk, gateway, request_id)
        # The same after an ordered stop, which leaves no log beside the database: there the reserve is used.
        assert gateway.stop() == 0
        assert (disk / "data" / "reserve").exists()
        fill(disk)
        start_full(disk, gateway, request_id)


if __name__ == "__main__":
    os.environ.pop("PONDAGE_URL", None)
    main(Path(sys.argv[1]))
