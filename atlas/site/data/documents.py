"""The parts of the site's data files: msgspec Structs that describe each property and give its unit.

The Structs are the only description of the files. The JSON Schemas in the site, the units that every file
repeats and the tables in docs/data.md are made from them, in `atlas.site.data.schemas`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from atlas.core.neuron import Layer
from atlas.core.records import EffectiveField


def about(description: str, unit: str = "") -> Meta:
    """Return the annotation of a property: its description, and the unit of its numbers ("" for none)."""
    return Meta(description=description, extra_json_schema={"unit": unit} if unit else None)


def one_of(*values: str | int) -> Meta:
    """Return the annotation of a type that allows only these values."""
    return Meta(extra_json_schema={"enum": values})


Natural = Annotated[int, Meta(ge=0)]
NonNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Sign = Annotated[int, one_of(-1, 0, 1)]
LayerKind = Annotated[str, one_of("conv", "concat", "add", "dense", "input")]
Precision = Annotated[
    str,
    one_of("float32", "bfloat16"),
    about("The number format that the convolutions were computed in."),
]
Name = Annotated[str, about("Its name.")]
PageAddress = Annotated[str, about("The address of its page.")]
LayerName = Annotated[str, about('A layer\'s name; "input" is the image itself.')]
CarrierName = Annotated[str, about("The tensor of the graph that the weights are taken from.")]
Sha256 = Annotated[
    str,
    Meta(pattern="^[0-9a-f]+$"),
    about("The SHA-256 of its files' bytes, in hexadecimal digits."),
]


class DocumentPart(Struct, frozen=True, forbid_unknown_fields=True):
    """An object in a data file; a property that is UNSET is left out of the file."""


class Document(DocumentPart, frozen=True):
    """A data file: every one begins with these properties."""

    schema: Annotated[str, about("The address of this file's JSON Schema, from this file's folder.")] = field(
        name="$schema"
    )
    units: Annotated[
        Mapping[str, str],
        about(
            "The unit of every number below that has one, by the path of the property that holds it. "
            "Counts, indices and signs have none. data/README.txt says what each unit is."
        ),
    ]


class Model(DocumentPart, frozen=True):
    """The network that the atlas is made of."""

    name: Name
    sha256: Sha256


class ReceptiveFieldData(DocumentPart, frozen=True):
    """The window of input pixels that one position of a layer sees.

    Position i of an axis sees the pixels from offset + i * stride on, size of them.
    """

    size: Annotated[tuple[int, int], about("Height and width of the window.", "px")]
    stride: Annotated[
        tuple[float, float],
        about(
            "How far the window moves from one position to the next, down and to the right; "
            "a fraction after upsampling.",
            "px",
        ),
    ]
    offset: Annotated[
        tuple[float, float],
        about("Top and left edge of position 0's window; negative where padding is seen.", "px"),
    ]
    gated: Annotated[
        bool | UnsetType,
        about(
            "Present, and true, where a factor or summand taken from the whole image acts on the layer too."
        ),
    ] = UNSET


class EffectiveFieldData(DocumentPart, frozen=True):
    """The part of the receptive field that the layer's middle position reacts to, by its gradient on images.

    Both squares are around the middle of the receptive field. The energy of a pixel is its squared gradient.
    """

    inner: Annotated[tuple[int, int], about("Height and width of the square with 95 % of the energy.", "px")]
    outer: Annotated[
        tuple[int, int] | None,
        about("Height and width of the square with 99 % of the energy; null where no square has it.", "px"),
    ]
    images: Annotated[str, about("The images that it was measured on, in words.")]


def effective_field(field: EffectiveField | None) -> EffectiveFieldData | None:
    """Return a layer's effective field; None where it is unknown."""
    if field is None or not field.is_known:
        return None
    return EffectiveFieldData(field.inner, field.outer if field.has_outer else None, field.what)


def receptive_field(layer: Layer) -> ReceptiveFieldData | None:
    """Return a layer's receptive field; None where it is unknown, or the whole image."""
    window = layer.receptive_field
    if window is None:
        return None
    return ReceptiveFieldData(window.size, window.stride, window.offset, window.gated or UNSET)
