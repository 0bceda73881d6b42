"""TensorFlow, imported without its start-up notes; the other modules of this package take `tf` from here."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """Send the process's standard error to nowhere, below Python too."""
    try:
        kept = os.dup(2)
    except OSError:  # no standard error to keep quiet
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The notes on oneDNN and CUDA are written before TensorFlow reads that level.
with _no_stderr():
    import tensorflow
    from tensorflow.python.framework import op_def_registry

tf: Any = tensorflow
# It warns of what a user of the atlas can do nothing about, like variables of TensorFlow 1.
logging.getLogger("tensorflow").setLevel(logging.ERROR)


def op_definition(op: str) -> Any:
    """Return what TensorFlow knows of an op, None for one that it does not have."""
    return op_def_registry.get(op)
