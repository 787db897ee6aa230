"""fal's home of `File`."""

from __future__ import annotations

from penstock.app.media import File as File
