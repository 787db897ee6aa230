"""`python -m pondage.testing.gateway SETTINGS_JSON TARGET…`: the process behind `GatewayProcess`."""

from __future__ import annotations

import sys

import msgspec

from pondage import telemetry
from pondage.loop import run_loop
from pondage.server import serve
from pondage.settings import load

if __name__ == "__main__":
    telemetry.set_up("INFO")
    settings, _ = load(msgspec.json.decode(sys.argv[1]), environ={})
    run_loop(serve(settings, sys.argv[2:], alone=True))
