"""The scope of each ONNX node: the path of the module that it was exported from, as one name with dots.

Exporters record it in different places. The newer one of PyTorch keeps a list of modules in a node's
metadata, the older one has them in the node's name, others name the weights only.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

# The list of modules that PyTorch's newer exporter keeps: "['', 'layer1', 'layer1.0', 'relu_1']".
_SCOPES = "pkg.torch.onnx.name_scopes"
# Endings of a weight's name, which name no module.
_PARAMETER = re.compile(
    r"[._/](weights?|w|W|kernel|gamma|scale|running_mean|running_var|beta|bias|b|B)(_\d+)?(:0)?(/read(__\d+)?)?$"
    r"|(_weights?|_w|_W)(_\d+)?$"
)
# A name that an exporter made up: "onnx::Conv_193", "val_12", "const_fold_opt__35", "12".
_MADE_UP = re.compile(
    r"onnx::.*|(val|tensor|node|constant|const|_?param|_to_tensor)_?\d*|.*const_fold.*|\d+", re.I
)
# Ops whose second input are weights that are named after the module.
_WEIGHTED = frozenset(
    """Conv ConvTranspose Gemm MatMul BatchNormalization InstanceNormalization GroupNormalization
    LayerNormalization PRelu""".split()
)
# Ends of node names that only repeat the op, of ONNX and of TensorFlow.
_OPS = frozenset(
    """conv2d depthwise convolution biasadd add addv2 sub mul truediv realdiv matmul relu relu6 fusedbatchnorm
    fusedbatchnormv3 concat concatv2 softmax sigmoid tanh elu selu leakyrelu mean maxpool avgpool pad reshape
    transpose squeeze tensordot identity resizenearestneighbor resizebilinear""".split()
)
_COUNTER = re.compile(r"(__?\d+)+$")
_OUTPUT = re.compile(r"_output_\d+$")


def scope_of(node: Any, is_weight: Callable[[str], bool]) -> str:
    """Return the scope of a node: its weight's module, its module, its own name, or that of its output.

    `is_weight` says of a tensor whether it is one of the model's parameters. A fused norm has the module of
    the norm, and its weight that of the convolution: so the weight comes first.
    """
    weight = _of_weight(node, is_weight)
    recorded = _recorded(node)
    own = _of_node(node)
    return weight or recorded or own or _of_output(node)


def _of_weight(node: Any, is_weight: Callable[[str], bool]) -> str:
    names = list(node.input[1:2]) if node.op_type in _WEIGHTED else []
    if node.op_type in ("Gemm", "MatMul"):
        names = list(node.input[:2])
    for name in names:
        short = _PARAMETER.sub("", name)
        if is_weight(name) and short not in (name, "") and not _MADE_UP.fullmatch(name):
            return _dotted(short.split("/"))
    return ""


def _recorded(node: Any) -> str:
    """Return the module in a node's metadata; "" for the whole network, and for none."""
    text = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), "")
    try:
        scopes = ast.literal_eval(text) if text else []
    except (SyntaxError, ValueError):
        return ""
    paths = [str(scope) for scope in scopes[:-1]] if isinstance(scopes, (list, tuple)) else []
    return paths[-1] if paths else ""


def _of_node(node: Any) -> str:
    """Return the path in a node's name: "/layer1/layer1.0/conv1/Conv" -> "layer1.0.conv1"; "" for none."""
    parts = [part for part in node.name.split("/") if part]
    if len(parts) < 2:
        return ""
    last = _COUNTER.sub("", parts[-1]).lower().replace("_", "")
    if last in _OPS or last == node.op_type.lower():
        parts = parts[:-1]
    return _dotted(parts)


def _of_output(node: Any) -> str:
    """Return the name of a node's first output, as one component."""
    name = next(iter(node.output), "") or node.name or node.op_type
    return _dotted(_OUTPUT.sub("", name).removesuffix(":0").split("/")) or str(node.op_type)


def _dotted(parts: list[str]) -> str:
    """Return a path as one name, without components that begin the next one, "layer1" of "layer1.0"."""
    parts = [part for part in parts if part]
    pairs = zip(parts, [*parts[1:], ""], strict=True)
    return ".".join(part for part, following in pairs if not following.startswith(f"{part}."))
