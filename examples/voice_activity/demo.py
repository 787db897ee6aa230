"""What `make voice` runs: a server with the app, and a recorded sentence sent to it as a microphone would.

It ends by itself, with `--fast` sooner. With `--page` it stays, and serves a page that listens to your microphone.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.server
import shutil
import subprocess
import sys
import tempfile
import threading
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pondage.client import AsyncClient

HERE = Path(__file__).resolve().parent
SPEECH = HERE.parent / "samples" / "speech.wav"
PIECE = 1024
"""Samples in a message: 64 ms."""
AHEAD = 8
"""Pieces that are under way at once; a server drops the oldest of a caller that never waits."""


def main() -> int:
    with served() as url:
        if "--page" not in sys.argv[1:]:
            asyncio.run(stream_file(url, SPEECH, pace=0.0 if "--fast" in sys.argv[1:] else 1.0))
            return 0
        port = int(url.rsplit(":", 1)[1]) + 1
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(HERE / "page"))
        with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as pages:
            print(f"Open http://127.0.0.1:{port}/?server={url} and speak. Control-C ends it.")
            with contextlib.suppress(KeyboardInterrupt):
                pages.serve_forever()
    return 0


async def stream_file(url: str, path: Path, pace: float = 1.0) -> list[dict[str, Any]]:
    """Send a WAV file piece by piece and print what comes back.

    Args:
        pace: 1 as fast as it was spoken, 0 as fast as it goes.

    Returns:
        The stretches of speech that were found.
    """
    stretches: list[dict[str, Any]] = []
    async with AsyncClient(base_url=url) as client:
        async with client.realtime.connect("local/voice-activity", throttle_interval=0) as session:
            free = asyncio.Semaphore(AHEAD)

            async def send() -> int:
                count = 0
                with wave.open(str(path)) as file:
                    print(f"{path.name}: {file.getnframes() / file.getframerate():.1f} s of sound")
                    while pcm := file.readframes(PIECE):
                        await free.acquire()
                        await session.send({"pcm": pcm})
                        count += 1
                        await asyncio.sleep(pace * PIECE / file.getframerate())
                return count

            sending = asyncio.create_task(send())
            heard = 0
            async for activity in session:
                heard += 1
                free.release()
                bar = "▮" * round(20 * activity["probability"])
                print(f"{activity['at']:6.2f} s  {'speech ' if activity['speaking'] else 'silence'} {bar}")
                stretches += activity["ended"]
                if sending.done() and heard == sending.result():
                    break
    for stretch in stretches:
        print(f"somebody spoke from {stretch['start']:.2f} s to {stretch['end']:.2f} s")
    return stretches


@contextlib.contextmanager
def served() -> Iterator[str]:
    """`pondage serve` on a free port, until the block ends; its URL."""
    data = Path(tempfile.mkdtemp(prefix="pondage-voice-"))
    command = [sys.executable, "-m", "pondage.cli", "serve", str(HERE / "app.py"), "--json"]
    command += ["--port", "0", "--data", str(data), "--grace", "2"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = ""
        for line in server.stdout:
            said = msgspec.json.decode(line, type=dict[str, Any])
            if "error" in said:
                raise SystemExit(f"the server did not start: {said['error']['message']}")
            if said.get("event") == "listening":
                url = said["url"]
                break
        # What else it says must not fill its pipe.
        threading.Thread(target=server.stdout.read, daemon=True).start()
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)
        shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
