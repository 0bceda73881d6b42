"""Pictures of kernels hold the right colours at the right places."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from atlas.drawing.images import signed_colours
from atlas.site.neuron import heatmaps


def pixels(uri: str) -> np.ndarray:
    """Return the colours in a data URI, read by Pillow."""
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


class TestKernelSheet:
    def test_kernels_stand_below_each_other(self) -> None:
        """Kernel i fills the rows from i * (h + 1), in the colours of the signed map, with white between."""
        kernels = np.random.default_rng(3).normal(size=(4, 3, 5)).astype(np.float32)
        peak = float(np.abs(kernels).max())
        sheet = pixels(heatmaps.kernel_sheet(kernels, peak).uri).astype(int)
        assert sheet.shape == (16, 5, 3)
        for at, kernel in enumerate(kernels):
            expected = signed_colours(kernel, peak).astype(int)
            # 127 colours for a span of 2: half a step of weight is at most 2 of 255.
            assert np.abs(sheet[4 * at : 4 * at + 3] - expected).max() <= 2
            assert (sheet[4 * at + 3] == 0xF7).all()

    def test_the_peak_has_the_last_colours(self) -> None:
        """The largest weights have the ends of the scale, and what is beyond the peak is cut."""
        kernels = np.array([[[2.0, -2.0, 0.0, 9.0]]], np.float32)
        row = pixels(heatmaps.kernel_sheet(kernels, 2.0).uri)[0]
        assert ["".join(f"{c:02x}" for c in p) for p in row] == ["ca0020", "0571b0", "f7f7f7", "ca0020"]

    def test_no_weights_at_all_are_white(self) -> None:
        """A peak of zero gives white, and no warning."""
        assert (pixels(heatmaps.kernel_sheet(np.zeros((2, 2, 3), np.float32), 0.0).uri) == 0xF7).all()

    @pytest.mark.parametrize("shape", [(1, 1), (3, 3), (5, 5), (7, 7), (15, 15), (4, 9), (31, 31)])
    def test_every_weight_gets_whole_pixels(self, shape: tuple[int, int]) -> None:
        """A kernel fills at most a cell, a weight is the same whole number of pixels everywhere."""
        sheet = heatmaps.kernel_sheet(np.ones((6, *shape), np.float32), 1.0)
        assert max(sheet.width_px, sheet.height_px) <= heatmaps.CELL_PX
        assert sheet.width_px % shape[1] == 0
        assert sheet.width_px // shape[1] == sheet.height_px // shape[0]
        assert sheet.pitch_px == sheet.height_px + sheet.height_px // shape[0]
        assert sheet.sheet_height_px == 6 * sheet.pitch_px

    def test_large_kernels_are_averaged(self) -> None:
        """A kernel with more weights a side than LARGEST_PX shows means of squares, and says so."""
        kernels = np.zeros((1, 40, 50), np.float32)
        kernels[0, :2, :2] = [[1, 1], [1, -3]]
        kernels[0, 2:4, :2] = 1
        sheet = heatmaps.kernel_sheet(kernels, 1.0)
        shown = pixels(sheet.uri)
        assert sheet.mean_of == 2
        assert shown.shape == (21, 25, 3)
        assert shown[0, 0].tolist() == [0xF7] * 3
        assert shown[1, 0].tolist() == [0xCA, 0x00, 0x20]

    @pytest.mark.parametrize("shape", [(31, 31), (21, 21), (1, 900)])
    def test_a_hundred_large_kernels_stay_small(self, shape: tuple[int, int]) -> None:
        """Two lists of 50 kernels of noise take at most 24 kB of a page, in squares of means if need be."""
        kernels = np.random.default_rng(0).normal(size=(50, *shape)).astype(np.float32)
        sheet = heatmaps.kernel_sheet(kernels, 3.0)
        assert 2 * len(sheet.uri) < 24_000
        assert (sheet.rows, sheet.columns) == tuple(-(-n // sheet.mean_of) for n in shape)

    def test_noise_is_shown_in_fewer_shades_before_larger_squares(self) -> None:
        """A list of 40 kernels of 14 x 14 of noise keeps its squares; a smooth one keeps its shades too."""
        noise = np.random.default_rng(0).normal(size=(40, 14, 14)).astype(np.float32)
        sheet, smooth = heatmaps.kernel_sheet(noise, 3.0), heatmaps.kernel_sheet(np.ones_like(noise), 3.0)
        assert (sheet.mean_of, smooth.mean_of) == (1, 1)
        assert sheet.n_shades < smooth.n_shades
        assert len(sheet.uri) < 8_000
        steps = np.unique(pixels(sheet.uri).reshape(-1, 3), axis=0)
        assert len(steps) <= 2 * sheet.n_shades + 1

    def test_kernels_of_one_weight_stay(self) -> None:
        """However many there are: no square is larger than a kernel."""
        kernels = np.random.default_rng(0).normal(size=(9_000, 1, 1)).astype(np.float32)
        assert heatmaps.kernel_sheet(kernels, 3.0).mean_of == 1

    def test_noise_over_many_pixels_is_shown_in_larger_squares(self) -> None:
        """Means that take much of a page become means of more weights; what is seen in them stays."""
        noise = np.random.default_rng(0).normal(size=(100, 73, 73)).astype(np.float32)
        sheet = heatmaps.kernel_sheet(noise, 3.0)
        assert len(sheet.uri) < 5_000
        assert sheet.rows == -(-73 // sheet.mean_of)
        blob = np.zeros((100, 73, 73), np.float32)
        blob[:, :30, :30] = 2
        assert heatmaps.kernel_sheet(blob, 3.0).mean_of == 3


class TestColourFilter:
    def test_is_around_grey(self) -> None:
        """No weight is middle grey, the largest weight full colour, its negative none."""
        kernels = np.zeros((3, 1, 3), np.float32)
        kernels[0, 0] = [0.5, -0.5, 0]
        shown = pixels(heatmaps.colour_filter(kernels))
        assert shown.tolist() == [[[255, 128, 128], [0, 128, 128], [128, 128, 128]]]


class TestFactorTile:
    def test_each_factor_has_its_hue(self) -> None:
        """Three factors are red, green and blue."""
        maps = np.eye(3, dtype=np.float32)[None]
        assert pixels(heatmaps.factor_tile(maps)).tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]

    def test_of_a_whole_image_is_small(self) -> None:
        """Maps of hundreds of positions are shown in squares of means: noise takes a tenth of a page."""
        maps = np.random.default_rng(0).random((300, 200, 3)).astype(np.float32)
        uri = heatmaps.factor_tile(maps)
        assert len(uri) < 10_000
        assert pixels(uri).shape == (43, 29, 3)
