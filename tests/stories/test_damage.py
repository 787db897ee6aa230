"""A page of the database is damaged while the server runs: callers and balancers are told, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import httpx2

from pondage.testing import serve

APP = str(Path(__file__).parents[1] / "apps" / "basic.py")


def _spoil(data: str) -> None:
    """Overwrite what the finished requests lie in, in the main file; the log is emptied into it first."""
    path = Path(data) / "pondage.db"
    connection = apsw.Connection(str(path))
    ((page,),) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'finished'")
    ((size,),) = connection.execute("PRAGMA page_size")
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


def test_damage_is_said_and_the_server_goes_on() -> None:
    with serve(APP) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        assert http.post("/acme/echo", json={"x": 1}).json() == {"y": 2}
        assert http.get("/readyz").status_code == 200
        _spoil(served.data)
        answers: list[Any] = [http.get("/api/v1/requests") for _ in range(8)]
        told = [answer for answer in answers if answer.status_code == 500]
        assert told and all("restore a backup" in answer.json()["detail"] for answer in told)
        ready = http.get("/readyz")
        assert ready.status_code == 503 and "restore a backup" in ready.json()["waiting"]["database"]
        assert http.get("/healthz").status_code == 200
