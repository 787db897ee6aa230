"""Apps that write down each execution: when it begins and when it ends."""

from __future__ import annotations

import time

from gates import passed

import pondage


def note(journal: str, line: str) -> None:
    with open(journal, "a") as file:
        file.write(line + "\n")


class Counted(pondage.App, name="acme/counted", max_multiplexing=32):
    @pondage.endpoint("/")
    async def run(self, journal: str, gate: str, word: str) -> dict[str, str]:
        note(journal, f"begun {word}")
        await passed(gate)
        note(journal, f"ended {word}")
        return {"word": word}

    @pondage.endpoint("/told")
    async def told(self, journal: str, word: str, gate: str) -> dict[str, str]:
        note(journal, f"begun {word}")
        try:
            await passed(gate)
        except BaseException as error:
            note(journal, f"{type(error).__name__} {word}")
            raise
        note(journal, f"ended {word}")
        return {"word": word}

    @pondage.endpoint("/thread")
    def thread(self, journal: str, word: str, gate: str) -> dict[str, str]:
        """Goes on until its gate is open, whatever it is told, and notes once that it was told."""
        note(journal, f"begun {word}")
        told = False
        while not open(gate).read():
            if pondage.current_request.cancelled and not told:
                told = True
                note(journal, f"told {word}")
            time.sleep(0.01)
        note(journal, f"ended {word}")
        return {"word": word}


class Narrow(pondage.App, name="acme/narrow"):
    """One at a time."""

    @pondage.endpoint("/")
    async def run(self, journal: str, gate: str, word: str) -> dict[str, str]:
        note(journal, f"begun {word}")
        await passed(gate)
        note(journal, f"ended {word}")
        return {"word": word}
