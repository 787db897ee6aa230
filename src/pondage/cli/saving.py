"""The files of a result, saved in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pondage.wire.media_types import ending_of

if TYPE_CHECKING:
    from pondage.cli.terminal import Terminal
    from pondage.client import SyncClient


def save_files(client: SyncClient, output: Any, folder: Path, stem: str, terminal: Terminal) -> list[Path]:
    """Fetch every file of `output` into `folder` as `<stem>-<n>.<ending>`; returns the paths."""
    from pondage.client import core

    folder.mkdir(parents=True, exist_ok=True)
    saved = []
    for number, file in enumerate(find_files(output)):
        url = str(file["url"])
        target = folder / f"{stem}-{number}{_ending(file)}"
        exchange = client.exchange
        headers = exchange.base if exchange.target.owns(url) else {}
        answer = exchange.send(core.Call("GET", url, headers), timeout=client.default_timeout)
        core.raise_for_status(answer)
        part = target.with_name(target.name + ".part")
        part.write_bytes(answer.body)
        part.rename(target)
        saved.append(target)
        terminal.say(f"saved {target}")
    if not saved:
        terminal.say("the result has no files")
    return saved


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
