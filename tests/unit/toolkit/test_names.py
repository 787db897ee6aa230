"""Every module and name that apps import from fal's SDK, and that has a meaning here, is under the same path."""

from __future__ import annotations

from importlib import import_module

import pytest

NAMES = {
    "": "App BillingComponents BillingDeclaration ContainerImage HealthCheck cached endpoint realtime",
    "app": "App endpoint realtime",
    "apps": "Completed InProgress Queued RequestHandle run stream submit",
    "container": "ContainerImage",
    "exceptions": "AppException AppFileUploadException CUDAOutOfMemoryException FalServerlessException FieldException "
    "FileTooLargeError GPUException GPUOutOfMemoryException RequestCancelledException UnauthenticatedException "
    "catch_gpu_exceptions",
    "ref": "get_current_app set_current_app",
    "sdk": "ApplicationHealthCheckConfig HealthCheck RetryConfig",
    "toolkit": "Audio AudioField CompressedFile DownloadError FAL_MODEL_WEIGHTS_DIR FAL_PERSISTENT_DIR "
    "FAL_REPOSITORY_DIR FalBaseModel FalTookitException Field File FileField FileUploadException Hidden Image "
    "ImageField ImageSizeConstraints ImageSizeField ImageSizeInput ImageValidationConfig ImageValidationOptions "
    "KVStore KVStoreException Video VideoField VideoNormalizationConfig VideoValidationConfig VideoValidationOptions "
    "clone_repository download_file download_model_weights get_gpu_type get_image_size load_inductor_cache "
    "sync_inductor_cache synchronized_inductor_cache to_xfal",
    "toolkit.audio": "Audio AudioField",
    "toolkit.audio.audio": "Audio AudioField",
    "toolkit.compilation": "get_gpu_type load_inductor_cache sync_inductor_cache synchronized_inductor_cache",
    "toolkit.constraints": "ImageSizeConstraints ImageValidationConfig to_xfal",
    "toolkit.exceptions": "FalTookitException FileUploadException FileUploadFallbackException KVStoreException",
    "toolkit.file": "CompressedFile File FileField",
    "toolkit.file.file": "CompressedFile File",
    "toolkit.image": "Image ImageField ImageSize ImageSizeField ImageSizeInput get_image_size",
    "toolkit.image.image": "Image ImageSize ImageSizeInput get_image_size",
    "toolkit.image.safety_checker": "postprocess_images",
    "toolkit.kv": "KVStore",
    "toolkit.pydantic": "FalBaseModel Field Hidden",
    "toolkit.types": "DataUri FileInput HttpsUrl ImageInput",
    "toolkit.utils": "FAL_MODEL_WEIGHTS_DIR clone_repository download_file download_model_weights",
    "toolkit.utils.download_utils": "DownloadError FAL_MODEL_WEIGHTS_DIR FAL_PERSISTENT_DIR clone_repository "
    "download_file download_model_weights",
    "toolkit.utils.endpoint": "cancel_on_disconnect",
    "toolkit.utils.retry": "retry",
    "toolkit.utils.setup_utils": "patch_onnx_runtime",
    "toolkit.video": "Video VideoField",
    "toolkit.video.video": "Video VideoField",
}


@pytest.mark.parametrize("module", NAMES)
def test_a_module_has_its_names(module: str) -> None:
    found = import_module(f"pondage.{module}".rstrip("."))
    for name in NAMES[module].split():
        assert getattr(found, name) is not None, name
