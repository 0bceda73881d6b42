"""How networks and layers show themselves."""

from __future__ import annotations

from atlas.display import markup
from atlas.displayed import displays
from atlas.model.network import Network
from atlas.pages import wording


@displays(Network)
def network(shown: Network) -> str:
    """Show the layers that every way passes through."""
    rows = [
        (
            layer.name,
            layer.kind,
            str(layer.n_channels),
            wording.times(layer.shape[1], layer.shape[0]) if layer.shape else "",
            wording.receptive_field(layer) or "the whole image",
        )
        for layer in shown.trunk
    ]
    height, width, n_channels = shown.input_shape
    rule = (
        f"The {len(rows)} of {wording.counted(len(shown.layers), 'layer')} that every way from the image to "
        f"the output passes through. Images of {wording.times(width, height)} px, "
        f"{wording.counted(n_channels, 'channel')}; SHA-256 {shown.sha256[:16]}."
    )
    heads = ("layer", "kind", "neurons", "positions", "each sees")
    return markup.figure(shown.name, markup.table(heads, rows), rule=rule)
