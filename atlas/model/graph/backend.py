"""TensorFlow, imported without its start-up messages; other modules import `tf` from here."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import logging
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from atlas.system import memory


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """Discard the process's standard error, including output from outside Python."""
    try:
        original = os.dup(2)
    except OSError:  # no standard error to keep quiet
        yield
        return
    try:
        with open(os.devnull, "wb") as null:
            os.dup2(null.fileno(), 2)
        yield
    finally:
        os.dup2(original, 2)
        os.close(original)


def _triton_comes_first() -> bool:
    """Load the library of Triton, which torch for GPUs brings, and return whether torch can be used.

    Both hold LLVM: a process that loads Triton after TensorFlow ends with a fault of memory.
    """
    if "triton" in sys.modules or (found := importlib.util.find_spec("triton")) is None:
        return True
    if "tensorflow" in sys.modules:
        return False
    for folder in found.submodule_search_locations or ():
        for library in Path(folder, "_C").glob("libtriton*.so"):
            with contextlib.suppress(OSError):
                ctypes.CDLL(str(library))
    return True


TORCH_CAN_BE_USED = _triton_comes_first()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Without oneDNN, TensorFlow has no gradients of grouped and dilated convolutions on a processor, and it turns
# oneDNN on by itself only where there are certain instructions.
if platform.machine().lower() in ("x86_64", "amd64"):
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# oneDNN's own allocator never gives memory back: 1 GB of GoogLeNet's drawing, as fast as malloc in any case.
os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")
memory.few_arenas()
# On a GPU: take memory as it is needed, in every session, so that a second process may use the GPU too; and
# compute float32 as float32, of whose 23 bits of mantissa NVIDIA's libraries would else use 10.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
# The messages on oneDNN and CUDA are written before TensorFlow reads that level.
with _no_stderr():
    import tensorflow
    from tensorflow.python.framework import op_def_registry

tf: Any = tensorflow
# Its warnings, such as those on TensorFlow 1 variables, are nothing a user of the atlas can act on.
logging.getLogger("tensorflow").setLevel(logging.ERROR)


# Values of RewriterConfig, which turns parts of the optimization of graphs on and off.
DEFAULT, OFF = 0, 2


def op_definition(op: str) -> Any:
    """Return TensorFlow's definition of an op, None for an unknown op."""
    return op_def_registry.get(op)
