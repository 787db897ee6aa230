"""`pondage webhooks listen`: a temporary target on this machine. Prints, verifies and hands on what it is owed."""

from __future__ import annotations

import argparse
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from pondage.cli import exits
from pondage.cli.terminal import Terminal, duration, short, size
from pondage.client import errors as client_errors
from pondage.errors import WebhookError
from pondage.webhooks.verify import WebhookEvent, verify_webhook
from pondage.wire.masking import masked

if TYPE_CHECKING:
    from pondage.cli.webhooks import Routes

POLL = 25.0
"""Seconds that one fetch waits for a delivery."""
RECONNECT = 1.0
"""Seconds between two attempts to reach the server again."""
ANSWER_KEPT = 64 * 1024
"""Bytes of the receiver's answer that are reported."""


class Handed(NamedTuple):
    """What the receiver that we forward to did. `status` None: no answer."""

    status: int | None
    seconds: float
    reason: str = ""
    answer: str = ""


def listen(routes: Routes, args: argparse.Namespace) -> int:
    """Receive until Ctrl-C, or `--count` deliveries."""
    terminal: Terminal = args.terminal
    began = time.monotonic()
    listener = routes.post("/listeners", {"app": args.app})["id"]
    took = duration(time.monotonic() - began)
    terminal.say(f"connected and answered in {took}     signed with Ed25519; keys {routes.jwks_url}")
    done = 0
    try:
        while not args.count or done < args.count:
            for item in _fetch(routes, listener, terminal):
                _receive(routes, listener, item, terminal, args)
                done += 1
    finally:
        _end(routes, listener)
    return exits.OK


def _fetch(routes: Routes, listener: str, terminal: Terminal) -> list[dict[str, Any]]:
    """What is owed next; a server that restarts is waited for, and holds what it owes."""
    lost = False
    while True:
        try:
            wait = 0.0 if lost else POLL
            items = routes.get(f"/listeners/{listener}/deliveries", wait=wait, timeout=POLL + 15)["items"]
        except (client_errors.ConnectionError, client_errors.ServerError) as error:
            if not lost:
                terminal.say(f"{_now()}  connection lost: {error}. Deliveries are held for you.")
            lost = True
            time.sleep(RECONNECT)
            continue
        if lost:
            terminal.say(f"{_now()}  reconnected, {len(items)} held")
        return list(items)


def _receive(routes: Routes, listener: str, item: dict[str, Any], terminal: Terminal, args: argparse.Namespace) -> None:
    body = item["body"].encode()
    event = _verified(routes, item, body, terminal)
    status = event.data.get("status", "?") if event else "NOT VERIFIED"
    if not terminal.json:
        line = f"{_now()}  --> {short(item['request_id'])} {status:<5} {item['endpoint']:<18} {size(len(body))}"
        terminal.result(line)
    if event is None:
        handed = Handed(None, 0.0, "the listener could not verify its signature")
    elif args.forward_to:
        handed = forward(_target(args.forward_to), item["headers"], body, args.timeout)
    else:
        handed = Handed(200, 0.0)
    report = {"id": item["id"], "duration": handed.seconds, "status": handed.status}
    try:
        then = routes.post(f"/listeners/{listener}/tries", {**report, "reason": handed.reason, "answer": handed.answer})
    except (client_errors.ConnectionError, client_errors.ServerError):
        # The server did not hear of it and owes the delivery still: it comes again.
        then = {"state": "owed", "due_in": 0.0}
    if terminal.json:
        forwarded = {"status": handed.status, "duration": handed.seconds, "reason": handed.reason}
        terminal.result_json({
            "id": item["id"], "request_id": item["request_id"], "endpoint": item["endpoint"],
            "verified": event is not None, "body": msgspec.Raw(body), "due_in": then["due_in"],
            "forwarded": forwarded if args.forward_to else None,
        })  # fmt: skip
    elif args.forward_to or event is None:
        terminal.result(f"{_now()}  <-- {_answered(handed, then, item)}")


def _verified(routes: Routes, item: dict[str, Any], body: bytes, terminal: Terminal) -> WebhookEvent | None:
    try:
        return verify_webhook(item["headers"], body, jwks_url=routes.jwks_url)
    except WebhookError as error:
        terminal.complain(f"{_now()}  {short(item['request_id'])}: {error}")
        return None


def _answered(handed: Handed, then: dict[str, Any], item: dict[str, Any]) -> str:
    if handed.status is None:
        text = handed.reason
    else:
        text = f"{handed.status} in {duration(handed.seconds)}"
    if then["due_in"] is None:
        return text if then["state"] == "done" else f"{text}. Given up"
    again = f"Tried again in {duration(then['due_in'])}"
    return f"{text}. {again}; now: pondage webhooks replay {item['request_id'][-8:]}"


def forward(url: str, headers: dict[str, str], body: bytes, timeout: float) -> Handed:
    """POST a delivery to the receiver under development."""
    import httpx2

    began = time.monotonic()
    try:
        # No proxy from the environment: the receiver is on this machine or near it.
        with httpx2.Client(trust_env=False, follow_redirects=False, timeout=timeout) as client:
            answer = client.post(url, content=body, headers=headers)
    except httpx2.TimeoutException:
        return Handed(None, time.monotonic() - began, f"no answer in {duration(timeout)} (limit: --timeout)")
    except httpx2.HTTPError as error:
        return Handed(None, time.monotonic() - began, f"no answer from {masked(url)}: {error}")
    text = answer.content[:ANSWER_KEPT].decode("utf-8", "replace")
    return Handed(answer.status_code, time.monotonic() - began, answer=text)


def _target(text: str) -> str:
    return text if "://" in text else f"http://{text}"


def _end(routes: Routes, listener: str) -> None:
    try:
        routes.delete(f"/listeners/{listener}")
    except client_errors.ClientError:
        pass  # the server is gone; it forgets the listener by itself


def _now() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S")
