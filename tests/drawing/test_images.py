"""Colour maps and encoders."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from atlas.drawing.images import (
    band_strip,
    block_sums,
    factor_colours,
    factor_hues,
    faded,
    in_colour,
    jpeg,
    png,
    shown_bands,
    signed_colours,
    tiled,
)


def _decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


class TestSignedColours:
    """Weights in red, white and blue."""

    @pytest.mark.parametrize(
        ("weight", "colour"),
        [
            (-2.0, (0x05, 0x71, 0xB0)),
            (-1.0, (0x92, 0xC5, 0xDE)),
            (0.0, (0xF7, 0xF7, 0xF7)),
            (1.0, (0xF4, 0xA5, 0x82)),
            (2.0, (0xCA, 0x00, 0x20)),
            (9.0, (0xCA, 0x00, 0x20)),
        ],
    )
    def test_has_the_notebooks_stops(self, weight: float, colour: tuple[int, int, int]) -> None:
        """Minus peak is the darkest blue, zero white, plus peak the darkest red, and beyond is clipped."""
        assert tuple(signed_colours(np.float32([[weight]]), 2.0)[0, 0]) == colour

    def test_keeps_the_shape(self) -> None:
        """Every leading axis of the weights stays where it was."""
        assert signed_colours(np.zeros((2, 3, 5), np.float32), 1.0).shape == (2, 3, 5, 3)

    def test_is_white_without_a_peak(self) -> None:
        """Weights that are all zero are white, without a warning."""
        pixels = signed_colours(np.zeros((2, 3), np.float32), 0.0)
        assert (pixels == 0xF7).all()
        assert pixels.flags.writeable

    @given(st.floats(0, 1, width=32), st.floats(0, 1, width=32))
    def test_redder_means_more_positive(self, a: float, b: float) -> None:
        """Green falls from zero to either end, so that strength shows as darkness on both sides."""
        low, high = sorted((a, b))
        for side in (1, -1):
            green = signed_colours(np.float32([side * low, side * high]), 1.0)[:, 1]
            assert green[0] >= green[1]


class TestFactorColours:
    """Factor maps in hues of their own."""

    def test_hues_are_red_green_blue_for_three(self) -> None:
        """Three factors are red, green and blue."""
        np.testing.assert_array_equal(factor_hues(3), np.eye(3))

    @pytest.mark.parametrize("n", [0, 1, 2, 4, 5, 6])
    def test_hues_are_distinct_and_full(self, n: int) -> None:
        """Any number of factors gets as many different hues, each with full colour."""
        hues = factor_hues(n)
        assert hues.shape == (n, 3)
        assert len({tuple(h) for h in hues.tolist()}) == n
        assert (hues.max(1, initial=0) == (1 if n else 0)).all()

    def test_each_factor_shows_in_its_hue(self) -> None:
        """A place where only one factor is at its peak has that factor's hue at full strength."""
        pixels = factor_colours(np.eye(3, dtype=np.float32).reshape(1, 3, 3) * 7)
        np.testing.assert_array_equal(pixels[0], np.eye(3) * 255)

    def test_all_maps_share_one_scale(self) -> None:
        """A factor half as strong as the strongest is half as bright."""
        pixels = factor_colours(np.float32([[[4, 0, 0], [0, 2, 0]]]))
        assert pixels[0, 1].tolist() == [0, 128, 0]

    @pytest.mark.parametrize("n", [0, 3])
    def test_nothing_is_black(self, n: int) -> None:
        """No factor at all, or maps of zeros, are black and raise no warning."""
        pixels = factor_colours(np.zeros((2, 5, n), np.float32))
        assert pixels.shape == (2, 5, 3)
        assert not pixels.any()


class TestEncoders:
    """PNG and JPEG bytes."""

    @pytest.mark.parametrize("shape", [(4, 7, 3), (4, 7)])
    def test_png_keeps_every_pixel(self, shape: tuple[int, ...]) -> None:
        """A PNG decodes to the very pixels, also of an array with strides."""
        pixels = np.random.default_rng(0).integers(0, 256, (*shape[:2], 6), np.uint8)[..., ::2]
        pixels = pixels if len(shape) == 3 else pixels[..., 0]
        np.testing.assert_array_equal(_decoded(png(pixels)), pixels)

    @pytest.mark.parametrize("shape", [(40, 56, 3), (40, 56)])
    def test_jpeg_is_close(self, shape: tuple[int, ...]) -> None:
        """A JPEG of a smooth image differs by a few steps only, floats and bytes alike."""
        ramp = np.broadcast_to(np.linspace(0, 1, 56, dtype=np.float32), shape[:2])
        image = np.repeat(ramp[..., None], 3, 2) if len(shape) == 3 else ramp
        for data in (jpeg(image), jpeg((image * 255).round().astype(np.uint8))):
            decoded = _decoded(data)
            assert decoded.shape == shape
            assert np.abs(decoded / 255 - image).max() < 0.02

    def test_one_channel_is_grey(self) -> None:
        """A JPEG of [h, w, 1] is that of [h, w]."""
        grey = np.linspace(0, 1, 7 * 9, dtype=np.float32).reshape(7, 9)
        assert jpeg(grey[..., None]) == jpeg(grey)

    def test_floats_beyond_the_range_are_clipped(self) -> None:
        """Floats below 0 are black, above 1 white."""
        image = np.zeros((16, 16, 3), np.float32) - 3
        image[:, 8:] = 5
        decoded = _decoded(jpeg(image, quality=95))
        assert decoded[:, 0].max() < 5
        assert decoded[:, -1].min() > 250

    def test_same_pixels_give_the_same_bytes(self) -> None:
        """Encoding twice gives identical bytes."""
        pixels = np.random.default_rng(1).integers(0, 256, (8, 9, 3), np.uint8)
        assert png(pixels) == png(pixels.copy())
        assert jpeg(pixels) == jpeg(pixels.copy())


class TestSheets:
    """Many pictures in one."""

    @pytest.mark.parametrize(
        ("size", "most", "shape", "block"),
        [((5, 3), 7, (5, 3), (1, 1)), ((13, 4), 7, (7, 4), (2, 1)), ((15, 22), 7, (5, 6), (3, 4))],
    )
    def test_blocks_hold_every_position_once(
        self, size: tuple[int, int], most: int, shape: tuple[int, int], block: tuple[int, int]
    ) -> None:
        """Sums over blocks keep the total, there are no more than asked for, and the middle stays there."""
        values = np.random.default_rng(0).normal(size=(*size, 2)).astype(np.float32)
        sums, found = block_sums(values, most)
        assert (sums.shape, found) == ((*shape, 2), block)
        np.testing.assert_allclose(sums.sum((0, 1)), values.sum((0, 1)), rtol=1e-4)
        spot = np.zeros((13, 13, 1), np.float32)
        spot[6, 6] = 1
        assert np.argwhere(block_sums(spot, 7)[0]).tolist() == [[3, 3, 0]]

    def test_fading_is_a_mix_with_light_grey(self) -> None:
        """A picture fades to 0.9 as its share falls from one to zero."""
        pictures = np.random.default_rng(0).random((1, 3, 4, 5, 3)).astype(np.float32)
        found = faded(pictures, np.array([[1, 0.25, 0]], np.float32))
        np.testing.assert_array_equal(found[0, 0], pictures[0, 0])
        np.testing.assert_allclose(found[0, 1], 0.25 * pictures[0, 1] + 0.675, rtol=1e-5)
        np.testing.assert_allclose(found[0, 2], 0.9, rtol=1e-6)

    def test_tiles_stand_in_rows_one_pixel_apart(self) -> None:
        """Picture (i, j) of 2 x 3 starts at row i * 5 and column j * 6; white lies between, not around."""
        pictures = np.arange(6, dtype=np.float32).reshape(2, 3, 1, 1, 1) / 10 * np.ones((4, 5, 3), np.float32)
        sheet = tiled(pictures)
        assert sheet.shape == (9, 17, 3)
        for i, j in np.ndindex(2, 3):
            part = sheet[i * 5 : i * 5 + 4, j * 6 : j * 6 + 5]
            np.testing.assert_array_equal(part, np.full((4, 5, 3), pictures[i, j, 0, 0, 0]))
        assert (sheet[4] == 1).all()
        assert (sheet[:, [5, 11]] == 1).all()


class TestBands:
    def test_three_bands_are_the_colours(self) -> None:
        """Of many bands the first three are shown, of two there is no blue; others are chosen by number."""
        image = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
        np.testing.assert_array_equal(in_colour(image, shown_bands(6)), image[..., :3])
        np.testing.assert_array_equal(in_colour(image, shown_bands(6, (5, 4, 1))), image[..., [4, 3, 0]])
        two = in_colour(image[..., :2], shown_bands(2))
        np.testing.assert_array_equal(two, np.stack([image[..., 0], image[..., 1], 0 * image[..., 0]], -1))
        np.testing.assert_array_equal(in_colour(image[..., :1], shown_bands(1)), image[..., :1])

    def test_a_strip_holds_every_band(self) -> None:
        """Each band stands in the strip in grey, from left to right, below its number."""
        image = np.random.default_rng(0).random((30, 40, 5)).astype(np.float32)
        strip = band_strip(image)
        assert strip.shape == (42, 5 * 41 - 1)
        for band in range(5):
            tile = strip[12:, band * 41 : band * 41 + 40]
            np.testing.assert_array_equal(tile, (image[..., band] * 255).round())
            assert strip[:12, band * 41 : band * 41 + 40].min() < 128
