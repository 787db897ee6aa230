"""Blobs in an object store, by URL: `s3://bucket/prefix`, `gs://…`, `az://…`.

Credentials and endpoints come from the environment, under the names that each provider's own tools read. An object
becomes visible in the store when it is whole; a broken multipart upload leaves nothing that can be read.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import from_url

from penstock.errors import SetupError, Unavailable
from penstock.files.blobs import BLOCK, Blob, DamagedFile, Lying, Sums, check_block, in_thread

PART = 8 * 1024 * 1024
"""Bytes of one part on the way to the store; a smaller object goes in one request."""
RETRIES = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}
CLIENT = {"timeout": "60s", "connect_timeout": "5s"}
SIGNED = {"s3", "s3a"}
"""Stores to which callers send bytes themselves: a PUT to a signed URL needs no header of the store's own."""


class ObjectBlobs:
    """See `penstock.files.blobs.Blobs`."""

    def __init__(self, store: Any, *, url: str) -> None:
        self._store = store
        self._url = url
        self._signs = urlsplit(url).scheme in SIGNED

    @classmethod
    async def open(cls, url: str) -> ObjectBlobs:
        """Connect to a bucket. A query adds the store's options: `s3://bucket/prefix?endpoint=http://…&region=…`.

        Raises:
            SetupError: the URL names no store, or the bucket cannot be listed.
        """
        parts = urlsplit(url)
        bare = parts._replace(query="").geturl()
        options: dict[str, Any] = dict(parse_qsl(parts.query))
        client: dict[str, Any] = dict(CLIENT)
        endpoint = str(options.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL") or "")
        if endpoint.startswith("http://"):
            client["allow_http"] = True
        try:
            # The options of three providers in one variable: typed as what they have in common.
            store = cast(Any, from_url)(bare, config=options or None, client_options=client, retry_config=RETRIES)
            blobs = cls(store, url=bare)
            await blobs.size("penstock-probe")
        except (BaseError, ValueError, Unavailable) as error:
            raise SetupError(f"cannot use the files at {bare}: {error}") from error
        return blobs

    async def write(self, chunks: AsyncIterator[bytes], *, md5: bool = False) -> Blob:
        key = f"blob-{secrets.token_hex(24)}"
        sums = Sums(md5=md5)
        failed: list[BaseException] = []

        async def counted() -> AsyncGenerator[bytes, None]:
            batch: list[bytes] = []
            held = 0
            try:
                async for chunk in chunks:
                    batch.append(chunk)
                    held += len(chunk)
                    if held >= BLOCK:
                        data = b"".join(batch)
                        await in_thread(sums.add, data)
                        batch, held = [], 0
                        yield data
            except BaseException as error:
                failed.append(error)
                raise
            if batch:
                data = b"".join(batch)
                await in_thread(sums.add, data)
                yield data

        try:
            await obstore.put_async(self._store, key, counted(), chunk_size=PART, max_concurrency=2)
        except Exception as error:
            if failed:
                raise failed[0] from None
            raise self._refused(error) from error
        return sums.blob(key)

    async def read(self, blob: Blob, start: int, end: int) -> AsyncGenerator[bytes, None]:
        if start >= end:
            return
        first = start // BLOCK * BLOCK
        last = min(-(-end // BLOCK) * BLOCK, blob.size)
        try:
            answer = await obstore.get_async(self._store, blob.key, options={"range": (first, last)})
            at, held = first, bytearray()
            async for chunk in answer.stream(min_chunk_size=BLOCK):
                held += chunk
                while len(held) >= BLOCK or (held and at + len(held) == last):
                    data = bytes(held[:BLOCK])
                    del held[:BLOCK]
                    check_block(blob, at // BLOCK, data)
                    yield data[max(start - at, 0) : min(end - at, len(data))]
                    at += len(data)
            if at != last:
                raise DamagedFile(f"stored bytes are damaged: {blob.key} ends at {at + len(held)}, not {blob.size}")
        except NotFoundError as error:
            raise DamagedFile(f"stored bytes are gone: {blob.key}") from error
        except BaseError as error:
            raise self._refused(error) from error

    async def delete(self, key: str) -> None:
        try:
            await obstore.delete_async(self._store, key)
        except (NotFoundError, FileNotFoundError):
            return
        except BaseError as error:
            raise self._refused(error) from error

    async def size(self, key: str) -> int | None:
        try:
            return int((await obstore.head_async(self._store, key))["size"])
        except (NotFoundError, FileNotFoundError):
            return None
        except BaseError as error:
            raise self._refused(error) from error

    async def lying(self) -> AsyncIterator[list[Lying]]:
        try:
            async for batch in obstore.list(self._store, chunk_size=500):
                yield [Lying(one["path"], one["last_modified"].timestamp()) for one in batch]
        except BaseError as error:
            raise self._refused(error) from error

    async def presign_put(self, key: str, seconds: float) -> str | None:
        if not self._signs:
            return None
        return await obstore.sign_async(self._store, "PUT", key, timedelta(seconds=seconds))

    async def close(self) -> None:
        return None

    def _refused(self, error: Exception) -> Unavailable:
        return Unavailable(f"the object store {self._url} does not take or give the bytes: {str(error)[:300]}")
