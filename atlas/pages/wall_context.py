"""What the templates show of many neurons at once: the home page and the pages of layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atlas.pages.citation import Citation
from atlas.pages.context import Icon, Link

if TYPE_CHECKING:
    from atlas.pages.sheet_context import TileSheet
    from atlas.pages.statistics_table import StatisticsTable


@dataclass(frozen=True, slots=True)
class WallItem:
    """A neuron on a wall; `values` are the sort columns' numbers, separated by spaces."""

    icon: Icon
    values: str
    caption: str


@dataclass(frozen=True, slots=True)
class Column:
    """A way to sort a layer's neurons; `falling` where the largest comes first."""

    label: str
    falling: bool


@dataclass(frozen=True, slots=True)
class LayerPage:
    """Everything on a layer's page."""

    name: str
    href: str
    kind: str
    n_channels: int
    n_shown: int
    receptive_field: str
    resolution: str
    upstream: Link | None
    downstream: Link | None
    previous: Link | None
    next: Link | None
    columns: tuple[Column, ...]
    items: tuple[WallItem, ...]
    sheets: tuple[TileSheet, ...]
    statistics: StatisticsTable | None
    description: str
    image: str
    citation: Citation


@dataclass(frozen=True, slots=True)
class Block:
    """One layer in the diagram of the network; `n_rows` grows with its number of channels."""

    name: str
    href: str
    channels: str
    detail: str
    n_rows: int
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WallRow:
    """A layer's sample on the home page's wall."""

    layer: Link
    n_neurons: int
    icons: tuple[Icon, ...]


@dataclass(frozen=True, slots=True)
class HomePage:
    """Everything on the home page."""

    description: str
    n_layers: int
    layers_noun: str
    neurons: str
    complete: bool
    input_shape: str
    blocks: tuple[Block, ...]
    undrawn: str
    outputs: str
    wall: tuple[WallRow, ...]
    n_wall: int
    wall_columns: int
    notes: tuple[str, ...]
    image: str
    tables: tuple[Link, ...]
    href: str = ""
