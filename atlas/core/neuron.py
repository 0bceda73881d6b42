"""Layer, Neuron and their addresses: the slug "mixed3b_379" <-> Neuron; every alias resolves here.

A slug is part of a permanent URL, so it is a function of the layer's name alone, wherever two names
do not differ by case only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from atlas.core.errors import LayerError, NeuronError, nearest
from atlas.core.notebook_registry import Displayed

# Stands for the image where a layer is named: in pairs, families, circuits, keys of the store.
INPUT = "input"
# Nine digits at most: Python refuses to read numbers of thousands of digits.
# https://microscope.openai.com/models/inceptionv1/mixed3b_0/379 and …/mixed3b_379.html
_INDEX = r"(?P<index>\d{1,9})"
_REST = r"(?:[?#].*)?$"
_MICROSCOPE = re.compile(rf"/models/[^/]+/(?P<layer>[^/]+?)(?:_0)?/{_INDEX}/?{_REST}", re.IGNORECASE)
_PAGE = re.compile(rf"/(?P<layer>[^/]+)(?P<joint>_){_INDEX}\.(?:html|jpg|json|npz){_REST}", re.IGNORECASE)
_TEXT = re.compile(rf"(?P<layer>.+?)\s*(?P<joint>[:/_\s])\s*{_INDEX}")

# Further names of layers -> their names in the network.
Aliases = Mapping[str, str]
NO_ALIASES: Aliases = MappingProxyType({})
Same = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """The window of input pixels that one position of a layer sees; each pair is (h, w), in pixels.

    Position i of an axis sees the pixels offset + i * stride … + size - 1. After upsampling stride and offset
    may be fractions, and windows differ from position to position.
    """

    size: tuple[int, int]
    """Size of the window, the largest where windows differ."""
    stride: tuple[int | float, int | float]
    """Distance from one position to the next."""
    offset: tuple[int | float, int | float]
    """First pixel of the first position, negative where padding is seen."""
    gated: bool = False
    """Whether a gate or a statistic of the whole image (squeeze and excitation, instance norm) acts too."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A part of a concatenated layer: its neurons first … first + n_channels - 1."""

    name: str
    """The layer that ends in the branch, whose neurons these are, in order."""
    first: int
    """Index of its first neuron in the whole."""
    n_channels: int
    """Number of its neurons."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a network as the atlas names it."""

    name: str
    """Its name in the graph."""
    slug: str
    """Its name in addresses."""
    kind: str
    """Its kind: "conv", "concat", "add", "dense" or "input"."""
    tensor: str
    """Its tensor in the graph."""
    n_channels: int
    """Number of its neurons."""
    shape: tuple[int, int] | None
    """Its (h, w) at the network's own input size, None for a dense layer."""
    receptive_field: ReceptiveField | None
    """What one position sees of the image, None where it is not known."""
    trunk: bool = True
    """Whether every path from the image to the output passes through it."""
    branches: tuple[Branch, ...] = ()
    """Parts of a concatenation that are layers of their own, by first neuron."""

    def branch_of(self, index: int) -> Branch | None:
        """Return the branch that a neuron belongs to, None where it is in none."""
        holders = (b for b in self.branches if b.first <= index < b.first + b.n_channels)
        return next(holders, None)


@dataclass(frozen=True, slots=True)
class Neuron(Displayed):
    """One channel of a layer, over all positions."""

    layer: str
    """Name of the layer."""
    layer_slug: str
    """The layer's name in addresses."""
    index: int
    """Index of the channel."""

    @property
    def slug(self) -> str:
        """The address of this neuron's page, without its ending."""
        return f"{self.layer_slug}_{self.index}"

    @property
    def name(self) -> str:
        """How people write this neuron: "mixed3b:379"."""
        return f"{self.layer}:{self.index}"


def find_layer(layers: Sequence[Layer], name: str, *, aliases: Aliases = NO_ALIASES) -> Layer:
    """Return the layer of this name, slug or alias; "3b" finds "mixed3b" where only one name ends so.

    `aliases` are further names, of the layers in full, or "" for what is no layer. A tensor's name,
    "mixed3a:0", means its layer. Upper and lower case are distinguished only where two layers differ by
    nothing else. Raises LayerError, which lists the layers that an ambiguous name may mean.
    """
    spellings = [name, name.removesuffix(":0")]
    for text in spellings:
        # Names first: "a-3" may be one layer's name and the slug of another, "a_3".
        for same in (str, str.casefold):
            matches = _exact(layers, same(text), same, aliases)
            if matches:
                return matches[0]
    if aliases.get(spellings[1]) == "":
        raise LayerError(
            f"{name!r} is no layer",
            found="a module that does more after its last layer",
            expected="that layer, or the one that reads it",
            remedy=nearest(name, [layer.name for layer in layers]),
        )
    candidates: dict[str, Layer] = {}
    for same in (str, str.casefold):
        for ends in _endings(layers, same(spellings[1]), same, aliases):
            if len(ends) == 1:
                return ends[0]
            candidates |= {layer.name: layer for layer in ends}
    if candidates:
        raise LayerError(
            f"{name!r} may be any of several layers",
            found=_listed(list(candidates)),
            expected="the end of one layer's name",
            remedy="name it in full",
        )
    trunk = _listed([layer.name for layer in layers if layer.trunk])
    raise LayerError(
        f"no layer {name!r}",
        expected=f"one of the network's {len(layers)} layers ({trunk})",
        remedy=nearest(name, [layer.name for layer in layers], listed=True),
    )


def _exact(layers: Sequence[Layer], name: str, same: Same, aliases: Aliases) -> list[Layer]:
    """Return a list of the one layer of this name, slug or alias, compared after `same`, or an empty one."""
    # Only the exact spelling distinguishes two names that differ by case only.
    matches = next(filter(None, _called(layers, name, same, aliases)), [])
    return matches if len(matches) == 1 else []


def _called(layers: Sequence[Layer], name: str, same: Same, aliases: Aliases) -> Iterator[list[Layer]]:
    """Yield the layers with this name, then those with this slug, then those with this alias."""
    yield [layer for layer in layers if same(layer.name) == name]
    yield [layer for layer in layers if same(layer.slug) == name]
    names = {full for alias, full in aliases.items() if same(alias) == name}
    yield [layer for layer in layers if layer.name in names]


def _endings(layers: Sequence[Layer], name: str, same: Same, aliases: Aliases) -> Iterator[list[Layer]]:
    """Yield the layers whose names or aliases end in "/name", else those of the trunk that end in "name"."""
    if not name.strip("/"):
        return
    names = dict(aliases) | {layer.name: layer.name for layer in layers}
    ends = {full for alias, full in names.items() if same(alias).endswith(f"/{name}")}
    scoped = [layer for layer in layers if layer.name in ends]
    yield scoped or [layer for layer in layers if layer.trunk and same(layer.name).endswith(name)]
    # "model/block1/conv1": drop "model" where nothing in the graph is called so.
    scope, _, rest = name.partition("/")
    if rest and not any(same(alias).partition("/")[0] == scope for alias in names):
        matches = _exact(layers, rest, same, aliases)
        yield from [matches] if matches else _endings(layers, rest, same, aliases)


def _listed(names: Sequence[str]) -> str:
    """Return names as one text, without the middle where there are many."""
    listed = [*names[:6], "…", *names[-4:]] if len(names) > 11 else names
    return ", ".join(listed)


def find_neuron(
    layers: Sequence[Layer], alias: str, *, chosen: Collection[str] = (), aliases: Aliases = NO_ALIASES
) -> Neuron:
    """Return the neuron that an alias names, in upper or lower case, with spaces or without.

    Aliases: mixed3b_379, mixed3b:379, mixed3b/379, 3b:379, mixed3b_5x5:59 (a branch and the neuron's
    place in it), and the addresses of the weight explorer's and Microscope's pages. A branch's name
    means the concatenated layer's neuron, unless the branch is among `chosen`, the names of layers
    that an atlas shows: then it means the branch's own. `aliases` are further names of layers.
    Raises NeuronError or LayerError.
    """
    match = _read(alias)
    if match is None:
        raise NeuronError(f"cannot read the neuron {alias!r}", expected="LAYER:INDEX, like mixed3b:379")
    # "_" joins slug and index in addresses, which are never ambiguous.
    slug = match["layer"] if match.groupdict().get("joint") == "_" else None
    page = next((layer for layer in layers if layer.slug == slug), None)
    layer, index = page or find_layer(layers, match["layer"], aliases=aliases), int(match["index"])
    neuron_of(layer, index)
    whole, first = whole_of(layers, layer, chosen)
    return neuron_of(whole, first + index)


def whole_of(layers: Sequence[Layer], layer: Layer, chosen: Collection[str] = ()) -> tuple[Layer, int]:
    """Return the concatenated layer that a branch is part of, and its first neuron there.

    A layer of the trunk, a layer that is `chosen` by name, and a layer that is a branch of none or of
    several concatenations are returned as they are, with 0.
    """
    if layer.trunk or layer.name in chosen:
        return layer, 0
    wholes = [(whole, b.first) for whole in layers for b in whole.branches if b.name == layer.name]
    return wholes[0] if len(wholes) == 1 else (layer, 0)


def _read(alias: str) -> re.Match[str] | None:
    """Return a match with the layer and the index that an alias spells, None where it is not an alias."""
    text = alias.strip()
    return _MICROSCOPE.search(text) or _PAGE.search("/" + text) or _TEXT.fullmatch(text)


def neuron_of(layer: Layer, index: int) -> Neuron:
    """Return neuron `index` of `layer`, or raise NeuronError when the layer is smaller."""
    if not 0 <= index < layer.n_channels:
        raise NeuronError(f"{layer.name} has no neuron {index}", expected=f"0 to {layer.n_channels - 1}")
    return Neuron(layer.name, layer.slug, index)


def parse_neurons(
    layers: Sequence[Layer], spec: str, *, chosen: Collection[str] = (), aliases: Aliases = NO_ALIASES
) -> dict[str, tuple[int, ...]]:
    """Return the neurons that a specification names, by layer: "mixed3b:320-339,mixed4a".

    A layer alone means all of its neurons, and any alias of a neuron is accepted. `chosen` decides what
    the name of a branch means, see `find_neuron`. "mixed3a:0" is a neuron here, not a tensor. Raises
    NeuronError or LayerError.
    """
    neurons: dict[str, set[int]] = {}
    for part in filter(None, (p.strip() for p in spec.split(","))):
        layer, indices = _parse_part(layers, part, aliases)
        whole, first = whole_of(layers, layer, chosen)
        neurons.setdefault(whole.name, set()).update(first + index for index in indices)
    if not neurons:
        raise NeuronError(f"no neuron in {spec!r}", expected="LAYER, LAYER:INDEX or LAYER:FIRST-LAST")
    return {name: tuple(sorted(indices)) for name, indices in neurons.items()}


def _parse_part(layers: Sequence[Layer], part: str, aliases: Aliases) -> tuple[Layer, range]:
    """Return the layer that is named, branch or whole, and the range of its neurons."""
    name, colon, span = part.rpartition(":")
    if not colon or "://" in part or any(part == layer.name for layer in layers):
        return _parse_name(layers, part, aliases)
    layer = find_layer(layers, name.strip(), aliases=aliases)
    return layer, _parse_span(layer, span.strip())


def _parse_name(layers: Sequence[Layer], part: str, aliases: Aliases) -> tuple[Layer, range]:
    """Return a whole layer, or one neuron that is written without a colon."""
    try:
        layer = find_layer(layers, part, aliases=aliases)
    except LayerError:
        if _read(part) is None:
            raise
        # Every layer is chosen here, so that the name of a branch means the branch.
        everywhere = [layer.name for layer in layers]
        neuron = find_neuron(layers, part, chosen=everywhere, aliases=aliases)
        return find_layer(layers, neuron.layer), range(neuron.index, neuron.index + 1)
    return layer, range(layer.n_channels)


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
