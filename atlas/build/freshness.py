"""Which of an atlas's artefacts are stale, and why. No TensorFlow.

The AtlasRecord of the last build, which is in the store, lists the artefacts: a build with nothing to do
never opens the model.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from atlas.build.plan import STAGES, Artefact, atlas_inputs, planned
from atlas.core.config import AtlasConfig
from atlas.core.errors import ExamplesError, NeuronError, StoreError
from atlas.core.neuron import find_neuron
from atlas.core.records import AtlasRecord
from atlas.drawing.image_files import image_files
from atlas.store import Status, Store, keys
from atlas.store.fingerprint import MODEL_CHANGED

# Longer lists are shown as counts.
LISTED = 20


def stale(store: Store, artefacts: Iterable[Artefact]) -> list[tuple[Artefact, Status]]:
    """Return the artefacts that are missing, stale or damaged, each with its status."""
    return [(artefact, status) for artefact, status in store.statuses(artefacts) if not status.fresh]


def failures(store: Store, artefacts: Sequence[Artefact]) -> tuple[tuple[Artefact, str], ...]:
    """Return the artefacts that could not be made, each with the reason."""
    counted = (artefact for artefact in artefacts if _is_counted(artefact))
    return tuple((artefact, why) for artefact in counted if (why := store.failure(artefact.key)))


def _is_counted(artefact: Artefact) -> bool:
    # An artefact that is made together with another fails together with it.
    return not STAGES[artefact.stage].made_with


def failed_lines(failed: Sequence[tuple[Artefact, str]]) -> Iterator[str]:
    """Yield lines on what could not be made, grouped by stage, layer and reason; none where all was made."""
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
    counts = [f"{n_pictures} picture{'s' * (n_pictures > 1)} could not be drawn"] if n_pictures else []
    counts += [f"{n_other} other artefact{'s' * (n_other > 1)} could not be made"] if n_other else []
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


def up_to_date(store: Store, config: AtlasConfig) -> tuple[int, tuple[tuple[Artefact, str], ...]] | None:
    """Return the number of artefacts, and those of them that could not be made, each with the reason.

    None where one is stale. Does not open the model, and holds no more than one artefact at a time.
    """
    if not store.status(keys.ATLAS, atlas_inputs(config)).fresh:
        return None
    try:
        atlas = store.record(keys.ATLAS, AtlasRecord)
    except StoreError:  # damaged: a compute makes the record again
        return None
    n, failed = 0, []
    artefacts = planned(atlas, config, images=images_digest(store, config.examples))
    for artefact, status in store.statuses(artefacts):
        if not status.fresh:
            return None
        n += 1
        if status.failed and _is_counted(artefact):
            failed.append((artefact, status.failed))
    return n, tuple(failed)


def made_lines(made: Sequence[tuple[Artefact, Status]]) -> Iterator[str]:
    """Yield lines on what was made and why: one for each artefact of a short list, else counts by reason."""
    if len(made) <= LISTED:
        yield from (f"made {artefact.key} ({status.reason})" for artefact, status in made)
        return
    counts = Counter((artefact.stage, status.reason) for artefact, status in made)
    for (stage, reason), count in counts.items():
        yield f"made {count} artefact{'s' if count != 1 else ''} of {stage} ({reason})"


def explained(store: Store, config: AtlasConfig, alias: str) -> list[tuple[Artefact, Status]]:
    """Return the artefacts of one neuron and its layer, and the atlas's record, each with its status.

    The last AtlasRecord in the store lists them; if the model has changed, all are stale. Raises NeuronError
    for a neuron that is not in that atlas.
    """
    atlas = store.record(keys.ATLAS, AtlasRecord)
    names = [layer.layer for layer in atlas.layers]
    neuron = find_neuron(atlas.model.layers, alias, chosen=names)
    neurons = next((layer.neurons for layer in atlas.layers if layer.layer == neuron.layer), ())
    if neuron.index not in neurons:
        raise NeuronError(
            f"{neuron.name} is not in this atlas", expected=f"a neuron shown, of {', '.join(names)}"
        )
    artefacts = (
        artefact
        for artefact in planned(atlas, config, images=images_digest(store, config.examples))
        if (artefact.layer == neuron.layer and artefact.index in (-1, neuron.index)) or not artefact.layer
    )
    statuses = list(store.statuses(artefacts))
    changed = statuses[-1][1] if statuses[-1][1].reason == MODEL_CHANGED else None
    return [(artefact, changed or status) for artefact, status in statuses]


def explained_lines(statuses: Sequence[tuple[Artefact, Status]]) -> Iterator[str]:
    """Yield a line for each artefact with its status, followed by lines for the values that it depends on."""
    for artefact, status in statuses:
        state = (
            f"could not be made ({status.failed}); --retry-failed tries again" if status.failed else "fresh"
        )
        yield f"{artefact.key}: {state if status.fresh else f'stale ({status.reason})'}"
        yield from (f"    {name} = {value}" for name, value in sorted(artefact.inputs.items()))
