from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.model.graph.backend import tf
from atlas.model.positions import windows
from atlas.model.positions.windows import (
    Field,
    Taps,
    hull,
    kernel_taps,
    resized_taps,
    same_padding,
    transposed_taps,
)

small = st.integers(1, 5)
TAPS = st.one_of(
    st.builds(kernel_taps, small, st.integers(1, 3), st.integers(0, 2)),
    st.builds(transposed_taps, small, st.integers(1, 3), st.integers(0, 2)),
    st.builds(
        resized_taps,
        st.integers(1, 6),
        st.integers(1, 9),
        method=st.sampled_from(["ResizeNearestNeighbor", "ResizeBilinear"]),
        half_pixel=st.booleans(),
        aligned=st.just(False),
    ),
    st.builds(lambda size: Taps(size, 0, size - 1), small),
    st.builds(lambda size: Taps(per=size), small),
)


def read(taps: list[Taps], position: int) -> set[int]:
    """Return all pixels that a position reads, op by op, without any arithmetic of windows."""
    positions = {position}
    for each in reversed(taps):
        positions = {
            i
            for p in positions
            for i in range(
                (p * each.step + each.low) // each.per, (p * each.step + each.high) // each.per + 1
            )
        }
    return positions


class TestField:
    @given(taps=st.lists(TAPS, min_size=1, max_size=5), position=st.integers(-9, 40))
    def test_holds_what_is_read(self, taps: list[Taps], position: int) -> None:
        """A field begins at the first pixel that a chain of ops reads and ends at the last."""
        field: Field | None = Field()
        for each in taps:
            field = field and field.through(each)
        if field is None:
            assert math.prod(each.per for each in taps) > windows._MOST_PHASES
            return
        first, last = field.pixels(position)
        pixels = read(taps, position)
        assert (first, last) == (min(pixels), max(pixels)) if pixels else last < first

    def test_of_a_pyramid(self) -> None:
        """Down by 2 and up by 2 again, two neighbours see the same pixels, and strides are of one pixel."""
        field = Field().through(kernel_taps(2, 2, 0)).through(Taps(per=2))
        assert [field.pixels(p) for p in range(4)] == [(0, 1), (0, 1), (2, 3), (2, 3)]
        assert field.stride == 1
        assert field.size == 2
        assert field.offset == Fraction(-1, 2)


class TestHull:
    def test_holds_all(self) -> None:
        """The hull of two fields starts at the first pixel of either and ends at the last."""
        assert hull([Field(2, (-1,), (1,)), Field(2, (-2,), (2,))]) == Field(2, (-2,), (2,))

    def test_joins_phases(self) -> None:
        """A field of two phases and one of one make one of two."""
        joined = hull([Field(2, (0, 0), (1, 1)), Field(1, (-1,), (1,))])
        assert joined == Field(2, (-1, 0), (1, 2))

    def test_of_unlike_strides_is_the_whole(self) -> None:
        """Where windows move apart, no window moves along with the position."""
        assert hull([Field(2, (0,), (2,)), Field(4, (0,), (2,))]) is None


class TestTaps:
    @given(taps=TAPS, first=st.integers(-5, 20), length=st.integers(1, 6))
    def test_span_holds_what_is_read(self, taps: Taps, first: int, length: int) -> None:
        """The span of some positions is the smallest that holds what they read."""
        pixels = set[int]().union(*(read([taps], first + i) for i in range(length)))
        assert not pixels or taps.span((first, first + length)) == (min(pixels), max(pixels) + 1)

    @pytest.mark.parametrize("method", ["ResizeNearestNeighbor", "ResizeBilinear"])
    @pytest.mark.parametrize(("half_pixel", "aligned"), [(True, False), (False, False), (False, True)])
    @pytest.mark.parametrize(("n_in", "n_out"), [(5, 10), (4, 12), (9, 6), (7, 11)])
    def test_are_those_of_interpolation(
        self, method: str, half_pixel: bool, aligned: bool, n_in: int, n_out: int
    ) -> None:
        """Away from the border a resized position is made of just the positions that its taps name."""
        single = np.eye(n_in, dtype=np.float32)[:, :, None, None]
        resize = getattr(tf.raw_ops, method)
        made = np.asarray(
            resize(images=single, size=[n_out, 1], align_corners=aligned, half_pixel_centers=half_pixel)
        )[:, :, 0, 0]
        taps = resized_taps(n_in, n_out, method=method, half_pixel=half_pixel, aligned=aligned)
        for position in range(n_out):
            first, end = taps.span((position, position + 1))
            if first >= 0 and end <= n_in:
                assert np.flatnonzero(made[:, position]).tolist() == list(range(first, end))


class TestSamePadding:
    @pytest.mark.parametrize(
        ("length", "size", "stride"), [(n, k, s) for n in (7, 8) for k in (2, 3, 5) for s in (1, 2, 3)]
    )
    def test_is_tensorflows(self, length: int, size: int, stride: int) -> None:
        """The padding before and after an axis is what TensorFlow's SAME convolution uses."""
        image = np.arange(1, length + 1, dtype=np.float32).reshape(1, length, 1, 1)
        picker = np.zeros((size, 1, 1, 1), np.float32)
        before, after = same_padding(length, size, stride)
        picker[before] = 1
        made = np.asarray(tf.nn.conv2d(image, picker, stride, "SAME"))
        assert made[0, 0, 0, 0] == 1
        last = (made.shape[1] - 1) * stride + size - before
        assert max(last, length) == length + after
