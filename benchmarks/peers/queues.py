"""The queue libraries as servers: a FastAPI front, a worker, and what keeps their work, as their guides say."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from benchmarks.load import HOST
from benchmarks.peers import postgres
from benchmarks.peers.environments import Missing, python_of, redis_server
from benchmarks.processes import Processes, free_port
from benchmarks.servers import Running, uvicorn_command

FOLDER = Path(__file__).parent / "apps"


class Queue(NamedTuple):
    """How a library is run.

    Attributes:
        peer: its environment.
        worker: the worker's program and arguments.
        store: what keeps the work.
        schema: the program and arguments that make its tables.
    """

    name: str
    peer: str
    worker: tuple[str, ...]
    store: Literal["redis", "postgres", "file"] = "redis"
    schema: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


_TASKIQ = ("taskiq", "worker", "--workers", "1", "--max-async-tasks", "64", "--log-level", "ERROR", "taskiq_app:broker")
_CELERY = ("celery", "-A", "celery_app", "worker", "--pool", "threads", "--concurrency", "64", "--loglevel", "error")
_HUEY = ("huey_consumer", "huey_app.huey", "--workers", "8", "--worker-type", "thread", "--quiet")
_PROCRASTINATE = ("procrastinate", "--app", "procrastinate_app.app")

QUEUES = [
    Queue("arq", "arq", ("arq", "arq_app.WorkerSettings")),
    Queue("taskiq", "taskiq", _TASKIQ),
    Queue("Celery", "celery", _CELERY),
    Queue("huey, Redis", "huey", _HUEY),
    Queue("huey, SQLite with fsync", "huey", _HUEY, "file", env=(("BENCH_SQLITE", "queue.db"),)),
]
"""Redis keeps its defaults: snapshots now and then, so that an acknowledgement there is not durable. Ours is."""

DURABLE = [
    Queue(
        "procrastinate, PostgreSQL", "procrastinate", (*_PROCRASTINATE, "worker", "--concurrency", "64"), "postgres",
        (*_PROCRASTINATE, "schema", "--apply"),
    ),
    Queue("pgqueuer, PostgreSQL", "pgqueuer", ("python", str(FOLDER / "pgqueuer_app.py")), "postgres",
          ("python", "-m", "pgqueuer", "install")),
]  # fmt: skip
"""On PostgreSQL with its defaults: a commit waits for the disk."""


@contextlib.contextmanager
def serving(queue: Queue, scratch: Path) -> Iterator[Running]:
    """Start the store, the worker and the front of a library.

    Raises:
        Missing: the library, or what keeps its work, cannot be had here.
    """
    python = python_of(queue.peer)
    folder = scratch / queue.name.replace(" ", "-").replace(",", "").lower()
    folder.mkdir(parents=True, exist_ok=True)
    processes = Processes(folder / "log", folder)
    env = {"PYTHONPATH": str(FOLDER), **dict(queue.env)}
    try:
        if queue.store == "redis":
            port = free_port()
            processes.start([redis_server(), "--port", str(port), "--bind", HOST, "--dir", str(folder)])
            env["BENCH_REDIS"] = str(port)
        elif queue.store == "postgres":
            env["BENCH_POSTGRES"] = env["PGDSN"] = postgres.start(processes, folder)
            _make_tables(_command(python, queue.schema), env)
        processes.start(_command(python, queue.worker), env)
        port = free_port()
        processes.start(uvicorn_command(python, f"{queue.peer}_front:app", port), env)
        yield Running(queue.name, port, processes, "/run")
    finally:
        processes.stop()


def _command(python: str, program: tuple[str, ...]) -> list[str]:
    return [str(Path(python).with_name(program[0])), *program[1:]]


def _make_tables(command: list[str], env: dict[str, str]) -> None:
    """Run a library's own command for it.

    Raises:
        Missing: it failed.
    """
    try:
        subprocess.run(command, env={**os.environ, **env}, check=True, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise Missing(f"its tables could not be made: {getattr(error, 'stderr', None) or error}") from error
