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

from pondage.errors import SetupError, Unavailable
from pondage.files.blobs import BLOCK, Blob, DamagedFile, StoredKey, Sums, check_block, in_thread
from pondage.wire.masking import masked

PART = 8 * 1024 * 1024
"""Bytes of one part on the way to the store; a smaller object goes in one request."""
RETRIES = 3
"""Times that the store is asked again after a 5xx, a reset or no answer."""
TIMEOUT = 60.0
"""Seconds for one request to the store, a part of 8 MiB or less."""
CONNECT_TIMEOUT = 5.0
_OF_CONNECTIONS = frozenset(
    {
        "allow_http", "allow_invalid_certificates", "connect_timeout", "default_content_type", "default_headers",
        "http1_only", "http2_only", "http2_keep_alive_interval", "http2_keep_alive_timeout", "http2_max_frame_size",
        "http2_keep_alive_while_idle", "pool_idle_timeout", "pool_max_idle_per_host", "proxy_url", "proxy_excludes",
        "proxy_ca_certificate", "randomize_addresses", "read_timeout", "timeout", "user_agent",
    }
)  # fmt: skip
"""Options of the library that are its connections', which we set."""
_GONE = (NotFoundError, FileNotFoundError)
_FAILED = (BaseError, OSError)
SIGNED = {"s3", "s3a"}
"""Stores to which callers send bytes themselves: a PUT to a signed URL needs no header of the store's own."""


PROBE = "pondage-probe"
"""A key that nothing lies under: asking for it shows that the bucket answers."""


class ObjectBlobs:
    """See `pondage.files.blobs.Blobs`."""

    def __init__(self, store: Any, *, url: str) -> None:
        self._store = store
        self._url = url
        self._signs = urlsplit(url).scheme in SIGNED

    @classmethod
    async def open(cls, url: str, *, timeout: float = TIMEOUT, retries: int = RETRIES) -> ObjectBlobs:
        """Connect to a bucket. A query adds the store's options: `s3://bucket/prefix?endpoint=http://…&region=…`.

        Args:
            timeout: seconds for one request to the store.
            retries: times that a failed request is repeated.

        Raises:
            SetupError: the URL names no store, or the bucket cannot be listed.
        """
        bare = masked(url.partition("?")[0])
        try:
            blobs = cls(store_of(url, timeout, retries), url=bare)
            await blobs.probe()
        except (*_FAILED, ValueError, Unavailable) as error:
            raise SetupError(f"cannot use the files at {bare}: {_without_secrets(error, url)}") from None
        return blobs

    @classmethod
    async def holds_files(cls, url: str) -> bool:
        """Whether anything of ours lies in a bucket.

        Raises:
            SetupError: as `open`.
        """
        blobs = await cls.open(url)
        try:
            async for batch in blobs.lying():
                if batch:
                    return True
            return False
        except Unavailable as error:
            raise SetupError(str(error)) from error
        finally:
            await blobs.close()

    async def write(self, chunks: AsyncIterator[bytes], *, sha256: bool = False, md5: bool = False) -> Blob:
        key = f"blob-{secrets.token_hex(24)}"
        sums = Sums(sha256=sha256, md5=md5)
        source = _Source(chunks, sums)
        batches = source.batches()
        try:
            first: list[bytes] = []
            while len(first) < PART // BLOCK and (batch := await anext(batches, None)) is not None:
                first.append(batch)
            if len(first) < PART // BLOCK:
                await obstore.put_async(self._store, key, b"".join(first), use_multipart=False)
            else:
                await obstore.put_async(self._store, key, _chained(first, batches), chunk_size=PART, max_concurrency=2)
        except Exception as error:
            if source.failure is not None:
                raise source.failure from None
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
        except _GONE as error:
            raise DamagedFile(f"stored bytes are gone: {blob.key}") from error
        except _FAILED as error:
            raise self._refused(error) from error

    async def delete(self, key: str) -> None:
        try:
            await obstore.delete_async(self._store, key)
        except _GONE:
            return
        except _FAILED as error:
            raise self._refused(error) from error

    async def size(self, key: str) -> int | None:
        try:
            return int((await obstore.head_async(self._store, key))["size"])
        except _GONE:
            return None
        except _FAILED as error:
            raise self._refused(error) from error

    async def lying(self) -> AsyncIterator[list[StoredKey]]:
        try:
            async for batch in obstore.list(self._store, chunk_size=500):
                yield [StoredKey(one["path"], one["last_modified"].timestamp()) for one in batch]
        except _FAILED as error:
            raise self._refused(error) from error

    async def presign_put(self, key: str, seconds: float) -> str | None:
        if not self._signs:
            return None
        return await obstore.sign_async(self._store, "PUT", key, timedelta(seconds=seconds))

    async def adopt(self, key: str) -> Blob | None:
        own = f"blob-{secrets.token_hex(24)}"
        try:
            await obstore.copy_async(self._store, key, own)
        except _GONE:
            return None
        except _FAILED as error:
            raise self._refused(error) from error
        size = await self.size(own)
        return None if size is None else Blob(own, size)

    async def probe(self) -> None:
        await self.size(PROBE)

    async def close(self) -> None:
        return None

    def _refused(self, error: Exception) -> Unavailable:
        why = f"the object store {self._url} does not take or give the bytes: {_in_one_line(error)}"
        return Unavailable("the store of files does not take or give bytes just now", inner=why)


def store_of(url: str, timeout: float = TIMEOUT, retries: int = RETRIES) -> Any:
    """The library's store for a URL, its query as options; asks nobody yet.

    Raises:
        BaseError, ValueError: the URL names no store, lacks what its provider needs, or has an option that is none.
    """
    parts = urlsplit(url)
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    for name in options:
        # The library ends the process's thread in a panic over these, though it knows them.
        if name.lower().removeprefix("aws_").removeprefix("google_").removeprefix("azure_") in _OF_CONNECTIONS:
            raise ValueError(
                f"{name} is no option of the store; an endpoint that begins with http:// is reached without TLS, and "
                "HTTPS_PROXY and SSL_CERT_FILE are read from the environment"
            )
    client: dict[str, Any] = {"timeout": f"{timeout:g}s", "connect_timeout": f"{CONNECT_TIMEOUT:g}s"}
    endpoint = str(options.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL") or "")
    if endpoint.startswith("http://"):
        client["allow_http"] = True
    # The options of three providers in one variable: typed as what they have in common.
    return cast(Any, from_url)(
        parts._replace(query="").geturl(),
        config=options or None,
        client_options=client,
        retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=timeout)},
    )


def _without_secrets(error: Exception, url: str) -> str:
    """What the store said of a URL, without the values of its options that may be secrets."""
    text = _in_one_line(error)
    shown = masked(url)
    for name, value in parse_qsl(urlsplit(url).query):
        if f"{name}={value}" not in shown and len(value) > 2:
            text = text.replace(value, "…")
    return text


class _Source:
    """What a caller sends, in blocks, summed up on the way; its own failure is told from the store's."""

    def __init__(self, chunks: AsyncIterator[bytes], sums: Sums) -> None:
        self._chunks = chunks
        self._sums = sums
        self.failure: BaseException | None = None

    async def batches(self) -> AsyncGenerator[bytes, None]:
        batch: list[bytes] = []
        held = 0
        try:
            async for chunk in self._chunks:
                batch.append(chunk)
                held += len(chunk)
                if held >= BLOCK:
                    yield await self._summed(batch)
                    batch, held = [], 0
        except Exception as error:
            self.failure = error
            raise
        if batch:
            yield await self._summed(batch)

    async def _summed(self, batch: list[bytes]) -> bytes:
        data = b"".join(batch)
        await in_thread(self._sums.add, data)
        return data


async def _chained(first: list[bytes], rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    for batch in first:
        yield batch
    first.clear()
    async for batch in rest:
        yield batch


def _in_one_line(error: Exception) -> str:
    """What the store said; the library adds its own insides below."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
