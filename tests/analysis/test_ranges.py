"""Images from the whole range of a neuron, against all activations kept in memory."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atlas.analysis.examples import Top, example_strips
from atlas.analysis.image_pass import Batch, Seen
from atlas.analysis.ranges import DRAWN, LEVELS, Ranged
from atlas.core.errors import ExamplesError
from atlas.core.neuron import Layer, ReceptiveField
from atlas.core.records import ExampleTable, Floats, RangeTable

N, SHAPE = 4, (12, 20, 3)
LAYER = Layer("a", "a", "conv", "a:0", N, (6, 10), ReceptiveField((7, 5), (2, 2), (-3, -2)))


def values(n_images: int) -> Floats:
    """Return maps of neurons that fire always, for one image in four, never, and at all heights."""
    rng = np.random.default_rng(0)
    maps = rng.gamma(3, 20, (n_images, 6, 10, N)).astype(np.float32)
    maps[..., 1] *= (rng.random(n_images) < 0.25)[:, None, None]
    maps[..., 2] = 0
    maps[..., 3] = np.exp2(rng.uniform(-9, 9, n_images))[:, None, None] * rng.random((n_images, 6, 10))
    return maps


def chosen(maps: Floats, *, seed: int = 0, size: int = 16, k: int = 12) -> tuple[RangeTable, ExampleTable]:
    """Return what is drawn of images, and their examples, in batches of a size."""
    top = Top(LAYER, k, SHAPE)
    seen = Seen(tuple(f"{i}.png" for i in range(len(maps))), ())
    ranged = Ranged(LAYER, SHAPE, seed, lambda: top.record(seen))
    for first in range(0, len(maps), size):
        part = maps[first : first + size]
        names = tuple(f"{first + i}.png" for i in range(len(part)))
        batch = Batch(first, names, np.zeros((len(part), *SHAPE), np.float32), {"a": part})
        ranged.add(batch)
        top.add(batch)
    return ranged.record(seen), top.record(seen)


class TestRanged:
    """What is drawn."""

    def test_drawn_images_lie_at_their_level(self) -> None:
        """Each is in the bin, an eighth of a doubling, of the quantile of all images with an activation."""
        maps = values(3000)
        found, _ = chosen(maps)
        best = maps.reshape(len(maps), -1, N).max(1)
        for neuron in (0, 1, 3):
            positive = best[best[:, neuron] > 0, neuron]
            assert found.n_positive[neuron] == len(positive)
            for row, level in enumerate(LEVELS):
                drawn = found.activation[neuron, row][found.image[neuron, row] >= 0]
                low, high = (np.quantile(positive, level, method=way) for way in ("lower", "higher"))
                assert (drawn > low / 1.13).all(), (neuron, level)
                assert (drawn < high * 1.13).all(), (neuron, level)
        # Levels in one bin share its images; neuron 3's lie far apart, and only the highest are shown above.
        assert (found.image[3, 1:] >= 0).all()

    def test_activation_position_and_box_are_the_image_s_own(self) -> None:
        """As those of a full search."""
        maps = values(300)
        found, _ = chosen(maps)
        assert (found.image >= 0).sum() > 20
        for neuron, row, at in zip(*np.nonzero(found.image >= 0), strict=True):
            own = maps[found.image[neuron, row, at], :, :, neuron]
            assert found.activation[neuron, row, at] == own.max()
            h, w = found.position[neuron, row, at]
            assert own[h, w] == own.max()
            top, left, bottom, right = found.box[neuron, row, at]
            assert (top, left) == (max(2 * h - 3, 0), max(2 * w - 2, 0))
            assert (bottom, right) == (min(2 * h + 4, SHAPE[0]), min(2 * w + 3, SHAPE[1]))

    def test_no_image_is_shown_twice(self) -> None:
        """Neither in two levels, nor as an example too."""
        found, shown = chosen(values(300))
        for neuron in range(N):
            images = found.image[neuron][found.image[neuron] >= 0].tolist()
            images += shown.image[neuron].tolist() if neuron != 2 else []
            assert max(Counter(images).values(), default=0) <= 1

    def test_the_strongest_stands_first(self) -> None:
        """Levels fall, and within a level activations do."""
        found, _ = chosen(values(300))
        for neuron in (0, 1, 3):
            shown = found.activation[neuron][found.image[neuron] >= 0]
            assert (np.diff(shown) <= 0).all()

    def test_batches_do_not_matter(self) -> None:
        """A draw depends on the image's number and the seed alone."""
        maps = values(200)
        one, other = chosen(maps, size=16)[0], chosen(maps, size=16)[0]
        more = chosen(maps, size=32)[0]
        for name in RangeTable.__dataclass_fields__:
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
        # The first batch says how large activations are: neuron 3 alone needs more room than that.
        assert np.array_equal(one.image[:2], more.image[:2])

    def test_another_seed_draws_others_and_each_image_alike(self) -> None:
        """In a bin of forty images each is drawn in DRAWN of forty seeds, but for chance."""
        maps = np.zeros((40, 6, 10, N), np.float32)
        maps[:, 2, 3, 0] = np.linspace(10, 10.5, 40)
        counts: Counter[int] = Counter()
        for seed in range(200):
            found, _ = chosen(maps, seed=seed, k=1)
            counts.update(found.image[0][found.image[0] >= 0].tolist())
        expected = 200 * DRAWN / 40
        drawn = [counts[image] for image in range(39)]
        assert np.abs(np.array(drawn) - expected).max() < 5 * np.sqrt(expected)

    def test_a_neuron_that_never_fires_has_none(self) -> None:
        """Nothing is drawn of it."""
        found, _ = chosen(values(100))
        assert found.n_positive[2] == 0
        assert (found.image[2] == -1).all()

    def test_a_value_that_is_no_number_is_an_error(self) -> None:
        """It is named with its image."""
        maps = values(16)
        maps[5, 0, 0, 1] = np.nan
        with pytest.raises(ExamplesError, match=r"a:1: its activation on 5\.png is not finite"):
            chosen(maps)


def test_the_strip_has_them_below(tmp_path: Path) -> None:
    """Tiles of two thirds of the side, level by level, each with its own crop; all of one scale."""
    maps = values(60)
    rng = np.random.default_rng(1)
    for i in range(60):
        Image.fromarray(rng.integers(0, 256, SHAPE, np.uint8)).save(tmp_path / f"{i}.png")
    found, shown = chosen(maps)
    ((_, data),) = example_strips(shown, tmp_path, SHAPE, [0], ranges=found)
    with_ranges = np.asarray(Image.open(io.BytesIO(data)), np.int32)
    assert with_ranges.shape == (160, max(12 * 96, 64 * len(LEVELS) * DRAWN), 3)
    flat = ExampleTable(
        layer="a",
        images=found.images,
        skipped=(),
        image=found.image.reshape(N, -1),
        activation=found.activation.reshape(N, -1),
        position=found.position.reshape(N, -1, 2),
        box=found.box.reshape(N, -1, 4),
    )
    ((_, data),) = example_strips(flat, tmp_path, SHAPE, [0], tile_px=64)
    alone = np.asarray(Image.open(io.BytesIO(data)), np.int32)
    assert np.abs(with_ranges[96:, : alone.shape[1]] - alone).mean() < 6
    ((_, data),) = example_strips(shown, tmp_path, SHAPE, [0])
    assert np.abs(with_ranges[:96] - np.asarray(Image.open(io.BytesIO(data)), np.int32)).mean() < 6
