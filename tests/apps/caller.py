"""An app that calls its own server, as its environment names it, and passes on what it gets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pondage
from pondage.toolkit import File


class Maker(pondage.App, name="acme/maker"):
    @pondage.endpoint("/")
    def run(self, text: str) -> dict[str, File]:
        return {"file": File.from_bytes(text.encode(), "text/plain", file_name="a.txt")}


class Caller(pondage.App, name="acme/caller"):
    @pondage.endpoint("/")
    async def run(self, text: str) -> dict[str, Any]:
        return {"passed on": await pondage.AsyncClient().run("acme/maker", {"text": text})}

    @pondage.endpoint("/stream")
    async def stream(self, text: str) -> AsyncIterator[dict[str, Any]]:
        yield {"passed on": await pondage.AsyncClient().run("acme/maker", {"text": text})}

    @pondage.endpoint("/break")
    def broken(self) -> None:
        raise KeyError("what the author wants to see")
