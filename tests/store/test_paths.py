"""Keys of artefacts: never the same for two, never outside the store."""

from __future__ import annotations

import itertools
import re
from pathlib import PurePosixPath

from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.core.slugs import layer_slugs
from atlas.store import paths

NAMES = st.lists(
    st.text("ab_/:. -3", min_size=1, max_size=6)
    | st.sampled_from(["../x", "a/../../b", "a__b", "a.npz", "3.jpg", "input", "con", "a_3", "a:3", " "]),
    min_size=1,
    max_size=4,
    unique=True,
)


def every_key(slugs: list[str]) -> list[str]:
    """Return every key that layers with these slugs may have, two neurons each."""
    keys = [paths.ATLAS]
    keys += [paths.weights(a, b) for a, b in itertools.permutations(["input", *slugs], 2)]
    for slug in slugs:
        keys += [paths.connections(slug, direction) for direction in ("upstream", "downstream")]
        keys += [paths.examples(slug), paths.statistics(slug), paths.filters(slug)]
        keys += [paths.signed_paths(slug, hops) for hops in (1, 2)]
        for index in (0, 12):
            keys += [paths.factorization(slug, index), paths.example_strip(slug, index)]
            keys += [paths.featurevis(variant, slug, index) for variant in ("neuron", "channel-negative")]
    return keys


@settings(max_examples=200, deadline=None)
@given(NAMES)
def test_keys_are_apart_and_inside(names: list[str]) -> None:
    """Whatever layers are called, no two artefacts share a file, and none leads out of the store."""
    keys = every_key(list(layer_slugs(names).values()))
    assert len({key.casefold() for key in keys}) == len(keys)
    folders = {str(parent) for key in keys for parent in PurePosixPath(key.casefold()).parents}
    assert not folders & {key.casefold() for key in keys}
    for key in keys:
        assert re.fullmatch(r"[A-Za-z0-9._/-]+", key)
        assert not PurePosixPath(key).is_absolute()
        assert ".." not in PurePosixPath(key).parts
