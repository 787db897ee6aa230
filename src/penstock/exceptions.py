"""fal's home of what an app may raise; `penstock.errors` has all of our own."""

from __future__ import annotations

from penstock.app.exceptions import AppException as AppException
from penstock.app.exceptions import FalServerlessException as FalServerlessException
from penstock.app.exceptions import FieldException as FieldException
from penstock.app.exceptions import RequestCancelledException as RequestCancelledException
