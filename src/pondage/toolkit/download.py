"""Files from the network for an author's code: inputs by the guarded fetcher, weights and repositories at start."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from pondage.app.context import get_current_request
from pondage.app.media import File
from pondage.errors import PondageError

FAL_PERSISTENT_DIR = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pondage"
"""Where downloads stay, with fal's name; there it is `/data`."""
FAL_MODEL_WEIGHTS_DIR = FAL_PERSISTENT_DIR / "weights"
FAL_REPOSITORY_DIR = FAL_PERSISTENT_DIR / "repositories"


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

    Within a request the address may come from a caller, and the server's own rules for addresses hold; in `setup()`
    it is the author's.

    Args:
        target_dir: a relative one lies in `FAL_PERSISTENT_DIR`.
        request_headers: sent along, in `setup()`.
        filesize_limit: most megabytes.

    Raises:
        MediaError: within a request, it cannot be fetched. DownloadError: in `setup()`.
    """
    target = FAL_PERSISTENT_DIR / target_dir
    name = file_name or urlsplit(url).path.rstrip("/").rpartition("/")[2] or "file"
    path = target / Path(name).name
    if path.exists() and not force:
        return path
    target.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    limit = None if filesize_limit is None else filesize_limit * 1024 * 1024
    if get_current_request() is not None:
        shutil.copyfile(_limited(limit)(url=url).local_path, part)
    else:
        _fetch(url, part, request_headers or {}, limit)
    part.rename(path)
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
        DownloadError: git is missing, or says no.
    """
    name = repo_name or f"{Path(urlsplit(https_url).path).stem}{'-' + commit_hash[:12] if commit_hash else ''}"
    path = FAL_REPOSITORY_DIR / (target_dir or "") / name
    if force or not path.exists():
        part = path.with_name(f".{name}.part")
        for old in (path, part):
            shutil.rmtree(old, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        _git("clone", "--quiet", "--", https_url, str(part))
        if commit_hash:
            _git("-C", str(part), "checkout", "--quiet", "--detach", commit_hash)
        part.rename(path)
    if include_to_path and str(path) not in sys.path:
        sys.path.insert(0, str(path))
    return path


def _limited(limit: int | None) -> type[File]:
    class Limited(File):
        max_bytes = limit

    return Limited


def _fetch(url: str, part: Path, headers: dict[str, str], limit: int | None) -> None:
    if urlsplit(url).scheme not in {"http", "https"}:
        raise DownloadError(f"{url} is no http(s) address")
    try:
        asked = urllib.request.Request(url, headers=headers)  # noqa: S310 - http(s), and the author's own
        with urllib.request.urlopen(asked) as answer, part.open("wb") as file:  # noqa: S310
            while data := answer.read(1 << 20):
                file.write(data)
                if limit is not None and file.tell() > limit:
                    raise DownloadError(f"{url} is larger than {limit} bytes")
    except OSError as error:
        raise DownloadError(f"cannot fetch {url}: {error}") from error


def _git(*arguments: str) -> None:
    try:
        ran = subprocess.run(["git", *arguments], capture_output=True, text=True)  # noqa: S603, S607
    except FileNotFoundError as error:
        raise DownloadError("there is no git here") from error
    if ran.returncode:
        raise DownloadError(f"git {arguments[0]}: {ran.stderr.strip()[-300:]}")
