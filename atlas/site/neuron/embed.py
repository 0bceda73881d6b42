"""A neuron's page -> the short page of the neuron that other sites show in an iframe."""

from __future__ import annotations

from dataclasses import dataclass, replace

from atlas.site import urls, wording
from atlas.site.neuron import heatmaps
from atlas.site.neuron.connections import ConnectionList
from atlas.site.neuron.page import NeuronPage
from atlas.site.reading.artefacts import Columns, LayerArtefacts

# Connections shown in each direction: as many as fit side by side in a column of text.
N_STRONGEST = 5


@dataclass(frozen=True, slots=True)
class EmbedPage:
    """Everything on the short page of a neuron."""

    page: NeuronPage
    """The neuron's full page."""
    root: str
    """Relative path from the short page to the site's root, "../"."""
    lists: tuple[tuple[str, ConnectionList], ...]
    """Its lists of connections with their titles, cut down to the strongest."""


def embed_page(page: NeuronPage, artefacts: LayerArtefacts) -> EmbedPage:
    """Return everything on a neuron's short page, made from its full page."""
    lists = (
        ("Inputs from", _strongest(page.upstream, artefacts.upstream, page.index)),
        ("Outputs to", _strongest(page.downstream, artefacts.downstream, page.index)),
    )
    return EmbedPage(page, urls.root(page.files.embed), tuple((title, one) for title, one in lists if one))


def _strongest(whole: ConnectionList | None, columns: Columns | None, index: int) -> ConnectionList | None:
    if whole is None or columns is None:
        return None
    record = columns.record
    kernels = record.kernel[index][: len(whole.cells)][:N_STRONGEST]
    rule = f"Strongest {len(kernels)} of {wording.thousands(record.n_candidates)} by L2 norm."
    sheet = heatmaps.kernel_sheet(kernels, float(record.peak[index]))
    return replace(whole, rule=rule, sheet=sheet, cells=whole.cells[:N_STRONGEST])
