"""Sessions: order, errors, and dropping what is in work."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from typing import Any

import pytest

from atlas.featurevis.recipe import Preset, Recipe
from atlas.featurevis.render import Renderer
from atlas.featurevis.sessions import Sessions, default_sessions
from featurevis_toy import network


@pytest.fixture
def sessions() -> Any:
    """Three sessions on an empty graph."""
    made = Sessions(3)
    yield made
    made.close()


def test_results_come_in_order(sessions: Sessions) -> None:
    """Tasks that take longer than later ones still come first."""
    found = list(sessions.run(lambda _, n: (time.sleep(0.03 * (n % 3)), n)[1], range(9)))
    assert found == list(range(9))


def test_every_lane_works_on_a_session_of_its_own(sessions: Sessions) -> None:
    """As many tasks run at a time as there are sessions, no two on one session."""
    together = threading.Barrier(3)

    def work(session: Any, _: int) -> int:
        together.wait(timeout=20)
        return id(session)

    assert len(set(sessions.run(work, range(3)))) == 3


def test_an_error_ends_the_run_and_stops_the_others(sessions: Sessions) -> None:
    """What a task raises is raised; tasks in work are told to stop, later ones never start."""
    started = []

    def work(_: Any, n: int) -> None:
        started.append(n)
        if n == 0:
            raise ValueError("zero")
        sessions.stopping.wait(timeout=20)

    with pytest.raises(ValueError, match="zero"):
        list(sessions.run(work, range(50)))
    assert len(started) < 10


def test_an_abandoned_run_stops(sessions: Sessions) -> None:
    """A reader that goes away, as on Ctrl-C, does not wait for what is in work."""
    run = sessions.run(lambda _, n: n if n == 0 else sessions.stopping.wait(timeout=20), range(50))
    assert next(run) == 0
    start = time.monotonic()
    run.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 5


def test_there_is_a_lane_for_each_core() -> None:
    """Without a GPU there are as many sessions as this process may use cores."""
    assert default_sessions() >= 1


def test_a_closed_renderer_leaves_no_graph_behind() -> None:
    """Its graph is freed, with compiled normalizations and their gradients: a build opens one a layer."""
    net = network()
    recipe = Recipe(preset=Preset("short", 2, 0.05), size=(30, 36))
    with Renderer(net, net.layer("block"), recipe, batch=2) as renderer:
        assert list(renderer.render([5]))
    graph = weakref.ref(renderer.sessions.graph)
    del renderer
    gc.collect()
    assert graph() is None
