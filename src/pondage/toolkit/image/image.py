"""fal's other home of `Image` and the image sizes."""

from __future__ import annotations

from pondage.toolkit.image import IMAGE_SIZE_PRESETS as IMAGE_SIZE_PRESETS
from pondage.toolkit.image import Image as Image
from pondage.toolkit.image import ImageField as ImageField
from pondage.toolkit.image import ImagePreset as ImagePreset
from pondage.toolkit.image import ImageSize as ImageSize
from pondage.toolkit.image import ImageSizeField as ImageSizeField
from pondage.toolkit.image import ImageSizeInput as ImageSizeInput
from pondage.toolkit.image import get_image_size as get_image_size
