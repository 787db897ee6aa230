"""fal's home of `Video`."""

from __future__ import annotations

from pondage.app.media import Video as Video
from pondage.toolkit.fields import VideoField as VideoField
