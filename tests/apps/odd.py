"""An app whose answers try to be more than answers: statuses, headers and texts as attacks."""

from __future__ import annotations

import pondage


class Odd(pondage.App, name="acme/odd"):
    @pondage.endpoint("/")
    def run(self, status: int = 418, name: str = "x-a", value: str = "b", message: str = "m") -> dict[str, str]:
        raise pondage.AppException(message, status, headers={name: value})

    @pondage.endpoint("/field")
    def field(self, type: str = "t", field: str = "f") -> dict[str, str]:
        raise pondage.FieldException(field, "no", type=type)

    @pondage.endpoint("/progress")
    def progress(self, size: int = 1024 * 1024, times: int = 80) -> dict[str, int]:
        for n in range(times):
            pondage.current_request.progress(n, times, "m" * size)
        return {"times": times}

    @pondage.endpoint("/fine")
    def fine(self) -> dict[str, int]:
        return {"fine": 1}
