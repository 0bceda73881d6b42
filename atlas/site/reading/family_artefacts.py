"""The decoded families of an atlas: those that the config names, then the program's proposals by layer."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlas.core.neuron import INPUT, Layer
from atlas.core.records import DirectionSheet, Family, Floats
from atlas.core.slugs import proposal_slug
from atlas.site import urls
from atlas.site.reading.catalogue import Catalogue, Link
from atlas.store import Store, codec, keys


@dataclass(frozen=True, slots=True)
class FamilyAddress:
    """Where to find a family in the store and on the site."""

    key: str
    """Key of the family's record in the store."""
    slug: str
    """Address of its page, without "family_" and the ending."""
    layer: str
    """The layer that its members are neurons of."""
    number: int = 0
    """Number of a proposal within its layer, from 1; 0 for a family that the config names."""

    @property
    def pictures(self) -> str:
        """The key of the pictures of its factors; a proposal has no such pictures."""
        return keys.family_pictures(self.slug)


def addresses(store: Store, catalogue: Catalogue) -> tuple[FamilyAddress, ...]:
    """Return the families that the store holds, without reading them; those of the config come first."""
    atlas = catalogue.atlas
    named = [FamilyAddress(keys.family(f.slug), f.slug, f.layer) for f in atlas.families]
    proposed = [
        FamilyAddress(keys.proposal(slug, n), proposal_slug(slug, n), record.layer, n)
        for record in atlas.layers
        if record.may_have_proposals(catalogue.layer(record.layer).n_channels)
        for slug in [catalogue.layer(record.layer).slug]
        for n in range(1, atlas.n_proposals + 1)
    ]
    return tuple(a for a in named + proposed if store.has(a.key) and store.meta(a.key).get("members"))


class FamilyArtefacts:
    """The families of an atlas, each read at its first use."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        """List the families that the store holds; none is read yet."""
        self._store, self._catalogue = store, catalogue
        self.addresses = addresses(store, catalogue)
        # The caches belong to the instance; functools.cache on methods would keep the store alive.
        self.family = functools.cache(self._family)
        self.kernels = functools.lru_cache(maxsize=2)(self._kernels)
        self.strengths = functools.cache(self._strengths)

    @functools.cached_property
    def all(self) -> dict[FamilyAddress, Family]:
        """Every family by its address."""
        return {address: self.family(address) for address in self.addresses}

    @functools.cached_property
    def links(self) -> dict[tuple[str, int], tuple[Link, ...]]:
        """The families that a neuron is a member of, by layer and index."""
        links: dict[tuple[str, int], tuple[Link, ...]] = {}
        for address, family in self.all.items():
            link = Link(family.name, urls.family_page(address.slug))
            for neuron in family.neurons:
                key = (family.layer, neuron)
                links[key] = (*links.get(key, ()), link)
        return links

    def of_neuron(self, layer: Layer, index: int) -> tuple[Link, ...]:
        """Return the families that a neuron is a member of, those of the config first."""
        return self.links.get((layer.name, index), ())

    def pictures(self, address: FamilyAddress) -> DirectionSheet | None:
        """Return the facts on the pictures of a family's factors, None where none were drawn."""
        if address.number or not self._store.has(address.pictures):
            return None
        return codec.decode_meta(DirectionSheet, self._store.meta(address.pictures))

    def _family(self, address: FamilyAddress) -> Family:
        return self._store.record(address.key, Family)

    def _kernels(self, source: str, target: str) -> Floats | None:
        """Return the expanded weights of a pair, [h, w, source, target], None where the store has none."""
        slugs = [INPUT if name == INPUT else self._catalogue.layer(name).slug for name in (source, target)]
        key = keys.weights(*slugs)
        if not self._store.has(key):
            return None
        return codec.decode_array(self._store.read(key), key=key)

    def _strengths(self, source: str, target: str) -> NDArray[np.float64] | None:
        """Return the strengths of a pair's connections, [source, target], None where there are no weights."""
        kernels = self.kernels(source, target)
        if kernels is None:
            return None
        return np.asarray(np.sqrt(np.einsum("hwst,hwst->st", kernels, kernels, dtype=np.float64)))
