"""PyTorch models by name: "timm:NAME", "torchvision:NAME", and "package.module:callable", which is run."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from atlas.core.errors import AtlasError, ModelError, first_line, nearest
from atlas.core.preprocessing import Resizing
from atlas.model.reading.frozen import Frozen
from atlas.model.reading.preprocessing import standardized
from atlas.model.reading.torch_export import as_line, line_of_user
from atlas.model.reading.torch_module import is_module, read_module, torch_module
from atlas.model.reading.torch_weights import load_weights

log = logging.getLogger(__name__)

# Random weights are drawn with this seed, so that a model without weights is always the same one.
RANDOM_WEIGHTS_SEED = 0


class ZooModule(NamedTuple):
    """A network of a library, and what the library says of its images."""

    module: Any
    """The torch.nn.Module."""
    size: tuple[int, int, int]
    """(c, h, w) of the images that it was trained on."""
    mean: tuple[float, ...]
    """Mean of each channel of images in 0 to 1, which is subtracted."""
    std: tuple[float, ...]
    """Deviation of each channel, by which images are divided."""
    labels: tuple[str, ...]
    """Names of the classes; none without the library's weights."""
    resizing: Resizing
    """How photographs get that size."""


def read_zoo_module(source: str, size: Sequence[int | None] | None, weights: str) -> Frozen:
    """Return the network that "timm:NAME" or "torchvision:NAME" names, with the library's preprocessing.

    "?weights=none" draws weights at random, always the same; "?weights=TAG" takes those of torchvision's
    name. `weights` is a file that replaces them, "" for none. Raises ModelError.
    """
    library, _, rest = source.partition(":")
    name, _, query = rest.partition("?")
    settings = dict(parse_qsl(query, keep_blank_values=True))
    tag = settings.pop("weights", "default").lower()
    if settings:
        raise ModelError(f"{source}: unknown setting {', '.join(settings)}", expected="weights")
    torch_module()
    package = _library(library)
    pretrained = tag != "none" and not weights
    build = _of_timm if library == "timm" else _of_torchvision
    found = build(package, source, name, tag if pretrained else "none")
    notes = load_weights(found.module, Path(weights)) if weights else []
    shown = name if pretrained or weights else f"{name} (random weights)"
    frozen = read_module(found.module, shown, size or found.size, notes=notes)
    preparation = standardized(found.mean, found.std, channels=len(found.mean), image_range=(0.0, 1.0))
    return replace(
        frozen,
        value_range=preparation.value_range,
        range_source=f"as {library} preprocesses for {name}",
        labels=found.labels,
        prepare_for=lambda channels: preparation,
        resizing=found.resizing,
    )


def read_callable(source: str, size: Sequence[int | None] | None, weights: str) -> Frozen:
    """Return the network that a callable in the working folder or an installed package makes.

    Its module is imported, which runs its code. The callable is a function without arguments or a class;
    `weights` is a file of weights for the module that it makes, "" for none. Raises ModelError.
    """
    torch = torch_module()
    name = source.partition(":")[2]
    with _working_folder(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_WEIGHTS_SEED)
        made = _imported(source)
        torch.manual_seed(RANDOM_WEIGHTS_SEED)
        module = made if is_module(made) else _called(made, source)
    notes = load_weights(module, Path(weights)) if weights else []
    if not weights and made is not module:
        notes = [*notes, f"no --weights: those that {name} sets, or random ones, always the same"]
    kind = type(module)
    # What people call a network is its class, not the function that makes it; `Sequential` says nothing.
    called = name if kind.__module__.startswith("torch.") else kind.__name__
    return read_module(module, called, size, notes=notes)


def _imported(source: str) -> Any:
    """Return what a source names in a module, which is run; raises ModelError."""
    place, _, name = source.partition(":")
    if place.endswith(".py"):
        raise ModelError(
            f"{source} names a file",
            expected="a module",
            remedy=f"name it as {place.removesuffix('.py')}:{name}",
        )
    top = place.partition(".")[0]
    if top in sys.modules or importlib.util.find_spec(top) is not None:
        log.warning("%s: the code of %s is run", source, place)
    try:
        made: Any = importlib.import_module(place)
    except ModuleNotFoundError as error:
        raise ModelError(
            f"no module {error.name} for {source}",
            expected="a module in the working folder, or an installed one",
            remedy="run circuit-atlas in the folder that holds it",
        ) from error
    except (Exception, SystemExit) as error:  # a user's code raises anything
        raise ModelError(
            f"{place} cannot be imported: {as_line(error)}",
            found=line_of_user(error) or None,
            remedy="see that `import` of it alone works, and starts no training",
        ) from error
    for part in name.split("."):
        if not hasattr(made, part):
            names = [each for each in dir(made) if not each.startswith("_")]
            raise ModelError(f"{place} has no {name!r}", remedy=nearest(part, names))
        made = getattr(made, part)
    return made


def _called(made: Any, source: str) -> Any:
    if not callable(made):
        raise ModelError(
            f"{source} is no callable", found=type(made).__name__, expected="a function or a class"
        )
    try:
        module = made()
    except (Exception, SystemExit) as error:  # a user's code raises anything
        line = line_of_user(error)
        remedy = "see that it runs alone, on this machine's processor"
        if not line:  # its own arguments are missing
            remedy = "write a function that calls it with its arguments, and name that"
        raise ModelError(
            f"{source}() fails: {as_line(error)}",
            found=line or None,
            expected="a callable without arguments that returns a module",
            remedy=remedy,
        ) from error
    if not is_module(module):
        raise ModelError(
            f"{source}() returns no network", found=type(module).__name__, expected="a torch.nn.Module"
        )
    return module


@contextlib.contextmanager
def _working_folder() -> Iterator[None]:
    """Let modules of the working folder be imported."""
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def _library(name: str) -> Any:
    """Return timm or torchvision; raises ModelError where it is not installed, or does not fit torch."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except (ImportError, RuntimeError) as error:
        raise ModelError(
            f"{name} cannot be imported: {first_line(error)}", remedy=f"pip install {name}"
        ) from error


def _built(source: str, build: Callable[[], Any]) -> Any:
    """Return a module with weights; the caller's random state stays as it is."""
    torch = torch_module()
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(RANDOM_WEIGHTS_SEED)
            return build()
    except AtlasError:
        raise
    except Exception as error:  # downloads and files fail in many ways
        raise ModelError(
            f"{source} cannot be built: {first_line(error)}",
            remedy="download the weights where there is a network, give --weights FILE, or use ?weights=none",
        ) from error


def _of_timm(timm: Any, source: str, name: str, tag: str) -> ZooModule:
    """Return a network of timm; raises ModelError."""
    if name.partition(".")[0] not in timm.list_models():
        raise ModelError(f"no timm model {name!r}", remedy=nearest(name, timm.list_models()))
    if tag not in ("none", "default"):
        raise ModelError(
            f"{source}: unknown weights {tag!r}",
            expected="none",
            remedy="name them in the model: timm:NAME.TAG",
        )
    module = _built(source, lambda: timm.create_model(name, pretrained=tag != "none"))
    settings = module.pretrained_cfg
    labels: tuple[str, ...] = ()
    if tag != "none" and settings.get("num_classes") == 1000:
        info = importlib.import_module("timm.data").ImageNetInfo()
        labels = tuple(info.index_to_description(index) for index in range(1000))
    # timm's own way to fill gaps in a configuration: https://github.com/huggingface/pytorch-image-models
    images = importlib.import_module("timm.data").resolve_data_config(pretrained_cfg=settings)
    if images["crop_mode"] not in ("center", "squash"):
        raise ModelError(
            f"{source} crops photographs in a way that is not known",
            found=images["crop_mode"],
            expected="center or squash",
            remedy="name code that makes it as package.module:callable, with --mean, --std and --crop",
        )
    resizing = Resizing(images["interpolation"], images["crop_pct"], images["crop_mode"] == "squash")
    return ZooModule(module, images["input_size"], images["mean"], images["std"], labels, resizing)


def _of_torchvision(torchvision: Any, source: str, name: str, tag: str) -> ZooModule:
    """Return a network of torchvision; raises ModelError."""
    models = torchvision.models
    if name not in models.list_models(module=models):
        raise ModelError(
            f"no torchvision model {name!r}", remedy=nearest(name, models.list_models(module=models))
        )
    known = models.get_model_weights(name)
    chosen = known.DEFAULT
    if tag not in ("none", "default"):
        tags = {each.name.lower(): each for each in known}
        if tag not in tags:
            raise ModelError(
                f"{source}: unknown weights {tag!r}", expected=", ".join(each.name for each in known)
            )
        chosen = tags[tag]
    transforms = chosen.transforms()
    (side,), (resized,) = transforms.crop_size, transforms.resize_size
    resizing = Resizing(transforms.interpolation.value, side / resized)
    weights = None if tag == "none" else chosen
    # Their own way to draw random weights takes a minute.
    settings = {"init_weights": False} if name in ("googlenet", "inception_v3") and weights is None else {}
    module = _built(source, lambda: models.get_model(name, weights=weights, **settings))
    labels = tuple(chosen.meta["categories"]) if tag != "none" else ()
    return ZooModule(module, (3, side, side), transforms.mean, transforms.std, labels, resizing)
