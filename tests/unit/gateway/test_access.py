"""Who a caller is, and what a token may do that a key gave away."""

from __future__ import annotations

from typing import Any, NamedTuple

import jwt
import pytest

from pondage.clock import ManualClock
from pondage.errors import Forbidden, Unauthorized
from pondage.gateway.access import ANYBODY, Access, require
from pondage.gateway.call import Caller
from pondage.wire.scopes import SCOPES

SECRET = b"s" * 32
NOW = 1_700_000_000.0


class Key(NamedTuple):
    id: str
    scopes: frozenset[str]
    apps: frozenset[str] | None = None
    secret: str = "secret"
    priority: int = 0


class Keys:
    """A key store in a dictionary."""

    def __init__(self, *keys: Key) -> None:
        self.keys = {key.id: key for key in keys}

    def verify(self, key_id: str, secret: str) -> Key | None:
        found = self.keys.get(key_id)
        return found if found is not None and found.secret == secret else None

    def get(self, key_id: str) -> Key | None:
        return self.keys.get(key_id)


def key(id: str = "k", *scopes: str, apps: set[str] | None = None) -> Key:
    return Key(id, frozenset(scopes or {"submit", "read", "files"}), None if apps is None else frozenset(apps))


def access(*keys: Key, may_be_open: bool = True, **more: Any) -> Access:
    return Access(
        Keys(*keys),
        ManualClock(NOW),
        is_open=lambda: may_be_open and not keys,
        token_secret=SECRET,
        **({"token_max_age": 3600.0} | more),
    )


def caller(from_key: Key) -> Caller:
    return Caller(from_key.id, from_key.scopes, from_key.apps)


# ---- who may come in


def test_on_an_open_server_any_program_may_do_anything() -> None:
    door = access()
    assert door.open
    for authorization in (None, "Key any:thing", "Bearer nonsense", "nonsense"):
        assert door.identify(authorization, "nonsense") == ANYBODY
    assert ANYBODY.key_id == "" and all(ANYBODY.may(scope) for scope in SCOPES)


@pytest.mark.parametrize("door", [access(may_be_open=False), access(key())])
def test_elsewhere_or_once_a_key_exists_nobody_comes_in_without_one(door: Access) -> None:
    assert not door.open
    with pytest.raises(Unauthorized, match="Authorization: Key"):
        door.identify(None, None)


@pytest.mark.parametrize("header", ["Key k:secret", "key k:secret", "KEY  k:secret ", "Bearer k:secret"])
def test_forms_of_a_key(header: str) -> None:
    assert access(key()).identify(header, None) == caller(key())


@pytest.mark.parametrize(
    "header",
    ["Key k:wrong", "Key other:secret", "Key k:", "Key :secret", "Key :", "Key k", "Key", "Key ", "Basic k:secret",
     "k:secret", "Bearer a.b.c", " ", "Key k:secret:more"],
)  # fmt: skip
def test_what_is_no_key_of_ours(header: str) -> None:
    with pytest.raises(Unauthorized):
        access(key()).identify(header, None)


def test_a_wrong_key_is_not_made_good_by_a_good_token() -> None:
    door = access(key())
    good = door.token(caller(key()), ["acme/desk"], 60, NOW)
    with pytest.raises(Unauthorized):
        door.identify("Key k:wrong", good)


# ---- what a token may do


def test_a_token_is_for_its_apps_and_has_only_what_a_call_needs() -> None:
    door = access(key("k", "admin"))
    who = door.identify(None, door.token(caller(key("k", "admin")), ["acme/desk"], 60, NOW))
    assert who == Caller("k", frozenset({"submit", "read"}), frozenset({"acme/desk"}), by_token=True)
    assert who.may_call("acme/desk") and not who.may_call("acme/other")


def test_fals_clients_name_the_alias_alone() -> None:
    door = access(key())
    who = door.identify(None, door.token(caller(key()), ["desk"], 60, NOW))
    assert who.may_call("acme/desk") and not who.may_call("acme/other")


@pytest.mark.parametrize("scopes", [("submit",), ("read",), ("files",), ("submit", "files")])
def test_a_token_never_has_a_scope_that_its_key_has_not(scopes: tuple[str, ...]) -> None:
    door = access(key("k", *scopes))
    who = door.identify(None, door.token(caller(key("k", *scopes)), ["acme/desk"], 60, NOW))
    assert who.scopes == frozenset(scopes) & {"submit", "read"}


def test_an_alias_means_the_apps_of_the_key_and_no_others() -> None:
    limited = key("k", apps={"acme/desk"})
    door = access(limited)
    who = door.identify(None, door.token(caller(limited), ["desk"], 60, NOW))
    assert who.apps == {"acme/desk"} and not who.may_call("rival/desk")
    for app in ("other", "rival/desk", "acme/other"):
        with pytest.raises(Forbidden, match="not for"):
            door.token(caller(limited), ["desk", app], 60, NOW)


def test_a_token_loses_what_its_key_lost() -> None:
    before, after = key("k", "submit", "read"), key("k", "read")
    made = access(before).token(caller(before), ["acme/desk"], 60, NOW)
    assert access(after).identify(None, made).scopes == {"read"}


def test_a_token_gets_no_further_token() -> None:
    door = access(key())
    who = door.identify(None, door.token(caller(key()), ["acme/desk"], 60, NOW))
    with pytest.raises(Forbidden, match="no further token"):
        door.token(who, ["acme/desk"], 60, NOW)


def test_a_token_ends() -> None:
    door = access(key())
    with pytest.raises(Unauthorized, match="expired"):
        door.identify(None, door.token(caller(key()), ["acme/desk"], 60, NOW - 61))


def test_a_token_lives_no_longer_than_the_setting() -> None:
    door = access(key(), token_max_age=100.0)
    claims = jwt.decode(door.token(caller(key()), ["a/b"], 10**6, NOW), options={"verify_signature": False})
    assert claims["exp"] - int(NOW) == 100


def test_a_token_ends_with_its_key() -> None:
    made = access(key()).token(caller(key()), ["acme/desk"], 60, NOW)
    with pytest.raises(Unauthorized, match="revoked"):
        access(key("other")).identify(None, made)


def test_a_token_of_a_gateway_whose_clock_is_ahead() -> None:
    door = access(key())
    assert door.identify(None, door.token(caller(key()), ["acme/desk"], 60, NOW + 30)).key_id == "k"


CLAIMS = {"sub": "k", "apps": ["acme/desk"], "scopes": ["submit"], "exp": NOW + 60}


@pytest.mark.parametrize(
    "forged",
    [
        jwt.encode(CLAIMS, b"another secret of 32 bytes......", "HS256"),
        jwt.encode(CLAIMS, None, "none"),
        jwt.encode(CLAIMS, SECRET * 2, "HS512"),
        jwt.encode({k: v for k, v in CLAIMS.items() if k != "exp"}, SECRET, "HS256"),
        jwt.encode({k: v for k, v in CLAIMS.items() if k != "apps"}, SECRET, "HS256"),
        jwt.encode({k: v for k, v in CLAIMS.items() if k != "sub"}, SECRET, "HS256"),
        "a.b.c", "", "nonsense", "é" * 10,
    ],
)  # fmt: skip
def test_what_is_no_token_of_ours(forged: str) -> None:
    with pytest.raises(Unauthorized):
        access(key()).identify(None, forged)


# ---- scopes


def test_admin_has_every_scope_and_others_only_their_own() -> None:
    everything = frozenset(SCOPES)
    for scope in SCOPES:
        require(Caller("k", frozenset({"admin"})), scope)
        require(Caller("k", frozenset({scope})), scope)
        if scope != "admin":
            without = everything - {scope, "admin"} - ({"read-all"} if scope == "read" else set())
            with pytest.raises(Forbidden, match=f"no scope '{scope}'"):
                require(Caller("k", without), scope)
    with pytest.raises(Forbidden, match="it has none"):
        require(Caller("k", frozenset()), "read")
    require(Caller("", frozenset()), "")


def test_who_reads_everybodys_reads_its_own_and_no_more() -> None:
    reader = Caller("k", frozenset({"read-all"}))
    require(reader, "read")
    for scope in SCOPES.keys() - {"read", "read-all"}:
        with pytest.raises(Forbidden):
            require(reader, scope)


def test_one_of_several_scopes_is_enough_and_all_are_named() -> None:
    for scope in ("submit", "operate", "admin"):
        require(Caller("k", frozenset({scope})), "submit or operate")
    with pytest.raises(Forbidden, match="no scope 'submit' or 'operate'; it has files, read"):
        require(Caller("k", frozenset({"read", "files"})), "submit or operate")


def test_what_is_the_whole_servers_is_not_for_an_admin_of_some_apps() -> None:
    limited = Caller("k", frozenset({"admin"}), frozenset({"acme/desk"}))
    with pytest.raises(Forbidden, match="for every app"):
        require(limited, "admin")
    for scope in SCOPES.keys() - {"admin"}:
        require(limited, scope)


@pytest.mark.parametrize("scopes", [("read-all", "submit"), ("admin",)])
def test_a_token_gives_away_no_more_than_a_call_needs(scopes: tuple[str, ...]) -> None:
    door = access(key("k", *scopes))
    who = door.identify(None, door.token(caller(key("k", *scopes)), ["acme/desk"], 60, NOW, subject="ann"))
    assert (who.scopes, who.subject, who.by_token) == ({"submit", "read"}, "ann", True)
