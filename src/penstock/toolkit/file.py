"""fal's home of `File`."""

from __future__ import annotations

from penstock.app.media import CompressedFile as CompressedFile
from penstock.app.media import File as File
from penstock.toolkit.fields import FileField as FileField
