"""fal's home of `CompressedFile`."""

from __future__ import annotations

from penstock.app.media import CompressedFile as CompressedFile
