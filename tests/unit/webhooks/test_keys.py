"""Keys: the first ones, and their rotation with an overlap."""

from __future__ import annotations

from pathlib import Path

import pytest

from pondage.clock import ManualClock
from pondage.errors import BadRequest, WebhookForged
from pondage.webhooks.verify import verify_webhook
from pondage.wire import signing

from .conftest import House, Receiver, opened

pytestmark = pytest.mark.anyio

DAY = 86_400.0


def signed(house: House) -> dict[str, str]:
    return signing.fal_headers("r", "u", int(house.clock.wall()), b"{}", house.webhooks.keys.sign)


def fits(house: House, headers: dict[str, str], jwks: dict[str, object]) -> bool:
    try:
        verify_webhook(headers, b"{}", jwks=jwks, now=house.clock.wall())
    except WebhookForged:
        return False
    return True


async def test_keys_are_made_once_and_kept(tmp_path: Path, clock: ManualClock) -> None:
    seen = []
    for _ in range(2):
        async with opened(tmp_path, clock, Receiver(clock)) as house:
            seen.append((house.webhooks.jwks(), house.webhooks.keys.secrets("")))
    assert seen[0] == seen[1]
    [key] = seen[0][0]["keys"]
    assert (key["kty"], key["crv"], len(key["x"])) == ("OKP", "Ed25519", 43)


async def test_a_rotated_key_fits_for_receivers_with_a_jwks_of_up_to_a_day(house: House) -> None:
    old_document = house.webhooks.jwks()
    await house.webhooks.rotate("ed25519", target="", at_once=False)
    new_document = house.webhooks.jwks()
    assert len(new_document["keys"]) == 2
    house.advance(DAY - 1)
    assert fits(house, signed(house), old_document) and fits(house, signed(house), new_document)
    house.advance(2)
    assert not fits(house, signed(house), old_document) and fits(house, signed(house), new_document)
    house.advance(3600)
    assert len(house.webhooks.jwks()["keys"]) == 1
    assert fits(house, signed(house), house.webhooks.jwks())


async def test_a_stolen_key_is_gone_at_once(house: House) -> None:
    old_document = house.webhooks.jwks()
    await house.webhooks.rotate("ed25519", target="", at_once=True)
    assert len(house.webhooks.jwks()["keys"]) == 1
    assert not fits(house, signed(house), old_document)
    assert fits(house, signed(house), house.webhooks.jwks())


async def test_both_secrets_sign_for_a_while(house: House) -> None:
    [old] = house.webhooks.keys.secrets("")
    await house.webhooks.rotate("secret", target="", at_once=False)
    both = house.webhooks.keys.secrets("")
    assert both[1] == old and len(both) == 2
    house.advance(7 * DAY + 1)
    assert house.webhooks.keys.secrets("") == both[:1]


async def test_a_target_may_have_a_secret_of_its_own(house: House) -> None:
    key = await house.webhooks.rotate("secret", target="https://Mine.example/any/path", at_once=False)
    assert key.secret is not None and key.origin == "https://mine.example"
    assert house.webhooks.secrets("https://mine.example/") == [key.secret]
    assert house.webhooks.keys.secrets("https://other.example") == house.webhooks.keys.secrets("")
    with pytest.raises(BadRequest):
        await house.webhooks.rotate("ed25519", target="https://mine.example", at_once=False)
