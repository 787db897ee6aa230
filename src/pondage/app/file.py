"""`File`: a URL in JSON, bytes in the code; the ground of all media types (PROTOCOL 11.4)."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

import pydantic
from pydantic import BaseModel, Field, PrivateAttr, model_validator

from pondage.app.context import get_current_request
from pondage.app.exceptions import FieldException
from pondage.app.sniff import HEAD, fits, kind_of
from pondage.wire import data_uri, media_types
from pondage.wire.text import clean

MAX_URL = 2 * 1024 * 1024
"""Longest address of an input, in characters. A data URI has the server's own limit, `fetch_max_bytes`."""
IN_MEMORY = "in_memory"
"""fal's name for the repository that is no storage: the medium carries a data URI."""


class MediaError(FieldException):
    """An input medium that cannot be used: 422 with the place of the medium in the input."""

    code: ClassVar[str] = "app.media"

    def __init__(self, loc: tuple[str | int, ...], message: str, type: str, url: str = "") -> None:
        super().__init__(".".join(map(str, loc)) or "input", message, 422, type)
        self.loc = loc
        self.url = url

    def entries(self) -> list[dict[str, Any]]:
        entry: dict[str, Any] = {"loc": ["body", *self.loc], "msg": self.message, "type": self.type}
        if self.url:
            entry["input"] = self.url
        return [entry]


class File(BaseModel):
    """A file by its URL.

    Attributes:
        url: where it can be read; `https://`, `http://` or `data:`.
        content_type: its MIME type, if it is known.
        file_name: its name, if it is known.
        file_size: its size in bytes, if it is known.
    """

    model_config = pydantic.ConfigDict(json_schema_extra={"x-pondage-media": "file"})
    family: ClassVar[str] = "file"
    max_bytes: ClassVar[int | None] = None
    """Largest input that is fetched; None for the server's own limit. A subclass may set it."""

    url: str = Field(description="The URL where the file can be downloaded from.")
    content_type: str | None = Field(default=None, description="The MIME type of the file.")
    file_name: str | None = Field(default=None, description="The name of the file.")
    file_size: int | None = Field(default=None, description="The size of the file in bytes.")

    _loc: tuple[str | int, ...] = PrivateAttr(())
    _path: Path | None = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _from_url(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    @pydantic.field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        scheme = url.partition(":")[0].lower()
        if scheme not in {"data", "http", "https"}:
            raise ValueError("must be an https:// or http:// URL or a data: URI")
        if scheme != "data" and len(url) > MAX_URL:
            raise ValueError(f"this URL has {len(url)} characters; at most {MAX_URL} are taken")
        return url

    # ---- as an output

    @classmethod
    def from_bytes(
        cls,
        data: bytes,
        content_type: str | None = None,
        file_name: str | os.PathLike[str] | None = None,
        repository: str | None = None,
        *,
        sync_mode: bool = False,
        **_storage: Any,
    ) -> Self:
        """Store bytes. `sync_mode` or `repository="in_memory"` makes a data URI; other repositories are the server's
        own storage, and further arguments of fal's are accepted and have no meaning here."""
        content_type = content_type or kind_of(data[:HEAD]) or "application/octet-stream"
        return cls._stored(data, content_type, file_name, inline=sync_mode or repository == IN_MEMORY)

    @classmethod
    def from_path(
        cls,
        path: str | Path,
        content_type: str | None = None,
        repository: str | None = None,
        *,
        sync_mode: bool = False,
        **_storage: Any,
    ) -> Self:
        """Store a file of this machine; it is read in slices, whatever its size.

        Raises:
            FileNotFoundError: there is none.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        if content_type is None:
            with path.open("rb") as file:
                content_type = media_types.type_of_name(path.name) or kind_of(file.read(HEAD))
        inline = sync_mode or repository == IN_MEMORY
        return cls._stored(path, content_type or "application/octet-stream", path.name, inline=inline)

    @classmethod
    async def from_bytes_async(cls, *args: Any, **keywords: Any) -> Self:
        """`from_bytes` for `async` code: another thread waits for the storage."""
        return await asyncio.to_thread(cls.from_bytes, *args, **keywords)

    @classmethod
    async def from_path_async(cls, *args: Any, **keywords: Any) -> Self:
        """`from_path` for `async` code. Raises as it."""
        return await asyncio.to_thread(cls.from_path, *args, **keywords)

    @classmethod
    def _stored(
        cls,
        data: bytes | Path,
        content_type: str,
        file_name: str | os.PathLike[str] | None,
        *,
        inline: bool = False,
        **more: Any,
    ) -> Self:
        name = clean(os.fsdecode(file_name)) if file_name else f"{cls.family}{media_types.ending_of(content_type)}"
        request = get_current_request()
        if inline or request is None:
            whole = data if isinstance(data, bytes) else data.read_bytes()
            url, size = f"data:{content_type};base64,{base64.b64encode(whole).decode()}", len(whole)
        else:
            url, size = request.files.put(data, content_type=content_type, file_name=name)
        members: dict[str, Any] = {"url": url, "content_type": content_type, "file_name": name, "file_size": size}
        # Not validated: what was just stored may be longer than what an input may be.
        return cls.model_construct(**members, **more)

    # ---- as an input

    @property
    def local_path(self) -> Path:
        """A local, read-only copy; fetched and checked when it is first needed, gone when the request ends (outside of
        a request: when the process does). It is named as the file is, or as its address or its type says.

        Raises:
            MediaError: it cannot be fetched, is too large or is not what its type says.
        """
        if self._path is None:
            self._path = self._fetch()
        return self._path

    def as_bytes(self) -> bytes:
        """All of it in memory. Raises as `local_path`."""
        if self._path is None and get_current_request() is None and data_uri.is_data_uri(self.url):
            return self._decoded()
        return self.local_path.read_bytes()

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Copy it to `path`.

        Raises:
            FileExistsError: there is something, and `overwrite` is not set. Otherwise as `local_path`.
        """
        path = Path(path)
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.local_path, path)
        return path

    async def save_async(self, path: str | Path, overwrite: bool = False) -> Path:
        """`save` for `async` code. Raises as it."""
        return await asyncio.to_thread(self.save, path, overwrite)

    def _fetch(self) -> Path:
        request = get_current_request()
        if request is None:
            if not data_uri.is_data_uri(self.url):
                raise RuntimeError("a medium is fetched within a request only")
            return self._kept()
        try:
            path, content_type = request.files.fetch(self.url, max_bytes=self.max_bytes)
        except (ValueError, ConnectionError, TimeoutError) as error:
            raise self._error(str(error), getattr(error, "error_type", "file_download_error")) from error
        size = path.stat().st_size
        if self.max_bytes is not None and size > self.max_bytes:
            raise self._error(f"it has {size} bytes; at most {self.max_bytes} are taken", "file_too_large")
        self.file_size = size
        with path.open("rb") as file:
            kind = kind_of(file.read(HEAD))
        self.content_type = _known(self.content_type) or _known(content_type) or kind or content_type
        self._check(path, kind)
        return self._named(path, kind)

    def _named(self, path: Path, kind: str | None) -> Path:
        """The same file under a name whose ending says what it is, since many libraries go by that."""
        ending = Path(self.file_name).suffix if self.file_name and media_types.type_of_name(self.file_name) else ""
        if not ending and media_types.type_of_name(path.name) is None:
            ending = media_types.ending_of(self.content_type) or media_types.ending_of(kind)
        if not ending or path.suffix.lower() == ending.lower():
            return path
        named = path.with_suffix(ending)
        if not named.exists():
            try:
                os.link(path, named)
            except FileExistsError:  # another medium of the same address was quicker
                pass
            except OSError:  # a file system without links
                shutil.copyfile(path, named)
        return named

    def _decoded(self) -> bytes:
        try:
            return data_uri.decode(self.url)[1]
        except ValueError as error:
            raise self._error(str(error), "file_download_error") from error

    def _kept(self) -> Path:
        """A data URI outside of a request, as a file that goes with the process."""
        data = self._decoded()
        said = data_uri.content_type_of(self.url)
        ending = media_types.ending_of(said) or media_types.ending_of(kind_of(data[:HEAD]))
        with tempfile.NamedTemporaryFile(dir=_own_folder().name, suffix=ending, delete=False) as file:
            file.write(data)
        return Path(file.name)

    def _check(self, path: Path, kind: str | None) -> None:
        """Judge the contents; `kind` is what their beginning tells."""
        if self.family not in {"file", "image"} and not fits(kind, self.family):
            raise self._error(f"this is no {self.family} that can be read", f"unsupported_{self.family}_format")

    def _error(self, message: str, type: str) -> MediaError:
        shown = self.url if len(self.url) <= 200 else ""
        return MediaError(self._loc, message, type, shown)


def _known(content_type: str | None) -> str | None:
    """The media type, unless it says nothing."""
    return None if media_types.bare(content_type or "") in {"", media_types.UNKNOWN} else content_type


@cache
def _own_folder() -> tempfile.TemporaryDirectory[str]:
    """Where media outside of requests lie; removed at the end of the process."""
    return tempfile.TemporaryDirectory(prefix="pondage-")
