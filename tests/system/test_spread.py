"""Work that is spread over helpers gives what one process gives."""

from __future__ import annotations

import os
from functools import partial

import pytest

from atlas.system.spread import N_AT_ONCE, Spread


def twice(number: int) -> int:
    """Return a number twice as large."""
    return 2 * number


def where(number: int) -> int:
    """Return the process that was asked."""
    return os.getpid()


def only_in(process: int, number: int) -> int:
    """Return a number; in another process, end it."""
    if os.getpid() != process:
        os._exit(1)
    return number


@pytest.mark.parametrize("n", [0, 1, 2])
def test_answers_in_order(n: int) -> None:
    """Answers come in the order of the questions, by helpers if there are any."""
    numbers = range(10 * N_AT_ONCE + 1)
    with Spread(n) as spread:
        assert list(spread.map(twice, numbers)) == [2 * number for number in numbers]
        assert list(spread.map(twice, ())) == []
        assert (os.getpid() in spread.map(where, [1])) == (n == 0)


def test_a_helper_that_ends() -> None:
    """What a helper did not answer is done here."""
    with Spread(2) as spread:
        assert list(spread.map(partial(only_in, os.getpid()), range(1000))) == list(range(1000))


def test_an_error_is_raised_here() -> None:
    """An error of the function is raised as it would be without helpers."""
    with Spread(1) as spread, pytest.raises(ZeroDivisionError):
        list(spread.map(partial(divmod, 1), [1, 0]))
