"""Checks of a graph before it runs: known ops, honest sizes, nothing that reaches outside the network.

A graph is a program that TensorFlow runs: some ops read and write files, contact other machines, or call
Python. A network needs none of these, so a graph whose layers use them is refused before any op runs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from atlas.core.errors import ModelError
from atlas.model.graph.backend import op_definition, tf
from atlas.model.graph.view import GraphView, node_of

# How many bytes constants may claim beyond those in the file, and how many one computed constant may take.
# Published networks contain all their weights; a value repeated over a whole tensor is a bias or a mask.
CLAIMED_BYTES = 1 << 30
# Values in an image; 4096 x 4096 in colour is 50 million.
IMAGE_VALUES = 1 << 26

# Errors that NumPy, protobuf and TensorFlow raise on nonsensical graphs. Errors that a bug in this program
# would raise are left out: the graph must not be blamed for them.
NONSENSE = (ValueError, LookupError, ArithmeticError, RecursionError, NotImplementedError, tf.errors.OpError)

# Ops that are stateful according to TensorFlow, but stay inside the graph.
_HARMLESS = frozenset(
    """RandomUniform RandomUniformInt RandomStandardNormal TruncatedNormal ParameterizedTruncatedNormal
    RandomShuffle RandomGamma RandomPoisson RandomPoissonV2 Multinomial GuaranteeConst CheckNumerics
    CheckNumericsV2 Empty Assert If While Case StatefulPartitionedCall VariableShape
    TensorArrayV3 TensorArrayReadV3 TensorArrayWriteV3 TensorArrayGatherV3 TensorArrayScatterV3
    TensorArrayConcatV3 TensorArraySplitV3 TensorArraySizeV3 TensorArrayCloseV3""".split()
)
# Ops that are not stateful, but reach outside.
_REACHING = re.compile(
    "File|Reader|Dataset|Iterator|PyFunc|^Debug|Table|HostCompute|CustomCall|RemoteCall|Checkpoint|Rpc|Xla"
)
# Ops that draw random numbers if they are stateful; variants with fixed seeds are stateless.
_DRAWING = re.compile("Random|TruncatedNormal|Multinomial")
# Ops whose constants are weights.
_WEIGHING = frozenset(
    """Conv2D DepthwiseConv2dNative Conv2DBackpropInput MatMul BatchMatMulV2 BiasAdd FusedBatchNorm
    FusedBatchNormV2 FusedBatchNormV3""".split()
)
# Ops with which every exported SavedModel loads and saves its variables.
_VARIABLES = frozenset(
    """SaveV2 RestoreV2 MergeV2Checkpoints ShardedFilename VarHandleOp ReadVariableOp AssignVariableOp
    VarIsInitializedOp DisableCopyOnRead VariableV2 Assign DestroyResourceOp""".split()
)


def check_graph(graph_def: Any, where: str) -> None:
    """Raise ModelError unless names are unique, ops are known, and constants about as large as the file."""
    names: set[str] = set()
    functions = {function.signature.name for function in graph_def.library.function}
    claimed = 0
    for node in graph_def.node:
        if node.name in names:
            raise ModelError(f"{where} has two nodes {node.name}", expected="names that are unique")
        names.add(node.name)
        if node.op not in functions and op_definition(node.op) is None:
            raise ModelError(
                f"{where} needs an op that TensorFlow does not have",
                found=f"{node.op} (node {node.name})",
                expected="TensorFlow's own ops",
                remedy="export the model without it",
            )
        if node.op == "Const":
            claimed += _claimed(node)
    if claimed > CLAIMED_BYTES:
        raise ModelError(
            f"the constants of {where} claim to be larger than the file",
            found=f"{claimed:,} bytes that are not in it",
            expected=f"{CLAIMED_BYTES:,} at most",
            remedy="export the model again",
        )


def check_reach(graph_def: Any, where: str, *, variables: bool = False) -> None:
    """Raise ModelError when a graph or a function in it has an op that reaches outside.

    `variables` allows the ops that load and save a SavedModel's variables.
    """
    for node in _all_nodes(graph_def):
        if reaches(node.op) and not (variables and node.op in _VARIABLES):
            raise ModelError(
                f"{where} reaches outside of the network",
                found=f"the op {node.op} (node {node.name})",
                expected="ops that compute from the image and from constants",
                remedy="freeze the model for inference",
            )


def check_random(graph_def: Any, where: str) -> None:
    """Raise ModelError where the same image may give different answers."""
    for node in graph_def.node:
        definition = op_definition(node.op)
        if definition is not None and definition.is_stateful and _DRAWING.search(node.op):
            raise ModelError(
                f"{where} draws random numbers",
                found=f"the op {node.op} (node {node.name})",
                expected="the same answer to the same image",
                remedy="export the model for inference, without dropout and noise",
            )


def lost_numbers(view: GraphView) -> tuple[str, ...]:
    """Return a note for each constant with NaN and each weight with an infinity; masks may have infinities.

    Only the neurons that depend on such numbers are lost; all others are built.
    """
    weighing = (name for name in view.order if view.op(name) in _WEIGHING)
    weights = {view.origin(node_of(tensor)) for name in weighing for tensor in view.inputs(name)}
    constants = (node for node in view.nodes.values() if node.op == "Const")
    return tuple(note for node in constants if (note := _lost(node, is_weight=node.name in weights)))


def _lost(node: Any, *, is_weight: bool) -> str:
    dtype, tensor = tf.as_dtype(node.attr["dtype"].type), node.attr["value"].tensor
    if not dtype.is_floating:
        return ""
    # From the raw bytes where there are any, since TensorFlow would make another copy.
    data = tensor.tensor_content
    values = np.frombuffer(data, dtype.as_numpy_dtype) if data else np.asarray(tf.make_ndarray(tensor))
    # The minimum is NaN where any value is; no array as large as the weights is allocated.
    if not values.size or (np.isfinite(float(values.min())) and np.isfinite(float(values.max()))):
        return ""
    lost = np.isnan(values) if not is_weight else ~np.isfinite(values)
    n_lost = int(np.count_nonzero(lost))
    what = f"{n_lost:,} of the {values.size:,} numbers in {node.name} are NaN or infinite"
    return f"{what}: nothing can be computed for the neurons that read them" if n_lost else ""


def check_image_size(shape: Sequence[int | None], where: str) -> None:
    """Raise ModelError where images [h, w, c] are so large that TensorFlow would abort."""
    if math.prod(length or 1 for length in shape) > IMAGE_VALUES:
        raise ModelError(
            f"the images of {where} are too large",
            found=" x ".join(map(str, shape)),
            expected=f"{IMAGE_VALUES:,} values at most",
            remedy="give a smaller --input-shape (input_shape in Python), "
            "or export the model for smaller images",
        )


def reaches(op: str) -> bool:
    """Return whether an op may read or change anything besides its tensors."""
    definition = op_definition(op)
    stateful = definition is not None and definition.is_stateful and not op.startswith("Placeholder")
    return (stateful and op not in _HARMLESS) or _REACHING.search(op) is not None


def check_sizes(tensors: Iterable[Any], where: str) -> None:
    """Raise ModelError when, by its static shape, a tensor to be computed would take too much memory."""
    for tensor in tensors:
        lengths = tensor.shape.as_list() if tensor.shape.rank is not None else []
        n_bytes = math.prod(length or 1 for length in lengths) * max(tensor.dtype.size or 0, 1)
        if n_bytes > CLAIMED_BYTES:
            raise ModelError(
                f"{where} computes a constant that is too large",
                found=f"{tensor.op.name.rpartition('/')[2]} of {n_bytes:,} bytes",
                expected=f"{CLAIMED_BYTES:,} at most",
            )


def _all_nodes(graph_def: Any) -> Iterator[Any]:
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def _claimed(node: Any) -> int:
    """Return how many bytes a constant claims beyond those that it contains."""
    tensor = node.attr["value"].tensor
    sizes = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.tensor_shape.unknown_rank or any(size < 0 for size in sizes):
        raise ModelError(
            f"the constant {node.name} has no size", found=sizes, expected="lengths of 0 or more"
        )
    if tensor.dtype != node.attr["dtype"].type:
        raise ModelError(f"the constant {node.name} is of one type and holds values of another")
    try:
        width = int(tf.as_dtype(tensor.dtype).size or 1)
    except TypeError as error:
        raise ModelError(f"the constant {node.name} is of no known type: {error}") from error
    n_bytes = int(math.prod(sizes)) * width
    # Asking protobuf for the size would encode the tensor again.
    return max(n_bytes - len(tensor.tensor_content or tensor.SerializeToString()), 0)
