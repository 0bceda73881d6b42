"""What `data/<layer>_<n>.json` holds, as Structs: what the page of one neuron shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import UNSET, UnsetType

from atlas.site.data.documents import (
    Document,
    DocumentPart,
    EffectiveFieldData,
    LayerKind,
    LayerName,
    Model,
    Name,
    Natural,
    NonNegative,
    PageAddress,
    Precision,
    ReceptiveFieldData,
    Sign,
    about,
    one_of,
)
from atlas.site.data.images_document import DistributionData, ExamplesData, FidelityData, RangeData
from atlas.site.data.weights_document import ConnectionListData, FactorListData, PathList, Similar, Statistics

Spot = Annotated[tuple[str, int], about("A neuron: its layer's name and its number.")]
PictureAddress = Annotated[str, about("The address of the picture.")]
Steps = Annotated[Natural, about("Steps of optimization.", "count")]


class NeuronBranch(DocumentPart, frozen=True):
    """A part of a concatenated layer that is a layer of its own."""

    name: Annotated[str, about("The name of the layer that ends in the branch.")]
    index: Annotated[Natural, about("The neuron's number in it.", "index")]
    n_channels: Annotated[Natural, about("How many neurons the branch has.", "count")]


class PictureData(DocumentPart, frozen=True):
    """A feature visualization."""

    variant: Annotated[
        str, one_of("neuron", "channel", "neuron-negative", "channel-negative"), about("What was optimized.")
    ]
    height_px: Annotated[Natural, about("Height of the picture.", "px")]
    width_px: Annotated[Natural, about("Width of the picture.", "px")]
    n_steps: Steps
    activation: Annotated[float, about("The objective's value on the finished picture.", "activation")]
    precision: Precision
    meaning: Annotated[str, about("The variant in words: what the picture does.")]
    image: PictureAddress


class PictureGrid(DocumentPart, frozen=True):
    """A picture of feature visualizations of directions in the source layer, in a grid, 1 pixel apart."""

    source: LayerName
    n_rows: Annotated[Natural, about("Rows of the grid.", "count")]
    n_columns: Annotated[Natural, about("Columns of the grid.", "count")]
    height_px: Annotated[Natural, about("Height of one picture of the grid.", "px")]
    width_px: Annotated[Natural, about("Width of one picture of the grid.", "px")]
    n_steps: Steps
    cosine_power: Annotated[
        NonNegative,
        about(
            "The power of the cosine in the objective; above 0 keeps neurons outside of the direction quiet.",
            "1",
        ),
    ]
    precision: Precision
    block: Annotated[
        tuple[int, int],
        about("How many positions of the kernel a picture stands for, down and to the right.", "positions"),
    ]
    magnitudes: Annotated[
        Sequence[NonNegative],
        about("The L2 norm of the weights at each position, row by row; empty for factors.", "weight"),
    ]
    image: PictureAddress


class CircuitConnection(DocumentPart, frozen=True):
    """A connection."""

    source: Spot
    target: Spot
    strength: Annotated[NonNegative, about("The L2 norm of its kernel.", "weight")]
    sign: Annotated[Sign, about("The sign of the sum of its kernel.", "sign")]
    relative: Annotated[
        NonNegative,
        about(
            "Its strength over that of the strongest of the target's list, "
            "or the source's where the target has none.",
            "share",
        ),
    ]
    share: Annotated[
        NonNegative | None,
        about(
            "The part of the squared mass of the target's weights that it holds; "
            "null where the target has no list.",
            "share",
        ),
    ]
    followed: Annotated[bool, about("Whether it was followed; else it joins two neurons that are there.")]


class CircuitGraph(DocumentPart, frozen=True):
    """The neuron's circuit: its strongest inputs and outputs, and theirs."""

    rule: Annotated[str, about("What was selected, in words.")]
    columns: Annotated[
        Sequence[Sequence[Spot]],
        about("The neurons, layer by layer, the layer nearest to the image first."),
    ]
    edges: Annotated[Sequence[CircuitConnection], about("The connections between them.")]


class BandPictures(DocumentPart, frozen=True):
    """The bands of an image, each alone."""

    image: Annotated[str, about("Address of the main feature visualization's bands, each in grey, numbered.")]
    n_bands: Annotated[int, about("How many bands an image has.", "count")]
    shown: Annotated[
        Sequence[int],
        about("The bands, from 1, that pictures show as red, green and blue; 0 for none.", "index"),
    ]


class Failure(DocumentPart, frozen=True):
    """One of them."""

    what: Annotated[str, about("What it is, in words.")]
    reason: Annotated[str, about("Why it could not be made.")]


class FamilyLink(DocumentPart, frozen=True):
    """A family."""

    name: Name
    page: PageAddress


class NeuronDocument(Document, frozen=True):
    """What the page of one neuron shows.

    Addresses are those of the site's root, whatever the folder of this file.
    """

    neuron: Annotated[str, about("The neuron's name: its layer's name, a colon, its number.")]
    layer: Annotated[str, about("The layer's name.")]
    layer_slug: Annotated[str, about("The layer's name as it stands in addresses.")]
    layer_kind: Annotated[LayerKind, about("What the layer is.")]
    n_channels: Annotated[Natural, about("How many neurons the layer has.", "count")]
    index: Annotated[Natural, about("The neuron's number in its layer, from 0.", "index")]
    branch: Annotated[
        NeuronBranch | None,
        about("The branch of the layer that holds the neuron; null where there is none."),
    ]
    label: Annotated[str, about("The class that the neuron stands for; empty where it stands for none.")]
    aliases: Annotated[Sequence[str], about("Other names that the neuron answers to.")]
    page: Annotated[str, about("The address of the neuron's page.")]
    npz: Annotated[
        str, about("The address of its arrays; in a packed atlas, where it is once its zip file is unpacked.")
    ]
    atlas: Annotated[
        str,
        about("The address of what holds for the whole atlas: settings, versions, layers, checksums."),
    ]
    model: Model
    receptive_field: Annotated[
        ReceptiveFieldData | None,
        about("What the neuron sees of the image; null where that is not known, or all of it."),
    ]
    effective_field: Annotated[
        EffectiveFieldData | None,
        about("What its layer reacts to, in the middle of that window; null where it is not known."),
    ]
    featurevis: Annotated[Sequence[PictureData], about("The feature visualizations, the main one first.")]
    upstream: Annotated[
        ConnectionListData | None, about("The neurons that it is built from, in the layer before.")
    ]
    downstream: Annotated[
        ConnectionListData | None, about("The neurons that it is used by, in the layer after.")
    ]
    one_hop: Annotated[
        PathList | None, about("The upstream connections, split into positive and negative paths.")
    ]
    two_hops: Annotated[PathList | None, about("The connections from the layer before the upstream one.")]
    factorization: Annotated[FactorListData | None, about("The weights in a few factors.")]
    statistics: Annotated[Statistics | None, about("The weights in numbers.")]
    lookalikes: Annotated[Similar | None, about("Neurons of the layer with similar weights.")]
    factor_pictures: Annotated[
        PictureGrid | None, about("What each factor looks for; null where that was not drawn.")
    ]
    positions: Annotated[
        PictureGrid | None,
        about("What the weights look for, position by position; null where that was not drawn."),
    ]
    examples: Annotated[ExamplesData | None, about("The images that excite it most.")]
    ranges: Annotated[
        Sequence[RangeData] | None,
        about(
            "Images from the whole range of the neuron, a part for each level; null where none were drawn."
        ),
    ]
    distribution: Annotated[
        DistributionData | None, about("Its activations on images; null where they were not counted.")
    ]
    fidelity: Annotated[
        FidelityData | None,
        about("How well the upstream weights predict it on images; null where that was not measured."),
    ]
    circuit: Annotated[CircuitGraph | None, about("The neuron's circuit.")]
    families: Annotated[Sequence[FamilyLink], about("The families that it is a member of.")]
    bands: Annotated[
        BandPictures | UnsetType,
        about("Present where an image has other bands than grey, or red, green and blue."),
    ] = UNSET
    failures: Annotated[
        Sequence[Failure] | UnsetType,
        about("Present where something of the neuron or its layer could not be made: what, and why."),
    ] = UNSET
