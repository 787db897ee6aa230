"""fal's home of `Image` and the image sizes."""

from __future__ import annotations

from penstock.app.image import IMAGE_SIZE_PRESETS as IMAGE_SIZE_PRESETS
from penstock.app.image import Image as Image
from penstock.app.image import ImagePreset as ImagePreset
from penstock.app.image import ImageSize as ImageSize
from penstock.app.image import ImageSizeInput as ImageSizeInput
from penstock.app.image import get_image_size as get_image_size
from penstock.toolkit.fields import ImageField as ImageField
from penstock.toolkit.fields import ImageSizeField as ImageSizeField
