"""fal's names for what authors use, so that an app moves here by one changed import (PROTOCOL 11.4)."""

from __future__ import annotations

from penstock.toolkit.audio import Audio as Audio
from penstock.toolkit.compressed import CompressedFile as CompressedFile
from penstock.toolkit.download import FAL_MODEL_WEIGHTS_DIR as FAL_MODEL_WEIGHTS_DIR
from penstock.toolkit.download import FAL_PERSISTENT_DIR as FAL_PERSISTENT_DIR
from penstock.toolkit.download import FAL_REPOSITORY_DIR as FAL_REPOSITORY_DIR
from penstock.toolkit.download import DownloadError as DownloadError
from penstock.toolkit.download import clone_repository as clone_repository
from penstock.toolkit.download import download_file as download_file
from penstock.toolkit.download import download_model_weights as download_model_weights
from penstock.toolkit.fields import AudioField as AudioField
from penstock.toolkit.fields import FileField as FileField
from penstock.toolkit.fields import ImageField as ImageField
from penstock.toolkit.fields import ImageSizeField as ImageSizeField
from penstock.toolkit.fields import VideoField as VideoField
from penstock.toolkit.file import File as File
from penstock.toolkit.image import Image as Image
from penstock.toolkit.image import ImageSize as ImageSize
from penstock.toolkit.image import ImageSizeInput as ImageSizeInput
from penstock.toolkit.image import get_image_size as get_image_size
from penstock.toolkit.pydantic import FalBaseModel as FalBaseModel
from penstock.toolkit.pydantic import Field as Field
from penstock.toolkit.pydantic import Hidden as Hidden
from penstock.toolkit.video import Video as Video

__all__ = [
    "FAL_MODEL_WEIGHTS_DIR",
    "FAL_PERSISTENT_DIR",
    "FAL_REPOSITORY_DIR",
    "Audio",
    "AudioField",
    "CompressedFile",
    "DownloadError",
    "FalBaseModel",
    "Field",
    "File",
    "FileField",
    "Hidden",
    "Image",
    "ImageField",
    "ImageSize",
    "ImageSizeField",
    "ImageSizeInput",
    "Video",
    "VideoField",
    "clone_repository",
    "download_file",
    "download_model_weights",
    "get_image_size",
]
