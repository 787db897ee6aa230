"""For machines: health and readiness."""

from __future__ import annotations

from typing import Any

from pondage.errors import Unauthorized
from pondage.gateway import answers
from pondage.gateway.call import Call, Caller, Response, Rooms


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
        if app is None or app.slots or app.held or not app.served:
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
