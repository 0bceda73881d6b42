"""A zoo name, a manifest, a frozen .pb, a Keras model, a SavedModel, PyTorch or ONNX -> Network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from inspect import isroutine
from os import PathLike, fspath
from pathlib import Path
from typing import Any, get_args

import numpy as np

from atlas.core.errors import AtlasError, ModelError, first_line
from atlas.core.preprocessing import Interpolation, Resizing
from atlas.model.cleaning.inputs import Held
from atlas.model.graph.admission import NONSENSE
from atlas.model.graph.files import parse_graph, sha256_of
from atlas.model.network import Network
from atlas.model.reading.assembly import network_of
from atlas.model.reading.foreign import refuse_file, refuse_folder
from atlas.model.reading.freezing import SAVED_MODEL, read_saved_model
from atlas.model.reading.frozen import Frozen
from atlas.model.reading.image_range import checked_range
from atlas.model.reading.keras import read_application, read_keras_file
from atlas.model.reading.manifest import MANIFEST, read_manifest
from atlas.model.reading.onnx import read_onnx
from atlas.model.reading.preprocessing import Preparation, named_preparation, standardized
from atlas.model.reading.source import TORCH_ZOOS, model_path, names_callable
from atlas.model.reading.torch_module import is_module, read_module, read_program
from atlas.model.reading.torch_sources import read_callable, read_zoo_module
from atlas.model.reading.torch_weights import refuse_weights
from atlas.model.reading.zoo import read_zoo

_GRAPHS = frozenset({".pb", ".pbtxt"})
_KERAS_FILES = frozenset({".keras", ".h5", ".hdf5"})
_ONNX = ".onnx"
# ".pth.tar" is what PyTorch's ImageNet example calls its files; they are no archives.
_WEIGHTS = (".pt", ".pth", ".bin", ".safetensors", ".pth.tar", ".pt.tar")
_PREPROCESSINGS = ("tf", "torch", "caffe", "none")


def load_model(
    source: Any,
    *,
    input_name: str | None = None,
    value_range: tuple[float, float] | None = None,
    input_shape: tuple[int | None, ...] | None = None,
    labels: Sequence[str] | None = None,
    name: str | None = None,
    preprocess: str | None = None,
    mean: float | Sequence[float] = (),
    std: float | Sequence[float] = (),
    channels: str = "rgb",
    inputs: Mapping[str, Any] | None = None,
    signature: str | None = None,
    custom_objects: Sequence[str] = (),
    unsafe: bool = False,
    weights: str | PathLike[str] = "",
    interpolation: Interpolation | None = None,
    crop: float | None = None,
) -> Network:
    """Return the network that `source` names; the other arguments override what the source states.

    `source` is a name of Lucid's zoo ("InceptionV1"), a folder with Lucid's manifest.json, a frozen
    GraphDef (.pb, .pbtxt), a Keras file (.keras, .h5), a Keras application, or a SavedModel folder, of
    which `signature` is read. "keras:MobileNetV2" has ImageNet's weights; "keras:MobileNetV2?weights=none"
    draws them at random, always the same. Of PyTorch it is a module, "timm:resnet18" or
    "torchvision:resnet18" (as with Keras, "?weights=none" draws weights at random), a .pt2 file, or
    "package.module:callable", whose code is run; `weights` is a file whose weights are put in. An ONNX file
    ends in .onnx.

    `value_range` holds the values that the graph expects for black and white. `input_shape` is (h, w, c),
    of PyTorch and ONNX (c, h, w). `labels` are the classes' names, in order. Either `preprocess` ("tf",
    "torch", "caffe" or "none", as in Keras) or `mean`, `std` (one number, or one for each channel) and
    `channels` ("rgb" or "bgr") describe the preprocessing that images need before the graph. Photographs
    are resized with the filter `interpolation`, by Pillow's name, and the share `crop` of their shorter
    side remains. Of several inputs, `input_name` takes the images; the others are held at zero, or at the
    values in `inputs`. `custom_objects` ("module:name") and, with `unsafe`, Lambda layers are code that is
    run. Raises ModelError.
    """
    text = type(source).__name__ if is_module(source) else _text_of(source)
    asked = _Reading(
        input_name=input_name or "",
        input_shape=tuple(input_shape) if input_shape is not None else None,
        signature=signature,
        custom_objects=tuple(custom_objects),
        unsafe=unsafe,
        weights=fspath(weights),
    )
    given: dict[str, Any] = {
        "input_tensor": input_name,
        "value_range": checked_range(value_range, text) if value_range is not None else None,
        "input_shape": asked.input_shape,
        "labels": tuple(labels) if labels is not None else None,
        "name": name,
        "held": Held(dict(inputs or {}), asked=True) if input_name or inputs else None,
        **_preparation(preprocess, mean, std, channels, value_range, text),
    }
    try:
        frozen = _of_module(source, text, asked) if is_module(source) else _read(text, asked)
        frozen = replace(frozen, resizing=_resizing(frozen.resizing, interpolation, crop))
        return network_of(_overridden(frozen, given))
    except AtlasError:
        raise
    except NONSENSE as error:
        raise ModelError(
            f"the graph of {text} makes no sense: {first_line(error)}",
            expected="a frozen network that TensorFlow can run",
            remedy="export it again",
        ) from error


def _of_module(module: Any, name: str, asked: _Reading) -> Frozen:
    if asked.weights:
        raise ModelError(
            "a module in Python has its weights", found=f"weights={asked.weights}", remedy="load them into it"
        )
    return read_module(module, name, asked.input_shape)


def _text_of(source: Any) -> str:
    """Return the name or path in a source; raises ModelError for an object that is neither."""
    if isinstance(source, (str, PathLike)):
        return str(fspath(source))
    kind, remedy = type(source).__name__, None
    if isinstance(source, Mapping):
        kind, remedy = "weights alone", "load them into a module with load_state_dict, and give the module"
    elif isinstance(source, type) or isroutine(source):
        kind = "a class" if isinstance(source, type) else "a function"
        remedy = (
            f"call it, and give the module that it makes: load_model({getattr(source, '__name__', 'it')}())"
        )
    raise ModelError(
        "load_model cannot read this object",
        found=kind,
        expected="a torch.nn.Module, or the name or path of a model",
        remedy=remedy,
    )


@dataclass(frozen=True)
class _Reading:
    """The arguments of `load_model` that readers of files need."""

    input_name: str
    """The input that takes images; "" where the user named none."""
    input_shape: tuple[int | None, ...] | None
    """(h, w, c), of PyTorch and ONNX (c, h, w); None for an unknown length, and where the user gave none."""
    signature: str | None
    """The signature of a SavedModel; None for its default."""
    custom_objects: tuple[str, ...]
    """Classes and functions for a Keras file, as "module:name"."""
    unsafe: bool
    """Whether a Keras file may hold Lambda layers, which are code."""
    weights: str
    """File of weights for a PyTorch model; "" for none."""


def _overridden(frozen: Frozen, given: Mapping[str, Any]) -> Frozen:
    """Return `frozen` with the user's values in place of its own; a preprocessing replaces its range."""
    changes = {key: value for key, value in given.items() if value is not None}
    changes |= {"range_given": True} if "value_range" in changes else {}
    if frozen.is_sized:
        changes.pop("input_shape", None)
    if "prepare_for" in changes and "value_range" not in changes:
        changes["value_range"] = None
    if "prepare_for" not in changes and "value_range" in changes and frozen.prepare_for is not None:
        # A source's range is replaced; a source's preprocessing of each channel stays.
        changes |= {"prepare_for": None} if frozen.prepare_for(3).is_range else {}
    return replace(frozen, **changes)


def _resizing(stated: Resizing, interpolation: Interpolation | None, crop: float | None) -> Resizing:
    """Return what a source states, with the user's values in place of its own; raises ModelError."""
    names = get_args(Interpolation)
    if interpolation and interpolation not in names:
        raise ModelError(f"no interpolation {interpolation!r}", expected=" | ".join(names))
    if crop is not None and not 0 < crop <= 1:
        raise ModelError("crop does not fit", found=crop, expected="a share above 0, at most 1")
    return replace(
        stated,
        interpolation=interpolation or stated.interpolation,
        crop=stated.crop if crop is None else float(crop),
    )


def _preparation(
    preprocess: str | None,
    mean: float | Sequence[float],
    std: float | Sequence[float],
    channels: str,
    value_range: tuple[float, float] | None,
    source: str,
) -> dict[str, Any]:
    """Return the fields of Frozen that follow from the user's preprocessing; raises ModelError.

    One number as mean or std counts for every channel.
    """
    means, deviations = (np.atleast_1d(each).tolist() for each in (mean, std))
    is_spelled_out = bool(means or deviations or channels != "rgb")
    prepare: Callable[[int], Preparation]
    if preprocess is None and not is_spelled_out:
        return {}
    if preprocess is not None:
        if preprocess not in _PREPROCESSINGS:
            raise ModelError(
                f"no preprocessing {preprocess!r}",
                expected=" | ".join(_PREPROCESSINGS),
                remedy="see --preprocess",
            )
        if is_spelled_out or (value_range is not None and preprocess != "none"):
            raise ModelError(
                f"--preprocess {preprocess} says how {source} takes its images",
                remedy="leave --value-range, mean, std and channels out",
            )
        if preprocess == "none" and value_range is not None:
            return {}
        prepare = partial(named_preparation, preprocess)
    else:
        if channels not in ("rgb", "bgr"):
            raise ModelError(f"no order of channels {channels!r}", expected="rgb | bgr")
        backwards = channels == "bgr"

        def prepare(count: int) -> Preparation:
            return standardized(
                means, deviations, channels=count, image_range=value_range, backwards=backwards
            )

    return {"prepare_for": prepare, "range_given": True}


def _read(source: str, asked: _Reading) -> Frozen:
    size, weights = asked.input_shape, asked.weights
    if source.startswith(TORCH_ZOOS):
        return read_zoo_module(source, size, weights)
    path = model_path(source)
    if path is None and names_callable(source):
        return read_callable(source, size, weights)
    if weights:
        raise ModelError(
            f"weights of their own are for PyTorch models, not for {source}",
            found=weights,
            remedy="leave --weights out, or name a model as timm:NAME or package.module:callable",
        )
    if source.startswith("keras:"):
        return read_application(source, size)
    if path is None:
        if Path(source).suffix in _GRAPHS | _KERAS_FILES | {_ONNX} or "/" in source:
            raise ModelError(f"no model at {source}", found="nothing", expected="a file or a folder")
        return read_zoo(source)
    try:
        return _read_folder(path, asked) if path.is_dir() else _read_file(path, asked)
    except OSError as error:
        raise ModelError(f"{source} cannot be read: {first_line(error)}") from error


def _read_folder(path: Path, asked: _Reading) -> Frozen:
    if (path / MANIFEST).is_file():
        return read_manifest(path)
    if (path / SAVED_MODEL).is_file():
        return read_saved_model(path, asked.signature)
    raise refuse_folder(path)


def _read_file(path: Path, asked: _Reading) -> Frozen:
    if path.name == MANIFEST:
        raise ModelError(f"{path} is not a model", remedy=f"name its folder, {path.parent}")
    if path.name.endswith(_WEIGHTS):
        refuse_weights(path)
    refuse_file(path)
    if path.suffix == ".pt2":
        return read_program(path, asked.input_shape)
    if path.suffix == _ONNX:
        return read_onnx(path, asked.input_shape)
    if path.suffix in _KERAS_FILES:
        return read_keras_file(
            path,
            input_name=asked.input_name,
            custom_objects=asked.custom_objects,
            unsafe=asked.unsafe,
        )
    data = path.read_bytes()
    return Frozen(path.stem, sha256_of(data), parse_graph(data, str(path)))
