"""Keras files and Keras applications -> frozen graphs whose nodes bear the Keras layers' names."""

from __future__ import annotations

import hashlib
import importlib
import logging
import random
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray

from atlas.errors import ModelError, nearest
from atlas.model.assembly import Frozen
from atlas.model.backend import tf
from atlas.model.freezing import first_line, freeze
from atlas.model.keras_contents import check_keras_file
from atlas.model.keras_names import rename_nodes, scopes_of_layers

log = logging.getLogger(__name__)

# Random weights are drawn with this seed, so that a model without weights is always the same one.
RANDOM_WEIGHTS_SEED = 0
INPUT = "input"
T = TypeVar("T")


@dataclass(frozen=True)
class Preparation:
    """What an image needs before a Keras model: output channel i is scale[i] * image[order[i]] + shift[i].

    The image has values 0 to 255. With equal scales and shifts, in RGB order, it is a value range.
    """

    order: tuple[int, ...]
    scale: NDArray[np.float32]
    shift: NDArray[np.float32]

    @property
    def value_range(self) -> tuple[float, float]:
        """The values of black and white where they enter the graph."""
        if self.is_range:
            low = float(self.shift[0])
            return low, round(float(self.scale[0]) * 255 + low, 4)
        return 0.0, 255.0

    @property
    def is_range(self) -> bool:
        """Whether all channels are treated alike."""
        alike = bool(np.all(self.scale == self.scale[0]) and np.all(self.shift == self.shift[0]))
        return alike and self.order == tuple(range(len(self.order)))

    def apply(self, images: Any) -> Any:
        """Return images, 0 to 255, as the model expects them; nothing is done for a mere range."""
        if self.is_range:
            return images
        ordered = tf.reverse(images, [-1]) if self.order == (2, 1, 0) else images
        return ordered * self.scale + self.shift


def preparation_of(preprocess: Callable[[Any], Any]) -> Preparation:
    """Return what a `preprocess_input` of keras.applications does, found by trying it on pixels."""
    probe = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).astype(np.float32).reshape(4, 1, 1, 3)
    seen = np.asarray(preprocess(probe.copy()), np.float32).reshape(4, 3)
    # Shifts that preprocessing makes by subtraction come out with rounding noise; 1e-4 of 255 is below it.
    slopes = np.round((seen[1:] - seen[0]) / 255, 7)
    order = tuple(int(i) for i in np.abs(slopes).argmax(axis=0))
    scale = slopes[list(order), [0, 1, 2]]
    if order not in ((0, 1, 2), (2, 1, 0)):
        raise ModelError("the model's preprocessing mixes channels", found=order, expected="RGB or BGR")
    return Preparation(order, scale.astype(np.float32), seen[0])


def read_application(source: str) -> Frozen:
    """Return the Keras application in "keras:NAME" or "keras:NAME?weights=none".

    Images enter as RGB; the preprocessing that the weights expect is told as the value range, or laid
    in front of the graph where it treats channels differently. Raises ModelError.
    """
    name, weights = _parse(source)
    builder = application(name)
    preprocess = importlib.import_module(builder.__module__).preprocess_input
    prepare = preparation_of(preprocess)
    model = _apart(lambda: _build(builder, weights, source))
    graph_def, entry = _apart(lambda: freeze_keras(model, prepare))
    return Frozen(
        name=name if weights else f"{name} (random weights)",
        sha256=hashlib.sha256(graph_def.SerializeToString(deterministic=True)).hexdigest(),
        graph_def=graph_def,
        input_tensor=entry,
        input_shape=tuple(model.input_shape[1:]),
        value_range=prepare.value_range,
        labels=_imagenet_labels() if weights == "imagenet" else (),
    )


def application(name: str) -> Callable[..., Any]:
    """Return the function of keras.applications that builds this model; raises ModelError."""
    applications = _keras().applications
    names = [each for each in dir(applications) if each[:1].isupper()]
    if name not in names:
        raise ModelError(f"no Keras application {name!r}", remedy=nearest(name, names))
    builder: Callable[..., Any] = getattr(applications, name)
    return builder


def read_keras_file(path: Path) -> Frozen:
    """Return the model in a .keras or .h5 file; raises ModelError where Keras cannot read it.

    A model that rescales its images itself reads 0 to 255; of others the value range is not known.
    """
    check_keras_file(path)
    try:
        model = _apart(lambda: _keras().models.load_model(path, compile=False, safe_mode=True))
    except Exception as error:  # Keras raises what the file's parts raise
        raise ModelError(f"{path} cannot be read as a Keras model: {first_line(error)}") from error
    graph_def, entry = _apart(lambda: freeze_keras(model, None))
    rescales = any(type(layer).__name__ == "Rescaling" for layer in model.layers[:3])
    return Frozen(
        name=path.stem,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        graph_def=graph_def,
        input_tensor=entry,
        input_shape=tuple(_image_shape(model, str(path))),
        value_range=(0.0, 255.0) if rescales else None,
    )


def freeze_keras(model: Any, prepare: Preparation | None) -> tuple[Any, str]:
    """Return a Keras model's frozen graph, nodes named after its layers, and its input tensor."""
    spec = tf.TensorSpec([None, *model.input_shape[1:]], tf.float32, name=INPUT)
    ready = prepare.apply if prepare else lambda images: images
    call = tf.function(lambda images: model(ready(images), training=False), autograph=False)
    with scopes_of_layers(model) as names:
        graph_def, entry = freeze(call.get_concrete_function(spec))
    return rename_nodes(graph_def, names, keep=entry), entry


def _image_shape(model: Any, where: str) -> tuple[int | None, ...]:
    shape = model.input_shape
    if isinstance(shape, tuple) and len(shape) == 4:
        return shape[1:]
    raise ModelError(f"{where} does not read images", found=f"input {shape}", expected="(n, h, w, c)")


def _keras() -> Any:
    # Under TensorFlow; another backend chosen for Keras has no graph to show.
    module = importlib.import_module("keras")
    if module.config.backend() != "tensorflow":
        remedy = "unset KERAS_BACKEND"
        raise ModelError("Keras runs on another backend", found=module.config.backend(), remedy=remedy)
    return module


def _parse(source: str) -> tuple[str, str | None]:
    """Return the application's name and its weights, None for random ones."""
    name, _, query = source.removeprefix("keras:").partition("?")
    settings = dict(parse_qsl(query, keep_blank_values=True))
    weights = settings.pop("weights", "imagenet")
    if settings:
        raise ModelError(f"{source}: unknown setting {', '.join(settings)}", expected="weights")
    return name, None if weights.lower() == "none" else weights


def _build(builder: Callable[..., Any], weights: str | None, source: str) -> Any:
    """Return the model, its random weights drawn from a seed; the caller's random state stays as it is."""
    state = random.getstate()
    random.seed(RANDOM_WEIGHTS_SEED)
    try:
        return builder(weights=weights)
    except Exception as error:  # downloads and files fail in many ways
        remedy = "download the weights where there is a network, or use ?weights=none"
        raise ModelError(f"{source} cannot be built: {first_line(error)}", remedy=remedy) from error
    finally:
        random.setstate(state)


def _imagenet_labels() -> tuple[str, ...]:
    """Return ImageNet's class names as Keras knows them; none where they cannot be fetched."""
    order = np.arange(1000, 0, -1, dtype=np.float32)[None]
    decode = importlib.import_module("keras.applications.imagenet_utils").decode_predictions
    try:
        return tuple(str(label).replace("_", " ") for _, label, _ in decode(order, top=1000)[0])
    except Exception as error:  # it is fetched from the network
        log.warning("the names of ImageNet's classes cannot be fetched: %s", first_line(error))
        return ()


def _apart(work: Callable[[], T]) -> T:
    """Do Keras's work in a thread of its own, and return its result.

    Keras numbers layers ("conv2d_1") in a state that each thread has for itself: so the names do not
    depend on what was built before, and the caller's models are left alone.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with warnings.catch_warnings():  # Keras's own, of its own code
                warnings.simplefilter("ignore", DeprecationWarning)
                results.append(work())
        except BaseException as error:  # raised again below, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
