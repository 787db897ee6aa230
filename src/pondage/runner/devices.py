"""Whether an exception says that a device failed: out of its memory, lost, or in a state that only a new process mends.

A table of types and messages, so that no framework need be imported. A general type such as `RuntimeError` is judged
by its words; types that say that a value is wrong (`ValueError`, …) never are, since a caller's own words may stand in
them. What an app answers on purpose (`AppException`, `HTTPException`) is its answer, unless it is a `GPUException`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pondage.wire.text import name_of, text_of

TYPES = frozenset(
    {
        "GPUException", "GPUOutOfMemoryException", "CUDAOutOfMemoryException",
        "torch.OutOfMemoryError", "torch.cuda.OutOfMemoryError", "torch.AcceleratorError", "torch.cuda.CudaError",
        "cupy.cuda.memory.OutOfMemoryError", "cupy_backends.cuda.api.runtime.CUDARuntimeError",
        "cupy_backends.cuda.api.driver.CUDADriverError", "numba.cuda.cudadrv.driver.CudaAPIError",
        "pycuda._driver.MemoryError", "pycuda._driver.LaunchError", "pynvml.NVMLError_GpuIsLost",
    }
)  # fmt: skip
"""Classes that say it by themselves, with their module; fal's, which apps copy, by their name alone."""

MESSAGES = (
    r"\b(CUDA|HIP|XPU|NPU|GPU|MPS backend) out of memory",
    r"\b(CUDA|HIP|cuda runtime|cuDNN|MIOpen|NCCL|RCCL)( driver)? (error|failure)\b",
    r"\bTriton Error \[(CUDA|HIP)\]",
    r"\b(CUBLAS|CUDNN|CUFFT|CUSOLVER|CUSPARSE|CURAND|HIPBLAS|ROCBLAS)_STATUS_(?!SUCCESS)[A-Z_]+",
    r"\bCUDA_ERROR_[A-Z_]+",
    r"\b(cuda|hip)Error[A-Z]\w+",
    r"device-side assert triggered",
    r"an illegal memory access was encountered",
    r"uncorrectable (NVLink|ECC) error",
    r"\bGPU (is lost|has fallen off the bus)",
    r"no CUDA-capable device",
    r"NVML_SUCCESS == r INTERNAL ASSERT FAILED",
    r"RESOURCE_EXHAUSTED: .*(out of memory|OOM|allocat)",
    r"OOM when allocating tensor",
    r"Failed to allocate memory for requested buffer",
)
"""What a message says that only a device's error says; as frameworks write it, upper and lower case alike."""

GENERAL = (RuntimeError, MemoryError, SystemError)
FRAMEWORKS = frozenset(
    {
        "cupy", "cupy_backends", "jax", "jaxlib", "mlx", "mxnet", "numba", "onnxruntime", "paddle", "pycuda", "pynvml",
        "tensorflow", "tensorrt", "torch", "triton",
    }
)  # fmt: skip
"""Whose exceptions are judged by their words: these types, and all of these packages."""

_WORDS = re.compile("|".join(MESSAGES), re.IGNORECASE)
_MOST_WORDS = 4096
_MOST = 32
"""Exceptions that are looked at behind one: its causes, and the members of groups."""


def device_error(error: BaseException) -> str | None:
    """What the device's error says, in one line, where `error`, its cause or a member of its group is one."""
    for one in _behind(error):
        if _is_named(type(one)) or _says_so(one):
            lines = text_of(one).strip().splitlines()
            return lines[0] if lines else name_of(one)
    return None


def names_a_device(error: BaseException) -> bool:
    """Whether the type alone says it, as fal's `GPUException` does."""
    return _is_named(type(error))


def _behind(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _MOST:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions[:_MOST]
        if one.__cause__ is not None:
            waiting.append(one.__cause__)
        elif one.__context__ is not None and not one.__suppress_context__:
            waiting.append(one.__context__)


def _is_named(cls: type) -> bool:
    return any(base.__name__ in TYPES or f"{base.__module__}.{base.__name__}" in TYPES for base in cls.__mro__)


def _says_so(error: BaseException) -> bool:
    of_framework = type(error).__module__.partition(".")[0] in FRAMEWORKS
    return (of_framework or isinstance(error, GENERAL)) and bool(_WORDS.search(text_of(error, _MOST_WORDS)))
