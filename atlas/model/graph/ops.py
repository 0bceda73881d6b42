"""The table of ops: what each op of TensorFlow does to positions, to a linear map, and to channels.

Receptive fields, the linear twin, the search for layers and carriers, `info` and docs/models.md read this
table. An op that is not in it is refused by name where a layer depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Window = Literal[
    "point",  # each position reads the same position of its input
    "slide",  # a kernel slides over the input: strides, padding, dilations
    "spread",  # a transposed convolution
    "resize",  # interpolation to another size
    "shift",  # padding and slices: positions move or are left out
    "block",  # space to depth, and back
    "shape",  # axes are reshaped, transposed, joined, taken apart or repeated
    "reduce",  # axes are summed up: positions too where they are among them
    "mix",  # sums over named axes: matrix products, einsum
    "whole",  # every position may read every other
    "size",  # reads how large a tensor is, not what it holds
]
Twin = Literal[
    "linear",  # stays as it is
    "weighted",  # linear in one operand; the others are constant or taken at an operating point
    "identity",  # activations and what adds a constant: the tensor is passed on
    "average",  # the largest of several values becomes their mean
    "norm",  # batch norm: its inference scale
    "sum",  # adds its operands
    "product",  # scales by a constant, or by a factor taken at an operating point
    "extremum",  # the larger or smaller of two: an activation where one of them is constant
    "curve",  # part of an activation spelled out in several ops, or of a statistic; no twin of its own
    "none",  # has none
]


@dataclass(frozen=True, slots=True)
class Op:
    """A row: how positions are read, what the linear twin makes of it, whether channels stay apart.

    `channels`: "keeps" where channel i of the output is made of channel i of the input alone; "affine"
    where that is a scale and a shift, if the other operand is constant; "mixes" otherwise.
    """

    window: Window
    twin: Twin
    channels: Literal["keeps", "affine", "mixes"]


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

# Ops that pass one tensor on unchanged; constants are read through them.
PASSES = frozenset(
    "Identity StopGradient Snapshot PlaceholderWithDefault PreventGradient EnsureShape".split()
)
# These read how large a tensor is, not what it holds: no way leads through them.
MEASURES = frozenset(name for name, op in OPS.items() if op.window == "size")
CONVOLUTIONS = frozenset(name for name, op in OPS.items() if op.window in ("slide", "spread")) - {
    "MaxPool",
    "AvgPool",
}
# With constants as the other operand these are affine in each channel.
AFFINE = frozenset(name for name, op in OPS.items() if op.channels == "affine")
# What an activation may be composed of; the whole is an activation when one node closes it again.
CURVED = frozenset(
    name
    for name, op in OPS.items()
    if op.window == "point" and op.channels == "keeps" and name not in ("LRN", "Dropout")
)
