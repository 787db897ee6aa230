"""A server that is stopped and started again on its folder is the same one to those who hold something of it."""

from __future__ import annotations

from pathlib import Path

import httpx2

from pondage.testing import serve

APPS = Path(__file__).parents[1] / "apps"


def test_a_token_of_one_life_is_good_in_the_next(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serve(str(APPS / "basic.py"), data=str(data)) as first:
        made = first.call(first.server.keys.create("page", scopes=("submit", "read")))
        key = {"authorization": f"Key {':'.join(made)}"}
        token = httpx2.post(f"{first.url}/tokens/", json={"allowed_apps": ["acme/echo"]}, headers=key).json()
        submitted = httpx2.post(f"{first.url}/queue/acme/echo", json={"x": 1}, headers=bearer(token))
        request_id = submitted.json()["request_id"]
    with serve(str(APPS / "basic.py"), data=str(data)) as second:
        path = f"/queue/acme/echo/requests/{request_id}"
        result = httpx2.get(f"{second.url}{path}", headers=bearer(token) | {"prefer": "wait=20"}, timeout=30)
        assert result.status_code == 200, result.text
        assert (
            httpx2.post(f"{second.url}/acme/echo", json={"x": 2}, headers=bearer(token), timeout=30).status_code == 200
        )


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}
