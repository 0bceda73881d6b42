"""AtlasConfig: all settings of a build, frozen; every default stands here.

A TOML file (see `config_file`) has the keys of AtlasConfig at its top and one table for each stage:

    model = "models/googlenet"
    layers = ["conv2d0", "conv2d1"]
    examples = "images"

    [featurevis]
    preset = "draft"
    sizes = { mixed4a = 100 }

    [[family]]
    name = "curves"
    layer = "mixed3b"
    neurons = [379, "385-388"]
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from atlas.core.model_config import Count, ModelConfig, Section

DEMO = "demo"
# Measured on GoogLeNet: docs/performance.md.
COSINE_POWER = 1.0
Name = Annotated[str, msgspec.Meta(min_length=1)]
# scikit-learn takes no larger seeds.
Seed = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
# A scheme, a host and a path of RFC 3986, without a user, a query or a fragment.
_FOLDER_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?(/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*")
Variant = Literal["neuron", "channel", "neuron-negative", "channel-negative"]


class WeightsConfig(Section, frozen=True):
    """Expanded weights; `width` crops windows to so many positions, `carriers` overrides the graph's."""

    width: Count | None = None
    carriers: dict[str, str] = msgspec.field(default_factory=dict)


class ConnectionsConfig(Section, frozen=True):
    """Connections; `top` are kept for each neuron and direction."""

    top: Count = 50


class PathsConfig(Section, frozen=True):
    """Positive and negative paths of the `top` connections; `two_hops` adds those over two layers."""

    top: Count = 12
    two_hops: bool = True


class NmfConfig(Section, frozen=True):
    """Factorizations; `factors` for each neuron, `loadings` source neurons shown for each factor."""

    factors: Annotated[int, msgspec.Meta(ge=1, le=6)] = 3
    loadings: Count = 8


class StatisticsConfig(Section, frozen=True):
    """Statistics of layers; `lookalikes` neurons of the most similar weights are kept for each neuron."""

    lookalikes: Annotated[int, msgspec.Meta(ge=1, le=100)] = 8


class FeatureVisConfig(Section, frozen=True):
    """Feature visualizations; `sizes` maps layers to pixels, "notebook" is the original's table.

    "effective field" is the square that holds most of a layer's gradient on images, "receptive field" all
    that it can see. `precision` "auto" is bfloat16 where the processor has it natively: several times
    faster, and images differ a little between machines. "float32" is nearly the same everywhere. `fixed`
    maps bands of the image, numbered from 1, to the value from 0 to 1 that they keep while others are drawn.
    """

    preset: Literal["draft", "standard", "full"] = "standard"
    variants: tuple[Variant, ...] = ("neuron",)
    sizes: dict[str, Count] | Literal["notebook", "receptive field", "effective field"] = "effective field"
    quality: Annotated[int, msgspec.Meta(ge=1, le=100)] = 90
    precision: Literal["float32", "bfloat16", "auto"] = "auto"
    batch: Count | None = None
    fixed: dict[str, Annotated[float, msgspec.Meta(ge=0, le=1)]] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a variant named twice, which would be drawn twice, and a key of `fixed` that is no band."""
        odd = next((band for band in self.fixed if not band.isdecimal() or int(band) < 1), None)
        if odd is not None:
            raise ValueError(
                f"fixed holds {odd!r}, which is no number of a band; write fixed = {{ 4 = 0.5 }}"
            )
        if len(set(self.variants)) < len(self.variants):
            raise ValueError(f"a variant is named twice in {', '.join(self.variants)}")


class DirectionsConfig(Section, frozen=True):
    """Pictures of directions: `positions` and `factors` say of which neurons.

    "none", "families" (those of the config's families), "all", "top 10" (the ten of each layer with the
    strongest upstream weights) or neurons like "mixed3b:379,mixed4a:3-9". `preset` is that of
    [featurevis] unless it is given; `cosine_power` above 0 keeps neurons outside of a direction quiet.
    """

    positions: Name = "families"
    factors: Name = "families"
    preset: Literal["draft", "standard", "full"] | None = None
    cosine_power: Annotated[float, msgspec.Meta(ge=0, le=16)] = COSINE_POWER


class ExamplesConfig(Section, frozen=True):
    """Dataset examples; `count` images for each neuron."""

    count: Annotated[int, msgspec.Meta(ge=1, le=100)] = 12


class ImagesConfig(Section, frozen=True):
    """What else is measured on the images of `examples`, in the same pass.

    `ranges`: images from the whole range of each neuron, drawn at random. `distribution`: how each neuron's
    activations are distributed. `fidelity`: how well the expanded weights predict it, and what each
    connection contributes.
    """

    ranges: bool = True
    distribution: bool = True
    fidelity: bool = True


class CircuitConfig(Section, frozen=True):
    """Each neuron's circuit: `up` and `down` hops, the `fan` strongest of each neuron on each hop.

    Other connections between its neurons are drawn from `between` on, a strength relative to the
    strongest of the target's list: 0 draws all that the lists hold, 1 none but the strongest. No hops,
    no circuit.
    """

    up: Annotated[int, msgspec.Meta(ge=0, le=3)] = 2
    down: Annotated[int, msgspec.Meta(ge=0, le=3)] = 1
    fan: Annotated[tuple[Annotated[int, msgspec.Meta(ge=1, le=12)], ...], msgspec.Meta(min_length=1)] = (
        5,
        2,
        1,
    )
    between: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5


class FamilyConfig(Section, frozen=True):
    """A family: `neurons` of one layer, numbers or spans like "320-339"; `source` "" is the layer before."""

    name: Name
    layer: Name
    neurons: tuple[Annotated[int, msgspec.Meta(ge=0, lt=10**9)] | str, ...]
    source: str = ""
    n_factors: Annotated[int, msgspec.Meta(ge=1, le=6)] = 2
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse a family without neurons or without a name that can be read."""
        if not self.neurons:
            raise ValueError(f"family {self.name!r} is empty; list its neurons, like neurons = [3, '5-9']")
        if not self.name.strip():
            raise ValueError("a family's name is blank; give it one that can be read")


class FamiliesConfig(Section, frozen=True):
    """Families that the program proposes: whether it does, and the most of them a layer."""

    propose: bool = True
    most: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20


class WebConfig(Section, frozen=True):
    """The site on the web: `url`, the address of its folder, and `redirects`, a file of former addresses.

    Both may be left out: links are relative, so a site works wherever it lies. With a `url`, pages also
    hold their full addresses, for search engines and link previews. `redirects` is a JSON object that maps
    each former address to the present one: {"old.html": "mixed3b_379.html"}. Packed, a site has two files a
    neuron, its page and its picture, and not six: its data lies in zip files of 64 neurons, its dataset
    examples in its page, and no small page is made for an iframe. "auto" packs above 2,000 neurons, as hosts
    take only so many files. `images` is the folder on the web that holds images/, if on another host.
    """

    url: str = ""
    redirects: str = ""
    packed: Literal["auto", "always", "never"] = "auto"
    images: str = ""

    def __post_init__(self) -> None:
        """Refuse what is not the address of a folder on the web."""
        for url in (self.url, self.images):
            if url and (not _FOLDER_URL.fullmatch(url) or url.endswith(".html")):
                raise ValueError(
                    f"{url!r} is no address of a folder on the web; give one like https://a.org/atlas/"
                )


class EngineConfig(Section, frozen=True):
    """Where pictures are drawn and factors computed; the store is the same for every engine.

    `workers` above 1 is a number of processes on this machine. `scheduler` is the address of a Dask cluster,
    `scheduler_file` the file that its scheduler wrote. `resources` lists what each of its workers must have,
    as { GPU = 1 }; `patience` is how many seconds to wait when no worker is left.
    """

    workers: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    scheduler: str = ""
    scheduler_file: str = ""
    resources: dict[str, Annotated[float, msgspec.Meta(ge=0)]] = msgspec.field(default_factory=dict)
    patience: Annotated[float, msgspec.Meta(gt=0)] = 300.0

    def __post_init__(self) -> None:
        """Refuse two places at once: one of them would not be used."""
        places = ["workers"] if self.workers > 1 else []
        places += [name for name in ("scheduler", "scheduler_file") if getattr(self, name)]
        if len(places) > 1:
            raise ValueError(f"{' and '.join(places)} name different places to work at; choose one")
        if self.resources and not (self.scheduler or self.scheduler_file):
            raise ValueError("resources are those of a Dask cluster's workers; name its scheduler too")


class AtlasConfig(Section, frozen=True):
    """All settings of one atlas. Paths are as given; `site` decides `store` where none is named."""

    model: Name = DEMO
    title: str = ""
    layers: str | tuple[str, ...] = "all"
    neurons: str = ""
    site: Name = "site"
    store: str = ""
    examples: str = ""
    seed: Seed = 0
    model_options: ModelConfig = ModelConfig()
    weights: WeightsConfig = WeightsConfig()
    connections: ConnectionsConfig = ConnectionsConfig()
    paths: PathsConfig = PathsConfig()
    nmf: NmfConfig = NmfConfig()
    statistics: StatisticsConfig = StatisticsConfig()
    featurevis: FeatureVisConfig = FeatureVisConfig()
    directions: DirectionsConfig = DirectionsConfig()
    dataset_examples: ExamplesConfig = ExamplesConfig()
    images: ImagesConfig = ImagesConfig()
    circuit: CircuitConfig = CircuitConfig()
    families: FamiliesConfig = FamiliesConfig()
    family: tuple[FamilyConfig, ...] = ()
    web: WebConfig = WebConfig()
    engine: EngineConfig = EngineConfig()

    def __post_init__(self) -> None:
        """Refuse two families of one name: one address could not show both."""
        names = [family.name for family in self.family]
        for at, name in enumerate(names):
            if name in names[:at]:
                # Worded like msgspec's errors, so that `config_file` finds the line.
                raise ValueError(f"two families are called {name!r}; rename one - at `$.family[{at}].name`")

    @property
    def store_path(self) -> Path:
        """The store's folder: next to the site unless it is named."""
        if self.store:
            return Path(self.store)
        site = Path(self.site)
        named = site if site.name not in ("", "..") else site.resolve()
        return named.with_name(f"{named.name}.store") if named.name else Path("store")

    @property
    def layers_spec(self) -> str:
        """The chosen layers as one text, "all" or names with commas."""
        return self.layers if isinstance(self.layers, str) else ",".join(self.layers)
