"""Settings from TOML and flags, and the folders they name."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner

from atlas.cli.config_file import read_config
from atlas.cli.options import config_of, configured, placed
from atlas.cli.preflight import check_apart, check_writable
from atlas.core.config import AtlasConfig, EngineConfig
from atlas.core.errors import ConfigError, SiteError
from atlas.site.web import read_web


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    """Where a test writes its config."""
    return tmp_path / "atlas.toml"


class TestReadConfig:
    """What a file and flags become."""

    def test_nothing_given_is_the_defaults(self) -> None:
        """Without a file and flags, every setting has its default."""
        assert read_config() == AtlasConfig()

    def test_a_file_reaches_every_table(self, toml: Path) -> None:
        """Keys at the top and in tables arrive; what is left out keeps its default."""
        toml.write_text(
            'model = "m.pb"\nlayers = ["a", "b"]\n[nmf]\nfactors = 5\n[featurevis]\nsizes = { a = 100 }\n'
            "[model_options]\nvalue_range = [0, 255]\n"
        )
        config = read_config(toml)
        assert (config.model, config.layers_spec, config.nmf.factors) == ("m.pb", "a,b", 5)
        assert config.featurevis.sizes == {"a": 100}
        assert config.model_options.value_range == (0.0, 255.0)
        assert config.connections == AtlasConfig().connections

    def test_flags_lie_over_the_file(self, toml: Path) -> None:
        """A flag replaces a file's setting, at the top and in a table, and leaves its neighbours."""
        toml.write_text('site = "one"\nseed = 3\n[nmf]\nfactors = 5\nloadings = 4\n')
        config = read_config(toml, {"site": "two", "nmf.factors": 2, "connections.top": 7})
        assert (config.site, config.seed) == ("two", 3)
        assert (config.nmf.factors, config.nmf.loadings, config.connections.top) == (2, 4, 7)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('modell = "x"', "line 1: unknown setting modell; did you mean model"),
            ("[nmf]\n\nfactros = 1", "line 3: unknown setting nmf.factros; did you mean factors?"),
            ("seed = 1\n[nfm]\nfactors = 1", "line 2: unknown setting nfm; did you mean nmf?"),
            ('preset = "draft"', "line 1: unknown setting preset; it belongs in [featurevis]"),
            ("signature = 'x'", "line 1: unknown setting signature; it belongs in [model]"),
            ("nmf = { factros = 1 }", "line 1: unknown setting nmf.factros"),
            ("nmf.factros = 1", "line 1: unknown setting nmf.factros"),
            ("a.b.c = 1", "line 1: unknown setting a;"),
            ("seed = 1\nlayers = 3", "line 2: layers: expected `str | array`, got `int`: found 3"),
            ('[nmf]\nfactors = "x"', "line 2: nmf.factors: expected `int`, got `str`: found 'x'"),
            ("[nmf]\nfactors = 9", "line 2: nmf.factors: expected `int` <= 6: found 9"),
            ("nmf = 3", "line 1: nmf: expected `object`, got `int`"),
            ("seed = -1", "line 1: seed: expected `int` >= 0"),
            ("seed = 4294967296", "line 1: seed: expected `int`"),
            ("seed = true", "line 1: seed: expected `int`, got `bool`"),
            ('site = ""', "line 1: site: expected `str` of length >= 1"),
            ('[featurevis]\npreset = "ful"', "line 2: featurevis.preset: found 'ful', expected draft |"),
            ('[featurevis]\nvariants = ["x"]', "expected neuron | channel | neuron-negative | channel-"),
            ('[featurevis]\nvariants = ["neuron", "neuron"]', "a variant is named twice in neuron, neuron"),
            ('[featurevis]\nsizes = "note"', "found 'note', expected notebook | receptive field"),
            ('[featurevis]\nsizes = { a = "x" }', "line 2: featurevis.sizes: expected `int`, got `str`"),
            ('[model]\nmean = "x"', "line 2: model.mean: expected `array`, got `str`"),
            ("[model]\nmeans = 1", "line 2: unknown setting model.means; did you mean mean"),
            ("[model_options]\nvalue_range = [1]", "value_range: expected `array` of length 2, got 1"),
            ('title = """\nseed = 1\n"""\nfoo = 1', "line 4: unknown setting foo"),
            ("a = ", "is not TOML: Invalid value"),
        ],
    )
    def test_a_mistake_is_named_with_its_line(self, toml: Path, text: str, message: str) -> None:
        """An unknown key or a wrong value is an error with the file, the line, and what is possible."""
        toml.write_text(text)
        with pytest.raises(ConfigError) as error:
            read_config(toml)
        assert str(toml) in str(error.value)
        assert message in str(error.value)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a = " + "[" * 20_000, "is nested too deeply: expected tables of two levels"),
            ("a = " + "{a=" * 20_000, "is nested too deeply"),
            ("a." * 2_000 + "a = 1", "unknown setting a;"),
            ("seed = " + "9" * 5_000, "is not TOML: Exceeds the limit"),
            ('title = "\0"', "is not TOML: Illegal character"),
            ('"\u202e\\n" = 3', "unknown setting \\u202e"),
        ],
        ids=["lists", "tables", "dots", "digits", "null", "hidden"],
    )
    def test_a_hostile_file_is_told_in_one_line(self, toml: Path, text: str, message: str) -> None:
        """Nesting without end, numbers without end and characters that hide are an error like any other."""
        toml.write_text(text)
        with pytest.raises(ConfigError) as error:
            read_config(toml)
        assert message in str(error.value)
        assert str(error.value).isprintable()

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            ({"featurevis.preset": "fast"}, "--preset: found 'fast', expected draft | standard | full"),
            ({"nmf.factors": 9}, "--factors: expected `int` <= 6: found 9"),
            ({"model_options.value_range": ["0..255"]}, "--value-range: expected `array` of length 2"),
        ],
    )
    def test_a_wrong_flag_is_named(self, flags: dict[str, Any], message: str) -> None:
        """A wrong value on the command line is blamed on its flag, also where a file is right."""
        with pytest.raises(ConfigError) as error:
            read_config(None, flags)
        assert message in str(error.value)

    def test_what_is_no_config_is_an_error(self, tmp_path: Path) -> None:
        """A missing file, a folder and a file that is not text are told apart."""
        (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
        for name, message in [("none", "there is no"), ("", "found a folder"), ("binary", "is not text")]:
            with pytest.raises(ConfigError, match=message):
                read_config(tmp_path / name)

    def test_settings_cannot_be_changed(self) -> None:
        """A config is frozen."""
        with pytest.raises(AttributeError):
            AtlasConfig().seed = 1  # type: ignore[misc]


class TestStorePath:
    """Where the store is when nobody says."""

    @pytest.mark.parametrize(
        ("site", "store", "expected"),
        [
            ("site", "", "site.store"),
            ("a/b/", "", "a/b.store"),
            ("site", "s", "s"),
            ("/", "", "store"),
        ],
    )
    def test_it_stands_beside_the_site(self, site: str, store: str, expected: str) -> None:
        """The store is the named folder, else the site's neighbour."""
        assert AtlasConfig(site=site, store=store).store_path == Path(expected)

    def test_it_stands_beside_this_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A site in the current folder has its store beside that folder, not in it."""
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        assert AtlasConfig(site=".").store_path == tmp_path / "here.store"


class TestFolders:
    """check_apart() and check_writable()."""

    @pytest.mark.parametrize(
        ("paths", "message"),
        [
            ({"store": "site"}, "the store site lies in the site site"),
            ({"store": "site/store"}, "the store site/store lies in the site site"),
            ({"site": "s/site", "store": "s"}, "the site s/site lies in the store s"),
            ({"site": "a/../s", "store": "s"}, "lies in the"),
            ({"examples": "site/images"}, "the examples site/images lies in the site site"),
            ({"examples": "images", "site": "images/site", "store": "s"}, "lies in the examples images"),
            ({"examples": "images", "store": "images/s"}, "the store images/s lies in the examples images"),
            ({"model": "net", "site": "net/site", "store": "s"}, "the site net/site lies in the model net"),
            ({"site": "link", "store": "images/s"}, "lies in the site link"),
        ],
    )
    def test_folders_in_each_other_are_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paths: dict[str, str], message: str
    ) -> None:
        """Where one folder would spoil the other, the error names both and the flag to change."""
        monkeypatch.chdir(tmp_path)
        for name in ("net", "images", "site/images"):
            (tmp_path / name).mkdir(parents=True)
        (tmp_path / "link").symlink_to("images")
        with pytest.raises(ConfigError, match="choose another folder with --") as error:
            check_apart(AtlasConfig(**paths))
        assert message in str(error.value)

    def test_folders_beside_each_other_will_do(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The defaults, and a model's folder with examples in it, are fine."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / "net/images").mkdir(parents=True)
        check_apart(AtlasConfig())
        check_apart(AtlasConfig(model="net", examples="net/images", site="net-site"))

    def test_a_site_that_cannot_be_written_is_refused(self, tmp_path: Path) -> None:
        """A file, and a path below one, are no place for a site; nothing is made while asking."""
        (tmp_path / "file").write_text("mine")
        for name in ("file", "file/below/site"):
            with pytest.raises(SiteError, match=r"found the file .*file, expected a folder"):
                check_writable(tmp_path / name)
        check_writable(tmp_path / "new" / "site")
        assert [p.name for p in tmp_path.iterdir()] == ["file"]

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_read_only_site_is_refused(self, tmp_path: Path) -> None:
        """A folder without permission to write is an error that says so."""
        tmp_path.chmod(0o500)
        with pytest.raises(SiteError, match="no permission"):
            check_writable(tmp_path / "site")
        tmp_path.chmod(0o700)


class TestModelTable:
    """The table [model], with the model's source and how to read it."""

    @staticmethod
    def read(path: Path, text: str, **flags: Any) -> AtlasConfig:
        """Return the config of a file of this text."""
        (path / "atlas.toml").write_text(text)
        return read_config(path / "atlas.toml", flags)

    def test_table(self, tmp_path: Path) -> None:
        """A table [model] names the source and says how to read it; flags still come first."""
        text = """
            [model]
            source = "net.pb"
            input = "left"
            mean = [0.5, 0.4, 0.3]
            channels = "bgr"
            bands = [3, 2, 1]
            signature = "serve"
            custom_objects = ["m:A"]
            [model.inputs]
            right = 0.5
            age = [1, 2]
        """
        config = self.read(tmp_path, text, **{"model_options.input": "right"})
        options = config.model_options
        assert (config.model, options.input, options.mean) == ("net.pb", "right", (0.5, 0.4, 0.3))
        assert (options.channels, options.bands, options.signature) == ("bgr", (3, 2, 1), "serve")
        assert options.inputs == {"right": 0.5, "age": [1, 2]}
        assert self.read(tmp_path, '[model]\nsource = "a.pb"', model="b.pb").model == "b.pb"

    def test_a_single_mean_is_that_of_all_channels(self, tmp_path: Path) -> None:
        """As it is for --mean."""
        options = self.read(tmp_path, "[model]\nmean = 0.5\nstd = 2").model_options
        assert (options.mean, options.std) == ((0.5,), (2.0,))

    def test_both_forms_say_the_same(self, tmp_path: Path) -> None:
        """A model's name with [model_options] stays valid, and is the same config."""
        table = self.read(tmp_path, '[model]\nsource = "n.pb"\nvalue_range = [0, 255]')
        assert table == self.read(tmp_path, 'model = "n.pb"\n[model_options]\nvalue_range = [0, 255]')

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('[model]\nsource = "n.pb"\n[model_options]\nname = "x"', r"say the same; keep one"),
            ("[model]\nsource = 3", r"line 2: model.*3"),
            ("[model]\nbandss = [1]", r"line 2: unknown setting .*bandss; did you mean bands"),
            ("[model]\nbands = [1, 2]", "bands are three"),
            ('[model]\npreprocess = "x"', r"line 2: .*expected tf \| torch \| caffe \| none"),
            ('[model]\npreprocess = "tf"\nmean = [1]', "leaves no room for mean"),
        ],
    )
    def test_errors(self, tmp_path: Path, text: str, message: str) -> None:
        """What is wrong in the table is refused with its line."""
        with pytest.raises(ConfigError, match=message):
            self.read(tmp_path, text)


class TestOptions:
    """The command line's options."""

    def test_every_option_is_a_setting(self) -> None:
        """Each option reaches a setting of the config, with a help text; none is lost on the way."""
        given: dict[str, Any] = {}

        @click.command()
        @configured
        def command(**arguments: Any) -> None:
            given["config"] = config_of(arguments)

        values = {
            "--model": "m.pb", "--layers": "a,b", "--neurons": "a:1", "--store": "s", "--site": "t",
            "--examples": "e", "--title": "T", "--seed": "4", "--preset": "full",
            "--variants": "channel,neuron-negative", "--top": "6", "--factors": "2", "--width": "7",
            "--positions": "top 3", "--factor-pictures": "a:2",
            "--url": "https://a.org/", "--redirects": "r.json", "--packed": "always",
            "--images": "https://b.org/",
            "--mean": "0.5,0.4,0.3", "--std": "0.5", "--channels": "bgr",
            "--signature": "serve", "--bands": "3,2,1", "--custom-objects": "m:A,m:b",
            "--input": "x:0", "--value-range": "0,255", "--input-shape": "20,24,3", "--labels": "l.txt",
            "--weights": "w.pth", "--interpolation": "bicubic", "--crop": "0.875",
        }  # fmt: skip
        found = {o.opts[0] for o in command.params if isinstance(o, click.Option)}
        assert found == {*values, "--unsafe", "--preprocess"}
        assert all(o.help for o in command.params if isinstance(o, click.Option))
        result = CliRunner().invoke(command, ["--unsafe", *(w for pair in values.items() for w in pair)])
        assert result.exit_code == 0, result.output
        changed = msgspec.to_builtins(given["config"])
        assert changed["featurevis"]["variants"] == ("channel", "neuron-negative")
        options = {"input": "x:0", "value_range": (0.0, 255.0), "input_shape": (20, 24, 3), "labels": "l.txt"}
        options |= {
            "mean": (0.5, 0.4, 0.3),
            "std": (0.5,),
            "channels": "bgr",
            "signature": "serve",
            "bands": (3, 2, 1),
            "unsafe": True,
        }
        options |= {"custom_objects": ("m:A", "m:b"), "weights": "w.pth"}
        options |= {"interpolation": "bicubic", "crop": 0.875}
        plain = {"name": "", "preprocess": None, "inputs": {}}
        assert changed["model_options"] == options | plain
        assert changed["weights"]["width"] == 7
        tops = ("model", "layers", "neurons", "store", "site", "examples", "title", "seed")
        assert [changed[name] for name in tops] == ["m.pb", "a,b", "a:1", "s", "t", "e", "T", 4]
        directions = changed["directions"]
        assert (directions["positions"], directions["factors"]) == ("top 3", "a:2")
        assert (changed["connections"]["top"], changed["nmf"]["factors"]) == (6, 2)
        assert changed["featurevis"]["preset"] == "full"
        assert changed["web"] == {"url": "https://a.org/", "redirects": "r.json", "packed": "always"} | {
            "images": "https://b.org/"
        }
        CliRunner().invoke(command, ["--preprocess", "tf"])
        assert given["config"].model_options.preprocess == "tf"
        with pytest.raises(ConfigError, match="leaves no room for mean"):
            raise CliRunner().invoke(command, ["--preprocess", "tf", "--mean", "1"]).exception or ValueError

    def test_places_to_work_at(self) -> None:
        """Options of the commands that compute reach [engine]; two places at once are refused."""
        given: dict[str, Any] = {}

        @click.command()
        @placed
        def command(**arguments: Any) -> None:
            given["engine"] = config_of(arguments).engine

        def result(*words: str) -> EngineConfig:
            done = CliRunner().invoke(command, words)
            if done.exception:
                raise done.exception
            found: EngineConfig = given["engine"]
            return found

        assert result("--workers", "3").workers == 3
        cluster = result("--scheduler", "tcp://a:1", "--worker-resources", "GPU=1,MEMORY=2.5e9")
        assert (cluster.scheduler, cluster.resources) == ("tcp://a:1", {"GPU": 1, "MEMORY": 2.5e9})
        assert result("--scheduler-file", "s.json").scheduler_file == "s.json"
        with pytest.raises(ConfigError, match="workers and scheduler_file name different places"):
            result("--workers", "2", "--scheduler-file", "s.json")
        with pytest.raises(ConfigError, match="name its scheduler too"):
            result("--worker-resources", "GPU=1")
        with pytest.raises(ConfigError, match="resources"):
            result("--scheduler", "tcp://a:1", "--worker-resources", "GPU")


class TestCircuit:
    """How far circuits reach."""

    def test_a_table_of_its_own(self, toml: Path) -> None:
        """Hops, fans and the others' strength are read; what is left out keeps its default."""
        toml.write_text("[circuit]\nup = 3\nfan = [4, 3, 2]\n")
        circuit = read_config(toml).circuit
        assert (circuit.up, circuit.fan) == (3, (4, 3, 2))
        assert circuit.down == AtlasConfig().circuit.down

    @pytest.mark.parametrize("line", ["up = 4", "down = -1", "fan = []", "fan = [0]", "between = 2.0"])
    def test_refuses_what_no_page_could_show(self, toml: Path, line: str) -> None:
        """Too many hops, no fan, or a share beyond one are told with the setting and its line."""
        toml.write_text(f"[circuit]\n{line}\n")
        with pytest.raises(ConfigError, match=f"line 2: circuit.{line.split()[0]}"):
            read_config(toml)


class TestWeb:
    """Where a site will be published."""

    @pytest.mark.parametrize(
        "url", ["https://a.org/x/", "https://a.org/x", "http://a.org:8080", "https://a.org/~b/c%20d"]
    )
    def test_an_address_ends_in_a_slash(self, toml: Path, url: str) -> None:
        """A page's address is this one and its own behind it."""
        toml.write_text(f'[web]\nurl = "{url}"')
        assert read_web(read_config(toml).web).url == url.rstrip("/") + "/"
        assert read_web(read_config().web).url == ""

    @pytest.mark.parametrize(
        "url",
        [
            "a.org",
            "//a.org",
            "ftp://a.org/",
            "javascript:alert(1)",
            "https://",
            "https://ann:x@a.org/",
            "https://a.org/?x=1",
            "https://a.org/#x",
            "https://a.org/index.html",
            "https://a.org/a b",
            'https://a.org/"><script>',
            "https://a.org/\n",
        ],
    )
    def test_what_is_no_folder_on_the_web_is_refused(self, toml: Path, url: str) -> None:
        """No script, no user, no query, nothing that would have to be escaped."""
        toml.write_text(f"seed = 1\n[web]\nurl = {json.dumps(url)}")
        with pytest.raises(ConfigError, match=r"line [23]: web.*is no address of a folder on the web"):
            read_config(toml)
