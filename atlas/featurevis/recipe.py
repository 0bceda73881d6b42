"""What to draw and how long to work at it: variants, presets, sizes. Numbers only; no TensorFlow.

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

VARIANTS = ("neuron", "channel", "neuron-negative", "channel-negative")
PRECISIONS = ("auto", "float32", "bfloat16")
# What Linux calls a processor's bfloat16 instructions.
NATIVE_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16"})

# Below this an image shows nothing; Lucid's smallest transforms need as much too.
SMALLEST_PX = 48
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
    """How long and how to optimize.

    `n_steps` steps of Adam at `learning_rate`, falling on a half cosine to `last_rate` times that;
    `redirect_steps` the first steps with the redirected ReLU gradient; `beta1`, `beta2`, `nesterov`
    Adam's; `even` gives the gradients of all steps the same size before Adam sees them, so that no
    step counts for more because its transform happened to suit the neuron; `flat` is the relative change
    of the objective from one window of steps to the next below which an image is done, 0 for never: it
    needs `beta1` 0, or momentum would move the image on.
    """

    name: str
    n_steps: int
    learning_rate: float
    last_rate: float = 1.0
    redirect_steps: int = 16
    beta1: float = 0.9
    beta2: float = 0.999
    nesterov: bool = False
    even: bool = False
    flat: float = 0.0

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, the first being 0."""
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
    """All that a feature visualization depends on, beside the network and the neuron.

    `size` is the image's (h, w) in pixels; `precision` "auto" is what the machine that draws is fastest
    in, so that a store made on one machine is fresh on another; `fixed` are bands, numbered from 1, with the
    value in [0, 1] that they keep. Raises ConfigError for an unknown variant
    or precision.
    """

    variant: str = "neuron"
    preset: Preset = PRESETS["standard"]
    size: tuple[int, int] = (60, 60)
    seed: int = 0
    precision: str = "auto"
    fixed: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        _one_of("variant", self.variant, VARIANTS)
        _one_of("precision", self.precision, PRECISIONS)
        if min(self.size) < 2:
            raise ConfigError("the size of a feature visualization", found=self.size, expected="2 px or more")

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


def image_size(
    layer: Layer, input_shape: tuple[int, int, int], override: Mapping[str, int] = MappingProxyType({})
) -> tuple[int, int]:
    """Return the (h, w) in pixels of a layer's feature visualizations.

    The receptive field, made even, between 48 px and the network's input size, each axis by itself.
    `override` maps a layer's name to its side, bounded by the input size as well. A dense layer takes
    the input's size.
    """
    if layer.shape is None or layer.receptive_field is None:
        return input_shape[:2]
    sides = (override[layer.name],) * 2 if layer.name in override else layer.receptive_field.size
    least = 2 if layer.name in override else SMALLEST_PX
    h, w = (min(max(side + side % 2, least), full) for side, full in zip(sides, input_shape[:2], strict=True))
    return h, w
