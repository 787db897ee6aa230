"""The queue libraries as servers: a FastAPI front, a worker, and Redis where they need it, as their guides say."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.load import HOST
from benchmarks.peers.environments import python_of, redis_server
from benchmarks.processes import Processes, free_port
from benchmarks.servers import Running, uvicorn_command

FOLDER = Path(__file__).parent / "apps"


class Queue(NamedTuple):
    """How a library is run: its environment, the worker's program and arguments, and whether it needs Redis."""

    name: str
    peer: str
    worker: tuple[str, ...]
    redis: bool = True
    env: tuple[tuple[str, str], ...] = ()


_TASKIQ = ("taskiq", "worker", "--workers", "1", "--max-async-tasks", "64", "--log-level", "ERROR", "taskiq_app:broker")
_CELERY = ("celery", "-A", "celery_app", "worker", "--pool", "threads", "--concurrency", "64", "--loglevel", "error")
_HUEY = ("huey_consumer", "huey_app.huey", "--workers", "8", "--worker-type", "thread", "--quiet")

QUEUES = [
    Queue("arq", "arq", ("arq", "arq_app.WorkerSettings")),
    Queue("taskiq", "taskiq", _TASKIQ),
    Queue("Celery", "celery", _CELERY),
    Queue("huey, Redis", "huey", _HUEY),
    Queue("huey, SQLite with fsync", "huey", _HUEY, redis=False, env=(("BENCH_SQLITE", "queue.db"),)),
]
"""Redis keeps its defaults: snapshots now and then, so that an acknowledgement there is not durable. Ours is."""


@contextlib.contextmanager
def serving(queue: Queue, scratch: Path) -> Iterator[Running]:
    """Start Redis, the worker and the front of a library.

    Raises:
        Missing: the library, or Redis, cannot be had here.
    """
    python = python_of(queue.peer)
    folder = scratch / queue.name.replace(" ", "-").replace(",", "").lower()
    folder.mkdir(parents=True, exist_ok=True)
    processes = Processes(folder / "log", folder)
    env = {"PYTHONPATH": str(FOLDER), **dict(queue.env)}
    try:
        if queue.redis:
            port = free_port()
            processes.start([redis_server(), "--port", str(port), "--bind", HOST, "--dir", str(folder)])
            env["BENCH_REDIS"] = str(port)
        program, *arguments = queue.worker
        processes.start([str(Path(python).with_name(program)), *arguments], env)
        port = free_port()
        processes.start(uvicorn_command(python, f"{queue.peer}_front:app", port), env)
        yield Running(queue.name, port, processes, "/run")
    finally:
        processes.stop()
