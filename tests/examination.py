"""A network is loaded as a user would load it, and compared with what its oracle says."""

from __future__ import annotations

import dataclasses
import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from architectures import Architecture
from atlas.analysis.weights import expanded_weights
from atlas.cli.model_report import model_lines
from atlas.core.errors import AtlasError, LayerError
from atlas.core.neuron import INPUT, Layer
from atlas.featurevis.recipe import PRESETS, Recipe, picture_size
from atlas.featurevis.render import Renderer
from atlas.model.carriers import carrier, upstream_layer
from atlas.model.network import Network
from atlas.model.reading.load import load_model
from oracles import CLOSE, MOST_PHASES, Boxes, Copy, Oracle, trimmed

Array = NDArray[Any]
MOST_PAIRS, MOST_CHANNELS = 8, 3


@dataclass(frozen=True)
class Finding:
    """A difference between a network and its oracle: its kind, and what differs."""

    kind: str
    detail: str


@dataclass
class Report:
    """What was found out of one architecture, and how many comparisons of each kind were made.

    `refusals` are messages for users, in one line; they are no failures.
    """

    failures: list[Finding] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    compared: dict[str, int] = field(default_factory=dict)

    def expect(self, kind: str, *, right: bool, detail: str) -> None:
        """Count a comparison, and keep it where it is not right."""
        self.compared[kind] = self.compared.get(kind, 0) + 1
        if not right:
            self.failures.append(Finding(kind, detail))

    def attempt(self, kind: str, work: Callable[[], Any]) -> Any:
        """Return what work returns; what it raises is a refusal where it is for users, else a failure."""
        try:
            return work()
        except AtlasError as error:
            lines = str(error).splitlines()
            self.refusals.append(f"{kind}: {type(error).__name__}: {lines[0]}")
            self.expect("one line", right=len(lines) == 1, detail=str(error))
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            found = f"{type(error).__name__}: {str(error)[:400]} ({place})"
            self.failures.append(Finding(f"traceback: {kind}", found))
        return None


def examine(architecture: Architecture, seed: int, folder: Path, *, picture: bool = False) -> Report:
    """Build an architecture, load it, and compare all that its oracle knows; `folder` takes its file."""
    report = Report()
    oracle = Oracle(architecture, seed)
    path = folder / f"drawn{seed}.keras"
    oracle.real.model.save(path)
    told = None if architecture.entry else (0.0, 1.0)
    network = report.attempt("load", lambda: load_model(path, value_range=told))
    if network is not None:
        Examination(report, network, oracle).run(picture=picture)
    return report


class Examination:
    """The comparisons of one network with its oracle."""

    def __init__(self, report: Report, network: Network, oracle: Oracle) -> None:
        """Take what is compared, and where findings are kept."""
        self.report, self.network, self.oracle = report, network, oracle
        # The Keras tensor that each layer is.
        self.same: dict[str, str] = {}

    def run(self, *, picture: bool) -> None:
        """Make all comparisons; one that fails does not keep the others from being made."""
        attempt = self.report.attempt
        attempt("range", self._range)
        attempt("info", lambda: list(model_lines(self.network)))
        attempt("listing", self._listing)
        attempt("answers", self._answers)
        attempt("fields", self._fields)
        attempt("weights", self._weights)
        if picture:
            attempt("picture", self._picture)

    def _range(self) -> None:
        right = self.oracle.low, self.oracle.high
        found = self.network.value_range
        self.report.expect("range", right=np.allclose(found, right), detail=f"{found} is not {right}")
        # What else is compared needs the right one.
        self.network = dataclasses.replace(self.network, value_range=right)

    def _listing(self) -> None:
        names = [layer.name for layer in self.network.layers]
        expected = self.oracle.flat.expected
        for name in dict.fromkeys(expected):
            holding = [listed for listed in names if name in listed]
            shared = expected.count(name) > 1
            right = len(holding) >= expected.count(name) if shared else bool(holding) or self._finds(name)
            uses = f"{expected.count(name)} uses of {name}" if shared else name
            self.report.expect("listing", right=right, detail=f"{uses} not among {names}")

    def _finds(self, name: str) -> bool:
        try:
            return bool(self.network.layer(name))
        except LayerError:
            return False

    def _answers(self) -> None:
        """Every layer named after a Keras layer is a tensor of that model, on three images at once."""
        names = [layer.name for layer in self.network.layers]
        values = self.network.activations(self.oracle.images, names)
        for name in names:
            found = self.oracle.named(values[name])
            if found:
                # Of channels that are zero on all images, those of the same name.
                own = [one for one in found if one.startswith(name.rpartition("/")[2])]
                self.same[name] = (own or found)[0]
            known = any(name.rpartition("/")[2] == e for e in self.oracle.flat.expected)
            if known or found:
                finite = bool(np.isfinite(values[name]).all())
                detail = f"{name} {values[name].shape} (finite: {finite}) is no tensor of the Keras model"
                self.report.expect("answer", right=bool(found), detail=detail)

    def _fields(self) -> None:
        tensors = self.oracle.support.built.tensors
        layers = [one for one in self.network.layers if self.same.get(one.name) in tensors]
        boxes = self.oracle.fields([self.same[layer.name] for layer in layers])
        for layer in layers:
            wrong = self._wrong_field(layer, boxes[self.same[layer.name]])
            self.report.expect("field", right=not wrong, detail=f"{layer.name}: {wrong}")

    def _wrong_field(self, layer: Layer, boxes: tuple[Boxes, Boxes]) -> str:
        if layer.receptive_field is None:
            return f"has no field, but depends on {boxes}"
        found, by = layer.receptive_field, self.oracle.support.around
        own = self.oracle.values[self.same[layer.name]].shape
        moved = self.oracle.support.moved(self.same[layer.name], own)
        for axis, seen in enumerate(boxes):
            window = found.size[axis], found.stride[axis], found.offset[axis]
            wrong = _wrong_axis(window, seen, stride=Fraction(by[axis], moved[axis]))
            if wrong:
                return f"along {'hw'[axis]} {wrong}"
        return ""

    def _weights(self) -> None:
        images = operating_images(self.network)
        larger, own = self.oracle.linear(images)
        for source, target in self._pairs():
            self.report.attempt(
                f"weights {source} to {target}",
                lambda source=source, target=target: self._pair(source, target, larger, own),
            )

    def _pairs(self) -> list[tuple[str, str]]:
        """Return the pairs of neighbouring layers, from the image on; some where there are many."""
        trunk = [layer.name for layer in self.network.trunk]
        pairs = [(INPUT, trunk[0]), *pairwise(trunk)] if trunk else []
        pairs += [(upstream_layer(self.network, layer, ()), layer.name) for layer in self.network.layers]
        # In between, the pairs that the eye would choose: not all of a deep network.
        found = list(dict.fromkeys(pairs))
        step = max(1, math.ceil(len(found) / MOST_PAIRS))
        return found[::step]

    def _pair(self, source: str, target: str, larger: Copy, own: Copy) -> None:
        tensor = carrier(self.network, source, target)
        starts = [INPUT] if source == INPUT else self._tensors(tensor)
        if not starts and source in self.same:
            # What carries the source on is part of a Keras layer: its weights are as good from the source.
            tensor, starts = source, [self.same[source]]
        end = self.same.get(target)
        copies = [(start, copy) for start in starts if (copy := self._copy(start, end, larger, own))]
        if not copies or end is None:
            return
        weights = expanded_weights(self.network, INPUT if source == INPUT else tensor, target)
        channels = sorted({0, weights.shape[3] // 2, weights.shape[3] - 1})[:MOST_CHANNELS]
        # Of two parts that are the same, like two pools of one map, either may be meant.
        wrong = [self._wrong_weights(weights[..., channels], s, end, channels, copy) for s, copy in copies]
        detail = f"{tensor} ({starts}) to {target} ({end}), window {weights.shape[:2]}: {wrong[0]}"
        self.report.expect("weights", right=not all(wrong), detail=detail)

    def _wrong_weights(self, found: Array, start: str, end: str, channels: list[int], copy: Copy) -> str:
        right = self.oracle.slopes(copy, start, end, channels)
        right = right * (self.oracle.high - self.oracle.low) if start == INPUT else right
        return _unlike(trimmed(found), trimmed(right))

    def _copy(self, start: str, end: str | None, larger: Copy, own: Copy) -> Copy | None:
        """Return the copy in which a way can be seen: a whole map where the way leads over all positions.

        None where the copies lack an end of the way, or where borders are near: behind attention.
        """
        if {start, end} <= {INPUT, *larger.built.tensors}:
            return larger
        both = {start, end} <= {INPUT, *own.built.tensors}
        return own if both and (start == INPUT or start in larger.built.tensors or self._dense(end)) else None

    def _dense(self, end: str | None) -> bool:
        return end is not None and self.oracle.values[end].ndim == 2

    def _tensors(self, tensor: str) -> list[str]:
        value = self.network.activations(self.oracle.images, [tensor])[tensor]
        return self.oracle.named(value)

    def _picture(self) -> None:
        layers = self.network.layers
        layer = layers[self.oracle.seed // 5 % len(layers)]
        neuron = self.oracle.seed % layer.n_channels
        try:
            draw_one(self.report, self.network, layer, neuron)
        except LayerError as error:
            self._refused_picture(layer, neuron, error)

    def _refused_picture(self, layer: Layer, neuron: int, error: LayerError) -> None:
        """Take a refusal to draw for right only where the neuron says the same of all images of noise."""
        images = np.random.default_rng(0).random((64, *self.network.input_shape), np.float32)
        values = self.network.activations(images, [layer.name])[layer.name][..., neuron]
        if float(np.ptp(values)) <= CLOSE * float(np.abs(values).max()):
            raise error
        span = f"{values.min():.3g} to {values.max():.3g}"
        self.report.expect("picture", right=False, detail=f"values of noise are {span}, but: {error}")


def draw_one(report: Report, network: Network, layer: Layer, neuron: int) -> None:
    """Expect that a draft picture of a neuron is finite and shows something."""
    size = picture_size(layer, network.input_shape)[0]
    recipe = Recipe(preset=PRESETS["draft"], size=size, precision="float32")
    with Renderer(network, layer, recipe, batch=1, sessions=1) as renderer:
        _, image, _ = next(iter(renderer.render([neuron])))
    right = bool(np.isfinite(image).all()) and float(np.std(image)) > 1e-3
    report.expect("picture", right=right, detail=f"{layer.name}:{neuron} is constant or not finite")


def operating_images(network: Network) -> Array:
    """Return the images in 0 to 1 on which the network takes gates and statistics."""
    return np.stack(list(network.operating_point.images()))


def _wrong_axis(window: tuple[int, float, float], seen: Boxes, *, stride: Fraction) -> str:
    """Return how a (size, stride, offset) differs from the pixels seen by position; nothing if it is right.

    Where positions see windows that do not move on evenly, as after upsampling, they lie as near to the
    line of the offset and the stride as one line can be.
    """
    size, step, offset = window
    largest = max((last - first + 1 for first, last in seen.values()), default=0)
    if abs(step - float(stride)) > 1e-6:
        return f"stride {step}, but {stride} in a larger image"
    if size < largest or (size > largest and len(seen) < MOST_PHASES):
        return f"size {size}, but gradients reach over {largest}: {seen}"
    starts = [first - position * stride for position, (first, _) in seen.items()]
    slack = math.ceil((max(starts) - min(starts)) / 2) if starts else 0
    for position, (first, last) in seen.items():
        start = offset + position * step
        if first < math.floor(start) - slack or last > math.ceil(start) + size - 1 + slack:
            return f"position {position} begins at {start}, but gradients at {first} to {last}"
    return ""


def _unlike(found: Array, right: Array) -> str:
    """Return how two windows differ, nothing where they are the same."""
    if found.shape != right.shape:
        return f"support {found.shape}, but gradients {right.shape}"
    largest = float(np.abs(right).max(initial=0))
    error = float(np.abs(found - right).max(initial=0))
    return f"differs by {error / largest:.2g} of the largest" if error > CLOSE * largest else ""
