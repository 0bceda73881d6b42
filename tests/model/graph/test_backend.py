"""TensorFlow as the package imports it."""

from __future__ import annotations

import _ctypes
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

_CODE = """
from atlas.model.graph.backend import tf
with tf.Graph().as_default():
    images = tf.random.normal([1, 8, 8, 4])
    maps = tf.nn.conv2d(images, tf.random.normal([3, 3, 2, 4]), 2, "SAME")
    maps = tf.nn.conv2d(maps, tf.random.normal([3, 3, 4, 4]), 1, "SAME", dilations=2)
    with tf.compat.v1.Session() as session:
        print(session.run(tf.gradients(maps, images)[0]).shape)
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="oneDNN's option is for x86")
def test_grouped_and_dilated_convolutions_have_gradients_on_any_processor() -> None:
    """Also where TensorFlow does not turn oneDNN on by itself."""
    environment = {key: value for key, value in os.environ.items() if key != "TF_ENABLE_ONEDNN_OPTS"}
    shown = subprocess.run(
        [sys.executable, "-c", _CODE], capture_output=True, text=True, check=True, env=environment
    )
    assert shown.stdout.strip() == "(1, 8, 8, 4)"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Triton is for Linux")
@pytest.mark.parametrize("first", ["", "import tensorflow"])
def test_triton_is_loaded_before_tensorflow_or_torch_is_refused(tmp_path: Path, first: str) -> None:
    """Behind TensorFlow the library of Triton ends the process; any library stands in for it here."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    (tmp_path / "triton/_C").mkdir(parents=True)
    (tmp_path / "triton/__init__.py").touch()
    (tmp_path / "triton/_C/libtriton.so").write_bytes(Path(_ctypes.__file__).read_bytes())
    code = f"""
{first}
from atlas.core.errors import ModelError
from atlas.model.reading.torch_module import torch_module
try:
    torch_module()
    print("libtriton" in open("/proc/self/maps").read())
except ModelError as error:
    print(error)
"""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[3])]),
    }
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    right = (
        "True" if not first else "torch cannot be used: found TensorFlow, imported before atlas, and Triton"
    )
    assert shown.stdout.startswith(right)
