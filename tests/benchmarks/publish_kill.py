r"""Kills publishes with SIGKILL at random moments; a visitor crawls what is left, then the publish goes on.

Each site of a series is published over the one before, killed one to three times on the way. After a kill
a visitor starts from the home page and from every page that stays: no link and no picture may be missing. In
the end the place must be exactly the site. The sites are made up, or two folders in turns.

    python tests/benchmarks/publish_kill.py folder --kills 50 --seed 0
    python tests/benchmarks/publish_kill.py moto --kills 50
    python tests/benchmarks/publish_kill.py s3://bucket/kill --kills 50 \
        --endpoint http://127.0.0.1:7480 --read http://127.0.0.1:7480/bucket/kill --sites A B

`moto` starts a server of its own. An S3 server's key is in the environment, and it lets anybody read. Prints
one JSON line; exits with 1 when anything was wrong.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browsing import serving
from killing import Killer, Place
from sites import site_contents, write_site

# Pages of a made-up site come and go from one to the next.
NEURONS = (150, 170, 130)

# Anybody may read, as docs/publishing.md has it.
_READ = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::kill/*"}
EVERYBODY = {"Version": "2012-10-17", "Statement": [_READ]}


@contextmanager
def place_of(given: argparse.Namespace, root: Path) -> Iterator[Place]:
    """Start what is read and written; stop it in the end."""
    if given.target == "folder":
        (root / "www").mkdir()
        with serving(root / "www") as url:
            yield Place(str(root / "www"), url)
    elif given.target == "moto":
        with moto() as url:
            keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
            options = ("--endpoint", url, "--region", "us-east-1")
            yield Place("s3://kill/atlas", f"{url}/kill/atlas", options, {**os.environ, **keys})
    else:
        yield Place(given.target, given.read, ("--endpoint", given.endpoint, "--region", "us-east-1"))


@contextmanager
def moto() -> Iterator[str]:
    """Run moto's server in a process of its own, with a bucket `kill`; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        for attempt in itertools.count():
            try:
                _put(f"{url}/kill")
                break
            except OSError:
                if attempt == 100 or process.poll() is not None:
                    raise
                time.sleep(0.3)
        _put(f"{url}/kill?policy", json.dumps(EVERYBODY).encode())
        yield url
    finally:
        process.kill()
        process.wait()


def _put(url: str, data: bytes = b"") -> None:
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(url, data, headers, method="PUT")).close()


def measure(given: argparse.Namespace, root: Path) -> dict[str, object]:
    """Return the counts."""
    sites = given.sites or [
        write_site(root / f"site{at}", site_contents(n, edition=at)) for at, n in enumerate(NEURONS)
    ]
    series = itertools.cycle(sites)
    rng = random.Random(given.seed)
    with place_of(given, root) as place:
        killer = Killer(place, rng)
        killer.calm(next(series))
        seconds = killer.calm(next(series))
        tally = killer.tally
        while tally.kills < given.kills and not tally.faults:
            killer.disturbed(next(series), seconds, kills=min(rng.randint(1, 3), given.kills - tally.kills))
    return {
        "target": given.target,
        "seed": given.seed,
        "publish_seconds": round(seconds, 2),
        "kills": tally.kills,
        "left_behind": dict(tally.seen.most_common()),
        "publishes_to_the_end": tally.publishes,
        "exactly_the_site": tally.whole,
        "faults": len(tally.faults),
        "first_faults": tally.faults[:5],
    }


def main() -> None:
    """Read the arguments, kill, print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("target", help="folder, moto, or s3://BUCKET/PREFIX")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument("--endpoint", help="of an S3 server that runs already")
    parser.add_argument("--read", help="where a visitor reads it")
    parser.add_argument("--sites", type=Path, nargs="+", help="published in turns; default: made up")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(given, Path(folder))
    print(json.dumps(figures))
    sys.exit(0 if figures["kills"] == given.kills and not figures["faults"] else 1)


if __name__ == "__main__":
    main()
