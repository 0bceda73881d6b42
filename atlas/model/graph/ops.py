"""The table of ops: how each TensorFlow op treats positions, a linear map, and channels.

Receptive fields, the linear twin, the search for layers and carriers, `info` and docs/models.md read this
table. An op missing from it is refused by name where a layer depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Window = Literal[
    "point",  # each position reads the same position of its input
    "slide",  # a kernel slides over the input: strides, padding, dilations
    "spread",  # a transposed convolution
    "resize",  # interpolation to another size
    "shift",  # padding and slices: positions are shifted or left out
    "block",  # space to depth, and back
    "shape",  # axes are reshaped, transposed, joined, taken apart or repeated
    "reduce",  # axes are summed, possibly those of positions
    "mix",  # sums over named axes: matrix products, einsum
    "whole",  # every position may read every other
    "size",  # reads a tensor's shape, not its values
]
Twin = Literal[
    "linear",  # stays as it is
    "weighted",  # linear in one operand; the others are constant or taken at an operating point
    "identity",  # activations and added constants: the tensor is passed on
    "average",  # the largest of several values becomes their mean
    "norm",  # batch norm: becomes its inference scale
    "sum",  # adds its operands
    "product",  # scales by a constant, or by a factor taken at an operating point
    "extremum",  # the larger or smaller of two: an activation if one of them is constant
    "curve",  # part of an activation spelled out in several ops, or of a statistic; has no twin by itself
    "none",  # has no twin
]


@dataclass(frozen=True, slots=True)
class Op:
    """A row of the table."""

    window: Window
    """Which positions of the input each position of the output reads."""
    twin: Twin
    """How the linear twin replaces the op."""
    channels: Literal["keeps", "affine", "mixes"]
    """Whether channel i of the output depends on channel i of the input alone.

    "keeps": it does. "affine": it does, by a scale and a shift, provided the other operand is constant.
    "mixes": it depends on several channels, or the op may move it.
    """


def _rows(names: str, *row: str) -> dict[str, Op]:
    return {name: Op(*row) for name in names.split()}  # type: ignore[arg-type]


def _once(*rows: dict[str, Op]) -> dict[str, Op]:
    """Join rows to one table; raise ValueError for an op that stands in two."""
    table: dict[str, Op] = {}
    for row in rows:
        if twice := table.keys() & row.keys():
            raise ValueError(f"{', '.join(sorted(twice))} stands in two rows of the table of ops")
        table |= row
    return table


OPS = _once(
    _rows("Conv2D DepthwiseConv2dNative", "slide", "weighted", "mixes"),
    _rows("Conv2DBackpropInput", "spread", "weighted", "mixes"),
    _rows("MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum", "mix", "weighted", "mixes"),
    _rows("MaxPool", "slide", "average", "keeps"),
    _rows("AvgPool", "slide", "linear", "keeps"),
    _rows("Max", "reduce", "average", "mixes"),
    _rows("Mean Sum", "reduce", "linear", "mixes"),
    _rows("Min Prod All Any ArgMax ArgMin", "reduce", "none", "mixes"),
    _rows("Pad PadV2 MirrorPad", "shift", "linear", "mixes"),
    _rows("StridedSlice Slice", "shift", "linear", "mixes"),
    _rows("ResizeNearestNeighbor ResizeBilinear ResizeBicubic", "resize", "linear", "keeps"),
    _rows("SpaceToDepth DepthToSpace", "block", "linear", "mixes"),
    _rows("Reshape Squeeze ExpandDims Transpose Tile BroadcastTo", "shape", "linear", "mixes"),
    _rows("ConcatV2 Pack Unpack Split SplitV GatherV2 ReverseV2", "shape", "linear", "mixes"),
    _rows("Add AddV2 Sub", "point", "sum", "affine"),
    _rows("AddN", "point", "sum", "keeps"),
    _rows("Mul RealDiv Div", "point", "product", "affine"),
    _rows("Neg", "point", "linear", "keeps"),
    _rows("Cast", "point", "linear", "affine"),
    _rows("FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3", "point", "norm", "affine"),
    _rows("BiasAdd", "point", "identity", "affine"),
    _rows("Identity StopGradient PreventGradient CheckNumerics Snapshot", "point", "identity", "affine"),
    _rows("PlaceholderWithDefault EnsureShape", "point", "identity", "affine"),
    _rows("FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars", "point", "identity", "affine"),
    _rows("FakeQuantWithMinMaxVarsPerChannel QuantizeAndDequantizeV4", "point", "identity", "affine"),
    _rows("LRN Dropout", "point", "identity", "keeps"),
    _rows("Softmax LogSoftmax", "point", "identity", "mixes"),
    _rows("Relu Relu6 Elu Selu LeakyRelu", "point", "identity", "keeps"),
    _rows("Sigmoid Tanh Softplus Softsign ClipByValue", "point", "identity", "keeps"),
    _rows("Maximum Minimum", "point", "extremum", "keeps"),
    _rows("Erf Erfc Exp Log Log1p Expm1 Abs Sign", "point", "curve", "keeps"),
    _rows("Square Pow Sqrt Rsqrt Reciprocal Inv", "point", "curve", "keeps"),
    _rows("Select SelectV2 Greater GreaterEqual Less LessEqual", "point", "curve", "keeps"),
    _rows("DivNoNan SquaredDifference Sin Cos Atan Round Floor Ceil", "point", "curve", "keeps"),
    _rows("LogicalAnd LogicalOr LogicalNot Equal NotEqual", "point", "curve", "keeps"),
    _rows("L2Loss Cumsum", "whole", "none", "mixes"),
    _rows("Shape ShapeN Size Rank", "size", "none", "mixes"),
)

# Ops that return their input unchanged; constants are read through them.
PASSES = frozenset(
    "Identity StopGradient Snapshot PlaceholderWithDefault PreventGradient EnsureShape".split()
)
# Ops that read a tensor's shape, not its values: no path leads through them.
MEASURES = frozenset(name for name, op in OPS.items() if op.window == "size")
CONVOLUTIONS = frozenset(name for name, op in OPS.items() if op.window in ("slide", "spread")) - {
    "MaxPool",
    "AvgPool",
}
# Activations that are one op, and the like: each channel of the output depends on the same of the input.
ACTIVATION_OPS = frozenset(
    name
    for name, op in OPS.items()
    if op.window == "point" and op.twin in ("identity", "extremum") and op.channels == "keeps"
)
# Ops that are affine in each channel if the other operands are constant.
AFFINE = frozenset(name for name, op in OPS.items() if op.channels == "affine")
# Ops, besides affine ones, in a composite activation: its branches meet again in a single node.
CURVED = frozenset(
    name
    for name, op in OPS.items()
    if op.window == "point" and op.channels == "keeps" and name not in ("LRN", "Dropout")
)
