"""What counts as a device's error, by type and by words."""

from __future__ import annotations

import pytest

import pondage
from pondage.runner.devices import device_error, names_a_device


def named(name: str, base: type[Exception] = Exception) -> type[Exception]:
    module, _, short = name.rpartition(".")
    return type(short, (base,), {"__module__": module})


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 23.65 GiB total capacity)"),
        RuntimeError("CUDA error: device-side assert triggered\nCompile with `TORCH_USE_CUDA_DSA`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("HIP out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
        RuntimeError("NCCL error in: ProcessGroupNCCL.cpp:1970, unhandled cuda error"),
        RuntimeError("Triton Error [CUDA]: an illegal memory access was encountered"),
        RuntimeError("NVML_SUCCESS == r INTERNAL ASSERT FAILED"),
        named("torch.OutOfMemoryError", RuntimeError)("anything"),
        named("torch.cuda.OutOfMemoryError", RuntimeError)(),
        named("cupy.cuda.memory.OutOfMemoryError", MemoryError)("Out of memory allocating 8 bytes"),
        named("jaxlib.xla_extension.XlaRuntimeError")("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9"),
        named("tensorflow.python.framework.errors_impl.ResourceExhaustedError")("OOM when allocating tensor"),
        named("onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException")("CUDA failure 2: out of memory ; GPU=0"),
        named("my.app.CUDAOutOfMemoryException")("the author's own, after fal's"),
        named("my.app.Worse", named("fal.exceptions.GPUException"))(),
        ExceptionGroup("two", [ValueError("x"), RuntimeError("CUDA error: out of memory")]),
    ],
)
def test_these_are_a_devices(error: Exception) -> None:
    said = device_error(error)
    assert said and "\n" not in said
    outer = ValueError("the picture could not be made")
    outer.__cause__ = error
    assert device_error(outer) == said, "what wraps one is one"


@pytest.mark.parametrize(
    "error",
    [
        ValueError("prompt 'CUDA out of memory' is not allowed"),
        KeyError("CUDA error"),
        RuntimeError("out of memory in the author's own table"),
        MemoryError(),
        MemoryError("Unable to allocate 9.00 TiB for an array"),
        RuntimeError("CUBLAS_STATUS_SUCCESS"),
        OSError(12, "Cannot allocate memory"),
        pondage.AppException("busy", 503),
        SystemExit("CUDA error: gone"),
    ],
)
def test_these_are_not(error: BaseException) -> None:
    assert device_error(error) is None


def test_a_chain_without_end_is_looked_at_once() -> None:
    one, other = ValueError(), ValueError()
    one.__cause__, other.__cause__ = other, one
    assert device_error(one) is None


def test_fals_exceptions_are_known_by_their_type_alone() -> None:
    assert names_a_device(named("x.GPUOutOfMemoryException")()) and not names_a_device(RuntimeError("CUDA error: x"))
