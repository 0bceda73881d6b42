"""Keys of artefacts. The file names in the store are defined only here.

A key is a relative path with "/". It contains slugs (atlas.core.neuron), never names from a model. No two
artefacts have the same key, and no key is a folder of another key.
"""

from __future__ import annotations

ATLAS = "atlas.json"


def weights(source_slug: str, target_slug: str) -> str:
    """Return the key of the expanded weights between two layers, float32 [h, w, source, target]."""
    return f"weights/{source_slug}/{target_slug}.npy"


def connections(layer_slug: str, direction: str) -> str:
    """Return the key of a layer's Connections, `direction` "upstream" or "downstream"."""
    return f"connections/{layer_slug}__{direction}.npz"


def signed_paths(layer_slug: str, hops: int) -> str:
    """Return the key of a layer's Paths from the layer `hops` before it, 1 or 2."""
    return f"paths/{layer_slug}__{hops}.npz"


def factorization(layer_slug: str, index: int) -> str:
    """Return the key of one neuron's Factorization."""
    return f"nmf/{layer_slug}/{index}.json"


def family(slug: str) -> str:
    """Return the key of a Family that the config names."""
    return f"families/{slug}.npz"


def proposal(layer_slug: str, number: int) -> str:
    """Return the key of a Family that the program proposes; numbers start at 1."""
    return f"proposals/{layer_slug}/{number}.npz"


def featurevis(variant: str, layer_slug: str, index: int) -> str:
    """Return the key of one neuron's feature visualization."""
    return f"featurevis/{variant}/{layer_slug}/{index}.jpg"


def bands(layer_slug: str, index: int) -> str:
    """Return the key of the JPEG that shows each band of one neuron's main feature visualization."""
    return f"bands/{layer_slug}/{index}.jpg"


def positions(layer_slug: str, index: int) -> str:
    """Return the key of the JPEG that shows one neuron's weights, with a picture for each position."""
    return f"positions/{layer_slug}/{index}.jpg"


def factor_pictures(layer_slug: str, index: int) -> str:
    """Return the key of the JPEG with a picture for each of one neuron's factors, side by side."""
    return f"factors/{layer_slug}/{index}.jpg"


def family_pictures(slug: str) -> str:
    """Return the key of the JPEG with a picture for each factor of a family that the config names."""
    return f"family-pictures/{slug}.jpg"


def examples(layer_slug: str) -> str:
    """Return the key of a layer's ExampleTable."""
    return f"examples/{layer_slug}.npz"


def ranges(layer_slug: str) -> str:
    """Return the key of a layer's RangeTable."""
    return f"ranges/{layer_slug}.npz"


def example_strip(layer_slug: str, index: int) -> str:
    """Return the key of the JPEG that shows one neuron's examples side by side, those of its range below."""
    return f"strips/{layer_slug}/{index}.jpg"


def distribution(layer_slug: str) -> str:
    """Return the key of a layer's Distribution."""
    return f"distributions/{layer_slug}.npz"


def fidelity(layer_slug: str) -> str:
    """Return the key of the Fidelity of a layer's weights from the layer before."""
    return f"fidelity/{layer_slug}.npz"


def effective_field(layer_slug: str) -> str:
    """Return the key of a layer's EffectiveField."""
    return f"effective-fields/{layer_slug}.npz"


def statistics(layer_slug: str) -> str:
    """Return the key of a layer's LayerStatistics."""
    return f"statistics/{layer_slug}.npz"


def filters(layer_slug: str) -> str:
    """Return the key of the FirstLayer of a layer whose source is the image."""
    return f"filters/{layer_slug}.npz"
