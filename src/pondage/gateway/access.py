"""Who calls, and what they may do: keys, short-lived tokens, and the open server on loopback (DESIGN 5)."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from pondage.clock import Clock
from pondage.errors import Forbidden, InvalidInput, Unauthorized
from pondage.gateway import answers
from pondage.gateway.app_tokens import APP
from pondage.gateway.call import Call, Caller, Response
from pondage.wire.ids import parse_endpoint
from pondage.wire.scopes import OR, SCOPES, within

if TYPE_CHECKING:
    from pondage.keys import KeyRecord

ANYBODY = Caller("", frozenset(SCOPES))
"""The caller of an open server."""


_LONGEST_SUBJECT = 256
_MOST_APPS = 1000
"""Apps that one token may be for."""


class Keys(Protocol):
    """The key store, as the gateway asks it."""

    def verify(self, key_id: str, secret: str) -> KeyRecord | None: ...

    def get(self, key_id: str) -> KeyRecord | None: ...

    def names(self) -> Mapping[str, str]:
        """Each key's id and its name."""
        ...

    @property
    def used(self) -> Container[str]:
        """The keys of which a use is noted of late."""
        ...

    def note_use(self, key_id: str, address: str) -> None:
        """The key is used, from this address."""
        ...

    async def list(self) -> Sequence[KeyRecord]:
        """All keys, also revoked ones, oldest first."""
        ...

    async def known_apps(self) -> Sequence[str]:
        """The apps for which a key can be made."""
        ...

    async def create(
        self,
        name: str,
        *,
        scopes: Iterable[str],
        apps: Iterable[str] | None,
        expires_at: float | None,
        priority: int,
    ) -> tuple[str, str]:
        """Make a key: its id and its secret."""
        ...

    async def rotate(self, key_id: str, overlap: float) -> str | None:
        """Another secret for a key; None where there is no such key that opens anything."""
        ...

    async def revoke(self, key_id: str) -> bool:
        """End a key; False where there is no such key, or it is revoked already."""
        ...


class _Claims(msgspec.Struct):
    """What a token says."""

    sub: str
    exp: float
    apps: list[str]
    scopes: list[str]
    subject: str | None = None


class Access:
    """Decides who a caller is. `token_secret` signs short-lived tokens; it lies in the data folder.

    Args:
        is_open: whether this machine's programs may call without a key just now.
    """

    def __init__(
        self, keys: Keys, clock: Clock, *, is_open: Callable[[], bool], token_secret: bytes, token_max_age: float
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._is_open = is_open
        self._secret = token_secret
        self._max_age = token_max_age

    @property
    def open(self) -> bool:
        """Whether this machine's programs may call without a key: while there is none, and nobody else is let in."""
        return self._is_open()

    def identify(self, authorization: str | None, token: str | None) -> Caller:
        """Who calls.

        Raises:
            Unauthorized: keys are required, and this is none, or a wrong, expired or revoked one.
        """
        if self.open:
            return ANYBODY
        if authorization:
            scheme, _, credential = authorization.strip().partition(" ")
            key_id, colon, secret = credential.strip().partition(":")
            if scheme.lower() not in {"key", "bearer"} or not credential:
                raise Unauthorized("Authorization must be: Key <id>:<secret>, or Bearer <id>:<secret> or <token>")
            if colon:
                if (record := self._keys.verify(key_id, secret)) is None:
                    raise Unauthorized("No user found for Key ID and Secret")
                return Caller(record.id, record.scopes, record.apps, highest=record.priority)
            token = credential.strip()
        if token:
            return self._of_token(token)
        raise Unauthorized("Authentication is required: send Authorization: Key <id>:<secret>")

    def _of_token(self, token: str) -> Caller:
        import jwt

        try:
            # Another gateway may have made it a moment ago by a clock that is ahead: only its end is looked at, below.
            decoded = jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                options={"require": ["exp", "sub", "apps", "scopes"], "verify_iat": False, "verify_exp": False},
            )
            claims = msgspec.convert(decoded, _Claims)
        except (jwt.InvalidTokenError, msgspec.ValidationError):
            raise Unauthorized("the token is not one of this server's") from None
        if claims.exp <= self._clock.wall():
            raise Unauthorized("the token has expired; ask for a new one")
        if claims.sub.startswith(APP):
            return Caller(claims.sub, frozenset(claims.scopes), None, by_token=True, subject=claims.subject)
        record = self._keys.get(claims.sub)
        if record is None:
            raise Unauthorized("the key of this token was revoked")
        scopes = within(record.scopes, claims.scopes)
        return Caller(
            record.id, scopes, frozenset(claims.apps), by_token=True, subject=claims.subject, highest=record.priority
        )

    def token(
        self,
        caller: Caller,
        apps: list[str],
        seconds: float,
        now: float,
        scopes: frozenset[str] = frozenset({"submit", "read"}),
        subject: str | None = None,
    ) -> str:
        """A token for `apps` and `scopes` that lives `seconds`, never with more rights than `caller` has.

        With a `subject` it sees the requests alone that were made with tokens of the same subject.

        Raises:
            Forbidden: the caller may not call one of the apps, or has a token itself.
        """
        import jwt

        if caller.by_token:
            raise Forbidden("a token gets no further token: its time would never end; ask with the key")
        seconds = min(seconds, self._max_age)
        apps = sorted({name for app in apps for name in _granted(caller, app)})
        claims: dict[str, Any] = {
            "sub": caller.key_id, "apps": apps, "iat": int(now), "exp": int(now + seconds),
            "scopes": sorted(within(caller.scopes, scopes)),
        }  # fmt: skip
        if subject is not None:
            claims["subject"] = subject
        return jwt.encode(claims, self._secret, algorithm="HS256")


def _granted(caller: Caller, app: str) -> list[str]:
    """What a token for `app` is for. fal's clients name the alias alone: of a key for some apps, it means those.

    Raises:
        Forbidden: the caller may not call it.
    """
    if caller.apps is None or caller.may_call(app):
        return [app]
    if named := [own for own in caller.apps if "/" not in app and own.rpartition("/")[2] == app]:
        return named
    raise Forbidden(f"this key is not for {app}; it is for {', '.join(sorted(caller.apps)) or 'no app'}")


def require(caller: Caller, scope: str) -> None:
    """Stop a caller without the scope; of several with ` or ` between them, one is enough.

    Raises:
        Forbidden: naming the scope that is missing. Also for `admin` with a key for some apps: what needs it is the
            whole server's.
    """
    if not scope:
        return
    if not caller.may(scope):
        wanted = OR.join(repr(name) for name in scope.split(OR))
        raise Forbidden(f"this key has no scope {wanted}; it has {', '.join(sorted(caller.scopes)) or 'none'}")
    if scope == "admin" and caller.apps is not None:
        raise Forbidden("this is the whole server's, and this key is for some apps; it needs 'admin' for every app")


class TokenRequest(msgspec.Struct):
    allowed_apps: list[str]
    token_expiration: float = 120
    duration: float | None = None
    subject: str | None = None
    """Whom a page's token is for: it then sees and lists the requests of this subject alone."""


async def _mint(call: Call) -> str:
    wanted = await call.json(TokenRequest, hint="{'allowed_apps': […], 'token_expiration': 120}")
    if not wanted.allowed_apps:
        raise InvalidInput.field(["body", "allowed_apps"], "names no app")
    if len(wanted.allowed_apps) > _MOST_APPS:
        raise InvalidInput.field(
            ["body", "allowed_apps"], f"names {len(wanted.allowed_apps)} apps; at most {_MOST_APPS}"
        )
    seconds = wanted.token_expiration if wanted.duration is None else wanted.duration
    if not 1 <= seconds <= 10**6:
        raise InvalidInput.field(["body", "token_expiration"], f"{seconds} is not a number of seconds from 1 on")
    if (subject := wanted.subject) is not None and not (0 < len(subject) <= _LONGEST_SUBJECT and subject.isprintable()):
        raise InvalidInput.field(["body", "subject"], f"must have 1 to {_LONGEST_SUBJECT} printable characters")
    apps = [_app(name) for name in wanted.allowed_apps]
    access = call.rooms.access
    return access.token(call.caller, apps, seconds, call.rooms.clock.wall(), subject=subject)


def _app(name: str) -> str:
    """The app of an alias or an endpoint id. Realtime tokens may be asked for `owner/alias/realtime`."""
    if (alias := name.strip("/")) and "/" not in alias:
        return alias
    try:
        return parse_endpoint(name).app
    except ValueError as error:
        raise InvalidInput.field(["body", "allowed_apps"], str(error)) from None


async def tokens(call: Call) -> Response:
    """`POST /tokens/`: a bare JSON string, as Swift needs it (PROTOCOL 2.1)."""
    return answers.json(await _mint(call))


async def realtime_tokens(call: Call) -> Response:
    """`POST /tokens/realtime`: the documented form for back ends."""
    body: dict[str, Any] = {"token": await _mint(call)}
    return answers.json(body)
