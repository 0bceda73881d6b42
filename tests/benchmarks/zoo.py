"""Runs every application that Keras ships through the atlas, and writes a table with a row a network.

    ATLAS_SHARED=../shared python tests/benchmarks/zoo.py --out zoo.jsonl [--only MobileNetV2] [--docs]

For each, with random weights: `info`; a draft build of two neurons in three layers with 20 photographs, and
`check`; the network's answer to an image against Keras's own, with its `preprocess_input`; expanded weights
of two pairs of neighbours and receptive fields of three layers against gradients in copies that Keras makes.
Networks of more than 400 MB by `info` and one layer. What stands in the file is not run again.
`--docs` writes the table into docs/models.md.
"""

from __future__ import annotations

import importlib
import math
import random
import sys
import time
from itertools import pairwise
from typing import Any

from zoo_rows import (
    MEGABYTE,
    SECONDS,
    Row,
    Zoo,
    build,
    in_own_process,
    measured,
    notes,
    number,
    parser,
    problems,
    wrong_field,
)

LARGE = 400
# Seconds after which no further field is compared: the gradients are in double precision.
PATIENCE = 100
CLOSE = 1e-4
# Cells that read the two before them, as NASNet's, leave no trunk: then neighbours are layers beside it.
FEW = 8
# Random weights of Keras's let values fall from layer to layer.
TINY = 1e-30
# Rounding of float32.
EPSILON = 1.2e-7
MARKS = "<!-- applications: written by tests/benchmarks/zoo.py -->", "<!-- end of applications -->"
HEADS = (
    "network", "MB", "layers", "info, s", "info, MB", "bound, MB", "build, s", "build, MB", "problems",
    "weights differ by", "fields right", "answer differs by", "range", "notes",
)  # fmt: skip


def names() -> list[str]:
    """Return the applications that this Keras ships."""
    applications = importlib.import_module("keras").applications
    return [
        name for name in dir(applications) if name[:1].isupper() and callable(getattr(applications, name))
    ]


def examined(name: str, _: Row) -> Row:
    """Return the row of a network: `info`, the comparisons in a process of their own, a build."""
    source = f"keras:{name}?weights=none"
    row: Row = {"network": name, "notes": []}
    code, row["info_s"], row["info_mb"], said = measured(
        [sys.executable, "build.py", "info", source], SECONDS
    )
    if code:
        row["notes"].append(f"info: {said}")
        return row
    found = in_own_process(__file__, name)
    row |= {**found, "notes": [*row["notes"], *found["notes"]]}
    if row.get("chosen"):
        build(row, source, n_photographs=20)
    return row


def compare(name: str) -> Row:
    """Return what is compared with Keras in this process."""
    import numpy as np

    from atlas.model.reading.keras import application
    from atlas.model.reading.load import load_model

    network = load_model(f"keras:{name}?weights=none")
    builder = application(name)
    model = _same_model(builder, network.input_shape)
    prepare = importlib.import_module(builder.__module__).preprocess_input
    trunk = [layer for layer in network.trunk if layer.name != network.output and layer.shape]
    n_bytes = 4 * sum(int(np.prod(weight.shape)) for weight in model.weights)
    large = n_bytes > LARGE * MEGABYTE
    chosen = [trunk[0]] if large else [trunk[0], trunk[len(trunk) // 2], trunk[-1]]
    row: Row = {"mb": n_bytes / MEGABYTE, "n_layers": len(network.layers), "notes": []}
    if not large and len(trunk) < FEW:
        beside = _beside(network, model)
        chosen = [trunk[0], beside[len(beside) // 2], trunk[-1]]
    chosen = list(dict.fromkeys(chosen))
    row["chosen"] = [layer.name for layer in chosen]
    row["range"] = [float(value) for value in network.value_range]
    row["range_right"] = _documented(prepare, row["range"])
    image = np.random.default_rng(0).random((1, *network.input_shape), np.float32)
    row["answer"] = _answer(row, network, model, prepare, image)
    if not large:
        _weights(row, network, model, prepare)
        _fields(row, network, model, prepare, chosen)
    return row


def _beside(network: Any, model: Any) -> list[Any]:
    """Return the layers that have Keras's names, on the trunk and beside it."""
    known = {layer.name for layer in model.layers}
    return [layer for layer in network.layers if layer.shape and layer.name in known]


def _same_model(builder: Any, shape: tuple[int, ...]) -> Any:
    """Return the application with the random weights of "?weights=none": Keras's own, of a fixed seed."""
    from atlas.model.reading.keras import RANDOM_WEIGHTS_SEED, apart

    random.seed(RANDOM_WEIGHTS_SEED)
    return apart(lambda: builder(weights=None, input_shape=shape))


def _documented(prepare: Any, found: list[float]) -> bool:
    """Return whether black and white are those of `preprocess_input`, or 0 and 255 where channels differ."""
    import numpy as np

    ends = np.stack([prepare(np.full((1, 1, 3), value, np.float32)).ravel() for value in (0.0, 255.0)])
    alike = all(np.ptp(end) < 1e-4 for end in ends)
    right = ends.mean(1) if alike else np.array([0.0, 255.0])
    return bool(np.allclose(found, right, atol=1e-3))


def _answer(row: Row, network: Any, model: Any, prepare: Any, image: Any) -> float:
    """Return by how much a late map differs from Keras's own, as a part of its largest value.

    It is the last of four layers of the trunk at which rounding does not change Keras's own answer: in a
    deep network of random weights it grows from layer to layer, until nothing can be compared.
    """
    from atlas.model.graph.backend import tf

    trunk = [one for one in network.trunk if one.shape]
    rounded = image * (1 + EPSILON)
    for part in (1, 3 / 4, 1 / 2, 1 / 4):
        layer = trunk[round(part * len(trunk)) - 1]
        found = network.activations(image, [layer.name])[layer.name]
        # The layer's name may be that of the convolution or of the activation behind it.
        outputs = [other.output for other in model.layers]
        right = [one for one in outputs if tuple(getattr(one, "shape", ()))[1:] == found.shape[1:]]
        copy = tf.keras.Model(model.inputs, right)
        values, others = (_arrays(copy(prepare(each * 255.0), training=False)) for each in (image, rounded))
        differs, own = min((_apart(found, a), _apart(b, a)) for a, b in zip(values, others, strict=True))
        if own < CLOSE:
            break
        row["notes"].append(f"at {layer.name} rounding of the image changes Keras's own answer by {own:.0e}")
    return differs


def _arrays(values: Any) -> list[Any]:
    import numpy as np

    return [np.asarray(value) for value in (values if isinstance(values, (list, tuple)) else [values])]


def _apart(found: Any, right: Any) -> float:
    import numpy as np

    return float(np.abs(found - right).max() / max(np.abs(right).max(), TINY))


def _keras_names(network: Any, model: Any, prepare: Any, layers: list[Any]) -> dict[str, str]:
    """Return the layer of Keras whose output a layer of the atlas is, found by its values."""
    import numpy as np

    from atlas.model.graph.backend import tf

    image = np.random.default_rng(1).random((1, *network.input_shape), np.float32)
    values = network.activations(image, [layer.name for layer in layers])
    wanted = {value.shape[1:] for value in values.values()}
    tensors = {o.name: o.output for o in model.layers if tuple(getattr(o.output, "shape", ()))[1:] in wanted}
    outputs = {str(i): tensor for i, tensor in enumerate(tensors.values())}
    answers = tf.keras.Model(model.inputs, outputs)(prepare(image * 255.0), training=False)
    known = {name: np.asarray(answers[str(i)]) for i, name in enumerate(tensors)}
    found = {}
    for layer in layers:
        value = values[layer.name]
        # The layer of the same name first: with random weights sums are nearly what they add to.
        for name in sorted(known, key=lambda other: other != layer.name):
            right = known[name]
            close = CLOSE * max(float(np.abs(right).max()), TINY)
            if right.shape == value.shape and np.allclose(value, right, rtol=0, atol=close):
                found[layer.name] = name
                break
    return found


def _weights(row: Row, network: Any, model: Any, prepare: Any) -> None:
    """Compare the expanded weights of an early and of a late pair of neighbouring trunk layers."""
    import numpy as np

    from atlas.analysis.weights import expanded_weights
    from atlas.core.errors import AtlasError
    from atlas.model.carriers import upstream_layer
    from examination import operating_images
    from keras_twin import KerasTwin
    from oracles import trimmed

    trunk = [layer for layer in network.trunk if layer.shape and layer.name != network.output]
    pairs = list(pairwise(trunk))
    if len(pairs) < FEW:
        listed = _beside(network, model)
        pairs = [(network.layer(upstream_layer(network, layer, listed)), layer) for layer in listed[1:]]
    asked = list(dict.fromkeys((pairs[len(pairs) // 4], pairs[len(pairs) // 2])))
    same = _keras_names(
        network, model, prepare, list({layer.name: layer for p in asked for layer in p}.values())
    )
    twin = KerasTwin(model, prepare(operating_images(network) * 255.0))
    row["weights"], row["pairs"] = [], []
    for source, target in asked:
        try:
            weights = expanded_weights(network, source.name, target.name)
        except AtlasError as error:
            row["notes"].append(f"{source.name} to {target.name}: {error}")
            continue
        if source.name not in same or target.name not in same:
            row["notes"].append(f"{source.name} or {target.name} is no layer of Keras")
            continue
        channels = [0, weights.shape[3] - 1]
        right = trimmed(twin.slopes(same[source.name], same[target.name], channels))
        found = trimmed(weights[..., channels])
        alike = found.shape == right.shape
        row["pairs"].append(f"{source.name} to {target.name} {weights.shape}")
        row["weights"].append(float(np.abs(found - right).max() / np.abs(right).max()) if alike else math.inf)


def _fields(row: Row, network: Any, model: Any, prepare: Any, layers: list[Any]) -> None:
    """Compare the fields of layers, within the image, with what gradients reach."""
    import numpy as np

    from keras_twin import KerasTwin

    same = _keras_names(network, model, prepare, layers)
    twin = KerasTwin(model, np.zeros((1, *network.input_shape)), positive=True)
    right, start = 0, time.monotonic()
    for layer in layers:
        if layer.name not in same:
            row["notes"].append(f"{layer.name} is no layer of Keras")
            continue
        if time.monotonic() - start > PATIENCE:
            row["notes"].append(f"field of {layer.name} not compared: those before took {PATIENCE} s")
            continue
        wrong = wrong_field(layer, network.input_shape, twin.boxes(same[layer.name]))
        right += not wrong
        row["notes"] += [f"field of {layer.name}: {wrong}"] if wrong else []
    row["fields"] = [right, len(layers)]


def cells(row: Row) -> list[str]:
    """Return the cells of a row."""
    weights, fields = row.get("weights") or [], row.get("fields")
    bound = f"{2.5 * row['mb'] + 700:.0f}" if row.get("mb") else ""
    span = row.get("range") and "{:g} to {:g}".format(*row["range"])
    return [
        row["network"], number(row, "mb"), number(row, "n_layers"), number(row, "info_s"),
        number(row, "info_mb"), bound, number(row, "build_s"), number(row, "build_mb"), problems(row),
        f"{max(weights):.1g}" if weights else "", "{}/{}".format(*fields) if fields else "",
        number(row, "answer", "{:.1g}"), (span or "") + ("" if row.get("range_right", True) else " (wrong)"),
        notes(row),
    ]  # fmt: skip


if __name__ == "__main__":
    zoo = Zoo("models.md", MARKS, HEADS, names, examined, compare, cells)
    zoo.run(parser(__doc__, "zoo.jsonl").parse_args())
