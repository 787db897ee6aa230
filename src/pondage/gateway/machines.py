"""For machines: health, readiness, metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pondage.errors import Unauthorized
from pondage.gateway import answers
from pondage.gateway.call import Call, Caller, Response, Rooms

if TYPE_CHECKING:
    from prometheus_client import Metric


async def healthz(call: Call) -> Response:
    """The process answers."""
    return answers.json({"status": "ok"})


async def readyz(call: Call) -> Response:
    """200 once every served app has a ready runner, or may scale to none, and disk and files can be used; else 503.

    The reasons name apps, paths, and whatever a `setup()` raised: they are for an operator's key, or on an open server
    for this machine. Everybody else learns whether it is ready.
    """
    apps, server = _waiting(call.rooms)
    ready = not apps and not server
    shown: dict[str, Any] = {"ready": ready}
    caller = _operator(call)
    if caller is not None:
        mine = {name: why for name, why in apps.items() if caller.may_call(name)}
        # A key for some apps sees these; what is the whole server's is for who operates all of it.
        shown["waiting"] = mine if caller.apps is not None else {**server, **mine}
    return answers.json(shown, status=200 if ready else 503)


def _waiting(rooms: Rooms) -> tuple[dict[str, str], dict[str, str]]:
    """What is not ready, and why: of the apps, and of the server itself."""
    server = rooms.health.wrong()
    apps: dict[str, str] = {}
    fleet = rooms.fleet
    for name in fleet.app_names():
        app = fleet.app(name)
        if app is None or app.slots or (app.fault or "").endswith("not served by this server just now"):
            continue
        if app.info.min_concurrency == 0 and app.info.endpoints:
            continue
        apps[name] = app.fault or "setting up"
    return apps, server


def _operator(call: Call) -> Caller | None:
    """Who asks, if it may see why."""
    access = call.rooms.access
    try:
        caller: Caller = access.identify(call.headers.get("authorization"), None)
    except Unauthorized:
        return None
    return caller if caller.may("operate") else None


async def metrics(call: Call) -> Response:
    """Prometheus text; with a key for some apps, of these."""
    # Its library reads files of the system as it is loaded; only who asks for metrics pays for it, and nobody waits.
    await asyncio.to_thread(import_module, "prometheus_client")
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(_Gauges(call.rooms, call.caller))
    body = generate_latest(registry)
    return answers.Answer(200, body, [(b"content-type", CONTENT_TYPE_LATEST.encode())])


class _Gauges:
    """Read at each scrape; nothing is counted twice."""

    def __init__(self, rooms: Rooms, caller: Caller) -> None:
        self._rooms = rooms
        self._caller = caller

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        fleet, queue = self._rooms.fleet, self._rooms.queue
        queued = GaugeMetricFamily("pondage_queued", "Requests that wait for a runner", labels=["app"])
        running = GaugeMetricFamily("pondage_running", "Requests that run", labels=["app"])
        runners = GaugeMetricFamily("pondage_runners", "Runner processes", labels=["app"])
        free = GaugeMetricFamily("pondage_free_slots", "Requests that could start at once", labels=["app"])
        up = GaugeMetricFamily("pondage_app_up", "1 where the app can run, 0 where it has a fault", labels=["app"])
        for name in filter(self._caller.may_call, fleet.app_names()):
            state, depth = fleet.app(name), queue.depth(name)
            queued.add_metric([name], depth.queued)
            running.add_metric([name], depth.running)
            if state is not None:
                runners.add_metric([name], state.runners)
                free.add_metric([name], state.free)
                up.add_metric([name], 0 if state.fault else 1)
        yield from (queued, running, runners, free, up)
        if self._caller.apps is not None:
            return
        answered = CounterMetricFamily("pondage_http_responses", "HTTP answers by status", labels=["status"])
        for status, count in sorted(self._rooms.answered.items()):
            answered.add_metric([str(status)], count)
        yield answered
