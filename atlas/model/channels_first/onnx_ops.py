"""The table of ONNX's ops: the name of each, and what writes it; and ops that are refused by name."""

from __future__ import annotations

# Each of these modules enters its ops into the table.
from atlas.model.channels_first import onnx_dims, onnx_elements, onnx_maps, onnx_resizing
from atlas.model.channels_first.op_tables import ONNX

__all__ = ["ONNX", "QUANTIZED", "REFUSED"]

_MODULES = (onnx_dims, onnx_elements, onnx_maps, onnx_resizing)

# Ops of quantized networks, which compute with whole numbers.
QUANTIZED = frozenset(
    """QuantizeLinear DequantizeLinear DynamicQuantizeLinear QLinearConv QLinearMatMul ConvInteger
    MatMulInteger QLinearAdd QLinearMul QLinearGlobalAveragePool QLinearAveragePool QLinearConcat
    QLinearSigmoid QLinearLeakyRelu QGemm""".split()
)
# Ops that no layer stands for -> why.
REFUSED = {
    "Loop": "a loop",
    "Scan": "a loop",
    "If": "a choice that depends on the image",
    "LSTM": "a recurrent layer",
    "GRU": "a recurrent layer",
    "RNN": "a recurrent layer",
}
