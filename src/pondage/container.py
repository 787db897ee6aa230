"""fal's home of `ContainerImage`."""

from __future__ import annotations

from pondage.app.ported import ContainerImage as ContainerImage
