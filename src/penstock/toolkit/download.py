"""Files from the network for an author's code, through the guarded fetcher."""

from __future__ import annotations

import shutil
from pathlib import Path

from penstock.app.media import File


def download_file(url: str, target_dir: str | Path, *, force: bool = False, file_name: str | None = None) -> Path:
    """Fetch `url` into `target_dir`, unless it is there already.

    Raises:
        MediaError: it cannot be fetched. RuntimeError: no request is being served.
    """
    target = Path(target_dir)
    name = file_name or url.partition("?")[0].rstrip("/").rpartition("/")[2] or "file"
    path = target / Path(name).name
    if path.exists() and not force:
        return path
    target.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    shutil.copyfile(File(url=url).local_path, part)
    part.rename(path)
    return path
