"""/readyz: ready or not to everybody, the reasons to who may see them; what it looks at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from pondage.cli import main
from pondage.testing import ServedApp, serve

APPS = Path(__file__).parents[1] / "apps"
HOSTILE = str(APPS / "hostile.py")
BASIC = str(APPS / "basic.py")


def key(served: ServedApp, *scopes: str, apps: list[str] | None = None) -> dict[str, str]:
    key_id, secret = served.call(served.server.keys.create("k", scopes=scopes, apps=apps))
    return {"authorization": f"Key {key_id}:{secret}"}


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[ServedApp]:
    """A server whose app raises a secret in its setup; a key exists."""
    app = tmp_path / "secretive.py"
    app.write_text(
        "import pondage\n\n\nclass App(pondage.App, name='secretcorp/unreleased'):\n"
        "    def setup(self):\n        raise RuntimeError('cannot connect to postgres://user:pa55w0rd@db/prod')\n\n"
        "    @pondage.endpoint('/')\n    def run(self) -> dict[str, str]:\n        return {}\n"
    )
    with serve(str(app), wait=False) as served:
        yield served


def reasons(answer: httpx2.Response) -> str:
    return str(answer.json().get("waiting", ""))


def test_strangers_learn_ready_or_not_and_operators_why(kept: ServedApp) -> None:
    with httpx2.Client(base_url=kept.url, timeout=30) as http:
        # Without a key this is the machine's own business, and it may see why.
        while "pa55w0rd" not in reasons(answer := http.get("/readyz")):
            assert answer.status_code == 503
        operator, caller = key(kept, "operate"), key(kept, "submit", "read-all", "files", "metrics")
        wrong = {"authorization": "Key nobody:nothing"}
        for headers in ({}, caller, wrong, {"authorization": "x"}):
            answer = http.get("/readyz", headers=headers)
            assert (answer.status_code, answer.json()) == (503, {"ready": False})
        assert "pa55w0rd" in reasons(http.get("/readyz", headers=operator))
        kept.server.health.reasons["disk"] = "full"
        theirs = key(kept, "operate", apps=["secretcorp/unreleased"])
        assert list(http.get("/readyz", headers=theirs).json()["waiting"]) == ["secretcorp/unreleased"]
        others = http.get("/readyz", headers=key(kept, "admin", apps=["acme/echo"]))
        assert others.json() == {"ready": False, "waiting": {}}, "--apps binds every scope"
        kept.server.health.reasons.clear()


def test_it_looks_at_the_store_of_files() -> None:
    with serve(BASIC) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        assert http.get("/readyz").json() == {"ready": True, "waiting": {}}
        shutil.rmtree(Path(served.data) / "files" / "incoming")
        served.call(served.server.health.look_at_files())
        assert "folder of files" in http.get("/readyz").json()["waiting"]["files"]
        upload = http.put("/files/upload/x.txt", content=b"abc")
        assert upload.status_code != 500
        (Path(served.data) / "files" / "incoming").mkdir()
        served.call(served.server.health.look_at_files())
        assert http.get("/readyz").status_code == 200


def test_it_looks_at_the_disk() -> None:
    with serve(BASIC, least_free_bytes=2**62) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        served.call(served.server.health.look_at_disk())
        answer = http.get("/readyz")
        assert answer.status_code == 503 and "least_free_bytes" in answer.json()["waiting"]["disk"]


def test_it_looks_at_the_processes() -> None:
    with serve(BASIC) as served:

        def slots_once_silent() -> int:
            for runner in served.server.fleet.dispatcher.accounts.all_runners():
                runner.last_heard -= served.server.settings.lease + 1
            app = served.server.fleet.app("acme/echo")
            assert app is not None and app.runners
            return app.slots

        # What is silent for longer than its lease counts no more, whether or not anybody has ended it yet.
        assert served.on_loop(slots_once_silent) == 0


def test_it_looks_at_the_services() -> None:
    with serve(BASIC) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        served.server.services.faults["the webhook sender"] = "OSError: no"
        answer = http.get("/readyz")
        assert (answer.status_code, answer.json()["waiting"]) == (503, {"the webhook sender": "OSError: no"})
        served.server.services.faults.clear()
        assert http.get("/readyz").status_code == 200


def test_a_folder_that_cannot_be_read_is_503_with_a_reason_and_no_path() -> None:
    with serve(BASIC) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        grant = http.post("/storage/upload/initiate", json={"file_name": "a.txt", "content_type": "text/plain"}).json()
        assert http.put(grant["upload_url"], content=b"abc").status_code == 200
        files = Path(served.data) / "files"
        # Files where folders were: what no right helps against, and root meets as well.
        for folder in ("incoming", "blobs"):
            (files / folder).rename(files / f"{folder}.away")
            (files / folder).write_text("")
        second = http.post("/storage/upload/initiate", json={"file_name": "b.txt", "content_type": "text/plain"}).json()
        refused = [http.put(second["upload_url"], content=b"abc"), http.get(grant["file_url"])]
        for answer in refused:
            assert answer.status_code == 503, answer.text
            assert "Not a directory" in answer.json()["detail"] and served.data not in answer.text
        for folder in ("incoming", "blobs"):
            (files / folder).unlink()
            (files / f"{folder}.away").rename(files / folder)
        assert http.get(grant["file_url"]).content == b"abc"


def test_no_answer_may_be_taken_for_another_type() -> None:
    with serve(BASIC) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        asked = [
            http.post("/acme/echo", json={"x": 1}),
            http.post("/acme/echo", json={"x": "<script>"}),
            http.post("/acme/echo/stream", json={"count": 1}),
            http.post("/queue/acme/echo", json={"x": 1}),
            http.get("/no/such/thing"),
            http.get("/healthz"),
            http.get("/openapi.json"),
            http.get("/metrics"),
            http.request("BREW", "/acme/echo"),
            http.get("/ui/"),
        ]
        grant = http.post("/storage/upload/initiate", json={"file_name": "a.html", "content_type": "text/html"}).json()
        http.put(grant["upload_url"], content=b"<script>alert(1)</script>")
        asked.append(http.get(grant["file_url"]))
        for answer in asked:
            assert answer.headers.get_list("x-content-type-options") == ["nosniff"], (answer.url, answer.status_code)


def test_an_app_that_is_only_known_from_before_does_not_hold_the_server_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(tmp_path / "data")
    with serve(BASIC, data=data) as served:
        (name, *_) = served.server.fleet.app_names()
    other = tmp_path / "other.py"
    other.write_text(
        "import pondage\n\n\nclass App(pondage.App, name='acme/other'):\n"
        "    @pondage.endpoint('/')\n    def run(self) -> dict[str, str]:\n        return {}\n"
    )
    with serve(str(other), data=data) as served, httpx2.Client(base_url=served.url, timeout=30) as http:
        known = {app["name"]: app["served"] for app in http.get("/api/v1/apps").json()["items"]}
        assert known["acme/other"] is True and known[name] is False
        assert http.get("/readyz").json()["ready"] is True
        main(["doctor", "--server", served.url])
        assert f"{name}: known, not served now" in capsys.readouterr().out
