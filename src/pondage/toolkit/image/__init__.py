"""fal's home of `Image` and the image sizes."""

from __future__ import annotations

from pondage.app.image import IMAGE_SIZE_PRESETS as IMAGE_SIZE_PRESETS
from pondage.app.image import Image as Image
from pondage.app.image import ImagePreset as ImagePreset
from pondage.app.image import ImageSize as ImageSize
from pondage.app.image import ImageSizeInput as ImageSizeInput
from pondage.app.image import get_image_size as get_image_size
from pondage.toolkit.fields import ImageField as ImageField
from pondage.toolkit.fields import ImageSizeField as ImageSizeField
