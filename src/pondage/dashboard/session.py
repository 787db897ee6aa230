"""Who uses the pages where keys are required: sign-in by a link or a key, a cookie, and when a cookie counts.

Ports of one host are one site to a browser: a page on `localhost:3000` makes it send our cookie, also a strict one. So
a cookie counts only for calls that our own pages make: with the header `Pondage-Ui`, which no other origin may send,
and from our own origin exactly, where the browser says one; on a WebSocket, which can carry no header, it must say it.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from pondage.clock import iso
from pondage.errors import BadRequest, Forbidden, Unauthorized
from pondage.gateway import answers
from pondage.gateway.call import Call, Caller, Response
from pondage.gateway.shapes import Session
from pondage.wire.scopes import SCOPES

UI_HEADER = "pondage-ui"
_SECONDS = 12 * 3600
_BODY = 4096
_READS = frozenset({"GET", "HEAD"})


class PageSession(Protocol):
    """A session, as the store knows it."""

    @property
    def key_id(self) -> str: ...
    @property
    def expires_at(self) -> float: ...


class Store(Protocol):
    """Sessions and links, wherever they are kept."""

    async def redeem(self, token: str) -> str | None: ...

    async def begin(self, key_id: str) -> tuple[str, PageSession]: ...

    def find(self, secret: str) -> PageSession | None: ...

    async def end(self, secret: str) -> None: ...


def own_origin(call: Call) -> str:
    """The origin of our own pages, in the way this caller came."""
    parts = urlsplit(call.origins.run)
    return f"{parts.scheme}://{parts.netloc}"


def cookie_name(call: Call) -> str:
    """Cookies ignore ports, so the port is in the name; on https the browser itself holds the cookie to this host."""
    parts = urlsplit(call.origins.run)
    if parts.scheme == "https":
        return f"__Host-pondage_{parts.port or 443}"
    return f"pondage_{parts.port or 80}"


def secret_of(call: Call) -> str | None:
    """What the session's cookie holds."""
    text = call.headers.get("cookie")
    if not text:
        return None
    try:
        found = SimpleCookie(text).get(cookie_name(call))
    except CookieError:
        return None
    return found.value if found is not None else None


def _is_ours(call: Call, *, must_say: bool) -> bool:
    """Whether a call comes from our own pages, as far as the browser says."""
    headers: Mapping[str, str] = call.headers
    origin = headers.get("origin")
    if origin is None:
        return not must_say and headers.get("sec-fetch-site", "same-origin") == "same-origin"
    return origin == own_origin(call) and headers.get("sec-fetch-site", "same-origin") == "same-origin"


def signed_in(call: Call, *, socket: bool = False) -> Caller | None:
    """Who is signed in in the browser that makes this call; None where nobody is, or the call is not our pages'.

    A key that was revoked, or has expired, signs nobody in any more.
    """
    secret = secret_of(call)
    if secret is None:
        return None
    if socket:
        if not _is_ours(call, must_say=True):
            return None
    elif UI_HEADER not in call.headers or not _is_ours(call, must_say=call.method not in _READS):
        return None
    session = call.rooms.page_sessions.find(secret)
    return None if session is None else _caller(call, session.key_id)


def _caller(call: Call, key_id: str) -> Caller | None:
    if not key_id:
        return Caller("", frozenset(SCOPES))
    record = call.rooms.keys.get(key_id)
    return None if record is None else Caller(record.id, record.scopes, record.apps, highest=record.priority)


class SignIn(msgspec.Struct, forbid_unknown_fields=True):
    """`token`: what a link carries; `key`: an API key, `id:secret`."""

    token: str | None = None
    key: str | None = None


async def sign_in(call: Call) -> Response:
    """Sign in by a one-time link or a key; the browser gets a cookie. For our own pages only."""
    if UI_HEADER not in call.headers:
        raise Forbidden("only the pages of this server sign in here; programs send Authorization")
    if not _is_ours(call, must_say=True):
        origin = call.headers.get("origin", "no origin")
        raise Forbidden(
            f"this came from {origin}, and this server's pages are at {own_origin(call)} (setting public_url)"
        )
    if call.rooms.access.open:
        return answers.json(_shown(call, Caller("", frozenset(SCOPES)), None))
    wanted = await call.json(SignIn, _BODY, hint="{'token': …} or {'key': 'id:secret'}")
    key_id = await _redeemed(call, wanted)
    caller = _caller(call, key_id)
    if caller is None:
        raise Unauthorized("the key of this link was revoked, or has expired")
    secret, session = await call.rooms.page_sessions.begin(key_id)
    return answers.json(
        _shown(call, caller, session.expires_at), headers={"set-cookie": _cookie(call, secret, _SECONDS)}
    )


async def _redeemed(call: Call, wanted: SignIn) -> str:
    if wanted.token is not None:
        key_id: str | None = await call.rooms.page_sessions.redeem(wanted.token)
        if key_id is None:
            raise Unauthorized("this link was used already, or is older than five minutes: pondage open makes another")
        return key_id
    name, colon, secret = (wanted.key or "").strip().partition(":")
    if not colon:
        raise BadRequest("say a token, or a key as id:secret")
    record = call.rooms.keys.verify(name, secret)
    if record is None:
        raise Unauthorized("there is no such key, or it was revoked or has expired")
    return str(record.id)


async def who(call: Call) -> Response:
    """Who is signed in, and what they may do."""
    if call.rooms.access.open:
        return answers.json(_shown(call, Caller("", frozenset(SCOPES)), None))
    secret = secret_of(call)
    caller = signed_in(call)
    session = call.rooms.page_sessions.find(secret) if secret and caller else None
    return answers.json(_shown(call, caller, session.expires_at if session else None))


async def sign_out(call: Call) -> Response:
    """Sign out: the session ends, the cookie goes."""
    if UI_HEADER not in call.headers or not _is_ours(call, must_say=True):
        raise Forbidden("only the pages of this server sign out here")
    if (secret := secret_of(call)) is not None:
        await call.rooms.page_sessions.end(secret)
    return answers.json(_shown(call, None, None), headers={"set-cookie": _cookie(call, "", 0)})


def _shown(call: Call, caller: Caller | None, expires_at: float | None) -> Session:
    key_id = caller.key_id if caller is not None else ""
    return Session(
        open=call.rooms.access.open,
        signed_in=caller is not None,
        key=key_id or None,
        name=call.rooms.keys.names().get(key_id),
        scopes=sorted(caller.scopes) if caller is not None else [],
        apps=sorted(caller.apps) if caller is not None and caller.apps is not None else None,
        expires_at=iso(expires_at) if expires_at is not None else None,
    )


def _cookie(call: Call, secret: str, seconds: int) -> str:
    secure = "; Secure" if call.origins.run.startswith("https:") else ""
    return f"{cookie_name(call)}={secret}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Strict{secure}"
