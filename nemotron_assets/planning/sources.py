"""Reads what a plan starts from: sizes and yields (inputs.yaml), measured rates and assumed prices (rates.yaml).

An entry has a value, or a range [low, expected, high], and says where it comes from. An entry of inputs.yaml may differ
between the embedded `sample` and what was `published` about the real sources.
"""

from __future__ import annotations

import functools
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml

from nemotron_assets.planning.figures import Figure, Unknown, between

#: What the sizes of a stage's sources are taken from.
Profile = Literal["sample", "published"]

RATES = Path(__file__).resolve().parents[2] / "benchmarks" / "rates.yaml"


class InputError(ValueError):
    """An entry of inputs.yaml or rates.yaml that is missing or malformed; the message names it."""


@functools.cache
def inputs() -> dict[str, Any]:
    """The sections of inputs.yaml: `inputs` (sizes and yields), `bytes_per_row`, and `totals` (published totals, which
    no estimator reads)."""
    return _read(resources.files("nemotron_assets.planning") / "inputs.yaml")


@functools.cache
def rates() -> dict[str, Any]:
    """The sections of rates.yaml: `rates`, `prices`, `models` and `machines`."""
    return _read(RATES)


def _read(path: Any) -> dict[str, Any]:
    return yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def size(key: str, profile: Profile) -> Figure | Unknown:
    """A size or a yield of inputs.yaml, for the sample or as published."""
    entries = inputs()["inputs"]
    if key not in entries:
        raise InputError(f"inputs.yaml has no input {key!r}; add it with a value and its source")
    entry = entries[key]
    entry = entry.get(profile, entry)
    if "value" not in entry:
        return Unknown(f"{key} of the {profile} sources: {entry.get('unknown', 'nobody measured or published it')}")
    return _figure(f"{key} ({profile})" if profile in entries[key] else key, entry, "inputs.yaml")


def bytes_per_row(table: str) -> Figure | Unknown:
    """Stored bytes of a row of a table."""
    value = inputs()["bytes_per_row"].get(table)
    if value is None:
        return Unknown(f"bytes of a row of {table}: nobody counted them")
    source = f"{value:g} bytes: counted in the lake of `make run`"
    return between(f"bytes of a row of {table}", 0.7 * value, value, 1.1 * value, source)


def rate(key: str) -> Figure | Unknown:
    """A measured rate of rates.yaml."""
    entry = rates()["rates"].get(key)
    if entry is None:
        return Unknown(f"rate {key}: benchmarks/rates.yaml has no such measurement")
    return _figure(f"rate of {key}", entry, "rates.yaml")


def price(key: str) -> Figure:
    """An assumed price of rates.yaml, in US dollars."""
    return _figure(f"price of {key}", rates()["prices"][key], "rates.yaml")


def size_of_model(model: str) -> Figure:
    """Active parameters of a language model, by its Hugging Face id."""
    return _figure(f"active parameters of {model}", rates()["models"][model], "rates.yaml")


def _figure(name: str, entry: dict[str, Any], file: str) -> Figure:
    value = entry["value"]
    low, expected, high = value if isinstance(value, list) else (value, value, value)
    if not entry.get("source"):
        raise InputError(f"{file}: {name} has no source; say who published or measured it, or that it is assumed")
    unit = f" {entry['unit']}" if entry.get("unit") else ""
    machine = rates()["machines"].get(entry.get("machine", ""), "")
    where = "; ".join(filter(None, (entry["source"], machine)))
    return between(name, float(low), float(expected), float(high), f"{_shown(value)}{unit}: {where}")


def _shown(value: Any) -> str:
    return f"{value[1]:g} ({value[0]:g} to {value[2]:g})" if isinstance(value, list) else f"{value:g}"
