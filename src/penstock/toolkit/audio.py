"""fal's home of `Audio`."""

from __future__ import annotations

from penstock.app.media import Audio as Audio
from penstock.toolkit.fields import AudioField as AudioField
