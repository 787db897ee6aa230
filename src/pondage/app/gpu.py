"""fal's exceptions of a GPU that failed. The runner that meets one is replaced, and the request runs on another."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, TypeVar

from pondage.app.exceptions import AppException

F = TypeVar("F", bound=Callable[..., Any])

_OF_A_GPU = ("cuda", "cudnn", "nvml", "nccl", "cublas", "cufft", "cusolver", "cusparse", "triton")
"""Words of an exception that is about a GPU."""
_OF_ITS_MEMORY = (
    ("cuda", "out of memory"), ("nvml_success == r internal assert failed",), ("cudnn_status_internal_error",),
    ("cudnn_status_not_supported",),
)  # fmt: skip
"""Words that, all of a row together, say that its memory did not suffice."""


class GPUException(AppException):
    """The GPU failed; the status is fal's, and no caller sees it (DESIGN: a begun request never ends in 503)."""

    code: ClassVar[str] = "app.gpu"
    said: ClassVar[str] = "GPU error"

    def __init__(self, message: str | None = None, status_code: int = 503) -> None:
        super().__init__(self.said if message is None else message, status_code)


class GPUOutOfMemoryException(GPUException):
    """A GPU's memory did not suffice."""

    code: ClassVar[str] = "app.gpu_out_of_memory"


class CUDAOutOfMemoryException(GPUOutOfMemoryException):
    """The same, of CUDA."""

    code: ClassVar[str] = "app.cuda_out_of_memory"
    said: ClassVar[str] = "CUDA error: out of memory"


class catch_gpu_exceptions:
    """Raise what a GPU says as a `GPUException`: a block's (`with catch_gpu_exceptions():`), or a function's, plain or
    `async` (`@catch_gpu_exceptions()`).

    Raises:
        CUDAOutOfMemoryException: its memory did not suffice.
        GPUException: anything else of a GPU.
    """

    def __enter__(self) -> catch_gpu_exceptions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception) or isinstance(error, GPUException):
            return
        text = str(error).lower()
        if isinstance(error, RuntimeError) and any(all(word in text for word in row) for row in _OF_ITS_MEMORY):
            raise CUDAOutOfMemoryException from error
        if any(word in text for word in _OF_A_GPU):
            raise GPUException from error

    def __call__(self, function: F) -> F:
        @functools.wraps(function)
        async def later(*args: Any, **keywords: Any) -> Any:
            with self:
                return await function(*args, **keywords)

        @functools.wraps(function)
        def now(*args: Any, **keywords: Any) -> Any:
            with self:
                return function(*args, **keywords)

        return later if inspect.iscoroutinefunction(function) else now  # type: ignore[return-value]
