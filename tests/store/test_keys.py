"""Keys of artefacts: never the same for two, never outside the store."""

from __future__ import annotations

import itertools
import re
from pathlib import PurePosixPath

from hypothesis import given, settings
from hypothesis import strategies as st

from atlas.core.slugs import layer_slugs
from atlas.store import keys

NAMES = st.lists(
    st.text("ab_/:. -3", min_size=1, max_size=6)
    | st.sampled_from(["../x", "a/../../b", "a__b", "a.npz", "3.jpg", "input", "con", "a_3", "a:3", " "]),
    min_size=1,
    max_size=4,
    unique=True,
)


def every_key(slugs: list[str]) -> list[str]:
    """Return every key that layers with these slugs may have, two neurons each."""
    listed = [keys.ATLAS]
    listed += [keys.weights(a, b) for a, b in itertools.permutations(["input", *slugs], 2)]
    for slug in slugs:
        listed += [keys.connections(slug, direction) for direction in ("upstream", "downstream")]
        listed += [keys.examples(slug), keys.statistics(slug), keys.filters(slug)]
        listed += [keys.signed_paths(slug, hops) for hops in (1, 2)]
        for index in (0, 12):
            listed += [keys.factorization(slug, index), keys.example_strip(slug, index)]
            listed += [keys.featurevis(variant, slug, index) for variant in ("neuron", "channel-negative")]
    return listed


@settings(max_examples=200, deadline=None)
@given(NAMES)
def test_keys_are_apart_and_inside(names: list[str]) -> None:
    """Whatever layers are called, no two artefacts share a file, and none leads out of the store."""
    listed = every_key(list(layer_slugs(names).values()))
    assert len({key.casefold() for key in listed}) == len(listed)
    folders = {str(parent) for key in listed for parent in PurePosixPath(key.casefold()).parents}
    assert not folders & {key.casefold() for key in listed}
    for key in listed:
        assert re.fullmatch(r"[A-Za-z0-9._/-]+", key)
        assert not PurePosixPath(key).is_absolute()
        assert ".." not in PurePosixPath(key).parts
