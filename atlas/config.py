"""AtlasConfig: everything a build can be told, frozen, from TOML and flags; every default lives here.

A TOML file has the keys of AtlasConfig at its top and one table for each stage:

    model = "models/googlenet"
    layers = ["conv2d0", "conv2d1"]
    examples = "images"

    [featurevis]
    preset = "draft"
    sizes = { mixed4a = 100 }
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from atlas.errors import ConfigError, nearest

DEMO = "demo"
Count = Annotated[int, msgspec.Meta(ge=1, le=100_000)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of settings: frozen, and strict about what it is given."""


class ModelConfig(_Section):
    """How to read a model that does not say it itself; empty means: as the model says."""

    input: str = ""
    value_range: tuple[float, float] | None = None
    input_shape: tuple[Count, Count, Count] | None = None
    labels: str = ""
    name: str = ""


class WeightsConfig(_Section):
    """Expanded weights; `width` crops windows to so many positions, `carriers` overrides the graph's."""

    width: Count | None = None
    carriers: dict[str, str] = {}


class ConnectionsConfig(_Section):
    """Connections; `top` are kept for each neuron and direction."""

    top: Count = 50


class NmfConfig(_Section):
    """Factorizations; `factors` for each neuron, `loadings` source neurons shown for each factor."""

    factors: Annotated[int, msgspec.Meta(ge=1, le=6)] = 3
    loadings: Count = 8


class FeatureVisConfig(_Section):
    """Feature visualizations; `sizes` maps layers to pixels, "notebook" is the original's table."""

    preset: Literal["draft", "standard", "full"] = "standard"
    variants: tuple[Literal["neuron", "channel", "neuron-negative", "channel-negative"], ...] = ("neuron",)
    sizes: dict[str, Count] | Literal["notebook", "receptive field"] = "receptive field"
    quality: Annotated[int, msgspec.Meta(ge=1, le=100)] = 90
    precision: Literal["float32", "bfloat16"] = "float32"
    batch: Count | None = None


class ExamplesConfig(_Section):
    """Dataset examples; `count` images for each neuron."""

    count: Annotated[int, msgspec.Meta(ge=1, le=100)] = 12


class AtlasConfig(_Section):
    """All settings of one atlas. Paths are as given; `site` decides `store` where none is named."""

    model: str = DEMO
    title: str = ""
    layers: str | tuple[str, ...] = "all"
    neurons: str = ""
    site: str = "site"
    store: str = ""
    examples: str = ""
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    model_options: ModelConfig = ModelConfig()
    weights: WeightsConfig = WeightsConfig()
    connections: ConnectionsConfig = ConnectionsConfig()
    nmf: NmfConfig = NmfConfig()
    featurevis: FeatureVisConfig = FeatureVisConfig()
    dataset_examples: ExamplesConfig = ExamplesConfig()

    @property
    def store_path(self) -> Path:
        """The store's folder: beside the site unless it is named."""
        site = Path(self.site)
        return Path(self.store) if self.store else site.with_name(f"{site.name}.store")

    @property
    def layers_spec(self) -> str:
        """The chosen layers as one text, "all" or names with commas."""
        return self.layers if isinstance(self.layers, str) else ",".join(self.layers)


def read_config(path: Path | None = None, flags: Mapping[str, Any] | None = None) -> AtlasConfig:
    """Return the config of a TOML file with flags laid over it; flag "featurevis.preset" reaches a table.

    Raises ConfigError that names the key and, for a file, its line.
    """
    text = _read(path) if path else ""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    _convert(values, f"{path}", text)
    for name, value in (flags or {}).items():
        table, _, key = name.rpartition(".")
        section = values.setdefault(table, {}) if table else values
        section[key] = value
    return _convert(values, "the command line", "")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"there is no config file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the config {path}: {error}") from error


def _convert(values: Mapping[str, Any], origin: str, text: str) -> AtlasConfig:
    try:
        return msgspec.convert(values, AtlasConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(_explained(str(error), origin, text)) from error


def _explained(message: str, origin: str, text: str) -> str:
    """Return msgspec's message with the key's line and, for an unknown key, the nearest known ones."""
    unknown = re.search(r"unknown field `([^`]+)`", message)
    at = re.search(r"at `\$\.?([^`]*)`", message)
    dotted = ".".join(filter(None, [at[1] if at else "", unknown[1] if unknown else ""]))
    dotted = re.sub(r"\[.*?\]", "", dotted)
    line = _line_of(dotted, text)
    where = f"{origin}, line {line}" if line else origin
    if unknown is None:
        plain = re.sub(r" - at `.*", "", message)
        return f"{where}: {dotted or 'the file'}: {plain[0].lower()}{plain[1:]}"
    return f"{where}: unknown setting {dotted}; {nearest(unknown[1], _known(dotted))}"


def _known(dotted: str) -> list[str]:
    section: Any = AtlasConfig
    for part in dotted.split(".")[:-1]:
        section = next((f.type for f in msgspec.structs.fields(section) if f.name == part), AtlasConfig)
    return [f.name for f in msgspec.structs.fields(section)]


def _line_of(dotted: str, text: str) -> int | None:
    """Return the line in which a dotted key is set, found by reading table headers and keys."""
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([\w.\-\"]+)\s*\]+", line)
        key = re.match(r"\s*([\w.\-\"]+)\s*=", line)
        if header:
            table = header[1].replace('"', "")
        name = ".".join(filter(None, [table, key[1].replace('"', "")])) if key else table
        if dotted and (name == dotted or (key and dotted.startswith(f"{name}."))):
            return number
    return None
