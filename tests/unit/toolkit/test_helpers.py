"""fal's helpers: retries, GPU exceptions, compiled caches, limits of media."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pondage.app.current import get_current_app, set_current_app
from pondage.exceptions import (
    AppException,
    CUDAOutOfMemoryException,
    GPUException,
    GPUOutOfMemoryException,
    catch_gpu_exceptions,
)
from pondage.sdk import ApplicationHealthCheckConfig, HealthCheck, RetryConfig
from pondage.toolkit import (
    File,
    ImageSizeConstraints,
    ImageValidationConfig,
    VideoNormalizationConfig,
    VideoValidationConfig,
    compilation,
    to_xfal,
)
from pondage.toolkit.image.safety_checker import postprocess_images
from pondage.toolkit.utils import retry as retries
from pondage.toolkit.utils.setup_utils import patch_onnx_runtime

# ---- retry


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    delays: list[float] = []

    async def sleep(delay: float) -> None:
        delays.append(delay)

    # In this module alone: other threads sleep on.
    monkeypatch.setattr(retries, "time", SimpleNamespace(sleep=delays.append))
    monkeypatch.setattr(retries, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))
    return delays


class Flaky:
    def __init__(self, failures: int, error: type[BaseException] = OSError) -> None:
        self.left, self.calls, self.error = failures, 0, error

    def now(self) -> int:
        """Fails for a while."""
        self.calls += 1
        if self.calls <= self.left:
            raise self.error(self.calls)
        return self.calls

    async def later(self) -> int:
        return self.now()

    def call(self, asynchronous: bool, **options: Any) -> int:
        if asynchronous:
            return asyncio.run(retries.retry(**options)(self.later)())
        function = retries.retry(**options)(self.now)
        assert function.__doc__ == "Fails for a while."
        return function()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_function_is_called_again(asynchronous: bool, slept: list[float]) -> None:
    assert Flaky(3).call(asynchronous, max_retries=5, max_delay=3) == 4 and slept == [1, 2, 3]
    assert Flaky(2).call(asynchronous, backoff_type="fixed", base_delay=0.5) == 3 and slept[3:] == [0.5, 0.5]
    for flaky, options, calls in (
        (Flaky(9), {}, 3),
        (Flaky(9), {"should_retry": lambda error: error.args[0] < 2}, 2),
        (Flaky(9, asyncio.CancelledError), {}, 1),
    ):
        with pytest.raises((OSError, asyncio.CancelledError)):
            flaky.call(asynchronous, **options)
        assert flaky.calls == calls
    del slept[:]
    Flaky(1).call(asynchronous, jitter=True)
    assert 0.5 <= slept[0] <= 1.5
    with pytest.raises(ValueError, match="at least 1"):
        retries.retry(0)


# ---- GPUs


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), CUDAOutOfMemoryException),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED."), CUDAOutOfMemoryException),
        (RuntimeError("NVML_SUCCESS == r INTERNAL ASSERT FAILED at x"), CUDAOutOfMemoryException),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED"), GPUException),
        (OSError("no NCCL peer"), GPUException),
        (GPUOutOfMemoryException(), GPUOutOfMemoryException),
        (ValueError("no such prompt"), ValueError),
        (KeyboardInterrupt("cuda"), KeyboardInterrupt),
    ],
)
def test_what_a_gpu_says_is_a_gpu_exception(error: BaseException, becomes: type[BaseException]) -> None:
    @catch_gpu_exceptions()
    def now() -> None:
        raise error

    @catch_gpu_exceptions()
    async def later() -> None:
        raise error

    def block() -> None:
        with catch_gpu_exceptions():
            raise error

    for call in (now, lambda: asyncio.run(later()), block):
        with pytest.raises(becomes) as caught:
            call()
        assert type(caught.value) is becomes
        assert caught.value is error or caught.value.__cause__ is error


def test_gpu_exceptions_are_those_of_apps() -> None:
    error = CUDAOutOfMemoryException()
    assert isinstance(error, AppException) and (error.message, error.status_code) == ("CUDA error: out of memory", 503)
    assert GPUException("mine", status_code=500).message == "mine" and GPUException().message == "GPU error"


def test_compiled_code_stays_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "INDUCTOR_CACHES_DIR", tmp_path)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    answer = SimpleNamespace(stdout="NVIDIA H100 80GB HBM3\nNVIDIA H100 80GB HBM3\n")
    monkeypatch.setattr(compilation.subprocess, "run", lambda *a, **k: answer)
    assert compilation.get_gpu_type() == "H100"
    assert compilation.load_inductor_cache("flux/2") == ""
    folder = tmp_path / "H100" / "flux" / "2"
    assert Path(compilation.os.environ["TORCHINDUCTOR_CACHE_DIR"]) == folder
    (folder / "kernel").write_text("x")
    with compilation.synchronized_inductor_cache("flux/2"):
        assert compilation.load_inductor_cache("flux/2") != ""
    compilation.sync_inductor_cache("flux/2", "")
    with pytest.raises(ValueError, match="leads out"):
        compilation.load_inductor_cache("../../elsewhere")
    answer.stdout = ""
    assert compilation.get_gpu_type() == "UNKNOWN"


def test_onnx_runtime_gets_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    options = SimpleNamespace()
    state = SimpleNamespace(get_default_session_options=lambda: options)
    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(capi=SimpleNamespace(_pybind_state=state)))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    patch_onnx_runtime(inter_op_num_threads=3, intra_op_num_threads=2, omp_num_threads=4)
    assert state.get_default_session_options() is options
    assert (options.inter_op_num_threads, options.intra_op_num_threads) == (3, 2)
    assert compilation.os.environ["OMP_NUM_THREADS"] == "4"


# ---- declarations


def test_limits_of_media_are_told_and_must_make_sense() -> None:
    assert to_xfal(ImageSizeConstraints(max_width=9, multiple_of=8)) == {"max_width": 9, "multiple_of": 8}
    assert to_xfal(ImageValidationConfig(min_width=1, timeout=3)) == {"min_width": 1}
    assert to_xfal(VideoNormalizationConfig(max_duration=15, fps=24)) == {"max_duration": 15, "fps": 24}
    with pytest.raises(ValueError, match=r"min_frames \(9\) must not exceed max_frames \(3\)"):
        VideoValidationConfig(min_frames=9, max_frames=3)
    with pytest.raises(ValueError, match="provided together"):
        ImageSizeConstraints(min_aspect_ratio=1)


def test_what_is_declared_and_ignored_can_be_made() -> None:
    assert HealthCheck(start_period_seconds=None, method=None).failure_threshold == 3
    assert ApplicationHealthCheckConfig(path="/health", timeout_seconds=3).method is None
    assert RetryConfig(server_error=3, timeout=-1).to_dict() == {
        "timeout": {"retries": 0},
        "server_error": {"retries": 3},
    }
    with pytest.raises(ValueError, match="at least one"):
        RetryConfig().to_dict()


def test_nothing_unseen_passes_for_safe() -> None:
    assert postprocess_images(["a"], False) == {"images": ["a"], "has_nsfw_concepts": [False]}
    with pytest.raises(RuntimeError, match="model of your own"):
        postprocess_images(["a"])


def test_the_current_app_is_none_where_there_is_no_runner() -> None:
    assert get_current_app() is None
    app: Any = object()
    set_current_app(app)
    try:
        assert get_current_app() is app
    finally:
        set_current_app(None)


def test_media_are_stored_and_saved_without_blocking(tmp_path: Path) -> None:
    async def work() -> bytes:
        (tmp_path / "in.txt").write_bytes(b"text")
        for made in (
            await File.from_bytes_async(b"text", content_type="text/plain"),
            await File.from_path_async(tmp_path / "in.txt"),
        ):
            saved = await made.save_async(tmp_path / "out.txt", overwrite=True)
            assert made.content_type == "text/plain"
        return saved.read_bytes()

    assert asyncio.run(work()) == b"text"
