"""fal's way from anywhere in an app's code to the app itself."""

from __future__ import annotations

from pondage.app.current import get_current_app as get_current_app
from pondage.app.current import set_current_app as set_current_app
