"""TensorFlow, imported without its start-up messages; other modules import `tf` from here."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
from collections.abc import Iterator
from typing import Any


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


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Without oneDNN, TensorFlow has no gradients of grouped and dilated convolutions on a processor, and it turns
# oneDNN on by itself only where there are certain instructions.
if platform.machine().lower() in ("x86_64", "amd64"):
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# The messages on oneDNN and CUDA are written before TensorFlow reads that level.
with _no_stderr():
    import tensorflow
    from tensorflow.python.framework import op_def_registry

tf: Any = tensorflow
# Its warnings, such as those on TensorFlow 1 variables, are nothing a user of the atlas can act on.
logging.getLogger("tensorflow").setLevel(logging.ERROR)


def op_definition(op: str) -> Any:
    """Return TensorFlow's definition of an op, None for an unknown op."""
    return op_def_registry.get(op)
