"""What to draw: variants, presets, sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atlas.core.errors import ConfigError
from atlas.core.neuron import Layer, ReceptiveField
from atlas.core.records import EffectiveField
from atlas.featurevis.recipe import NOTEBOOK_SIZES, PRESETS, Preset, Recipe, fastest_precision, picture_size

INPUT = (200, 224, 3)


def layer(h: int, w: int, name: str = "a") -> Layer:
    field = ReceptiveField((h, w), (8, 4), (0, 0))
    return Layer(name, name, "conv", f"{name}:0", 5, (25, 56), field)


class TestImageSize:
    @pytest.mark.parametrize(
        ("field", "expected"),
        [((59, 83), (60, 84)), ((11, 11), (48, 48)), ((400, 100), (200, 100)), ((64, 999), (64, 224))],
    )
    def test_follows_the_receptive_field(self, field: tuple[int, int], expected: tuple[int, int]) -> None:
        """Each axis is the receptive field made even, at least 48 px and at most the input."""
        assert picture_size(layer(*field), INPUT)[0] == expected

    def test_takes_the_notebook_table(self) -> None:
        """A size chosen for the layer's name holds on both axes."""
        assert picture_size(layer(59, 59, "mixed4a"), INPUT, None, NOTEBOOK_SIZES)[0] == (100, 100)

    def test_stays_within_a_small_input(self) -> None:
        """An input smaller than 48 px is the image's size."""
        assert picture_size(layer(99, 99), (32, 40, 1))[0] == (32, 40)

    @pytest.mark.parametrize(
        ("inner", "size", "margin"),
        [
            ((73, 90), (74, 90), (8, 8)),
            ((35, 9), (36, 24), (8, 12)),
            ((190, 208), (190, 208), (5, 8)),
            ((200, 224), (200, 224), (0, 0)),
        ],
    )
    def test_follows_the_effective_field(
        self, inner: tuple[int, int], size: tuple[int, int], margin: tuple[int, int]
    ) -> None:
        """The inner square made even, 24 px or more, with 8 px around it, in all 48 px or more."""
        field = EffectiveField("a", "", inner, (200, 224), (200, 224), np.ones((1, 1), np.float32))
        assert picture_size(layer(400, 400), INPUT, field) == (size, margin)

    def test_a_given_size_comes_before_the_effective_field(self) -> None:
        """It has no margin, so that a picture of former versions stays what it was."""
        field = EffectiveField("a", "", (73, 73), (90, 90), (99, 99), np.ones((1, 1), np.float32))
        assert picture_size(layer(99, 99), INPUT, field, {"a": 31}) == ((32, 32), (0, 0))

    def test_of_a_dense_layer_is_the_input(self) -> None:
        """A layer without positions is drawn at the network's own size."""
        dense = Layer("fc", "fc", "dense", "fc:0", 7, None, None)
        assert picture_size(dense, INPUT) == ((200, 224), (0, 0))


class TestPreset:
    def test_rate_falls_on_a_half_cosine(self) -> None:
        """The rate starts at the learning rate, is halfway in the middle and never rises."""
        preset = Preset("p", 100, 0.1, last_rate=0.2)
        rates = [preset.rate(step) for step in range(101)]
        assert rates[0] == pytest.approx(0.1)
        assert rates[50] == pytest.approx(0.06)
        assert rates[100] == pytest.approx(0.02)
        assert rates == sorted(rates, reverse=True)

    def test_full_is_lucids(self) -> None:
        """The preset full is Adam at a constant 0.05 for 512 steps, as Lucid's render_vis."""
        full = PRESETS["full"]
        assert (full.n_steps, full.rate(0), full.rate(511)) == (512, 0.05, 0.05)
        assert (full.beta1, full.beta2, full.even, full.nesterov) == (0.9, 0.999, False, False)


class TestRecipe:
    def test_refuses_an_unknown_variant(self) -> None:
        """A variant that does not exist is an error that offers the ones that do."""
        with pytest.raises(ConfigError, match="neuron-negative"):
            Recipe(variant="neuron-negativ")

    def test_refuses_an_unknown_precision(self) -> None:
        """A precision that does not exist is an error."""
        with pytest.raises(ConfigError, match="float32"):
            Recipe(precision="float16")

    def test_knows_its_sign_and_reach(self) -> None:
        """A variant's name tells whether to excite, and whether the centre alone counts."""
        recipe = Recipe(variant="channel-negative")
        assert not recipe.positive
        assert not recipe.centre_only
        assert Recipe().positive
        assert Recipe().centre_only


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("flags : fpu avx512_bf16 sse", "bfloat16"), ("flags : fpu avx512f", "float32"), (None, "float32")],
)
def test_fastest_precision_is_what_the_processor_has(
    tmp_path: Path, flags: str | None, expected: str
) -> None:
    """bfloat16 is fastest only where the processor lists its instructions; unknown means float32."""
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:
        cpuinfo.write_text(flags)
    assert fastest_precision(cpuinfo) == expected
