"""Distributions of activations, beside NumPy's of all activations kept in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atlas.analysis.distribution import LEVELS, MOST_POSITIONS, Distributed, distribution, looked_at
from atlas.analysis.image_pass import Batch, Seen
from atlas.core.errors import ExamplesError
from atlas.core.neuron import Layer
from atlas.core.records import Distribution, Floats
from atlas.model.graph.backend import tf
from toys import hand_made, kernel

N = 5


def counted(*batches: Floats) -> Distribution:
    """Return the record of batches of maps [b, h, w, n] or vectors [b, n]."""
    shape = batches[0].shape
    layer = Layer("a", "a", "conv", "a:0", shape[-1], shape[1:3] if len(shape) == 4 else None, None)
    observer = Distributed(layer)
    first = 0
    for values in batches:
        names = tuple(f"{first + i}.png" for i in range(len(values)))
        observer.add(Batch(first, names, np.zeros((len(values), 1, 1, 3), np.float32), {"a": values}))
        first += len(values)
    return observer.record(Seen(tuple(map(str, range(first))), ()))


def draws() -> list[Floats]:
    """Return batches of five kinds of neurons: both signs, large, tiny, half zeros, all zeros."""
    rng = np.random.default_rng(0)
    scale = np.array([1, 1000, 1e-3, 5, 0], np.float32)
    values = rng.standard_normal((40, 16, 6, 7, N)).astype(np.float32) * scale
    values[..., 3] = np.maximum(values[..., 3], 0)
    return list(values)


class TestAgainstNumPy:
    """All positions of small maps are counted."""

    def test_histograms_are_numpys(self) -> None:
        """Counts in the record's bins, of positions and of the images' maxima."""
        batches = draws()
        found = counted(*batches)
        values = np.concatenate(batches)
        flat, maxima = values.reshape(-1, N), values.reshape(len(values), -1, N).max(1)
        assert (found.n_images, found.n_values) == (len(values), len(flat))
        edges = found.edges.astype(np.float64)
        assert (np.diff(edges) > 0).all()
        for n in range(N):
            assert found.counts[n].tolist() == np.histogram(flat[:, n], edges)[0].tolist()
            assert found.image_counts[n].tolist() == np.histogram(maxima[:, n], edges)[0].tolist()
            assert found.counts[n].sum() == len(flat)

    def test_quantiles_are_numpys(self) -> None:
        """To the width of a bin, 3 % of the value."""
        batches = draws()
        found = counted(*batches)
        values = np.concatenate(batches)
        for quantile, kept in (
            (found.quantile, values.reshape(-1, N)),
            (found.image_quantile, values.reshape(len(values), -1, N).max(1)),
        ):
            expected = np.quantile(kept, LEVELS, axis=0).T
            assert quantile == pytest.approx(expected, rel=0.032, abs=2e-6)

    def test_quantiles_of_few_images_are_numpys(self) -> None:
        """Between two images far apart they lie where NumPy puts them, to the width of a bin."""
        values = np.exp2(np.random.default_rng(3).uniform(-6, 6, (20, 1, 1, 50))).astype(np.float32)
        found = counted(values)
        expected = np.quantile(values[:, 0, 0], LEVELS, axis=0).T
        assert found.image_quantile == pytest.approx(expected, rel=0.032)

    def test_shares_mean_deviation_and_largest_are_numpys(self) -> None:
        """Sums are kept in float64."""
        batches = draws()
        found = counted(*batches)
        values = np.concatenate(batches)
        flat, maxima = values.reshape(-1, N), values.reshape(len(values), -1, N).max(1)
        assert found.zero == pytest.approx((flat == 0).mean(0), abs=1e-7)
        assert found.positive == pytest.approx((flat > 0).mean(0), abs=1e-7)
        assert found.firing == pytest.approx((maxima > 0).mean(0), abs=1e-7)
        assert found.mean == pytest.approx(flat.mean(0, dtype=np.float64), rel=1e-5, abs=1e-9)
        assert found.deviation == pytest.approx(flat.std(0, dtype=np.float64), rel=1e-5)
        assert np.array_equal(found.largest, flat.max(0))

    def test_batches_do_not_matter(self) -> None:
        """One image at a time, or all at once, makes the same record."""
        values = np.concatenate(draws()[:3])
        one, many = counted(values), counted(*(values[i : i + 1] for i in range(len(values))))
        for name in Distribution.__dataclass_fields__:
            assert np.array_equal(getattr(one, name), getattr(many, name)), name

    def test_a_dense_layer_has_one_value_an_image(self) -> None:
        """Its positions are its images."""
        values = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
        found = counted(values)
        assert found.n_values == found.n_images == 50
        assert np.array_equal(found.counts, found.image_counts)

    def test_a_network_on_a_folder(self, tmp_path: Path) -> None:
        """The public function reads the folder as examples do."""
        for i in range(5):
            pixels = np.random.default_rng(i).integers(0, 256, (20, 24, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{i}.png")
        build = lambda x: tf.nn.relu(tf.nn.conv2d(x, kernel(3, 3, 3, 6), 2, "SAME"), name="first")  # noqa: E731
        network = hand_made(build, (20, 24, 3))
        found = distribution(network, "first", tmp_path)
        images = np.stack([np.asarray(Image.open(p), np.float32) / 255 for p in sorted(tmp_path.iterdir())])
        values = network.activations(images, ["first"])["first"]
        assert found.positive == pytest.approx((values > 0).mean((0, 1, 2)), abs=1e-6)
        assert found.largest == pytest.approx(values.max((0, 1, 2)), rel=1e-6)


class TestLargeMaps:
    """Of large maps a part is counted; each image's maximum is of all of it."""

    @pytest.mark.parametrize(("height", "width"), [(29, 28), (56, 56), (112, 112), (31, 500), (1, 2000)])
    def test_every_column_and_row_is_met(self, height: int, width: int) -> None:
        """Over some images each position is looked at, and never more than the limit in one."""
        n = height * width
        met = np.zeros(n, int)
        for image in range(200):
            part = np.arange(n)[looked_at(n, width, image)]
            assert 0 < len(part) <= MOST_POSITIONS
            met[part] += 1
        assert met.min() > 0
        assert met.max() - met.min() <= 1 + 200 // min(200, -(-n // MOST_POSITIONS))

    def test_the_maximum_is_of_all_positions(self) -> None:
        """Also where it lies at a position that is not looked at."""
        values = np.zeros((1, 112, 112, 1), np.float32)
        values[0, 0, 1] = 7
        found = counted(values)
        assert found.positive[0] == 0
        assert found.firing[0] == 1
        assert found.largest[0] == 7
        assert found.n_values <= MOST_POSITIONS


class TestExtremes:
    """Values that bins do not tell apart, and such as are no numbers."""

    def test_tiny_values_are_not_zeros(self) -> None:
        """Below the smallest bin they are counted around zero, and not as zeros."""
        found = counted(np.full((20, 2, 2, 1), 1e-9, np.float32))
        assert found.zero[0] == 0
        assert found.positive[0] == 1
        assert found.counts.sum() == 80

    def test_a_value_beyond_the_bins_is_an_error(self) -> None:
        """Its neuron is named."""
        values = np.ones((4, 2, 2, 3), np.float32)
        values[2, 0, 0, 1] = 2.0**41
        with pytest.raises(ExamplesError, match="a:1: an activation is too large to be counted"):
            counted(values)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_a_value_that_is_no_number_is_an_error(self, bad: float) -> None:
        """Its neuron and its image are named."""
        values = np.ones((4, 2, 2, 3), np.float32)
        values[2, 1, 0, 1] = bad
        with pytest.raises(ExamplesError, match=r"a:1: its activation on 2\.png is not finite"):
            counted(values)

    def test_a_layer_of_zeros_has_a_record(self) -> None:
        """One bin holds everything."""
        found = counted(np.zeros((4, 2, 2, 3), np.float32))
        assert found.counts.sum(1).tolist() == [16] * 3
        assert not found.largest.any()
