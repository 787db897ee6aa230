"""fal's home of `Video`."""

from __future__ import annotations

from penstock.app.media import Video as Video
from penstock.toolkit.fields import VideoField as VideoField
