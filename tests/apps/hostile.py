"""An app that hands every text it can to whoever looks, with sequences that steer a terminal in it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pondage

STEERING = " ".join(
    ("\x1b]0;owned\x07", "\x1b[2J", "\x1b]52;c;Y3VybA==\x07", "\x1b[1A", "\x9b31m", "\x9d0;x\x9c", "\x7f \x08 \r over")
)
STEERING += " \u202e txt \u2066 \x0b"


class Hostile(pondage.App, name="acme/hostile"):
    @pondage.endpoint("/")
    def run(self, text: str = STEERING) -> dict[str, str]:
        print(text)
        logging.getLogger("hostile").warning("%s", text)
        pondage.current_request.progress(1, 2, text)
        return {"text": text}

    @pondage.endpoint("/fails")
    def fails(self, text: str = STEERING) -> None:
        raise RuntimeError(text)

    @pondage.endpoint("/refuses")
    def refuses(self, text: str = STEERING) -> None:
        raise pondage.FieldException(text, text, type=text)

    @pondage.endpoint("/stream")
    def stream(self, text: str = STEERING) -> Iterator[dict[str, str]]:
        yield {"text": text}


class Broken(pondage.App, name="acme/broken"):
    def setup(self) -> None:
        print(STEERING)
        raise RuntimeError(STEERING)

    @pondage.endpoint("/")
    def run(self) -> None: ...
