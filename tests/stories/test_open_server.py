"""A server that asks for no key: who may call it, what shuts it, and that it never opens again by accident."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pondage.cli import exits, main
from pondage.errors import DatabaseLost, KeysLost, SetupError
from pondage.files.objects import ObjectBlobs
from pondage.testing import ServedApp, serve

from ..webhook_receiver import receiving

APP = str(Path(__file__).parents[1] / "apps" / "basic.py")


def ran(served: ServedApp, key: str = "") -> int:
    headers = {"authorization": f"Key {key}"} if key else {}
    return httpx2.post(f"{served.url}/acme/echo", json={"x": 1}, headers=headers, timeout=30).status_code


# ---- who may call


@pytest.mark.parametrize("path", ["/acme/echo", "/queue/acme/echo", "/healthz", "/api/v1/apps", "/nothing"])
@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "via", "x-real-ip", "x-forwarded-host"])
def test_nothing_comes_through_a_proxy(echo: ServedApp, path: str, header: str) -> None:
    answer = httpx2.post(echo.url + path, json={"x": 1}, headers={header: "8.8.8.8"}, timeout=30)
    assert answer.status_code == 403 and "through a proxy" in answer.json()["detail"]
    assert "pondage keys create NAME --scopes admin" in answer.json()["detail"]


@pytest.mark.parametrize("host", ["fal.run", "queue.fal.run", "example.test", "localhost.example.test", "10.0.0.1"])
def test_it_has_no_name_but_loopbacks(echo: ServedApp, host: str) -> None:
    answer = httpx2.post(f"{echo.url}/acme/echo", json={"x": 1}, headers={"host": host}, timeout=30)
    assert answer.status_code == 421 and "pondage keys create" in answer.json()["detail"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/acme/echo?x=1", "/queue/acme/echo?x=1", "/acme/echo/generate/stream?count=1"])
def test_a_get_runs_nothing(echo: ServedApp, method: str, path: str) -> None:
    def there() -> set[str]:
        answer = httpx2.get(f"{echo.url}/api/v1/requests", params={"limit": 1000}, timeout=30)
        return {item["id"] for item in answer.json()["items"]}

    before = there()
    for headers in ({}, {"accept": "image/*"}, {"referer": "http://evil.example/"}, {"sec-fetch-site": "none"}):
        assert httpx2.request(method, echo.url + path, headers=headers, timeout=30).status_code in {403, 405}
    assert there() == before


# ---- what shuts it


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"domain": "ai.example.test"}, "--domain"),
        ({"cors": "*"}, "--cors"),
        ({"host": "0.0.0.0"}, "--host"),
        ({"public_url": "https://ai.example.test"}, "--public-url"),
    ],
)
def test_what_lets_others_in_makes_one_key_and_goes_on(tmp_path: Path, settings: dict[str, Any], why: str) -> None:
    data = str(tmp_path / "data")
    with serve(APP, data=data, **settings) as served:
        key, reason = served.server.first_key, served.server.why_keys
        assert why in reason and not served.server.is_open()
        assert (ran(served), ran(served, "any:thing"), ran(served, key)) == (401, 401, 200)
        assert httpx2.get(f"{served.url}/metrics", headers={"authorization": f"Key {key}"}).status_code == 200
        (record,) = served.call(served.server.keys.list())
        assert record.scopes == {"admin"} and record.apps is None
    with serve(APP, data=data, **settings) as served:
        assert served.server.first_key == ""
        assert (ran(served), ran(served, key)) == (401, 200)


@pytest.mark.parametrize("settings", [{}, {"cors": "https://pages.example.test"}])
def test_a_server_that_never_had_a_key_starts_as_before(tmp_path: Path, settings: dict[str, Any]) -> None:
    for _ in range(2):
        with serve(APP, data=str(tmp_path / "data"), **settings) as served:
            assert served.server.is_open() and served.server.first_key == "" and ran(served) == 200
            stored = httpx2.post(f"{served.url}/files/upload", content=b"kept", timeout=30)
            assert stored.status_code == 200
    assert not (tmp_path / "data" / "keyed").exists()


def test_with_the_first_key_webhooks_no_longer_reach_this_machine(tmp_path: Path) -> None:
    with serve(APP, data=str(tmp_path / "data")) as served, receiving() as receiver:

        def delivered(key: str = "") -> tuple[str, str]:
            headers = {"authorization": f"Key {key}"} if key else {}
            with httpx2.Client(base_url=served.url, headers=headers, timeout=30) as http:
                asked = http.post("/queue/acme/echo", params={"fal_webhook": receiver.url}, json={"x": 1})
                where = f"/api/v1/webhooks/deliveries/{asked.json()['request_id']}"
                while (shown := http.get(where)).status_code == 404 or shown.json()["state"] == "owed":
                    pass
                return shown.json()["state"], str(shown.json()["last_reason"])

        assert delivered()[0] == "done"
        key = ":".join(served.call(served.server.keys.create("first", scopes=["admin"])))
        state, reason = delivered(key)
        assert state == "dead" and "not public" in reason
        assert len(receiver.count(1)) == 1
    with serve(APP, data=str(tmp_path / "data"), webhook_private=True) as served, receiving() as receiver:
        with httpx2.Client(base_url=served.url, headers={"authorization": f"Key {key}"}, timeout=30) as http:
            http.post("/queue/acme/echo", params={"fal_webhook": receiver.url}, json={"x": 1})
            receiver.count(1)


# ---- it never opens again by accident


def keyed(tmp_path: Path) -> tuple[Path, str]:
    """A data folder with a key and a stored file."""
    data = tmp_path / "data"
    with serve(APP, data=str(data)) as served:
        assert httpx2.post(f"{served.url}/files/upload", content=b"kept", timeout=30).status_code == 200
        key = ":".join(served.call(served.server.keys.create("first")))
    assert (data / "keyed").is_file()
    return data, key


def lose(data: Path, how: str) -> None:
    for path in data.glob("pondage.db*"):
        path.unlink()
    if how == "emptied":
        (data / "pondage.db").touch()


@pytest.mark.parametrize("how", ["emptied", "gone"])
def test_a_lost_database_is_no_start(tmp_path: Path, how: str) -> None:
    data, _ = keyed(tmp_path)
    kept = sorted(path.name for path in (data / "files" / "blobs").rglob("*"))
    lose(data, how)
    for _ in range(2):  # the attempt itself changes nothing
        with pytest.raises(DatabaseLost, match="pondage restore BACKUP"), serve(APP, data=str(data)):
            pass
    assert sorted(path.name for path in (data / "files" / "blobs").rglob("*")) == kept
    (data / "keyed").unlink()
    with pytest.raises(DatabaseLost), serve(APP, data=str(data)):
        pass
    elsewhere = tmp_path / "elsewhere"
    shutil.move(data / "files", elsewhere)
    with pytest.raises(DatabaseLost, match="elsewhere"), serve(APP, data=str(data), files=str(elsewhere)):
        pass


@pytest.mark.parametrize("how", ["emptied", "gone"])
def test_without_its_keys_a_keyed_server_does_not_start(
    tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data, before = keyed(tmp_path)
    lose(data, how)
    making = ["keys", "create", "boss", "--scopes", "admin", "--data", str(data)]
    assert main(making) != exits.OK and "setup.database_lost" in capsys.readouterr().err
    shutil.rmtree(data / "files")
    for _ in range(2):
        with pytest.raises(KeysLost, match=r"pondage keys create NAME --scopes admin --data .*data"):
            with serve(APP, data=str(data)):
                pass
    assert main(making) == exits.OK
    key = capsys.readouterr().out.strip()
    with serve(APP, data=str(data)) as served:
        assert (ran(served), ran(served, before), ran(served, key)) == (401, 401, 200)


def test_another_database_without_keys_is_no_start_either(tmp_path: Path) -> None:
    data, _ = keyed(tmp_path)
    with serve(APP, data=str(tmp_path / "other")):
        pass
    shutil.copy(tmp_path / "other" / "pondage.db", data / "pondage.db")
    with pytest.raises(KeysLost), serve(APP, data=str(data)):
        pass
    (data / "keyed").unlink()  # the operator means it
    with serve(APP, data=str(data)) as served:
        assert ran(served) == 200


def test_a_revoked_last_key_keeps_it_shut(tmp_path: Path) -> None:
    data, key = keyed(tmp_path)
    with serve(APP, data=str(data)) as served:
        assert served.call(served.server.keys.revoke(key.partition(":")[0]))
        assert (ran(served), ran(served, key)) == (401, 401)
    (data / "keyed").unlink()  # a folder of a time before there was such a file
    with serve(APP, data=str(data)) as served:
        assert ran(served) == 401 and (data / "keyed").is_file()


async def _yes(url: str) -> bool:
    return True


def test_a_new_folder_beside_a_bucket_with_files_is_no_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ObjectBlobs, "holds_files", staticmethod(_yes))
    url = "s3://bucket/p?secret_access_key=hidden&region=us-east-1"
    with pytest.raises(DatabaseLost) as refused, serve(APP, data=str(tmp_path / "data"), files=url):
        pass
    assert "s3://bucket/p?secret_access_key=…&region=us-east-1" in str(refused.value)


@pytest.mark.parametrize(
    "url", ["s3://b/p?allow_http=true", "gs://b?timeout=1", "s3://b?AWS_Allow_Http=1", "s3://b?no=1"]
)
def test_an_option_that_a_store_has_not_is_a_sentence(
    tmp_path: Path, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SetupError, match="cannot use the files at"), serve(APP, data=str(tmp_path / "data"), files=url):
        pass
    assert "panicked" not in capfd.readouterr().err
