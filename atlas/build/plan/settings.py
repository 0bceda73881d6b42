"""The model's bytes and the settings of a config, as named values that artefacts depend on."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from atlas.core.config import AtlasConfig
from atlas.core.errors import ModelError
from atlas.core.model_config import ModelConfig
from atlas.model.reading.source import TORCH_ZOOS, files_digest, names_callable, source_digest
from atlas.store.fingerprint import sha256

_PLAIN = ModelConfig()
# Options that older stores do not have; where they are not used, those stores stay fresh.
LATER_OPTIONS = frozenset(
    "preprocess mean std channels inputs signature bands custom_objects unsafe weights "
    "interpolation crop".split()
)
# Of them, those that change no number, that the network's own digest includes, or its record.
_WITHOUT_EFFECT = frozenset({"bands", "custom_objects", "unsafe", "weights", "interpolation", "crop"})


def every_setting(config: AtlasConfig) -> dict[str, str]:
    """Return the digest of the model and every setting, but for folders and engines."""
    values = msgspec.to_builtins(config)
    # The engine is left out because every engine makes the same artefacts.
    excluded = ("site", "store", "model", "examples", "engine")
    settings = {key: value for key, value in values.items() if key not in excluded}
    settings["model_options"] = {
        key: value
        for key, value in values["model_options"].items()
        if key not in LATER_OPTIONS or getattr(config.model_options, key) != getattr(_PLAIN, key)
    }
    # Without images these say nothing, and stores of former versions stay fresh.
    if not config.examples:
        del settings["images"]
    # How a site is laid out changes no artefact.
    settings["web"] = {name: values["web"][name] for name in ("url", "redirects")}
    return {
        "model": source_digest(config.model),
        "examples": "yes" if config.examples else "",
        # Records of versions that did not read the library's way to resize photographs are made again.
        **({"resizing": "of the library"} if config.model.startswith(TORCH_ZOOS) else {}),
        # No input as long as it is empty, so that stores of former versions stay fresh.
        **{name: value for name, value in _flat(settings) if (name, value) != ("featurevis.fixed", "{}")},
        **_file("labels", config.model_options.labels, "a text file, a name a line"),
        **_code(config.model_options.custom_objects),
        **_network_code(config.model),
        **_file("weights", config.model_options.weights, "a file of weights"),
    }


def _code(names: Sequence[str]) -> dict[str, str]:
    """Return the digests of the modules in the working folder that define custom objects, as inputs."""
    files = {name: Path(*name.partition(":")[0].split(".")).with_suffix(".py") for name in names}
    return {
        f"model_options.custom_objects.{name}": sha256(file.read_bytes())
        for name, file in files.items()
        if file.is_file()
    }


def _network_code(source: str) -> dict[str, str]:
    """Return the digests of the code that makes a network, "package.module:callable", as inputs.

    It is every Python file of the package in the working folder, and those next to it, which it may import;
    of a package that is installed, every file of the package too.
    """
    if not names_callable(source):
        return {}
    package = Path(source.partition(":")[0].partition(".")[0])
    files = sorted({*Path().glob("*.py"), *package.rglob("*.py")})
    code = {"model.code": files_digest(Path(), files)}
    if package.is_dir() or package.with_suffix(".py").is_file():
        return code
    return code | _installed_code(package.name)


def _installed_code(package: str) -> dict[str, str]:
    """Return the digest of the code of an installed package, as an input; {} where it is not found.

    Its version is not enough: the code of one that is installed to be edited changes under the same version.
    """
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return {}
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    if folders:
        return {"model.package": files_digest(folders[0], sorted(folders[0].rglob("*.py")))}
    file = Path(spec.origin) if spec and spec.origin else Path()
    return {"model.package": files_digest(file.parent, [file])} if file.is_file() else {}


def changed_options(config: AtlasConfig) -> dict[str, str]:
    """Return the used options that make another network of the same bytes.

    The bands that are shown, and the permission to run code, change no number; the network's digest includes
    its weights.
    """
    options = config.model_options
    changed = {name: getattr(options, name) for name in LATER_OPTIONS - _WITHOUT_EFFECT}
    return {
        f"model_options.{name}": msgspec.json.encode(value, order="sorted").decode()
        for name, value in sorted(changed.items())
        if value != getattr(_PLAIN, name)
    }


def _file(option: str, path: str, expected: str) -> dict[str, str]:
    """Return the digest of a file that an option names, as an input; the file's name is not one."""
    # Reading a pipe may wait forever, and some devices never end.
    if path and Path(path).exists() and not Path(path).is_file():
        raise ModelError(f"the {option} {path}", found="no regular file", expected=expected)
    try:
        return {f"model_options.{option}": sha256(Path(path).read_bytes())} if path else {}
    except OSError as error:
        raise ModelError(f"cannot read the {option} {path}: {error.strerror}") from error


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield each setting as its dotted name and its value in JSON."""
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", msgspec.json.encode(value).decode()
