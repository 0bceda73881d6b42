"""Window arithmetic: which input positions each position of an op's output reads.

All arithmetic is exact, on integers. `Taps` describe one axis of one op. Applied from a layer back to the
image, taps map a span of positions to the span that it reads; expanded weights and feature visualization
compute their windows this way. Applied from the image on, they give a `Field`: the pixels that each
position of a layer sees. Source: Araujo, Norris & Sim, "Computing Receptive Fields of Convolutional
Neural Networks", 2019; extended here to upsampling, where windows differ from position to position.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

# The first position and the last + 1.
Span = tuple[int, int]
# With more phases an axis counts as read whole; so many come from odd sizes resized again and again.
_MOST_PHASES = 4096


@dataclass(frozen=True, slots=True)
class Taps:
    """Position p of an axis reads input positions (p * step + low) // per to (p * step + high) // per.

    It reads none where the second is smaller. A kernel of k positions with stride s after b positions of
    padding has step s, low -b, high k - 1 - b; upsampling by f has step 1 and per f.
    """

    step: int = 1
    """How far the window moves from a position to the next, in units of 1/per of an input position."""
    low: int = 0
    """Where position 0's window begins, in the same units."""
    high: int = 0
    """Where position 0's window ends, inclusive, in the same units."""
    per: int = 1
    """Units per input position: above 1 for upsampling."""

    def span(self, span: Span) -> Span:
        """Return the smallest input span that contains every position read by an output span."""
        ends = (span[0] * self.step, (span[1] - 1) * self.step)
        first = min((end + self.low) // self.per for end in ends)
        last = max((end + self.high) // self.per for end in ends)
        return first, max(first, last) + 1

    @property
    def is_plain(self) -> bool:
        """Whether each position reads the input position with the same index, and no other."""
        return self == SAME


SAME = Taps()


@dataclass(frozen=True, slots=True)
class Field:
    """The pixels along one axis that each position sees, in n phases that repeat.

    Position q * n + r sees the pixels of phase r shifted by q * shift. Pixels beyond the image are padding.
    """

    shift: int = 1
    """How many pixels lie between the windows of a position and of the one n positions later."""
    first: tuple[int, ...] = (0,)
    """For each phase, the first pixel that it sees."""
    last: tuple[int, ...] = (0,)
    """For each phase, the last pixel that it sees; it sees none where this is smaller than the first."""

    def through(self, taps: Taps) -> Field | None:
        """Return the field of an axis that reads this one by `taps`; None where it has too many phases."""
        n = len(self.first)
        phases = n * taps.per // math.gcd(n * taps.per, abs(taps.step))
        if phases > _MOST_PHASES:
            return None
        shift = self.shift * (phases * taps.step // taps.per) // n
        spans = [self._seen(taps, phase) for phase in range(phases)]
        return Field(shift, tuple(first for first, _ in spans), tuple(last for _, last in spans))

    def _seen(self, taps: Taps, position: int) -> Span:
        """Return the (first, last) pixels that `position`, which reads this field by `taps`, sees."""
        low = (position * taps.step + taps.low) // taps.per
        high = (position * taps.step + taps.high) // taps.per
        n = len(self.first)
        # Windows repeat after n positions, shifted: the extremes lie among the first n and the last n.
        read = range(low, high + 1)
        ends = read if len(read) <= 2 * n else (*read[:n], *read[-n:])
        spans = [span for span in map(self.pixels, ends) if span[0] <= span[1]]
        return (min(a for a, _ in spans), max(b for _, b in spans)) if spans else (0, -1)

    def pixels(self, position: int) -> Span:
        """Return the (first, last) pixels that a position sees."""
        turn, phase = divmod(position, len(self.first))
        first, last = self.first[phase], self.last[phase]
        return (first, last) if last < first else (first + turn * self.shift, last + turn * self.shift)

    @property
    def stride(self) -> Fraction:
        """The average distance in pixels from a position to the next."""
        return Fraction(self.shift, len(self.first))

    @property
    def size(self) -> int:
        """The largest number of pixels that any position sees."""
        return max(last - first + 1 for first, last in zip(self.first, self.last, strict=True))

    @property
    def offset(self) -> Fraction:
        """The first pixel of position 0's window of `size` pixels; position i's begins i strides later.

        Where phases have different windows, this is the line that lies nearest to all of them.
        """
        starts = [Fraction(first) - i * self.stride for i, first in enumerate(self.first) if self._sees(i)]
        ends = [Fraction(last) - i * self.stride for i, last in enumerate(self.last) if self._sees(i)]
        return (min(starts) + max(ends) - self.size + 1) / 2 if starts else Fraction(0)

    def _sees(self, phase: int) -> bool:
        return self.first[phase] <= self.last[phase]


def hull(fields: Iterable[Field | None]) -> Field | None:
    """Return the smallest field that contains all of several; None where any of them is the whole axis.

    The result is also None where strides differ: then no window moves along with the position.
    """
    joined: Field | None = None
    for field in fields:
        if field is None or (joined is not None and field.stride != joined.stride):
            return None
        joined = field if joined is None else _pair(joined, field)
    return joined


def _pair(one: Field, other: Field) -> Field | None:
    if one == other:
        return one
    n = math.lcm(len(one.first), len(other.first))
    if n > _MOST_PHASES:
        return None
    spans = []
    for phase in range(n):
        pair = [span for span in (one.pixels(phase), other.pixels(phase)) if span[0] <= span[1]]
        spans.append((min(a for a, _ in pair), max(b for _, b in pair)) if pair else (0, -1))
    shift = n * one.shift // len(one.first)
    return Field(shift, tuple(a for a, _ in spans), tuple(b for _, b in spans))


def kernel_taps(size: int, stride: int, before: int) -> Taps:
    """Return the taps of a sliding kernel of `size` positions (dilated) after `before` of padding."""
    return Taps(stride, -before, size - 1 - before)


def transposed_taps(size: int, stride: int, before: int) -> Taps:
    """Return the taps of a transposed convolution; `before` is the padding of the forward convolution."""
    return Taps(1, before - size + stride, before, stride)


def resized_taps(n_in: int, n_out: int, *, method: str, half_pixel: bool, aligned: bool) -> Taps:
    """Return the taps of interpolation from `n_in` to `n_out` positions.

    `method` is the op's name; `half_pixel` places pixels by their centres, `aligned` by the corners of the
    image. An output position that coincides with an input position reads that one alone.
    """
    if aligned and n_out > 1:
        n_in, n_out, shift = n_in - 1, n_out - 1, 0
    else:
        shift = n_in if half_pixel else 0
    per = 2 * n_out
    if n_in == 0:
        return Taps(0, 0, 0, 1)
    if method == "ResizeNearestNeighbor":
        # Rounds where corners are aligned, else rounds down.
        low = n_out if aligned else shift
        return _reduced(2 * n_in, low, low, per)
    low = shift - n_out if half_pixel and not aligned else 0
    reach = per if method == "ResizeBicubic" else 0
    return _reduced(2 * n_in, low - reach, low + per - 1 + reach, per)


def _reduced(step: int, low: int, high: int, per: int) -> Taps:
    """Return taps in lowest terms; the floor divisions give the same results."""
    common = math.gcd(step, per)
    return Taps(step // common, low // common, high // common, per // common)


def same_padding(length: int, size: int, stride: int) -> tuple[int, int]:
    """Return how many positions TensorFlow's SAME padding adds before and after an axis of `length`."""
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2
