"""ModelConfig: the settings that say how a model is read, and what all tables of settings share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from atlas.core.preprocessing import Interpolation

Count = Annotated[int, msgspec.Meta(ge=1, le=100_000)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of settings: frozen; unknown keys and wrong types are errors."""


class ModelConfig(Section, frozen=True):
    """How to read a model that does not say so itself; empty means: as the model says.

    Written as the table `[model]`, with `source` for the model, or as `[model_options]`. `preprocess`, or
    `mean`, `std` and `channels`, say what images need before the graph. Photographs are resized with the
    filter `interpolation`; after cropping, the share `crop` of the shorter side remains. Of several inputs
    `input` takes the images; `inputs` holds the others, else zero. `bands`, from 1, are shown as red, green,
    blue. `custom_objects`, "module:name", and, with `unsafe`, Lambda layers are run. `weights` is a file.
    """

    input: str = ""
    value_range: tuple[float, float] | None = None
    input_shape: tuple[Count, Count, Count] | None = None
    labels: str = ""
    name: str = ""
    preprocess: Literal["tf", "torch", "caffe", "none"] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: Literal["rgb", "bgr"] = "rgb"
    inputs: dict[str, Any] = {}
    signature: str = ""
    bands: tuple[Count, ...] = ()
    custom_objects: tuple[str, ...] = ()
    unsafe: bool = False
    weights: str = ""
    interpolation: Interpolation | None = None
    crop: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None

    def __post_init__(self) -> None:
        """Refuse two kinds of preprocessing at once, and bands that are not three."""
        if self.preprocess and (self.mean or self.std or self.channels != "rgb"):
            raise ValueError(f"preprocess {self.preprocess!r} leaves no room for mean, std or channels")
        if self.bands and len(self.bands) != 3:
            raise ValueError(f"bands are three, those shown as red, green and blue, not {len(self.bands)}")
