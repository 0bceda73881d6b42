"""Lanes: order, errors, and dropping what is in work."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from atlas.featurevis.sessions import Lanes, default_lanes


@pytest.fixture
def lanes() -> Any:
    """Three lanes on an empty graph."""
    made = Lanes(3)
    yield made
    made.close()


def test_results_come_in_order(lanes: Lanes) -> None:
    """Tasks that take longer than later ones still come first."""
    found = list(lanes.run(lambda _, n: (time.sleep(0.03 * (n % 3)), n)[1], range(9)))
    assert found == list(range(9))


def test_every_lane_works_on_a_session_of_its_own(lanes: Lanes) -> None:
    """As many tasks run at a time as there are lanes, no two on one session."""
    together = threading.Barrier(3)

    def work(session: Any, _: int) -> int:
        together.wait(timeout=20)
        return id(session)

    assert len(set(lanes.run(work, range(3)))) == 3


def test_an_error_ends_the_run_and_stops_the_others(lanes: Lanes) -> None:
    """What a task raises is raised; tasks in work are told to stop, later ones never start."""
    started = []

    def work(_: Any, n: int) -> None:
        started.append(n)
        if n == 0:
            raise ValueError("zero")
        lanes.stopping.wait(timeout=20)

    with pytest.raises(ValueError, match="zero"):
        list(lanes.run(work, range(50)))
    assert len(started) < 10


def test_an_abandoned_run_stops(lanes: Lanes) -> None:
    """A reader that goes away, as on Ctrl-C, does not wait for what is in work."""
    run = lanes.run(lambda _, n: n if n == 0 else lanes.stopping.wait(timeout=20), range(50))
    assert next(run) == 0
    start = time.monotonic()
    run.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 5


def test_there_is_a_lane_for_each_core() -> None:
    """Without a GPU there are as many lanes as this process may use cores."""
    assert default_lanes() >= 1
