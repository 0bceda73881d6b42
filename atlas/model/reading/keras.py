"""Keras files and Keras applications -> frozen graphs whose nodes have the Keras layers' names."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import logging
import random
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import numpy as np

from atlas.core.errors import ModelError, first_line, nearest
from atlas.model.cleaning.inputs import set_aside
from atlas.model.graph.admission import check_image_size
from atlas.model.graph.backend import tf
from atlas.model.graph.files import graph_digest
from atlas.model.graph.view import node_of
from atlas.model.reading.freezing import fill, freeze
from atlas.model.reading.frozen import Frozen
from atlas.model.reading.keras_contents import check_keras_file
from atlas.model.reading.keras_names import rename_nodes, scopes_of_layers
from atlas.model.reading.keras_objects import custom_objects_of, read_by_keras_2
from atlas.model.reading.preprocessing import preparation_of

log = logging.getLogger(__name__)

# Random weights are drawn with this seed, so that a model without weights is always the same one.
RANDOM_WEIGHTS_SEED = 0
# The node of a Keras model's only input; the input may also be given by this name.
_INPUT_NODE = "input"
# ImageNet's, for an application that takes images of any size.
_USUAL_SIDE = 224
T = TypeVar("T")


def read_application(source: str, input_shape: Sequence[int | None] | None = None) -> Frozen:
    """Return the Keras application that "keras:NAME" or "keras:NAME?weights=none" names; raises ModelError.

    `input_shape` is (h, w, c). Images enter as RGB. The preprocessing that the weights expect becomes the
    value range, or is put in front of the graph where it differs between channels.
    """
    name, weights = _parse(source)
    builder = application(name)
    preprocess = importlib.import_module(builder.__module__).preprocess_input
    prepare = preparation_of(preprocess)
    check_image_size(input_shape or (), source)
    model = apart(lambda: _build(builder, weights, source, input_shape))
    size = _application_size(model, input_shape)
    graph_def, aliases = apart(partial(freeze_keras, model))
    del model
    gc.collect()  # a model refers to itself, and its weights are in the graph now
    return Frozen(
        name=name if weights else f"{name} (random weights)",
        sha256=graph_digest(graph_def),
        graph_def=graph_def,
        input_tensor=f"{_INPUT_NODE}:0",
        aliases=aliases,
        input_shape=size,
        value_range=prepare.value_range,
        range_source=f"as keras.applications preprocesses for {name}",
        labels=_imagenet_labels() if weights == "imagenet" else (),
        prepare_for=lambda channels: prepare,
    )


def _application_size(model: Any, asked: Sequence[int | None] | None) -> tuple[int | None, ...]:
    """Return the size (h, w, c) of an application's images: each length as asked, as built, or ImageNet's."""
    built = tuple(model.input_shape[1:])
    wanted = tuple(asked) if asked is not None and len(asked) == 3 else (None, None, None)
    usual = (_USUAL_SIDE, _USUAL_SIDE, 3)
    return tuple(a or b or c for a, b, c in zip(wanted, built, usual, strict=True))


def application(name: str) -> Callable[..., Any]:
    """Return the function of keras.applications with this name; raises ModelError."""
    applications = keras_module().applications
    names = [each for each in dir(applications) if each[:1].isupper()]
    if name not in names:
        raise ModelError(f"no Keras application {name!r}", remedy=nearest(name, names))
    builder: Callable[..., Any] = getattr(applications, name)
    return builder


def read_keras_file(
    path: Path, *, input_name: str = "", custom_objects: Sequence[str] = (), unsafe: bool = False
) -> Frozen:
    """Return the model in a .keras or .h5 file; raises ModelError where Keras cannot read it.

    `input_name` is the input that takes images. `custom_objects` are "module:name"; their modules are
    imported, which runs them. `unsafe` allows Lambda layers, which are code.
    """
    objects = custom_objects_of(custom_objects)
    check_keras_file(path, allowed=objects, unsafe=unsafe)
    try:
        model = apart(lambda: _loaded(path, objects, unsafe))
    except Exception as error:  # Keras passes on errors of many types
        model = apart(partial(read_by_keras_2, path, objects, error))
    if not getattr(model, "inputs", None):
        raise ModelError(
            f"{path} does not say what it reads",
            expected="a functional or sequential model with an input",
            remedy="call it once on images before it is saved, or export it as a SavedModel",
        )
    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    if not any(len(shape) == 4 for shape in shapes):
        found = "input " + " and ".join(map(str, shapes))
        raise ModelError(f"{path} does not read images", found=found, expected="(n, h, w, c)")
    for shape in shapes:
        check_image_size(shape[1:], str(path))
    try:
        graph_def, aliases = apart(partial(freeze_keras, model, input_name))
    except Exception as error:  # custom layers may raise any error when they are called
        raise ModelError(f"{path} cannot be frozen: {first_line(error)}") from error
    del model
    gc.collect()  # a model refers to itself, and its weights are in the graph now
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if objects or unsafe:
        # With other code of the user's, the same file is another network.
        digest = hashlib.sha256(f"{digest} {graph_digest(graph_def)}".encode()).hexdigest()
    return Frozen(
        name=path.stem,
        sha256=digest,
        graph_def=graph_def,
        input_tensor=f"{_INPUT_NODE}:0" if len(shapes) == 1 else None,
        aliases=aliases,
    )


def _loaded(path: Path, objects: dict[str, Any], unsafe: bool) -> Any:
    load = keras_module().models.load_model
    return load(path, compile=False, safe_mode=not unsafe, custom_objects=objects or None)


def freeze_keras(model: Any, input_name: str = "") -> tuple[Any, dict[str, str]]:
    """Return a Keras model's frozen graph, with nodes named after its layers, and its inputs: name -> tensor.

    A single input becomes the node "input"; several inputs keep their names. Nodes that do not depend on
    `input_name` move to a separate scope, so that a layer that several inputs share keeps its name.
    """
    names = [tensor.name.partition(":")[0] for tensor in model.inputs]
    nodes = [_NOT_IN_SCOPES.sub("_", name) for name in names] if len(names) > 1 else [_INPUT_NODE]
    specs = [
        tf.TensorSpec([None, *tensor.shape[1:]], tf.as_dtype(tensor.dtype), name=node)
        for node, tensor in zip(nodes, model.inputs, strict=True)
    ]
    # The model's inputs as it takes them: one tensor, a list or a dictionary. Keras 2 uses another name.
    struct = getattr(model, "_inputs_struct", getattr(model, "_nested_inputs", None))

    def run(*images: Any) -> Any:
        if isinstance(struct, (list, tuple, dict)):
            return model(tf.nest.pack_sequence_as(struct, images), training=False)
        return model(images[0], training=False)

    call = tf.function(run, autograph=False)
    with scopes_of_layers(model) as layers, _unfolded():
        hollow = freeze(call.get_concrete_function(*specs))
    graph_def, entries = hollow.graph_def, hollow.entries
    aliases = dict(zip(names, entries, strict=True))
    if len(entries) == 1:
        aliases[_INPUT_NODE] = entries[0]
    chosen = aliases.get(input_name) or aliases.get(node_of(input_name)) or entries[0]
    set_aside(graph_def, chosen, [entry for entry in entries if entry != chosen])
    return fill(rename_nodes(graph_def, layers, keep=chosen), hollow.weights), aliases


# Characters that the name of a placeholder may not have.
_NOT_IN_SCOPES = re.compile(r"[^A-Za-z0-9_.\\/>-]")


@contextlib.contextmanager
def _unfolded() -> Iterator[None]:
    """Inline the functions inside a traced one: Keras compiles grouped convolutions to functions."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def keras_module() -> Any:
    """Return the module keras; raises ModelError where it runs on a backend other than TensorFlow."""
    # Other backends make no TensorFlow graph.
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


def _build(
    builder: Callable[..., Any], weights: str | None, source: str, size: Sequence[int | None] | None
) -> Any:
    """Return the model, its random weights drawn from a fixed seed; the caller's random state is restored.

    It is built for images of `size` where Keras can, else for the application's own size.
    """
    state = random.getstate()
    random.seed(RANDOM_WEIGHTS_SEED)
    try:
        if size is not None and None not in size:
            with contextlib.suppress(Exception):  # some weights fit only images of one size
                return builder(weights=weights, input_shape=tuple(size))
            random.seed(RANDOM_WEIGHTS_SEED)
        return builder(weights=weights)
    except Exception as error:  # downloads and files fail in many ways
        remedy = "download the weights where there is a network, or use ?weights=none"
        raise ModelError(f"{source} cannot be built: {first_line(error)}", remedy=remedy) from error
    finally:
        random.setstate(state)


def _imagenet_labels() -> tuple[str, ...]:
    """Return Keras's names of ImageNet's classes; () where they cannot be downloaded."""
    order = np.arange(1000, 0, -1, dtype=np.float32)[None]
    decode = importlib.import_module("keras.applications.imagenet_utils").decode_predictions
    try:
        return tuple(str(label).replace("_", " ") for _, label, _ in decode(order, top=1000)[0])
    except Exception as error:  # a download fails in many ways
        log.warning("the names of ImageNet's classes cannot be fetched: %s", first_line(error))
        return ()


def apart(work: Callable[[], T]) -> T:
    """Call `work` in a new thread, and return its result.

    Keras counts layers ("conv2d_1") separately in each thread. In a new thread, their names do not depend
    on models built before, and the caller's next models are numbered as if this one had not been built.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with warnings.catch_warnings():  # Keras warns of its own code
                warnings.simplefilter("ignore", DeprecationWarning)
                results.append(work())
        except BaseException as error:  # it is raised again below, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
