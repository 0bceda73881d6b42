"""A program that torch.export made -> a GraphDef with channels last, its nodes below the paths of modules."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from atlas.core.errors import AtlasError, ModelError
from atlas.model.channels_first.op_tables import unreadable, written
from atlas.model.channels_first.torch_ops import TORCH
from atlas.model.channels_first.values import Value, image_value
from atlas.model.channels_first.writer import Fixed, Writer


def graph_of(program: Any, source: str) -> Any:
    """Return the GraphDef of an exported program whose one input are images (n, c, h, w).

    Its input is the node "input", [n, h, w, c]. Raises ModelError, which names each op that cannot be
    written, how often it is there, and the module where it is first.
    """
    return ProgramReader(program, source).graph()


def taken_apart(program: Any) -> Any:
    """Return a program in which ops that are in no table are made of others, as PyTorch makes them."""
    import torch

    while unknown := {n.target for n in _unknown(program) if not str(n.target).startswith(_WHOLE)}:
        known = torch.export.default_decompositions()
        table = {op: known[op] for op in unknown if op in known}
        if not table:
            break
        program = program.run_decompositions(table)
    return program


def _unknown(program: Any) -> list[Any]:
    """Return the nodes whose ops are in no table, of those that depend on the image."""
    nodes = list(program.graph.nodes)
    fixed = _parameters(program)
    entry = next((n for n in nodes if n.op == "placeholder" and n not in fixed), None)
    calls = (n for n in nodes if n.op == "call_function" and n.target is not operator.getitem)
    moving = _moving(nodes, entry)
    return [n for n in calls if n in moving and _name(n) not in TORCH]


# Ops that stay what the user wrote, because what they are made of is not read either.
_WHOLE = ("aten.conv", "aten.bilinear", "aten.upsample", "aten.grid_sampler", "aten.fft")
# Ops that fill a tensor with one number, and depend on another tensor's shape alone: the number, or which of
# the arguments it is.
_FILLED: dict[str, tuple[int, int | None]] = {
    **dict.fromkeys(("zeros_like", "new_zeros", "empty_like", "new_empty"), (0, None)),
    **dict.fromkeys(("ones_like", "new_ones"), (1, None)),
    **dict.fromkeys(("full", "full_like", "fill"), (0, 1)),
    "new_full": (0, 2),
}
# Types that hold less than float32 does.
_ROUNDING = frozenset("float16 bfloat16 uint8 int8 int16 int32 int64 bool".split())


class ProgramReader:
    """A program on its way to a graph; `values` holds what each of its nodes became."""

    def __init__(self, program: Any, source: str) -> None:
        """Store the program; `source` is its name in errors."""
        self._program, self._source = program, source
        self._nodes = list(program.graph.nodes)
        self.values: dict[Any, Any] = _parameters(program)
        self._entry = next(n for n in self._nodes if n.op == "placeholder" and n not in self.values)
        self._moving = _moving(self._nodes, self._entry)
        shape = self._entry.meta["val"].shape
        self._writer = Writer(shape)
        self.values[self._entry] = image_value(self._writer.image, shape)

    def graph(self) -> Any:
        """Return the GraphDef; raises ModelError."""
        self._check()
        with self._writer.graph.as_default():
            for node in self._nodes:
                if node.op == "call_function":
                    self.values[node] = self._moved(node) if node in self._moving else self._computed(node)
        return self._writer.finished()

    def _check(self) -> None:
        """Raise ModelError for ops that are not in the table."""
        unknown: dict[str, list[str]] = {}
        for node in _unknown(self._program):
            unknown.setdefault(_op(node), []).append(_where(node))
        if unknown:
            raise unreadable(self._source, unknown)

    def _moved(self, node: Any) -> Any:
        if node.target is operator.getitem:
            return self._result(*node.args)
        arguments = self._held(list(node.args))
        keywords = {key: self._held(value) for key, value in node.kwargs.items()}
        _check_type(node)
        for key in ("dtype", "layout", "device", "memory_format", "inplace"):
            keywords.pop(key, None)
        try:
            scope = _module(node) or node.name
            results = written(self._writer, scope, TORCH[_name(node)], *arguments, **keywords)
            _check_shapes(node, results)
        except AtlasError as error:
            raise ModelError(
                f"{_where(node)} in {self._source}: {error}", found=f"the operation {_name(node)}"
            ) from error
        return results if isinstance(node.meta.get("val"), (list, tuple)) else results[0]

    def _result(self, node: Any, index: int) -> Any:
        """Return one of several results of an op; raises ModelError for one that is not written."""
        results = self.values[node]
        if index >= len(results):
            raise ModelError(
                f"{_where(node)} in {self._source} reads the result number {index + 1} of {_name(node)}",
                expected=f"the first {len(results)}",
                remedy="leave out what reads it, as the places of maxima",
            )
        return results[index]

    def _computed(self, node: Any) -> Any:
        """Return what depends on no image, as PyTorch computes it."""
        if _op(node) in _FILLED:
            return self._filled(node)
        given = [self._plain(value) for value in node.args]
        keywords = {key: self._plain(value) for key, value in node.kwargs.items()}
        return node.target(*given, **keywords)

    def _filled(self, node: Any) -> Any:
        """Return a tensor of one number, which is in memory once, whatever the tensor's shape."""
        import torch

        like = node.meta["val"]
        return torch.full([], self._plain(_filling(node)), dtype=like.dtype).expand(like.shape)

    def _plain(self, argument: Any) -> Any:
        if isinstance(argument, (list, tuple)):
            return type(argument)(self._plain(each) for each in argument)
        return self.values[argument] if argument in self.values and _is_node(argument) else argument

    def _held(self, argument: Any) -> Any:
        """Return an argument as the table's functions take it."""
        if isinstance(argument, (list, tuple)):
            return [self._held(each) for each in argument]
        if not _is_node(argument):
            return argument
        value = self.values[argument]
        if argument in self._moving or isinstance(value, (Value, list, tuple)):
            return value
        return _fixed(argument, value)


def _check_shapes(node: Any, results: Sequence[Value]) -> None:
    """Raise ModelError where a result has another shape than PyTorch says."""
    # An assertion states no value, and passes its operand on.
    stated = node.meta.get("val")
    stated = stated if isinstance(stated, (list, tuple)) else [] if stated is None else [stated]
    for value, each in zip(results, stated, strict=False):
        if value.shape != tuple(each.shape):
            raise ModelError("its shape is another", found=value.shape, expected=tuple(each.shape))


def _check_type(node: Any) -> None:
    """Raise ModelError where a value is cast to a type that rounds it: the atlas computes in float32."""
    types = [value for value in (*node.args, node.kwargs.get("dtype")) if str(value).startswith("torch.")]
    names = {str(value).removeprefix("torch.") for value in types} & _ROUNDING
    # An assertion states the type of what it reads.
    if names and not _name(node).startswith("_assert"):
        raise ModelError(
            f"{_where(node)} computes in {', '.join(sorted(names))}",
            found=f"the operation {_name(node)}",
            expected="float32",
            remedy="leave the cast out where the network is evaluated",
        )


def _is_node(argument: Any) -> bool:
    return hasattr(argument, "all_input_nodes")


def _fixed(node: Any, tensor: Any) -> Any:
    if not hasattr(tensor, "detach"):
        return tensor
    name = node.meta.get("parameter") or ".".join(filter(None, [_module(node), node.name]))
    return Fixed(name, np.asarray(tensor.detach().cpu()))


def _parameters(program: Any) -> dict[Any, Any]:
    """Return the tensors of parameters, buffers and constants, by their nodes."""
    signature = program.graph_signature
    names = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    tensors: Mapping[str, Any] = {**program.constants, **program.state_dict}
    parameters = {}
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in names:
            node.meta["parameter"] = names[node.name]
            parameters[node] = tensors[names[node.name]]
    return parameters


def _moving(nodes: Sequence[Any], entry: Any) -> set[Any]:
    """Return the nodes that depend on the image."""
    moving = {entry}
    for node in nodes:
        filled = _op(node) in _FILLED and _filling(node) not in moving
        if not filled and any(before in moving for before in node.all_input_nodes):
            moving.add(node)
    return moving


def _filling(node: Any) -> Any:
    """Return the number that fills a tensor; what is in new memory does not matter."""
    number, place = _FILLED[_op(node)]
    return number if place is None else node.args[place]


def _name(node: Any) -> str:
    """Return an op's name in the table: "conv2d.default"."""
    return str(node.target).removeprefix("aten.")


def _op(node: Any) -> str:
    """Return an op's name without its variant: "conv2d"."""
    return _name(node).partition(".")[0]


def _module(node: Any) -> str:
    """Return the module that a node belongs to, as one name with dots: "layer1.0.conv1"; "" for the network.

    A module's second call is "conv#2".
    """
    stack = list((node.meta.get("nn_module_stack") or {}).items())
    if not stack:
        return ""
    key, (path, _) = stack[-1]
    path = str(path).removeprefix("L['self'].").strip(".")
    call = key.partition("@")[2]
    return f"{path}#{int(call) + 1}" if path and call.isdigit() else path


def _where(node: Any) -> str:
    return _module(node) or "the network's own forward"
