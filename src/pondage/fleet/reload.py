"""`--reload`: an app whose own files have changed starts again, and the old runner leaves once the new one is ready.

That is a planned stop of this app and of no other: what runs finishes within `grace`, or runs again in the new runner.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from pondage.errors import PondageError
from pondage.fleet.discover import AppSource, discover
from pondage.fleet.imports import own_files

log = logging.getLogger("pondage.fleet")

_INTERVAL = 0.5
"""Seconds between two looks."""


async def watch_sources(sources: list[AppSource], serve: Callable[[AppSource], Awaitable[None]]) -> None:
    """Look at the files that each app imports of its own, and serve it anew when one has changed."""
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


def _stamp(path: Path | None) -> dict[Path, int]:
    """When each of the app's own files was last written; 0 where it is gone, as while an editor replaces it."""
    stamps: dict[Path, int] = {}
    for file in own_files(path, [Path.cwd()]) if path is not None else ():
        try:
            stamps[file] = file.stat().st_mtime_ns
        except OSError:
            stamps[file] = 0
    return stamps
