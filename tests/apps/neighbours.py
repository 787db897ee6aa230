"""An app whose requests share one process, and do to it what would end their neighbours; and one whose device fails."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gates import passed

import pondage


class Together(pondage.App, name="acme/together", max_multiplexing=16):
    @pondage.endpoint("/slow")
    async def slow(self, gate: str) -> str:
        """Waits at a gate, in a child task of its own."""
        return await asyncio.create_task(self._pass(gate))

    async def _pass(self, gate: str) -> str:
        pondage.current_request.log("begun")
        await passed(gate)
        return "passed"

    @pondage.endpoint("/exit")
    async def exit(self, how: str) -> str:
        async def leave() -> None:
            raise {"SystemExit": SystemExit(2), "KeyboardInterrupt": KeyboardInterrupt()}[how]

        return str(await asyncio.gather(leave()))

    @pondage.endpoint("/callback")
    async def callback(self) -> str:
        asyncio.get_running_loop().call_soon(sys.exit, 3)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return "went on"

    @pondage.endpoint("/stop")
    async def stop(self) -> str:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0)
        return "went on"

    @pondage.endpoint("/cancel")
    async def cancel(self) -> str:
        for task in asyncio.all_tasks():
            task.cancel()
        return "cancelled"

    @pondage.endpoint("/interrupt")
    def interrupt(self) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return "went on"


class Device(pondage.App, name="acme/device"):
    """Its device fails in as many processes as the input says; each leaves its process id behind."""

    def _use(self, folder: str, fails: int) -> int:
        seen = Path(folder)
        (seen / str(os.getpid())).touch()
        if len(list(seen.iterdir())) <= fails:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB\nmore words")
        return os.getpid()

    @pondage.endpoint("/")
    def run(self, folder: str, fails: int) -> int:
        return self._use(folder, fails)

    @pondage.endpoint("/stream")
    async def stream(self, folder: str, fails: int) -> AsyncIterator[Any]:
        yield "first"
        yield self._use(folder, fails)

    @pondage.endpoint("/busy")
    def busy(self) -> None:
        raise pondage.AppException("CUDA out of memory, try a smaller picture", 503)
