"""fal's home of `Audio`."""

from __future__ import annotations

from pondage.app.media import Audio as Audio
from pondage.toolkit.fields import AudioField as AudioField
