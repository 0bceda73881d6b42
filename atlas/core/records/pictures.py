"""What the store records of pictures: feature visualizations, sheets of directions, dataset examples."""

from __future__ import annotations

from dataclasses import dataclass

from atlas.core.records.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class FeatureVis:
    """What the store records of a feature visualization besides its JPEG."""

    variant: str
    """The objective: "neuron", "channel", "neuron-negative" or "channel-negative"."""
    height_px: int
    """Height of the picture."""
    width_px: int
    """Width of the picture."""
    n_steps: int
    """Number of optimization steps."""
    activation: float
    """The objective's value on the finished, untransformed image."""
    precision: str = "float32"
    """Precision of the convolutions."""


@dataclass(frozen=True, slots=True)
class Bands:
    """What the store records of a JPEG that shows each band of a feature visualization in grey, numbered."""

    n_bands: int
    """Number of bands."""
    shown: str
    """The bands, from 1, that the feature visualization shows as red, green and blue, "3,2,1"."""
    height_px: int
    """Height of the JPEG."""
    width_px: int
    """Width of the JPEG."""


@dataclass(frozen=True, slots=True)
class DirectionSheet:
    """What the store records of a JPEG with pictures of a source layer's directions, in a grid, 1 px apart.

    A neuron's positions fill rows and columns; its factors one row, the strongest first.
    """

    source: str
    """The layer whose directions are drawn."""
    n_rows: int
    """Number of rows of pictures."""
    n_columns: int
    """Number of columns of pictures."""
    height_px: int
    """Height of one picture."""
    width_px: int
    """Width of one picture."""
    n_steps: int
    """Number of optimization steps."""
    cosine_power: float
    """Power of the cosine in the objective."""
    precision: str = "float32"
    """Precision of the convolutions."""
    block: tuple[int, int] = (1, 1)
    """How many positions (h, w) each picture stands for."""
    magnitudes: tuple[float, ...] = ()
    """L2 norms of the positions' weights, row by row."""


@dataclass(frozen=True, slots=True)
class RangeTable:
    """Images from the whole range of each neuron of a layer, some of each level; none is an example too."""

    layer: str
    """Name of the layer."""
    images: tuple[str, ...]
    """Names of the files that were read, sorted."""
    levels: tuple[float, ...]
    """Shares of the images with an activation above zero that lie below each row, 0 to 1, falling."""
    n_positive: Ints
    """[n] int32, number of images with an activation above zero."""
    image: Ints
    """[n, level, drawn] int32, indices of `images`, the strongest first; -1 where there are fewer."""
    activation: Floats
    """[n, level, drawn], the largest activation over all positions."""
    position: Ints
    """[n, level, drawn, 2] int32, the (h, w) of that position in the layer."""
    box: Ints
    """[n, level, drawn, 4] int32, the crop (top, left, bottom, right) in pixels of the network's input."""


@dataclass(frozen=True, slots=True)
class ExampleTable:
    """The images that excite each neuron of a layer most, strongest first."""

    layer: str
    """Name of the layer."""
    images: tuple[str, ...]
    """Names of the files that were read, sorted."""
    skipped: tuple[str, ...]
    """Names of the files that could not be read."""
    image: Ints
    """[n, k] int32, indices of `images`, -1 where the folder had fewer than k."""
    activation: Floats
    """[n, k], the largest activation over all positions."""
    position: Ints
    """[n, k, 2] int32, the (h, w) of that position in the layer."""
    box: Ints
    """[n, k, 4] int32, the crop (top, left, bottom, right) in pixels of the network's input."""
