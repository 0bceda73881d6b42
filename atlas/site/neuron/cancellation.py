"""Paths -> the positive and negative contributions to a neuron, over one hop and over two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from atlas.core.records import Paths
from atlas.site import wording
from atlas.site.neuron import heatmaps
from atlas.site.neuron.connections import MISLEADS, ConnectionList, connection_list, sheet_facts
from atlas.site.neuron.heatmaps import Sheet
from atlas.site.neuron.kernel_facts import kernel_facts
from atlas.site.reading.artefacts import LayerArtefacts
from atlas.site.reading.catalogue import Catalogue, Icon, Link

# A smaller ratio is a rounding error: only one path leads between two neurons at each position.
_NOTHING = 1e-4


@dataclass(frozen=True, slots=True)
class PathRow:
    """One connection, split by the sign of its paths."""

    icon: Icon
    """The source neuron."""
    net: str
    """Style that moves the sheet to its net map."""
    positive: str
    """Style that moves the sheet to the map of its positive paths."""
    negative: str
    """Style that moves the sheet to the map of its negative paths."""
    bar: str
    """Style that sets the length of the bar, in percent."""
    ratio: str
    """Share of the contributions that cancels, as a percentage."""
    misleads: bool
    """Whether so much cancels that the net map is misleading."""
    labels: tuple[str, str, str]
    """The strongest weight of the net, the positive and the negative map, in words."""


@dataclass(frozen=True, slots=True)
class WhatCancels:
    """The strongest connections over one hop, each split by the sign of its paths."""

    source: Link
    """The layer before."""
    rule: str
    """Which connections are shown, in words that follow "for"."""
    misleading: str
    """The share above which a connection's net map misleads, as a percentage."""
    peak: str
    """The weight at the ends of the colour scale, the same for all maps."""
    sheet: Sheet
    """All net maps, then all positive, then all negative ones in one picture."""
    rows: tuple[PathRow, ...]
    """The connections, strongest first."""
    facts: str
    """For scripts that read weights off the sheet, as in ConnectionList.facts."""


@dataclass(frozen=True, slots=True)
class SignedPaths:
    """Positive and negative paths to a neuron."""

    total: str
    """Share of the contributions over one hop that cancels, "" where nothing does."""
    source: Link
    """The layer before."""
    one_hop: WhatCancels | None
    """The connections over one hop, None where nothing cancels."""
    two_hops: ConnectionList | None
    """The net connections over two hops, None where they were not made."""
    two_hops_total: str
    """Share of the contributions over two hops that cancels, "" where it is not known."""


def cancelling(record: Paths | None, index: int) -> Mapping[int, float]:
    """Return the shares, 0 to 1, of shown connections that cancel, by source neuron; empty if none does."""
    if record is None or not _cancels(record, index):
        return {}
    return dict(zip(record.index[index].tolist(), record.ratio[index].tolist(), strict=True))


def signed_paths(catalogue: Catalogue, artefacts: LayerArtefacts, index: int) -> SignedPaths | None:
    """Return a neuron's positive and negative contributions for its page, None where they were not made."""
    one, two = artefacts.one_hop, artefacts.two_hops
    if one is None:
        return None
    cancels = _cancels(one, index)
    return SignedPaths(
        total=wording.percent(float(one.total_ratio[index])) if cancels else "",
        source=catalogue.link(one.source),
        one_hop=_what_cancels(catalogue, one, index) if cancels else None,
        two_hops=connection_list(
            catalogue,
            artefacts.two_hops_list,
            index,
            direction="two-hops",
            cancelling=cancelling(two, index),
        ),
        two_hops_total=wording.percent(float(two.total_ratio[index])) if two is not None else "",
    )


def _cancels(record: Paths, index: int) -> bool:
    return float(record.total_ratio[index]) > _NOTHING


def _what_cancels(catalogue: Catalogue, record: Paths, index: int) -> WhatCancels:
    net, positive = record.kernel[index], record.positive[index]
    icons = catalogue.icons(record.source)
    # All three maps share one scale, or a faint net map would look as strong as its contributions.
    maps = np.concatenate([net, positive, net - positive])
    peak = float(np.abs(maps).max(initial=0.0))
    sheet = heatmaps.kernel_sheet(maps, peak)
    return WhatCancels(
        source=catalogue.link(record.source),
        rule=_rule(len(net), record.n_candidates),
        misleading=wording.percent(MISLEADS),
        peak=wording.number(peak),
        sheet=sheet,
        rows=_rows(icons, record, index, len(net), kernel_facts(maps).strongest),
        facts=sheet_facts(sheet, peak),
    )


def _rule(n: int, n_candidates: int) -> str:
    if n >= n_candidates:
        return f"all {wording.thousands(n)} connections" if n > 1 else "the only connection"
    return f"the {n} strongest (by L2 norm) of the {wording.thousands(n_candidates)} connections"


def _rows(
    icons: tuple[Icon, ...], record: Paths, index: int, n: int, strongest: list[str]
) -> tuple[PathRow, ...]:
    connections = zip(record.index[index, :n].tolist(), record.ratio[index].tolist(), strict=False)
    return tuple(
        PathRow(
            icon=icons[source],
            net=f"--r:{row}",
            positive=f"--r:{n + row}",
            negative=f"--r:{2 * n + row}",
            bar=f"--b:{100 * ratio:.0f}",
            ratio=wording.percent(ratio),
            misleads=ratio > MISLEADS,
            labels=(
                f"net {strongest[row]}",
                f"positive {strongest[n + row]}",
                f"negative {strongest[2 * n + row]}",
            ),
        )
        for row, (source, ratio) in enumerate(connections)
    )
