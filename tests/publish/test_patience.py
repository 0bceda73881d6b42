"""What fails in passing is tried again, later each time, and not for ever."""

from __future__ import annotations

import random

import pytest

from atlas.publish.patience import PassingError, Patience


def failing(times: int) -> list[int]:
    """Return what is to be popped for each failure."""
    return [0] * times


def test_it_tries_until_it_works() -> None:
    """The result is the first that came."""
    left = failing(3)
    patience = Patience(first=0.0)

    def action() -> str:
        if left:
            left.pop()
            raise PassingError("not yet")
        return "done"

    assert patience.run(action) == "done"
    assert patience.n_again == 3


def test_it_gives_up() -> None:
    """The last failure is told after so many attempts."""
    calls = []

    def action() -> None:
        calls.append(0)
        raise PassingError(f"attempt {len(calls)}")

    with pytest.raises(PassingError, match="attempt 4"):
        Patience(attempts=4, first=0.0).run(action)
    assert len(calls) == 4


def test_other_errors_are_not_tried_again() -> None:
    """A refusal stays a refusal."""
    patience = Patience(first=0.0)

    def action() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        patience.run(action)
    assert patience.n_again == 0


def test_waits_grow_and_differ() -> None:
    """Each wait is half to whole of twice the one before, up to the longest, and no two clients agree."""
    patience = Patience(first=0.5, longest=4.0, jitter=random.Random(1))
    for attempt, whole in enumerate([0.5, 1, 2, 4, 4, 4]):
        waits = {patience.seconds(attempt) for _ in range(20)}
        assert len(waits) == 20
        assert all(whole / 2 <= wait <= whole for wait in waits)
