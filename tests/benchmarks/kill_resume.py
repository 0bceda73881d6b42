"""Kills builds at random moments, lets them resume, compares the sites byte for byte.

One undisturbed build tells how long all of it takes, and feature visualization. Each further build starts
from nothing, is killed with SIGKILL at random moments of that stage (or, with --anywhere, of the whole
build), and is then left alone until it is done.

    python tests/benchmarks/kill_resume.py --kills 10 --seed 0 --model demo
    python tests/benchmarks/kill_resume.py --kills 50 --anywhere --model demo -- --preset draft --workers 2
    python tests/benchmarks/kill_resume.py --kills 10 --builds 1 --model net.pb -- --value-range 0,1

Prints one JSON line; exits with 1 when a site differs or no kill hit.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from trees import tree

BUILD = Path(__file__).parents[2] / "build.py"
STAGE = "feature visualization: "


@dataclass
class Run:
    """A build from its start to its end; `begun` is when its feature visualization began, None if never."""

    seconds: float
    code: int
    begun: float | None
    ended: float | None


def build(
    folder: Path, arguments: Sequence[str], *, kill_after: float | None = None, anywhere: bool = False
) -> Run:
    """Build into a folder; kill it so many seconds after its feature visualization, or it itself, began."""
    command = [sys.executable, str(BUILD), "build", *arguments]
    command += ["--store", str(folder / "store"), "--site", str(folder / "site")]
    start = time.monotonic()
    begun = ended = None
    with (folder / "log.txt").open("a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        if kill_after is not None and anywhere:
            threading.Timer(kill_after, process.kill).start()
        for line in process.stderr:
            log.write(line)
            if line.startswith(STAGE) and begun is None:
                begun = time.monotonic() - start
                if kill_after is not None and not anywhere:
                    threading.Timer(kill_after, process.kill).start()
            elif line.startswith(STAGE) and " to do" not in line and "left" not in line:
                ended = time.monotonic() - start
    return Run(time.monotonic() - start, process.wait(), begun, ended)


def n_drawn(folder: Path) -> int:
    """Return how many feature visualizations a store holds."""
    return len(list((folder / "store" / "featurevis").rglob("*.jpg")))


def disturbed(
    folder: Path, arguments: Sequence[str], moments: Sequence[float], *, anywhere: bool
) -> tuple[list[int], list[float], int]:
    """Kill a build at moments; return what was drawn at each, which moments hit, and the last exit code."""
    folder.mkdir()
    drawn, hits = [], []
    for moment in moments:
        run = build(folder, arguments, kill_after=moment, anywhere=anywhere)
        if run.code == -signal.SIGKILL and (anywhere or run.ended is None):
            drawn.append(n_drawn(folder))
            hits.append(round(moment, 2))
    return drawn, hits, build(folder, arguments).code


def measure(
    root: Path, arguments: Sequence[str], *, kills: int, builds: int, seed: int, anywhere: bool
) -> dict[str, object]:
    """Return the figures of all builds."""
    rng = random.Random(seed)
    (root / "calm").mkdir()
    calm = build(root / "calm", arguments)
    if calm.code or calm.begun is None or calm.ended is None:
        raise SystemExit((root / "calm" / "log.txt").read_text())
    stage = calm.ended - calm.begun
    expected, identical, drawn, hits = tree(root / "calm" / "site"), 0, [], []
    each = max(kills // builds, 1)
    for number in range(builds):
        folder = root / f"build{number}"
        # A stage that goes on where it was is left to all kills together; a start takes its time again.
        latest = calm.seconds if anywhere else stage / each
        moments = [rng.uniform(0, latest) for _ in range(each)]
        at_kill, hit, code = disturbed(folder, arguments, moments, anywhere=anywhere)
        identical += code == 0 and tree(folder / "site") == expected
        drawn += at_kill
        hits += hit
        shutil.rmtree(folder)
    return {
        "model": arguments[1],
        "featurevis_seconds": round(stage, 1),
        "undisturbed_seconds": round(calm.seconds, 1),
        "images": n_drawn(root / "calm"),
        "files": len(expected),
        "builds": builds,
        "kills": len(hits),
        "moments": hits,
        "drawn_at_kill": drawn,
        "identical_sites": identical,
    }


def main() -> None:
    """Read the arguments, measure, print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=10, help="kills in all")
    parser.add_argument("--builds", type=int, help="builds that share them; default: one kill each")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument("--anywhere", action="store_true", help="kill at any moment of the build")
    parser.add_argument("--model", default="demo", help="what to build")
    parser.add_argument("options", nargs="*", help="options of `build`, after --")
    given = parser.parse_args()
    arguments = ["--model", given.model, *given.options]
    with tempfile.TemporaryDirectory() as folder:
        builds = given.builds or given.kills
        figures = measure(
            Path(folder),
            arguments,
            kills=given.kills,
            builds=builds,
            seed=given.seed,
            anywhere=given.anywhere,
        )
    print(json.dumps(figures))
    sys.exit(0 if figures["identical_sites"] == builds and figures["kills"] else 1)


if __name__ == "__main__":
    main()
