"""What the data file of a neuron holds of what it does on images, as Structs (atlas.site.data.documents)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from atlas.site.data.documents import CarrierName, DocumentPart, LayerName, Natural, NonNegative, Share, about

# Rounding takes a correlation, and R², a little over 1.
Correlation = Annotated[float, Meta(ge=-1.0001, le=1.0001)]
SquaredR = Annotated[float, Meta(le=1.0001)]
SignedShare = Annotated[float, Meta(ge=-1.0001, le=1.0001)]


class DistributionData(DocumentPart, frozen=True):
    """How the neuron's activations are distributed over the images that examples were chosen from."""

    n_images: Annotated[Natural, about("How many images there were.", "count")]
    n_values: Annotated[
        Natural, about("How many positions were looked at, over all images; of large maps a part.", "count")
    ]
    zero: Annotated[Share, about("Positions at which it is exactly zero.", "share")]
    positive: Annotated[Share, about("Positions at which it is above zero: its density.", "share")]
    firing: Annotated[Share, about("Images in which it is above zero somewhere.", "share")]
    mean: Annotated[float, about("Mean over all positions.", "activation")]
    deviation: Annotated[NonNegative, about("Standard deviation over all positions.", "activation")]
    largest: Annotated[float, about("The largest of all positions of all images.", "activation")]
    levels: Annotated[Sequence[Share], about("The levels of the quantiles.", "share")]
    quantile: Annotated[
        Sequence[float],
        about("Quantiles over all positions, one for each level, right to 3 %.", "activation"),
    ]
    image_quantile: Annotated[
        Sequence[float], about("The same of the largest activation of each image.", "activation")
    ]
    edges: Annotated[
        Sequence[float],
        about("The limits of the bins, one more than there are bins: four bins a doubling.", "activation"),
    ]
    counts: Annotated[Sequence[Natural], about("Positions in each bin.", "count")]
    image_counts: Annotated[
        Sequence[Natural], about("Images whose largest activation is in each bin.", "count")
    ]


class ChosenImages(DocumentPart, frozen=True):
    """Images of the folder that examples are chosen from, the strongest first. Lists run in step."""

    image: Annotated[Sequence[str], about("The images' files, from the folder.")]
    label: Annotated[Sequence[str], about("What they show, as their names tell.")]
    activation: Annotated[Sequence[float], about("The neuron's largest activation on each.", "activation")]
    position: Annotated[
        Sequence[tuple[int, int]], about("Where in the layer it is, [row, column].", "positions")
    ]
    box: Annotated[
        Sequence[tuple[int, int, int, int]],
        about("What the neuron sees there, [top, left, bottom, right] in the network's input.", "px"),
    ]


class ExamplesData(ChosenImages, frozen=True):
    """The images of a folder that excite the neuron most, the strongest first. Lists run in step."""

    strip: Annotated[
        str | None,
        about(
            "The address of the picture of all of them side by side, 96 pixels each, and those of the range "
            "below, 64 pixels each; null where it was not made, or its page holds it."
        ),
    ]
    n_images: Annotated[Natural, about("How many images were looked through.", "count")]
    skipped: Annotated[Sequence[str], about("Files of the folder that could not be read.")]


class RangeData(ChosenImages, frozen=True):
    """Images of one level of the neuron's range, drawn at random, the strongest first. Lists run in step."""

    level: Annotated[
        Share, about("Share of the images with an activation above zero that lie below.", "share")
    ]


class FidelityData(DocumentPart, frozen=True):
    """How well the weights from the layer before predict the neuron on images.

    A prediction is the sum of weights times activations over the window, plus a constant. Lists about
    predictions run in step with `kept`, those about inputs with `index` of `upstream`.
    """

    source: LayerName
    carrier: CarrierName
    what: Annotated[str, about("Which positions were looked at, in words.")]
    n_images: Annotated[Natural, about("How many images were looked at.", "count")]
    n_samples: Annotated[Natural, about("How many positions were looked at, over all images.", "count")]
    kept: Annotated[
        Sequence[Natural],
        about("How many of the strongest inputs each prediction uses; the last is all of them.", "count"),
    ]
    r2: Annotated[
        Sequence[SquaredR | None],
        about("R² for the value before the activation function; null where it is constant.", "1"),
    ]
    correlation: Annotated[
        Sequence[Correlation | None],
        about(
            "Correlation with that value; its square is the share of variance that pages show. "
            "Null where either is constant.",
            "1",
        ),
    ]
    r2_after: Annotated[Sequence[SquaredR | None], about("R² for the activation itself.", "1")]
    correlation_after: Annotated[
        Sequence[Correlation | None], about("Correlation with the activation itself.", "1")
    ]
    n_firing: Annotated[
        Natural, about("Positions, of those looked at, at which the neuron is above zero.", "count")
    ]
    contribution: Annotated[
        Sequence[float],
        about(
            "What each listed input adds there, its weights times its activations, on average.", "activation"
        ),
    ]
    share: Annotated[
        Sequence[SignedShare],
        about(
            "The input's part of the absolute products of weights and activations of all inputs there, "
            "with the sign of its contribution.",
            "share",
        ),
    ]
