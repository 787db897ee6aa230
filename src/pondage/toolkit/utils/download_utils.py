"""fal's other home of the downloads."""

from __future__ import annotations

from pondage.toolkit.download import FAL_MODEL_WEIGHTS_DIR as FAL_MODEL_WEIGHTS_DIR
from pondage.toolkit.download import FAL_PERSISTENT_DIR as FAL_PERSISTENT_DIR
from pondage.toolkit.download import FAL_REPOSITORY_DIR as FAL_REPOSITORY_DIR
from pondage.toolkit.download import DownloadError as DownloadError
from pondage.toolkit.download import clone_repository as clone_repository
from pondage.toolkit.download import download_file as download_file
from pondage.toolkit.download import download_model_weights as download_model_weights
