"""The snippets of fal's client documentation, as a caller in Python would write them, against a server of ours.

The app stands at `fal-ai/flux/dev` and takes and gives what that model's documentation says; its pictures are real.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image
from tests.webhook_receiver import receiving

import pondage.client as fal_client
from pondage.client import SyncClient
from pondage.testing import ServedApp, serve

FLUX = Path(__file__).parents[2] / "examples" / "flux_test_app.py"
ENDPOINT = "fal-ai/flux/dev"


@pytest.fixture(scope="module")
def flux() -> Iterator[ServedApp]:
    with serve(str(FLUX)) as served:
        yield served


@pytest.fixture
def fal(flux: ServedApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncClient]:
    """A client whose one setting points at the server."""
    with SyncClient(base_url=flux.url) as client:
        yield client


def picture(url: str) -> Image.Image:
    answer = httpx2.get(url)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    return Image.open(io.BytesIO(answer.content))


def check_output(output: dict[str, Any], size: tuple[int, int], count: int = 1) -> None:
    assert len(output["images"]) == count
    for image in output["images"]:
        assert (image["width"], image["height"], image["content_type"]) == (*size, "image/png")
        assert picture(image["url"]).size == size


def test_subscribe_with_logs(fal: SyncClient) -> None:
    lines: list[str] = []
    ids: list[str] = []

    def on_queue_update(update: fal_client.Status) -> None:
        if isinstance(update, fal_client.InProgress):
            lines[:] = [log["message"] for log in update.logs or []]

    result = fal.subscribe(
        ENDPOINT,
        arguments={"prompt": "a cat", "seed": 6252023, "image_size": "landscape_4_3", "num_images": 2},
        with_logs=True,
        on_enqueue=ids.append,
        on_queue_update=on_queue_update,
    )
    assert result["seed"] == 6252023
    check_output(result, (1024, 768), 2)
    status = fal.status(ENDPOINT, ids[0], with_logs=True)
    assert isinstance(status, fal_client.Completed)
    assert [log["message"] for log in status.logs or []] == [f"step {n} of 4" for n in range(1, 5)]
    assert {log["labels"]["level"] for log in status.logs or []} == {"STDOUT"}


def test_the_grouped_form_with_a_size_of_its_own(fal: SyncClient) -> None:
    seen: list[fal_client.Status] = []
    result = fal.subscribe(
        ENDPOINT,
        input={"prompt": "a cat", "seed": 1, "image_size": {"width": 320, "height": 200}},
        include_logs=True,
        on_queue_update=seen.append,
    )
    check_output(result, (320, 200))
    assert isinstance(seen[-1], fal_client.Completed)


def test_the_same_prompt_and_seed_give_the_same_picture(fal: SyncClient) -> None:
    first, second, third = (
        fal.run(ENDPOINT, {"prompt": "a cat", "seed": seed, "image_size": "square"}) for seed in (7, 7, 8)
    )
    pictures = [picture(output["images"][0]["url"]).tobytes() for output in (first, second, third)]
    assert pictures[0] == pictures[1] != pictures[2]


def test_submit_with_a_webhook(fal: SyncClient) -> None:
    with receiving() as receiver:
        handle = fal.queue.submit(ENDPOINT, {"prompt": "a cat", "seed": 2}, webhook_url=receiver.url)
        (came,) = receiver.count(1)
        told = came.json
    assert (told["request_id"], told["status"]) == (handle.request_id, "OK")
    assert told["payload"] == fal.queue.response(ENDPOINT, of=handle.request_id)
    assert told["payload"]["seed"] == 2


def test_status_and_response_by_id_from_elsewhere(fal: SyncClient, flux: ServedApp) -> None:
    handle = fal.queue.submit(ENDPOINT, {"prompt": "a cat", "seed": 3})
    with SyncClient(base_url=flux.url) as elsewhere:
        output = elsewhere.queue.response(ENDPOINT, of=handle.request_id)
        status = elsewhere.queue.status(ENDPOINT, of=handle.request_id, include_logs=True)
    assert isinstance(status, fal_client.Completed)
    assert status.metrics["inference_time"] > 0
    assert output == fal.result(ENDPOINT, handle.request_id)
    check_output(output, (1024, 768))


def test_upload_of_bytes_without_a_content_type(fal: SyncClient) -> None:
    original = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(original, "png")
    url = fal.storage.upload(original.getvalue())
    answer = httpx2.get(url)
    assert (answer.content, answer.headers["content-type"]) == (original.getvalue(), "image/png")
    result = fal.subscribe(ENDPOINT, {"prompt": "like this", "image_url": url, "image_size": "square"})
    check_output(result, (512, 512))


def test_upload_with_a_content_type(fal: SyncClient) -> None:
    url = fal.upload(b"hello", "text/plain", "hello.txt")
    answer = httpx2.get(url)
    assert (answer.text, answer.headers["content-type"].partition(";")[0]) == ("hello", "text/plain")


def test_realtime(fal: SyncClient) -> None:
    with fal.realtime(ENDPOINT) as connection:
        for number in (1, 2):
            connection.send({"prompt": "a cat", "seed": number})
            assert connection.recv() == {"step": number, "prompt": "a cat", "seed": number}


def test_stream(fal: SyncClient) -> None:
    chunks = list(fal.stream(ENDPOINT, {"prompt": "a cat", "num_inference_steps": 3}))
    assert [chunk["step"] for chunk in chunks] == [1, 2, 3]


def test_run(fal: SyncClient) -> None:
    result = fal.run(ENDPOINT, input={"prompt": "a cat", "image_size": "portrait_16_9", "num_images": 1})
    assert isinstance(result["seed"], int)
    check_output(result, (576, 1024))


def test_a_misfit_names_the_field(fal: SyncClient) -> None:
    with pytest.raises(fal_client.InvalidInput) as caught:
        fal.run(ENDPOINT, {"prompt": "a cat", "num_images": 9})
    assert [field.path for field in caught.value.fields] == ["num_images"]


def test_the_module_is_a_drop_in(flux: ServedApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """One environment variable, the import changed, nothing else."""
    monkeypatch.setenv("PONDAGE_URL", flux.url)
    client = fal_client.SyncClient()
    handle = client.submit(ENDPOINT, arguments={"prompt": "a cat", "image_size": "square"})
    states = [type(event).__name__ for event in handle.iter_events(with_logs=True)]
    assert states[-1] == "Completed"
    check_output(handle.get(), (512, 512))
    client.close()


def test_the_same_over_plain_http(flux: ServedApp) -> None:
    """What the documentation's curl lines do."""
    with httpx2.Client(base_url=flux.url, headers={"authorization": "Key any:thing"}) as http:
        receipt = http.post(f"/queue/{ENDPOINT}", json={"prompt": "a cat"}).json()
        result = http.get(receipt["response_url"], headers={"prefer": "wait=20"})
        status = http.get(receipt["status_url"], params={"logs": 1}).json()
    assert status["status"] == "COMPLETED"
    check_output(json.loads(result.content), (1024, 768))
