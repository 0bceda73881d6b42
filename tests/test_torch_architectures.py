"""PyTorch modules drawn at random: every value, name, field and weight is PyTorch's, or they are refused."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'circuit-atlas[torch]'")

from torch_architectures import drawn
from torch_examination import examine

SEEDS = range(20)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_is_right(seed: int) -> None:
    """Whatever code is drawn is right in all that PyTorch can tell, or refused in one line."""
    net = drawn(seed)
    report = examine(net)
    assert not report.failures, f"seed {seed}: {net.size}\n{net.code}\n" + "\n".join(report.failures)
    assert report.refusal or report.compared["value"]
