"""`python -m penstock.testing.gateway SETTINGS_JSON TARGET…`: the process behind `GatewayProcess`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

import msgspec

from penstock import telemetry
from penstock.server import serve
from penstock.settings import load


def run(work: Coroutine[Any, Any, int]) -> int:
    """Run on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


if __name__ == "__main__":
    telemetry.set_up("INFO")
    settings, _ = load(msgspec.json.decode(sys.argv[1]), environ={})
    run(serve(settings, sys.argv[2:]))
