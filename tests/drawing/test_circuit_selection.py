"""A neuron's circuit, selected from tables of connections."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from atlas.analysis import connections
from atlas.core.records import CircuitShape
from atlas.drawing.circuit_selection import Selection, Spot, Table, ego_selection, selection_rule, table_of

# Layers of different sizes: weights [h, w, source, target] from each to the next.
Weights = dict[tuple[str, str], NDArray[np.float32]]
CHAIN = ("input", "a", "b", "c", "d")
SIZES = (3, 6, 7, 5, 8)


@pytest.fixture(scope="module")
def weights() -> Weights:
    """Return random expanded weights between neighbours."""
    rng = np.random.default_rng(0)
    pairs = zip(itertools.pairwise(CHAIN), itertools.pairwise(SIZES), strict=True)
    return {names: rng.normal(size=(3, 2, *sizes)).astype(np.float32) for names, sizes in pairs}


def tables(weights: Weights, k: int = 50, last: str = "d") -> Callable[[str, str], Table | None]:
    """Return a function to the tables of k connections, of the layers up to `last`."""
    known = CHAIN[1 : CHAIN.index(last) + 1]

    def table(layer: str, direction: str) -> Table | None:
        at = CHAIN.index(layer)
        pair = CHAIN[at - 1 : at + 1] if direction == "upstream" else CHAIN[at : at + 2]
        if layer not in known or len(pair) < 2:
            return None
        select = getattr(connections, direction)
        record = select(weights[pair], source=pair[0], target=pair[1], carrier="", k=k)
        total = np.sqrt(np.square(record.strength, dtype=np.float64).sum(1) / record.l2)
        return table_of(record, total.tolist())

    return table


def strengths(weights: Weights, pair: tuple[str, str]) -> NDArray[np.float32]:
    """Return the L2 norms of all kernels of a pair, [source, target]."""
    return np.sqrt(np.square(weights[pair], dtype=np.float64).sum((0, 1))).astype(np.float32)


def by_full_sort(
    weights: Weights, ego: Spot, up: int, down: int, fan: tuple[int, ...]
) -> set[tuple[Spot, Spot]]:
    """Return the pairs that are followed, from sorted columns and rows of all strengths."""
    pairs, at = set(), CHAIN.index(ego[0])
    for step, hops in ((-1, up), (1, down)):
        frontier = {ego}
        for hop in range(hops):
            layer = at + step * (hop + 1)
            if not 0 <= layer < len(CHAIN):
                break
            names = (CHAIN[layer], CHAIN[layer - step])
            norm = strengths(weights, names if step < 0 else names[::-1])
            norm = norm if step < 0 else norm.T
            n = fan[min(hop, len(fan) - 1)]
            found = {
                (spot, (CHAIN[layer], int(i)))
                for spot in frontier
                for i in sorted(range(len(norm)), key=lambda i: -norm[i, spot[1]])[:n]
            }
            pairs |= {(new, spot) if step < 0 else (spot, new) for spot, new in found}
            frontier = {new for _, new in found}
    return pairs


def found(selection: Selection) -> set[tuple[Spot, Spot]]:
    return {(edge.source, edge.target) for edge in selection.edges if edge.chosen}


class TestEgoSelection:
    @pytest.mark.parametrize("ego", [("a", 2), ("b", 6), ("c", 0), ("d", 7)])
    @pytest.mark.parametrize(("up", "down"), [(1, 0), (2, 1), (3, 3), (0, 2)])
    @pytest.mark.parametrize("fan", [(1,), (3, 2), (4, 2, 1)])
    def test_follows_the_strongest(
        self,
        weights: Weights,
        ego: Spot,
        up: int,
        down: int,
        fan: tuple[int, ...],
    ) -> None:
        """What is followed is what a full sort of all kernels' norms gives, hop by hop."""
        selection = ego_selection(tables(weights), ego, CircuitShape(up, down, fan, 1.0))
        assert found(selection) == by_full_sort(weights, ego, up, down, fan)

    def test_edges_hold_strength_sign_and_share(self, weights: Weights) -> None:
        """Each edge says what the weights say: norm, sign of the sum, part of the target's whole."""
        selection = ego_selection(tables(weights), ("c", 1), CircuitShape(2, 1, (3, 2), 0.0))
        assert len(selection.edges) > 12
        for edge in selection.edges:
            pair = (edge.source[0], edge.target[0])
            kernel = weights[pair][:, :, edge.source[1], edge.target[1]].astype(np.float64)
            norms = strengths(weights, pair)[:, edge.target[1]]
            assert edge.strength == pytest.approx(np.linalg.norm(kernel), rel=1e-6)
            assert edge.sign == np.sign(kernel.sum())
            assert edge.relative == pytest.approx(edge.strength / norms.max(), rel=1e-5)
            assert edge.share == pytest.approx(edge.strength**2 / np.square(norms).sum(), rel=1e-5)

    @pytest.mark.parametrize("between", [0.0, 0.6, 0.9])
    def test_others_are_joined_from_a_strength_on(self, weights: Weights, between: float) -> None:
        """Between neighbouring columns just those are there that are followed or strong enough."""
        selection = ego_selection(tables(weights), ("c", 1), CircuitShape(2, 1, (4, 2), between))
        expected = set()
        for sources, targets in itertools.pairwise(selection.columns):
            norm = strengths(weights, (sources[0][0], targets[0][0]))
            for s, t in itertools.product(sources, targets):
                if norm[s[1], t[1]] >= between * norm[:, t[1]].max():
                    expected.add((s, t))
        assert {(e.source, e.target) for e in selection.edges} == expected | found(selection)

    def test_no_edge_without_both_ends(self, weights: Weights) -> None:
        """Short lists and layers without lists leave no edge hanging, and none stands twice."""
        for k, last in ((2, "d"), (1, "c"), (50, "b")):
            selection = ego_selection(tables(weights, k, last), ("b", 3), CircuitShape(3, 3, (5, 2), 0.0))
            spots = [spot for column in selection.columns for spot in column]
            assert len(set(spots)) == len(spots)
            pairs = [(edge.source, edge.target) for edge in selection.edges]
            assert len(set(pairs)) == len(pairs)
            assert {spot for pair in pairs for spot in pair} == set(spots)

    def test_a_target_without_a_list_is_measured_by_its_source(self, weights: Weights) -> None:
        """Classes have no lists: their share is not known, the source's strongest is the unit."""
        selection = ego_selection(tables(weights, last="c"), ("c", 2), CircuitShape(0, 1, (3,), 0.0))
        assert [edge.listed for edge in selection.edges] == ["downstream"] * 3
        assert selection.edges[0].relative == 1
        assert [edge.share for edge in selection.edges] == [None] * 3

    def test_a_neuron_without_weights_has_no_circuit(self) -> None:
        """Connections of strength zero are none."""
        zero = {pair: np.zeros((1, 1, 9, 9), np.float32) for pair in itertools.pairwise(CHAIN)}
        for pair in zero:
            zero[pair] = np.zeros(
                (1, 1, SIZES[CHAIN.index(pair[0])], SIZES[CHAIN.index(pair[1])]), np.float32
            )

        def table(layer: str, direction: str) -> Table | None:
            if (layer, direction) != ("b", "upstream"):
                return None
            record = connections.upstream(zero["a", "b"], source="a", target="b", carrier="", k=3)
            return table_of(record, [0.0] * 7)

        selection = ego_selection(table, ("b", 1), CircuitShape(2, 1, (5,), 0.0))
        assert (selection.columns, selection.edges) == (((("b", 1),),), ())


class TestSelectionRule:
    def test_says_what_was_selected(self, weights: Weights) -> None:
        """Numbers are those that there were, and a single one is told as one."""
        selection = ego_selection(tables(weights), ("b", 1), CircuitShape(2, 2, (5, 9, 1), 0.5))
        rule = selection_rule(selection, 0.5, "b:1").replace("\N{NO-BREAK SPACE}", " ")
        assert rule == (
            "The 5 strongest inputs of b:1 by L2 norm, the 3 strongest inputs of each of these; the 5 "
            "strongest outputs of b:1 by L2 norm, the 8 strongest outputs of each of these. Fainter lines: "
            "every other connection between them that is at least 50 % as strong as the strongest in its "
            "target's list."
        )

    def test_one_is_singular(self, weights: Weights) -> None:
        """One followed neuron is "the strongest input", not "the 1 strongest inputs"."""
        selection = ego_selection(tables(weights), ("b", 1), CircuitShape(1, 0, (1,), 1.0))
        assert selection_rule(selection, 1.0, "b:1").startswith("The strongest input of b:1 by L2 norm. ")
