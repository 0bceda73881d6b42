"""A TOML file and the command line's flags -> AtlasConfig, or an error that names line and setting."""

from __future__ import annotations

import re
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from atlas.core.config import AtlasConfig
from atlas.core.errors import ConfigError, nearest

_COMMAND_LINE = "the command line"
_REMEDY = "name a model with --model"


def read_config(path: Path | None = None, flags: Mapping[str, Any] | None = None) -> AtlasConfig:
    """Return the config of a TOML file, overridden by flags; "featurevis.preset" is a key of a table.

    Raises ConfigError that names the setting and, for a file, its line.
    """
    text = _read(path) if path else ""
    try:
        values = _with_model_table(tomllib.loads(text), str(path))
        _convert(values, str(path), text)
    except ValueError as error:  # also raised for numbers with more digits than Python reads
        raise ConfigError(f"{path} is not TOML: {error}") from error
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply", expected="tables of two levels at most") from None
    for name, value in (flags or {}).items():
        table, _, key = name.rpartition(".")
        section = values.setdefault(table, {}) if table else values
        section[key] = value
    return _convert(values, _COMMAND_LINE, "")


def names_setting(path: Path, name: str) -> bool:
    """Return whether a valid TOML file has this key at its top."""
    return name in tomllib.loads(_read(path))


def _with_model_table(values: dict[str, Any], origin: str) -> dict[str, Any]:
    """Return the values with a table [model] split into `model`, its `source`, and `model_options`."""
    table = values.get("model")
    if not isinstance(table, dict):
        return values
    if "model_options" in values:
        raise ConfigError(f"{origin}: [model] and [model_options] say the same; keep one of them")
    options = {key: value for key, value in table.items() if key != "source"}
    # A single number is that of all channels, as it is for --mean.
    single = {key: [options[key]] for key in ("mean", "std") if isinstance(options.get(key), int | float)}
    source = {"model": table["source"]} if "source" in table else {}
    rest = {key: value for key, value in values.items() if key != "model"}
    return {**rest, **source, "model_options": options | single}


def _read(path: Path) -> str:
    # Reading a pipe may wait forever, and some devices never end.
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a device or a pipe"
        raise ConfigError(f"the config {path}", found=kind, expected="a TOML file", remedy=_REMEDY)
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"there is no config file {path}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"the config {path} is not text", expected="a TOML file", remedy=_REMEDY) from None
    except OSError as error:
        raise ConfigError(f"cannot read the config {path}: {error.strerror}") from error


def _convert(values: Mapping[str, Any], origin: str, text: str) -> AtlasConfig:
    try:
        config = msgspec.convert(values, AtlasConfig)
        _refuse_zero_bytes(values)
        return config
    except msgspec.ValidationError as error:
        raise _explained(str(error), values, origin, text) from error


def _refuse_zero_bytes(value: Any, at: str = "$") -> None:
    """Raise a msgspec error for a text with a zero byte, which neither paths nor pages can hold."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            _refuse_zero_bytes(part, f"{at}.{key}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            _refuse_zero_bytes(part, f"{at}[{index}]")
    elif isinstance(value, str) and "\0" in value:
        raise msgspec.ValidationError(f"Text without a zero byte is expected - at `{at}`")


def _explained(message: str, values: Mapping[str, Any], origin: str, text: str) -> ConfigError:
    """Return a ConfigError for msgspec's message, with the setting's line, value and allowed values."""
    unknown = re.search(r"unknown field `([^`]+)`", message)
    at = re.search(r" - at `\$\.?([^`]*)`", message)
    dotted = ".".join(filter(None, [at[1] if at else "", unknown[1] if unknown else ""]))
    # "family[1].neurons[0]" is a key of the second [[family]].
    table = re.match(r"\w+\[(\d+)\]", dotted)
    dotted = re.sub(r"\[.*?\]", "", dotted)
    in_table = _line_of(_in_model_table(dotted), text)
    line = in_table or _line_of(dotted, text, int(table[1]) if table else 0)
    shown = _in_model_table(dotted) if in_table else dotted
    where = f"{origin}, line {line}" if line else origin
    if unknown is not None:
        return ConfigError(f"{where}: unknown setting {shown}", remedy=_instead_of(unknown[1], dotted))
    value = _value(values, dotted, int(table[1]) if table else 0)
    name = f"--{dotted.rpartition('.')[2].replace('_', '-')}" if origin == _COMMAND_LINE else shown
    allowed = _choices(_type_of(dotted))
    if allowed and (message.startswith("Invalid enum") or "Expected `str`" in message):
        return ConfigError(f"{where}: {name}", found=value, expected=" | ".join(allowed))
    plain = re.sub(r" - at `.*", "", message)
    if table and "famil" in plain:
        return ConfigError(f"{where}: {plain}")
    return ConfigError(f"{where}: {name}: {plain[0].lower()}{plain[1:]}", found=value)


def _instead_of(name: str, dotted: str) -> str:
    """Return a remedy for an unknown key `dotted`, which ends in `name`: tables or near names."""
    fields = msgspec.structs.fields(AtlasConfig)
    tables = [field.name for field in fields if name in _setting_names(f"{field.name}.")]
    near = nearest(name, _setting_names(dotted), listed=True)
    if tables and ("." not in dotted or not near):
        headers = {"family": "[[family]]", "model_options": "[model]"}
        return "it belongs in " + " or ".join(headers.get(table, f"[{table}]") for table in tables)
    return near or nearest(name, _setting_names(dotted))


def _in_model_table(dotted: str) -> str:
    """Return the name in a table [model] of a key of [model_options] or of the model; "" for other keys."""
    if dotted == "model":
        return "model.source"
    return dotted.replace("model_options", "model", 1) if dotted.startswith("model_options") else ""


def _value(values: Any, dotted: str, nth: int) -> Any:
    """Return the value of a dotted key as it is written in Python, from table `nth` of its name."""
    for part in dotted.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
        if isinstance(values, list) and values and isinstance(values[0], Mapping):
            values = values[nth]
    return repr(values)


def _type_of(dotted: str) -> Any:
    """Return the type of a setting, None where there is no such setting."""
    kind: Any = AtlasConfig
    for part in dotted.split("."):
        fields = msgspec.structs.fields(kind) if isinstance(kind, type) else ()
        kind = next((field.type for field in fields if field.name == part), None)
        if typing.get_origin(kind) is tuple and isinstance(typing.get_args(kind)[0], type):
            kind = typing.get_args(kind)[0]
    return kind


def _choices(kind: Any) -> list[str]:
    """Return the words that a setting allows, also where other types are allowed."""
    if typing.get_origin(kind) is Literal:
        return list(typing.get_args(kind))
    return [word for part in typing.get_args(kind) for word in _choices(part)]


def _setting_names(dotted: str) -> list[str]:
    """Return the names of all settings in the table of a dotted key; none where it is no table."""
    table = _type_of(dotted.rpartition(".")[0]) if "." in dotted else AtlasConfig
    is_table = isinstance(table, type) and issubclass(table, msgspec.Struct)
    return [field.name for field in msgspec.structs.fields(table)] if is_table else []


def _line_of(dotted: str, text: str, nth: int = 0) -> int | None:
    """Return the line in which a dotted key is set, by reading table headers and keys; None if there is none.

    `nth` is the number of the table, from 0, among those of one name, like [[family]].
    """
    table, n_tables = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([\w.\-\"]+)\s*\]+", line)
        key = re.match(r"\s*([\w.\-\"]+)\s*=", line)
        if header:
            table = header[1].replace('"', "")
            n_tables += table == dotted.partition(".")[0]
        name = ".".join(filter(None, [table, key[1].replace('"', "")])) if key else table
        if dotted and (n_tables > nth or not nth) and (name == dotted or (key and _nested(name, dotted))):
            return number
    return _line_of(dotted.rpartition(".")[0], text, nth) if "." in dotted and nth else None


def _nested(one: str, other: str) -> bool:
    return one.startswith(f"{other}.") or other.startswith(f"{one}.")
