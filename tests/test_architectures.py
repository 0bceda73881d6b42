"""Architectures drawn at random: layers, answers, fields, weights and pictures are those of their oracle."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from architecture_models import REAL, Built
from architecture_pen import architectures, drawn
from architectures import Architecture
from atlas.model.graph.backend import tf
from examination import examine

# Keras 3 and NumPy 2 disagree on an argument; neither is ours.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SEEDS = range(100)
# A picture takes as long as all else.
PICTURES = 10


@pytest.fixture(autouse=True)
def _apart() -> None:
    """Each architecture begins without Keras's memory of the one before."""
    tf.keras.backend.clear_session()


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_is_right(seed: int, tmp_path: Path) -> None:
    """Whatever is drawn is right in all that an oracle can tell, or refused in one line."""
    architecture = drawn(seed)
    report = examine(architecture, seed, tmp_path, picture=seed % PICTURES == 0)
    found = "\n".join(f"{finding.kind}: {finding.detail}" for finding in report.failures)
    assert not report.failures, f"seed {seed}: {architecture}\n{found}"
    assert report.compared["answer"] or report.refusals


@pytest.mark.slow
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(architectures())
def test_description_is_what_keras_makes_of_it(architecture: Architecture) -> None:
    """The sizes that a description tells are those of the Keras model that is built of it."""
    output = Built(architecture, REAL).model.output_shape
    last = architecture.steps[-1]
    assert output[1:] == (last.out[2:] if last.kind == "end" else last.out)
