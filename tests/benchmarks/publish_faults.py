"""Publishes sites to an S3 server that fails as real ones do; counts its faults, and what arrived.

Sites whose pages come and go are published in turns, in each round once with every kind of fault alone and
once with all kinds together; a fifth of the requests that can fail so do. A publish that gives up, which is
after seven failures of one request, is called again. Then the bucket must hold exactly the site, and
a plan, without faults, must find nothing to do.

    python tests/benchmarks/publish_faults.py --rounds 3 --seed 0

Prints one JSON line: the faults by kind, the sites published, how many of them arrived whole, and what was
said by publishes that gave up. Exits with 1 when a site did not arrive.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from atlas.core.errors import PublishError
from faulty_s3 import FAULTS, FaultyS3, running
from publishing import PREFIX, Publisher, expected, objects
from sites import site_contents, write_site

NEURONS = (60, 70, 50)
SHARE = 1 / 5

# A list comes in many answers, so that many can fail.
PAGE = 100

# So often a publish is called at most.
CALLS = 5

# How long the server lets wait, and the publish waits, where being slow is the fault; else nobody gives up.
SLOW, IMPATIENT, PATIENT = 0.6, 0.3, 5.0


def publish_under(s3: FaultyS3, publisher: Publisher, site: Path, faults: Mapping[str, float]) -> list[str]:
    """Publish a site while its server fails, until it is there; return what publishes said that gave up."""
    told: list[str] = []
    s3.faults = faults
    while len(told) < CALLS:
        try:
            publisher(site, timeout=IMPATIENT if "slow" in faults else PATIENT)
            break
        except PublishError as error:
            told.append(str(error))
    s3.faults = {}
    # What was too slow for the publish is done all the same, later.
    s3.wait_until_idle()
    return told


def is_whole(s3: FaultyS3, publisher: Publisher, site: Path) -> bool:
    """Return whether the bucket holds exactly the site, and a publish finds so too."""
    return objects(s3) == expected(site) and publisher(site, apply=False).plan.nothing_to_do


def measure(root: Path, *, rounds: int, seed: int) -> dict[str, object]:
    """Return the counts."""
    sites = [write_site(root / f"site{at}", site_contents(n, edition=at)) for at, n in enumerate(NEURONS)]
    series = itertools.cycle(sites)
    troubles = [{fault: SHARE} for fault in FAULTS]
    troubles.append(dict.fromkeys(FAULTS, SHARE / len(FAULTS)))
    with running(FaultyS3(seed=seed, slow=SLOW, page=PAGE)) as s3:
        publisher = Publisher(f"s3://bucket/{PREFIX}", s3.url)
        told: list[str] = []
        whole = []
        for faults, site in zip(troubles * rounds, series, strict=False):
            told += publish_under(s3, publisher, site, faults)
            whole.append(is_whole(s3, publisher, site))
    return {
        "seed": seed,
        "faults": sum(s3.n_faults.values()),
        "by_kind": s3.n_faults,
        "sites": len(whole),
        "arrived_whole": whole.count(True),
        "gave_up": told,
    }


def main() -> None:
    """Read the arguments, publish, print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="of ten publishes each")
    parser.add_argument("--seed", type=int, default=0, help="seed of the faults")
    given = parser.parse_args()
    os.environ |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), rounds=given.rounds, seed=given.seed)
    print(json.dumps(figures))
    sys.exit(0 if figures["arrived_whole"] == figures["sites"] else 1)


if __name__ == "__main__":
    main()
