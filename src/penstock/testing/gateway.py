"""`python -m penstock.testing.gateway SETTINGS_JSON TARGET…`: the process behind `GatewayProcess`."""

from __future__ import annotations

import sys

import msgspec

from penstock import telemetry
from penstock.loop import run_loop
from penstock.server import serve
from penstock.settings import load

if __name__ == "__main__":
    telemetry.set_up("INFO")
    settings, _ = load(msgspec.json.decode(sys.argv[1]), environ={})
    run_loop(serve(settings, sys.argv[2:]))
