"""A publish that is killed leaves a site that works, and the next one brings it to its end."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from faulty_s3 import FaultyS3
from killing import Killer, Place
from publishing import PREFIX
from sites import site_contents, write_site

# A process for every publish.
pytestmark = pytest.mark.slow


def test_three_kills(s3: FaultyS3, tmp_path: Path) -> None:
    """A visitor finds every link and picture after each, old or new; then the bucket is exactly the site."""
    s3.delay = 0.03
    first, second, third = (
        write_site(tmp_path / str(at), site_contents(n, edition=at)) for at, n in enumerate((20, 24, 16))
    )
    place = Place(f"s3://bucket/{PREFIX}", f"{s3.url}/bucket/{PREFIX}", ("--endpoint", s3.url))
    killer = Killer(place, random.Random(0))
    killer.calm(first)
    seconds = killer.calm(second)
    for site in (third, first, second):
        killer.disturbed(site, seconds * 0.8, kills=1)
    assert killer.tally.faults == []
    assert killer.tally.kills == 3
    assert killer.tally.whole == killer.tally.publishes == 5
