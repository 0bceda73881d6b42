"""The number of processor cores that this process may use: how many sessions and processes to start."""

from __future__ import annotations

import os


def n_cores() -> int:
    """Return how many cores this process may use, 1 where the system does not say."""
    # macOS and Windows have no `sched_getaffinity`.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
