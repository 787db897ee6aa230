"""fal's caches of what PyTorch's Inductor has compiled. On one's own machine they are a folder that stays."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pondage.toolkit.download import FAL_PERSISTENT_DIR

INDUCTOR_CACHES_DIR = FAL_PERSISTENT_DIR / "inductor-caches"


def get_gpu_type() -> str:
    """The model of the first GPU, without its maker (`H100`, `A100-SXM4-80GB`); `UNKNOWN` where none is known."""
    try:
        ran = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],  # noqa: S607
            capture_output=True, text=True, timeout=30,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return "UNKNOWN"
    words = ran.stdout.partition("\n")[0].split()
    return words[1] if len(words) > 1 and words[0] == "NVIDIA" else "UNKNOWN"


def load_inductor_cache(cache_key: str) -> str:
    """Let Inductor keep what it compiles for this kind of GPU in a folder that outlives the runner.

    Args:
        cache_key: names the cache, for example `mymodel/v1`.

    Returns:
        A hash of the names of the files that are there; empty where there is none.

    Raises:
        ValueError: the key leads out of the folder of caches.
    """
    root = INDUCTOR_CACHES_DIR / get_gpu_type()
    folder = (root / cache_key).resolve()
    if not folder.is_relative_to(root.resolve()):
        raise ValueError(f"cache_key {cache_key!r} leads out of {root}")
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
    return _names(folder)


def sync_inductor_cache(cache_key: str, unpacked_dir_hash: str) -> None:
    """Nothing is left to do: every runner of this machine compiles into the same folder."""


@contextmanager
def synchronized_inductor_cache(cache_key: str) -> Iterator[None]:
    """`load_inductor_cache`, for a block that compiles. Raises as it."""
    load_inductor_cache(cache_key)
    yield


def _names(folder: Path) -> str:
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256("\n".join(names).encode()).hexdigest() if names else ""
