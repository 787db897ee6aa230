"""Names of `fal.sdk` that apps import: what they declare of their health and of retries."""

from __future__ import annotations

from pondage.app.endpoints import HealthCheck as HealthCheck
from pondage.app.ported import ApplicationHealthCheckConfig as ApplicationHealthCheckConfig
from pondage.app.ported import RetryConfig as RetryConfig
