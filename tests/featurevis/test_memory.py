"""Batches are chosen by memory, from shapes alone."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import pytest

from atlas.featurevis import memory
from atlas.featurevis.recipe import Recipe
from featurevis_toy import network


def test_bytes_are_those_of_all_tensors_on_the_way() -> None:
    """An image's memory is that of every map up to the tensor, scaled to the image, twice."""
    net = network()
    # Lucid's largest input of a 48 px image is int(1.1 * 64) - 4 = 66 px.
    recipe = Recipe(size=(48, 48))
    stem = {"image": 44 * 52 * 3, "edge": 47 * 55 * 3} | dict.fromkeys(["conv", "pre", "relu"], 22 * 26 * 6)
    expected = sum(stem.values()) * 66 * 66 / (44 * 52) * 4 * 2
    assert abs(memory.image_bytes(net, "stem:0", recipe) - expected) < expected * 0.01


def test_batch_fits_the_budget() -> None:
    """Small networks are drawn sixteen at a time; large images fewer, and never none."""
    net = network()
    sizes = [memory.batch_size(net, "end:0", Recipe(size=(n, n)), n_sessions=2) for n in (48, 1500, 20000)]
    assert sizes[0] == memory.CPU_MOST
    assert memory.CPU_MOST > sizes[1] > sizes[2] == 1
    each = memory.image_bytes(net, "end:0", Recipe(size=(1500, 1500)))
    assert sizes[1] * each * 2 <= memory.CPU_BYTES < (sizes[1] + 1) * each * 2


class Driver:
    """CUDA's driver of a machine with one GPU."""

    def __init__(self, total: int, error: int = 0) -> None:
        self.total, self.error = total, error

    def cuInit(self, flags: int) -> int:  # noqa: N802
        """Say how it went."""
        return self.error

    def cuDeviceGet(self, device: Any, number: int) -> int:  # noqa: N802
        """There is one."""
        return int(number != 0)

    def cuDeviceTotalMem_v2(self, total: Any, device: Any) -> int:  # noqa: N802
        """Tell its memory."""
        total._obj.value = self.total
        return 0


class TestOnAGpu:
    @pytest.fixture(autouse=True)
    def _ask_again(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        devices = SimpleNamespace(list_physical_devices=lambda kind: ["GPU:0"])
        monkeypatch.setattr(memory, "tensorflow", SimpleNamespace(config=devices))
        memory.gpu_memory.cache_clear()
        yield
        memory.gpu_memory.cache_clear()

    def test_half_of_its_memory_in_whole_gibibytes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the driver keeps for itself does not change a batch; a small GPU gets smaller batches."""
        recipe = Recipe(size=(1500, 1500))
        sizes = {}
        for total in (1 << 30, (16 << 30) - 12345, 80 << 30):
            memory.gpu_memory.cache_clear()
            monkeypatch.setattr(ctypes, "CDLL", lambda name, total=total: Driver(total))
            sizes[memory.gpu_budget() >> 30] = memory.batch_size(network(), "end:0", recipe, n_sessions=1)
        assert list(sizes) == [1, 7, 40]
        assert sizes[1] < sizes[7] <= sizes[40] == memory.GPU_MOST

    def test_a_driver_that_does_not_tell(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """None, as with another maker's GPU, or one that fails: a constant."""

        def none(name: str) -> None:
            raise OSError(name)

        for library in (none, lambda name: Driver(80 << 30, error=100)):
            memory.gpu_memory.cache_clear()
            monkeypatch.setattr(ctypes, "CDLL", library)
            assert memory.gpu_budget() == memory.GPU_BYTES
