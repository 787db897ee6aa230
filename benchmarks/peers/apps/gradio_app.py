"""The workload behind Gradio's queue.

python gradio_app.py PORT
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

import gradio


async def add(work: dict[str, Any]) -> dict[str, int]:
    return {"y": work["x"] + 1}


async def numbers(count: dict[str, int]) -> AsyncIterator[str]:
    for i in range(count["n"]):
        yield f'{{"i": {i}}}'


with gradio.Blocks() as page:
    given, answer, text = gradio.JSON(), gradio.JSON(), gradio.Textbox()
    gradio.Button().click(add, given, answer, api_name="run", concurrency_limit=64)
    gradio.Button().click(numbers, given, text, api_name="stream", concurrency_limit=64)

if __name__ == "__main__":
    page.queue(max_size=None).launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True)
