"""A child that an author's code forks is theirs while that code runs. Where it comes back to us it ends, as a forked
child of a script ends at the end of its code: requests, loop and link are the parent's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import traceback
from typing import NoReturn

here = False
"""Whether this process is such a child."""


def begin(loop: asyncio.AbstractEventLoop | None) -> None:
    """In the child, just forked. `loop`: the one that the forking code ran on; the child's first turn of it is the
    last."""
    global here
    here = True
    if loop is not None:
        loop.call_soon(end, None)


def end(error: BaseException | None) -> NoReturn:
    """End the child with the code that Python gives a script which ends so. What is registered with `atexit` is the
    parent's, and not called."""
    while error is not None and not isinstance(error, SystemExit) and isinstance(error.__cause__, SystemExit):
        error = error.__cause__
    with contextlib.suppress(BaseException):
        if isinstance(error, SystemExit):
            if isinstance(error.code, str):
                print(error.code, file=sys.stderr)
        elif error is not None:
            traceback.print_exception(error)
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(Exception):
            if stream is not None:
                stream.flush()
    os._exit(_code_of(error))


def _code_of(error: BaseException | None) -> int:
    code = error.code if isinstance(error, SystemExit) else None if error is None else 1
    if code is None:
        return 0
    return code & 0xFF if isinstance(code, int) else 1
