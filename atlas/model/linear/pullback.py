"""The transpose of each linear op: from weights on its output to weights on its input.

Weights are float32 arrays. Their first axis runs over target neurons in place of the batch; the others are
those of the tensor, with rows and columns cut to a window: [target, h, w, channel] for a map. On inner
windows padding is "VALID"; over whole maps each node keeps its padding.
"""

from __future__ import annotations

from atlas.core.errors import LinearizeError
from atlas.core.records import Floats
from atlas.model.graph.ops import PASSES
from atlas.model.linear import axis_transposes, map_transposes
from atlas.model.linear.places import Linear, Place

_RULES = {**map_transposes.RULES, **axis_transposes.RULES}


def pulled_back(on: Linear, place: Place, grad: Floats) -> Floats:
    """Return the weights on `place.tensor` from those on its node's output.

    Raises LinearizeError for an op that has no transpose.
    """
    op = on.view.op(place.name)
    if op in PASSES or op == "Cast":
        return grad
    rule = _RULES.get(op)
    if rule is None:
        raise LinearizeError(f"{place.name}: the op {op} has no transpose here")
    return rule(on, place, grad)
