"""An app that looks after its callers, as fal's documentation shows it; only the imports name another package."""

import asyncio
import time

from fastapi import Request
from pydantic import BaseModel, Field

import pondage as fal
from pondage.exceptions import RequestCancelledException
from pondage.toolkit import File
from pondage.toolkit.utils.endpoint import cancel_on_disconnect


class Input(BaseModel):
    seconds: float = Field(default=60, ge=0)


class FileInput(BaseModel):
    file: File


class Careful(fal.App, name="acme/careful", max_multiplexing=8):
    request_timeout = 100

    @fal.endpoint("/", health_check=fal.HealthCheck(start_period_seconds=10, failure_threshold=5))
    async def work(self, input: Input, request: Request) -> dict[str, float]:
        async with cancel_on_disconnect(request):
            print("working")
            await asyncio.sleep(input.seconds)
        return {"seconds": input.seconds}

    @fal.endpoint("/polite")
    def polite(self, input: Input) -> dict[str, float]:
        print("working")
        end = time.monotonic() + input.seconds
        while time.monotonic() < end:
            request = self.current_request
            assert request is not None
            if request.cancelled:
                raise RequestCancelledException("as you wish")
            time.sleep(0.01)
        return {"seconds": input.seconds}

    @fal.endpoint("/whoami")
    async def whoami(self) -> dict[str, object]:
        request = self.current_request
        assert request is not None
        return {
            "request_id": request.request_id,
            "endpoint": request.endpoint,
            "lifecycle": request.lifecycle_preference,
            "header": request.headers.get("x-my-header"),
        }

    @fal.endpoint("/file")
    def backwards(self, input: FileInput) -> File:
        return File.from_bytes(input.file.as_bytes()[::-1], content_type="text/plain", file_name="back.txt")
