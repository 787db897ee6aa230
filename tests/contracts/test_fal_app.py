"""Apps that were written for fal's own SDK run here with their imports changed, and with nothing else."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from PIL import Image
from websockets.sync.client import connect

from pondage.testing import ServedApp, serve
from pondage.toolkit import download

APPS = Path(__file__).parents[1] / "apps"
PORTED = sorted(APPS.glob("ported_*.py"))

sdk = partial(pytest.mark.compat, client="sdk")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        with serve(*map(str, PORTED), owner="acme") as server:
            yield server


@pytest.fixture
def http(served: ServedApp) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=served.url, timeout=30, headers={"Authorization": "Key any"}) as client:
        yield client


def text(served: ServedApp, path: str, *messages: Any, answers: int = 1) -> list[Any]:
    """What a realtime endpoint answers to JSON messages."""
    with connect(f"{served.url.replace('http', 'ws')}{path}", compression=None) as socket:
        for message in messages:
            socket.send(json.dumps(message))
        return [json.loads(socket.recv(timeout=10)) for _ in range(answers)]


# ---- pictures


@sdk(
    "fal.App", "fal.endpoint", "fal.cached", "fal.ContainerImage", "toolkit.Image", "toolkit.FalBaseModel",
    "x-fal-billable-units", "X-Fal-Runner-Hints", "fastapi.Response as a parameter", call="App, endpoint",
)  # fmt: skip
def test_text_to_image(http: httpx2.Client) -> None:
    size = {"width": 1280, "height": 1024}
    answer = http.post("/acme/sana", json={"prompt": "a fox", "seed": 7, "num_images": 2, "image_size": size})
    assert answer.status_code == 200, answer.text
    output = answer.json()
    assert (output["seed"], output["prompt"], output["has_nsfw_concepts"]) == (7, "a fox", [False, False])
    assert answer.headers["x-fal-billable-units"] == "4" and answer.headers["x-fal-runner-hints"] == "sana-1.6b"
    picture = output["images"][1]
    assert (picture["width"], picture["height"], picture["content_type"]) == (1280, 1024, "image/jpeg")
    drawn = Image.open(BytesIO(http.get(picture["url"]).content))
    assert drawn.size == (1280, 1024) and drawn.format == "JPEG"


@sdk("toolkit.ImageSize presets", call="get_image_size")
@pytest.mark.parametrize(
    ("preset", "size"),
    [("square_hd", (1024, 1024)), ("square", (512, 512)), ("portrait_4_3", (768, 1024)), ("portrait_16_9", (576, 1024)),
     ("landscape_4_3", (1024, 768)), ("landscape_16_9", (1024, 576))],
)  # fmt: skip
def test_image_sizes_by_name(http: httpx2.Client, preset: str, size: tuple[int, int]) -> None:
    (picture,) = http.post("/acme/sana", json={"prompt": "a fox", "image_size": preset}).json()["images"]
    assert (picture["width"], picture["height"]) == size


@sdk("fastapi.Request as a parameter", "any custom header", call="endpoint")
def test_request_and_response_as_parameters(http: httpx2.Client) -> None:
    answer = http.post("/acme/sana/sprint", json={"prompt": "a hen"}, headers={"X-My-Header": "mine"})
    assert (answer.headers["x-seen"], answer.headers["x-body"]) == ("mine", "a hen")


@sdk("fal.exceptions.FieldException", "fal.exceptions.AppException", "422 detail: loc, msg, type", call="exceptions")
def test_exceptions(http: httpx2.Client) -> None:
    field = http.post("/acme/sana/checked", json={"prompt": "forbidden"})
    assert field.status_code == 422
    assert field.json()["detail"] == [
        {"loc": ["body", "prompt"], "msg": "Prompt is not allowed", "type": "content_policy_violation"}
    ]
    app = http.post("/acme/sana/checked", json={"prompt": "teapot"})
    assert (app.status_code, app.json()) == (418, {"detail": "This is a teapot"})
    other = http.post("/acme/sana/checked", json={"prompt": "anything"})
    assert (other.status_code, other.json()) == (500, {"detail": "Internal Server Error"})


@sdk("422 detail: loc, msg, type", "toolkit.types", call="FalBaseModel")
def test_inputs_are_checked(http: httpx2.Client) -> None:
    refused = http.post("/acme/sana", json={"num_images": 9, "image_url": "ftp://x"})
    places = {tuple(entry["loc"][:2]) for entry in refused.json()["detail"]}
    assert refused.status_code == 422 and places == {("body", "prompt"), ("body", "num_images"), ("body", "image_url")}


@sdk("GET /openapi.json", "toolkit.Hidden", "toolkit.ImageField", call="FIELD_ORDERS, Hidden, ImageField")
def test_the_schema_says_what_forms_need(served: ServedApp) -> None:
    info = served.on_loop(lambda: served.server.fleet.infos.get("acme/sana"))
    assert info is not None
    schema: Any = next(endpoint for endpoint in info.endpoints if endpoint.path == "/").input_schema
    members = schema["properties"]
    assert list(members)[:3] == ["prompt", "image_url", "image_size"]
    assert members["debug"]["ui"] == {"hidden": True} and members["image_url"]["ui"] == {"field": "image"}
    assert "ui" not in members["prompt"]


@sdk("GET /{owner}/{alias}/health", "fal.App.health", call="App.health")
def test_health(http: httpx2.Client) -> None:
    answer = http.get("/acme/sana/health")
    assert answer.json() == {"status": "well", "weights": "sana.safetensors"}
    assert http.get("/acme/chatter/health").json() == {"version": ""}
    any_page = httpx2.get(f"{http.base_url}/acme/sana/health")  # without a header that pages cannot send
    assert any_page.status_code == 403
    assert http.get("/acme/nothing/health").status_code == 404


@sdk("class keywords and attributes", call="App attributes")
def test_class_keywords_and_attributes(served: ServedApp) -> None:
    info = served.on_loop(lambda: served.server.fleet.infos.get("acme/sana"))
    assert info is not None
    assert (info.keep_alive, info.min_concurrency, info.max_concurrency) == (600, 1, 2)
    assert (info.request_timeout, info.startup_timeout, info.max_multiplexing) == (120, 300, 1)


# ---- streams


@sdk("POST /{owner}/{alias}/stream", "StreamingResponse", "text/event-stream", call="endpoint that streams")
@pytest.mark.parametrize(
    ("path", "events"),
    [
        ("/acme/chatter/stream", [{"step": n, "output": "abc"[: n + 1]} for n in range(3)]),
        ("/acme/chatter/thought/stream", [{"thought": n} for n in range(3)]),
    ],
)
def test_streaming_responses(http: httpx2.Client, path: str, events: list[Any]) -> None:
    with http.stream("POST", path, json={"prompt": "abc"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        seen = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
    assert seen == events
    assert http.post("/acme/chatter", json={"prompt": "you"}).json() == {"output": "hello you"}


# ---- realtime


@sdk("fal.realtime", "WebSocket /{owner}/{alias}/realtime", "msgpack frames", call="realtime: one in, one out")
def test_realtime(served: ServedApp) -> None:
    with connect(f"{served.url.replace('http', 'ws')}/acme/live/realtime", compression=None) as socket:
        socket.send(msgspec.msgpack.encode({"prompt": "fox", "image": b"\x00\xff"}))
        answer = socket.recv(timeout=10)
        assert isinstance(answer, bytes)
        assert msgspec.msgpack.decode(answer) == {"prompt": "FOX", "image": b"\x00\xff"}


@sdk("fal.realtime", "realtime: every mode", call="realtime: iterators, batches")
def test_realtime_of_every_mode(served: ServedApp) -> None:
    assert text(served, "/acme/live/count/realtime", {"prompt": "p"}, answers=3) == [
        {"n": n, "prompt": "p"} for n in range(3)
    ]
    words = [{"prompt": word} for word in ("the", "old", "fox")]
    joined = text(served, "/acme/live/join/realtime", *words, answers=3)
    assert [answer["prompt"] for answer in joined] == ["the", "the old", "the old fox"]
    assert [answer["prompt"] for answer in text(served, "/acme/live/batch/realtime", *words, answers=3)] == [
        "eht", "dlo", "xof",
    ]  # fmt: skip


# ---- requests


@sdk("fal.App.current_request", "x-fal-request-id", "X-Fal-Object-Lifecycle-Preference", call="App.current_request")
def test_current_request(http: httpx2.Client) -> None:
    headers = {"x-my-header": "mine", "x-fal-object-lifecycle-preference": '{"expiration_duration_seconds": 3600}'}
    answer = http.post("/acme/careful/whoami", headers=headers)
    assert answer.json() == {
        "request_id": answer.headers["x-fal-request-id"],
        "endpoint": "acme/careful/whoami",
        "lifecycle": {"expiration_duration_seconds": 3600},
        "header": "mine",
    }


@sdk("fal.exceptions.RequestCancelledException", "PUT /queue/{owner}/{alias}/requests/{request_id}/cancel",
     call="RequestCancelledException, cancel_on_disconnect")  # fmt: skip
@pytest.mark.parametrize("path", ["", "/polite"])
def test_cancel(http: httpx2.Client, path: str) -> None:
    submitted = http.post(f"/queue/acme/careful{path}", json={"seconds": 60}).json()
    status = {"logs": None}
    while not status["logs"]:
        status = http.get(submitted["status_url"], params={"logs": "1"}).json()
    assert http.put(submitted["cancel_url"]).status_code == 202
    ended = http.get(submitted["response_url"], headers={"prefer": "wait=20"})
    assert (ended.status_code, ended.json()["error_type"]) == (499, "client_cancelled")


@sdk("toolkit.File", "file inputs as URLs", call="toolkit.File")
def test_files(http: httpx2.Client) -> None:
    uploaded = http.post("/files/upload", content=b"drawer", headers={"content-type": "text/plain"}).json()
    for given in (uploaded["access_url"], {"url": uploaded["access_url"]}, "data:text/plain;base64,ZHJhd2Vy"):
        file = http.post("/acme/careful/file", json={"file": given}).json()
        assert (file["file_name"], file["content_type"], file["file_size"]) == ("back.txt", "text/plain", 6)
        assert http.get(file["url"]).content == b"reward"


@sdk("toolkit.download_file", call="download_file, download_model_weights, in setup()")
def test_downloads_at_the_start(http: httpx2.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uploaded = http.post("/files/upload", content=b"weights", headers={"x-fal-file-name": "model.bin"}).json()
    url = uploaded["access_url"]
    monkeypatch.setattr(download, "FAL_MODEL_WEIGHTS_DIR", tmp_path / "weights")
    path = download.download_model_weights(url)
    assert path.read_bytes() == b"weights" and path.is_relative_to(tmp_path / "weights")
    path.write_bytes(b"kept")
    assert download.download_model_weights(url).read_bytes() == b"kept", "what is there is not fetched again"
    assert download.download_model_weights(url, force=True).read_bytes() == b"weights"
    with pytest.raises(download.DownloadError, match="larger than 0 bytes"):
        download.download_file(url, tmp_path / "small", filesize_limit=0)
    with pytest.raises(download.DownloadError, match=r"40[34]"):
        download.download_file(url + "x/none", tmp_path / "none")
    with pytest.raises(download.DownloadError, match="no http"):
        download.download_file("file:///etc/passwd", tmp_path / "local")


@sdk("toolkit.clone_repository", call="clone_repository, in setup()")
def test_a_repository_is_cloned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    git = ["git", "-C", str(source), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    source.mkdir()
    (source / "cloned_module.py").write_text("answer = 42")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *arguments], check=True)
    monkeypatch.setattr(download, "FAL_REPOSITORY_DIR", tmp_path / "repositories")
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = download.clone_repository(str(source), include_to_path=True)
    assert (path / "cloned_module.py").is_file() and sys.path[0] == str(path)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert download.clone_repository(str(source), commit_hash=commit).name == f"source-{commit[:12]}"
    with pytest.raises(download.DownloadError, match="git clone"):
        download.clone_repository(str(tmp_path / "nothing"))


# ---- more names of the SDK


@sdk(
    "fal.container", "fal.ref.get_current_app", "fal.sdk", "toolkit.ImageSizeConstraints", "decorated endpoints",
    "outputs by alias", "NumPy in outputs", call="App, endpoint",
)  # fmt: skip
def test_other_modules_have_the_names_that_apps_import(http: httpx2.Client) -> None:
    answer = http.post("/acme/names", json={"image_size": "landscape_4_3", "guidanceScale": 2.5}).json()
    assert answer == {"width": 1024, "guidance": 2.5, "app": ["Names", "Names"]}
    assert http.post("/acme/names", json={"guidanceScale": 21}).json()["detail"][0]["loc"] == ["body", "guidanceScale"]
    answer = http.post("/acme/names/scores", json={"labels": ["a"]}).json()
    assert answer == {"byLabel": {"a": 0.5}, "raw": {"00000000-0000-0000-0000-000000000001": [0, 1]}}
    document = http.get("/openapi.json").text
    assert '"x-fal":{"max_width":2048}' in document.replace(" ", "")


@sdk("fastapi.Header as a parameter", "fastapi.HTTPException", "x-fal-billable-units", call="endpoint, exceptions")
def test_headers_come_in_and_go_out(http: httpx2.Client) -> None:
    said = http.post("/acme/names/secret", json={"prompt": "a"}, headers={"X-Secret": "open sesame"})
    assert said.json() == "a"
    refused = http.post("/acme/names/secret", json={"prompt": "a"})
    assert (refused.status_code, refused.json()) == (403, {"detail": {"code": "wrong_secret"}})
    assert refused.headers["x-hint"] == "sesame"
    refused = http.post("/acme/names/field", json={"units": 3})
    assert (refused.status_code, refused.headers["x-fal-billable-units"]) == (422, "3")


@sdk("StreamingResponse without a type", call="endpoint that streams")
def test_a_stream_needs_no_type(http: httpx2.Client) -> None:
    answer = http.post("/acme/names/tokens/stream", json={"count": 2})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [line for line in answer.text.splitlines() if line.startswith("data:")] == ["data: 0", "data: 1"]


@sdk("toolkit.utils.retry", "fal.exceptions.catch_gpu_exceptions", "toolkit.KVStore", "toolkit.File, async methods",
     call="retry, catch_gpu_exceptions, KVStore")  # fmt: skip
def test_helpers_of_the_toolkit(http: httpx2.Client) -> None:
    assert http.post("/acme/names/flaky").json() == 3
    assert http.post("/acme/names/gpu").json() == "CUDA error: out of memory"
    assert http.post("/acme/names/kept", json={"key": "k", "value": "é"}).json()["value"] == "é"
    kept = http.post("/acme/names/kept", json={"key": "k"}).json()
    assert kept["value"] == "é" and http.get(kept["file"]["url"]).content == "é".encode()


@sdk("fal.realtime", "fal.realtime: a batch of one session", call="realtime: batches of one session")
def test_the_messages_of_a_session_come_in_batches(served: ServedApp) -> None:
    heard: list[int] = []
    with connect(f"{served.url.replace('http', 'ws')}/acme/names/frames/realtime", compression=None) as socket:
        for n in range(4):
            socket.send(json.dumps({"n": n}))
        while len(heard) < 4:
            heard += json.loads(socket.recv(timeout=10))["numbers"]
    assert heard == [0, 1, 2, 3]


@sdk("fal.apps", call="apps.submit")
def test_an_app_asks_another(served: ServedApp, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from pondage import SyncClient, apps

    monkeypatch.setattr(apps, "sync_client", SyncClient(base_url=served.url))
    handle = apps.submit("acme/names", {"image_size": "square_hd"})
    assert all(isinstance(event, apps.Queued | apps.InProgress) for event in handle.iter_events(logs=True))
    assert handle.get()["width"] == handle.fetch_result()["width"] == 1024
    assert isinstance(handle.status(), apps.Completed)
    assert list(apps.stream("acme/names", {"count": 2}, path="/tokens/stream")) == ["data: 0", "data: 1"]
    assert apps.run("acme/names", {"labels": ["a"]}, path="/scores")["byLabel"] == {"a": 0.5}


# ---- the promise itself


@sdk("only the imports change", call="import pondage as fal")
@pytest.mark.parametrize("path", PORTED, ids=lambda path: path.stem)
def test_the_name_of_the_package_stands_in_imports_only(path: Path) -> None:
    tree = ast.parse(path.read_text())
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert "pondage" not in used
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {name for name in modules if name.startswith("pondage")}
    # Each of these is `fal.…` there.
    assert ours <= {
        "pondage.container", "pondage.exceptions", "pondage.ref", "pondage.sdk",
        "pondage.toolkit", "pondage.toolkit.file.file", "pondage.toolkit.image", "pondage.toolkit.image.image",
        "pondage.toolkit.pydantic", "pondage.toolkit.types", "pondage.toolkit.utils", "pondage.toolkit.utils.endpoint",
        "pondage.toolkit.utils.retry",
    }  # fmt: skip
