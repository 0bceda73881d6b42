"""Fresh interpreters that work for this process: orders go through one pipe, answers through another.

A fork would take along the threads of whatever the caller has imported, TensorFlow's too;
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
    """Return an interpreter that runs `code`, with this one's `sys.path` as JSON in its first argument.

    `environment` goes over this process's own; `quiet` sends its standard error nowhere. Raises OSError
    where the system has no room for it.
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
