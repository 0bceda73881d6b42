"""What is not as asked for, and why."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atlas.build.freshness import explained, images_digest, up_to_date
from atlas.cli.config_file import read_config
from atlas.core.config import AtlasConfig
from atlas.core.errors import ExamplesError, LayerError, NeuronError
from atlas.store import Store, index, snapshot
from atlases import n_artefacts, paper_atlas, put_everything, stale_keys

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path: Path) -> AtlasConfig:
    """A config of a model that is one file."""
    (tmp_path / "m.pb").write_bytes(b"graph")
    return read_config(None, {"model": str(tmp_path / "m.pb"), "site": str(tmp_path / "site")})


@pytest.fixture(params=["journal", "snapshot"])
def folder(config: AtlasConfig, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store that holds the whole paper atlas, its index read in either form."""
    if request.param == "snapshot":
        monkeypatch.setattr(index, "_MANY", 1)
        monkeypatch.setattr(snapshot, "_TICK_NS", -(10**12))
    put_everything(config.store_path, paper_atlas(), config)
    return config.store_path


def n_fresh(config: AtlasConfig, *, write: bool = False) -> int | None:
    """Return what up_to_date says in a new process."""
    with Store.open(config.store_path, write=write) as store:
        fresh = up_to_date(store, config)
        return None if fresh is None else fresh[0]


class TestUpToDate:
    """up_to_date()."""

    def test_a_whole_store_is(self, folder: Path, config: AtlasConfig) -> None:
        """All artefacts are counted when all are fresh."""
        assert n_fresh(config) == n_artefacts(folder)

    @pytest.mark.parametrize("key", ["nmf/first/2.json", "featurevis/channel/second-x/4.jpg", "atlas.json"])
    def test_a_store_that_lacks_one_is_not(self, folder: Path, config: AtlasConfig, key: str) -> None:
        """One deleted artefact, whichever it is, is noticed, and it alone is stale."""
        (folder / key).unlink()
        assert n_fresh(config) is None
        assert stale_keys(folder, paper_atlas(), config) == {key: "missing"}

    @pytest.mark.parametrize("key", ["weights/input/first.npy", "nmf/first/2.json", "atlas.json"])
    def test_a_store_with_a_flipped_byte_is_not(self, folder: Path, config: AtlasConfig, key: str) -> None:
        """One changed byte is noticed, and that artefact alone is stale: not what was made from it."""
        data = bytearray((folder / key).read_bytes())
        data[len(data) // 2] ^= 4
        (folder / key).write_bytes(data)
        assert n_fresh(config) is None
        assert stale_keys(folder, paper_atlas(), config) == {key: "damaged"}

    def test_another_model_is_not(self, folder: Path, config: AtlasConfig, tmp_path: Path) -> None:
        """A model file with other bytes is noticed without opening it."""
        (tmp_path / "m.pb").write_bytes(b"other")
        assert n_fresh(config) is None

    def test_a_copied_store_is(self, folder: Path, config: AtlasConfig, tmp_path: Path) -> None:
        """A copy with new times is as fresh as the original."""
        shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
        copied = read_config(None, {"model": config.model, "store": str(tmp_path / "copy")})
        assert n_fresh(copied) == n_fresh(config) == n_artefacts(folder)

    @pytest.mark.slow
    def test_five_thousand_neurons_take_less_than_two_seconds(self, config: AtlasConfig) -> None:
        """Nothing to do for 5,000 neurons and 18,000 files is told within 2 s, without TensorFlow."""
        large = paper_atlas(examples=True, n_channels=(2000, 3000))
        examples = Path(config.site).with_name("images")
        examples.mkdir()
        Image.new("RGB", (8, 8)).save(examples / "a.png")
        flags = {"model": config.model, "site": config.site, "examples": str(examples)}
        with Store.open(config.store_path, write=True) as store:
            images = images_digest(store, str(examples))
        n_artefacts = put_everything(config.store_path, large, read_config(None, flags), images=images)
        assert n_artefacts > 3 * 5000
        command = [sys.executable, "-X", "importtime", "build.py", "compute"]
        command += [word for name, value in flags.items() for word in (f"--{name}", value)]
        seconds = []
        for _ in range(3):
            start = time.monotonic()
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            seconds.append(time.monotonic() - start)
            assert f"nothing to do, all {n_artefacts} artefacts are fresh" in done.stdout
            assert "| tensorflow" not in done.stderr
        assert min(seconds) < 2, seconds


class TestImagesDigest:
    """images_digest()."""

    @pytest.fixture
    def images(self, tmp_path: Path) -> Path:
        """A folder of two images and a text."""
        folder = tmp_path / "images"
        folder.mkdir()
        for name in ("a.png", "b.png"):
            Image.fromarray(np.full((4, 5, 3), ord(name[0]), np.uint8)).save(folder / name)
        (folder / "notes.txt").write_text("x")
        return folder

    def digest(self, tmp_path: Path, images: Path) -> str:
        """Return the digest in a new process."""
        with Store.open(tmp_path / "s", write=True) as store:
            return images_digest(store, str(images))

    def test_only_images_and_their_bytes_count(self, tmp_path: Path, images: Path) -> None:
        """Times, other files and the folder's own name change nothing."""
        before = self.digest(tmp_path, images)
        os.utime(images / "a.png", ns=(1, 1))
        (images / "notes.txt").write_text("y")
        images.rename(tmp_path / "renamed")
        assert self.digest(tmp_path, tmp_path / "renamed") == before

    def test_a_change_counts(self, tmp_path: Path, images: Path) -> None:
        """An image with other bytes, another name, a new and a lost one each change the digest."""
        digests = [self.digest(tmp_path, images)]
        (images / "a.png").write_bytes((images / "b.png").read_bytes())
        digests.append(self.digest(tmp_path, images))
        (images / "a.png").rename(images / "c.png")
        digests.append(self.digest(tmp_path, images))
        (images / "c.png").unlink()
        digests.append(self.digest(tmp_path, images))
        assert len(set(digests)) == 4

    def test_no_folder_is_no_digest(self, tmp_path: Path) -> None:
        """Without examples there is nothing to hash; a folder that is not there is an error."""
        with Store.open(tmp_path / "s", write=True) as store:
            assert images_digest(store, "") == ""
            with pytest.raises(ExamplesError, match="no folder of images"):
                images_digest(store, str(tmp_path / "none"))


class TestExplained:
    """explained()."""

    def found(self, config: AtlasConfig, alias: str) -> dict[str, str]:
        """Return the reasons by key, "" for fresh."""
        with Store.open(config.store_path) as store:
            return {a.key: status.reason for a, status in explained(store, config, alias)}

    def test_it_lists_a_neurons_artefacts(self, folder: Path, config: AtlasConfig) -> None:
        """What a neuron's page is made from is listed, its neighbours' files are not."""
        assert self.found(config, "second-x_3") == {
            "weights/first/second-x.npy": "",
            "weights/second-x/classes.npy": "",
            "connections/second-x__upstream.npz": "",
            "connections/second-x__downstream.npz": "",
            "paths/second-x__1.npz": "",
            "paths/second-x__2.npz": "",
            "nmf/second-x/3.json": "",
            "statistics/second-x.npz": "",
            "effective-fields/second-x.npz": "",
            "featurevis/neuron/second-x/3.jpg": "",
            "featurevis/channel/second-x/3.jpg": "",
            "atlas.json": "",
        }

    def test_it_tells_why(self, folder: Path, config: AtlasConfig) -> None:
        """A missing file and a changed setting are told apart."""
        (folder / "featurevis/neuron/first/0.jpg").unlink()
        flags = {"model": config.model, "site": config.site, "nmf.factors": 2}
        reasons = {k: r for k, r in self.found(read_config(None, flags), "first:0").items() if r}
        assert reasons == {
            "nmf/first/0.json": "setting nmf.factors changed",
            "featurevis/neuron/first/0.jpg": "missing",
            "atlas.json": "setting nmf.factors changed",
        }

    def test_of_another_model_nothing_is_fresh(self, folder: Path, config: AtlasConfig) -> None:
        """When the model's bytes changed, so did all that was made from it."""
        Path(config.model).write_bytes(b"other")
        assert set(self.found(config, "first:0").values()) == {"model changed"}

    @pytest.mark.parametrize("alias", ["SECOND/X 3", "https://a.org/second-x_3.html#from-1"])
    def test_any_alias_will_do(self, folder: Path, config: AtlasConfig, alias: str) -> None:
        """Upper case, spaces and whole addresses find the same artefacts."""
        assert self.found(config, alias) == self.found(config, "second-x_3")

    @pytest.mark.parametrize("alias", ["first:4", "third:0", "classes:1", "x"])
    def test_a_neuron_that_is_not_there_is_an_error(
        self, folder: Path, config: AtlasConfig, alias: str
    ) -> None:
        """A neuron out of range, of no layer, or of one that the atlas leaves out is an error."""
        with Store.open(folder) as store, pytest.raises((NeuronError, LayerError)):
            explained(store, config, alias)
