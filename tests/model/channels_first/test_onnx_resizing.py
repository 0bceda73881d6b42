"""Tests of atlas.model.channels_first.onnx_resizing: resized maps, against onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_models import (
    check,
    integers,
    model,
    node,
)

pytestmark = pytest.mark.slow

RESIZES: dict[str, tuple[int, dict[str, Any], tuple[float, float]]] = {
    "linear, half pixels": (18, {"mode": "linear"}, (2, 3)),
    "linear, as PyTorch": (
        18,
        {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
        (2, 1.5),
    ),
    "linear, aligned": (18, {"mode": "linear", "coordinate_transformation_mode": "align_corners"}, (2, 2)),
    "linear, asymmetric": (18, {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}, (2, 2)),
    "linear, smaller": (18, {"mode": "linear"}, (0.5, 0.5)),
    "nearest as PyTorch": (
        18,
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        (2, 3),
    ),
    "nearest, half pixels": (18, {"mode": "nearest"}, (2, 3)),
    "nearest, smaller": (
        18,
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        (0.5, 0.5),
    ),
    "opset 10": (10, {"mode": "nearest"}, (2, 2)),
    "opset 10, linear": (10, {"mode": "linear"}, (2, 2)),
    "opset 9": (9, {"mode": "nearest"}, (2, 3)),
    "opset 9, linear": (9, {"mode": "linear"}, (2, 2)),
}


@pytest.mark.parametrize("kind", RESIZES)
def test_resizes(kind: str) -> None:
    """A resize that is one of TensorFlow's is that of onnxruntime, by factors and by sizes."""
    opset, settings, factors = RESIZES[kind]
    weights = {"scales": np.array([1, 1, *factors], np.float32)}
    if opset < 11:
        op = "Resize" if opset == 10 else "Upsample"
        check(model([node(op, "images scales", "y", **settings)], weights, opset=opset), tolerance=1e-5)
        return
    check(model([node("Resize", "images - scales", "y", **settings)], weights), tolerance=1e-5)
    sizes = integers(*(int(n * by) for n, by in zip((10, 12), factors, strict=True)))
    by_size = node("Resize", "images - - sizes", "y", axes=[2, 3], **settings)
    check(model([by_size], {"sizes": sizes}), tolerance=1e-5)
