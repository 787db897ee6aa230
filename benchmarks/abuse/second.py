"""The second caller: a small call every 20 ms, and what each took.

python -m benchmarks.abuse.second '{"port": …, "seconds": …, "key": …, "path": …}'
"""

from __future__ import annotations

import json
import socket
import sys
import time

from benchmarks.load import HOST

EVERY = 0.02
_PATIENCE = 30.0


def main(port: int, seconds: float, key: str, path: str) -> list[float]:
    """Seconds of each call. A call that takes long stands for those that would have been asked meanwhile."""
    authorization = f"Authorization: {key}\r\n" if key else ""
    body = b'{"x": 41, "pad": ""}'
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\n{authorization}Content-Type: application/json\r\n"
    ask = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    times: list[float] = []
    end = time.monotonic() + seconds
    connection: socket.socket | None = None
    while (began := time.monotonic()) < end:
        try:
            if connection is None:
                connection = socket.create_connection((HOST, port), timeout=_PATIENCE)
            connection.sendall(ask)
            answer = connection.recv(65536)
            if b" 200 " not in answer[:20]:
                raise ConnectionError(answer[:200].decode(errors="replace"))
        except OSError as error:
            print(error, file=sys.stderr)
            connection = None
            times.append(_PATIENCE)
            time.sleep(EVERY)
            continue
        took = time.monotonic() - began
        while took > 0:
            times.append(took)
            took -= EVERY
        time.sleep(max(began + EVERY - time.monotonic(), 0))
    return times


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
