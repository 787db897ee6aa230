"""`pondage call`: one request, with what happens to it as it happens."""

from __future__ import annotations

import argparse
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pondage.cli import exits, reach
from pondage.cli.failures import AppFailed, BadArguments
from pondage.cli.terminal import short
from pondage.cli.times import ahead, span
from pondage.wire.finite import odd_in_text

if TYPE_CHECKING:
    from pondage.client import SyncClient, SyncRequestHandle

HELP = "call an endpoint and follow the request to its result"

_PAIR = re.compile(r"([A-Za-z_][\w.-]*)(:=@|:=|=@|=)(.*)", re.DOTALL)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("endpoint", help="owner/alias[/path]")
    parser.add_argument(
        "input", nargs="*",
        help="JSON, @file.json, - for standard input, or fields: name=text  name:=json  name=@file (uploaded)",
    )  # fmt: skip
    parser.add_argument("-o", "--output", metavar="DIR", help="save the result's files in DIR")
    parser.add_argument("--force", action="store_true", help="with -o: replace files that exist")
    parser.add_argument("--stream", action="store_true", help="print each chunk of a streaming endpoint")
    parser.add_argument("--no-wait", action="store_true", help="submit, print the request's id, do not wait")
    parser.add_argument(
        "--timeout",
        type=span,
        metavar="TIME",
        help="stop waiting after TIME (90s, 15m); the request goes on, a --stream is cancelled",
    )
    parser.add_argument(
        "--start-timeout",
        type=span,
        metavar="TIME",
        help="end the request if it has not started by then",
    )
    parser.add_argument("--priority", choices=("normal", "low"), help="low: run it when nothing normal waits")
    parser.add_argument("--start-at", metavar="TIME", help="not before: 30m, 2h from now, or an ISO time")
    parser.add_argument("--deadline", metavar="TIME", help="it has ended by then: 30m, 2h from now, or an ISO time")
    parser.add_argument("--webhook", metavar="URL", help="POST the result to this URL")
    parser.add_argument("--idempotency-key", metavar="KEY", help="a repeat with the same key is the same request")
    reach.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    if args.stream and (args.no_wait or args.webhook or args.priority or args.start_at or args.deadline):
        alone = "--no-wait, --webhook, --priority, --start-at, --deadline"
        raise BadArguments(f"--stream goes with none of {alone}")
    given = read_input(args.input)
    if args.input and _PAIR.match(args.input[0]):
        from pondage.cli.fields import check

        check(reach.Api(args), args.endpoint, given)
    with reach.client(args) as client:
        value = _upload(client, given, args)
        if args.stream:
            return _stream(client, value, args)
        handle = client.submit(
            args.endpoint,
            value,
            priority=args.priority,
            webhook_url=args.webhook,
            start_timeout=args.start_timeout,
            idempotency_key=args.idempotency_key,
            headers=_times(args),
        )
        if args.no_wait:
            if args.json:
                args.terminal.result_json({"request_id": handle.request_id, "status_url": handle.status_url})
            else:
                args.terminal.result(handle.request_id)
            return exits.OK
        return _follow(handle, args)


def _times(args: argparse.Namespace) -> dict[str, str]:
    now = datetime.now(UTC)
    given = {"Pondage-Start-At": ahead(args.start_at, now), "Pondage-Deadline": ahead(args.deadline, now)}
    return {name: str(at) for name, at in given.items() if at is not None}


def read_input(words: list[str]) -> Any:
    """The input that the words make: one JSON document, or an object of fields. Files are `Path` objects.

    Raises:
        BadArguments: it is no JSON, no field, or a file that is not there.
    """
    if not words:
        return {}
    if len(words) == 1 and not _PAIR.match(words[0]):
        return _document(words[0])
    fields: dict[str, Any] = {}
    for word in words:
        pair = _PAIR.match(word)
        if pair is None:
            raise BadArguments(f"{word!r} is no field", "fields look like: prompt='a fox'  seed:=7  image=@fox.png")
        name, sign, text = pair.groups()
        if sign == ":=":
            fields[name] = _json(text, f"{name}:=")
        elif sign == ":=@":
            fields[name] = _json(_read(text), f"the file {text}")
        elif sign == "=@":
            fields[name] = _file(text)
        else:
            fields[name] = text
    return fields


def _document(word: str) -> Any:
    if word == "-":
        return _json(sys.stdin.buffer.read(), "standard input")
    if word.startswith("@"):
        return _json(_read(word[1:]), f"the file {word[1:]}")
    return _json(word, "the input")


def _json(text: str | bytes, what: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        if (odd := odd_in_text(text)) is not None:
            raise BadArguments(f"{what}: {odd}, which JSON does not have", "give a number, or null") from error
        raise BadArguments(
            f"{what} is not JSON: {error}", 'like: \'{"prompt": "a fox"}\', or: prompt="a fox"'
        ) from error


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise BadArguments(f"cannot read {name}: {error.strerror}") from error


def _file(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise BadArguments(f"there is no file {name}")
    return path


def _upload(client: SyncClient, value: Any, args: argparse.Namespace) -> Any:
    """The input with the URL of each file in its place."""
    from pondage.cli.terminal import size

    if not isinstance(value, dict):
        return value
    ready = dict(value)
    for name, item in value.items():
        if isinstance(item, Path):
            ready[name] = client.upload_file(item)
            args.terminal.say(f"uploaded {item.name}  {size(item.stat().st_size)}")
    return ready


def _follow(handle: SyncRequestHandle, args: argparse.Namespace) -> int:
    from pondage.cli.follow import Follower
    from pondage.client import HTTPError
    from pondage.client.errors import TimeoutError

    follower = Follower(args.terminal, handle.request_id)
    try:
        with follower:
            for status in handle.iter_events(with_logs=True, timeout=args.timeout):
                follower.show(status)
            output = handle.get()
    except TimeoutError:
        return _left(args, handle, f"not done after {args.timeout:g} s", exits.STILL_RUNNING)
    except HTTPError as error:
        if error.status_code == 500 and follower.error and error.error_type is None:
            raise AppFailed(follower.error, handle.request_id) from error
        raise
    except KeyboardInterrupt:
        return _left(args, handle, "stopped waiting", exits.STOPPED)
    if args.json:
        args.terminal.result_json({"request_id": handle.request_id, "output": output})
    else:
        args.terminal.output(output)
    if args.output:
        from pondage.cli.saving import save_files

        with reach.client(args) as client:
            tail = handle.request_id[-8:]
            save_files(client, output, Path(args.output), tail, args.terminal, force=args.force)
        args.terminal.say(f"again: pondage requests retry {handle.request_id[-8:]}")
    return exits.OK


def _left(args: argparse.Namespace, handle: SyncRequestHandle, why: str, code: int) -> int:
    tail = handle.request_id[-8:]
    if args.json:
        args.terminal.result_json({"request_id": handle.request_id, "left": why})
    args.terminal.complain(f"{why}; the request goes on. Its result: pondage requests show {tail} --follow")
    args.terminal.say(f"  cancel it: pondage requests cancel {tail}")
    return code


def _stream(client: SyncClient, value: Any, args: argparse.Namespace) -> int:
    from pondage.client.errors import TimeoutError

    stream = client.stream(
        args.endpoint,
        value,
        path="" if args.endpoint.endswith("/stream") else "/stream",
        timeout=args.timeout,
        start_timeout=args.start_timeout,
        idempotency_key=args.idempotency_key,
    )
    try:
        with stream:
            for chunk in stream:
                args.terminal.result_json(chunk)
    except TimeoutError:
        args.terminal.complain(f"not done after {args.timeout:g} s; the stream was left and its request cancelled")
        return exits.FAILED
    if stream.request_id:
        args.terminal.say(f"{short(stream.request_id)}  its log: pondage requests logs {stream.request_id[-8:]}")
    return exits.OK
