"""Draws architectures: chains of steps, and steps with branches, that fit one another and stay small.

`drawn(seed)` gives the same architecture for the same seed; `architectures` is the same for Hypothesis, which
shrinks what fails.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

from architecture_steps import Steps
from architectures import Architecture, Shape, Step


def drawn(seed: int) -> Architecture:
    """Return the architecture of a seed."""
    return draw(random.Random(seed))


def architectures() -> st.SearchStrategy[Architecture]:
    """Return Hypothesis's strategy for architectures."""
    return st.randoms(use_true_random=False).map(draw)


def draw(rng: Any) -> Architecture:
    """Return an architecture drawn by `rng`, which has the methods of random.Random."""
    shape = rng.randint(17, 45), rng.randint(17, 45), rng.choice((1, 2, 3, 3, 3, 4, 5))
    pen = _Pen(rng)
    entry = rng.choice(("", "", "", "", "rescaling", "centred", "normalization"))
    steps: list[Step] = [pen.conv(shape)]
    for _ in range(rng.randint(1, 5)):
        pen.add(steps, _KINDS)
    end = rng.choice(("", "", "", "pooled", "flat"))
    if end == "pooled" or (end == "flat" and _size(steps[-1].out) <= 800):
        units = rng.randint(2, 6)
        settings = {"units": units, "flat": end == "flat", "softmax": rng.random() < 0.6}
        steps.append(Step("end", pen.name("end"), settings, (1, 1, units)))
    return Architecture(shape, tuple(steps), entry)


def _size(shape: Shape) -> int:
    return shape[0] * shape[1] * shape[2]


class _Pen(Steps):
    """Draws steps that hold others: branches, nested models, shared layers."""

    def add(self, steps: list[Step], kinds: tuple[tuple[str, int], ...]) -> None:
        """Append one step that fits what the last one yields; of kinds that do not fit another is drawn."""
        names = [kind for kind, weight in kinds for _ in range(weight)]
        before = steps[-1].out
        for _ in range(12):
            strides, count = self.strides, self.count
            step: Step | None = getattr(self, self.rng.choice(names))(before)
            if step is not None and self._fits(step.out):
                steps.append(step)
                return
            self.strides, self.count = strides, count

    def shared(self, before: Shape) -> Step | None:
        """One convolution called two or three times."""
        conv = self.conv(before, out=before)
        settings = {"times": self.rng.randint(2, 3)}
        return Step("shared", self.name("shared"), settings, before, ((conv,),)) if conv else None

    def nested(self, before: Shape) -> Step | None:
        """A model inside the model, called once or twice."""
        steps: list[Step] = [step for step in [self.conv(before)] if step]
        for _ in range(self.rng.randint(0, 2)):
            self.add(steps, _INNER)
        out = steps[-1].out
        settings = {"times": 2 if out == before and self.rng.random() < 0.5 else 1}
        return Step("nested", self.name("nested"), settings, out, (tuple(steps),))

    def residual(self, before: Shape) -> Step | None:
        """A sum or an average of two or three branches of unlike support, at one stride."""
        rng = self.rng
        stride = rng.choice((1, 1, 1, 2)) if min(before[:2]) > 8 else 1
        out = self._strided(before, stride, before[2] if rng.random() < 0.6 else self.channels())
        branches = [self._branch(before, out, stride) for _ in range(rng.choice((1, 1, 2)))]
        skip = () if out == before and rng.random() < 0.8 else self._branch(before, out, stride)
        settings = {
            "how": rng.choice(("add", "add", "add", "average")),
            "activation": rng.choice(("", "relu")),
        }
        self.strides *= stride
        return Step("merge", self.name(settings["how"]), settings, out, (*branches, skip))

    def inception(self, before: Shape) -> Step | None:
        """A concatenation of two or three branches."""
        rng = self.rng
        stride = rng.choice((1, 1, 2)) if min(before[:2]) > 8 else 1
        branches = []
        for _ in range(rng.randint(2, 3)):
            out = self._strided(before, stride, rng.randint(1, 4))
            branches.append(self._branch(before, out, stride))
        if rng.random() < 0.25 and stride == 1:
            branches.append(())
        self.strides *= stride
        n = sum(branch[-1].out[2] if branch else before[2] for branch in branches)
        settings = {"how": "concat", "activation": ""}
        out = self._strided(before, stride, n)
        return Step("merge", self.name("concat"), settings, out, tuple(branches))

    def skip(self, before: Shape) -> Step | None:
        """A skip connection over a way down and up again, as in a U-Net or a pyramid."""
        rng = self.rng
        if min(before[:2]) < 8 or self.strides > 4:
            return None
        factor = rng.choice((2, 2, 3))
        n = before[2] if rng.random() < 0.5 else self.channels()
        small = self._strided(before, factor, n)
        down = [self._down(before, small, factor)]
        if min(small[:2]) >= 8 and factor == 2 and rng.random() < 0.3:
            self.strides *= factor
            down += [step for step in [self.skip(small)] if step]
        elif rng.random() < 0.6:
            down += self._branch(small, small, 1)
        way = (*down, *self._up(down[-1].out, before, factor))
        how = "add" if way[-1].out == before and rng.random() < 0.6 else "concat"
        out = before if how == "add" else (*before[:2], before[2] + way[-1].out[2])
        self.strides *= factor
        settings = {"how": how, "activation": rng.choice(("", "relu"))}
        return Step("merge", self.name(how), settings, out, (way, ()))

    def _down(self, before: Shape, out: Shape, factor: int) -> Step:
        if before[2] == out[2] and self.rng.random() < 0.5:
            settings = {"how": self.rng.choice(("max", "average")), "size": (factor, factor)}
            settings |= {"strides": (factor, factor), "padding": "same"}
            return Step("pool", self.name("pool"), settings, out)
        return self._plain(out, size=(3, 3), strides=(factor, factor))

    def _up(self, small: Shape, out: Shape, factor: int) -> list[Step]:
        """Return steps back to the size of `out`: what is too long after is cut off."""
        rng, grown = self.rng, (small[0] * factor, small[1] * factor, small[2])
        if rng.random() < 0.4:
            size = (rng.choice((factor, factor + 1, 4)),) * 2
            settings = self._plain(grown, size=size, strides=(factor, factor)).settings
            keys = ("filters", "size", "strides", "padding", "bias", "bn", "activation", "fused")
            steps = [Step("transposed", self.name("transposed"), {key: settings[key] for key in keys}, grown)]
        else:
            settings = {"factor": factor, "how": rng.choice(("nearest", "nearest", "bilinear"))}
            steps = [Step("upsample", self.name("upsample"), settings, grown)]
        cut = grown[0] - out[0], grown[1] - out[1]
        if any(cut):
            shape = (*out[:2], small[2])
            steps.append(Step("crop", self.name("crop"), {"by": ((0, cut[0]), (0, cut[1]))}, shape))
        return steps

    def _plain(self, out: Shape, *, size: tuple[int, int], strides: tuple[int, int]) -> Step:
        settings = {
            "filters": out[2], "size": size, "strides": strides, "dilation": (1, 1), "padding": "same",
            "groups": 1, "bias": True, "bn": self.rng.random() < 0.3, "activation": self.activation(),
            "fused": False,
        }  # fmt: skip
        return Step("conv", self.name("conv"), settings, out)

    def _strided(self, before: Shape, stride: int, channels: int) -> Shape:
        return -(-before[0] // stride), -(-before[1] // stride), channels

    def _branch(self, before: Shape, out: Shape, stride: int) -> tuple[Step, ...]:
        """Return a chain from one shape to another: a pool or a convolution, perhaps another after it."""
        rng = self.rng
        size = (rng.choice((1, 2, 3, 3, 5)),) * 2
        if rng.random() < 0.3:
            settings = {"how": rng.choice(("max", "average")), "size": (rng.randint(2, 3),) * 2}
            settings |= {"strides": (stride, stride), "padding": "same"}
            pool = Step("pool", self.name("pool"), settings, (*out[:2], before[2]))
            return (pool, self._plain(out, size=(1, 1), strides=(1, 1)))
        first = self._plain(out, size=size, strides=(stride, stride))
        if rng.random() < 0.5:
            return (first,)
        second = self.conv(out, out=out)
        return (first, second) if second else (first,)


# The kinds of steps with how often each is drawn.
_INNER = (
    ("conv", 4),
    ("pool", 1),
    ("norm", 1),
    ("depthwise", 1),
    ("residual", 2),
    ("inception", 1),
    ("gate", 1),
)
_KINDS = (
    *(("conv", 6), ("grouped", 2), ("depthwise", 2), ("transposed", 2), ("upsample", 1), ("pool", 3)),
    *(("pad", 1), ("crop", 1), ("norm", 3), ("activate", 1), ("dropout", 1), ("gate", 2), ("focus", 3)),
    *(("shuffle", 2), ("attention", 1), ("shared", 2), ("nested", 2), ("residual", 6), ("inception", 3)),
    ("skip", 4),
)
