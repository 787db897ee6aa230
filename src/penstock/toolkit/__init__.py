"""fal's names for what authors use, so that an app moves here by one changed import (PROTOCOL 11.4)."""

from __future__ import annotations

from penstock.toolkit.audio import Audio as Audio
from penstock.toolkit.compressed import CompressedFile as CompressedFile
from penstock.toolkit.download import download_file as download_file
from penstock.toolkit.file import File as File
from penstock.toolkit.image import Image as Image
from penstock.toolkit.image import ImageSize as ImageSize
from penstock.toolkit.image import ImageSizeInput as ImageSizeInput
from penstock.toolkit.image import get_image_size as get_image_size
from penstock.toolkit.video import Video as Video

__all__ = [
    "Audio",
    "CompressedFile",
    "File",
    "Image",
    "ImageSize",
    "ImageSizeInput",
    "Video",
    "download_file",
    "get_image_size",
]
