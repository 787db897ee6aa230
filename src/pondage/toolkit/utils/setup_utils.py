"""fal's `patch_onnx_runtime`."""

from __future__ import annotations

import os
from importlib import import_module


def patch_onnx_runtime(
    inter_op_num_threads: int = 16, intra_op_num_threads: int = 16, omp_num_threads: int = 16
) -> None:
    """Make ONNX Runtime's sessions without options of their own use so many threads.

    Raises:
        ImportError: there is no ONNX Runtime here.
    """
    state = import_module("onnxruntime").capi._pybind_state
    os.environ["OMP_NUM_THREADS"] = str(omp_num_threads)
    options = state.get_default_session_options()
    options.inter_op_num_threads = inter_op_num_threads
    options.intra_op_num_threads = intra_op_num_threads
    state.get_default_session_options = lambda: options
