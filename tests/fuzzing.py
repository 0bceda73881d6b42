"""Hostile graphs: seeded mutations of real ones, and what the loader makes of them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from atlas.cli.model_report import model_lines
from atlas.core.errors import AtlasError
from atlas.model.graph.backend import tf
from atlas.model.graph.files import parse_graph
from atlas.model.reading.load import load_model
from graphs import conv, dense, graph_def, small

Graph = Any
_TYPES = (
    "DT_FLOAT",
    "DT_INT32",
    "DT_STRING",
    "DT_BOOL",
    "DT_HALF",
    "DT_RESOURCE",
    "DT_VARIANT",
    "DT_INVALID",
)
_SIZE = (64, 64, 3)
_NUMBERS = (0, 1, -1, 2, 3, 7, 255, 65_536, 2**31 - 1, -(2**31), 2**40, 2**63 - 1, -(2**63))
_NAMES = (
    "<script>alert(1)</script>", "a\nb", "a\r\nerror: b", "\u202egnp.exe", "../../../../tmp/x", "/etc/passwd",
    "a/../../b", "C:\\x", "con", ".", "..", "", " ", "a:0", "^a", "a\0b", "n" * 5_000, "{{ 7 * 7 }}",
    "\ud7ff\u200f", "%s%n", "a b", "\x1b[31mred",
)  # fmt: skip
_OPS = """
    NoSuchOp MyCustomOp ReadFile WriteFile PyFunc EagerPyFunc DebugIdentity DebugIdentityV2 SaveV2
    RestoreV2 MatchingFiles PrintV2 While If StatefulPartitionedCall PartitionedCall SymbolicGradient
    Switch Merge Enter NextIteration LoopCond IdentityN Concat ConcatV2 Split SplitV Placeholder
    PlaceholderWithDefault Const NoOp VariableV2 VarHandleOp ReadVariableOp Conv2D DepthwiseConv2dNative
    MatMul BatchMatMulV2 MaxPool AvgPool LRN Relu Add AddV2 AddN Mul Sub RealDiv Maximum Mean Reshape
    Squeeze Pad MirrorPad FusedBatchNorm FusedBatchNormV3 Softmax Identity StopGradient Cast Shape Tile
    Fill Range BroadcastTo ResizeBilinear Transpose StridedSlice SpaceToBatchND BatchToSpaceND Assert
    QueueDequeueV2 DecodeJpeg RandomUniform Empty Dropout ExpandDims ReverseV2
""".split()


def _branching(x: Any) -> Any:
    """A network with what published ones have: branches, a residual, batch norm, gates, depthwise, SiLU."""
    rng = np.random.default_rng(1)
    y = conv(x, 4, "stem", stride=2)
    y = tf.concat([conv(y, 3, "a"), conv(y, 2, "b", size=1)], 3, name="mixed")
    z = tf.nn.depthwise_conv2d(y, rng.normal(size=(3, 3, 5, 1)).astype("f4"), [1, 1, 1, 1], "SAME", name="dw")
    scale, shift, mean, variance = (np.abs(rng.normal(size=5)).astype("f4") + 0.1 for _ in range(4))
    z = tf.compat.v1.nn.fused_batch_norm(z, scale, shift, mean, variance, is_training=False, name="bn")[0]
    z = tf.multiply(z, tf.sigmoid(z, name="gate"), name="silu")
    y = tf.add(y, z, name="sum")
    squeezed = tf.reduce_mean(y, [1, 2], keepdims=True, name="squeeze")
    y = tf.multiply(y, tf.sigmoid(conv(squeezed, 5, "excite", size=1), name="sig"), name="gated")
    y = tf.nn.local_response_normalization(
        tf.pad(y, [[0, 0], [1, 1], [1, 1], [0, 0]], name="pad"), name="norm"
    )
    y = conv(tf.nn.avg_pool2d(y, 2, 2, "SAME", name="pool"), 6, "last")
    return dense(tf.reshape(tf.reduce_mean(y, [1, 2], name="mean"), [-1, 6], name="flat"), 5, "classes")


def seeds(models: Sequence[Path] = ()) -> list[Graph]:
    """Return the graphs that are mutated: two toys, and those in files, with zeros for large constants."""
    return [graph_def(small), graph_def(_branching), *map(_hollow, models)]


def _hollow(path: Path) -> Graph:
    graph = parse_graph(path.read_bytes(), str(path))
    for node in graph.node:
        tensor = node.attr["value"].tensor if node.op == "Const" else None
        if tensor is not None and len(tensor.tensor_content) > 4096:
            tensor.tensor_content = b""
            tensor.float_val.append(0.01)
        if node.op == "Placeholder":  # files may leave the size to who loads them
            node.attr["shape"].shape.CopyFrom(tf.TensorShape([None, *_SIZE]).as_proto())
    return graph


def hostile(number: int, graphs: Sequence[Graph], *, seed: int = 0) -> bytes:
    """Return input `number` of a series: the bytes of a graph, in one to four places not as they were."""
    rng = random.Random(f"{seed} {number}")
    graph = tf.compat.v1.GraphDef()
    graph.CopyFrom(rng.choice(graphs))
    if rng.random() < 0.2:
        return _bytes(rng, graph.SerializeToString(deterministic=True))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        try:
            rng.choice(_MUTATIONS)(rng, graph)
        except (ValueError, TypeError, IndexError, StopIteration):  # what cannot be made of this graph
            continue
    return bytes(graph.SerializeToString(deterministic=True))


def outcome(data: bytes, path: Path) -> str:
    """Return "read", or the class and message of an AtlasError; raises what else is raised.

    Does what `info` does: loads, lists the layers, plans the ways between them.
    """
    path.write_bytes(data)
    try:
        for line in model_lines(load_model(path)):
            assert "\n" not in line, line
    except AtlasError as error:
        return f"{type(error).__name__}: {error}"
    return "read"


def described(error: BaseException) -> str:
    """Return an exception with the place in the package that it comes from."""
    places, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if "/atlas/" in code.co_filename:
            places.append(f"{Path(code.co_filename).name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return f"{type(error).__name__} at {' '.join(places[-2:])}: {str(error)[:200]!r}"


class Clock:
    """Seconds of a process's own work, which other work on the machine does not lengthen."""

    def __init__(self) -> None:
        self._start = time.process_time()

    @property
    def seconds(self) -> float:
        """What has passed since the clock was made."""
        return time.process_time() - self._start


def _bytes(rng: random.Random, data: bytes) -> bytes:
    """Return bytes with bits flipped, a piece cut out, doubled or overwritten, or the end cut off."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        at, length = rng.randrange(len(out)), rng.choice((1, 2, 8, 64, 1024))
        match rng.randrange(6):
            case 0 | 1:
                out[at] ^= 1 << rng.randrange(8)
            case 2:
                out[at : at + length] = rng.randbytes(length)
            case 3:
                del out[at : at + length]
            case 4:
                out[at:at] = out[at : at + length]
            case _ if rng.random() < 0.3:
                del out[at:]
        if not out:
            break
    return bytes(out)


def _node(rng: random.Random, graph: Graph) -> Any:
    return graph.node[rng.randrange(len(graph.node))]


def _new_op(rng: random.Random, graph: Graph) -> None:
    _node(rng, graph).op = rng.choice(_OPS)


def _rewire(rng: random.Random, graph: Graph) -> None:
    node, other = _node(rng, graph), _node(rng, graph).name
    source = rng.choice(
        (other, other, other, f"{other}:1", f"{other}:7", f"{other}:x", f"^{other}", "gone", "", ":", "a:b:c")
    )
    if node.input and rng.random() < 0.8:
        node.input[rng.randrange(len(node.input))] = source
    else:
        node.input.append(source)


def _drop_input(rng: random.Random, graph: Graph) -> None:
    node = _node(rng, graph)
    del node.input[rng.randrange(len(node.input) or 1)]


def _delete_node(rng: random.Random, graph: Graph) -> None:
    del graph.node[rng.randrange(len(graph.node))]


def _double_node(rng: random.Random, graph: Graph) -> None:
    graph.node.add().CopyFrom(_node(rng, graph))


def _rename(rng: random.Random, graph: Graph) -> None:
    """Give a node another name, and tell its readers, or not."""
    node, told = _node(rng, graph), rng.random() < 0.8
    old, new = node.name, rng.choice(_NAMES)
    if rng.random() < 0.5:
        new = f"{old}/{new}"
    node.name = new
    for reader in graph.node if told else ():
        for at, tensor in enumerate(reader.input):
            if tensor.partition(":")[0] == old:
                reader.input[at] = tensor.replace(old, new, 1)


def _drop_attr(rng: random.Random, graph: Graph) -> None:
    node = _node(rng, graph)
    if node.attr:
        del node.attr[rng.choice(sorted(node.attr))]


def _new_attr(rng: random.Random, graph: Graph) -> None:
    """Give an attribute another value, of its kind or of another."""
    node = _node(rng, graph)
    key = rng.choice(
        [*sorted(node.attr), "T", "dtype", "shape", "value", "strides", "ksize", "num_split", "axis", "N"]
    )
    value = node.attr[key]
    kind = (
        value.WhichOneof("value")
        if rng.random() < 0.7
        else rng.choice(("i", "s", "type", "list", "shape", "func"))
    )
    number = rng.choice(_NUMBERS)
    match kind:
        case "i":
            value.i = number
        case "s":
            value.s = rng.choice(
                (b"SAME", b"VALID", b"EXPLICIT", b"NCHW", b"NHWC", b"", b"\xff\xfe", b"x" * 1000)
            )
        case "type":
            value.type = tf.DType(1).as_datatype_enum if rng.random() < 0.1 else _type(rng)
        case "b":
            value.b = not value.b
        case "f":
            value.f = rng.choice((0.0, -1.0, float("nan"), float("inf"), 1e38))
        case "list":
            numbers = list(value.list.i) or [1, 1, 1, 1]
            numbers[rng.randrange(len(numbers))] = number
            value.list.i[:] = numbers if rng.random() < 0.8 else numbers[: rng.randrange(len(numbers))]
        case "func":
            value.func.name = rng.choice(("f", "no_such", ""))
        case "shape":
            _reshape(rng, value.shape)
        case "tensor":
            _reshape(rng, value.tensor.tensor_shape)


def _type(rng: random.Random) -> int:
    from tensorflow.core.framework import types_pb2

    return int(types_pb2.DataType.Value(rng.choice(_TYPES)))


def _reshape(rng: random.Random, shape: Any) -> None:
    """Claim another shape, a huge one as well."""
    if shape.dim and rng.random() < 0.8:
        shape.dim[rng.randrange(len(shape.dim))].size = rng.choice(_NUMBERS)
    elif rng.random() < 0.5:
        shape.unknown_rank = True
    else:
        shape.dim.add(size=rng.choice(_NUMBERS))


def _claim(rng: random.Random, graph: Graph) -> None:
    """Let a constant claim to be huge, or to be of another type."""
    constants = [node for node in graph.node if node.op == "Const"]
    tensor = rng.choice(constants).attr["value"].tensor
    if rng.random() < 0.3:
        tensor.dtype = _type(rng)
        return
    del tensor.tensor_shape.dim[:]
    for size in rng.choices((*_NUMBERS[1:10], 30_000), k=rng.randrange(5)):
        tensor.tensor_shape.dim.add(size=size)
    if rng.random() < 0.5:
        tensor.tensor_content = b""
        tensor.float_val[:] = [1.0] * rng.randrange(3)


def _chain(rng: random.Random, graph: Graph) -> None:
    """Put a long chain before a node's first input."""
    reader = rng.choice([node for node in graph.node if node.input])
    before, length = reader.input[0], rng.choice((10, 100, 1_000, 10_000))
    kind = rng.choice(("Relu", "Identity", "double", "silu", "concat", "Sigmoid", "residual"))
    graph.node.add(name=f"chain{len(graph.node)}/axis", op="Const").CopyFrom(
        _axis(f"chain{len(graph.node)}/axis")
    )
    axis = graph.node[-1].name
    for at in range(length):
        name = f"chain{len(graph.node)}/x{at}"
        before = _link(graph, kind, name, before, axis)
    reader.input[0] = before


def _link(graph: Graph, kind: str, name: str, before: str, axis: str) -> str:
    """Add one link of a chain; return its end."""

    def add(suffix: str, op: str, *inputs: str) -> str:
        node = graph.node.add(name=f"{name}{suffix}", op=op, input=inputs)
        node.attr["T"].type = tf.float32.as_datatype_enum
        return str(node.name)

    match kind:
        case "double":
            return add("", "AddV2", before, before)
        case "residual":
            return add("", "AddV2", before, add("r", "Relu", before))
        case "silu":
            return add("", "Mul", before, add("s", "Sigmoid", before))
        case "concat":
            end = add("", "ConcatV2", before, axis)
            graph.node[-1].attr["N"].i = 1
            graph.node[-1].attr["Tidx"].type = tf.int32.as_datatype_enum
            return end
        case _:
            return add("", kind, before)


def _axis(name: str) -> Any:
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = tf.int32.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.int32(3)))
    return node


def _cycle(rng: random.Random, graph: Graph) -> None:
    """Let a node read one that depends on it, or itself."""
    readers = [node for node in graph.node if node.input]
    late, early = rng.choice(readers), rng.choice(readers)
    early.input[0] = late.name


def _huge(rng: random.Random, graph: Graph) -> None:
    """Put an op that makes much from little in place of a constant."""
    node = rng.choice([node for node in graph.node if node.op == "Const"])
    sizes = tf.compat.v1.NodeDef(name=f"{node.name}/dims", op="Const")
    sizes.attr["dtype"].type = tf.int32.as_datatype_enum
    dims = [rng.choice((3, 7, 1_000, 60_000, 2**31 - 1)) for _ in range(4)]
    sizes.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.array(dims, np.int32)))
    one = tf.compat.v1.NodeDef(name=f"{node.name}/one", op="Const")
    one.attr["dtype"].type = tf.float32.as_datatype_enum
    one.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.float32(1)))
    graph.node.extend([sizes, one])
    name, op = node.name, rng.choice(("Fill", "BroadcastTo", "RandomUniform"))
    node.Clear()
    node.name, node.op = name, op
    node.input.extend(
        {"Fill": [sizes.name, one.name], "BroadcastTo": [one.name, sizes.name]}.get(op, [sizes.name])
    )
    node.attr["T"].type = (tf.int32 if op == "RandomUniform" else tf.float32).as_datatype_enum
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    for key in ("index_type", "Tidx"):
        node.attr[key].type = tf.int32.as_datatype_enum


def _reads_files(rng: random.Random, graph: Graph) -> None:
    """Put what a file holds, or what stands on a debugger's address, in place of a tensor."""
    reader = rng.choice([node for node in graph.node if node.input])
    if rng.random() < 0.5:
        node = graph.node.add(name="spy", op="DebugIdentity", input=[reader.input[0]])
        node.attr["T"].type = tf.float32.as_datatype_enum
        node.attr["debug_urls"].list.s.append(b"file:///tmp/atlas-fuzz-spy")
        reader.input[0] = "spy"
        return
    path = graph.node.add(name="path", op="Const")
    path.attr["dtype"].type = tf.string.as_datatype_enum
    path.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(b"/etc/hostname"))
    graph.node.add(name="file", op="ReadFile", input=["path"])
    raw = graph.node.add(name="raw", op="DecodeRaw", input=["file"])
    raw.attr["out_type"].type = tf.float32.as_datatype_enum
    reader.input[len(reader.input) - 1] = "raw"


def _entry(rng: random.Random, graph: Graph) -> None:
    """Let the image be of another size or rank, or be one of two."""
    entry = next(node for node in graph.node if node.op == "Placeholder")
    if rng.random() < 0.3:
        graph.node.add().CopyFrom(entry)
        graph.node[-1].name = "another"
        return
    _reshape(rng, entry.attr["shape"].shape)


def _versions(rng: random.Random, graph: Graph) -> None:
    graph.versions.producer = rng.choice((0, 1, 10**6, -5))
    graph.versions.min_consumer = rng.choice((0, 10**6))


_MUTATIONS: tuple[Callable[[random.Random, Graph], None], ...] = (
    _new_op, _new_op, _rewire, _rewire, _drop_input, _delete_node, _double_node, _rename, _rename, _drop_attr,
    _new_attr, _new_attr, _new_attr, _claim, _chain, _cycle, _huge, _reads_files, _entry, _versions,
)  # fmt: skip
