"""Time and memory by the number of neurons: `python tests/benchmarks/scale.py --folder F [--neurons N …]`.

For each size a made-up store of 60 layers (3 x 3 kernels, 10 connections each way, two small pictures) is
filled, and then each step runs in a process of its own: whether a build has anything to do, render by one
process, render with nothing to do, check, and the plan of publishing to an empty folder. One JSON line a
step: seconds by the clock and of the processor, seconds for a thousand neurons, and the peak of memory. At
last the slopes: how many times the seconds of the smallest size the largest takes, and how much more memory.
100,000 neurons take some 20 GB, a third of it for the store.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

if TYPE_CHECKING:
    # No step is to hold what it does not need.
    from atlas.core.config import AtlasConfig

N_LAYERS = 60
KIB_A_MIB = 1024


def bookkeeping(store: Path, site: Path) -> int:
    """Ask of every artefact whether it is as a config asks for; return how many are stale."""
    from atlas.build.freshness import stale
    from atlas.build.plan import planned
    from atlas.core.records import AtlasRecord
    from atlas.store import Store, keys

    with Store.open(store) as opened:
        return len(stale(opened, planned(opened.record(keys.ATLAS, AtlasRecord), config())))


def render(store: Path, site: Path) -> int:
    """Write the site, or find that nothing is to be written; return the number of files written."""
    from atlas.site import render_site
    from atlas.store import Store

    with Store.open(store) as opened:
        return int(render_site(opened, site, jobs=1).n_written)


def check(store: Path, site: Path) -> int:
    """Return how many problems the site has."""
    from atlas.site import check_site

    return len(check_site(site))


def publish_plan(store: Path, site: Path) -> int:
    """Plan to publish to an empty folder; nothing is sent."""
    from click.testing import CliRunner

    from atlas.cli import commands

    target = site.with_name("target")
    target.mkdir(exist_ok=True)
    done = CliRunner().invoke(commands.main, ["publish", str(site), str(target)])
    if done.exit_code:
        raise SystemExit(done.output)
    return len(done.output)


STEPS: dict[str, Callable[[Path, Path], int]] = {
    "bookkeeping": bookkeeping,
    "render": render,
    "render again": render,
    "check": check,
    "publish plan": publish_plan,
}


def config() -> AtlasConfig:
    """Return the config that the store is filled by."""
    from atlas.core.config import AtlasConfig as Config

    return Config(model="made-up")


def fill(store: Path, n: int) -> None:
    """Fill a store; what a config asks for of it is put with the inputs that it has there."""
    from atlas.build.plan import wanted
    from atlas.core.records import AtlasRecord
    from atlas.store import Store, keys
    from synthetic import Spec, fill_store

    specs = [Spec(f"layer{at}", -(-n // N_LAYERS), (3, 3)) for at in range(N_LAYERS)]
    fill_store(store, specs, k=10, px=24)
    with Store.open(store, write=True) as opened:
        atlas = opened.record(keys.ATLAS, AtlasRecord)
        sized = tuple(replace(layer, size=(24, 24), source_size=(24, 24)) for layer in atlas.layers)
        opened.put_record(keys.ATLAS, replace(atlas, layers=sized))
        for artefact in wanted(opened.record(keys.ATLAS, AtlasRecord), config()):
            if opened.has(artefact.key):
                meta = opened.meta(artefact.key)
                opened.put(artefact.key, opened.read(artefact.key), inputs=artefact.inputs, meta=meta)


def measured(step: str, store: Path, site: Path) -> dict[str, float | str]:
    """Run one step here and return what it took."""
    started, worked = time.perf_counter(), sum(os.times()[:4])
    result = STEPS[step](store, site)
    seconds, cpu = time.perf_counter() - started, sum(os.times()[:4]) - worked
    # Not getrusage's, which a process inherits from the one that started it.
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / KIB_A_MIB
    return {
        "step": step,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_mib": round(peak, 1),
        "result": result,
    }


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--store", type=Path, help="where the store goes, in memory say (default: into F)")
    parser.add_argument("--neurons", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--step", choices=sorted(STEPS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    store, site = args.store or args.folder / "store", args.folder / "site"
    if args.step:
        print(json.dumps(measured(args.step, store, site)))
        return
    rows: dict[str, list[dict[str, float]]] = {step: [] for step in STEPS}
    for n in args.neurons:
        shutil.rmtree(args.folder, ignore_errors=True)
        shutil.rmtree(store, ignore_errors=True)
        fill(store, n)
        for step in STEPS:
            command = [
                sys.executable,
                __file__,
                "--folder",
                str(args.folder),
                "--store",
                str(store),
                "--step",
                step,
            ]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            row = {"neurons": n, **json.loads(done.stdout)}
            rows[step].append(row)
            print(json.dumps({**row, "per_thousand": round(1000 * row["seconds"] / n, 4)}), flush=True)
    for step, found in rows.items():
        first, last = found[0], found[-1]
        slopes = {
            f"{name}_ratio": round(last[name] / (first[name] or 0.01), 1) for name in ("neurons", "seconds")
        }
        print(
            json.dumps({"step": step, **slopes, "more_mib": round(last["peak_mib"] - first["peak_mib"], 1)})
        )


if __name__ == "__main__":
    main()
