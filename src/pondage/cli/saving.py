"""The files of a result, saved in a folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pondage.cli.failures import BadArguments
from pondage.wire.media_types import ending_of

if TYPE_CHECKING:
    from pondage.cli.terminal import Terminal
    from pondage.client import SyncClient


def save_files(
    client: SyncClient, output: Any, folder: Path, stem: str, terminal: Terminal, *, force: bool = False
) -> list[Path]:
    """Fetch every file of `output` into `folder` as `<stem>-<n>.<ending>`; returns the paths.

    Raises:
        BadArguments: there is something of that name, and `force` is not set.
    """
    from pondage.client import core

    folder.mkdir(parents=True, exist_ok=True)
    saved = []
    for number, file in enumerate(find_files(output)):
        url = str(file["url"])
        target = folder / f"{stem}-{number}{_ending(file)}"
        check_free(target, force=force)
        exchange = client.exchange
        headers = exchange.base if exchange.target.owns(url) else {}
        answer = exchange.send(core.Call("GET", url, headers, as_given=True), timeout=client.default_timeout)
        core.raise_for_status(answer)
        with arriving(target, force=force) as part:
            part.write_bytes(answer.body)
        saved.append(target)
        terminal.say(f"saved {target}")
    if not saved:
        terminal.say("the result has no files")
    return saved


def check_free(target: Path, *, force: bool) -> None:
    """Raise BadArguments if something is at `target` already and may not be replaced."""
    if not force and (target.exists() or target.is_symlink()):
        raise BadArguments(f"{target} exists", "another place: -o PATH          to replace it: --force")


@contextmanager
def arriving(target: Path, *, force: bool) -> Iterator[Path]:
    """A file of its own for what comes, which becomes `target` when it is whole.

    Raises:
        BadArguments: somebody else has put something there meanwhile, and `force` is not set.
    """
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o666 & ~_umask())
        if not force:
            try:
                os.link(part, target)  # which, unlike a rename, replaces nothing
                return
            except FileExistsError:
                check_free(target, force=False)
            except OSError:  # a file system without links
                check_free(target, force=False)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    now = os.umask(0o077)
    os.umask(now)
    return now


def find_files(output: Any) -> Iterator[dict[str, Any]]:
    """The objects of an output that are files: they have a `url` and a `content_type`."""
    if isinstance(output, dict):
        url = output.get("url")
        if isinstance(url, str) and url.startswith(("http://", "https://")) and "content_type" in output:
            yield output
        else:
            for value in output.values():
                yield from find_files(value)
    elif isinstance(output, list):
        for value in output:
            yield from find_files(value)


def _ending(file: dict[str, Any]) -> str:
    for name in (str(file.get("file_name") or ""), urlsplit(str(file["url"])).path):
        ending = os.path.splitext(name)[1]
        if ending and ending[1:].isalnum():
            return ending
    return ending_of(str(file.get("content_type") or "")) or ".bin"
