"""Keras files that are not only a model: refused before Keras reads them, and nothing of them runs."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas.core.errors import ModelError
from atlas.model.reading.keras_contents import check_keras_file
from atlas.model.reading.load import load_model

keras = pytest.importorskip("keras")
h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def small(*extra: Any) -> Any:
    """A model of one convolution, with other layers behind it."""
    layers = [keras.Input((8, 9, 3)), keras.layers.Conv2D(4, 3, name="first"), *extra]
    return keras.Sequential(layers)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good model in both forms, net.keras and net.h5."""
    folder = tmp_path_factory.mktemp("plain")
    for name in ("net.keras", "net.h5"):
        small().save(folder / name)
    return folder


def repacked(source: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Write a .keras file again with other members."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_lambda_is_refused_unrun(tmp_path: Path, ending: str) -> None:
    """Python in a file is named and never runs, not even where Keras would run it."""
    trap = tmp_path / "trap"
    code = f"lambda x: open({str(trap)!r}, 'w').close() or x"
    model = small(keras.layers.Lambda(eval(code), name="own"))
    trap.unlink(missing_ok=True)
    model.save(tmp_path / f"net.{ending}")
    trap.unlink(missing_ok=True)
    with pytest.raises(ModelError, match=r"holds code, which is never run: found (Lambda|__lambda__)"):
        load_model(tmp_path / f"net.{ending}")
    assert not trap.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("numpy", "load"), ("kerasx.layers", "Conv2D"), ("keras.layers", "TFSMLayer")],
)
def test_a_class_of_another_package_is_refused(tmp_path: Path, plain: Path, module: str, name: str) -> None:
    """A description that names anything but a plain layer of Keras is refused."""

    def change(members: dict[str, bytes]) -> None:
        config = json.loads(members["config.json"])
        config["config"]["layers"][1] |= {"module": module, "class_name": name}
        members["config.json"] = json.dumps(config).encode()

    with pytest.raises(ModelError, match=f"found (keras.layers|{module}.)?{name}"):
        load_model(repacked(plain / "net.keras", tmp_path / "net.keras", change))


@pytest.mark.parametrize("name", ["../slip", "/tmp/slip", "a/../../slip", "C:\\slip", "..\\slip"])
def test_a_member_that_would_lie_elsewhere_is_refused(tmp_path: Path, plain: Path, name: str) -> None:
    """A name that leads out of the archive is told, and nothing is unpacked."""
    (tmp_path / "in").mkdir()
    file = repacked(
        plain / "net.keras", tmp_path / "in/net.keras", lambda members: members.update({name: b"x"})
    )
    with pytest.raises(ModelError, match="holds a file that would be written elsewhere"):
        load_model(file)
    assert [p.name for p in tmp_path.rglob("*slip*")] == []


def test_a_bomb_is_refused(tmp_path: Path, plain: Path) -> None:
    """A file that would unpack to a hundred times its size and more is not unpacked."""
    with zipfile.ZipFile(tmp_path / "net.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        with zipfile.ZipFile(plain / "net.keras") as source:
            for name in source.namelist():
                archive.writestr(name, source.read(name))
        archive.writestr("assets/zeros", bytes(200 << 20))
    with pytest.raises(ModelError, match="unpacks to more than its size allows"):
        load_model(tmp_path / "net.keras")


def _external_link(root: Any) -> None:
    root["elsewhere"] = h5py.ExternalLink("/etc/passwd", "/")


def _external_array(root: Any) -> None:
    root.create_dataset("elsewhere", (4,), "u1", external=[("/etc/hostname", 0, 4)])


@pytest.mark.parametrize("put", [_external_link, _external_array])
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_weights_in_other_files_are_refused(
    tmp_path: Path, plain: Path, put: Callable[[Any], None], ending: str
) -> None:
    """Weights that would be read from another file of this machine are told."""
    file = tmp_path / f"net.{ending}"
    if ending == "h5":
        file.write_bytes((plain / "net.h5").read_bytes())
        with h5py.File(file, "a") as root:
            put(root)
    else:

        def change(members: dict[str, bytes]) -> None:
            data = io.BytesIO(members["model.weights.h5"])
            with h5py.File(data, "a") as root:
                put(root)
            members["model.weights.h5"] = data.getvalue()

        repacked(plain / "net.keras", file, change)
    with pytest.raises(ModelError, match="refers to another file: found elsewhere"):
        load_model(file)


@pytest.mark.parametrize("config", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_description_that_is_none_is_told(tmp_path: Path, plain: Path, config: bytes) -> None:
    """No JSON, and JSON that is nested without end, are an error with the file's name."""
    file = repacked(
        plain / "net.keras", tmp_path / "net.keras", lambda members: members.update({"config.json": config})
    )
    with pytest.raises(ModelError, match=r"net\.keras does not describe its layers"):
        load_model(file)


@pytest.mark.parametrize("name", ["net.keras", "net.h5"])
def test_a_plain_model_passes(plain: Path, name: str) -> None:
    """A model of Keras's own layers is let in, whole or damaged; the latter is for Keras to tell."""
    check_keras_file(plain / name)
    assert [layer.name for layer in load_model(plain / name, value_range=(0, 1)).layers] == ["first"]


@pytest.mark.parametrize("name", ["net.keras", "net.h5"])
def test_damaged_files_are_told(tmp_path: Path, plain: Path, name: str) -> None:
    """Bytes changed anywhere: a network or a ModelError, and nothing else."""
    data = (plain / name).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(25):
        broken = bytearray(data)
        for at in rng.integers(0, len(data), 3):
            broken[at] ^= 1 << int(rng.integers(8))
        (tmp_path / name).write_bytes(broken)
        with contextlib.suppress(ModelError):
            load_model(tmp_path / name, value_range=(0, 1))
