"""A few sentences on a neuron, for search engines and for previews of links to its page."""

from __future__ import annotations

from atlas.site.neuron.connections import SIGNS
from atlas.site.reading.artefacts import Columns, LayerArtefacts
from atlas.site.reading.catalogue import Catalogue, Link

# Connections named in each direction. A preview shows about 200 characters.
N_STRONGEST = 3


def neuron_summary(
    catalogue: Catalogue, artefacts: LayerArtefacts, index: int, families: tuple[Link, ...] = ()
) -> str:
    """Return a neuron's layer, model and families, and its strongest connections with their signs."""
    layer = artefacts.layer
    membership = (
        f", of the {'family' if len(families) == 1 else 'families'} {', '.join(f.name for f in families)}"
    )
    sentences = [f"Neuron {index} of {layer.name} in {catalogue.model.name}{membership if families else ''}."]
    for side, columns in (("inputs", artefacts.upstream), ("outputs", artefacts.downstream)):
        if columns is not None and columns.record.index.shape[1]:
            other = columns.record.source if side == "inputs" else columns.record.target
            sentences.append(f"Strongest {side}: {_strongest(catalogue, columns, index, other)}.")
    return " ".join(sentences)


def _strongest(catalogue: Catalogue, columns: Columns, index: int, other: str) -> str:
    """Return a neuron's strongest connections with their signs: "mixed3a:147 (+), 12 (-), 4 (+)"."""
    icons = catalogue.icons(other)
    names = []
    pairs = zip(columns.index[index][:N_STRONGEST], columns.sign[index], strict=False)
    for at, (n, sign) in enumerate(pairs):
        mark = SIGNS[sign][1]
        names.append((icons[n].short if at else icons[n].name) + (f" ({mark})" if mark else ""))
    return ", ".join(names)
