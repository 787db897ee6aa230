"""The same app in FastAPI, in process and without a queue. Runs in the peer's own environment."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

app = FastAPI()


class Input(BaseModel):
    x: int
    pad: str


class Output(BaseModel):
    y: int


class Count(BaseModel):
    n: int


@app.post("/run")
async def run(input: Input) -> Output:
    return Output(y=input.x + 1)


@app.post("/stream")
async def stream(count: Count) -> StreamingResponse:
    async def numbers() -> AsyncIterator[str]:
        for i in range(count.n):
            yield f'data: {{"i": {i}}}\n\n'

    return StreamingResponse(numbers(), media_type="text/event-stream")


@app.websocket("/realtime")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                await socket.send_text(message["text"])
            else:
                await socket.send_bytes(message["bytes"])
    except WebSocketDisconnect:
        return
