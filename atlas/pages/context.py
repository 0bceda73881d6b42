"""What the templates show: plain frozen records of texts, addresses and whole numbers, no HTML.

Gather, then render: the *_context modules fill these from the store, atlas.pages.render writes them
out. An empty string stands for what there is not, so that a template needs no more than an `if`.
What a page has a hundred of is a NamedTuple: they are made in a third of the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from atlas.pages.heatmaps import Sheet

if TYPE_CHECKING:
    from atlas.pages.circuit_context import CircuitFigure
    from atlas.pages.citation import Citation
    from atlas.pages.coverage_context import CoverageCurve
    from atlas.pages.direction_context import FactorStrip, PositionGrid
    from atlas.pages.factor_context import Comparison
    from atlas.pages.key_numbers import KeyNumber
    from atlas.pages.path_context import SignedPaths
    from atlas.pages.statistics_context import Lookalikes, Numbers


@dataclass(frozen=True, slots=True)
class Chrome:
    """What every page has: names of the atlas and the model, addresses of assets and of all layers.

    `described` is the title with what the atlas is of, `example` a neuron as one would type it, `families`
    the address of their list, `method` that of the page that says how the numbers were made; `url` that of
    the site's folder on the web, "" where nobody knows it.
    """

    title: str
    described: str
    model: str
    model_sha256: str
    assets: Mapping[str, str]
    layers: tuple[Link, ...]
    example: str
    method: str
    settings: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    families: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A name with the address of its page, "" where it has none."""

    name: str
    href: str


class Icon(NamedTuple):
    """A neuron, a class or a colour of the image as seen from elsewhere.

    `name` is its full name, `group` its layer's and `short` the rest; `image` the address of its
    feature visualization; `swatch` a colour's name where it is a channel of the image.
    """

    name: str
    group: str
    short: str
    href: str
    image: str
    swatch: str = ""


class Cell(NamedTuple):
    """One connection.

    `anchor` is the id that links lead to; `style` sets two variables of the style sheet, --r: its row
    in the sheet of kernels, and --b: its strength in percent of the strongest; `sign` is a class of it,
    "p", "n" or "z". `cancels` tells how much of what flows cancels; `misleads` where that is so much
    that the kernel is no guide. `label` says what the picture of the kernel shows.
    """

    icon: Icon
    anchor: str
    style: str
    sign: str
    strength: str
    cancels: str = ""
    misleads: bool = False
    label: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionList:
    """The shown connections of a neuron in one direction, with legend and selection rule.

    `wordy` where the other side is told by words, as classes are. `facts` is what a script reads the
    sheet by: rows, columns, weights a side of a square, shades and peak; `masses` are the positive and
    then the negative masses of the cells, to sort by.
    """

    direction: str
    other: Link
    rule: str
    remarks: tuple[str, ...]
    size: str
    peak: str
    sheet: Sheet
    wordy: bool
    cells: tuple[Cell, ...]
    facts: str
    masses: str
    curve: CoverageCurve | None


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of a factor's equation."""

    icon: Icon
    loading: str


@dataclass(frozen=True, slots=True)
class FactorRow:
    """One factor: its signed map, its hue in the tile of all maps, and its strongest source neurons.

    `cut` is the style that shows its picture out of the strip of all.
    """

    number: int
    sign: str
    verb: str
    map: str
    hue: str
    strength: str
    terms: tuple[Term, ...]
    has_more: bool
    cut: str


@dataclass(frozen=True, slots=True)
class Factors:
    """The factorization of a neuron's weights; `width_px` and `height_px` size its pictures."""

    source: Link
    tile: str
    rows: tuple[FactorRow, ...]
    error: str
    note: str
    width_px: int
    height_px: int
    strip: FactorStrip | None
    comparison: Comparison | None


@dataclass(frozen=True, slots=True)
class Example:
    """One tile of the strip of dataset examples."""

    offset_px: int
    label: str
    file: str
    activation: str


@dataclass(frozen=True, slots=True)
class Examples:
    """The dataset examples of a neuron."""

    strip: str
    tiles: tuple[Example, ...]
    n_images: int
    skipped: str


@dataclass(frozen=True, slots=True)
class Picture:
    """One feature visualization with what is known of it."""

    variant: str
    meaning: str
    src: str
    width_px: int
    height_px: int
    facts: str


@dataclass(frozen=True, slots=True)
class NeuronPage:
    """Everything on a neuron's page.

    `undrawn` says why there is no main feature visualization, where it could not be drawn; `failures` hold
    all else that could not be made, each with the reason.
    """

    name: str
    slug: str
    href: str
    index: int
    layer: Link
    kind: str
    n_channels: int
    branch: str
    label: str
    receptive_field: str
    previous: Link | None
    next: Link | None
    aliases: tuple[str, ...]
    main: Picture | None
    variants: tuple[Picture, ...]
    colour_filter: str
    examples: Examples | None
    circuit: CircuitFigure | None
    upstream: ConnectionList | None
    positions: PositionGrid | None
    factors: Factors | None
    downstream: ConnectionList | None
    numbers: Numbers | None
    lookalikes: Lookalikes | None
    paths: SignedPaths | None
    json: str
    npz: str
    citation: Citation
    description: str
    families: tuple[Link, ...] = ()
    embed: str = ""
    chip: str = ""
    key_numbers: tuple[KeyNumber, ...] = ()
    bands: Picture | None = None
    undrawn: str = ""
    failures: tuple[tuple[str, str], ...] = ()
