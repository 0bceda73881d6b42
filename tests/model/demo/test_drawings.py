"""The drawings that the demo network is trained on, and the committed network's answers to fresh ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atlas.model import demo
from atlas.model.demo.drawings import KINDS, LABELS, Kind, draw, drawings
from atlas.model.demo.fields import SIZE

FOLDER = Path(demo.__file__).parent

# Far from the seeds of training (1) and of its held-out drawings (1000001).
FRESH_SEED = 77


@pytest.fixture(scope="module")
def fresh() -> tuple[np.ndarray, np.ndarray]:
    """Ten drawings of every class that no training has seen, and their labels' numbers."""
    return drawings(10 * len(KINDS), FRESH_SEED)


class TestDrawings:
    """Sets of drawings."""

    def test_shapes_and_types(self, fresh: tuple[np.ndarray, np.ndarray]) -> None:
        """Images are uint8 RGB of SIZE by SIZE pixels, labels are int32 numbers."""
        images, labels = fresh
        assert (images.shape, images.dtype) == ((320, SIZE, SIZE, 3), np.uint8)
        assert (labels.shape, labels.dtype) == ((320,), np.int32)

    def test_every_class_is_drawn_equally_often(self, fresh: tuple[np.ndarray, np.ndarray]) -> None:
        """Every class gets the same share of the drawings."""
        assert np.bincount(fresh[1]).tolist() == [10] * len(KINDS)

    def test_values_use_the_range(self, fresh: tuple[np.ndarray, np.ndarray]) -> None:
        """The drawings reach from black to white."""
        assert (fresh[0].min(), fresh[0].max()) == (0, 255)

    def test_same_seed_same_drawings(self) -> None:
        """A seed always gives the same drawings."""
        np.testing.assert_array_equal(drawings(40, 3)[0], drawings(40, 3)[0])

    def test_other_seed_other_drawings(self) -> None:
        """Another seed changes every drawing."""
        assert (drawings(40, 3)[0] != drawings(40, 4)[0]).any((1, 2, 3)).all()

    def test_longer_set_starts_with_the_shorter(self) -> None:
        """A drawing depends on its place and the seed, not on how many are made."""
        np.testing.assert_array_equal(drawings(40, 3)[0][:7], drawings(7, 3)[0])


class TestKinds:
    """The classes, one at a time."""

    def test_labels_are_unique(self) -> None:
        """No two classes share a label."""
        assert len(set(LABELS)) == len(LABELS)

    @pytest.mark.parametrize("kind", KINDS, ids=LABELS)
    def test_mask_has_figure_and_ground(self, kind: Kind) -> None:
        """Every class's mask stays within 0 to 1 and has both figure and ground."""
        mask = kind.mask(np.random.default_rng(0))
        assert mask.shape == (SIZE, SIZE)
        assert mask.min() >= 0
        assert mask.max() <= 1
        assert mask.max() - mask.min() > 0.5

    def test_colour_sides_are_as_named(self) -> None:
        """The class "red left of green" is redder at the left edge and greener at the right one."""
        kind = KINDS[LABELS.index("red left of green")]
        image = draw(kind, np.random.default_rng(0)).astype(float)
        redness = (image[..., 0] - image[..., 1]).mean(axis=0)
        assert redness[0] > 50
        assert redness[-1] < -50

    def test_curves_open_as_named(self) -> None:
        """A curve that opens up has more figure below its middle than one that opens down, on average."""

        def height(label: str) -> float:
            mask = KINDS[LABELS.index(label)].mask
            rows = [mask(np.random.default_rng(i)).sum(axis=1) for i in range(30)]
            return float(np.average(np.arange(SIZE), weights=np.sum(rows, axis=0)))

        assert height("curve opening up") > height("curve opening down") + 10


class TestCommittedNetwork:
    """The committed graph and its labels."""

    def test_labels_are_the_drawings(self) -> None:
        """labels.txt lists the classes in the drawings' order."""
        assert (FOLDER / "labels.txt").read_text(encoding="utf-8").splitlines() == list(LABELS)

    def test_graph_is_small(self) -> None:
        """graph.pb stays under 1.5 MB."""
        assert (FOLDER / "graph.pb").stat().st_size < 1_500_000

    def test_classifies_fresh_drawings(self, fresh: tuple[np.ndarray, np.ndarray]) -> None:
        """The committed graph names at least 95 % of drawings it has never seen."""
        tf = pytest.importorskip("tensorflow").compat.v1
        definition = tf.GraphDef.FromString((FOLDER / "graph.pb").read_bytes())
        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(definition, name="")
        with tf.Session(graph=graph) as session:
            scores = session.run("softmax2:0", {"input:0": fresh[0].astype(np.float32)})
        assert (scores.argmax(axis=1) == fresh[1]).mean() >= 0.95
