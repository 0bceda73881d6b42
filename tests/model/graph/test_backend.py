"""TensorFlow as the package imports it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

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
