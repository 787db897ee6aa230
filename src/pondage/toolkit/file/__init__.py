"""fal's home of `File`."""

from __future__ import annotations

from pondage.app.media import CompressedFile as CompressedFile
from pondage.app.media import File as File
from pondage.toolkit.fields import FileField as FileField
