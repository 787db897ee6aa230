"""How a runner's process ends: with what it has started, and with no thread of an author's code holding it."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
from typing import NoReturn

from pondage import processes
from pondage.runner.descriptors import flush_c

EXIT_PATIENCE = 3.0
"""Seconds that what libraries have registered with `atexit` may take."""

KIN_PATIENCE = 1.0
"""Seconds that children are looked for; those that go on making more are left to the gateway."""

_PAUSE = 0.02


def leave(code: int) -> NoReturn:
    """End this process at once, and all that it has started."""
    with contextlib.suppress(Exception):
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            if stream is not None:
                stream.flush()
        flush_c()
    with contextlib.suppress(OSError):
        _end_kin()
    os._exit(code)


def leave_in_order(code: int) -> NoReturn:
    """The same after what libraries have registered for the end of a process, in the main thread as always."""
    late = threading.Timer(EXIT_PATIENCE, leave, [code])
    late.daemon = True
    late.start()
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    leave(code)


def _end_kin() -> None:
    until = time.monotonic() + KIN_PATIENCE
    while time.monotonic() < until:
        found = processes.survey()
        left = processes.kin(found, os.environ.get(processes.MARK, ""), os.getpid())
        # Those who clean up after others leave when the others have.
        left = [process for process in left if process.pid not in found.janitors]
        if not left:
            return
        for process in left:
            processes.kill(process)
        time.sleep(_PAUSE)
