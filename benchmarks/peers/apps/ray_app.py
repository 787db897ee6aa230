"""The workload in Ray Serve: its proxy, and one replica with FastAPI as its ingress.

python ray_app.py PORT FOLDER

Annotations are not deferred here: the replica is another process, and knows no names of this module.
"""

import signal
import sys
from collections.abc import AsyncIterator

import ray
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from ray import serve

api = FastAPI()


class Input(BaseModel):
    x: int
    pad: str


class Output(BaseModel):
    y: int


class Count(BaseModel):
    n: int


@serve.deployment(num_replicas=1, max_ongoing_requests=128, ray_actor_options={"num_cpus": 0.5})
@serve.ingress(api)
class Noop:
    @api.post("/run")
    async def run(self, input: Input) -> Output:
        return Output(y=input.x + 1)

    @api.post("/stream")
    async def stream(self, count: Count) -> StreamingResponse:
        async def numbers() -> AsyncIterator[str]:
            for i in range(count.n):
                yield f'data: {{"i": {i}}}\n\n'

        return StreamingResponse(numbers(), media_type="text/event-stream")

    @api.websocket("/realtime")
    async def echo(self, socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                await socket.send_text(await socket.receive_text())
        except WebSocketDisconnect:
            return


if __name__ == "__main__":
    ray.init(
        num_cpus=2, include_dashboard=False, object_store_memory=200 * 2**20, log_to_driver=False, _temp_dir=sys.argv[2]
    )
    quiet = {"enable_access_log": False}
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])}, logging_config=quiet)
    serve.run(Noop.bind(), route_prefix="/", logging_config=quiet)
    signal.pause()
