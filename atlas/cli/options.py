"""The options of the commands, and the config that is made from them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from atlas.cli.config_file import names_setting, read_config
from atlas.core.config import DEMO, AtlasConfig

Decorator = Callable[[Callable[..., None]], Callable[..., None]]

# In a parameter's name, "__" stands between a table of the config and its key.
_FOLDERS = [
    click.option("--store", help="Folder for artefacts; default: the site's name with .store."),
    click.option("--site", help="Folder for the site; default: site."),
]
_WEB = [
    click.option("--url", "web__url", help="Where the site will be published: https://a.org/atlas/."),
    click.option("--redirects", "web__redirects", help="JSON file of former addresses and new ones."),
    click.option(
        "--packed",
        "web__packed",
        type=click.Choice(["auto", "always", "never"]),
        help="Two files a neuron and not six; auto: above 2,000 neurons.",
    ),
    click.option(
        "--images", "web__images", help="Where images/ will be, if on another host: https://b.org/atlas/."
    ),
]
_OPTIONS = [
    click.option(
        "--model",
        help="A .keras, .pb, .pt2 or .onnx file, a folder, keras:NAME, timm:NAME, torchvision:NAME, "
        "package.module:callable, or a name of Lucid's zoo.",
    ),
    click.option(
        "--layers",
        help='Layer names with commas; "auto": the last of each resolution; "all": those on every path.',
    ),
    click.option("--neurons", help="Restrict to neurons: mixed3b:320-339,mixed4a."),
    *_FOLDERS,
    click.option("--examples", help="Folder of images, for dataset examples."),
    click.option("--title", help="Title of the atlas."),
    click.option("--seed", type=int, help="Seed of everything random."),
    click.option("--preset", "featurevis__preset", help="Feature visualization: draft, standard, full."),
    click.option(
        "--variants",
        "featurevis__variants",
        help="Pictures to draw: neuron,channel,neuron-negative,channel-negative.",
    ),
    click.option(
        "--top", "connections__top", type=int, help="Connections shown for each neuron; default: 50."
    ),
    click.option("--factors", "nmf__factors", type=int, help="Factors for each neuron, 1 to 6; default: 3."),
    click.option(
        "--positions",
        "directions__positions",
        help="Neurons whose weights to draw position by position: none, families, all, top 10, or names.",
    ),
    click.option(
        "--factor-pictures", "directions__factors", help="Neurons whose factors to draw, as for --positions."
    ),
    *_WEB,
    click.option("--width", "weights__width", type=int, help="Crop windows to at most this many positions."),
]
# How to read a model that does not say so itself.
_READING = [
    click.option("--input", "model_options__input", help="The input that takes the images, like data:0."),
    click.option(
        "--value-range",
        "model_options__value_range",
        help="The values of black and white that a .pb expects: 0,255.",
    ),
    click.option(
        "--preprocess",
        "model_options__preprocess",
        help="What images need before the graph: tf, torch (ImageNet's mean and std), caffe, none.",
    ),
    click.option(
        "--input-shape",
        "model_options__input_shape",
        help="Height, width, channels: 224,224,3; of PyTorch and ONNX 3,224,224.",
    ),
    click.option(
        "--weights",
        "model_options__weights",
        help="File of weights for a PyTorch model: .pth, .pt, .bin, .safetensors.",
    ),
    click.option("--mean", "model_options__mean", help="Mean to subtract: 0.485,0.456,0.406."),
    click.option("--std", "model_options__std", help="Deviation to divide by: 0.229,0.224,0.225."),
    click.option("--channels", "model_options__channels", help="Order of the channels: rgb or bgr."),
    click.option(
        "--interpolation",
        "model_options__interpolation",
        help="Filter that resizes photographs: bilinear, bicubic, lanczos, box, hamming, nearest.",
    ),
    click.option(
        "--crop",
        "model_options__crop",
        type=float,
        help="Share of a photograph's shorter side that is kept: 0.875 is 224 of 256 px.",
    ),
    click.option("--labels", "model_options__labels", help="Text file with the classes' names, one a line."),
    click.option("--signature", "model_options__signature", help="Which signature of a SavedModel to read."),
    click.option("--bands", "model_options__bands", help="Channels shown as red, green, blue: 3,2,1."),
    click.option(
        "--custom-objects",
        "model_options__custom_objects",
        help="Classes of a Keras file, module:name with commas; their code is run.",
    ),
    click.option(
        "--unsafe",
        "model_options__unsafe",
        is_flag=True,
        default=None,
        help="Allow Lambda layers: code in a Keras file is run.",
    ),
]
# Where the work runs.
_PLACES = [
    click.option(
        "--workers",
        "engine__workers",
        type=int,
        help="Processes on this machine that draw; default: this one.",
    ),
    click.option("--scheduler", "engine__scheduler", help="Draw on a Dask cluster: tcp://10.0.0.1:8786."),
    click.option(
        "--scheduler-file", "engine__scheduler_file", help="The same, by the file that the scheduler wrote."
    ),
    click.option(
        "--worker-resources",
        "engine__resources",
        help="Draw on the cluster's workers that have these: GPU=1.",
    ),
]
_RENDERING = [
    click.option("--archive", is_flag=True, help="Also pack the site into one zip file next to it."),
    click.option(
        "--jobs", type=click.IntRange(1, 64), help="Processes that write pages; default: the cores."
    ),
]
# How a site is published.
_PUBLISHING = [
    click.option("--apply", is_flag=True, help="Do what the plan says."),
    click.option(
        "--part",
        type=click.Choice(["all", "images", "pages"]),
        default="all",
        help="Send only images/, or all but it (see render --images).",
    ),
    click.option("--keep-stale", is_flag=True, help="Keep files that the site no longer has."),
    click.option(
        "--allow-foreign", is_flag=True, help="Publish into a target that holds other files; they are kept."
    ),
    click.option(
        "--allow-broken-links",
        is_flag=True,
        help="Allow deleting published pages that the site no longer has.",
    ),
    click.option("--endpoint", default="", help="Address of a host that speaks S3, or Google's."),
    click.option("--region", default="", help="Region of an S3 bucket."),
    click.option(
        "--credentials",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="File with the key: as in ~/.aws/credentials, or a Google service account's.",
    ),
    click.option(
        "--timeout", type=click.FloatRange(min=0.1), default=120.0, help="Seconds for one file; default: 120."
    ),
    click.option(
        "--uploads",
        "n_uploads",
        type=click.IntRange(1, 256),
        default=32,
        help="Simultaneous uploads; default: 32.",
    ),
]
_CONFIG = click.argument("config", type=click.Path(path_type=Path), required=False)
_MODEL = click.argument("model", required=False)
_IMAGES = click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of labelled photographs: say how many the model names.",
)
_LISTS = (
    "featurevis.variants",
    *(
        f"model_options.{name}"
        for name in ("value_range", "input_shape", "mean", "std", "bands", "custom_objects")
    ),
)
_RESOURCES = "engine.resources"


def _adding(options: Sequence[Decorator]) -> Decorator:
    """Return a decorator that adds options to a command, in this order."""
    return lambda function: functools.reduce(lambda made, option: option(made), reversed(options), function)


# A TOML file as argument, and the options that make a config.
configured = _adding([_CONFIG, *_OPTIONS, *_READING])
# For `render`: a TOML file and the options that have an effect once everything is computed.
shown = _adding([_CONFIG, *_FOLDERS, *_WEB])
# A model as argument, and the options that say how to read it.
reading_a_model = _adding([_MODEL, _IMAGES, *_READING])
foretelling = click.option("--dry-run", is_flag=True, help="Say what would be made and how long, then stop.")
retrying = click.option("--retry-failed", is_flag=True, help="Try again what could not be made before.")
placed = _adding(_PLACES)
# How a site is written.
rendering = _adding(_RENDERING)
publishing = _adding(_PUBLISHING)


def config_of(arguments: dict[str, Any]) -> AtlasConfig:
    """Return the config of a command's arguments; raises ConfigError."""
    flags = {
        name.replace("__", "."): value
        for name, value in arguments.items()
        if name != "config" and value is not None
    }
    for name in _LISTS:
        if name in flags:
            flags[name] = [_number(part) for part in flags[name].split(",")]
    if _RESOURCES in flags:
        parts = [part.partition("=") for part in flags[_RESOURCES].split(",")]
        flags[_RESOURCES] = {name.strip(): _number(value) for name, _, value in parts}
    return read_config(arguments.get("config"), flags)


def chooses_layers(arguments: dict[str, Any], config: AtlasConfig) -> bool:
    """Return whether layers were chosen: by a flag, by neurons, in the config file, or by taking the demo."""
    is_set = arguments.get("layers") is not None or bool(config.neurons) or config.model == DEMO
    return is_set or (arguments.get("config") is not None and names_setting(arguments["config"], "layers"))


def words_of(config: AtlasConfig) -> list[str]:
    """Return the options that name the model and say how to read it, as they were given to this command."""
    words, context = ["--model", config.model], click.get_current_context()
    for option in context.command.params:
        value = context.params.get(option.name or "")
        if isinstance(option, click.Option) and value not in (None, False):
            # Labelled photographs serve as dataset examples, too.
            name = "--examples" if option.name == "images" else option.opts[0]
            words += [name] if option.is_flag else [name, str(value)]
    return words


def illustrated(config: AtlasConfig) -> AtlasConfig:
    """Return the config; for the demo without examples, with the folder of its drawings as examples."""
    if config.model != DEMO or config.examples:
        return config
    return msgspec.structs.replace(config, examples=str(config.store_path / "drawings"))


def _number(text: str) -> float | int | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip()
