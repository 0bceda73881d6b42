"""Memory given back to the system, in processes of their own, with glibc."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries need no help")

# 200 MB in blocks of 64 kB, all freed but every hundredth, which keeps the heap from shrinking by itself.
FREED = """
import ctypes
from pathlib import Path
from atlas.system import memory

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20
blocks = [libc.malloc(1 << 16) for _ in range(3200)]
for block in blocks:
    ctypes.memset(block, 1, 1 << 16)
for i, block in enumerate(blocks):
    if (i + 1) % 100:
        libc.free(block)
before = resident()
memory.give_back()
print(before - resident())
"""
# Eight threads that are all alive each get memory; glibc says how many arenas it made for them.
ARENAS = """
import ctypes, threading
from atlas.system import memory

memory.n_cores = lambda: 2
if {limited}:
    memory.few_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.fopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes, libc.fclose.argtypes = [ctypes.c_int, ctypes.c_void_p], [ctypes.c_void_p]
together = threading.Barrier(8)
def work():
    together.wait()
    libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
info = libc.fopen(b"/dev/stdout", b"w")
libc.malloc_info(0, info)
libc.fclose(info)
"""


def output(code: str, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**clean, **environment}
    )
    return run.stdout


def test_what_is_free_goes_back() -> None:
    """Freed memory between blocks in use, which malloc keeps, is the system's again."""
    assert int(output(FREED)) > 100


def test_arenas_are_as_many_as_cores() -> None:
    """Eight threads share two arenas; without the limit, and with one from the environment, they do not."""

    def n_arenas(limited: bool, **environment: str) -> int:
        return output(ARENAS.format(limited=limited), **environment).count("<heap nr=")

    assert n_arenas(True) == 2
    assert n_arenas(False) > 2
    assert n_arenas(True, MALLOC_ARENA_MAX="5") == 5
