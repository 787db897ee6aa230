"""`--reload`: an app whose files have changed is started again, and the old runner leaves once the new one is ready."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from pondage.errors import PondageError
from pondage.fleet.discover import AppSource, discover

log = logging.getLogger("pondage.fleet")

_INTERVAL = 0.5
"""Seconds between two looks."""


async def watch_sources(sources: list[AppSource], serve: Callable[[AppSource], Awaitable[None]]) -> None:
    """Look at the Python files beside each app, and serve it anew when one has changed."""
    seen = {source.spec: await asyncio.to_thread(_stamp, source.path) for source in sources}
    while True:
        await asyncio.sleep(_INTERVAL)
        for source in sources:
            stamp = await asyncio.to_thread(_stamp, source.path)
            if stamp != seen[source.spec]:
                seen[source.spec] = stamp
                log.info("%s has changed: %s starts again", source.path, source.name)
                await serve(await _again(source))


async def _again(source: AppSource) -> AppSource:
    """The source as its file declares it now; as it was, where the file does not tell. A name stays."""
    try:
        (now,) = await discover(source.spec, source.name.partition("/")[0])
    except (PondageError, ValueError):
        return source
    return now._replace(name=source.name)


def _stamp(path: Path | None) -> dict[str, int]:
    """When each Python file in the app's folder was last written."""
    stamps: dict[str, int] = {}
    if path is not None:
        for file in path.parent.glob("*.py"):
            try:
                stamps[file.name] = file.stat().st_mtime_ns
            except FileNotFoundError:
                continue
    return stamps
