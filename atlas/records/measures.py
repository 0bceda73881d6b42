"""A layer's numbers: statistics of its neurons' weights, and the filters of a first layer."""

from __future__ import annotations

from dataclasses import dataclass

from atlas.displayed import Displayed
from atlas.records.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class LayerStatistics(Displayed):
    """Statistics of every neuron's expanded weights from the layer before, and which neurons are alike.

    `source` names the layer before, `carrier` the tensor that the weights are taken from. All arrays but
    the last three have a number for each neuron, [n] float32:
    l2 the root of the sum of the squared weights; l1 the sum of the absolute weights; crispness l2 / l1;
    balance the sum of the weights over that of the absolute ones, -1 all negative to 1 all positive;
    n_inputs the effective number of source neurons: with s2 the squared L2 norm of a source's kernel,
    (sum of s2)^2 / sum of s2^2. All but l1 and l2 are 0 where every weight is zero.
    percentile [n, 5] float32, 0 to 100: the share of the layer's other neurons with a smaller l2, l1,
    crispness, balance, n_inputs, equal ones counted half.
    order [n] int32: the neurons on a line, alike ones beside each other; nearest [n, k] int32 the most
    alike neurons of the layer, best first, and similarity [n, k] float32 the cosines of their weights.
    `branch` has the name of each neuron's branch where the layer is a concatenation, else it is empty;
    branch_index [n] int32 counts within the branch, -1 where there is none.
    """

    layer: str
    source: str
    carrier: str
    branch: tuple[str, ...]
    branch_index: Ints
    l2: Floats
    l1: Floats
    crispness: Floats
    balance: Floats
    n_inputs: Floats
    percentile: Floats
    order: Ints
    nearest: Ints
    similarity: Floats


@dataclass(frozen=True, slots=True)
class FirstLayer(Displayed):
    """The filters of a layer that sees the image itself, as pictures.

    filters [n, h, w, c] float32 in 0 to 1, zero weight is 0.5; order [n] int32: the neurons in the order
    of the first principal component of how strongly the layer after uses them. `downstream` names that
    layer, "" where there is none and the order is that of the index; `explained` is the share of
    variance that the component holds, 0 to 1. `read` tells where the weights come from: "expanded
    weights", or the name of the graph's constant.
    """

    layer: str
    downstream: str
    read: str
    explained: float
    order: Ints
    filters: Floats
