"""Whether TensorFlow may fuse the ops of a network: it makes some fusions that it cannot run."""

from __future__ import annotations

from typing import Any

from atlas.model.graph.backend import DEFAULT, OFF, tf
from atlas.model.graph.ops import ACTIVATION_OPS, OPS
from atlas.model.graph.view import GraphView

_NORMS = frozenset(name for name, op in OPS.items() if op.twin == "norm")
# A convolution and a batch norm make one op with these, and it runs.
_FUSED = frozenset({"Relu", "Relu6"})


def remapping(view: GraphView) -> int:
    """Return RewriterConfig's value for TensorFlow's remapper on a graph.

    The remapper fuses a convolution, a batch norm and a hyperbolic tangent to an op that does not run, and a
    fusion with another activation has ended the process.
    """
    ops = {view.op(name) for name in view.nodes}
    return OFF if ops & _NORMS and ops & ACTIVATION_OPS - _FUSED else DEFAULT


def session_config(view: GraphView) -> Any:
    """Return the ConfigProto of a session that runs a graph as it is written."""
    config = tf.compat.v1.ConfigProto()
    # The optimization rewrites long sums into ones that grow exponentially.
    config.graph_options.rewrite_options.arithmetic_optimization = OFF
    config.graph_options.rewrite_options.remapping = remapping(view)
    return config
