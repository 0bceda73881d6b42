"""Loads mutated graphs as `info` does: each must be read, or refused with a message.

Anything else is a finding: another exception, a crash by a signal, more than 10 seconds of work, more than
2 GiB of memory. The graphs are mutations of two toys, of the demo's network and of others that are named.

    python tests/benchmarks/fuzz_graphs.py --inputs 10000 --seed 0 --model shared/models/googlenet/graph.pb

Prints each finding with the number that makes it again (--only NUMBER), and one JSON line; exits with 1 when
there was any.
"""

from __future__ import annotations

import argparse
import collections
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

DEMO = Path(__file__).parents[2] / "atlas/model/demo/graph.pb"
SECONDS, BYTES = 10, 2 << 30
# A worker that says nothing for so long hangs, however busy the machine is.
PATIENCE = 120
BATCH = 250


def work(models: Sequence[Path], first: int, last: int, *, seed: int, step: int = 1) -> None:
    """Try inputs; say of each when it begins and how it ended."""
    import fuzzing

    graphs = fuzzing.seeds(models)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, last, step):
            print(json.dumps({"begins": number}), flush=True)
            data = fuzzing.hostile(number, graphs, seed=seed)
            clock = fuzzing.Clock()
            try:
                found = fuzzing.outcome(data, Path(folder) / "graph.pb")
            except BaseException as error:
                found = f"raised {fuzzing.described(error)}"
            seconds = round(clock.seconds, 2)
            print(json.dumps({"ended": number, "outcome": found, "seconds": seconds}), flush=True)


def watched(command: Sequence[str]) -> Iterator[dict[str, object]]:
    """Yield what a worker says; the last is how it died, unless it ended well."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    heard, death = [time.monotonic()], [""]

    def watch() -> None:
        while process.poll() is None:
            if resident(process.pid) > BYTES + base[0]:
                death[0] = f"more than {BYTES >> 30} GiB"
            elif time.monotonic() - heard[0] > PATIENCE:
                death[0] = f"silent for {PATIENCE} s"
            if death[0]:
                process.kill()
            time.sleep(0.02)

    base = [1 << 30]  # until TensorFlow is there
    watcher = threading.Thread(target=watch)
    watcher.start()
    assert process.stdout is not None
    for line in process.stdout:
        heard[0] = time.monotonic()
        said = json.loads(line)
        if "begins" in said:
            base[0] = resident(process.pid)
        yield said
    watcher.join()
    if process.wait():
        yield {"died": death[0] or f"exit code {process.returncode}"}


def resident(pid: int) -> int:
    """Return the bytes of memory that a process holds; 0 for one that is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    except (OSError, IndexError):
        return 0


def measure(given: argparse.Namespace) -> dict[str, object]:
    """Return the figures of all inputs, in workers that take a batch each."""
    kinds: collections.Counter[str] = collections.Counter()
    slowest, findings, start = 0.0, [], time.monotonic()
    at, end = given.first, given.first + given.inputs
    while at < end:
        command = [
            sys.executable,
            __file__,
            "--work",
            str(at),
            str(min(at + BATCH, end)),
            "--seed",
            str(given.seed),
        ]
        for path in given.model:
            command += ["--model", str(path)]
        current = at
        for said in watched(command):
            if "begins" in said:
                current = int(str(said["begins"]))
                continue
            kind = str(said.get("outcome", "died")).partition(":")[0]
            seconds = float(str(said.get("seconds", 0)))
            slowest = max(slowest, seconds)
            wrong = "died" in said or kind.startswith("raised") or seconds > SECONDS
            kinds["finding" if wrong else kind] += 1
            if wrong:
                findings.append({"input": current, **said})
                print(json.dumps(findings[-1]), flush=True)
        at = current + 1
    return {
        "inputs": given.inputs,
        "seed": given.seed,
        "outcomes": dict(sorted(kinds.items())),
        "findings": len(findings),
        "slowest_seconds": slowest,
        "minutes": round((time.monotonic() - start) / 60, 1),
    }


def main() -> None:
    """Read the arguments, try the inputs, print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the number of the first")
    parser.add_argument("--only", type=int, help="try this one in the process itself")
    parser.add_argument("--seed", type=int, default=0, help="seed of the mutations")
    parser.add_argument("--model", type=Path, action="append", default=[], help="another graph to mutate")
    parser.add_argument("--work", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    models = [DEMO, *given.model]
    if given.work:
        work(models, *given.work, seed=given.seed)
        return
    if given.only is not None:
        work(models, given.only, given.only + 1, seed=given.seed)
        return
    figures = measure(given)
    print(json.dumps(figures))
    sys.exit(1 if figures["findings"] else 0)


if __name__ == "__main__":
    main()
