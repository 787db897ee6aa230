"""fal's home of `Video`."""

from __future__ import annotations

from penstock.app.media import Video as Video
