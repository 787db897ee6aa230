"""The app that is tortured. Each execution is in the runner's journal before it begins and after it has ended."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import BaseModel

import pondage
from pondage.torture.journals import Journal
from pondage.torture.words import JOURNALS, SLOTS


class Work(BaseModel):
    """`n` names the work, `seconds` is how long it takes."""

    n: int
    seconds: float = 0.0


class Result(BaseModel):
    """`proof` can only be made from the input; `execution` is another one each time the function runs."""

    n: int
    proof: str
    request_id: str
    execution: str


class Piece(BaseModel):
    n: int
    i: int
    execution: str


class StreamWork(Work):
    count: int = 10


class FileWork(Work):
    file: pondage.File


class FileResult(Result):
    file: pondage.File


class Tortured(
    pondage.App,
    name="torture/app",
    max_multiplexing=SLOTS,
    min_concurrency=2,
    max_concurrency=2,
    pass_env=["PONDAGE_TORTURE_*"],
):
    """Two runners with eight slots each."""

    def setup(self) -> None:
        folder = Path(os.environ[JOURNALS])
        self.journal = Journal(folder / f"runner-{os.getpid()}-{time.time_ns()}.jsonl")

    @pondage.endpoint("/")
    async def run(self, input: Work) -> Result:
        result = self._begin(input)
        await asyncio.sleep(input.seconds)
        self._end(result)
        return result

    @pondage.endpoint("/sync")
    def sync(self, input: Work) -> Result:
        result = self._begin(input)
        time.sleep(input.seconds)
        self._end(result)
        return result

    @pondage.endpoint("/pieces")
    async def pieces(self, input: StreamWork) -> AsyncIterator[Piece]:
        result = self._begin(input)
        for i in range(input.count):
            yield Piece(n=input.n, i=i, execution=result.execution)
            await asyncio.sleep(input.seconds / input.count)
        self._end(result)

    @pondage.endpoint("/file")
    def file(self, input: FileWork) -> FileResult:
        result = self._begin(input)
        data = input.file.as_bytes()
        time.sleep(input.seconds)
        stored = pondage.File.from_bytes(backwards(data), "application/octet-stream", "backwards.bin")
        self._end(result)
        return FileResult(**result.model_dump(), file=stored)

    def _begin(self, work: Work) -> Result:
        request = pondage.current_request
        execution = secrets.token_hex(8)
        # A system call has the line before the next one runs, so that no kill of this process takes it back.
        self.journal.note(k="begin", request_id=request.request_id, attempt=request.attempt, execution=execution)
        return Result(n=work.n, proof=proof(work.n), request_id=request.request_id, execution=execution)

    def _end(self, result: Result) -> None:
        self.journal.note(k="end", request_id=result.request_id, execution=result.execution)


def proof(n: int) -> str:
    """What the result for `n` must hold."""
    return hashlib.sha256(b"pondage torture %d" % n).hexdigest()[:16]


def backwards(data: bytes) -> bytes:
    """What is done to files."""
    return data[::-1]
