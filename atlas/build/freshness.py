"""Which of an atlas's artefacts are not as asked for, and why. No TensorFlow.

Found from the AtlasRecord of the last build, which is in the store: a build that has nothing to do
never opens the model.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from atlas.build.plan import STAGES, Artefact, atlas_inputs, wanted
from atlas.core.config import AtlasConfig
from atlas.core.errors import ExamplesError, NeuronError, StoreError
from atlas.core.neuron import find_neuron
from atlas.core.records import AtlasRecord
from atlas.drawing.image_files import image_files
from atlas.store import Status, Store, keys
from atlas.store.fingerprint import MODEL_CHANGED

# A longer list says no more than its counts do.
LISTED = 20


def stale(store: Store, artefacts: tuple[Artefact, ...]) -> list[tuple[Artefact, Status]]:
    """Return the artefacts that are not as asked for, each with the reason."""
    found = [(artefact, store.status(artefact.key, artefact.inputs)) for artefact in artefacts]
    return [(artefact, status) for artefact, status in found if not status.fresh]


def failures(store: Store, artefacts: Sequence[Artefact]) -> tuple[tuple[Artefact, str], ...]:
    """Return the artefacts that could not be made, each with the reason."""
    # What is made with something else failed with it.
    counted = (artefact for artefact in artefacts if not STAGES[artefact.stage].made_with)
    return tuple((artefact, why) for artefact in counted if (why := store.failure(artefact.key)))


def failed_lines(failed: Sequence[tuple[Artefact, str]]) -> Iterator[str]:
    """Yield what could not be made, counted by kind, layer and reason; "" where all was made."""
    if not failed:
        return
    groups: dict[tuple[str, str, str], list[str]] = {}
    for artefact, why in failed:
        name = artefact.layer if artefact.index < 0 else f"{artefact.layer}:{artefact.index}"
        groups.setdefault((artefact.stage, artefact.layer, why), []).append(name)
    for (stage, _, why), names in groups.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        yield f"not made: {stage} of {', '.join(names[:3])}{more}: {why}"
    n_pictures = sum(STAGES[artefact.stage].is_picture for artefact, _ in failed)
    n_other = len(failed) - n_pictures
    counts = [f"{n_pictures} pictures could not be drawn"] if n_pictures else []
    counts += [f"{n_other} other artefacts could not be made"] if n_other else []
    yield f"{', '.join(counts)}; all else is there, and --retry-failed tries them again"


def images_digest(store: Store, folder: str) -> str:
    """Return the SHA-256 of the names and bytes of a folder's images; "" for no folder.

    Raises ExamplesError when there is no such folder, or no image in it.
    """
    if not folder:
        return ""
    root, total = Path(folder), hashlib.sha256()
    try:
        for file in image_files(root):
            total.update(f"{file.relative_to(root).as_posix()} {store.digest(file)}\n".encode())
    except OSError as error:
        raise ExamplesError(f"cannot read the examples {folder}: {error.strerror}") from error
    return total.hexdigest()


def up_to_date(store: Store, config: AtlasConfig) -> tuple[Artefact, ...] | None:
    """Return the artefacts when all are fresh, else None; the model itself stays closed."""
    if not store.status(keys.ATLAS, atlas_inputs(config)).fresh:
        return None
    try:
        atlas = store.record(keys.ATLAS, AtlasRecord)
    except StoreError:  # a compute makes it again
        return None
    artefacts = wanted(atlas, config, images=images_digest(store, config.examples))
    return None if stale(store, artefacts) else artefacts


def made_lines(made: Sequence[tuple[Artefact, Status]]) -> Iterator[str]:
    """Yield what was made and why: each artefact of a short list, else counts by reason."""
    if len(made) <= LISTED:
        yield from (f"made {artefact.key} ({status.reason})" for artefact, status in made)
        return
    counts = Counter((artefact.stage, status.reason) for artefact, status in made)
    yield from (f"made {count} artefacts of {stage} ({reason})" for (stage, reason), count in counts.items())


def explained(store: Store, config: AtlasConfig, alias: str) -> list[tuple[Artefact, Status]]:
    """Return what an atlas holds of one neuron and its layer, and the atlas record, with their status.

    Found from the last AtlasRecord in the store; of another model nothing is fresh. Raises NeuronError
    for a neuron that is not in that atlas.
    """
    atlas = store.record(keys.ATLAS, AtlasRecord)
    names = [layer.layer for layer in atlas.layers]
    neuron = find_neuron(atlas.model.layers, alias, chosen=names)
    shown = next((layer.neurons for layer in atlas.layers if layer.layer == neuron.layer), ())
    if neuron.index not in shown:
        raise NeuronError(
            f"{neuron.name} is not in this atlas", expected=f"a neuron shown, of {', '.join(names)}"
        )
    found = [
        (artefact, store.status(artefact.key, artefact.inputs))
        for artefact in wanted(atlas, config, images=images_digest(store, config.examples))
        if (artefact.layer == neuron.layer and artefact.index in (-1, neuron.index)) or not artefact.layer
    ]
    changed = found[-1][1] if found[-1][1].reason == MODEL_CHANGED else None
    return [(artefact, changed or status) for artefact, status in found]


def explained_lines(found: Sequence[tuple[Artefact, Status]]) -> Iterator[str]:
    """Yield each artefact with its status, and below it all that it depends on."""
    for artefact, status in found:
        told = (
            f"could not be made ({status.failed}); --retry-failed tries again" if status.failed else "fresh"
        )
        yield f"{artefact.key}: {told if status.fresh else f'stale ({status.reason})'}"
        yield from (f"    {name} = {value}" for name, value in sorted(artefact.inputs.items()))
