"""`GET /metrics` for Prometheus: what is counted as it happens, and how things stand, by our names and by fal's.

Requests are counted since the data folder has counts (`queue.counts.totals`), so that a restart takes nothing back;
what is of this process (answers, tries of webhooks) begins with it. docs/metrics.md names every metric.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from pondage.fleet.interface import AppState, RunnerState
from pondage.gateway import answers
from pondage.gateway.call import Call, Disk, Response, Rooms
from pondage.queue.counts import BUCKETS, MINUTE, PER_OCTAVE, Rollup, bound
from pondage.queue.interface import Depth
from pondage.webhooks.interface import Figures

if TYPE_CHECKING:
    from prometheus_client import Metric
    from prometheus_client.core import GaugeMetricFamily

LIMITS = tuple(range(0, BUCKETS - 1, PER_OCTAVE))
"""The buckets that are shown, each twice as long as the one before: of four in an octave the last."""
PARTS = ("data folder", "database", "disk", "files")
"""Parts of the server that are named while they are well, too."""
PHASES = ("starting", "ready", "draining", "lost")
_FAL_PHASES = {"starting": "pending", "ready": "running", "draining": "running", "lost": "dead"}
_FAL_STATUSES = (("ok", "200"), ("error", "500"), ("cancelled", "499"))
"""fal labels by status; we count outcomes, and name each by its usual one."""


class Snapshot(NamedTuple):
    """Everything that one scrape shows, as of one moment. `server` is None for a key for some apps."""

    apps: dict[str, AppState | None]
    depths: dict[str, Depth]
    runners: list[RunnerState]
    totals: Mapping[str, Rollup]
    minute: Mapping[str, Rollup]
    """The last whole minute."""
    server: ServerFigures | None


class ServerFigures(NamedTuple):
    """What is the whole server's."""

    version: str
    answered: Counter[int]
    sessions: int
    held: int
    disk: Disk | None
    webhooks: Figures
    wrong: Mapping[str, str]


async def show_metrics(call: Call) -> Response:
    """Prometheus text; with a key for some apps, of these."""
    # Its library reads files of the system as it is loaded; only who asks for metrics pays for it, and nobody waits.
    await asyncio.to_thread(import_module, "prometheus_client")
    from prometheus_client import CONTENT_TYPE_LATEST

    snapshot = await _look(call)
    body = await asyncio.to_thread(text, snapshot)
    return answers.Answer(200, body, [(b"content-type", CONTENT_TYPE_LATEST.encode())])


async def _look(call: Call) -> Snapshot:
    rooms, may = call.rooms, call.caller.may_call
    end = int(rooms.clock.wall()) // MINUTE * MINUTE
    totals = await rooms.queue.counts.totals()
    minute = await rooms.queue.counts.rollups(since=end - MINUTE, until=end)
    names = sorted({*rooms.fleet.app_names(), *totals})
    names = [name for name in names if may(name)]
    return Snapshot(
        apps={name: rooms.fleet.app(name) for name in names},
        depths={name: rooms.queue.depth(name) for name in names},
        runners=[runner for runner in rooms.fleet.runners() if may(runner.app)],
        totals={name: rollup for name, rollup in totals.items() if may(name)},
        minute={one.app: one.rollup for one in minute if may(one.app)},
        server=_of_the_server(rooms) if call.caller.apps is None else None,
    )


def _of_the_server(rooms: Rooms) -> ServerFigures:
    from pondage import __version__

    return ServerFigures(
        version=__version__,
        answered=Counter(rooms.answered),
        sessions=sum(rooms.sessions.values()),
        held=rooms.budget.held,
        disk=rooms.health.disk,
        webhooks=rooms.webhooks.figures(),
        wrong=rooms.health.wrong(),
    )


def text(snapshot: Snapshot) -> bytes:
    """The exposition of a snapshot."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(_Collector(snapshot))
    return generate_latest(registry)


class _Collector:
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        yield from _now(self._snapshot)
        yield from _counted(self._snapshot.totals)
        yield from _durations(self._snapshot.totals)
        yield from _fals(self._snapshot)
        if self._snapshot.server is not None:
            yield from _server(self._snapshot.server)


def _gauge(name: str, says: str, *labels: str) -> GaugeMetricFamily:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(name, says, labels=labels)


def _now(snapshot: Snapshot) -> Iterator[Metric]:
    """How the apps stand."""
    queued = _gauge("pondage_queued", "Requests that wait for a runner", "app")
    running = _gauge("pondage_running", "Requests that run", "app")
    free = _gauge("pondage_free_slots", "Requests that could start at once", "app")
    up = _gauge("pondage_app_up", "1 where the app can run, 0 where it has a fault", "app")
    runners = _gauge("pondage_runners", "Runner processes", "app", "state")
    memory = _gauge("pondage_runner_memory_bytes", "Memory of the runner processes together", "app")
    devices = _gauge("pondage_runner_devices", "Devices that the runner processes hold together", "app")
    for name, state in snapshot.apps.items():
        queued.add_metric([name], snapshot.depths[name].queued)
        running.add_metric([name], snapshot.depths[name].running)
        if state is None:
            continue
        free.add_metric([name], state.free)
        up.add_metric([name], 0 if state.fault else 1)
        own = [runner for runner in snapshot.runners if runner.app == name]
        for phase in PHASES:
            runners.add_metric([name, phase], sum(runner.state == phase for runner in own))
        memory.add_metric([name], sum(runner.memory for runner in own))
        devices.add_metric([name], sum(runner.devices for runner in own))
    yield from (queued, running, free, up, runners, memory, devices)


def _counted(totals: Mapping[str, Rollup]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily

    submitted = CounterMetricFamily("pondage_requests_submitted", "Requests that were accepted", labels=["app"])
    ended = CounterMetricFamily("pondage_requests", "Requests that ended, by outcome", labels=["app", "outcome"])
    lost = CounterMetricFamily("pondage_attempts_lost", "Attempts that brought no outcome", labels=["app"])
    for name, rollup in totals.items():
        submitted.add_metric([name], rollup.submitted)
        for outcome in ("ok", "error", "cancelled"):
            ended.add_metric([name, outcome], getattr(rollup, outcome))
        lost.add_metric([name], rollup.lost)
    yield from (submitted, ended, lost)


def _durations(totals: Mapping[str, Rollup]) -> Iterator[Metric]:
    from prometheus_client.core import HistogramMetricFamily

    wait = HistogramMetricFamily("pondage_wait_seconds", "From submit to start", labels=["app"])
    run = HistogramMetricFamily("pondage_run_seconds", "From the last start to the outcome", labels=["app"])
    total = HistogramMetricFamily("pondage_total_seconds", "From submit to the outcome", labels=["app"])
    for name, rollup in totals.items():
        wait.add_metric([name], buckets(rollup.waits), rollup.waited)
        run.add_metric([name], buckets(rollup.runs), rollup.ran)
        total.add_metric([name], buckets(rollup.totals), rollup.total)
    yield from (wait, run, total)


def buckets(histogram: Mapping[int, int]) -> list[tuple[str, float]]:
    """How many were no longer than each limit. What is longer than the last bucket counts is in `+Inf` alone."""
    left, so_far, shown = sorted(histogram.items(), reverse=True), 0, []
    for limit in LIMITS:
        while left and left[-1][0] <= limit:
            so_far += left.pop()[1]
        shown.append((f"{bound(limit):.3f}", float(so_far)))
    return [*shown, ("+Inf", float(so_far + sum(count for _, count in left)))]


def _fals(snapshot: Snapshot) -> Iterator[Metric]:
    """The same under the names that fal's exporter has, all of them gauges, as there."""
    runners = _gauge("fal_app_runners", "Runners", "application", "state", "machine_type")
    queue = _gauge("fal_app_queue_size", "Requests that wait", "application")
    concurrent = _gauge("fal_app_concurrent_requests", "Requests that run", "application")
    completed = _gauge("fal_app_requests_completed", "Ended in the last minute", "application", "method", "status")
    received = _gauge("fal_app_requests_received", "Submitted in the last minute", "application", "method")
    latency = _gauge("fal_app_request_latency", "Ended in the last minute, by seconds in all", "application", "le")
    memory = _gauge("fal_app_runner_memory_usage_bytes", "Memory of the runners together", "application")
    devices = _gauge("fal_app_runner_gpu_count", "Devices of the runners together", "application")
    for name in snapshot.apps:
        own = [runner for runner in snapshot.runners if runner.app == name]
        for state in ("pending", "running", "dead"):
            count = sum(_FAL_PHASES.get(runner.state) == state for runner in own)
            runners.add_metric([name, state, "local"], count)
        queue.add_metric([name], snapshot.depths[name].queued)
        concurrent.add_metric([name], snapshot.depths[name].running)
        rollup = snapshot.minute.get(name, Rollup())
        for outcome, status in _FAL_STATUSES:
            completed.add_metric([name, "POST", status], getattr(rollup, outcome))
        received.add_metric([name, "POST"], rollup.submitted)
        for limit, ended in buckets(rollup.totals):
            latency.add_metric([name, limit], ended)
        memory.add_metric([name], sum(runner.memory for runner in own))
        if held := sum(runner.devices for runner in own):
            devices.add_metric([name], held)
    yield from (runners, queue, concurrent, completed, received, latency, memory, devices)


def _server(figures: ServerFigures) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, InfoMetricFamily

    yield InfoMetricFamily("pondage_build", "The version that runs", value={"version": figures.version})
    answered = CounterMetricFamily("pondage_http_responses", "HTTP answers by status", labels=["status"])
    for status, count in sorted(figures.answered.items()):
        answered.add_metric([str(status)], count)
    yield answered
    yield _single("pondage_sessions", "Open sessions", figures.sessions)
    yield _single("pondage_held_bytes", "Memory for large bodies and answers on their way (held_bytes)", figures.held)
    tries = CounterMetricFamily("pondage_webhook_tries", "Tries of deliveries, by what became of them", labels=["then"])
    for then in ("done", "owed", "dead"):
        tries.add_metric([then], figures.webhooks.tries[then])
    yield tries
    yield _single("pondage_webhook_overdue_seconds", "For how long a delivery has been due", figures.webhooks.overdue)
    yield _single("pondage_webhook_hosts_left_alone", "Receivers that failed too often", figures.webhooks.left_alone)
    if figures.disk is not None:
        yield _single("pondage_disk_free_bytes", "Free where the data folder lies", figures.disk.free)
        yield _single("pondage_disk_size_bytes", "The size of that disk", figures.disk.size)
        yield _single("pondage_database_bytes", "The database and its log", figures.disk.database)
    wrong = _gauge("pondage_part_wrong", "1 for each part of the server that cannot be used", "part")
    for part in sorted({*PARTS, *figures.wrong}):
        wrong.add_metric([part], int(part in figures.wrong))
    yield wrong


def _single(name: str, says: str, value: float) -> GaugeMetricFamily:
    gauge = _gauge(name, says)
    gauge.add_metric([], value)
    return gauge
