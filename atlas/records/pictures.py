"""What is known of pictures: feature visualizations, sheets of directions, dataset examples."""

from __future__ import annotations

from dataclasses import dataclass

from atlas.records.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class FeatureVis:
    """What is known of one feature visualization beside its JPEG.

    `variant` is "neuron", "channel", "neuron-negative" or "channel-negative"; `activation` the
    objective's value on the finished, untransformed image; `precision` that of the convolutions.
    """

    variant: str
    height_px: int
    width_px: int
    n_steps: int
    activation: float
    precision: str = "float32"


@dataclass(frozen=True, slots=True)
class Bands:
    """What is known of a JPEG with each of the `n_bands` of one feature visualization, in grey, numbered.

    `shown` lists the bands, from 1, that the feature visualization itself shows as red, green and blue.
    """

    n_bands: int
    shown: str
    height_px: int
    width_px: int


@dataclass(frozen=True, slots=True)
class DirectionSheet:
    """What is known of a JPEG with pictures of directions of a source layer, laid out in a grid.

    `n_rows` by `n_columns` pictures of `height_px` by `width_px`, 1 px apart. For a neuron's positions
    `block` (h, w) tells how many positions each stands for, and `magnitudes` holds their weights' L2
    norms, row by row; for its factors there is one row, the strongest factor first.
    """

    source: str
    n_rows: int
    n_columns: int
    height_px: int
    width_px: int
    n_steps: int
    cosine_power: float
    precision: str = "float32"
    block: tuple[int, int] = (1, 1)
    magnitudes: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ExampleTable:
    """The images that excite each neuron of a layer most, strongest first.

    `images` are the file names of the folder that were read, sorted; image [n, k] indexes them, -1
    where the folder had fewer than k; activation [n, k]; position [n, k, 2] the (h, w) of the
    strongest position in the layer; box [n, k, 4] the crop (top, left, bottom, right) in pixels of
    the network's input. `skipped` names the files that could not be read.
    """

    layer: str
    images: tuple[str, ...]
    skipped: tuple[str, ...]
    image: Ints
    activation: Floats
    position: Ints
    box: Ints
