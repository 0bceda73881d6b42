"""The transpose of each linear op: from weights on what it makes to weights on what it reads.

Weights are float32 arrays whose first axis runs over target neurons in place of the batch, and whose other
axes are the tensor's own, rows and columns cut to a window: [target, h, w, channel] for a map. On inner
windows padding is "VALID"; over whole maps each node has its own.
"""

from __future__ import annotations

from atlas.core.errors import LinearizeError
from atlas.core.records import Floats
from atlas.model.graph.ops import PASSES
from atlas.model.linear import axis_transposes, map_transposes
from atlas.model.linear.places import Linear, Place

_RULES = {**map_transposes.RULES, **axis_transposes.RULES}


def pulled_back(on: Linear, place: Place, grad: Floats) -> Floats:
    """Return the weights on `place.tensor` from those on what its node makes.

    Raises LinearizeError for an op that has no transpose.
    """
    op = on.view.op(place.name)
    if op in PASSES or op == "Cast":
        return grad
    rule = _RULES.get(op)
    if rule is None:
        raise LinearizeError(f"{place.name}: the op {op} has no transpose here")
    return rule(on, place, grad)
