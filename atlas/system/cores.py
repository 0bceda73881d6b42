"""How many processor cores this process may use: what sessions and helpers are counted by."""

from __future__ import annotations

import os


def n_cores() -> int:
    """Return how many cores the system lets this process use, one where it does not say."""
    # macOS and Windows bind no process to cores.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
