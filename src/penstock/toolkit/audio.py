"""fal's home of `Audio`."""

from __future__ import annotations

from penstock.app.media import Audio as Audio
