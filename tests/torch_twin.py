"""PyTorch as the oracle for what the atlas reads: values of a program node by node, and gradients."""

from __future__ import annotations

import importlib.util
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.model.channels_first.torch_program import ProgramReader, taken_apart
from atlas.model.channels_first.values import BATCH, Value
from atlas.model.graph.backend import tf
from atlas.model.reading.torch_export import decomposed, quiet

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'circuit-atlas[torch]'")


def declare_vision_ops() -> Any:
    """Let torchvision be imported next to a torch without CUDA, whose operators its own do not fit.

    None of the networks uses them. Return what has to be kept.
    """
    found = importlib.util.find_spec("torchvision")
    if found is None or not found.submodule_search_locations:
        pytest.skip("torchvision is not installed")
    text = (Path(found.submodule_search_locations[0]) / "_meta_registrations.py").read_text()
    names = {*re.findall(r'register_(?:fake|meta)\("(?:torchvision::)?(\w+)"', text), "nms"}
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in sorted(names):
        try:
            library.define(f"{name}(Tensor x) -> Tensor")
        except RuntimeError:  # it is there
            continue
    return library


def exported(module: Any, images: Any) -> Any:
    """Return a module's program for images of this shape."""
    with torch.no_grad(), quiet():
        return taken_apart(decomposed(module.eval(), images.shape[1:], images.shape[0]))


def images_of(size: tuple[int, int, int], n: int = 3) -> Any:
    """Return different images [n, c, h, w] in -1 to 1."""
    return torch.rand(n, *size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def perturbed(module: Any) -> Any:
    """Return the module with norms, gains and biases that differ by channel where they were all the same."""
    torch.manual_seed(0)
    for each in module.modules():
        if isinstance(each, torch.nn.modules.batchnorm._BatchNorm) and each.running_mean is not None:
            each.running_mean.normal_(0, 0.1)
            each.running_var.uniform_(0.5, 1.5)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.min() == parameter.max():
                scale, shift = torch.empty_like(parameter), torch.empty_like(parameter)
                parameter.mul_(scale.uniform_(0.5, 1.5)).add_(shift.normal_(0, 0.1))
    return module.eval()


def tensors_of(program: Any) -> dict[str, Any]:
    """Return the parameters, buffers and constants of a program, by the names of their nodes."""
    signature = program.graph_signature
    names = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    tensors = {**program.constants, **program.state_dict}
    return {node: tensors[name] for node, name in names.items()}


def mixes(module: Any, size: tuple[int, int, int], close: float) -> bool:
    """Return whether PyTorch's answer to an image depends on the images beside it, or on chance.

    `close` is what may differ, relative to the largest. Behind constant maps there may be nothing to mix.
    """
    images = torch.cat([torch.rand(2, *size), torch.zeros(1, *size), torch.ones(1, *size)])

    def answer(images: Any) -> Any:
        found = module(images)
        return torch.cat([each.flatten(1) for each in (found if isinstance(found, tuple) else (found,))], 1)

    with torch.no_grad():
        together, backwards = answer(images), answer(images.flip(0)[:3])
    return float((together[1:] - backwards.flip(0)).abs().max()) > close * float(together.abs().max())


def values_in_torch(program: Any, images: Any) -> dict[str, Any]:
    """Return the value of every node of a program, by the node's name, in the precision of the images."""
    tensors = {
        name: tensor.to(images.dtype) if tensor.is_floating_point() else tensor
        for name, tensor in tensors_of(program).items()
    }
    holders = [node.name for node in program.graph.nodes if node.op == "placeholder"]
    arguments = [tensors.get(name, images) for name in holders]
    values: dict[str, Any] = {}

    class Recorder(torch.fx.Interpreter):  # type: ignore[misc, name-defined]
        def run_node(self, n: Any) -> Any:
            value = super().run_node(n)
            if isinstance(value, torch.Tensor):
                values[n.name] = value
            return value

    with torch.no_grad():
        Recorder(program.graph_module).run(*arguments)
    return values


@dataclass(frozen=True)
class Comparison:
    """A module's values in its graph and in PyTorch, on three different images."""

    reader: ProgramReader
    """What wrote the graph, for any number of images."""
    graph_def: Any
    """The graph."""
    program: Any
    """The program that torch.export makes for three images."""
    images: Any
    """These images, (n, c, h, w)."""
    wanted: dict[str, Any]
    """PyTorch's values, by node."""
    differences: dict[str, float]
    """The largest difference to PyTorch, relative to the value's maximum, by node."""


def compared(module: Any, size: tuple[int, int, int]) -> Comparison:
    """Compare every value of a module that depends on the image with PyTorch's."""
    images = images_of(size)
    reader = ProgramReader(exported(module, torch.empty(BATCH, *size)), "net")
    graph_def, program = reader.graph(), exported(module, images)
    wanted = values_in_torch(program, images)
    values = {
        node.name: v
        for node, v in reader.values.items()
        if isinstance(v, Value) and node.name in wanted and wanted[node.name].is_floating_point()
    }
    assert values, "nothing depends on the image"
    results = run(graph_def, {name: v.tensor.name for name, v in values.items()}, images)
    differences = {
        name: relative(in_source(v, results[name]), wanted[name].numpy()) for name, v in values.items()
    }
    return Comparison(reader, graph_def, program, images, wanted, differences)


def relative(found: Any, right: Any) -> float:
    """Return the largest difference of two arrays of one shape, as a part of the largest right value."""
    assert found.shape == right.shape, f"{found.shape} is not {right.shape}"
    difference = float(np.abs(found - right).max() / max(np.abs(right).max(), 1e-30))
    return math.inf if math.isnan(difference) else difference


def worst_difference(module: Any, size: tuple[int, int, int]) -> tuple[float, str, Any]:
    """Return the largest difference of a value to PyTorch's, relative to its maximum; its node; the graph."""
    found = compared(module, size)
    at = max(found.differences, key=found.differences.__getitem__)
    return found.differences[at], at, found.graph_def


def in_source(value: Value, array: Any) -> Any:
    """Return an array laid out as in the source."""
    array = array if value.order is None else array[..., value.order]
    return array.transpose([value.axes.index(dim) for dim in range(value.rank)])


def run(graph_def: Any, fetches: dict[str, str], images: Any) -> dict[str, Any]:
    """Return tensors of a graph on images [n, c, h, w], nothing optimized away."""
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.Graph().as_default():
        tf.import_graph_def(graph_def, name="")
        with tf.compat.v1.Session(config=config) as session:
            found: dict[str, Any] = session.run(fetches, {"input:0": images.permute(0, 2, 3, 1).numpy()})
    return found


def transposes(graph_def: Any) -> list[str]:
    """Return the names of the nodes that move data from one layout to another."""
    return [node.name for node in graph_def.node if node.op == "Transpose"]
