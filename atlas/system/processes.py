"""New Python interpreters that work for this process: orders go through one pipe, replies through another.

A fork is not safe once a library of the caller has started threads, as TensorFlow does;
multiprocessing's spawn would import the caller's script again.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping


def started(
    code: str, *, environment: Mapping[str, str] | None = None, quiet: bool = False
) -> subprocess.Popen[bytes]:
    """Start an interpreter that runs `code`, with this one's `sys.path` as JSON in its first argument.

    `environment` is added to this process's own; `quiet` discards its standard error. Raises OSError where
    the system cannot start it.
    """
    return subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if quiet else None,
        env=None if environment is None else {**os.environ, **environment},
    )


def send(process: subprocess.Popen[bytes], message: object) -> None:
    """Send a message to an interpreter; raises OSError where it has ended."""
    assert process.stdin is not None, "it was started with pipes"
    pickle.dump(message, process.stdin)
    process.stdin.flush()
