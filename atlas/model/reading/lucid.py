"""The only access to Lucid: import Lucid 0.3.8 under TensorFlow 2, and convert networks to its models.

Lucid is written for TensorFlow 1. While it is imported, `tensorflow` stands for `tensorflow.compat.v1`,
with a `contrib` that has the two modules that Lucid uses. Afterwards sys.modules is as before.
"""

from __future__ import annotations

import importlib
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from atlas.core.errors import ModelError
from atlas.model.graph.backend import tf
from atlas.model.graph.view import node_of
from atlas.model.network import Network

_IMPORTING = threading.Lock()


@dataclass(frozen=True)
class LucidModules:
    """Lucid's modules that the project uses."""

    render: Any
    """`lucid.optvis.render`: the loop of feature visualization."""
    param: Any
    """`lucid.optvis.param`: parametrizations of images, like Fourier coefficients."""
    objectives: Any
    """`lucid.optvis.objectives`: what is optimized, like a channel of a layer."""
    transform: Any
    """`lucid.optvis.transform`: random jitter, scaling and rotation."""
    vision_models: Any
    """`lucid.modelzoo.vision_models`: the models of the zoo."""
    vision_base: Any
    """`lucid.modelzoo.vision_base`: the classes Model and Layer."""
    reading: Any
    """`lucid.misc.io.reading`: downloads, through a cache."""


def lucid_modules() -> LucidModules:
    """Return Lucid's modules, imported on the first call."""
    with _IMPORTING, _as_tensorflow_1(), _logging_unchanged(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LucidModules(
            render=importlib.import_module("lucid.optvis.render"),
            param=importlib.import_module("lucid.optvis.param"),
            objectives=importlib.import_module("lucid.optvis.objectives"),
            transform=importlib.import_module("lucid.optvis.transform"),
            vision_models=importlib.import_module("lucid.modelzoo.vision_models"),
            vision_base=importlib.import_module("lucid.modelzoo.vision_base"),
            reading=importlib.import_module("lucid.misc.io.reading"),
        )


def lucid_model(network: Network) -> Any:
    """Return a Lucid Model of a network, for functions like `render.render_vis`.

    Layers have the atlas's names, tensors those of the graph.
    """
    base = lucid_modules().vision_base
    model = base.Model()
    model.graph_def = _with_aliases(network)
    model.input_name = network.input_tensor
    model.image_shape = list(network.input_shape)
    model.image_value_range = network.value_range
    model.labels = list(network.labels) or None
    model.layers = [
        base.Layer(type(model), layer.name, layer.n_channels, ["dense" if layer.kind == "dense" else "conv"])
        for layer in network.layers
    ]
    return model


def read_remote(url: str, *, afresh: bool = False) -> bytes:
    """Return the bytes at a gs://, http:// or https:// address, through Lucid's cache.

    `afresh` first removes them from the cache. Raises ModelError where they cannot be downloaded.
    """
    reading = lucid_modules().reading
    log = logging.getLogger(reading.__name__)
    quiet, log.disabled = log.disabled, True
    try:
        return bytes(reading.read(url, cache="purge" if afresh else None))
    except (OSError, tf.errors.OpError) as error:
        cache = reading.local_cache_path(url)
        remedy = f"check the network, or put the file at {cache}"
        raise ModelError(f"{url} cannot be read: {error}", remedy=remedy) from error
    finally:
        log.disabled = quiet


def rotate(images: Any, angles: Any, interpolation: str = "NEAREST", name: str | None = None) -> Any:
    """Return images [n, h, w, c] rotated counterclockwise about their centres, zero outside.

    `angles` are in radians, one for all images or one for each. Replaces tf.contrib.image.rotate, with the
    same transform and default interpolation: output (x, y) takes the input at
    (cos x - sin y + x0, sin x + cos y + y0).
    """
    images = tf.convert_to_tensor(images)
    size = tf.shape(images)[1:3]
    h, w = (tf.cast(size[axis] - 1, tf.float32) for axis in (0, 1))
    angle = tf.reshape(tf.cast(angles, tf.float32), [-1])
    cos, sin, zero = tf.cos(angle), tf.sin(angle), tf.zeros_like(angle)
    x0 = (w - (cos * w - sin * h)) / 2
    y0 = (h - (sin * w + cos * h)) / 2
    turned = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([cos, -sin, x0, sin, cos, y0, zero, zero], axis=1),
        output_shape=size,
        fill_value=0.0,
        interpolation=interpolation,
        fill_mode="CONSTANT",
        name=name,
    )
    turned.set_shape(images.shape)
    return turned


class _TensorFlow1(ModuleType):
    """The module `tensorflow` that Lucid imports: compat.v1, and `contrib`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(tf.compat.v1, name)


def _modules() -> dict[str, ModuleType]:
    """Return the modules, by name, that replace TensorFlow in sys.modules while Lucid is imported."""
    stand_in, contrib = _TensorFlow1("tensorflow"), ModuleType("tensorflow.contrib")
    slim, image = ModuleType("tensorflow.contrib.slim"), ModuleType("tensorflow.contrib.image")
    vars(stand_in).update(__path__=list(tf.__path__), contrib=contrib)
    vars(contrib).update(__path__=[], slim=slim, image=image)
    vars(image).update(rotate=rotate)
    return {module.__name__: module for module in (stand_in, contrib, slim, image)}


@contextmanager
def _as_tensorflow_1() -> Iterator[None]:
    stand_ins = _modules()
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


@contextmanager
def _logging_unchanged() -> Iterator[None]:
    """Undo Lucid's logging.basicConfig, which would make the whole program print its log."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def _with_aliases(network: Network) -> Any:
    """Return a copy of the graph with an Identity for every layer whose name is not a node's."""
    graph_def = tf.compat.v1.GraphDef()
    graph_def.CopyFrom(network.graph_def)
    for layer in network.layers:
        if layer.name not in network.view.nodes:
            source = network.view.nodes[node_of(layer.tensor)]
            node = graph_def.node.add(name=layer.name, op="Identity", input=[layer.tensor])
            node.attr["T"].CopyFrom(source.attr["T"])
    return graph_def
