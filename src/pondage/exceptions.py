"""fal's home of what an app may raise; `pondage.errors` has all of our own."""

from __future__ import annotations

from pondage.app.exceptions import AppException as AppException
from pondage.app.exceptions import AppFileUploadException as AppFileUploadException
from pondage.app.exceptions import FalServerlessException as FalServerlessException
from pondage.app.exceptions import FieldException as FieldException
from pondage.app.exceptions import FileTooLargeError as FileTooLargeError
from pondage.app.exceptions import RequestCancelledException as RequestCancelledException
from pondage.app.exceptions import UnauthenticatedException as UnauthenticatedException
from pondage.app.gpu import CUDAOutOfMemoryException as CUDAOutOfMemoryException
from pondage.app.gpu import GPUException as GPUException
from pondage.app.gpu import GPUOutOfMemoryException as GPUOutOfMemoryException
from pondage.app.gpu import catch_gpu_exceptions as catch_gpu_exceptions
