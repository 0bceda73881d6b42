"""What `data/atlas.json` and `data/family_<family>.json` hold, as Structs (atlas.site.data.documents)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from msgspec import Meta

from atlas.site.data.documents import (
    CarrierName,
    Document,
    DocumentPart,
    LayerKind,
    Model,
    Name,
    Natural,
    NonNegative,
    PageAddress,
    ReceptiveFieldData,
    Sha256,
    about,
    one_of,
)

Slug = Annotated[str, about("The name as it stands in addresses.")]
DataAddress = Annotated[
    str, about("The address of its data; in a packed atlas, where it is once its zip file is unpacked.")
]
FamilyLayer = Annotated[str, about("The layer that its members are of.")]
Members = Annotated[Sequence[Natural], about("Its members' numbers.", "index")]
Proposed = Annotated[bool, about("Whether the program proposed it; else a person named it.")]
Score = Annotated[
    float | None,
    about(
        "How well a proposal's members match each other when turned, 0 to 1; null where a person named it.",
        "1",
    ),
]


class ImagePreprocessing(DocumentPart, frozen=True):
    """How a photograph becomes the network's input; one of the input's size is not resized."""

    interpolation: Annotated[str, about("The filter of the resizing, by Pillow's name.")]
    crop: Annotated[
        float | None,
        about(
            "The share of the shorter side that remains after cropping around the centre; "
            "null where photographs are resized to cover the input.",
            "share",
        ),
    ]
    squash: Annotated[bool, about("Whether both sides are resized, whatever their ratio.")]
    value_range: Annotated[
        tuple[float, float], about("Black and white before mean and std are applied.", "value")
    ]
    mean: Annotated[
        Sequence[float],
        about("What is subtracted from each channel; one number for all, none for nothing.", "value"),
    ]
    std: Annotated[Sequence[float], about("What the difference is divided by, likewise.", "value")]
    channels: Annotated[
        str, one_of("rgb", "bgr", ""), about("The order of the channels; empty for other than three.")
    ]


class NetworkModel(DocumentPart, frozen=True):
    """The network that the atlas is made of."""

    name: Name
    sha256: Sha256
    input_shape: Annotated[
        tuple[int, int, int], about("Height, width and channels of the image that it takes.", "px")
    ]
    value_range: Annotated[tuple[float, float], about("What it expects for black and for white.", "value")]
    labels: Annotated[
        Sequence[str], about("The names of its classes, in order; empty where they are not known.")
    ]
    edges: Annotated[
        Sequence[tuple[str, str]], about("The direct ways between layers of the trunk, [from, to].")
    ]
    preprocessing: Annotated[
        ImagePreprocessing | None,
        about("How photographs become its input; null where an older version made the store."),
    ]


class AtlasLayer(DocumentPart, frozen=True):
    """A layer of the atlas."""

    name: Name
    slug: Slug
    page: PageAddress
    csv: Annotated[
        str | None, about("The address of the table of its neurons' statistics; null where none were made.")
    ]
    upstream: Annotated[
        str | None, about('The layer that its neurons are built from; "input" is the image itself.')
    ]
    downstream: Annotated[str | None, about("The layer that its neurons are used by.")]
    featurevis: Annotated[
        Sequence[str],
        about("The variants of feature visualization that there are, the main one first."),
    ]
    neurons: Annotated[Sequence[Natural], about("The numbers of the neurons that have pages.", "index")]
    positions: Annotated[
        Sequence[Natural], about("The neurons whose weights are drawn position by position.", "index")
    ]
    factor_pictures: Annotated[Sequence[Natural], about("The neurons whose factors are drawn.", "index")]


class AtlasFamily(DocumentPart, frozen=True):
    """A family."""

    name: Name
    slug: Slug
    page: PageAddress
    json: DataAddress
    layer: FamilyLayer
    neurons: Members
    proposed: Proposed
    score: Score


class LayerBranch(DocumentPart, frozen=True):
    """A branch."""

    name: Annotated[str, about("The name of the layer that ends in it.")]
    first: Annotated[Natural, about("The number of its first neuron in the whole layer.", "index")]
    n_channels: Annotated[Natural, about("How many neurons it has.", "count")]


class NetworkLayer(DocumentPart, frozen=True):
    """A layer of the network, with pages or without."""

    name: Name
    slug: Slug
    kind: Annotated[LayerKind, about("What it is.")]
    tensor: Annotated[str, about("Its tensor in the graph.")]
    n_channels: Annotated[Natural, about("How many neurons it has.", "count")]
    shape: Annotated[
        tuple[int, int] | None,
        about(
            "Height and width in positions at the network's own input size; null for a dense layer.",
            "positions",
        ),
    ]
    receptive_field: Annotated[
        ReceptiveFieldData | None,
        about("What one position sees of the image; null where that is not known, or all of it."),
    ]
    trunk: Annotated[bool, about("Whether every way from the image to the output passes through it.")]
    branches: Annotated[Sequence[LayerBranch], about("The layers that it is a concatenation of.")]


class Contents(DocumentPart, frozen=True):
    """All other files of the site."""

    checksums: Annotated[
        str, about("The address of the list of their SHA-256s, for sha256sum -c in the site's root.")
    ]
    sha256: Annotated[
        str, Meta(pattern="^[0-9a-f]{64}$"), about("The SHA-256 of that list without the line of this file.")
    ]
    n_files: Annotated[Natural, about("How many files there are, this one and the list left out.", "count")]
    n_bytes: Annotated[Natural, about("How large they are together.", "bytes")]


class AtlasDocument(Document, frozen=True):
    """What is in the atlas, where, and how it was made. Addresses are those of the site's root."""

    title: Annotated[str, about("The atlas's title.")]
    model: NetworkModel
    addresses: Annotated[
        Mapping[str, str],
        about(
            "How addresses are made: {layer} and {family} are slugs, {n} a neuron's number, "
            "{variant} one of a layer's featurevis. In a packed atlas data lies in zip files of 64 neurons: "
            "{first} is {n} less its remainder by 64, {last} the last number of the 64 that the layer has."
        ),
    ]
    images: Annotated[
        str,
        about(
            "The address of the folder that holds images/, on another host; empty where it is the site's own."
        ),
    ]
    schemas: Annotated[Mapping[str, str], about("The addresses of the JSON Schemas of the data files.")]
    readme: Annotated[str, about("The address of a text that explains the data files.")]
    layers: Annotated[Sequence[AtlasLayer], about("The layers of the atlas, from the image on.")]
    families: Annotated[Sequence[AtlasFamily], about("The families, those that a person named first.")]
    network: Annotated[Sequence[NetworkLayer], about("All layers of the network, from the image on.")]
    settings: Annotated[Mapping[str, str], about("The settings that the atlas was made with.")]
    versions: Annotated[Mapping[str, str], about("The versions of the programs that it was made with.")]
    notes: Annotated[Sequence[str], about("What was left out, and why.")]
    files: Contents


class Turn(DocumentPart, frozen=True):
    """A member."""

    neuron: Annotated[Natural, about("Its number.", "index")]
    angle: Annotated[float, about("How far it is turned, counter-clockwise.", "degrees")]
    flipped: Annotated[bool, about("Whether it is reflected left to right, before it is turned.")]
    agreement: Annotated[float, about("How well it matches the other members, on the mean.", "cosine")]
    matched: Annotated[
        Sequence[int],
        about("The source neurons that play the same part in each member, in step.", "index"),
    ]


class FamilyDocument(Document, frozen=True):
    """Neurons of one layer taken together, and the factors of their weights.

    Addresses are those of the site's root.
    """

    name: Name
    slug: Slug
    page: PageAddress
    json: DataAddress
    layer: FamilyLayer
    neurons: Members
    proposed: Proposed
    score: Score
    model: Model
    source: Annotated[str, about('The layer that the weights come from; "input" is the image itself.')]
    carrier: CarrierName
    note: Annotated[str, about("What the person who named it says of it; empty where there is nothing.")]
    turns: Annotated[
        Sequence[Turn],
        about(
            "How a proposal's members stand to the first one, in the order of the members; "
            "empty where a person named it."
        ),
    ]
    error: Annotated[
        NonNegative,
        about("What the factors leave out: relative L2 error, 0 exact, 1 nothing explained.", "share"),
    ]
    remark: Annotated[str, about("A sentence where the case is degenerate, else empty.")]
    factor_pictures: Annotated[
        str | None,
        about(
            "The address of the picture of what the factors look for, side by side; "
            "null where that was not drawn."
        ),
    ]
    source_name: Annotated[Sequence[str], about("The names of all source neurons, in order.")]
    strength: Annotated[
        Sequence[NonNegative],
        about("The L2 norm of each factor's map times loadings, the strongest first.", "weight"),
    ]
    loadings: Annotated[
        Sequence[Sequence[NonNegative]],
        about("[factor][source neuron], never negative; each factor's have the L2 norm 1.", "1"),
    ]
    maps: Annotated[
        Sequence[Sequence[Sequence[Sequence[float]]]],
        about("[member][height][width][factor], signed.", "weight"),
    ]
