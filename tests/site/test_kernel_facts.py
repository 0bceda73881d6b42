"""What is told of each kernel agrees with its weights."""

from __future__ import annotations

import numpy as np
import pytest

from atlas.site.neuron.kernel_facts import kernel_facts, places


def test_masses_are_those_of_each_sign() -> None:
    """Positive and negative weights are added up apart."""
    kernels = np.random.default_rng(1).normal(size=(4, 3, 5)).astype(np.float32)
    facts = kernel_facts(kernels)
    np.testing.assert_allclose(facts.positive, np.maximum(kernels, 0).sum((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(facts.negative, np.maximum(-kernels, 0).sum((1, 2)), rtol=1e-5)


@pytest.mark.parametrize(
    ("row", "column", "words"),
    [
        (2, 2, "at the centre"),
        (0, 0, "in the top left corner"),
        (0, 4, "in the top right corner"),
        (4, 0, "in the bottom left corner"),
        (0, 2, "at the top edge"),
        (3, 4, "at the right edge"),
        (1, 2, "above the centre"),
        (2, 1, "left of the centre"),
        (3, 3, "below right of the centre"),
    ],
)
def test_the_strongest_weight_has_a_place(row: int, column: int, words: str) -> None:
    """The weight of the largest absolute value is told with its sign and where it stands."""
    kernel = np.full((1, 5, 5), 0.2, np.float32)
    kernel[0, row, column] = -0.31
    assert kernel_facts(kernel).strongest == [f"\N{MINUS SIGN}0.310 {words}"]


def test_flat_and_even_kernels_have_places() -> None:
    """One weight has none; of an even number two are the middle; a line has no corners."""
    assert kernel_facts(np.full((1, 1, 1), 0.5, np.float32)).strongest == ["+0.500"]
    assert places(1, 1) == ("",)
    assert [text.strip() for text in places(1, 4)] == [
        "at the left edge",
        "at the centre",
        "at the centre",
        "at the right edge",
    ]
    assert places(2, 2)[3] == " in the bottom right corner"


def test_a_kernel_of_zeros_is_told() -> None:
    """Zero has no sign."""
    assert kernel_facts(np.zeros((1, 3, 3), np.float32)).strongest[0].startswith("0 ")
