"""A gateway as a process of its own, which a test may stop, kill and start again over the same data folder."""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import msgspec

from pondage.errors import PondageError

_START_LIMIT = 30.0
_NO_CHECK = ssl._create_unverified_context()  # noqa: S323 - asks our own child process whether it is there


class GatewayProcess:
    """`pondage serve` with the given settings, from a child process.

    Args:
        targets: what to serve.
        data: the data folder, kept over restarts.
        module: the module that is run; it takes the settings and the targets as arguments.
        environ: further environment variables of the process and its runners.
        settings: fields of `pondage.settings.Settings`. The port is chosen at the first start and then kept.
    """

    def __init__(
        self,
        *targets: str,
        data: Path,
        module: str = "pondage.testing.gateway",
        environ: Mapping[str, str] = {},
        **settings: Any,
    ) -> None:
        self._targets = targets
        self._module = module
        self._environ = environ
        self._settings: dict[str, Any] = {"port": 0, "grace": 5.0, **settings, "data": str(data)}
        self.data = data
        self.url = ""
        self.log = data.parent / f"{data.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise PondageError("the gateway was not started")
        return self._process.pid

    def start(self, *, ready: bool = True, timeout: float = _START_LIMIT) -> None:
        """Start, and wait until it answers; with `ready`, until every app has a runner.

        Raises:
            PondageError: it does not; the message ends with its log.
        """
        note = self.data / "gateway.json"
        note.unlink(missing_ok=True)
        arguments = [sys.executable, "-m", self._module, msgspec.json.encode(self._settings).decode()]
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [*arguments, *self._targets],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **self._environ},
            )
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            if note.exists():
                self.url = msgspec.json.decode(note.read_bytes())["url"]
                self._settings["port"] = int(self.url.rsplit(":", 1)[1])
                if self._answers("/readyz" if ready else "/healthz"):
                    return
            time.sleep(0.01)
        tail = self.log.read_text(errors="replace")[-2000:]
        raise PondageError(f"the gateway did not come up (exit code {self._process.poll()}):\n{tail}")

    def _answers(self, path: str) -> bool:
        try:
            with urlopen(self.url + path, timeout=5, context=_NO_CHECK) as answer:  # noqa: S310 - our own loopback address
                return bool(answer.status == 200)
        except (HTTPError, URLError, OSError):
            return False

    def kill(self) -> None:
        """`kill -9` of the gateway; its runners live on for a while."""
        self._signal(signal.SIGKILL)
        self.wait()

    def runner_pids(self) -> list[int]:
        """The pids of runners, as the data folder notes them."""
        found = []
        for path in (self.data / "runners").glob("*.json"):
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                found.append(int(msgspec.json.decode(path.read_bytes())["pid"]))
        return found

    def kill_runners(self) -> list[int]:
        """`kill -9` of every runner; returns their pids."""
        pids = self.runner_pids()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pids

    def kill_everything(self) -> None:
        """`kill -9` of the gateway and all its runners."""
        self._signal(signal.SIGKILL)
        self.kill_runners()
        self.wait()

    def stop(self, timeout: float = 60.0) -> int:
        """Ask it to drain and stop; returns its exit code."""
        self._signal(signal.SIGTERM)
        return self.wait(timeout)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def wait(self, timeout: float = 60.0) -> int:
        """Wait for its end."""
        return self._process.wait(timeout) if self._process is not None else 0

    def __enter__(self) -> GatewayProcess:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._signal(signal.SIGKILL)
        self.wait()
        self.kill_runners()
