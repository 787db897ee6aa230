"""fal's other home of `Video`."""

from __future__ import annotations

from pondage.toolkit.video import Video as Video
from pondage.toolkit.video import VideoField as VideoField
