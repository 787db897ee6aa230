"""The settings over `/api/v1`."""

from __future__ import annotations

import msgspec

from pondage.gateway import answers
from pondage.gateway.call import Call, Response
from pondage.gateway.shapes import Setting, Settings
from pondage.wire.masking import masked


async def list_settings(call: Call) -> Response:
    """Every setting: its value, and where that comes from."""
    settings = call.rooms.settings
    default = type(settings)()
    items = []
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        said = masked(value) if isinstance(value, str) else value
        source = call.rooms.setting_sources.get(name, "default" if value == getattr(default, name) else "set")
        items.append(Setting(name, msgspec.to_builtins(said), source))
    return answers.json(Settings(items, None))
