"""Files from the network for an author's code: inputs by the guarded fetcher, weights and repositories at start."""

from __future__ import annotations

import filecmp
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pondage.app.context import get_current_request
from pondage.app.media import File
from pondage.errors import PondageError
from pondage.wire.urls import in_ascii

FAL_PERSISTENT_DIR = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pondage"
"""Where downloads stay, with fal's name; there it is `/data`."""
FAL_MODEL_WEIGHTS_DIR = FAL_PERSISTENT_DIR / "weights"
FAL_REPOSITORY_DIR = FAL_PERSISTENT_DIR / "repositories"


_LONGEST_NAME = 200
"""Bytes of a file's name; the rest of what file systems allow is for what is put around it."""


class DownloadError(PondageError):
    """A file or a repository cannot be fetched."""

    code = "app.download"


def download_file(
    url: str,
    target_dir: str | Path,
    *,
    force: bool = False,
    request_headers: dict[str, str] | None = None,
    filesize_limit: int | None = None,
    file_name: str | None = None,
) -> Path:
    """Fetch `url` into `target_dir`, unless it is there already.

    Within a request the address may come from a caller. Then the server's own rules for addresses hold, its sender is
    asked each time (who may read it, and whether it has changed), and it lies in a folder of its whole address. In
    `setup()` the address is the author's: what was fetched from it stays as it is. A second address that ends in the
    same name has a folder of its own there, too, so that none is ever taken for another.

    Args:
        target_dir: a relative one lies in `FAL_PERSISTENT_DIR`.
        force: fetch it in any case.
        request_headers: sent along, in `setup()`.
        filesize_limit: most megabytes.

    Raises:
        MediaError: within a request, it cannot be fetched. DownloadError: in `setup()`.
    """
    target = FAL_PERSISTENT_DIR / target_dir
    name = Path(file_name or _last_segment(url)).name
    name = "file" if name in {"", ".", ".."} else name
    limit = None if filesize_limit is None else filesize_limit * 1024 * 1024
    if get_current_request() is not None:
        path = _own_folder(target, url) / name
        fetched = _limited(limit)(url=url).local_path
        if force or not path.exists() or not filecmp.cmp(path, fetched, shallow=False):
            with _arriving(path) as part:
                shutil.copyfile(fetched, part)
        return path
    path = target / name
    if (path.exists() or path.is_symlink()) and _source_of(path) not in {url, None}:
        path = _own_folder(target, url) / name
    if path.exists() and not force:
        return path
    with _arriving(path) as part:
        _fetch(url, part, request_headers or {}, limit)
        _note(path, url)
    return path


def download_model_weights(url: str, force: bool = False, request_headers: dict[str, str] | None = None) -> Path:
    """Fetch weights into a folder of their own below `FAL_MODEL_WEIGHTS_DIR`, once. Raises as `download_file`."""
    folder = FAL_MODEL_WEIGHTS_DIR / hashlib.sha256(url.encode()).hexdigest()
    return download_file(url, folder, force=force, request_headers=request_headers)


def clone_repository(
    https_url: str,
    *,
    commit_hash: str | None = None,
    target_dir: str | Path | None = None,
    repo_name: str | None = None,
    force: bool = False,
    include_to_path: bool = False,
) -> Path:
    """Clone a Git repository, once, and check out `commit_hash`; `include_to_path` makes its modules importable.

    Raises:
        DownloadError: git is missing, or says no; or this is a request, and it was not cloned before. Git opens its own
            connections, past the server's rules for addresses that callers name.
    """
    name = repo_name or f"{Path(urlsplit(https_url).path).stem}{'-' + commit_hash[:12] if commit_hash else ''}"
    folder = FAL_REPOSITORY_DIR / (target_dir or "")
    source = f"{https_url}#{commit_hash or ''}"
    path = folder / name
    if path.exists() and _source_of(path) not in {source, None}:
        path = _own_folder(folder, source) / name
    if get_current_request() is not None and (force or _source_of(path) != source):
        raise DownloadError("a repository is cloned in setup(), not within a request")
    if force or not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=path.parent))
        part.chmod(0o755)
        _git("clone", "--quiet", "--", https_url, str(part))
        if commit_hash:
            _git("-C", str(part), "checkout", "--quiet", "--detach", commit_hash)
        shutil.rmtree(path, ignore_errors=True)
        part.rename(path)
        _note(path, source)
    if include_to_path and str(path) not in sys.path:
        sys.path.insert(0, str(path))
    return path


def _own_folder(target: Path, source: str) -> Path:
    """The folder of one address, whatever the name at its end."""
    return target / f".{hashlib.sha256(source.encode()).hexdigest()[:32]}"


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.source")


def _source_of(path: Path) -> str | None:
    """The address from which it was fetched; None where nobody noted one."""
    try:
        return _beside(path).read_text()
    except OSError:
        return None


def _note(path: Path, source: str) -> None:
    _beside(path).write_text(source)


@contextmanager
def _arriving(path: Path) -> Iterator[Path]:
    """A place of its own for what comes, which becomes `path` when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _limited(limit: int | None) -> type[File]:
    class Limited(File):
        max_bytes = limit

    return Limited


def _fetch(url: str, part: Path, headers: dict[str, str], limit: int | None) -> None:
    shown = url.partition("?")[0]  # what follows may be a secret
    if urlsplit(url).scheme not in {"http", "https"}:
        raise DownloadError(f"{shown} is no http(s) address")
    try:
        asked = urllib.request.Request(_in_ascii(url), headers=headers)  # noqa: S310 - http(s), and the author's own
        with urllib.request.urlopen(asked) as answer, part.open("wb") as file:  # noqa: S310
            while data := answer.read(1 << 20):
                file.write(data)
                if limit is not None and file.tell() > limit:
                    raise DownloadError(f"{shown} is larger than {limit} bytes")
    except (OSError, ValueError) as error:
        raise DownloadError(f"cannot fetch {shown}: {error}") from error


def _last_segment(url: str) -> str:
    """What the address calls the file, cut to what every file system takes."""
    said = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2]).replace("\0", "")
    return said.encode()[-_LONGEST_NAME:].decode(errors="ignore")


def _in_ascii(url: str) -> str:
    """The address as it stands, with escapes for what lies beyond ASCII, and such a host as it is registered."""
    if url.isascii():
        return in_ascii(url)
    host = urlsplit(url).netloc
    before, _, behind = url.partition(host)
    return before + host.encode("idna").decode() + in_ascii(behind)


def _git(*arguments: str) -> None:
    try:
        ran = subprocess.run(["git", *arguments], capture_output=True, text=True)  # noqa: S603, S607
    except FileNotFoundError as error:
        raise DownloadError("there is no git here") from error
    if ran.returncode:
        raise DownloadError(f"git {arguments[0]}: {ran.stderr.strip()[-300:]}")
