"""fal's home of what an app may raise; `pondage.errors` has all of our own."""

from __future__ import annotations

from pondage.app.exceptions import AppException as AppException
from pondage.app.exceptions import FalServerlessException as FalServerlessException
from pondage.app.exceptions import FieldException as FieldException
from pondage.app.exceptions import RequestCancelledException as RequestCancelledException
