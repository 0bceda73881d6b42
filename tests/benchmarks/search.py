"""Time a key stroke in the search box: `python tests/benchmarks/search.py` prints one JSON line a size.

Debian's Chromium opens a page from the disk and types a set of queries letter by letter, five times; a
key stroke's time is that of the script and of the layout after it, without the paint. `load_ms` is from
the first touch of the box to records that are ready.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from playwright.sync_api import Browser, sync_playwright

import searching
import synthetic
from atlas.site import render_site
from atlas.store import Store

_LOAD = """() => new Promise(done => {
    const start = performance.now();
    const look = () => window.ATLAS_SEARCH && document.querySelector("#found li")
        ? done(performance.now() - start) : setTimeout(look, 1);
    document.querySelector(".search input").value = "37";
    document.querySelector(".search input").focus();
    look();
})"""


def measure(browser: Browser, site: Path, folder: Path, n_neurons: int) -> dict[str, object]:
    """Return what key strokes cost among so many neurons."""
    script = searching.records(n_neurons)
    address = searching.with_records(site, folder, script).as_uri() + "/index.html"
    page = browser.new_page()
    page.goto(address)
    load_ms = page.evaluate(_LOAD)
    times = [one for _ in range(5) for one in searching.typed(page)]
    page.close()
    worst = max(times)
    ordered = sorted(ms for ms, _, _ in times)
    return {
        "neurons": n_neurons,
        "key_strokes": len(times),
        "median_ms": round(statistics.median(ordered), 2),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)], 2),
        "worst_ms": round(worst[0], 2),
        "worst_query": worst[1],
        "most_results": max(n for _, _, n in times),
        "load_ms": round(load_ms, 1),
        "index_bytes": len(script),
        "index_bytes_gzipped": len(gzip.compress(script, 9)),
    }


def main() -> None:
    """Measure each size that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--neurons", type=int, nargs="+", default=[6_000, 100_000])
    sizes = parser.parse_args().neurons
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        synthetic.fill_store(folder / "store")
        with Store.open(folder / "store") as store:
            render_site(store, folder / "site")
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for n in sizes:
            print(json.dumps(measure(browser, folder / "site", folder / str(n), n)), flush=True)
        browser.close()


if __name__ == "__main__":
    main()
