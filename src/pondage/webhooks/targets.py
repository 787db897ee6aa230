"""Which URLs may be given as a webhook. Addresses are judged later, when they are connected to (pondage.outbound)."""

from __future__ import annotations

from urllib.parse import quote, urlsplit, urlunsplit

from pondage.errors import InvalidInput
from pondage.settings import Settings

EVENTS = ("started", "progress", "log")
"""The intermediate events that `Pondage-Webhook-Events` may name."""
_LONGEST = 2048


def check_target(url: str) -> str:
    """A webhook's URL, checked and in one spelling: scheme and host in lower case, a path, no fragment.

    Raises:
        InvalidInput: it is no http(s) URL with a host, is too long, or carries a user name or password (it would end
            up in logs). The entry names the parameter.
    """
    if len(url) > _LONGEST:
        raise _refused(f"the URL has {len(url)} characters, at most {_LONGEST} are taken")
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise _refused("the URL contains spaces or control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (
            (parts.hostname or "").encode("idna").decode() if not (parts.hostname or "").isascii() else parts.hostname
        )
    except (ValueError, UnicodeError) as error:
        raise _refused(f"not a URL: {error}") from error
    if parts.scheme not in ("http", "https"):
        raise _refused(f"the scheme is {parts.scheme or 'missing'}, expected http or https")
    if not host:
        raise _refused("the URL names no host")
    if "@" in parts.netloc:
        raise _refused("the URL carries a user name or password; use a path or query that is hard to guess")
    authority = f"[{host}]" if ":" in host else host
    if port is not None and port != {"http": 80, "https": 443}[parts.scheme]:
        authority += f":{port}"
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    return urlunsplit((parts.scheme, authority, path, quote(parts.query, safe="/?%:@!$&'()*+,;=~-._[]"), ""))


def check_events(header: str | None) -> tuple[str, ...]:
    """The events that a `Pondage-Webhook-Events` header asks for, comma separated; none without a header.

    Raises:
        InvalidInput: it names an event that there is not.
    """
    names = tuple(dict.fromkeys(name.strip().lower() for name in (header or "").split(",") if name.strip()))
    for name in names:
        if name not in EVENTS:
            raise InvalidInput.field(
                ["header", "pondage-webhook-events"], f"there is no event {name!r}; there are {', '.join(EVENTS)}"
            )
    return names


def private_policy(settings: Settings, *, open_server: bool) -> str:
    """Which addresses webhooks may reach besides public ones: `none`, `loopback`, `private` (loopback included).

    Who calls a server that asks for no key is a program of this machine, and reaches it anyway; a key's holder may be
    anywhere, and must not come to services of this machine through us.
    """
    if settings.webhook_private is not None:
        return "private" if settings.webhook_private else "none"
    return "loopback" if open_server else "none"


def start_line(settings: Settings, *, open_server: bool) -> str:
    """What `pondage serve` says about webhook targets at start."""
    return {
        "none": "webhooks go to public addresses only (webhook_private=true allows others)",
        "loopback": "webhooks may go to this machine's own addresses, until a key exists",
        "private": "webhooks may go to private addresses (webhook_private)",
    }[private_policy(settings, open_server=open_server)]


def _refused(why: str) -> InvalidInput:
    return InvalidInput.field(["query", "fal_webhook"], why, "url")
