"""An ONNX model -> a GraphDef with channels last, its nodes below the paths of modules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from atlas.core.errors import AtlasError, ModelError
from atlas.model.channels_first.onnx_call import Call
from atlas.model.channels_first.onnx_folding import MEASURES, array_of, computed, measured, onnx_part
from atlas.model.channels_first.onnx_inputs import Entry, entry_of
from atlas.model.channels_first.onnx_names import scope_of
from atlas.model.channels_first.onnx_refusals import check_ops, needed, op_name, tensors_read
from atlas.model.channels_first.op_tables import ONNX, written
from atlas.model.channels_first.values import Value, image_value
from atlas.model.channels_first.writer import Fixed, Writer

# Ops that keep a parameter's numbers, and so its name.
_KEEPING = frozenset("Identity Transpose Reshape Squeeze Unsqueeze Flatten Cast DequantizeLinear".split())


def graph_of(model: Any, source: str, size: Sequence[int | None] | None = None) -> Any:
    """Return the GraphDef of an ONNX model that reads images; its input is the node "input", [n, h, w, c].

    `size` is (c, h, w), for lengths that the model leaves open. A batch that is left open may hold any number
    of images, a fixed one stays. Raises ModelError, which names each op that cannot be written, how often it
    is there, and where it is first.
    """
    model = _inlined(model, source)
    entry = entry_of(model.graph, source, size)
    return OnnxReader(model, entry, source).graph()


def _inlined(model: Any, source: str) -> Any:
    """Return a model without functions of its own: the nodes of each stand where it was called."""
    if not model.functions:
        return model
    try:
        return onnx_part("inliner").inline_local_functions(model)
    except Exception as error:  # ONNX raises errors of its own extension
        raise ModelError(f"the functions in {source} cannot be inlined: {error}") from error


class OnnxReader:
    """A model that is being written, node by node."""

    def __init__(self, model: Any, entry: Entry, source: str) -> None:
        """Begin with the parameters and the image."""
        self._model, self._source = model, source
        self._opsets = {each.domain: each.version for each in model.opset_import}
        self._writer = Writer(entry.shape)
        self.values: dict[str, Any] = {
            each.name: Fixed(each.name, array_of(each)) for each in model.graph.initializer
        }
        self._parameters = frozenset(self.values)
        self._used: dict[tuple[str, str], str] = {}
        image = image_value(self._writer.image, entry.shape)
        if entry.channels_last:
            n, channels, height, width = entry.shape
            image = Value(image.tensor, (0, 1, 2, 3), (n, height, width, channels))
        self.values[entry.name] = image
        self._entry = entry

    def graph(self) -> Any:
        """Return the GraphDef."""
        graph = self._model.graph
        nodes = needed(graph.node, {output.name for output in graph.output})
        self._check_inputs(nodes)
        check_ops(nodes, {self._entry.name}, self._source)
        with self._writer.graph.as_default():
            self._write(nodes, {output.name for output in graph.output})
        return self._writer.finished()

    def _check_inputs(self, nodes: Sequence[Any]) -> None:
        read = {name for node in nodes for name in tensors_read(node)}
        others = [each.name for each in self._model.graph.input if each.name not in self.values]
        others = [name for name in others if name in read]
        if others:
            raise ModelError(
                f"{self._source} reads more than an image",
                found=", ".join([self._entry.name, *others]),
                expected="one input",
                remedy="export it with constants for the others",
            )

    def _write(self, nodes: Sequence[Any], outputs: Iterable[str]) -> None:
        read = {name for node in nodes for name in tensors_read(node)} | set(outputs)
        for node in nodes:
            try:
                results = self._results(node, read)
            except AtlasError as error:
                where = scope_of(node, self._parameters.__contains__)
                raise ModelError(
                    f"{where} in {self._source}: {error}", found=f"the operation {op_name(node)}"
                ) from error
            self.values.update(zip((name for name in node.output), results, strict=False))

    def _results(self, node: Any, read: set[str]) -> Sequence[Any]:
        missing = next((name for name in node.input if name and name not in self.values), None)
        if missing is not None:
            raise ModelError(
                "a tensor is read that is not there", found=missing, remedy="export the model again"
            )
        inputs = [self.values[name] if name else None for name in node.input]
        attributes = _attributes(node)
        if node.op_type == "If" and isinstance(inputs[0], Fixed):
            return self._branch(attributes["then_branch" if inputs[0].array.all() else "else_branch"])
        if node.op_type in MEASURES and isinstance(inputs[0], Value):
            return [Fixed(node.output[0], measured(node.op_type, inputs[0], attributes))]
        if not any(isinstance(each, Value) for each in inputs):
            return self._computed(node, inputs)
        call = Call(
            op_name(node),
            attributes,
            self._opsets.get("", 1),
            len(node.output),
            tuple(name in read for name in node.output),
        )
        return self._moved(node, call, [_in_float32(each) for each in inputs])

    def _moved(self, node: Any, call: Call, inputs: Sequence[Any]) -> Sequence[Any]:
        """Return what depends on the image."""
        check_ops([node], set(node.input), self._source)
        return written(self._writer, self._scope(node), ONNX[call.op], call, inputs)

    def _scope(self, node: Any) -> str:
        """Return a node's scope; the second use of the same weights has a scope of its own, "conv#2"."""
        scope = scope_of(node, self._parameters.__contains__)
        weight = next((name for name in node.input[1:2] if name in self._parameters), "")
        if not weight or node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            return scope
        free, count = scope, 1
        while self._used.setdefault((node.op_type, free), node.output[0]) != node.output[0]:
            count += 1
            free = f"{scope}#{count}"
        return free

    def _computed(self, node: Any, inputs: Sequence[Fixed | None]) -> Sequence[Fixed]:
        """Return what depends on no image."""
        arrays = [None if each is None else each.array for each in inputs]
        name = inputs[0].name if inputs and inputs[0] is not None and node.op_type in _KEEPING else ""
        results = computed(node, arrays, self._opsets)
        return [Fixed(name or output, array) for output, array in zip(node.output, results, strict=True)]

    def _branch(self, graph: Any) -> Sequence[Any]:
        """Return the outputs of the branch that a known condition takes."""
        for each in graph.initializer:
            self.values[each.name] = Fixed(each.name, array_of(each))
        outputs = [output.name for output in graph.output]
        self._write(needed(graph.node, set(outputs)), outputs)
        return [self.values[name] for name in outputs]


def _attributes(node: Any) -> dict[str, Any]:
    """Return a node's attributes as Python has them; text is decoded."""
    get = onnx_part("helper").get_attribute_value
    values = {each.name: get(each) for each in node.attribute}
    return {
        name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        for name, value in values.items()
    }


def _in_float32(operand: Any) -> Any:
    """Return an operand with its numbers in float32 where they are floats of another length."""
    if not isinstance(operand, Fixed) or operand.array.dtype == np.float32:
        return operand
    kind = operand.array.dtype.kind
    floats = kind == "f" or operand.array.dtype.name == "bfloat16"
    return Fixed(operand.name, operand.array.astype(np.float32)) if floats else operand
