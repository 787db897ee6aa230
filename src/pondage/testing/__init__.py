"""For tests of apps and of callers: a real server with real runners, on a loopback port of its own.

::

    from pondage.testing import serve

    with serve("app.py") as server:
        client = SyncClient(base_url=server.url)
        assert client.run("local/app", {"prompt": "a fox"})["images"]

`serve` runs the gateway in a thread of this process; `GatewayProcess` runs it as a process of its own, which a test may
kill. Runners are processes of their own either way.
"""

from pondage.testing.process import GatewayProcess
from pondage.testing.thread import ServedApp, serve

__all__ = ["GatewayProcess", "ServedApp", "serve"]
