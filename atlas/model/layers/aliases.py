"""Names by which people know a layer besides its own: nodes of the graph, scopes, activations, softmaxes."""

from __future__ import annotations

from collections.abc import Sequence
from posixpath import dirname

from atlas.model.graph.pointwise import Pointwise
from atlas.model.graph.view import GraphView
from atlas.model.layers.listing import LayerPart
from atlas.model.layers.names import shown_name


def layer_aliases(
    view: GraphView, input_tensor: str, parts: Sequence[LayerPart], names: Sequence[str]
) -> dict[str, str]:
    """Return the name of the layer that each alias means; `names` are those of the parts, in order.

    Aliases are all nodes of a layer, from its linear op to its activation or softmax, and the scopes that
    these lie in. A scope of several layers means its last one.
    """
    pointwise = Pointwise(view, input_tensor)
    nodes: dict[str, str] = {}
    scopes: dict[str, str] = {}
    for part, name in zip(parts, names, strict=True):
        held = pointwise.until(part.nodes[0], part.nodes[-1]) | set(part.nodes)
        for node in held:
            nodes.setdefault(node, name)
            while node := dirname(node):
                scopes[node] = name
    # What a person calls a layer is never the alias of another.
    found = scopes | nodes
    return {shown_name(alias): name for alias, name in found.items()} | found | {name: name for name in names}
