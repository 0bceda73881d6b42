"""Other names by which people know a layer: its nodes, scopes, activations and softmaxes in the graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from posixpath import dirname

from atlas.core.node_names import shown_name
from atlas.model.graph.ops import MEASURES, PASSES
from atlas.model.graph.pointwise import Pointwise
from atlas.model.graph.view import GraphView
from atlas.model.layers.listing import LayerPart


def layer_aliases(
    view: GraphView, input_tensor: str, parts: Sequence[LayerPart], names: Sequence[str]
) -> dict[str, str]:
    """Return the layer's name for each alias; `names` are the names of the parts, in order.

    Aliases are all nodes of a layer, from its linear op to its activation or softmax, and the scopes that
    contain them. A scope with several layers stands for the last of them. A scope that does not end with a
    layer leads to "", no layer: what a module returns after a product or a pooling is another tensor.
    """
    pointwise = Pointwise(view, input_tensor)
    ends = {
        scope: node
        for node in view.order
        if node in pointwise.moving and view.op(node) not in PASSES | MEASURES
        for scope in _scopes(node)
    }
    nodes: dict[str, str] = {}
    scopes: dict[str, str] = {}
    for part, name in zip(parts, names, strict=True):
        members = pointwise.until(part.nodes[0], part.nodes[-1]) | set(part.nodes)
        for node in members:
            nodes.setdefault(node, name)
            scopes |= {scope: name for scope in _scopes(node) if ends.get(scope, node) in members}
    # A layer's name is never the alias of another layer.
    aliases = dict.fromkeys(ends, "") | scopes | nodes
    readable = {shown_name(alias): name for alias, name in aliases.items()}
    # As Lucent writes the paths of PyTorch's modules: layer1_0_conv1.
    underscored = {alias.replace(".", "_"): name for alias, name in readable.items()}
    return underscored | readable | aliases | {name: name for name in names}


def _scopes(node: str) -> Iterator[str]:
    """Yield the scopes that contain a node, and PyTorch's modules that contain these: "layer1.0"."""
    while node := dirname(node):
        yield node
        module = node
        while "." in module.rpartition("/")[2]:
            module = module.rpartition(".")[0]
            yield module
