"""Settings that cannot be are refused with their name, value, source and what fits."""

from __future__ import annotations

import pytest

from pondage.errors import SetupError
from pondage.settings import LARGEST, load


@pytest.mark.parametrize("name", LARGEST)
def test_what_no_packet_carries_is_refused(name: str) -> None:
    settings, _ = load({name: LARGEST[name]}, environ={})
    assert getattr(settings, name) == LARGEST[name]
    with pytest.raises(SetupError, match=rf"{name} = .*\(PONDAGE_.*\): at most {LARGEST[name]}"):
        load(environ={f"PONDAGE_{name.upper()}": str(LARGEST[name] + 1)})
