"""Settings of a feature visualization: variants, presets, sizes. Numbers only; no TensorFlow.

The reference is Lucid's `optvis.render.render_vis`: a Fourier image, random transforms, Adam at 0.05
for 512 steps. `full` is that recipe; the other presets reach nearly the same objective sooner.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from atlas.core.errors import ConfigError, nearest
from atlas.core.neuron import Layer
from atlas.core.records import EffectiveField

VARIANTS = ("neuron", "channel", "neuron-negative", "channel-negative")
PRECISIONS = ("auto", "float32", "bfloat16")
# Linux's names of the instruction sets that include bfloat16.
NATIVE_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16"})

# A smaller image shows nothing; Lucid's transforms at their smallest scale need this size too.
SMALLEST_PX = 48
# Of smaller ones only the middle is shown, down to this size.
SMALLEST_SHOWN_PX = 24
# What is drawn around a picture: the larger jitter of the transforms. Measured: docs/performance.md.
MARGIN_PX = 8
# The sizes of the notebook that the method comes from, for InceptionV1; a config can choose them.
NOTEBOOK_SIZES: Mapping[str, int] = MappingProxyType(
    {
        "mixed3a": 60,
        "mixed3b": 60,
        "mixed4a": 100,
        "mixed4b": 110,
        "mixed4c": 120,
        "mixed4d": 130,
        "mixed4e": 130,
        "mixed5a": 150,
        "mixed5b": 150,
    }
)


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings of the optimization by Adam.

    With `even`, no step counts for more because its transform happens to suit the neuron. `flat` above 0
    needs `beta1` 0, because momentum would keep changing an image that has stopped.
    """

    name: str
    """Name in configs and records: "draft", "standard" or "full"."""
    n_steps: int
    """Number of steps; early stopping may end an image sooner."""
    learning_rate: float
    """Adam's learning rate in the first step."""
    last_rate: float = 1.0
    """Learning rate at the end, relative to the first; a half cosine leads from one to the other."""
    redirect_steps: int = 16
    """Last step, counted from 0, with the redirected ReLU gradient."""
    beta1: float = 0.9
    """Adam's decay of the mean gradient, 0 for no momentum."""
    beta2: float = 0.999
    """Adam's decay of the mean squared gradient."""
    nesterov: bool = False
    """True for Nesterov momentum."""
    even: bool = False
    """True if gradients are scaled to the same size in all steps before Adam."""
    flat: float = 0.0
    """Relative change between windows of steps below which an image stops; 0 for never."""

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        cosine = 0.5 * (1 + math.cos(math.pi * step / max(self.n_steps, 1)))
        return self.learning_rate * (self.last_rate + (1 - self.last_rate) * cosine)


def _swift(name: str, *, n_steps: int, learning_rate: float) -> Preset:
    return Preset(
        name,
        n_steps,
        learning_rate,
        last_rate=0.25,
        beta1=0.0,
        beta2=0.97,
        even=True,
        flat=1e-3,
    )


# Measured on GoogLeNet against 512 steps of Lucid: docs/performance.md.
PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "draft": _swift("draft", n_steps=32, learning_rate=0.1),
        "standard": _swift("standard", n_steps=256, learning_rate=0.08),
        "full": Preset("full", n_steps=512, learning_rate=0.05),
    }
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a feature visualization depends on, besides the network and the neuron.

    The precision "auto" lets a store that one machine made be fresh on another. Raises ConfigError for an
    unknown variant or precision, and for a size below 2 px.
    """

    variant: str = "neuron"
    """One of VARIANTS: the centre position or the whole channel, excited or silenced."""
    preset: Preset = PRESETS["standard"]
    """Number of steps, learning rates and early stopping."""
    size: tuple[int, int] = (60, 60)
    """Picture's (h, w) in pixels."""
    seed: int = 0
    """Seed of the noise and of the transforms."""
    precision: str = "auto"
    """One of PRECISIONS; "auto" is the fastest on the machine that draws."""
    fixed: tuple[tuple[int, float], ...] = ()
    """Bands, numbered from 1, each with the value in [0, 1] that it keeps."""
    margin: tuple[int, int] = (0, 0)
    """(h, w) in pixels that are drawn on each side of the picture, and cut off."""

    def __post_init__(self) -> None:
        """Raise ConfigError for settings that cannot be drawn."""
        _one_of("variant", self.variant, VARIANTS)
        _one_of("precision", self.precision, PRECISIONS)
        if min(self.size) < 2:
            raise ConfigError("the size of a feature visualization", found=self.size, expected="2 px or more")

    @property
    def drawn(self) -> tuple[int, int]:
        """The (h, w) in pixels of the image that is optimized."""
        return self.size[0] + 2 * self.margin[0], self.size[1] + 2 * self.margin[1]

    @property
    def positive(self) -> bool:
        """Whether the neuron is to be excited rather than silenced."""
        return not self.variant.endswith("-negative")

    @property
    def centre_only(self) -> bool:
        """Whether the objective is the centre position alone, not the mean over all positions."""
        return self.variant.startswith("neuron")


def fastest_precision(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return "bfloat16" where the processor multiplies it natively, else "float32".

    Elsewhere bfloat16 is emulated and slower. Measured: docs/performance.md.
    """
    try:
        flags = cpuinfo.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return "float32"
    return "bfloat16" if NATIVE_BFLOAT16 & set(flags) else "float32"


def _one_of(what: str, found: str, allowed: tuple[str, ...]) -> None:
    if found not in allowed:
        raise ConfigError(f"no {what} {found!r}", expected=", ".join(allowed), remedy=nearest(found, allowed))


def picture_size(
    layer: Layer,
    input_shape: tuple[int, int, int],
    field: EffectiveField | None = None,
    override: Mapping[str, int] = MappingProxyType({}),
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the (h, w) in pixels of a layer's feature visualizations, and of the margin drawn around them.

    A picture shows the effective field's inner square, 24 px or more; a margin takes up the jitter, so that
    it is crisp to its edges. Without `field`, a picture is the receptive field, and without a margin, as
    where `override` gives a layer's side by its name. Sides are even and at most the network's input size;
    what is drawn is 48 px or more, if not given. A dense layer takes the input's size.
    """
    if layer.shape is None or layer.receptive_field is None:
        return input_shape[:2], (0, 0)
    least, margin, sides = SMALLEST_PX, 0, layer.receptive_field.size
    if layer.name in override:
        least, sides = 2, (override[layer.name],) * 2
    elif field is not None:
        least, margin, sides = SMALLEST_SHOWN_PX, MARGIN_PX, field.inner
    size, margins = [], []
    for side, full in zip(sides, input_shape[:2], strict=True):
        shown = min(max(side + side % 2, least), full)
        wanted = max(margin, (SMALLEST_PX - shown) // 2) if margin else 0
        size.append(shown)
        margins.append(min(wanted, (full - shown) // 2))
    return (size[0], size[1]), (margins[0], margins[1])
