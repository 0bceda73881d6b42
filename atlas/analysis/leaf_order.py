"""Order of a cluster tree's leaves by which neighbours are as near as the tree allows.

The two branches of every node of the tree can be swapped. Of all orders that this allows, the best has the
smallest sum of distances between neighbours:

1. From the leaves up: W[a, b] of a node is the sum of the best order of its leaves that begins with a and
   ends with b, one of each branch: the least W_left[a, m] + D[m, k] + W_right[k, b] over m and k.
2. Of each branch only the `n_ends` leaves at which the sums are smallest are kept as ends.
3. From the root down: the smallest sum's ends, and the m and k between them.

    D[leaf, leaf]    distances
    W[end, end]      sums, infinite for two ends of one branch

Exact if no branch has more than `n_ends` leaves. A node costs some n_ends³ at most, so the whole is linear in
the number of leaves, but for D itself. Source: Bar-Joseph et al., "Fast optimal leaf ordering for
hierarchical clustering", 2001; step 2 is this project's own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atlas.core.records import Ints

Doubles = NDArray[np.float64]


class _Node(NamedTuple):
    ends: NDArray[np.intp]
    walk: Doubles


def leaf_order(tree: Doubles, distance: Doubles, *, n_ends: int) -> Ints:
    """Return the order of the leaves of a tree, int32 [n].

    `tree` is a linkage as scipy's, [n - 1, 2 or more], whose rows begin with the two nodes that are joined;
    `distance` is [n, n], symmetric.
    """
    branches = tree[:, :2].astype(np.intp)
    nodes = [_Node(np.array([leaf]), np.zeros((1, 1))) for leaf in range(len(distance))]
    for left, right in branches:
        nodes.append(_joined(nodes[left], nodes[right], distance, n_ends))
    root = nodes[-1]
    first, last = np.unravel_index(np.argmin(root.walk), root.walk.shape)
    order, todo = [], [(len(nodes) - 1, root.ends[first], root.ends[last])]
    while todo:
        at, first, last = todo.pop()
        if at < len(distance):
            order.append(at)
            continue
        left, right = branches[at - len(distance)]
        if first not in nodes[left].ends:
            left, right = right, left
        before, after = _join(nodes[left], nodes[right], distance, first, last)
        todo += [(right, after, last), (left, first, before)]
    return np.array(order, np.int32)


def _joined(left: _Node, right: _Node, distance: Doubles, n_ends: int) -> _Node:
    between = _least(left.walk, distance[np.ix_(left.ends, right.ends)])
    sums = _least(between, right.walk)
    rows = np.sort(np.argsort(sums.min(1), kind="stable")[:n_ends])
    columns = np.sort(np.argsort(sums.min(0), kind="stable")[:n_ends])
    ends = np.concatenate([left.ends[rows], right.ends[columns]])
    walk = np.full((len(ends),) * 2, np.inf)
    walk[: len(rows), len(rows) :] = sums[np.ix_(rows, columns)]
    return _Node(ends, np.minimum(walk, walk.T))


def _join(left: _Node, right: _Node, distance: Doubles, first: int, last: int) -> tuple[int, int]:
    """Return the leaves at which the best order from `first` to `last` goes from one node to the other."""
    start, end = np.argmax(left.ends == first), np.argmax(right.ends == last)
    sums = left.walk[start][:, None] + distance[np.ix_(left.ends, right.ends)] + right.walk[:, end]
    before, after = np.unravel_index(np.argmin(sums), sums.shape)
    return left.ends[before], right.ends[after]


def _least(one: Doubles, other: Doubles) -> Doubles:
    """Return the least one[i, j] + other[j, k] over j, [i, k]."""
    if len(one) <= other.shape[1]:
        return np.stack([(row[:, None] + other).min(0) for row in one])
    return np.stack([(one + column).min(1) for column in other.T], 1)
