"""fal's other home of `Audio`."""

from __future__ import annotations

from pondage.toolkit.audio import Audio as Audio
from pondage.toolkit.audio import AudioField as AudioField
