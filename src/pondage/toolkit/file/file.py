"""fal's other home of `File`."""

from __future__ import annotations

from pondage.toolkit.file import CompressedFile as CompressedFile
from pondage.toolkit.file import File as File
from pondage.toolkit.file import FileField as FileField
