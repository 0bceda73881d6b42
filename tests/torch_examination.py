"""A PyTorch module is loaded as a user would load it, and compared with what PyTorch says of it."""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from torch_architectures import Drawn
from torch_linear import (
    ACTIVATIONS,
    KINKED,
    DoubleCopy,
    agrees,
    between,
    dependents,
    is_linear,
    op_of,
    slopes,
    span,
)
from torch_report import Report, described

import atlas
from atlas.core.errors import AtlasError
from atlas.core.neuron import Layer
from atlas.model.channels_first.torch_program import ProgramReader
from atlas.model.channels_first.values import Value
from atlas.model.network import Network
from torch_twin import exported, in_source, mixes, run, torch, values_in_torch

Array = NDArray[Any]
# The largest difference, as a part of the largest value; or twice PyTorch's own between float32 and float64.
CLOSE = 1e-5
NOISE, FLAT = 1e-2, 1e-8
KERNELS = {"conv2d": "Conv2d", "conv_transpose2d": "ConvTranspose2d", "linear": "Linear"}


def examine(net: Drawn) -> Report:
    """Load a drawn module, and compare all that PyTorch knows of it."""
    report, module = Report(), net.module()
    try:
        network, *read = loaded(module, net.size)
    except AtlasError as error:
        report.refusal = str(error)
        report.expect("one line", right="\n" not in str(error), detail=str(error))
        return report
    except Exception as error:
        report.failures.append(f"traceback: load: {described(error)}")
        return report
    if net.is_refused:
        report.expect("refusal", right=not mixes(module, net.size, CLOSE), detail="is read")
        return report
    examination = Examination(report, network, module, net)
    for check in (
        lambda: examination.values(*read),
        examination.layers,
        examination.fields,
        examination.weights,
    ):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                check()
        except Exception as error:
            report.failures.append(f"traceback: {described(error)}")
    return report


def loaded(module: Any, size: tuple[int, int, int]) -> tuple[Network, dict[str, Value], Any]:
    """Return the network that the product makes of a module, every value on the way, and their graph."""
    readers = []

    def graph_of(program: Any, source: str) -> Any:
        reader = ProgramReader(program, source)
        graph = reader.graph()
        readers.append((reader.values, copy.deepcopy(graph)))
        return graph

    with mock.patch("atlas.model.reading.torch_module.graph_of", graph_of):
        network = atlas.load_model(module, input_shape=size, value_range=(0, 1), name="net")
    values, graph = readers[-1]
    return network, {n.name: v for n, v in values.items() if isinstance(v, Value)}, graph


class Examination:
    """The comparisons of one network with PyTorch."""

    def __init__(self, report: Report, network: Network, module: Any, net: Drawn) -> None:
        """Take what is compared, and compute PyTorch's values."""
        self.report, self.network, self.net = report, network, net
        generator = torch.Generator().manual_seed(net.seed)
        self.images = torch.rand(3, *net.size, generator=generator)
        self.program = exported(module, self.images)
        found = values_in_torch(self.program, self.images)
        self.wanted = {name: value.detach() for name, value in found.items()}
        self.nodes = {node.name: node for node in self.program.graph.nodes}
        self.flat = dependents(self.program, self._flat())
        # The node of PyTorch's program that each layer is.
        self.same: dict[str, str] = {}
        self._double: dict[str, Any] | None = None

    def values(self, values: dict[str, Value], graph: Any) -> None:
        """Every value that both have is the same, on three images."""
        read = {k: v for k, v in values.items() if k in self.wanted and self.wanted[k].is_floating_point()}
        tensors = {name: value.tensor.name for name, value in read.items()}
        found = run(graph, tensors, self.images)
        for name, value in read.items():
            if name in self.flat:
                continue
            theirs = self.wanted[name].numpy()
            ours = in_source(value, found[name])
            if ours.shape != theirs.shape:
                self.report.expect("shape", right=False, detail=f"{name} is {ours.shape}, not {theirs.shape}")
                continue
            wrong = self._difference(name, ours, theirs)
            self.report.expect(
                "value", right=not wrong, detail=f"{name} = {self.nodes[name].target}: {wrong}"
            )

    def _difference(self, name: str, ours: Array, theirs: Array) -> str:
        """Return by how much a value differs where it is too much; "" else."""
        if not theirs.size:
            return ""
        by = float(np.abs(ours - theirs).max()) / max(float(np.abs(theirs).max()), 1e-30)
        if not by <= CLOSE:
            own = self._rounding(name)
            # Where little is left of large numbers, rounding is chance; of zeros nothing is right.
            if own < NOISE and not by <= (2 if own < CLOSE / 10 else 30) * own:
                return f"{by:.1e}, where PyTorch's float32 differs from its float64 by {own:.1e}"
        self.report.worst = max(self.report.worst, by)
        return ""

    def _flat(self) -> list[str]:
        """Return the norms of maps that are constant but for rounding, of which they make large numbers."""
        found = []
        for node in self.program.graph.nodes:
            if op_of(node) in ("instance_norm", "group_norm", "layer_norm"):
                x = self.wanted[node.all_input_nodes[0].name]
                dims = -1 if op_of(node) == "layer_norm" else tuple(range(2, x.ndim))
                if bool((x.var(dims, False) < FLAT * x.square().mean(dims)).any()):
                    found.append(node.name)
        return found

    def _rounding(self, name: str) -> float:
        """Return by how much PyTorch's own float32 differs from its float64."""
        theirs = self.wanted[name].numpy()
        return float(np.abs(self.double[name].numpy() - theirs).max()) / max(
            float(np.abs(theirs).max()), 1e-30
        )

    @property
    def double(self) -> dict[str, Any]:
        """PyTorch's values in double precision."""
        if self._double is None:
            with torch.no_grad():
                self._double = DoubleCopy(self.program, self._given()).values()
        return self._double

    def _given(self, *more: str) -> dict[str, Any]:
        """Return the values of the program's inputs, and of some nodes."""
        names = {n.name for n in self.program.graph.nodes if n.op == "placeholder"} | set(more)
        return {name: value for name, value in self.wanted.items() if name in names}

    def layers(self) -> None:
        """Each layer has the name of a module, and that module's value; each convolution is a layer."""
        names = [layer.name for layer in self.network.layers]
        modules = self._modules()
        found = self.network.activations(self.images.permute(0, 2, 3, 1).numpy(), names)
        for layer in self.network.layers:
            own = [n for n, path in modules.items() if path == layer.name.partition("/")[0]]
            self.report.expect("name", right=bool(own), detail=f"{layer.name} is no module")
            after = dependents(self.program, own)
            known = [n for n in self.wanted if n in after and self._is_same(found[layer.name], n)]
            right = bool(known) or any(n in self.flat or self._rounding(n) > NOISE for n in own)
            detail = f"{layer.name} {found[layer.name].shape} is no value"
            self.report.expect("layer", right=right, detail=detail)
            if known:
                self.same[layer.name] = known[0]
        for node, path in modules.items():
            value = self.wanted[node]
            if self._is_kernel(node) and value.ndim == 4:
                right = path in names or path in self.network.aliases
                self.report.expect("listing", right=right, detail=f"{path} is not among {names}")

    def _modules(self) -> dict[str, str]:
        """Return the path of the module that each node stands in; of the network's own, its own name."""
        paths = {}
        for name in self.wanted:
            stack = list((self.nodes[name].meta.get("nn_module_stack") or {"": ("", "")}).items())
            key, (path, _) = stack[-1]
            call = key.partition("@")[2]
            path = str(path).removeprefix("L['self'].")
            paths[name] = (f"{path}#{int(call) + 1}" if call else path) or name
        return paths

    def _is_kernel(self, name: str) -> bool:
        node = self.nodes[name]
        stack = list((node.meta.get("nn_module_stack") or {"": ("", "")}).values())
        return str(stack[-1][1]).endswith(f".{KERNELS.get(op_of(node), '?')}")

    def _is_same(self, ours: Array, name: str) -> bool:
        theirs = self.wanted[name].numpy()
        if ours.size != theirs.size or not theirs.size:
            return False
        ours = np.moveaxis(ours, -1, 1) if ours.ndim == 4 else ours
        theirs = theirs[:, :, None] if theirs.ndim == 3 else theirs
        theirs = theirs[:, None] if theirs.ndim == 1 else theirs
        laid_out = [theirs, np.moveaxis(theirs, -1, 1), np.moveaxis(theirs, -1, -2)]
        close = 10 * CLOSE * max(float(np.abs(theirs).max()), 1e-30)
        return any(a.shape == ours.shape and float(np.abs(ours - a).max()) <= close for a in laid_out)

    def fields(self) -> None:
        """The field of one layer is what the gradient of its middle in a linear copy depends on."""
        layers = [layer for layer in self.network.layers if self._has_field(layer)]
        if not layers:
            return
        layer = layers[self.net.seed % len(layers)]
        slope = self._slope(self._entry, layer.name, None)
        record = layer.receptive_field
        assert record is not None
        assert layer.shape is not None
        for axis in (0, 1):
            at, length = layer.shape[axis] // 2, self.net.size[1 + axis]
            begin = at * record.stride[axis] + record.offset[axis]
            told = max(math.floor(begin), 0), min(math.ceil(begin + record.size[axis]), length) - 1
            seen = span(slope, axis)
            if seen[1] < seen[0]:  # all gradients are zero: PyTorch does not tell
                continue
            right = told[0] <= seen[0] and seen[1] <= told[1]
            # Strides may leave out what is at the border.
            seen = tuple(t if t in (0, length - 1) else s for t, s in zip(told, seen, strict=True))
            exact = right and (told == seen or not self._is_way_linear(self._entry, self.same[layer.name]))
            detail = f"{layer.name} along {'hw'[axis]}: {told}, but depends on {seen} of {length}"
            self.report.expect("field", right=exact, detail=detail)

    def _has_field(self, layer: Layer) -> bool:
        node = self.same.get(layer.name)
        shape = self.wanted[node].shape if node else ()
        known = layer.receptive_field is not None and not layer.receptive_field.gated
        return known and tuple(shape[1:]) == (layer.n_channels, *(layer.shape or ()))

    @property
    def _entry(self) -> str:
        return str(self.program.graph_signature.user_inputs[0])

    def _slope(self, source: str, layer: str, channel: int | None) -> Array:
        target = self.same[layer]
        count = self.wanted[target].shape[1]
        generator = torch.Generator().manual_seed(0)
        weighed = torch.rand(count, generator=generator, dtype=torch.float64) + 0.5
        if channel is not None:
            weighed = torch.eye(count, dtype=torch.float64)[channel]
        identities = KINKED if channel is None else ACTIVATIONS
        return slopes(self.program, self._given(source), (source, target), weighed, identities)

    def weights(self) -> None:
        """The weights of one pair of layers are gradients of a linear copy, where the way is linear."""
        layers = [layer for layer in self.network.layers if layer.name in self.same and layer.shape]
        pairs = [
            (source, target)
            for i, target in enumerate(layers)
            for source in [None, *layers[:i]][-2:]
            if self._is_compared(source, target)
        ]
        if not pairs:
            return
        source, target = pairs[self.net.seed % len(pairs)]
        start = self.same[source.name] if source else self._entry
        try:
            weights = atlas.expanded_weights(self.network, source.name if source else "input", target.name)
        except AtlasError as error:
            self.report.compared[f"weights refused: {str(error)[:60]}"] = 1
            return
        for channel in {0, target.n_channels - 1}:
            slope = self._slope(start, target.name, channel)
            right = agrees(np.moveaxis(weights[..., channel], 2, 0), slope, CLOSE)
            title = (
                f"{source.name if source else 'input'} to {target.name}, channel {channel}, {weights.shape}"
            )
            if right is not None:
                self.report.expect("weights", right=right, detail=title)

    def _is_compared(self, source: Layer | None, target: Layer) -> bool:
        start = self.same[source.name] if source else self._entry
        values = self.wanted[start], self.wanted[self.same[target.name]]
        channels = source.n_channels if source else self.net.size[0], target.n_channels
        if any(v.ndim != 4 or v.shape[1] != n for v, n in zip(values, channels, strict=True)):
            return False
        return start != self.same[target.name] and self._is_way_linear(start, self.same[target.name])

    def _is_way_linear(self, source: str, target: str) -> bool:
        moving, nodes = dependents(self.program, [self._entry]), between(self.program, source, target)
        return bool(nodes) and all(is_linear(node, moving) for node in nodes)
