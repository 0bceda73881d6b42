"""Layer, Neuron and their addresses: the slug "mixed3b_379" <-> Neuron; every alias resolves here.

A slug is part of a permanent URL, so it is a function of the layer's name alone, wherever two names
do not differ by case only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from atlas.displayed import Displayed
from atlas.errors import LayerError, NeuronError, nearest

# Names that mean something else to the site or to a file system.
_RESERVED = re.compile(r"(?i)(index|input|404|atlas|search|families|con|prn|aux|nul|com\d|lpt\d)")
_INDEX_TAIL = re.compile(r"_(\d+)$")
# Nine digits at most: Python refuses to read numbers of thousands of them.
# https://microscope.openai.com/models/inceptionv1/mixed3b_0/379 and …/mixed3b_379.html
_MICROSCOPE = re.compile(r"/models/[^/]+/(?P<layer>[^/]+?)(?:_0)?/(?P<index>\d{1,9})/?$")
_PAGE = re.compile(r"/(?P<layer>[^/]+)_(?P<index>\d{1,9})\.(?:html|jpg|json|npz)$")
_TEXT = re.compile(r"(?P<layer>.+?)[:/_](?P<index>\d{1,9})$")


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """The window of input pixels that one position of a layer sees; each pair is (h, w), in pixels.

    Position i of an axis sees the pixels offset + i * stride … + size - 1; the offset is negative
    where padding is seen.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    offset: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a network as the atlas names it.

    `kind` is "conv", "concat", "add", "dense" or "input"; `tensor` its tensor in the graph; `shape`
    its (h, w) at the network's own input size, None for a dense layer; `trunk` tells whether every
    way from the image to the output passes through it.
    """

    name: str
    slug: str
    kind: str
    tensor: str
    n_channels: int
    shape: tuple[int, int] | None
    receptive_field: ReceptiveField | None
    trunk: bool = True


@dataclass(frozen=True, slots=True)
class Neuron(Displayed):
    """One channel of a layer, over all positions."""

    layer: str
    layer_slug: str
    index: int

    @property
    def slug(self) -> str:
        """The address of this neuron's page, without its ending."""
        return f"{self.layer_slug}_{self.index}"

    @property
    def name(self) -> str:
        """How people write this neuron: "mixed3b:379"."""
        return f"{self.layer}:{self.index}"


def layer_slug(name: str) -> str:
    """Return the safe file stem of a layer's name: letters, digits, ".", "_" and "-" only.

    A trailing "_3" becomes "-3", because "conv2d_3" is the page of neuron 3 of layer "conv2d".
    A name that loses anything else carries the start of its SHA-256, so that no two names meet.
    """
    tail = _INDEX_TAIL.sub(r"-\1", name)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", tail)
    safe = re.sub(r"\.{2,}", ".", safe).strip(".-_")[:80]
    ambiguous = _INDEX_TAIL.search(name) is None and re.search(r"-\d+$", name)
    if safe == tail and not ambiguous and not _RESERVED.fullmatch(safe):
        return safe
    return f"{safe or 'layer'}-x{_digest(name)}"


def layer_slugs(names: Sequence[str]) -> dict[str, str]:
    """Return a slug for each name, unique even on file systems that ignore case."""
    slugs: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        slug = layer_slug(name)
        while slug.casefold() in taken:
            slug = f"{slug}-x{_digest(name)}"
        taken.add(slug.casefold())
        slugs[name] = slug
    return slugs


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def find_layer(layers: Sequence[Layer], name: str) -> Layer:
    """Return the layer of this name or slug; "3b" finds "mixed3b" where only one name ends so."""
    # Names first: "a-3" may be one layer's name and the slug of another, "a_3".
    exact = [layer for layer in layers if layer.name == name] or [x for x in layers if x.slug == name]
    if exact:
        return exact[0]
    ends = [layer for layer in layers if layer.trunk and layer.name.endswith(name)]
    if len(ends) == 1 and name:
        return ends[0]
    raise LayerError(
        f"no layer {name!r}",
        expected=f"one of the network's {len(layers)} layers",
        remedy=nearest(name, [layer.name for layer in layers]),
    )


def find_neuron(layers: Sequence[Layer], alias: str) -> Neuron:
    """Return the neuron that an alias names.

    Aliases: mixed3b_379, mixed3b:379, mixed3b/379, 3b:379, and the addresses of the weight
    explorer's and Microscope's pages.
    """
    text = alias.strip()
    match = _MICROSCOPE.search(text) or _PAGE.search("/" + text) or _TEXT.fullmatch(text)
    if match is None:
        raise NeuronError(f"cannot read the neuron {alias!r}", expected="LAYER:INDEX, like mixed3b:379")
    # "_" joins slug and index in addresses, which are never ambiguous.
    slug = match["layer"] if match.string[match.end("layer")] == "_" else None
    page = next((layer for layer in layers if layer.slug == slug), None)
    return neuron_of(page or find_layer(layers, match["layer"]), int(match["index"]))


def neuron_of(layer: Layer, index: int) -> Neuron:
    """Return neuron `index` of `layer`, or raise NeuronError when the layer is smaller."""
    if not 0 <= index < layer.n_channels:
        raise NeuronError(
            f"{layer.name} has no neuron {index}",
            found=index,
            expected=f"0 to {layer.n_channels - 1}",
        )
    return Neuron(layer.name, layer.slug, index)


def parse_neurons(layers: Sequence[Layer], spec: str) -> dict[str, tuple[int, ...]]:
    """Return the neurons that a specification names, by layer: "mixed3b:320-339,mixed4a".

    A layer alone means all of its neurons. Raises NeuronError or LayerError.
    """
    chosen: dict[str, set[int]] = {}
    for part in filter(None, (p.strip() for p in spec.split(","))):
        whole = ":" not in part or any(part == layer.name for layer in layers)
        name, span = (part, "") if whole else part.rsplit(":", 1)
        layer = find_layer(layers, name)
        chosen.setdefault(layer.name, set()).update(_parse_span(layer, span))
    if not chosen:
        raise NeuronError(f"no neuron in {spec!r}", expected="LAYER, LAYER:INDEX or LAYER:FIRST-LAST")
    return {name: tuple(sorted(indices)) for name, indices in chosen.items()}


def _parse_span(layer: Layer, span: str) -> range:
    if not span:
        return range(layer.n_channels)
    match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", span)
    if match is None:
        raise NeuronError(f"cannot read the neurons {span!r} of {layer.name}", expected="3 or 3-9")
    first, last = int(match[1]), int(match[2] or match[1])
    neuron_of(layer, first), neuron_of(layer, last)
    if last < first:
        raise NeuronError(f"{layer.name}:{span} runs backwards", expected=f"{last}-{first}")
    return range(first, last + 1)
