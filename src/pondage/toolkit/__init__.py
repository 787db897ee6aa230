"""fal's names for what authors use, so that an app moves here by one changed import (PROTOCOL 11.4)."""

from __future__ import annotations

from pondage.toolkit.audio import Audio as Audio
from pondage.toolkit.compilation import get_gpu_type as get_gpu_type
from pondage.toolkit.compilation import load_inductor_cache as load_inductor_cache
from pondage.toolkit.compilation import sync_inductor_cache as sync_inductor_cache
from pondage.toolkit.compilation import synchronized_inductor_cache as synchronized_inductor_cache
from pondage.toolkit.compressed import CompressedFile as CompressedFile
from pondage.toolkit.constraints import ImageSizeConstraints as ImageSizeConstraints
from pondage.toolkit.constraints import ImageValidationConfig as ImageValidationConfig
from pondage.toolkit.constraints import ImageValidationOptions as ImageValidationOptions
from pondage.toolkit.constraints import VideoNormalizationConfig as VideoNormalizationConfig
from pondage.toolkit.constraints import VideoValidationConfig as VideoValidationConfig
from pondage.toolkit.constraints import VideoValidationOptions as VideoValidationOptions
from pondage.toolkit.constraints import to_xfal as to_xfal
from pondage.toolkit.download import FAL_MODEL_WEIGHTS_DIR as FAL_MODEL_WEIGHTS_DIR
from pondage.toolkit.download import FAL_PERSISTENT_DIR as FAL_PERSISTENT_DIR
from pondage.toolkit.download import FAL_REPOSITORY_DIR as FAL_REPOSITORY_DIR
from pondage.toolkit.download import DownloadError as DownloadError
from pondage.toolkit.download import clone_repository as clone_repository
from pondage.toolkit.download import download_file as download_file
from pondage.toolkit.download import download_model_weights as download_model_weights
from pondage.toolkit.exceptions import FalTookitException as FalTookitException
from pondage.toolkit.exceptions import FileUploadException as FileUploadException
from pondage.toolkit.exceptions import FileUploadFallbackException as FileUploadFallbackException
from pondage.toolkit.exceptions import KVStoreException as KVStoreException
from pondage.toolkit.fields import AudioField as AudioField
from pondage.toolkit.fields import FileField as FileField
from pondage.toolkit.fields import ImageField as ImageField
from pondage.toolkit.fields import ImageSizeField as ImageSizeField
from pondage.toolkit.fields import VideoField as VideoField
from pondage.toolkit.file import File as File
from pondage.toolkit.image import Image as Image
from pondage.toolkit.image import ImageSize as ImageSize
from pondage.toolkit.image import ImageSizeInput as ImageSizeInput
from pondage.toolkit.image import get_image_size as get_image_size
from pondage.toolkit.kv import KVStore as KVStore
from pondage.toolkit.pydantic import FalBaseModel as FalBaseModel
from pondage.toolkit.pydantic import Field as Field
from pondage.toolkit.pydantic import Hidden as Hidden
from pondage.toolkit.video import Video as Video

__all__ = [
    "FAL_MODEL_WEIGHTS_DIR",
    "FAL_PERSISTENT_DIR",
    "FAL_REPOSITORY_DIR",
    "Audio",
    "AudioField",
    "CompressedFile",
    "DownloadError",
    "FalBaseModel",
    "FalTookitException",
    "Field",
    "File",
    "FileField",
    "FileUploadException",
    "FileUploadFallbackException",
    "Hidden",
    "Image",
    "ImageField",
    "ImageSize",
    "ImageSizeConstraints",
    "ImageSizeField",
    "ImageSizeInput",
    "ImageValidationConfig",
    "ImageValidationOptions",
    "KVStore",
    "KVStoreException",
    "Video",
    "VideoField",
    "VideoNormalizationConfig",
    "VideoValidationConfig",
    "VideoValidationOptions",
    "clone_repository",
    "download_file",
    "download_model_weights",
    "get_gpu_type",
    "get_image_size",
    "load_inductor_cache",
    "sync_inductor_cache",
    "synchronized_inductor_cache",
    "to_xfal",
]
