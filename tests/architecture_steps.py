"""Draws single steps: a layer with its activation, a pool, a norm, a gate, and how far sizes may go."""

from __future__ import annotations

from typing import Any

from architectures import Shape, Step, slid

MOST_CHANNELS, LONGEST, SHORTEST = 10, 64, 3
# How many pixels lie between two positions at most, all steps before together.
MOST_STRIDE = 16
ACTIVATIONS = (
    "relu", "relu", "relu", "relu6", "leaky", "prelu", "elu", "selu", "softsign", "swish", "gelu",
    "gelu_tanh", "hard_sigmoid", "hard_swish", "mish", "threshold", "capped", "sloped", "tanh", "sigmoid",
    "softplus", "",
)  # fmt: skip


class Steps:
    """Draws steps, gives them names, and keeps to sizes that stay small."""

    def __init__(self, rng: Any) -> None:
        self.rng = rng
        self.count = 0
        self.strides = 1

    def name(self, kind: str) -> str:
        """Return a name that no other step has."""
        self.count += 1
        return f"{kind}{self.count}"

    def _fits(self, out: Shape) -> bool:
        sizes = min(out[:2]) >= SHORTEST and max(out[:2]) <= LONGEST
        return sizes and out[2] <= 2 * MOST_CHANNELS and self.strides <= MOST_STRIDE

    def channels(self) -> int:
        """Return a number of channels."""
        return int(self.rng.randint(2, MOST_CHANNELS - 2))

    def activation(self) -> str:
        """Return the name of an activation, none among them."""
        return str(self.rng.choice(ACTIVATIONS))

    def conv(self, before: Shape, *, out: Shape | None = None, groups: int = 1) -> Step | None:
        """A convolution with whatever it may have; with `out`, one of stride 1 that yields that shape."""
        rng = self.rng
        size = rng.randint(1, 5), rng.randint(1, 5)
        if rng.random() < 0.6:
            size = size[0], size[0]
        strides = dilation = (1, 1)
        padding = "same" if out or rng.random() < 0.6 else "valid"
        if out is None and rng.random() < 0.3 and min(before[:2]) > 8:
            strides = (rng.randint(2, 3),) * 2 if rng.random() < 0.85 else (2, 1)
        elif rng.random() < 0.2:
            dilation = (rng.randint(2, 4),) * 2 if rng.random() < 0.8 else (1, 2)
        filters = out[2] if out else self.channels() * (1 if groups == 1 else groups)
        self.strides *= max(strides)
        settings = {
            "filters": filters, "size": size, "strides": strides, "dilation": dilation, "padding": padding,
            "groups": groups, "bias": rng.random() < 0.8, "bn": rng.random() < 0.3,
            "activation": self.activation(), "fused": rng.random() < 0.4,
        }  # fmt: skip
        after = slid(before, size, strides, dilation, padding)
        return Step("conv", self.name("conv"), settings, (*after, filters))

    def grouped(self, before: Shape) -> Step | None:
        """A convolution in groups, where the channels can be shared out."""
        groups = [n for n in (2, 3, 4) if before[2] % n == 0]
        return self.conv(before, groups=self.rng.choice(groups)) if groups else None

    def depthwise(self, before: Shape) -> Step | None:
        """A depthwise or a separable convolution."""
        rng = self.rng
        kind, size = rng.choice(("depthwise", "separable")), (rng.randint(1, 5), rng.randint(1, 5))
        strides = (rng.choice((1, 1, 2, 3)),) * 2
        dilation = (rng.randint(1, 2),) * 2 if strides == (1, 1) else (1, 1)
        padding, multiplier = rng.choice(("same", "valid")), rng.choice((1, 1, 2))
        self.strides *= strides[0]
        filters = before[2] * multiplier if kind == "depthwise" else self.channels()
        settings = {
            "filters": filters, "size": size, "strides": strides, "dilation": dilation, "padding": padding,
            "multiplier": multiplier, "bias": True, "bn": rng.random() < 0.3, "activation": self.activation(),
            "fused": False,
        }  # fmt: skip
        return Step(
            kind, self.name(kind), settings, (*slid(before, size, strides, dilation, padding), filters)
        )

    def transposed(self, before: Shape) -> Step | None:
        """A transposed convolution."""
        rng = self.rng
        size, stride = (rng.randint(2, 5), rng.randint(2, 5)), rng.choice((1, 2, 2, 3))
        padding, filters = rng.choice(("same", "valid")), self.channels()
        self.strides *= stride
        settings = {
            "filters": filters, "size": size, "strides": (stride, stride), "padding": padding, "bias": True,
            "bn": False, "activation": self.activation(), "fused": rng.random() < 0.4,
        }  # fmt: skip
        grown = [
            n * stride + (0 if padding == "same" else max(k - stride, 0))
            for n, k in zip(before[:2], size, strict=True)
        ]
        return Step("transposed", self.name("transposed"), settings, (grown[0], grown[1], filters))

    def upsample(self, before: Shape) -> Step | None:
        """Upsampling by a whole factor."""
        factor, how = self.rng.choice((2, 2, 3)), self.rng.choice(("nearest", "bilinear"))
        self.strides *= factor
        out = before[0] * factor, before[1] * factor, before[2]
        return Step("upsample", self.name("upsample"), {"factor": factor, "how": how}, out)

    def pool(self, before: Shape) -> Step | None:
        """A pool of any size and stride."""
        rng = self.rng
        size, stride = (rng.randint(2, 4), rng.randint(2, 3)), rng.choice((1, 2, 2, 3))
        kind, padding = rng.choice(("max", "average")), rng.choice(("same", "valid"))
        self.strides *= stride
        settings = {"how": kind, "size": size, "strides": (stride, stride), "padding": padding}
        after = slid(before, size, (stride, stride), (1, 1), padding)
        return Step("pool", self.name("pool"), settings, (*after, before[2]))

    def pad(self, before: Shape) -> Step | None:
        """Padding by zeros, unlike on each side."""
        top, bottom, left, right = (self.rng.randint(0, 3) for _ in range(4))
        out = before[0] + top + bottom, before[1] + left + right, before[2]
        return Step("pad", self.name("pad"), {"by": ((top, bottom), (left, right))}, out)

    def crop(self, before: Shape) -> Step | None:
        """A cut-out, unlike on each side."""
        top, bottom, left, right = (self.rng.randint(0, 2) for _ in range(4))
        out = before[0] - top - bottom, before[1] - left - right, before[2]
        return Step("crop", self.name("crop"), {"by": ((top, bottom), (left, right))}, out)

    def norm(self, before: Shape) -> Step | None:
        """A norm of any kind."""
        kinds = ["batch", "batch", "layer", "instance", "unit"] + ["group"] * (before[2] % 2 == 0)
        settings = {"how": self.rng.choice(kinds), "groups": 2}
        return Step("norm", self.name("norm"), settings, before)

    def activate(self, before: Shape) -> Step | None:
        """An activation as a layer of its own."""
        return Step("activate", self.name("activate"), {"activation": self.activation() or "relu"}, before)

    def dropout(self, before: Shape) -> Step | None:
        """Dropout, which does nothing after training."""
        return Step("dropout", self.name("dropout"), {}, before)

    def gate(self, before: Shape) -> Step | None:
        """A factor for each channel, for each position, or both."""
        how = self.rng.choice(("channels", "channels", "positions", "both"))
        squash = self.rng.choice(("sigmoid", "hard_sigmoid"))
        return Step("gate", self.name("gate"), {"how": how, "squash": squash}, before)

    def focus(self, before: Shape) -> Step | None:
        """Space to depth by slices, as detectors do, or by reshapes."""
        if before[2] > 4 or before[0] % 2 or before[1] % 2:
            return None
        self.strides *= 2
        settings = {"factor": 2, "how": self.rng.choice(("slices", "reshape"))}
        return Step("focus", self.name("focus"), settings, (before[0] // 2, before[1] // 2, before[2] * 4))

    def shuffle(self, before: Shape) -> Step | None:
        """A shuffle of channels, by reshapes and a transposition."""
        groups = [n for n in (2, 3) if before[2] % n == 0 and before[2] > n]
        if not groups:
            return None
        return Step("shuffle", self.name("shuffle"), {"groups": self.rng.choice(groups)}, before)

    def attention(self, before: Shape) -> Step | None:
        """Attention over positions, on what a few positions are left of."""
        if before[0] * before[1] > 120:
            return None
        return Step("attention", self.name("attention"), {"heads": 2, "width": 3}, before)
