"""What an atlas depends on of its model: bytes and code, not names of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from atlas.build.plan.settings import every_setting
from atlas.core.config import AtlasConfig
from atlas.core.model_config import ModelConfig


def settings(model: str, weights: str = "") -> dict[str, str]:
    return every_setting(AtlasConfig(model=model, model_options=ModelConfig(weights=weights)))


def test_weights_count_by_their_bytes(tmp_path: Path) -> None:
    """The same file under another name is the same; another file under the same name is not."""
    first, second = tmp_path / "a.pth", tmp_path / "b.pth"
    first.write_bytes(b"weights")
    second.write_bytes(b"weights")
    before = settings("timm:resnet18", str(first))
    assert settings("timm:resnet18", str(second)) == before
    first.write_bytes(b"others")
    after = settings("timm:resnet18", str(first))
    assert {name for name in before if before[name] != after[name]} == {"model_options.weights"}


@pytest.mark.parametrize("changed", ["nets.py", "nets_sizes.py", "package/inner/deep.py"])
def test_code_that_makes_a_network_counts_by_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    """That of its package, and that next to it, which it may import."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "package" / "inner").mkdir(parents=True)
    for name in ("nets.py", "nets_sizes.py", "package/__init__.py", "package/inner/deep.py"):
        (tmp_path / name).write_text("x = 1")
    source = "package.inner:make" if "/" in changed else "nets:make"
    before = settings(source)
    (tmp_path / changed).write_text("x = 2")
    after = settings(source)
    assert {name for name in before if before[name] != after[name]} == {"model.code"}


@pytest.mark.parametrize("changed", ["nets/deep.py", "net.py"])
def test_code_that_is_installed_counts_wherever_the_build_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    """A package that is installed to be edited keeps its version when its code changes."""
    installed = tmp_path / "installed"
    (installed / "nets").mkdir(parents=True)
    for name in ("nets/__init__.py", "nets/deep.py", "net.py"):
        (installed / name).write_text("x = 1")
    monkeypatch.syspath_prepend(str(installed))
    source = "nets.deep:make" if "/" in changed else "net:make"
    found = []
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        found.append(settings(source))
    assert found[0] == found[1]
    (installed / changed).write_text("x = 2")
    after = settings(source)
    assert {name for name in after if after[name] != found[0][name]} == {"model.package"}


def test_models_without_code_of_the_users_have_no_such_setting() -> None:
    """So that stores of former versions stay fresh."""
    for source in ("demo", "keras:MobileNetV2", "timm:resnet18", "torchvision:resnet18"):
        assert "model.code" not in settings(source)
        assert "model_options.weights" not in settings(source)
