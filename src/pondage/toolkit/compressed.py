"""fal's home of `CompressedFile`."""

from __future__ import annotations

from pondage.app.media import CompressedFile as CompressedFile
