"""From an exception to what a person reads: `error[code]: what is wrong`, a line with the way out, an exit code."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from pondage.cli import exits
from pondage.cli.terminal import Terminal, short
from pondage.errors import ExtraMissing, PondageError, SetupError


class BadArguments(PondageError):
    """The arguments do not fit. `hint` is the way out."""

    code = "input.arguments"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class AppFailed(PondageError):
    """The app raised an exception of its own, whose caller is told no more than 500; its log says what it was."""

    code = "internal_server_error"

    def __init__(self, message: str, request_id: str) -> None:
        super().__init__(message)
        self.request_id = request_id


class Failure(NamedTuple):
    """What is shown of an error."""

    code: str
    text: str
    hints: list[str]
    exit: int
    request_id: str | None = None


def report(error: Exception, args: argparse.Namespace) -> int:
    """Show an error on standard error (with `--json` as an object); returns the exit code."""
    terminal: Terminal = args.terminal
    failure = failure_of(error, getattr(args, "server", None))
    if terminal.json:
        shown = {"error": {"code": failure.code, "message": failure.text, "hints": failure.hints}}
        if failure.request_id:
            shown["error"]["request_id"] = failure.request_id
        terminal.result_json(shown)
        return failure.exit
    about = f" in {short(failure.request_id)}" if failure.request_id else ""
    terminal.complain(f"{terminal.paint(f'error[{failure.code}]', 'red')}{about}: {failure.text}")
    for hint in failure.hints:
        terminal.complain(f"  {hint}")
    terminal.trace(error)
    return failure.exit


SERVER_PACKAGES = (
    "aiohttp", "apsw", "blake3", "cryptography", "httptools", "jwt", "obstore", "prometheus_client", "starlette",
    "uvicorn",
)  # fmt: skip
"""What the extra `server` installs, by import name. uvloop is left out: it only makes things faster."""


def failure_of(error: Exception, server: str | None = None) -> Failure:
    """What to show of an error. What nobody foresaw is a bug, and says so."""
    if isinstance(broken := getattr(error, "error", None), PondageError) and not isinstance(error, PondageError):
        broken.__cause__ = error.__cause__  # a stream's connection: the client's own exception is within
        error = broken
    if isinstance(error, BadArguments):
        return Failure(error.code, str(error), [error.hint] if error.hint else [], exits.BAD_INPUT)
    if isinstance(error, AppFailed):
        hints = [f"its log: pondage requests logs {error.request_id[-8:]}"]
        return Failure(error.code, str(error), hints, exits.FAILED, error.request_id)
    if isinstance(error, SetupError):
        return Failure(error.code, str(error), ["check: pondage doctor"], exits.BAD_INPUT)
    if isinstance(error, ValueError | TypeError) and not isinstance(error, PondageError):
        return Failure("input.invalid", str(error), [], exits.BAD_INPUT)
    if isinstance(error, ModuleNotFoundError):
        return _missing(error)
    if isinstance(error, OSError) and not isinstance(error, PondageError):
        return Failure("input.file", str(error), [], exits.BAD_INPUT)
    if isinstance(error, PondageError):
        return _client_failure(error, server)
    text = f"{type(error).__name__}: {error}"
    return Failure("internal", text, ["this is a bug in Pondage; -v shows where"], exits.FAILED)


def _missing(error: ModuleNotFoundError) -> Failure:
    """A package that is not there: one of an extra of ours, or one of the author's."""
    if (error.name or "").partition(".")[0] in SERVER_PACKAGES:
        missing = ExtraMissing(f"this command (which imports {error.name})", "server")
        return Failure(missing.code, str(missing), ["check: pondage doctor"], exits.BAD_INPUT)
    return Failure("setup", str(error), ["install that package in the environment of this command"], exits.BAD_INPUT)


def _client_failure(error: PondageError, server: str | None) -> Failure:
    from pondage.client import errors as client

    request_id = getattr(error, "request_id", None)
    if isinstance(error, client.ConnectionError):
        from pondage.cli.unanswered import reason

        code, text, hint = reason(error, server)
        return Failure(code, text, [hint], exits.NO_SERVER)
    if isinstance(error, client.TimeoutError):
        hints = [f"it goes on: pondage requests show {request_id[-8:]}"] if request_id else []
        return Failure("request.timeout", str(error), hints, exits.STILL_RUNNING, request_id)
    if isinstance(error, client.Unauthorized | client.Forbidden):
        code = "auth.unauthorized" if isinstance(error, client.Unauthorized) else "auth.forbidden"
        hints = ["give a key: --key id:secret, or PONDAGE_KEY; make one on its machine: pondage keys create NAME"]
        return Failure(code, _sentence(error), hints, exits.NOT_ALLOWED)
    if isinstance(error, client.InvalidInput):
        return _misfit(error)
    if isinstance(error, client.NotFinite):
        return Failure(error.code, str(error), [], exits.BAD_INPUT)
    if isinstance(error, client.NotFound):
        return Failure("request.not_found", _sentence(error), [], exits.BAD_INPUT)
    if isinstance(error, client.HTTPError):
        code = error.error_type or f"http.{error.status_code}"
        hints = [f"its log: pondage requests logs {request_id[-8:]}"] if request_id else []
        bad = error.status_code in (400, 405, 413)
        return Failure(code, _sentence(error), hints, exits.BAD_INPUT if bad else exits.FAILED, request_id)
    return Failure(error.code, str(error), [], exits.FAILED, request_id)


def _sentence(error: PondageError) -> str:
    detail = getattr(error, "detail", None)
    return detail if isinstance(detail, str) else str(error)


def _misfit(error: PondageError) -> Failure:
    """A 422: of the endpoint's own making if its request exists, else of the input."""
    fields = getattr(error, "fields", [])
    request_id = getattr(error, "request_id", None)
    code = fields[0].type if len(fields) == 1 and fields[0].type else "input.invalid"
    text = "; ".join(str(field) for field in fields) or _sentence(error)
    return Failure(code, text, [], exits.FAILED if request_id else exits.BAD_INPUT, request_id)
