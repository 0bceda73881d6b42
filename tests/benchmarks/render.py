"""Pages a second: `python tests/benchmarks/render.py [--neurons N]` prints one JSON line.

The store is made up: 15 x 15 kernels, 50 connections each way, three factors, examples, two pictures. Written
with as many processes as a user gets, to a folder in memory and to one on the disk: there the file
system's work counts too, seven new files a neuron, which on ext4 takes up to ten times as long where
files were removed a moment ago. Processor time is that of one process.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from atlas.site import render_site
from atlas.store import Store
from synthetic import Spec, fill_store

MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None


def specs(n: int) -> tuple[Spec, ...]:
    """Return three layers of n neurons together."""
    return tuple(Spec(f"mixed{at}a", n // 3, (15, 15), kind="concat") for at in range(3))


def elapsed(store: Path, site: Path, jobs: int | None = None) -> float:
    """Return the seconds of a render into a folder that is not there."""
    shutil.rmtree(site, ignore_errors=True)
    with Store.open(store) as opened:
        started = time.perf_counter()
        render_site(opened, site, jobs=jobs)
        return time.perf_counter() - started


def measure(memory: Path, disk: Path, n: int) -> dict[str, float]:
    """Return what one render of a made-up store costs."""
    fill_store(memory / "store", specs(n), px=60)
    with Store.open(memory / "store") as store:
        started = time.process_time()
        result = render_site(store, memory / "alone", jobs=1)
        cpu = time.process_time() - started
        again = render_site(store, memory / "alone")
    sizes = [path.stat().st_size for path in (memory / "alone").glob("*_*.html")]
    return {
        "neuron_pages": len(sizes),
        "files": result.n_written,
        "neuron_pages_per_second": round(len(sizes) / elapsed(memory / "store", memory / "site"), 1),
        "on_disk_per_second": round(len(sizes) / elapsed(memory / "store", disk / "site"), 1),
        "neuron_pages_per_cpu_second": round(len(sizes) / cpu, 1),
        "largest_page_bytes": max(sizes),
        "nothing_to_do_seconds": round(again.seconds, 4),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--neurons", type=int, default=1200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=MEMORY) as memory, tempfile.TemporaryDirectory() as disk:
        print(json.dumps(measure(Path(memory), Path(disk), arguments.neurons)))
