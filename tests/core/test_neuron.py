"""Addresses: slugs, aliases and specifications."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.core.errors import LayerError, NeuronError
from atlas.core.neuron import Branch, Layer, Neuron, find_layer, find_neuron, neuron_of, parse_neurons
from atlas.core.slugs import family_slugs, layer_slug, layer_slugs

# Anything a graph may call a layer, and more; a name at whose ends nothing is stripped.
NAMES = st.text(min_size=1, max_size=100).filter(lambda name: name == name.strip() and "\n" not in name)
# Names that come close to each other's slugs.
CLOSE = st.text("aA_-3.x/", min_size=1, max_size=7)


def layers_of(names: Sequence[str], n_channels: int = 400) -> tuple[Layer, ...]:
    """Return convolutions of these names, with the slugs that a network gives them."""
    slugs = layer_slugs(names)
    return tuple(Layer(name, slugs[name], "conv", name + ":0", n_channels, (5, 7), None) for name in names)


def mixed() -> tuple[Layer, ...]:
    """Return two concatenated layers with their branches, a nested one, and a layer that two take in."""
    parts = ["mixed3b_1x1", "mixed3b_5x5", "mixed3b_pool_reduce", "block/4_a", "block/4_b", "both"]
    trunk = layers_of(["conv2d0", "mixed3b", "block/4"])
    branches = [replace(layer, trunk=False, n_channels=96) for layer in layers_of(parts)]
    first = (
        Branch(parts[0], 0, 96),
        Branch(parts[1], 96, 96),
        Branch(parts[2], 200, 96),
        Branch("both", 300, 96),
    )
    second = (Branch(parts[3], 0, 96), Branch(parts[4], 96, 96), Branch("both", 192, 96))
    return (trunk[0], *branches, replace(trunk[1], branches=first), replace(trunk[2], branches=second))


MIXED = mixed()
LAYERS = layers_of(["conv2d0", "conv2d1", "mixed3a", "mixed3b", "block1/conv_3", "a:0"])


class TestFamilySlugs:
    """The part of an address that stands for a family."""

    def test_plain_names_are_read_in_the_address(self) -> None:
        """Case and punctuation go, words stay."""
        assert family_slugs(["High-low frequency", "Curves, thin"]) == {
            "High-low frequency": "high-low-frequency",
            "Curves, thin": "curves-thin",
        }

    @given(
        st.lists(NAMES | st.sampled_from(["a", "A", "a!", "Ä", "a-proposal-3", "-", "x" * 99]), unique=True)
    )
    def test_are_safe_and_apart(self, names: list[str]) -> None:
        """Every family has a file name of its own, which no proposal has."""
        slugs = list(family_slugs(names).values())
        assert len({slug.casefold() for slug in slugs}) == len(names)
        for slug in slugs:
            assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", slug)
            assert not re.search(r"-proposal-\d+$", slug)


class TestLayerSlug:
    """The safe file stem of one name."""

    @pytest.mark.parametrize("name", ["conv2d0", "mixed3b", "mixed3a_5x5_bottleneck", "a.b-c"])
    def test_plain_names_stay(self, name: str) -> None:
        """A name that is safe already is its own slug, as the published addresses demand."""
        assert layer_slug(name) == name

    def test_number_at_the_end_is_set_apart(self) -> None:
        """conv2d_3 cannot be the page of neuron 3 of conv2d."""
        assert layer_slug("conv2d_3") == "conv2d-3"
        assert layer_slug("conv2d-3") != "conv2d-3"

    @pytest.mark.parametrize(
        "name", ["index", "404", "CON", "lpt1", "search", "families", "family", "method"]
    )
    def test_reserved_names_are_marked(self, name: str) -> None:
        """A layer never takes the place of a page of the site or of a device."""
        assert layer_slug(name) != name

    @pytest.mark.parametrize("name", ["family_curves", "Family_a_b", "family__x", "family_3"])
    def test_no_layer_takes_a_family_s_page(self, name: str) -> None:
        """Whatever starts with family_ is a family's address, never a layer's or its neurons'."""
        assert not layer_slug(name).casefold().startswith("family_")
        assert len(set(layer_slugs([name, name.replace("_", "-", 1)]).values())) == 2

    @given(NAMES | CLOSE)
    def test_is_always_safe(self, name: str) -> None:
        """Whatever the name, the slug is a plain file stem that cannot leave its folder."""
        slug = layer_slug(name)
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", slug)
        assert ".." not in slug
        assert len(slug) <= 100
        assert not re.search(r"_\d+$", slug)
        assert not slug.casefold().startswith("family_")


class TestLayerSlugs:
    """The slugs of all layers of a network."""

    @given(st.lists(NAMES | CLOSE, unique=True, max_size=20))
    def test_never_meet(self, names: list[str]) -> None:
        """No two layers share a slug, not even where a file system ignores case."""
        slugs = layer_slugs(names)
        assert list(slugs) == names
        assert len({slug.casefold() for slug in slugs.values()}) == len(names)

    def test_never_meet_a_slug_that_was_made_unique(self) -> None:
        """A layer named like another's marked slug gets one of its own."""
        marked = layer_slugs(["a", "A"])["A"]
        slugs = layer_slugs([marked.lower(), "a", "A"])
        assert len({slug.casefold() for slug in slugs.values()}) == 3

    @given(st.lists(CLOSE, unique=True, min_size=1, max_size=12))
    def test_pages_never_meet(self, names: list[str]) -> None:
        """No page of a neuron takes the place of a layer's page or of another neuron's."""
        slugs = layer_slugs(names).values()
        pages = [*slugs] + [f"{slug}_{n}" for slug in slugs for n in (0, 3, 33)]
        assert len({page.casefold() for page in pages}) == len(pages)


class TestFindLayer:
    """A layer by name, slug or the end of its name."""

    @pytest.mark.parametrize("name", ["mixed3b", "3b"])
    def test_finds_by_name_and_by_end(self, name: str) -> None:
        """The end of a name is enough where no other ends so."""
        assert find_layer(LAYERS, name).name == "mixed3b"

    @pytest.mark.parametrize("name", ["", "mixed9", "d", "/", ":0"])
    def test_refuses_what_is_no_layer(self, name: str) -> None:
        """A wrong name is an error that shows the layers, and offers none where none is near."""
        with pytest.raises(LayerError, match=r"3 layers \(conv2d0, aconv3, bconv3\)$"):
            find_layer(layers_of(["conv2d0", "aconv3", "bconv3"]), name)

    @pytest.mark.parametrize(
        ("name", "listed"), [("3", "aconv3, bconv3"), ("c", "a/c, b/c"), ("V", "ev, av")]
    )
    def test_refuses_an_ambiguous_name(self, name: str, listed: str) -> None:
        """An end of several layers' names is an error that lists them."""
        layers = layers_of(["conv2d0", "aconv3", "bconv3", "a/c", "b/c", "ev", "av"])
        with pytest.raises(LayerError, match=f"several layers: found {listed}"):
            find_layer(layers, name)

    def test_aliases(self) -> None:
        """A node's name, with a port or below a scope, means its layer; a layer's own name comes first."""
        layers = layers_of(["fire2", "relu2", "block/conv"])
        aliases = {
            "fire2/concat": "fire2",
            "relu2": "fire2",
            "block/act/Relu": "block/conv",
            "block": "block/conv",
        }
        for alias in (
            "fire2",
            "fire2:0",
            "fire2/concat",
            "fire2/concat:0",
            "net/fire2/concat",
            "FIRE2/Concat",
        ):
            assert find_layer(layers, alias, aliases=aliases).name == "fire2"
        for alias in ("block", "conv", "act/Relu", "StatefulPartitionedCall/net/block/conv"):
            assert find_layer(layers, alias, aliases=aliases).name == "block/conv"
        assert find_layer(layers, "relu2", aliases=aliases).name == "relu2"
        with pytest.raises(LayerError, match="no layer 'block/other'"):
            find_layer(layers, "block/other", aliases=aliases)

    def test_neurons_by_aliases(self) -> None:
        """A neuron is found by its layer's alias; a number after the name is its index, not a port."""
        layers, aliases = layers_of(["fire2", "conv"]), {"fire2/concat": "fire2"}
        for alias in ("fire2/concat:0", "fire2/concat/0", "fire2/concat:0:0", "fire2:0"):
            assert find_neuron(layers, alias, aliases=aliases).name == "fire2:0"
        assert parse_neurons(layers, "fire2/concat:0-1,conv:0", aliases=aliases) == {
            "fire2": (0, 1),
            "conv": (0,),
        }

    def test_a_branch_does_not_answer_to_an_end(self) -> None:
        """Only layers of the trunk are found by the end of their name."""
        branch = Layer("x_pool", "x_pool", "conv", "x_pool:0", 4, None, None, trunk=False)
        with pytest.raises(LayerError):
            find_layer((branch,), "pool")
        assert find_layer((branch,), "x_pool") is branch

    @given(st.lists(CLOSE, unique=True, min_size=1, max_size=12))
    def test_every_name_finds_its_own_layer(self, names: list[str]) -> None:
        """A layer's name finds it, even where another layer's slug reads the same."""
        layers = layers_of(names)
        assert [find_layer(layers, name).name for name in names] == names


class TestFindNeuron:
    """A neuron by any of its aliases."""

    @pytest.mark.parametrize(
        "alias",
        [
            "mixed3b_379",
            "mixed3b:379",
            "mixed3b/379",
            " 3b:379 ",
            "mixed3b_379.html",
            "data/mixed3b_379.npz",
            "images/neuron/mixed3b_379.jpg",
            "https://storage.googleapis.com/distill-circuits/inceptionv1-weight-explorer/mixed3b_379.html",
            "https://microscope.openai.com/models/inceptionv1/mixed3b_0/379",
            "https://microscope.openai.com/models/inceptionv1/mixed3b/379/",
        ],
    )
    def test_resolves_every_alias(self, alias: str) -> None:
        """All the ways in which people write a neuron lead to it."""
        assert find_neuron(LAYERS, alias) == Neuron("mixed3b", "mixed3b", 379)

    @pytest.mark.parametrize("alias", ["block1/conv_3:7", "block1/conv_3/7", "block1/conv_3_7", "a:0:7"])
    def test_reads_names_with_separators(self, alias: str) -> None:
        """A layer name may itself hold slashes, colons and numbers."""
        assert find_neuron(LAYERS, alias).index == 7

    @given(st.lists(NAMES | CLOSE, unique=True, min_size=1, max_size=12), st.integers(0, 399))
    def test_name_and_page_round_trip(self, names: list[str], index: int) -> None:
        """A neuron's written name and its page's address lead back to it, whatever its layer's name."""
        layers = layers_of(names)
        for layer in layers:
            neuron = neuron_of(layer, index)
            assert find_neuron(layers, neuron.name) == neuron
            assert find_neuron(layers, f"site/{neuron.slug}.html") == neuron

    @pytest.mark.parametrize("alias", ["", "mixed3b", "379", ":3", "mixed3b:-1", "mixed3b:x"])
    def test_refuses_what_it_cannot_read(self, alias: str) -> None:
        """An alias without layer or index is an error that shows how to write one."""
        with pytest.raises(NeuronError, match="LAYER:INDEX"):
            find_neuron(LAYERS, alias)

    def test_refuses_an_unknown_layer(self) -> None:
        """A layer that does not exist is told with the nearest names."""
        with pytest.raises(LayerError, match="mixed3b"):
            find_neuron(LAYERS, "mixed3c:1")

    def test_refuses_an_index_out_of_range(self) -> None:
        """An index beyond the layer is told with the range."""
        with pytest.raises(NeuronError, match="0 to 399"):
            find_neuron(LAYERS, "mixed3b:400")

    def test_refuses_a_number_without_end(self) -> None:
        """Thousands of digits are refused like any other index."""
        with pytest.raises(NeuronError):
            find_neuron(LAYERS, "mixed3b:" + "9" * 5000)

    def test_an_address_is_read_as_a_slug_and_a_name_as_a_name(self) -> None:
        """Where one layer's slug is another's name, pages and names still lead to their own layer."""
        layers = layers_of(["a-3", "a_3"])
        assert find_neuron(layers, "a-3:5").layer == "a-3"
        assert find_neuron(layers, "a-3_5.html").layer == "a_3"


class TestBranches:
    """Neurons by the name of their branch."""

    @given(st.data())
    def test_every_alias_of_every_neuron_leads_back(self, data: st.DataObject) -> None:
        """Name, page, short name, branch and addresses, in any case and with spaces, are one neuron."""
        layer = data.draw(st.sampled_from([layer for layer in MIXED if layer.trunk]))
        neuron = neuron_of(layer, data.draw(st.integers(0, 399)))
        branch = layer.branch_of(neuron.index)
        names = [layer.name] + (["3b"] if layer.name == "mixed3b" else [])
        pairs = [(name, neuron.index) for name in names]
        if branch and branch.name != "both":
            pairs.append((branch.name, neuron.index - branch.first))
        name, index = data.draw(st.sampled_from(pairs))
        joint = data.draw(st.sampled_from([":", "/", "_", " : ", " ", " /", "_ "]))
        alias = data.draw(
            st.sampled_from(
                [
                    f"{name}{joint}{index}",
                    f"https://a.org/b/{neuron.slug}.html?x=1#factors",
                    f"https://microscope.openai.com/models/inceptionv1/{layer_slug(name)}_0/{index}?q=2"
                    if "/" not in name and name != "3b"
                    else neuron.slug,
                ]
            )
        )
        change = data.draw(st.sampled_from([str, str.upper, str.lower, str.title]))
        assert find_neuron(MIXED, f" {change(alias)} ") == neuron

    def test_a_branch_that_is_chosen_is_itself(self) -> None:
        """Where an atlas shows the branch as a layer, its name means its own neurons; not others'."""
        assert find_neuron(MIXED, "mixed3b_5x5:59").name == "mixed3b:155"
        assert find_neuron(MIXED, "mixed3b_5x5:59", chosen=["mixed3b_5x5"]).name == "mixed3b_5x5:59"
        assert find_neuron(MIXED, "mixed3b_5x5_59.html", chosen=["mixed3b_5x5"]).name == "mixed3b_5x5:59"
        assert find_neuron(MIXED, "mixed3b_1x1:5", chosen=["mixed3b_5x5"]).name == "mixed3b:5"

    def test_a_branch_of_two_layers_is_itself(self) -> None:
        """Where it is not clear which concatenation is meant, none is."""
        assert find_neuron(MIXED, "both:3").name == "both:3"

    def test_an_index_beyond_the_branch_is_told(self) -> None:
        """A branch's neurons are counted within it."""
        with pytest.raises(NeuronError, match="mixed3b_5x5 has no neuron 96: expected 0 to 95"):
            find_neuron(MIXED, "mixed3b_5x5:96")

    def test_specifications_take_branches_and_aliases(self) -> None:
        """Spans within a branch, whole branches, and any alias of a neuron."""
        chosen = parse_neurons(
            MIXED, "mixed3b_5x5:0-2, MIXED3B_1x1 : 7,mixed3b_300,https://a.org/mixed3b_301.html"
        )
        assert chosen == {"mixed3b": (7, 96, 97, 98, 300, 301)}
        assert parse_neurons(MIXED, "mixed3b_pool_reduce") == {"mixed3b": tuple(range(200, 296))}
        own = parse_neurons(MIXED, "mixed3b_5x5:0-2,mixed3b_5x5_4", chosen=["mixed3b_5x5"])
        assert own == {"mixed3b_5x5": (0, 1, 2, 4)}

    def test_case_is_told_apart_where_it_matters(self) -> None:
        """Two layers that differ by case only are found by their exact names."""
        layers = layers_of(["Conv", "conv", "mixed"])
        assert find_neuron(layers, "conv:1").layer == "conv"
        assert find_neuron(layers, "Conv:1").layer == "Conv"
        assert find_neuron(layers, "MIXED:1").layer == "mixed"
        with pytest.raises(LayerError, match="CONV"):
            find_neuron(layers, "CONV:1")


class TestParseNeurons:
    """The neurons that a specification names."""

    def test_reads_layers_indices_and_spans(self) -> None:
        """Parts add up, in the order of their layers, each neuron once."""
        chosen = parse_neurons(LAYERS, "mixed3b:5-7, 3b:6, conv2d0:2,mixed3b:1")
        assert chosen == {"mixed3b": (1, 5, 6, 7), "conv2d0": (2,)}

    def test_a_layer_alone_means_all_of_it(self) -> None:
        """A layer without a span stands for all of its neurons."""
        assert parse_neurons(LAYERS, "conv2d1") == {"conv2d1": tuple(range(400))}

    @pytest.mark.parametrize(("spec", "n"), [("a:0", 400), ("a:0:3-4", 2)])
    def test_reads_a_layer_name_with_a_colon(self, spec: str, n: int) -> None:
        """A layer whose name holds a colon is named in full."""
        assert len(parse_neurons(LAYERS, spec)["a:0"]) == n

    @given(st.sets(st.integers(0, 399), min_size=1))
    def test_round_trips(self, indices: set[int]) -> None:
        """Naming neurons one by one gives back just these."""
        spec = ",".join(f"mixed3a:{i}" for i in indices)
        assert parse_neurons(LAYERS, spec) == {"mixed3a": tuple(sorted(indices))}

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ("", "no neuron"),
            (" , ", "no neuron"),
            ("mixed3b:7-5", "backwards"),
            ("mixed3b:0-400", "0 to 399"),
            ("mixed3b:" + "9" * 5000, "cannot read"),
            ("mixed3b:x", "cannot read"),
            ("mixed3b:1-2-3", "cannot read"),
        ],
    )
    def test_refuses_what_it_cannot_read(self, spec: str, message: str) -> None:
        """An empty, backward, unreadable or too large span is an error that says so."""
        with pytest.raises(NeuronError, match=message):
            parse_neurons(LAYERS, spec)
