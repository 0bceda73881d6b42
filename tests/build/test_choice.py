"""Which neurons get pictures of directions, said in words."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from atlas.build.choice import chosen_neurons
from atlas.core.errors import AtlasError, ConfigError, LayerError, NeuronError
from atlas.core.records import AtlasRecord, Floats, LayerRecord
from atlases import paper_atlas


def atlas() -> AtlasRecord:
    """Return the paper atlas; "second/x" (5 neurons) has a source that can be drawn, "first" the image."""
    paper = paper_atlas()
    first, second = paper.layers
    return replace(paper, layers=(first, replace(second, source_size=(20, 24))))


def strengths(record: LayerRecord) -> Floats:
    """Rank the neurons of "second/x" as 3, 0, 4, 1, 2; nobody else may be asked."""
    assert record.layer == "second/x"
    return np.array([4, 2, 1, 9, 3], np.float32)


def chosen(spec: str, *, of: AtlasRecord | None = None, **families: tuple[int, ...]) -> object:
    named = {name.replace("_", "/"): neurons for name, neurons in families.items()}
    return chosen_neurons(of or atlas(), spec, families=named, strengths=strengths)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("none", {}),
        ("families", {}),
        ("all", {"second/x": (0, 1, 2, 3, 4)}),
        ("top 2", {"second/x": (0, 3)}),
        ("top 99", {"second/x": (0, 1, 2, 3, 4)}),
        ("second/x:4,second/x:1-2", {"second/x": (1, 2, 4)}),
        ("second/x", {"second/x": (0, 1, 2, 3, 4)}),
    ],
)
def test_words(spec: str, expected: dict[str, tuple[int, ...]]) -> None:
    """Each way to say it means these neurons; a layer built from the image itself has none."""
    assert chosen(spec) == expected


def test_families_are_given() -> None:
    """With "families" it is the neurons that are given, as far as they have something to draw."""
    assert chosen("families", second_x=(3, 1), first=(0,)) == {"second/x": (1, 3)}


def test_equal_strengths_stand_in_order() -> None:
    """Of neurons that are equally strong the first are taken."""
    found = chosen_neurons(atlas(), "top 2", strengths=lambda record: np.ones(5, np.float32))
    assert found == {"second/x": (0, 1)}


def test_only_shown_neurons(caplog: pytest.LogCaptureFixture) -> None:
    """Ranked are the neurons that the atlas shows; a named one that it does not show is told of."""
    whole = atlas()
    part = replace(whole, layers=(whole.layers[0], replace(whole.layers[1], neurons=(1, 2, 4))))
    assert chosen("top 1", of=part) == {"second/x": (4,)}
    with caplog.at_level(logging.WARNING):
        assert chosen("second/x:3-4", of=part) == {"second/x": (4,)}
    assert "second/x:3 is not shown" in caplog.text


@pytest.mark.parametrize(
    ("spec", "kind", "message"),
    [
        ("top x", ConfigError, r"cannot read the neurons 'top x'.*top 10"),
        ("top 0", ConfigError, "cannot read the neurons 'top 0'"),
        ("top", ConfigError, "cannot read the neurons 'top'"),
        ("second/x:7", NeuronError, r"second/x has no neuron 7.*0 to 4"),
        ("third:1", LayerError, "no layer 'third'"),
        ("first:2", NeuronError, r"first:2 has no layer before it.*leave first out"),
    ],
)
def test_bad_words(spec: str, kind: type[AtlasError], message: str) -> None:
    """What cannot be read or drawn is an error that names it."""
    with pytest.raises(kind, match=message):
        chosen(spec)
