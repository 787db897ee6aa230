"""The gateway is killed and started again while our client waits: the caller notices a pause, nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pondage.client import SyncClient
from pondage.testing import GatewayProcess

APP = str(Path(__file__).parents[1] / "apps" / "basic.py")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with GatewayProcess(APP, data=tmp_path / "data") as gateway:
        yield gateway


def blocked(client: SyncClient, seen: Callable[[Any], None]) -> Any:
    handle = client.submit("acme/echo/slow", {"seconds": 4, "steps": 40})
    seen(handle)
    return handle.get()


def followed(client: SyncClient, seen: Callable[[Any], None]) -> Any:
    return client.subscribe("acme/echo/slow", {"seconds": 4, "steps": 40}, with_logs=True, on_queue_update=seen)


def run(client: SyncClient, seen: Callable[[Any], None]) -> Any:
    seen(None)
    return client.run("acme/echo/slow", {"seconds": 4, "steps": 40})


def streamed(client: SyncClient, seen: Callable[[Any], None]) -> Any:
    chunks = []
    for chunk in client.stream("acme/echo", {"count": 80, "pause": 0.05}):
        chunks.append(chunk["i"])
        seen(chunk)
    return chunks


@pytest.mark.parametrize("way", [blocked, followed, run, streamed])
def test_a_caller_outlives_the_gateway(gateway: GatewayProcess, way: Any) -> None:
    begun = threading.Event()
    box: list[Any] = []

    def call() -> None:
        with SyncClient(base_url=gateway.url) as client:
            client.run("acme/echo", {"x": 1})
            try:
                box.append(way(client, lambda _: begun.set()))
            except BaseException as error:
                box.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    assert begun.wait(20)
    threading.Event().wait(0.5)  # somewhere in the middle
    gateway.kill()
    gateway.start(ready=False)
    caller.join(60)
    assert box == [list(range(80)) if way is streamed else {"seconds": 4.0}]
