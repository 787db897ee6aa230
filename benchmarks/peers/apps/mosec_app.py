"""The workload in mosec: HTTP in Rust, one Python process that adds and one that streams."""

from __future__ import annotations

from typing import Any

from mosec import Runtime, Server, SSEWorker, Worker


class Add(Worker):
    def forward(self, data: dict[str, Any]) -> dict[str, int]:
        return {"y": data["x"] + 1}


class Numbers(SSEWorker):
    def forward(self, data: dict[str, Any]) -> dict[str, Any]:
        for i in range(data["n"]):
            self.send_stream_event(f'{{"i": {i}}}', index=0)
        return data


if __name__ == "__main__":
    server = Server()
    server.register_runtime({"/run": [Runtime(Add, num=1)], "/stream": [Runtime(Numbers, num=1)]})
    server.run()
