"""What `make demo` runs: a server with the OCR app, one picture through its queue, and all that can be seen of it.

It ends by itself. The server's data is thrown away; the annotated picture stays in ./demo-out/.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from pondage.client import ClientError, Completed, InProgress, Queued, Status, SyncClient

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "samples" / "page.png"
OUT = Path("demo-out")
READY_LIMIT = 60.0


def main() -> int:
    data = Path(tempfile.mkdtemp(prefix="pondage-demo-"))
    server = start_server(data)
    try:
        url = wait_for(server, "listening")["url"]
        print(f"Pondage listens at {url}; its runner loads the model meanwhile.")
        with SyncClient(base_url=url) as client:
            return demonstrate(client)
    except ClientError as error:
        print(f"the demo failed: {error}", file=sys.stderr)
        return 1
    finally:
        server.terminate()
        server.wait(timeout=20)
        shutil.rmtree(data, ignore_errors=True)


def start_server(data: Path) -> subprocess.Popen[str]:
    """`pondage serve` on a free port."""
    command = [sys.executable, "-m", "pondage.cli", "serve", str(HERE / "app.py"), "--json"]
    command += ["--port", "0", "--data", str(data), "--grace", "5"]
    # Messages of the server itself, if there are any, come to our own standard error.
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})


def wait_for(server: subprocess.Popen[str], event: str) -> dict[str, Any]:
    """The next line of the server that has this event."""
    assert server.stdout is not None
    for line in server.stdout:
        said = msgspec.json.decode(line, type=dict[str, Any])
        if said.get("event") == event:
            return said
        if "error" in said:
            raise SystemExit(f"the server did not start: {said['error']['message']}")
    raise SystemExit("the server ended before it was ready")


def demonstrate(client: SyncClient) -> int:
    began = time.monotonic()
    image = client.upload_file(PAGE)
    print(f"Uploaded {PAGE.name}: {image}\n")
    output = client.subscribe(
        "local/ocr",
        {"image": image},
        with_logs=True,
        on_enqueue=lambda request_id: print(f"Request {request_id} is in the queue, on disk."),
        on_queue_update=Screen().show,
    )
    print(f"\nThe text of the page ({len(output['lines'])} lines, {time.monotonic() - began:.1f} s in all):\n")
    print(output["text"])
    OUT.mkdir(exist_ok=True)
    target = OUT / "page-annotated.png"
    save(client, output["annotated"]["url"], target)
    print(f"\nThe picture with the lines marked: {target.resolve()}")
    print("Leave a server running with: make serve")
    return 0


class Screen:
    """Shows each status as it comes."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._last = ""

    def show(self, status: Status) -> None:
        if isinstance(status, Queued):
            self._say(f"queued, {status.position} ahead")
        elif isinstance(status, InProgress | Completed):
            for entry in status.new_logs:
                self._say(f"  │ {entry['message']}")
            if isinstance(status, InProgress) and status.progress and status.progress.total:
                done = status.progress.step / status.progress.total
                bar = "▰" * round(12 * done) + "▱" * (12 - round(12 * done))
                self._say(f"{bar} {done:4.0%}  {status.progress.message}")
            if isinstance(status, Completed):
                self._say(f"completed; the model took {status.metrics.get('inference_time') or 0:.2f} s")

    def _say(self, text: str) -> None:
        if text != self._last:
            print(f"{time.monotonic() - self._began:6.2f} s  {text}", flush=True)
        self._last = text


def save(client: SyncClient, url: str, target: Path) -> None:
    """Fetch a file of the server."""
    from urllib.request import urlopen

    with urlopen(url, timeout=30) as answer:  # a public URL of our own loopback server
        target.write_bytes(answer.read())


if __name__ == "__main__":
    sys.exit(main())
