"""Builds onto disks that are too small, then makes room: the site must be that of an undisturbed build.

Each disk is a tmpfs, mounted by root, of a random part of what store and site need. A build must end
with a message that tells that the disk is full; after the disk grew, the next must end well.

    python tests/benchmarks/full_disk.py --disks 10 --seed 0

Prints one JSON line; exits with 1 when a disk was not survived. Who may not mount is told so, and it exits
with 0.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from trees import tree

BUILD = Path(__file__).parents[2] / "build.py"
MESSAGES = ("the disk is full", "No space left")


def build(folder: Path, options: list[str]) -> subprocess.CompletedProcess[str]:
    """Build the demo's network into a folder."""
    command = [sys.executable, str(BUILD), "build", *options]
    command += ["--store", str(folder / "store"), "--site", str(folder / "site")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def survived(root: Path, n_bytes: int, options: list[str], expected: dict[str, bytes]) -> str:
    """Build onto a disk of so many bytes, then onto a larger one; return what went wrong, "" if nothing."""
    folder = root / "disk"
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", str(folder)], check=True)
    try:
        full = build(folder, options)
        last = (full.stderr.splitlines() or [""])[-1]
        if full.returncode != 1 or not any(message in last for message in MESSAGES):
            return f"exit code {full.returncode}: {last}"
        if "Traceback" in full.stderr:
            return "a traceback"
        subprocess.run(["mount", "-o", "remount,size=1g", str(folder)], check=True)
        again = build(folder, options)
        if again.returncode:
            return f"the next build ends with {again.stderr.splitlines()[-1]}"
        return "" if tree(folder / "site") == expected else "another site"
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def main() -> None:
    """Read the arguments, fill disks, print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--disks", type=int, default=10, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="seed of their sizes")
    parser.add_argument("options", nargs="*", help="options of `build`, after --; default: a quick demo")
    given = parser.parse_args()
    if os.geteuid() != 0:
        print(json.dumps({"skipped": "only root may mount a disk"}))
        return
    options = given.options or ["--preset", "draft", "--positions", "none", "--factor-pictures", "none"]
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "calm").mkdir()
        done = build(root / "calm", options)
        if done.returncode:
            raise SystemExit(done.stderr)
        expected = tree(root / "calm/site")
        needed = sum(p.stat().st_blocks * 512 for p in (root / "calm").rglob("*"))
        sizes = [int(needed * rng.uniform(0.05, 0.95)) for _ in range(given.disks)]
        faults = {size: survived(root, size, options, expected) for size in sizes}
    faults = {size: fault for size, fault in faults.items() if fault}
    figures = {"disks": given.disks, "needed_bytes": needed, "survived": given.disks - len(faults)}
    print(json.dumps(figures | {"faults": faults}))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
