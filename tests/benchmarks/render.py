"""Pages a second on one core: `python tests/benchmarks/render.py` prints one JSON line.

The store is made up: 15 x 15 kernels, 50 connections each way, three factors, examples, two pictures.
Processor time counts, so that a busy machine does not change the figure; no-ops are timed by the clock.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from atlas.pages import render_site  # noqa: E402
from atlas.store import Store  # noqa: E402
from synthetic import Spec, fill_store  # noqa: E402

SPECS = tuple(Spec(f"mixed{at}a", 100, (15, 15), kind="concat") for at in range(3))


def measure(folder: Path) -> dict[str, float]:
    """Return what one render of a made-up store costs."""
    fill_store(folder / "store", SPECS, px=60)
    site = folder / "site"
    with Store.open(folder / "store") as store:
        started, clock = time.process_time(), time.perf_counter()
        result = render_site(store, site)
        seconds, elapsed = time.process_time() - started, time.perf_counter() - clock
        again = render_site(store, site)
    sizes = [path.stat().st_size for path in site.glob("*_*.html")]
    return {
        "neuron_pages": len(sizes),
        "files": result.n_written,
        "cpu_seconds": round(seconds, 3),
        "neuron_pages_per_second": round(len(sizes) / elapsed, 1),
        "neuron_pages_per_cpu_second": round(len(sizes) / seconds, 1),
        "largest_page_bytes": max(sizes),
        "nothing_to_do_seconds": round(again.seconds, 4),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder))))
