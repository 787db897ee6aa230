"""What serves models over HTTP without a durable queue: each started as its guide says, with one worker."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.load import HOST, Ask, additions, ask, request
from benchmarks.peers.environments import python_of
from benchmarks.processes import Processes, free_port
from benchmarks.servers import Running

FOLDER = Path(__file__).parent / "apps"


class Streaming(NamedTuple):
    """How a server streams.

    Attributes:
        events: the length of a stream that takes it about a second.
        mark: what each event has once.
        opening: from a port and a number of events, makes the request that is answered with a stream of them.
    """

    events: int
    mark: bytes
    opening: Callable[[int, int], Awaitable[bytes]]


class ModelServer(NamedTuple):
    """How one is run.

    Attributes:
        peer: its environment.
        program: the program of its environment, and arguments. `{port}`, `{apps}`, `{what}` (run or stream) and
            `{folder}`, where it runs, are filled in; in `env` as well.
        work: the path that takes the workload; `asks` makes the requests.
    """

    name: str
    peer: str
    program: tuple[str, ...]
    work: str
    asks: Callable[[str], list[Ask]]
    streaming: Streaming | None = None
    env: tuple[tuple[str, str], ...] = ()


# ---- how they are asked


def _input(path: str) -> list[Ask]:
    return additions(path, wrap=lambda work: {"input": work})


_EVENT_ID = re.compile(rb'"event_id": *"(\w+)"')


def _event(path: str, *headers: str) -> Callable[[bytes], bytes]:
    """Gradio's queue answers with the name of an event, whose outcome is a stream."""

    def get(answer: bytes) -> bytes:
        if (found := _EVENT_ID.search(answer)) is None:
            raise ValueError(f"no event: {answer[-200:]!r}")
        return request("GET", f"{path}/{found[1].decode()}", None, *headers)

    return get


def _queued(path: str) -> list[Ask]:
    get = _event(path)

    def then(right: bytes) -> Callable[[bytes], Ask]:
        return lambda answer: Ask(get(answer), right)

    asks = additions(path, wrap=lambda work: {"data": [work]})
    return [Ask(one.raw, b"event_id", then(one.expect)) for one in asks]


def posted(path: str) -> Callable[[int, int], Awaitable[bytes]]:
    """The stream is the answer to one POST."""

    async def opening(port: int, events: int) -> bytes:
        return request("POST", path, {"n": events}, "Connection: close")

    return opening


async def _gradio_stream(port: int, events: int) -> bytes:
    path = "/gradio_api/call/stream"
    answer = await ask(port, "POST", path, {"data": [{"n": events}]})
    return _event(path, "Connection: close")(answer.body)


# ---- which there are

_QUIET_GRADIO = (
    ("GRADIO_ANALYTICS_ENABLED", "False"),
    ("HF_HUB_OFFLINE", "1"),
    ("GRADIO_TEMP_DIR", "{folder}/files"),
)
_QUIET_RAY = (("RAY_USAGE_STATS_ENABLED", "0"), ("RAY_AUTH_MODE", "disabled"))
_MOSEC = ("--timeout", "60000")
"""Milliseconds. By its default of 3 s a stream that takes longer ends early, without a word to its reader."""

_COG = (
    ("PORT", "{port}"),
    ("COG_PREDICT_TYPE_STUB", "predict.py:Noop"),
    ("COG_MAX_CONCURRENCY", "64"),
    ("COG_LOG_LEVEL", "error"),
    ("RUST_LOG", "error"),
)

MODEL_SERVERS = [
    ModelServer(
        "mosec", "mosec",
        ("python", "{apps}/mosec_app.py", "--address", HOST, "--port", "{port}", "--log-level", "error", *_MOSEC),
        "/run", additions, Streaming(20_000, b"data: ", posted("/stream")),
    ),
    ModelServer(
        "LitServe", "litserve", ("python", "{apps}/litserve_app.py", "{what}", "{port}"),
        "/predict", additions, Streaming(4_000, b"data: ", posted("/predict")),
    ),
    ModelServer(
        "BentoML", "bentoml", ("bentoml", "serve", "bentoml_app:Noop", "--host", HOST, "--port", "{port}"),
        "/run", additions, Streaming(20_000, b"data: ", posted("/stream")),
        (("BENTOML_DO_NOT_TRACK", "True"), ("BENTOML_HOME", "{folder}/home")),
    ),
    ModelServer(
        "Ray Serve", "ray", ("python", "{apps}/ray_app.py", "{port}", "{folder}"),
        "/run", additions, Streaming(40_000, b"data: ", posted("/stream")), _QUIET_RAY,
    ),
    ModelServer(
        "Gradio, queue", "gradio", ("python", "{apps}/gradio_app.py", "{port}"),
        "/gradio_api/call/run", _queued, Streaming(1_000, b"event: generating", _gradio_stream), _QUIET_GRADIO,
    ),
    ModelServer(
        "Cog", "cog", ("python", "-m", "cog.server.http", "--host", HOST), "/predictions", _input, None, _COG
    ),
]  # fmt: skip

RAY = next(server for server in MODEL_SERVERS if server.peer == "ray")
"""The one with a WebSocket of its own."""


@contextlib.contextmanager
def serving(server: ModelServer, scratch: Path, what: str = "run") -> Iterator[Running]:
    """Start one.

    Raises:
        Missing: it cannot be had here.
    """
    python = Path(python_of(server.peer))
    folder = scratch / f"{server.peer}-{what}"
    folder.mkdir(parents=True, exist_ok=True)
    if (FOLDER / server.peer).is_dir():
        shutil.copytree(FOLDER / server.peer, folder, dirs_exist_ok=True)
    port = free_port()
    filled = {"port": str(port), "apps": str(FOLDER), "what": what, "folder": str(folder)}
    program, *arguments = (part.format(**filled) for part in server.program)
    env = {"PYTHONPATH": str(FOLDER), "PATH": f"{python.parent}:{os.environ['PATH']}"}
    env |= {name: value.format(**filled) for name, value in server.env}
    processes = Processes(folder / "log", folder)
    try:
        processes.start([str(python.with_name(program)), *arguments], env)
        yield Running(server.name, port, processes, server.work, server.asks)
    finally:
        processes.stop()
