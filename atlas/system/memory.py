"""Give memory that is free back to the system; libraries in C keep most of it for themselves."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
from typing import Any

from atlas.system.cores import n_cores

# glibc's number of an option of `mallopt`: the largest number of arenas.
_ARENA_MAX = -8


def few_arenas() -> None:
    """Let malloc have an arena for each core, not eight: what is free in one is lost to the others.

    MALLOC_ARENA_MAX in the environment takes precedence. To be called before threads start; other libraries
    than glibc stay as they are.
    """
    libc = _glibc()
    if libc is not None and "MALLOC_ARENA_MAX" not in os.environ:
        libc.mallopt(_ARENA_MAX, n_cores())


def give_back() -> None:
    """Collect garbage, such as TensorFlow's graphs, and give what is free back to the system."""
    gc.collect()
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> Any:
    """Return glibc, None where the program uses another library."""
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
